"""Version 3 of VIA brought into the form of version 2: its project, and the table it exports.

``file`` has the pictures, ``view`` which of them is looked at, ``metadata`` the regions: ``xy``
begins with the number of a shape, ``av`` has the ids of attributes and of what was chosen.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from workbench.datasets.formats.items import number
from workbench.datasets.formats.json_text import parse_json
from workbench.errors import ImportFormatError
from workbench.persistence.stored_json import MALFORMED

_HEADER = "CSV_HEADER = "
_ATTRIBUTES = "ATTRIBUTE = "
_POINT, _RECTANGLE, _CIRCLE, _ELLIPSE = 1, 2, 3, 4
_AROUND_A_CIRCLE = 9

Regions = list[tuple[str, list[Any]]]
"""Pictures, and the regions of each."""


def is_project(value: Mapping[str, Any]) -> bool:
    """Whether this is a project of version 3."""
    return "metadata" in value and "view" in value


def is_table(data: bytes) -> bool:
    """Whether this is the beginning of a table that version 3 exports."""
    return b"CSV_HEADER = " in data and b"spatial_coordinates" in data


def regions_of(project: Mapping[str, Any]) -> Regions:
    """Return the regions of each picture as version 2 writes them.

    Raises
    ------
    ImportFormatError
        If its parts are no objects.
    """
    try:
        files = {str(key): item.get("fname", "") for key, item in project["file"].items()}
        views = {
            str(key): [str(f) for f in item.get("fid_list") or ()]
            for key, item in project["view"].items()
        }
        known = {str(k): item for k, item in (project.get("attribute") or {}).items()}
        items = list(project["metadata"].values())
    except MALFORMED as error:
        raise ImportFormatError(f"expected a project of VIA 3, found none ({error!r})") from error
    found: dict[str, Regions] = {
        key: [(str(files.get(fids[0], "")) if fids else "", [])] for key, fids in views.items()
    }
    unknown: dict[str, Regions] = defaultdict(lambda: [("", [])])
    for item in items:
        view = str(item.get("vid")) if isinstance(item, dict) else ""
        place = found[view] if view in found else unknown[view]
        place[0][1].append(_region(item, known))
    return [pair for pairs in (*found.values(), *unknown.values()) for pair in pairs]


def _region(item: Any, known: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(item, dict):
        return {"shape_attributes": None}
    chosen = item.get("av")
    return {
        "shape_attributes": _shape(item.get("xy")),
        "region_attributes": dict(
            _attribute(str(key), value, known)
            for key, value in (chosen.items() if isinstance(chosen, dict) else ())
        ),
    }


def _attribute(key: str, value: Any, known: Mapping[str, Any]) -> tuple[str, Any]:
    """Return what an attribute is called, and what was chosen of its options."""
    about = known.get(key)
    if not isinstance(about, dict):
        return key, value
    options = about.get("options")
    text = str(value)
    if isinstance(options, dict) and options:
        first = text.partition(",")[0]  # of a checkbox
        text = str(options.get(text, options.get(first, text)))
    return str(about.get("aname") or key), text


def _shape(xy: Any) -> dict[str, Any]:
    """Return the coordinates of a shape by their names in version 2."""
    try:
        kind, *values = map(number, xy)
    except (TypeError, ValueError):
        return {"name": "part of a recording"}
    if kind == _POINT:
        return {"name": "point"}
    if kind == _AROUND_A_CIRCLE:
        return {"name": "circle by three of its points"}
    if kind == _RECTANGLE:
        return {"name": "rect", **dict(zip(("x", "y", "width", "height"), values, strict=False))}
    if kind == _CIRCLE:
        return {"name": "circle", **dict(zip(("cx", "cy", "r"), values, strict=False))}
    if kind == _ELLIPSE:
        return {"name": "ellipse", **dict(zip(("cx", "cy", "rx", "ry"), values, strict=False))}
    return {"name": "polygon", "all_points_x": values[0::2], "all_points_y": values[1::2]}


def project_of_table(text: str) -> dict[str, Any]:
    """Return the project that a table was exported from, as far as it tells.

    Raises
    ------
    ImportFormatError
        If it is no such table.
    """
    lines = text.splitlines()
    notes = [line.lstrip("# ") for line in lines if line.startswith("#")]
    header = next((n[len(_HEADER) :] for n in notes if n.startswith(_HEADER)), "")
    known = next((n[len(_ATTRIBUTES) :] for n in notes if n.startswith(_ATTRIBUTES)), "{}")
    rows = [line for line in lines if line.strip() and not line.startswith("#")]
    project: dict[str, Any] = {"file": {}, "view": {}, "metadata": {}}
    project["attribute"] = parse_json(known.encode(), "the attributes in its header")
    for place, row in enumerate(csv.DictReader(rows, [n.strip() for n in header.split(",")])):
        names = _listed(row.get("file_list"))
        picture = str(names[0]) if names else ""
        project["file"][picture] = {"fname": picture}
        project["view"][picture] = {"fid_list": [picture]}
        project["metadata"][str(place)] = {
            "vid": picture,
            "xy": _listed(row.get("spatial_coordinates")),
            "av": _cell(row.get("metadata")),
        }
    return project


def _cell(text: Any) -> Any:
    try:
        return json.loads(text or "null")
    except MALFORMED:
        return None


def _listed(text: Any) -> list[Any]:
    found = _cell(text)
    return found if isinstance(found, list) else []
