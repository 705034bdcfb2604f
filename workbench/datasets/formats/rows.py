"""Formats of one text file for each picture that are no YOLO: DOTA, KITTI, OIDv4, VisDrone.

::

    20 10 80 10 80 60 20 60 ship 0          DOTA, labelTxt: four corners, class, difficult
    Car 0.00 0 -1.58 20 10 80 60 1.6 ...    KITTI, label_2: 15 or 16 columns
    Apple 20.0 10.0 80.0 60.0               OIDv4 ToolKit, Label: class and corners in pixels
    20,10,60,50,1,4,0,0                     VisDrone: left, top, sides, score, class, marks
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from workbench.datasets.changes import counted
from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.items import (
    ROTATED,
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
from workbench.datasets.formats.view import FolderView
from workbench.datasets.formats.walking import found, owned_by_folder, read_text, rows_match

_DOTA_HEAD = ("imagesource", "gsd")
_VISDRONE = (
    *("ignored regions", "pedestrian", "people", "bicycle", "car", "van", "truck", "tricycle"),
    *("awning-tricycle", "bus", "motor", "others"),
)
_VISDRONE_COLUMNS = 8
_WHOLE = re.compile(r"-?[0-9]{1,7}")


class RowFormat(NamedTuple):
    """A reader of such a format: what `workbench.datasets.formats.registry` asks of a module."""

    TITLE: str
    parse: Callable[[str, int], Box | None]
    """Returns the box of a line; None where it is none. Raises `ValueError`."""
    classes: tuple[str, ...] = ()
    """In their order, where the format has them."""
    confidence: float = 0.9

    def detect(self, view: FolderView) -> Detection:
        """Look for text files beside pictures whose rows are of this form."""
        groups = owned_by_folder(view)
        files = [f for names in groups for f in rows_match(view, names, self._is_good, 0.8)]
        reason = f"{counted(len(files), 'text file')} with rows of {self.TITLE}"
        return found(files, reason, self.confidence)

    def _is_good(self, line: str) -> bool:
        try:
            self.parse(line, 1)
        except IgnoredError:
            return True
        except ValueError:
            return False
        return True

    def read(self, view: FolderView, detection: Detection, options: Options) -> Reading:
        """Read label files; see `workbench.datasets.formats.items`."""
        reading = Reading(classes=list(self.classes), declared=bool(self.classes))
        reading.records = read_text(view, detection.files, reading, options, self._file)
        return reading

    def _file(self, lines: list[str], name: str) -> Iterator[Record]:
        record = Record(name)
        for number_of_line, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                box = self.parse(line, number_of_line)
            except IgnoredError:
                record.problems.append(Problem(why.IGNORED, number_of_line))
            except ValueError as error:
                record.problems.append(Problem(why.BAD_ROW, number_of_line, str(error)))
            else:
                record.boxes += [box] if box is not None else []
        yield record


class IgnoredError(ValueError):
    """A region that is marked as not to be looked at."""


def _dota(line: str, place: int) -> Box | None:
    if line.partition(":")[0].strip().lower() in _DOTA_HEAD:
        return None
    fields = line.replace(",", " ").split()
    if len(fields) < 9:
        raise ValueError(f"expected eight coordinates and a class, found {len(fields)} columns")
    box = corners(number(field) for field in fields[:8])
    rest = fields[8:]
    hard = len(rest) > 1 and rest[-1].isdigit()
    label = " ".join(rest[:-1] if hard else rest)
    if all(map(_is_number, rest)):
        raise ValueError(f"expected the name of a class, found {label!r}")
    extra = {"difficult": True} if hard and rest[-1] != "0" else None
    xs, ys = {*map(float, fields[:8:2])}, {*map(float, fields[1:8:2])}
    shape = "" if len(xs) == 2 and len(ys) == 2 else ROTATED
    return Box(name_of(label), *box, place, shape, None, extra)


def _kitti(line: str, place: int) -> Box | None:
    fields = line.split()
    # A class of two words is written with an underscore, so columns can be counted.
    if len(fields) not in (15, 16):
        raise ValueError(f"expected 15 columns, found {len(fields)}")
    values = [number(field) for field in fields[1:]]
    if fields[0].replace(".", "").isdigit():
        raise ValueError(f"expected the name of a class, found {fields[0]!r}")
    if fields[0] == "DontCare":
        raise IgnoredError
    left, top, right, bottom = values[3:7]
    extra: dict[str, object] = {}
    if values[0] > 0:
        extra["truncated"] = values[0]
    if values[1] in (1, 2):
        extra["occluded"] = True
    if len(values) == 15:
        extra["score"] = values[14]
    return Box(fields[0], left, top, right, bottom, place, "", None, extra or None)


def _oidv4(line: str, place: int) -> Box | None:
    fields = line.split()
    hard = len(fields) > 5 and fields[-1].lower() == "difficult"
    fields = fields[:-1] if hard else fields
    if len(fields) < 5:
        raise ValueError(f"expected a class and four corners, found {len(fields)} columns")
    left, top, right, bottom = (number(field) for field in fields[-4:])
    label = " ".join(fields[:-4])
    if label.replace(".", "").replace("-", "").isdigit() or any(_is_number(f) for f in fields[:-4]):
        raise ValueError(f"expected the name of a class, found {label!r}")
    if max(abs(left), abs(top), abs(right), abs(bottom)) <= 1.5:
        raise ValueError("expected pixels, found fractions")
    extra = {"difficult": True} if hard else None
    return Box(name_of(label), left, top, right, bottom, place, "", None, extra)


def _visdrone(line: str, place: int) -> Box | None:
    fields = [field.strip() for field in line.strip().removesuffix(",").split(",")]
    if len(fields) != _VISDRONE_COLUMNS or not all(map(_WHOLE.fullmatch, fields)):
        raise ValueError(f"expected 8 whole numbers between commas, found {line.strip()[:40]!r}")
    left, top, width, height, score, kind, cut, covered = map(int, fields)
    if not 0 <= kind < len(_VISDRONE):
        raise ValueError(f"expected a class from 0 to {len(_VISDRONE) - 1}, found {kind}")
    if not kind or not score:
        raise IgnoredError
    extra = {"truncated": cut, "occluded": covered}
    carried = {key: value for key, value in extra.items() if value}
    return Box(
        *(_VISDRONE[kind], left, top, left + width, top + height),
        *(place, "", None, carried or None),
    )


def _is_number(field: str) -> bool:
    try:
        number(field)
    except ValueError:
        return False
    return True


dota = RowFormat("DOTA", _dota)
kitti = RowFormat("KITTI", _kitti)
oidv4 = RowFormat("OIDv4", _oidv4)
# Whoever reads numbers between commas as YOLO's finds these, too.
visdrone = RowFormat("VisDrone", _visdrone, _VISDRONE[1:], 0.97)
