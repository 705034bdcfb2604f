"""VGG Image Annotator (VIA), versions 1 and 2: JSON of a project or of its annotations; its table.

What a region shows is one of its attributes, which each project calls as it likes. Version 3 is
in `workbench.datasets.formats.via_3`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any

from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.encodings import decode
from workbench.datasets.formats.file_names import extension
from workbench.datasets.formats.items import (
    POLYGON,
    Box,
    Detection,
    Options,
    Problem,
    Reading,
    Record,
    corners,
    name_of,
    number,
    said_by,
)
from workbench.datasets.formats.json_text import parse_json
from workbench.datasets.formats.via_3 import is_project, is_table, project_of_table, regions_of
from workbench.datasets.formats.view import FolderView
from workbench.datasets.formats.walking import found, read_bytes, read_json
from workbench.errors import ImportFormatError
from workbench.persistence.stored_json import MALFORMED

TITLE = "VIA"

_CLASS_KEYS = ("class", "label", "name", "category", "type", "object", "class_name")
_NOTHING = ("", "not_defined", "undefined")


def detect(view: FolderView) -> Detection:
    """Look for JSON files with ``regions`` and ``shape_attributes``."""
    files = view.matching([".json"], lambda name: _is_via(view.json(name)))
    files += view.matching([".csv"], lambda name: _is_table(view.head(name)))
    return found(files, "a file with regions of VIA", 0.95)


def _is_table(head: bytes) -> bool:
    return b"region_shape_attributes" in head or is_table(head)


def _is_via(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    if "_via_img_metadata" in value or is_project(value):
        return True
    items = [item for item in list(value.values())[:50] if isinstance(item, dict)]
    return any("filename" in item and "regions" in item for item in items)


def read(view: FolderView, detection: Detection, options: Options) -> Reading:
    """Read annotation files; see `workbench.datasets.formats.items`."""
    reading = Reading()
    tables = [name for name in detection.files if extension(name) == ".csv"]
    others = [name for name in detection.files if extension(name) != ".csv"]
    reading.records = chain(
        read_json(view, others, reading, options, partial(_parse, reading)),
        read_bytes(view, tables, reading, options, partial(_table, reading)),
    )
    return reading


def _table(reading: Reading, data: bytes, name: str) -> Iterator[Record]:
    """Read the table that VIA exports: a row for each region, its attributes as JSON."""
    if is_table(data):
        yield from _parse(reading, project_of_table(decode(data)), name)
        return
    items: dict[str, dict[str, Any]] = {}
    for row in csv.DictReader(io.StringIO(decode(data))):
        picture = row.get("filename") or row.get("#filename") or ""
        item = items.setdefault(picture, {"filename": picture, "regions": []})
        if (row.get("region_shape_attributes") or "{}").strip() != "{}":
            attributes = _cell(row, "region_attributes")
            shape = _cell(row, "region_shape_attributes")
            item["regions"].append({"shape_attributes": shape, "region_attributes": attributes})
    yield from _parse(reading, items, name)


def _cell(row: dict[str, Any], key: str) -> Any:
    try:
        return parse_json((row.get(key) or "null").encode(), key)
    except ImportFormatError:
        return None


def _parse(reading: Reading, value: Any, name: str) -> Iterator[Record]:
    if is_project(value):
        pictures = regions_of(value)
    else:
        items = value.get("_via_img_metadata", value)
        listed = items.values() if isinstance(items, dict) else ()
        pictures = [
            (str(item["filename"]), _regions(item))
            for item in listed
            if isinstance(item, dict) and "filename" in item
        ]
    labels = _Labels((r for _, regions in pictures for r in regions), _options(value))
    if not labels.keys and any(regions for _, regions in pictures):
        reading.notes.append(
            f"{name} says of no region what it shows: all came in as the class 'object', rename it"
        )
    for place, (picture, regions) in enumerate(pictures, start=1):
        # Nothing tells a picture that was looked at from one that was only added.
        record = Record(name, picture, place=place, reviewed=False)
        for position, region in enumerate(regions, start=1):
            try:
                box, kind = _box(region["shape_attributes"])
                label = labels.of(region.get("region_attributes"))
            except MALFORMED as error:
                record.problems.append(Problem(why.BAD_ROW, position, said_by(error)))
                continue
            if label is None:
                record.problems.append(Problem(why.NO_CATEGORY, position))
                continue
            record.boxes.append(Box(label, *box, position, kind))
        yield record


def _regions(item: Mapping[str, Any]) -> list[Any]:
    regions = item.get("regions") or []
    return list(regions.values()) if isinstance(regions, dict) else list(regions)


def _box(shape: dict[str, Any]) -> tuple[tuple[float, float, float, float], str]:
    kind = shape["name"]
    if kind == "rect":
        x, y, width, height = (number(shape.get(k)) for k in ("x", "y", "width", "height"))
        return (x, y, x + width, y + height), ""
    if kind in ("circle", "ellipse"):
        x, y = number(shape.get("cx")), number(shape.get("cy"))
        across = number(shape.get("r", shape.get("rx")))
        down = number(shape.get("r", shape.get("ry")))
        return (x - across, y - down, x + across, y + down), POLYGON
    if "all_points_x" in shape:
        pairs = zip(shape["all_points_x"], shape["all_points_y"], strict=True)
        return corners(number(value) for pair in pairs for value in pair), POLYGON
    raise ValueError(f"a {kind}, which has no box")


def _options(value: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return what a project's choices are called, by attribute and the choice's id."""
    attributes = value.get("_via_attributes")
    of_regions = attributes.get("region") if isinstance(attributes, dict) else None
    return {
        key: item["options"]
        for key, item in (of_regions.items() if isinstance(of_regions, dict) else ())
        if isinstance(item, dict) and isinstance(item.get("options"), dict)
    }


class _Labels:
    """Which attribute of regions is their class: the one that is called so, else the first.

    Parameters
    ----------
    regions : iterable
        Of the whole file.
    options : mapping
        What ids of choices are called, by attribute.
    """

    def __init__(self, regions: Iterable[Any], options: Mapping[str, Mapping[str, Any]]) -> None:
        self._options = options
        used = dict.fromkeys(
            key
            for region in regions
            if isinstance(region, dict) and isinstance(region.get("region_attributes"), dict)
            for key, value in region["region_attributes"].items()
            if self._text(key, value)
        )
        called = [key for key in used if str(key).lower() in _CLASS_KEYS]
        self.keys = called or list(used)[:1]

    def of(self, attributes: Any) -> str | None:
        """Return the class of a region; None if it has none where others have one."""
        if not self.keys:
            return "object"
        attributes = attributes if isinstance(attributes, dict) else {}
        texts = (self._text(key, attributes[key]) for key in self.keys if key in attributes)
        return next((name_of(text) for text in texts if text), None)

    def _text(self, key: str, value: Any) -> str:
        if isinstance(value, dict):  # a checkbox
            value = next((name for name, ticked in value.items() if ticked), "")
        text = "" if value is None else str(value).strip()
        if text.isdigit() and self._options.get(key, {}).get(text):
            text = str(self._options[key][text]).strip()
        return "" if text in _NOTHING else text
