"""CreateML JSON: a list of pictures, each with centres and sizes in pixels."""

from __future__ import annotations

from collections.abc import Iterator
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
)
from workbench.datasets.formats.view import FolderView
from workbench.datasets.formats.walking import found, read_json

TITLE = "CreateML"

_PICTURE = ("image", "imagefilename", "filename", "imageURL")
_OBJECTS = ("annotations", "annotation")


def detect(view: FolderView) -> Detection:
    """Look for JSON lists of pictures whose annotations have ``coordinates``."""
    files = view.matching([".json"], lambda name: _is_createml(view.json(name)))
    return found(files, "a JSON list of pictures with coordinates", 0.9)


def _is_createml(value: Any) -> bool:
    pictures = _listed(value)
    items = [item for item in pictures[:200] if isinstance(item, dict)]
    listed = [item for item in items if _first(item, _PICTURE) and _objects(item) is not None]
    rows = [row for item in listed for row in _objects(item) or () if isinstance(row, dict)]
    # An empty list is a sign of its own only where nothing stands around it.
    bare = not rows and isinstance(value, list)
    return bool(listed) and (bare or any("coordinates" in row for row in rows))


def _listed(value: Any) -> list[Any]:
    """Return the list of pictures: the file itself, or the only list in it."""
    if isinstance(value, list):
        return value
    lists = [v for v in value.values() if isinstance(v, list)] if isinstance(value, dict) else []
    return lists[0] if len(lists) == 1 else []


def _first(item: dict[str, Any], keys: tuple[str, ...]) -> Any:
    return next((item[key] for key in keys if isinstance(item.get(key), str)), "")


def _objects(item: dict[str, Any]) -> list[Any] | None:
    return next((item[key] for key in _OBJECTS if isinstance(item.get(key), list)), None)


def read(view: FolderView, detection: Detection, options: Options) -> Reading:
    """Read annotation files; see `workbench.datasets.formats.items`."""
    reading = Reading()
    reading.records = read_json(view, detection.files, reading, options, _parse)
    return reading


def _parse(value: Any, name: str) -> Iterator[Record]:
    for place, item in enumerate(_listed(value), start=1):
        if not isinstance(item, dict):
            continue
        record = Record(name, _first(item, _PICTURE), place=place)
        for position, row in enumerate(_objects(item) or (), start=1):
            try:
                if not isinstance(row, dict) or not isinstance(row.get("coordinates"), dict):
                    raise ValueError("expected coordinates")
                x, y, width, height = (
                    number(row["coordinates"].get(key)) for key in ("x", "y", "width", "height")
                )
                label = name_of(row.get("label"))
            except ValueError as error:
                record.problems.append(Problem(why.BAD_ROW, position, str(error)))
                continue
            left, top = x - width / 2, y - height / 2
            record.boxes.append(Box(label, left, top, left + width, top + height, position))
        yield record
