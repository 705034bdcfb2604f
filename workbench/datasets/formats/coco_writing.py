"""COCO JSON that goes out in pieces: the text of a million annotations is never there whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from workbench.datasets.formats.json_text import json_bytes
from workbench.datasets.formats.outgoing import DECIMALS, OutColumns, OutItem, columns_of

_AT_ONCE = 10_000
_COCO_KEYS = frozenset(
    {"id", "image_id", "category_id", "bbox", "area", "segmentation", "iscrowd"}
)  # fmt: skip
# What stands between the columns; those have the places that are empty here. The text of a
# picture's id and of a category's has the next key with it.
_ROW = (
    *(b',{"id":', b"", b"", b"", b""),
    *(b'],"area":', b"", b',"segmentation":[],"iscrowd":0}'),
)


def coco_pieces(items: Sequence[OutItem], classes: Sequence[str]) -> Iterator[bytes]:
    """Yield the COCO file of pictures; ids count from 1, unlabelled ones are left out."""
    numbers = [n for n, item in enumerate(items, start=1) if item.boxes is not None]
    labelled = [item for item in items if item.boxes is not None]
    yield b'{"info":' + json_bytes({"description": "written by Workbench"}) + b',"images":['
    for start in range(0, len(labelled), _AT_ONCE):
        images = [
            {"id": n, "file_name": item.filename, "width": item.width, "height": item.height}
            for n, item in zip(
                numbers[start : start + _AT_ONCE], labelled[start : start + _AT_ONCE], strict=True
            )
        ]
        yield b"," * bool(start) + json_bytes(images)[1:-1]
    yield b'],"annotations":['
    for number, rows in enumerate(_rows(columns_of(labelled), numbers, len(classes))):
        yield rows if number else rows[1:]
    categories = [{"id": n, "name": c, "supercategory": ""} for n, c in enumerate(classes, start=1)]
    yield b'],"categories":' + json_bytes(categories) + b"}"


def _rows(found: OutColumns, numbers: Sequence[int], num_classes: int) -> Iterator[bytes]:
    """Yield the annotations of pictures with these ids as text, with a comma before each.

    It is put together from columns, some thousand rows at once.
    """
    of_images = [b',"image_id":%d,"category_id":' % number for number in numbers]
    of_classes = [b'%d,"bbox":[' % number for number in range(1, num_classes + 1)]
    total, step = len(found.class_id), len(_ROW)
    for start in range(0, total, _AT_ONCE):
        part = slice(start, min(start + _AT_ONCE, total))
        count = part.stop - start
        low, high = found.corners[part, :2], found.corners[part, 2:]
        boxes = np.round(np.concatenate([low, high - low], axis=1), DECIMALS) + 0.0
        areas = np.round(boxes[:, 2] * boxes[:, 3], DECIMALS)
        pieces = list(_ROW) * count
        pieces[1::step] = _texts(np.arange(start + 1, part.stop + 1), b",")
        pieces[2::step] = map(of_images.__getitem__, found.owner[part].tolist())
        pieces[3::step] = map(of_classes.__getitem__, found.class_id[part].tolist())
        pieces[4::step] = _texts(boxes, b"],[")
        pieces[6::step] = _texts(areas, b",")
        for row in range(start, part.stop) if found.extras else ():
            if extra := found.extras.get(row):
                more = json_bytes({k: v for k, v in extra.items() if k not in _COCO_KEYS})
                inner = more[1:-1] + b"," * (len(more) > 2)
                pieces[(row - start) * step] = _ROW[0].replace(b"{", b"{" + inner)
        yield b"".join(pieces)


def _texts(numbers: npt.NDArray[Any], between: bytes) -> list[bytes]:
    """Return the text of each number or row of numbers; a whole number without a point."""
    text = orjson.dumps(np.ascontiguousarray(numbers), option=orjson.OPT_SERIALIZE_NUMPY)
    if numbers.dtype.kind == "f":
        text = text.replace(b".0,", b",").replace(b".0]", b"]")
    return text.strip(b"[]").split(between)
