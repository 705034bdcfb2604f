"""FiftyOne's own JSON: ``labels.json`` of an image detection dataset, ``samples.json`` of any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.items import (
    FRACTIONS,
    POLYGON,
    Box,
    Detection,
    Options,
    Problem,
    Reading,
    Record,
    name_of,
    number,
    point_list,
    said_by,
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
        fields = sorted(_fields(sample), key=_rank)
        tags = sample.get("tags")
        splits = [t for t in tags if isinstance(t, str)] if isinstance(tags, list) else []
        record = Record(name, str(sample.get("filepath", "")), place=place, reviewed=bool(fields))
        record.split = next(
            (t for t in splits if t in ("train", "val", "validation", "test")), None
        )
        for field in fields[1:]:
            reason = why.PREDICTED if _is_predicted(field.rows) else why.OTHER_GROUP
            record.problems += [Problem(reason, place, field.name) for _ in field.rows]
        yield _filled(record, fields[0].rows if fields else [], [])


class _Field(NamedTuple):
    """What one field of a sample holds: boxes, outlines, or one box alone."""

    name: str
    rows: list[Any]


def _fields(sample: dict[str, Any]) -> Iterator[_Field]:
    for name, field in sample.items():
        if not isinstance(field, dict):
            continue
        rows = next((field[k] for k in ("detections", "polylines") if k in field), None)
        if isinstance(rows, list):
            yield _Field(name, rows)
        elif "bounding_box" in field and "label" in field:
            yield _Field(name, [field])


def _rank(field: _Field) -> tuple[bool, bool, bool]:
    """Sort key of fields: what a person has drawn comes first, and of that the boxes."""
    outlines = any(isinstance(row, dict) and "points" in row for row in field.rows)
    return field.name != "ground_truth", _is_predicted(field.rows), outlines


def _is_predicted(rows: list[Any]) -> bool:
    return any(isinstance(row, dict) and row.get("confidence") is not None for row in rows)


def _around(points: Any) -> tuple[float, float, float, float]:
    """Return the corners of the box around the lines of an outline."""
    return point_list([point for line in points for point in line])


def _filled(record: Record, rows: list[Any], classes: list[str]) -> Record:
    record.unit = FRACTIONS
    for position, row in enumerate(rows, start=1):
        try:
            label = row["label"]
            if isinstance(label, int) and not isinstance(label, bool):
                label = classes[label] if 0 <= label < len(classes) else f"class_{label}"
            if "points" in row:
                box, shape = _around(row["points"]), POLYGON
            else:
                x, y, width, height = map(number, row["bounding_box"])
                box, shape = (x, y, x + width, y + height), ""
            name = name_of(label)
        except MALFORMED as error:
            record.problems.append(Problem(why.BAD_ROW, position, said_by(error)))
            continue
        extra = {key: row[key] for key in ("attributes", "confidence", "index") if row.get(key)}
        record.boxes.append(Box(name, *box, position, shape, None, extra or None))
    return record
