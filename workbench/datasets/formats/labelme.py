"""LabelMe and X-AnyLabeling: one JSON file beside each picture, with ``shapes``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from workbench.datasets.changes import counted
from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.items import (
    POLYGON,
    ROTATED,
    SAYS_LOOKED_AT,
    Box,
    Detection,
    Options,
    Problem,
    Reading,
    Record,
    name_of,
    number,
    point_list,
    size_of,
)
from workbench.datasets.formats.view import FolderView
from workbench.datasets.formats.walking import found, read_json
from workbench.errors import ImportFormatError

TITLE = "LabelMe or X-AnyLabeling"

_KEPT_KEYS = ("group_id", "difficult", "score", "attributes", "flags", "description")


def detect(view: FolderView) -> Detection:
    """Look for JSON files with ``shapes``."""
    files = view.matching([".json"], lambda name: is_labelme(view.json(name)))
    return found(files, f"{counted(len(files), 'JSON file')} with shapes", 0.95)


def is_labelme(value: Any) -> bool:
    """Whether this is what a file of LabelMe holds."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("shapes"), list)
        and ("imagePath" in value or "imageHeight" in value or "version" in value)
    )


def read(view: FolderView, detection: Detection, options: Options) -> Reading:
    """Read the files of all pictures; see `workbench.datasets.formats.items`."""
    reading = Reading()
    reading.records = read_json(view, detection.files, reading, options, _parse)
    return reading


def _parse(value: Any, name: str) -> Iterator[Record]:
    if not is_labelme(value):
        raise ImportFormatError("expected shapes, found none")
    record = Record(name, str(value.get("imagePath") or ""))
    record.size = size_of(value.get("imageWidth"), value.get("imageHeight"))
    for position, shape in enumerate(value["shapes"], start=1):
        try:
            if not isinstance(shape, dict):
                raise ValueError("expected a shape")
            box, kind = _box(shape)
            extra = {key: shape[key] for key in _KEPT_KEYS if shape.get(key)}
            record.boxes.append(
                Box(name_of(shape.get("label")), *box, position, kind, None, extra or None)
            )
        except ValueError as error:
            record.problems.append(Problem(why.BAD_ROW, position, str(error)))
    flags = value.get("flags")
    if not value["shapes"] and isinstance(flags, dict):
        # The picture as a whole was put into a class, which says nothing of what is where on it.
        record.reviewed = not any(
            set_ is True and str(name).lower() not in SAYS_LOOKED_AT for name, set_ in flags.items()
        )
    yield record


def _box(shape: dict[str, Any]) -> tuple[tuple[float, float, float, float], str]:
    kind, points = shape.get("shape_type") or "polygon", shape.get("points")
    if kind == "circle":
        if not isinstance(points, list) or len(points) != 2:
            raise ValueError("a circle without centre and edge")
        (x, y), (a, b) = ((number(p[0]), number(p[1])) for p in points)
        radius = math.hypot(a - x, b - y)
        return (x - radius, y - radius, x + radius, y + radius), POLYGON
    if kind in ("point", "points"):
        raise ValueError("a point, which has no box")
    box = point_list(points)
    return box, {"rectangle": "", "rotation": ROTATED}.get(kind, POLYGON)
