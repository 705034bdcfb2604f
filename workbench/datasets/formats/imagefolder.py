"""Hugging Face ``imagefolder``: ``train/metadata.jsonl``, a line for each picture beside it.

::

    {"file_name": "a.jpg", "objects": {"bbox": [[x, y, width, height]], "categories": ["cat"]}}

Boxes are in pixels, the upper left corner first
(https://huggingface.co/docs/datasets/image_dataset#object-detection). Classes are names, or numbers
that nothing in the file names; ``objects`` that are null say that nobody has looked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.items import (
    Box,
    Detection,
    Options,
    Problem,
    Reading,
    Record,
    name_of,
    number,
    size_of,
)
from workbench.datasets.formats.json_text import parse_json
from workbench.datasets.formats.view import FolderView
from workbench.datasets.formats.walking import found, read_text
from workbench.errors import ImportFormatError

TITLE = "Hugging Face imagefolder"

_BOXES = ("bbox", "bboxes", "boxes", "box")
_LABELS = ("categories", "category", "labels", "label", "names", "name", "class", "category_id")


def detect(view: FolderView) -> Detection:
    """Look for ``metadata.jsonl`` with objects."""
    files = view.matching([".jsonl"], lambda name: _is_metadata(view, name))
    return found(files, "metadata.jsonl with a line for each picture", 0.95)


def _is_metadata(view: FolderView, name: str) -> bool:
    first = parse_json(view.head(name, 2**16).partition(b"\n")[0], name)
    return isinstance(first, dict) and "file_name" in first and "objects" in first


def read(view: FolderView, detection: Detection, options: Options) -> Reading:
    """Read metadata; see `workbench.datasets.formats.items`."""
    reading = Reading()

    def parse(lines: list[str], name: str) -> Iterator[Record]:
        for line, text in enumerate(lines, start=1):
            if not text.strip():
                continue
            try:
                item = parse_json(text.encode(), name)
            except ImportFormatError:
                item = None
            yield _record(item, name, line)

    reading.records = read_text(view, detection.files, reading, options, parse)
    return reading


def _record(item: Any, file: str, line: int) -> Record:
    if not isinstance(item, dict) or not isinstance(item.get("file_name"), str):
        record = Record(file, place=line)
        record.problems.append(Problem(why.BAD_ROW, line, "no line with a file_name"))
        return record
    record = Record(file, item["file_name"], place=line)
    record.size = size_of(item.get("width"), item.get("height"))
    record.lists_of_four = True
    objects = item.get("objects")
    if isinstance(objects, list):  # an object each, in place of columns
        some = [one for one in objects if isinstance(one, dict)]
        objects = {
            key: [one.get(key) for one in some] for key in dict.fromkeys(k for o in some for k in o)
        }
        objects.setdefault("bbox", [])
    if not isinstance(objects, dict):
        record.reviewed = False
        return record
    boxes, labels = _list(objects, _BOXES), _list(objects, _LABELS)
    for place, box in enumerate(boxes):
        try:
            label = name_of(labels[place]) if place < len(labels) else "object"
            x, y, width, height = map(number, box)
        except (TypeError, ValueError) as error:
            record.problems.append(Problem(why.BAD_ROW, line, str(error)))
            continue
        record.boxes.append(Box(label, x, y, x + width, y + height, line))
    return record


def _list(objects: dict[str, Any], keys: Sequence[str]) -> list[Any]:
    return next((objects[key] for key in keys if isinstance(objects.get(key), list)), [])
