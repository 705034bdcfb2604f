"""Which picture belongs to which split: the lists of a Pascal VOC folder."""

from __future__ import annotations

import re
from collections.abc import Iterable

from workbench.datasets.changes import counted
from workbench.datasets.formats.pairing import stem_of
from workbench.datasets.formats.view import FolderView
from workbench.datasets.formats.walking import text_of
from workbench.datasets.importing import split_by_ratio
from workbench.persistence import IMAGE_EXTENSIONS

# An image in two lists goes to the first of these: what scores are measured on stays whole.
_PRECEDENCE = ("test", "val", "train")
_LIST = re.compile(r"(?:.*/)?ImageSets/(?:.*/)?(train|val|valid|test|trainval)\.txt", re.IGNORECASE)
_SOME = 5


def read_lists(view: FolderView) -> tuple[dict[str, str], list[str], set[str]]:
    """Return the split by picture, notes, and the lists that were read."""
    lists: dict[str, list[str]] = {}
    used: set[str] = set()
    found = [(name, match) for name in view.names if (match := _LIST.fullmatch(name))]
    # Beside those of the pictures (Main) there may be others of segmentations and of actions.
    main = [(name, match) for name, match in found if "/main/" in name.lower()]
    for name, match in main or found:
        lines = text_of(view, name).splitlines()
        split = match[1].lower().replace("valid", "val")
        lists.setdefault(split, []).extend(line.strip() for line in lines if line.strip())
        used.add(name)
    if not lists:
        return {}, [], set()
    return (*_assign(view, lists), used)


def _assign(view: FolderView, lists: dict[str, list[str]]) -> tuple[dict[str, str], list[str]]:
    known: dict[str, list[str]] = {}
    for picture in view.pictures:
        known.setdefault(stem_of(picture), []).append(picture)
        below = "/".join(picture.rsplit("/", 2)[-2:])
        if "/" in below:  # lists may have the folder as well
            known.setdefault(below[: below.rfind(".")], []).append(picture)
    notes: list[str] = []
    found = {split: _resolve(names, known, split, notes) for split, names in lists.items()}
    assigned: dict[str, str] = {}
    several: list[str] = []
    for split in _PRECEDENCE:
        pictures = sorted(found.get(split, ()), key=stem_of)
        several += [f"{stem_of(p)} went to {assigned[p]}" for p in pictures if p in assigned]
        assigned |= {picture: split for picture in pictures if picture not in assigned}
    if several:
        notes.append(
            f"{counted(len(several), 'image is', 'images are')} in several lists: "
            f"{_examples(several)}"
        )
    rest = found.get("trainval", set()) - assigned.keys()
    if rest and "train" not in found and "val" not in found:
        assigned |= split_by_ratio(rest, {"train": 0.8, "val": 0.2}, 0)
        notes.append(
            f"trainval.txt lists {counted(len(rest), 'image')}, and there is no train.txt or "
            f"val.txt: 80 % "
            f"went to train, 20 % to val, picked at random with seed 0"
        )
    return assigned, notes


def _resolve(
    names: list[str], known: dict[str, list[str]], split: str, notes: list[str]
) -> set[str]:
    """Return the images that a list means; some tools add extensions, folders or a flag."""
    found, missing = set(), []
    for name in names:
        stem = next((form for form in _forms(name) if form in known), None)
        if stem is None:
            missing.append(name)
        else:
            found.update(known[stem])
    if missing:
        notes.append(
            f"{counted(len(missing), 'name')} in the list {split}.txt without an image here: "
            f"{_examples(missing)}"
        )
    return found


def _examples(names: list[str]) -> str:
    return ", ".join(names[:_SOME]) + ", ..." * (len(names) > _SOME)


def _forms(name: str) -> Iterable[str]:
    yield name
    bare, _, flag = name.rpartition(" ")
    # The lists of single classes say "name -1", "name 0" or "name 1".
    for form in (name, bare.strip()) if flag in {"-1", "0", "1"} else (name,):
        plain = form.replace("\\", "/").strip("/")
        yield "/".join(plain.rsplit("/", 2)[-2:])
        base = plain.rpartition("/")[2]
        yield base
        stem, dot, extension = base.rpartition(".")
        if dot and f".{extension.lower()}" in IMAGE_EXTENSIONS:
            yield stem
