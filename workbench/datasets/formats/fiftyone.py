"""FiftyOne's own JSON: ``labels.json`` of an image detection dataset, ``samples.json`` of any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.items import (
    FRACTIONS,
    Box,
    Detection,
    Options,
    Problem,
    Reading,
    Record,
    name_of,
    number,
)
from workbench.datasets.formats.view import FolderView
from workbench.datasets.formats.walking import first_of, found, read_json
from workbench.persistence.stored_json import MALFORMED

TITLE = "FiftyOne"


def detect(view: FolderView) -> Detection:
    """Look for JSON files with detections by picture, or with samples."""
    files = view.matching([".json"], lambda name: _is_fiftyone(view.json(name)))
    return found(files, "a JSON file with FiftyOne's detections", 0.95)


def _is_fiftyone(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    if "filepath" in first_of(value.get("samples"), dict):
        return True
    labels = value.get("labels")
    if not isinstance(labels, dict) or "classes" not in value:
        return False
    rows = [row for rows in list(labels.values())[:100] if isinstance(rows, list) for row in rows]
    return not rows or any(isinstance(row, dict) and "bounding_box" in row for row in rows)


def read(view: FolderView, detection: Detection, options: Options) -> Reading:
    """Read labels; see `workbench.datasets.formats.items`."""
    reading = Reading(declared=True)

    def parse(value: Any, name: str) -> Iterator[Record]:
        if isinstance(value.get("samples"), list):
            yield from _samples(value["samples"], name)
            return
        classes = value.get("classes")
        named = [str(c) for c in classes] if isinstance(classes, list) else []
        reading.classes += [c for c in named if c not in reading.classes]
        for place, (picture, rows) in enumerate(value["labels"].items(), start=1):
            # Null is a sample without labels; an empty list was looked at.
            record = Record(name, picture, place=place, reviewed=rows is not None)
            yield _filled(record, rows or [], named)

    reading.records = read_json(view, detection.files, reading, options, parse)
    return reading


def _samples(samples: list[Any], name: str) -> Iterator[Record]:
    for place, sample in enumerate(samples, start=1):
        if not isinstance(sample, dict):
            continue
        fields = [
            field["detections"]
            for field in sample.values()
            if isinstance(field, dict) and isinstance(field.get("detections"), list)
        ]
        tags = sample.get("tags")
        splits = [t for t in tags if isinstance(t, str)] if isinstance(tags, list) else []
        record = Record(name, str(sample.get("filepath", "")), place=place, reviewed=bool(fields))
        record.split = next(
            (t for t in splits if t in ("train", "val", "validation", "test")), None
        )
        yield _filled(record, fields[0] if fields else [], [])


def _filled(record: Record, rows: list[Any], classes: list[str]) -> Record:
    record.unit = FRACTIONS
    for position, row in enumerate(rows, start=1):
        try:
            label = row["label"]
            if isinstance(label, int) and not isinstance(label, bool):
                label = classes[label] if 0 <= label < len(classes) else f"class_{label}"
            x, y, width, height = map(number, row["bounding_box"])
            name = name_of(label)
        except MALFORMED as error:
            record.problems.append(Problem(why.BAD_ROW, position, str(error)))
            continue
        extra = {key: row[key] for key in ("attributes", "confidence", "index") if row.get(key)}
        record.boxes.append(
            Box(name, x, y, x + width, y + height, position, "", None, extra or None)
        )
    return record
