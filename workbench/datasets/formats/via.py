"""VGG Image Annotator (VIA), versions 1 to 3: JSON of a project or of its annotations."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from typing import Any

from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.encodings import decode
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
)
from workbench.datasets.formats.view import FolderView, extension, parse_json
from workbench.datasets.formats.walking import found, read_bytes, read_json
from workbench.errors import ImportFormatError
from workbench.persistence.stored_json import MALFORMED

TITLE = "VIA"

_CLASS_KEYS = ("class", "label", "name", "category", "type", "object", "class_name")


def detect(view: FolderView) -> Detection:
    """Look for JSON files with ``regions`` and ``shape_attributes``."""
    files = view.matching([".json"], lambda name: _is_via(view.json(name)))
    files += view.matching([".csv"], lambda name: b"region_shape_attributes" in view.head(name))
    return found(files, "a file with regions of VIA", 0.95)


def _is_via(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    if "_via_img_metadata" in value or ("metadata" in value and "view" in value):
        return True
    items = [item for item in list(value.values())[:50] if isinstance(item, dict)]
    return any("filename" in item and "regions" in item for item in items)


def read(view: FolderView, detection: Detection, options: Options) -> Reading:
    """Read annotation files; see `workbench.datasets.formats.items`."""
    reading = Reading()
    tables = [name for name in detection.files if extension(name) == ".csv"]
    others = [name for name in detection.files if extension(name) != ".csv"]
    reading.records = chain(
        read_json(view, others, reading, options, _parse),
        read_bytes(view, tables, reading, options, _table),
    )
    return reading


def _table(data: bytes, name: str) -> Iterator[Record]:
    """Read the table that VIA exports: a row for each region, its attributes as JSON."""
    items: dict[str, dict[str, Any]] = {}
    for row in csv.DictReader(io.StringIO(decode(data))):
        picture = row.get("filename") or row.get("#filename") or ""
        item = items.setdefault(picture, {"filename": picture, "regions": []})
        if (row.get("region_shape_attributes") or "{}").strip() != "{}":
            attributes = _cell(row, "region_attributes")
            shape = _cell(row, "region_shape_attributes")
            item["regions"].append({"shape_attributes": shape, "region_attributes": attributes})
    yield from _parse(items, name)


def _cell(row: dict[str, Any], key: str) -> Any:
    try:
        return parse_json((row.get(key) or "null").encode(), key)
    except ImportFormatError:
        return None


def _parse(value: Any, name: str) -> Iterator[Record]:
    if "metadata" in value and "view" in value:
        yield from _version_3(value, name)
        return
    items = value.get("_via_img_metadata", value)
    for place, item in enumerate(items.values() if isinstance(items, dict) else (), start=1):
        if not isinstance(item, dict) or "filename" not in item:
            continue
        # Nothing tells a picture that was looked at from one that was only added.
        record = Record(name, str(item["filename"]), place=place, reviewed=False)
        regions = item.get("regions") or []
        regions = list(regions.values()) if isinstance(regions, dict) else regions
        for position, region in enumerate(regions, start=1):
            try:
                shape = region["shape_attributes"]
                box, kind = _box(shape)
                label = _label(region.get("region_attributes"))
            except MALFORMED as error:
                record.problems.append(Problem(why.BAD_ROW, position, str(error)))
                continue
            record.boxes.append(Box(label, *box, position, kind))
        yield record


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


def _label(attributes: Any) -> str:
    """Return the class: the attribute that is called so, else the only or first one."""
    if not isinstance(attributes, dict):
        raise ValueError("no attributes, so no class")
    key = next(
        (k for k in attributes if str(k).lower() in _CLASS_KEYS), next(iter(attributes), None)
    )
    value = attributes.get(key) if key is not None else None
    if isinstance(value, dict):  # a checkbox
        value = next((name for name, ticked in value.items() if ticked), None)
    return name_of(value)


def _version_3(project: dict[str, Any], name: str) -> Iterator[Record]:
    files = {str(key): item for key, item in project.get("file", {}).items()}
    views = {
        str(key): [str(f) for f in item.get("fid_list", ())]
        for key, item in project["view"].items()
    }
    options = {str(k): item.get("options", {}) for k, item in project.get("attribute", {}).items()}
    records: dict[str, Record] = {}
    for place, (key, fids) in enumerate(views.items(), start=1):
        picture = files.get(fids[0], {}).get("fname", "") if fids else ""
        records[key] = Record(name, str(picture), place=place, reviewed=False)
    unknown: dict[str, Record] = defaultdict(lambda: Record(name, place=1))
    for position, item in enumerate(project["metadata"].values(), start=1):
        record = records.get(str(item.get("vid"))) or unknown[str(item.get("vid"))]
        try:
            kind, *values = map(number, item.get("xy") or [0])
            if kind == 2:
                x, y, width, height = values
                box, shape = (x, y, x + width, y + height), ""
            else:
                box, shape = corners(values), POLYGON
            attribute, value = next(iter(item.get("av", {}).items()))
            label = name_of(options.get(attribute, {}).get(str(value), value))
        except (ValueError, StopIteration, AttributeError) as error:
            record.problems.append(Problem(why.BAD_ROW, position, str(error)))
            continue
        record.boxes.append(Box(label, *box, position, shape))
    yield from records.values()
    yield from unknown.values()
