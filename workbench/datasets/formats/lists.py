"""JSON formats of large public datasets: BDD100K, SA-1B; and WIDER FACE's list.

::

    [{"name": "a.jpg", "labels": [{"category": "car", "box2d": {"x1": 20, ...}}]}]   BDD100K
    {"image": {"file_name": "sa_1.jpg", ...}, "annotations": [{"bbox": [...]}]}      SA-1B
    0--Parade/a.jpg / 1 / 20 10 60 50 0 0 0 0 0 0                                    WIDER FACE
    # 0--Parade/a.jpg / 20 10 60 50 38 30 0 ... 0.8                   with landmarks (RetinaFace)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from workbench.datasets.changes import counted
from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.items import (
    MASK,
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
    size_of,
)
from workbench.datasets.formats.view import FolderView
from workbench.datasets.formats.walking import (
    Parse,
    found,
    head_lines,
    owned_texts,
    read_json,
    read_text,
)
from workbench.errors import ImportFormatError
from workbench.persistence import IMAGE_EXTENSIONS
from workbench.persistence.stored_json import MALFORMED


class JsonFormat(NamedTuple):
    """A reader of such a format: what `workbench.datasets.formats.registry` asks of a module."""

    TITLE: str
    matches: Callable[[Any], bool]
    parse: Parse

    def detect(self, view: FolderView) -> Detection:
        """Look for JSON files of this form."""
        files = view.matching([".json"], lambda name: self.matches(view.json(name)))
        return found(files, f"{counted(len(files), 'JSON file')} of {self.TITLE}", 0.9)

    def read(self, view: FolderView, detection: Detection, options: Options) -> Reading:
        """Read annotation files; see `workbench.datasets.formats.items`."""
        reading = Reading()
        reading.records = read_json(view, detection.files, reading, options, self.parse)
        return reading


_ROADS = re.compile(r"(?:lane|drivable|area/).*|direct|alternative", re.IGNORECASE)
_ROAD_MARKS = frozenset({"laneDirection", "laneStyle", "laneTypes", "laneType", "areaType"})


def _bdd_items(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict) and isinstance(value.get("frames"), list):
        if "name" in value:  # one file for each picture: its frames have objects and no name
            objects = [
                o for f in value["frames"] if isinstance(f, dict) for o in f.get("objects", ())
            ]
            return [{**value, "labels": objects}]
        value = value["frames"]
    items = [i for i in value if isinstance(i, dict)] if isinstance(value, list) else []
    return [item for item in items if "name" in item]


def _is_bdd(value: Any) -> bool:
    items = _bdd_items(value)[:200]
    rows = [r for i in items for r in i.get("labels") or () if isinstance(r, dict)]
    return bool(items) and any("box2d" in row or "poly2d" in row for row in rows)


def _bdd(value: Any, name: str) -> Iterator[Record]:
    for place, item in enumerate(_bdd_items(value), start=1):
        record = Record(
            name, str(item["name"]), place=place, reviewed=isinstance(item.get("labels"), list)
        )
        for position, row in enumerate(item.get("labels") or (), start=1):
            try:
                if not row.get("box2d") and not row.get("poly2d"):
                    continue  # a lane or a drivable area without a shape
                box, shape = _bdd_box(row)
                label = name_of(row.get("category"))
                if shape and _is_road(row, label):
                    record.problems.append(Problem(why.NO_THING, position, label))
                    continue
            except MALFORMED as error:
                record.problems.append(Problem(why.BAD_ROW, position, said_by(error)))
                continue
            extra = {"attributes": row["attributes"]} if row.get("attributes") else None
            record.boxes.append(Box(label, *box, position, shape, None, extra))
        yield record


def _bdd_box(row: dict[str, Any]) -> tuple[tuple[float, float, float, float], str]:
    box = row.get("box2d")
    if isinstance(box, dict):
        left, top, right, bottom = (number(box.get(key)) for key in ("x1", "y1", "x2", "y2"))
        return (left, top, right, bottom), ""
    parts = row["poly2d"]
    if isinstance(parts[0], dict):  # a thing that something hides a part of has several
        parts = [point for part in parts for point in part["vertices"]]
    return point_list(parts), POLYGON


def _is_road(row: dict[str, Any], label: str) -> bool:
    """Whether an outline is of the road: a lane, which is a line, or an area that is drivable."""
    parts = [part for part in row["poly2d"] if isinstance(part, dict)]
    attributes = row.get("attributes")
    return (
        _ROADS.fullmatch(label) is not None
        or any(part.get("closed") is False for part in parts)
        or (isinstance(attributes, dict) and not _ROAD_MARKS.isdisjoint(attributes))
    )


bdd100k = JsonFormat("BDD100K", _is_bdd, _bdd)


def _is_sa1b(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("image"), dict)
        and "file_name" in value["image"]
        and isinstance(value.get("annotations"), list)
    )


def _sa1b(value: Any, name: str) -> Iterator[Record]:
    if not _is_sa1b(value):
        raise ImportFormatError("expected image and annotations, found neither")
    image = value["image"]
    record = Record(name, str(image["file_name"]), place=1)
    record.size = size_of(image.get("width"), image.get("height"))
    for position, row in enumerate(value["annotations"], start=1):
        try:
            x, y, width, height = map(number, row["bbox"])
        except MALFORMED as error:
            record.problems.append(Problem(why.BAD_ROW, position, said_by(error)))
            continue
        # The masks of SA-1B are of no class.
        record.boxes.append(Box("object", x, y, x + width, y + height, position, MASK))
    yield record


sa1b = JsonFormat("SA-1B", _is_sa1b, _sa1b)

_PICTURE_LINE = re.compile(
    rf"\S.*(?:{'|'.join(re.escape(e) for e in sorted(IMAGE_EXTENSIONS))})\s*", re.IGNORECASE
)
_FACE_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_FACE_MARKS = ("blur", "expression", "illumination", "invalid", "occlusion", "pose")


class _WiderFace(NamedTuple):
    TITLE: str = "WIDER FACE"

    def detect(self, view: FolderView) -> Detection:
        """Look for a list of pictures, each followed by rows, mostly by a number before these."""
        own = set(owned_texts(view))  # of one picture each, and there may be very many
        files = [
            n for n in view.candidates(".txt") if n not in own and _is_wider(head_lines(view, n))
        ]
        return found(files, "a list of pictures, numbers and rows")

    def read(self, view: FolderView, detection: Detection, options: Options) -> Reading:
        """Read lists; see `workbench.datasets.formats.items`."""
        reading = Reading()
        reading.records = read_text(view, detection.files, reading, options, _wider)
        return reading


def _is_wider(lines: list[str]) -> bool:
    if len(lines) < 2 or _PICTURE_LINE.fullmatch(lines[0]) is None:
        return False
    if lines[0].startswith("#"):
        after = lines[1].split()
        is_row = len(after) >= 4 and all(map(_FACE_NUMBER.fullmatch, after))
        return is_row or (lines[1].startswith("#") and bool(_PICTURE_LINE.fullmatch(lines[1])))
    return len(lines) > 2 and lines[1].strip().isdigit() and len(lines[2].split()) >= 4


def _wider(lines: list[str], name: str) -> Iterator[Record]:
    record: Record | None = None
    for line, text in enumerate(lines, start=1):
        fields = text.split()
        if not fields:
            continue
        if _PICTURE_LINE.fullmatch(text):
            if record is not None:
                yield record
            # With a # in front there is no count, and nothing says that there is no face.
            hash_before = text.startswith("#")
            record = Record(name, text.strip("# \t"), place=line, reviewed=not hash_before)
        elif record is not None and len(fields) > 1:
            _face(fields if record.reviewed else fields[:4], line, record)
    if record is not None:
        yield record


def _face(fields: list[str], line: int, record: Record) -> None:
    try:
        x, y, width, height, *marks = map(number, fields)
    except ValueError as error:
        record.problems.append(Problem(why.BAD_ROW, line, str(error)))
        return
    if not any((x, y, width, height)):
        return  # how a picture without faces is written: a count of 0, and a row of zeros
    found_marks = dict(zip(_FACE_MARKS, marks, strict=False))
    if found_marks.pop("invalid", 0):
        record.problems.append(Problem(why.IGNORED, line))
        return
    extra = {key: int(value) for key, value in found_marks.items() if value}
    record.boxes.append(Box("face", x, y, x + width, y + height, line, "", None, extra or None))


widerface = _WiderFace()
