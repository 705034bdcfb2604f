"""Supervisely: ``ann/a.jpg.json`` for ``img/a.jpg``, and ``meta.json`` with the classes."""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Iterator
from typing import Any

from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.codecs import opened_picture
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
    name_of,
    number,
    point_list,
    rotated_around,
    said_by,
    size_of,
)
from workbench.datasets.formats.view import FolderView
from workbench.datasets.formats.walking import found, read_json
from workbench.errors import ImportFormatError
from workbench.persistence.archive.split_words import split_word
from workbench.persistence.stored_json import MALFORMED

TITLE = "Supervisely"

_MASK_BYTES = 2**26
_WHOLE_TURN = 6.3  # angles are in radians; what is beyond is in degrees


def detect(view: FolderView) -> Detection:
    """Look for JSON files with a size and objects with a ``classTitle``."""
    files = view.matching([".json"], lambda name: _is_supervisely(view.json(name)))
    return found(files, f"{len(files)} JSON files with size and objects", 0.95)


def _is_supervisely(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("objects"), list):
        return False
    objects = value["objects"]
    titled = any(isinstance(o, dict) and "classTitle" in o for o in objects)
    return isinstance(value.get("size"), dict) and (titled or not objects)


def read(view: FolderView, detection: Detection, options: Options) -> Reading:
    """Read the files of all pictures; see `workbench.datasets.formats.items`."""
    reading = Reading(declared=True)
    for name in view.names:
        if name.rpartition("/")[2] == "meta.json":
            value = view.json(name)
            classes = value.get("classes") if isinstance(value, dict) else None
            for item in classes if isinstance(classes, list) else ():
                title = item.get("title") if isinstance(item, dict) else None
                if isinstance(title, str) and title not in reading.classes:
                    reading.classes.append(" ".join(title.split()))
            reading.used.add(name)
    reading.records = read_json(view, detection.files, reading, options, _parse)
    return reading


def _parse(value: Any, name: str) -> Iterator[Record]:
    if not _is_supervisely(value):
        raise ImportFormatError("expected size and objects, found neither")
    record = Record(name)
    record.size = size_of(value["size"].get("width"), value["size"].get("height"))
    told = _tags(value)
    record.split = next((n for n in told if split_word(n)), None)
    # Of a picture that was only put into a class as a whole nobody has said what is where on it.
    record.reviewed = bool(value["objects"]) or all(split_word(n) for n in told)
    for position, item in enumerate(value["objects"], start=1):
        try:
            box, shape = _box(item)
            label = name_of(item.get("classTitle"))
        except MALFORMED as error:
            record.problems.append(Problem(why.BAD_ROW, position, said_by(error)))
            continue
        tags = _tags(item)
        extra = {"attributes": tags} if tags else None
        record.boxes.append(Box(label, *box, position, shape, None, extra))
    yield record


def _tags(item: dict[str, Any]) -> dict[str, Any]:
    """Return the tags of a picture or of an object, with their values."""
    return {
        str(tag["name"]): tag.get("value")
        for tag in item.get("tags") or ()
        if isinstance(tag, dict) and "name" in tag
    }


def _box(item: dict[str, Any]) -> tuple[tuple[float, float, float, float], str]:
    kind = item.get("geometryType", "rectangle")
    bitmap = item.get("bitmap")
    if isinstance(bitmap, dict):
        return _bitmap(bitmap), MASK
    points = item.get("points")
    if kind == "point":
        raise ValueError("a point, which has no box")
    if isinstance(points, dict) and kind == "oriented_bbox":
        angle = number(item.get("angle") or 0)
        degrees = math.degrees(angle) if abs(angle) <= _WHOLE_TURN else angle
        return rotated_around(*point_list(points.get("exterior")), degrees), ROTATED
    if isinstance(points, dict):
        return point_list(points.get("exterior")), "" if kind == "rectangle" else POLYGON
    nodes = item.get("nodes")
    if isinstance(nodes, dict):
        return point_list([node["loc"] for node in nodes.values()]), KEYPOINTS
    raise ValueError(f"a {kind} without points")


def _bitmap(bitmap: dict[str, Any]) -> tuple[float, float, float, float]:
    """Return the box of a mask, a packed PNG with its origin."""
    left, top = (number(value) for value in bitmap.get("origin", ()))
    try:
        packed = base64.b64decode(str(bitmap.get("data")))
        data = zlib.decompressobj().decompress(packed, _MASK_BYTES)
        with opened_picture(data, ["PNG"]) as picture:
            width, height = picture.size
    except (OSError, zlib.error) as error:
        raise ValueError("a mask that cannot be unpacked") from error
    return left, top, left + width, top + height
