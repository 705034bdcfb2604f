"""Datumaro JSON: items with annotations, and categories by number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.items import (
    KEYPOINTS,
    MASK,
    POLYGON,
    ROTATED,
    Box,
    Detection,
    Options,
    Problem,
    Reading,
    Record,
    corners,
    number,
    rotated_around,
    said_by,
    size_of,
)
from workbench.datasets.formats.rle import rle_box
from workbench.datasets.formats.view import FolderView
from workbench.datasets.formats.walking import found, read_json
from workbench.persistence.stored_json import MALFORMED

TITLE = "Datumaro"

_SHAPES = {"polygon": POLYGON, "polyline": POLYGON, "ellipse": POLYGON, "points": KEYPOINTS}
_OF_THE_WHOLE = ("label", "caption")


def detect(view: FolderView) -> Detection:
    """Look for JSON files with categories and items."""
    files = view.matching([".json"], lambda name: _is_datumaro(view.json(name)))
    return found(files, "a JSON file with categories and items", 0.95)


def _is_datumaro(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("items"), list)
        and isinstance(value.get("categories"), dict)
    )


def read(view: FolderView, detection: Detection, options: Options) -> Reading:
    """Read annotation files; see `workbench.datasets.formats.items`."""
    reading = Reading(declared=True)

    def parse(value: Any, name: str) -> Iterator[Record]:
        names = _names(value)
        reading.classes += [n for n in names if n not in reading.classes]
        for place, item in enumerate(value["items"], start=1):
            if isinstance(item, dict):
                yield _item(item, name, place, names)

    reading.records = read_json(view, detection.files, reading, options, parse)
    return reading


def _names(value: dict[str, Any]) -> list[str]:
    labels = value["categories"].get("label")
    items = labels.get("labels") if isinstance(labels, dict) else None
    return [
        " ".join(str(item.get("name", "")).split()) or f"class_{n}"
        for n, item in enumerate(items if isinstance(items, list) else ())
        if isinstance(item, dict)
    ]


def _item(item: dict[str, Any], file: str, place: int, names: list[str]) -> Record:
    media: dict[str, Any] = next(
        (item[k] for k in ("image", "media") if isinstance(item.get(k), dict)), {}
    )
    record = Record(file, str(media.get("path") or item.get("id") or ""), place=place)
    size = media.get("size")
    if isinstance(size, list) and len(size) == 2:
        record.size = size_of(size[1], size[0])
    rows = item.get("annotations")
    # Who has sorted whole pictures has not said that there is nothing in them.
    kinds = {r.get("type") for r in rows if isinstance(r, dict)} if isinstance(rows, list) else None
    record.reviewed = kinds is not None and kinds.isdisjoint(_OF_THE_WHOLE)
    for position, row in enumerate(rows if isinstance(rows, list) else (), start=1):
        kind = row.get("type") if isinstance(row, dict) else None
        if kind in _OF_THE_WHOLE:
            continue
        try:
            box, shape = _box(row, str(kind))
            label_id = row.get("label_id")
            if not isinstance(label_id, int) or label_id < 0:
                raise ValueError("no label_id")
        except MALFORMED as error:
            record.problems.append(Problem(why.BAD_ROW, position, said_by(error)))
            continue
        label = names[label_id] if label_id < len(names) else f"class_{label_id}"
        attributes = row.get("attributes")
        extra = {"attributes": attributes} if attributes else None
        record.boxes.append(Box(label, *box, position, shape, None, extra))
    return record


def _box(row: dict[str, Any], kind: str) -> tuple[tuple[float, float, float, float], str]:
    if kind == "bbox":
        x, y, width, height = map(number, row["bbox"])
        return (x, y, x + width, y + height), ""
    if kind == "rotated_bbox":
        x, y, width, height, angle = map(number, row.get("bbox") or row["rotated_bbox"])
        left, top = x - width / 2, y - height / 2
        return rotated_around(left, top, left + width, top + height, angle), ROTATED
    if kind == "skeleton":
        points = [value for part in row["elements"] for value in part["points"]]
        return corners(map(number, points)), KEYPOINTS
    if kind in _SHAPES:
        points = [number(value) for value in row["points"]]
        return corners(points), _SHAPES[kind]
    if kind == "mask" and "rle" in row:
        return rle_box(row["rle"]), MASK
    raise ValueError(f"{kind}, which has no box")
