"""Ultralytics NDJSON: a line for the dataset, then one for each picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.items import (
    FRACTIONS,
    KEYPOINTS,
    POLYGON,
    Box,
    Detection,
    Options,
    Problem,
    Reading,
    Record,
    corners,
    number,
    size_of,
)
from workbench.datasets.formats.json_text import parse_json
from workbench.datasets.formats.view import FolderView
from workbench.datasets.formats.walking import found, read_text
from workbench.errors import ImportFormatError

TITLE = "Ultralytics NDJSON"

_MOST_CLASSES = 10_000
_MOST_DIGITS = 9
_GROUPS = ("boxes", "bboxes", "segments", "obb", "pose")
_OF_TASK = {"detect": "boxes", "segment": "segments", "obb": "obb", "pose": "pose"}


def detect(view: FolderView) -> Detection:
    """Look for files of JSON lines that begin with a dataset."""
    files = view.matching([".ndjson", ".jsonl"], lambda name: _is_ndjson(view, name))
    return found(files, "JSON lines of a dataset and its pictures", 0.95)


def _is_ndjson(view: FolderView, name: str) -> bool:
    head = view.head(name, 2**16)
    first = parse_json(head.partition(b"\n")[0], name)
    return isinstance(first, dict) and (
        first.get("type") in ("dataset", "image") or "class_names" in first
    )


def read(view: FolderView, detection: Detection, options: Options) -> Reading:
    """Read files of JSON lines; see `workbench.datasets.formats.items`."""
    reading = Reading(declared=True)

    def parse(lines: list[str], name: str) -> Iterator[Record]:
        task = ""
        for line, text in enumerate(lines, start=1):
            if not text.strip():
                continue
            try:
                item = parse_json(text.encode(), name)
            except ImportFormatError:
                record = Record(name, place=line)
                record.problems.append(Problem(why.BAD_ROW, line, "no JSON"))
                yield record
                continue
            if isinstance(item, dict) and "class_names" in item:
                task = str(item.get("task"))
                _classes(item["class_names"], reading.classes)
            elif isinstance(item, dict) and item.get("type", "image") == "image":
                yield _image(item, name, line, reading.classes, task)

    reading.records = read_text(view, detection.files, reading, options, parse)
    return reading


def _classes(names: Any, classes: list[str]) -> None:
    pairs = names.items() if isinstance(names, dict) else enumerate(names if names else ())
    by_id = {
        int(key): " ".join(str(name).split())
        for key, name in ((str(key), name) for key, name in pairs)
        if key.isascii() and key.isdigit() and len(key) <= _MOST_DIGITS
    }
    if by_id and max(by_id) < _MOST_CLASSES:
        classes[:] = [by_id.get(i) or f"class_{i}" for i in range(max(by_id) + 1)]


def _image(item: dict[str, Any], file: str, line: int, classes: list[str], task: str) -> Record:
    split = item.get("split")
    record = Record(
        file,
        str(item.get("file") or item.get("url") or ""),
        place=line,
        unit=FRACTIONS,
        split=split if isinstance(split, str) else None,
        shown=True,  # rows of YOLO are of pictures as they are shown
    )
    record.size = size_of(item.get("width"), item.get("height"))
    groups = item.get("annotations")
    if not isinstance(groups, dict):
        record.reviewed = groups is not None
        return record
    record.reviewed = not groups or any(kind in groups for kind in _GROUPS)
    listed = [(kind, groups[kind]) for kind in _GROUPS if isinstance(groups.get(kind), list)]
    # A box and its outline are one thing: the group of the dataset's task counts.
    first = next((kind for kind, rows in listed if kind == _OF_TASK.get(task) and rows), "")
    first = first or next((kind for kind, rows in listed if rows), "")
    for kind, rows in listed:
        for row in rows:
            if kind != first:
                record.problems.append(Problem(why.OTHER_GROUP, line, kind))
                continue
            try:
                record.boxes.append(_box(row, kind, line, classes))
            except ValueError as error:
                record.problems.append(Problem(why.BAD_ROW, line, str(error)))
    return record


def _box(row: Any, kind: str, line: int, classes: list[str]) -> Box:
    values = _flat(row)
    class_id = int(values[0]) if values else -1
    if not 0 <= class_id < _MOST_CLASSES:
        raise ValueError("expected a class id")
    while class_id >= len(classes):
        classes.append(f"class_{len(classes)}")
    if kind in ("boxes", "bboxes", "pose"):
        if len(values) < 5:
            raise ValueError(f"expected a box, found {len(values) - 1} numbers")
        x, y, width, height = values[1:5]
        left, top = x - width / 2, y - height / 2
        shape = KEYPOINTS if kind == "pose" else ""
        return Box(classes[class_id], left, top, left + width, top + height, line, shape)
    return Box(classes[class_id], *corners(values[1:]), line, POLYGON)


def _flat(row: Any) -> Sequence[float]:
    if not isinstance(row, list):
        raise ValueError("expected a row of numbers")
    flat: list[float] = []
    for value in row:
        flat += [number(v) for v in value] if isinstance(value, list) else [number(value)]
    return flat
