"""Which split a word in a path means: ``valid``, ``val2017``, ``train_images`` and their like."""

from __future__ import annotations

import re
from functools import lru_cache

_TRAIN, _VAL, _TEST = "train|training|trainval", "val|valid|validation|minival|dev|eval", "test"
_WORD = re.compile(rf"(?:({_TRAIN})|({_VAL})|({_TEST}|testing))(?:\d{{4}})?")
_SPLITS = ("train", "val", "test")
_PARTS = re.compile(r"[\s_.\-]+")
# What a folder of a split may say besides: what kind of files there are.
_BESIDE = frozenset(
    {"obj", "data", "set", "split", "zip", "json", "txt", "xml", "xmls", "gt", "labeltxt", "image",
     "images", "img", "imgs", "jpg", "jpeg", "png", "picture", "pictures", "photo", "photos",
     "frames", "label", "labels", "ann", "anns", "annot", "annots", "annotation", "annotations"}
)  # fmt: skip


@lru_cache(maxsize=4096)
def split_word(text: str) -> str | None:
    """Return the split that the name of a folder means, if it says nothing else.

    ``train``, ``val2017``, ``obj_train_data``, ``train_images`` and ``labels-valid`` do;
    ``training_tools`` does not.
    """
    found = None
    for part in _PARTS.split(text.strip().lower()):
        match = _WORD.fullmatch(part)
        if match and match.lastindex:
            if found is not None:
                return None
            found = _SPLITS[match.lastindex - 1]
        elif part and part not in _BESIDE:
            return None
    return found
