"""Rows of YOLO label files one by one, where they are no plain boxes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.class_ids import IdsSeen
from workbench.datasets.formats.columns import PlainBoxes
from workbench.datasets.formats.encodings import decode
from workbench.datasets.formats.items import FRACTIONS, Box, Problem, Record
from workbench.errors import ImportFormatError
from workbench.persistence.archive.data_yaml import MAX_CLASSES
from workbench.persistence.yolo.label_text import SMALLEST, TOO_MANY_ROWS, has_too_many_rows

NEWLINE = re.compile(r"\r\n|\r|\n")
DECIMAL_COMMA = re.compile(r"-?\d*,\d+")

_FAR = 10.0
_PLAIN_TEXT = re.compile(rb"(?:\xef\xbb\xbf)?[0-9eE+\-. \t\r\n]*")
_SIGNS = re.compile(r"(?<=\s)#.*$|\btensor\b|[\[\](){}\"|]|:(?=\s|$)|(?<=\s)'|'(?=\s)")
_WHOLE = re.compile(r"-?\d{1,9}")


class PlainFile(NamedTuple):
    """A file that holds plain rows only: its boxes, and the least and the greatest of their ids."""

    boxes: PlainBoxes
    least: int
    highest: int


class RowReader:
    """Reads rows, and makes up the classes that they use and nobody has named.

    Parameters
    ----------
    classes : list of str
        Grows with the ids that occur.
    keypoints : bool
        Whether boxes are followed by keypoints.
    """

    def __init__(self, classes: list[str], keypoints: bool = False) -> None:
        self._classes = classes
        self._keypoints = keypoints
        self._open = not classes
        self._ids = {name.casefold(): i for i, name in enumerate(classes)}
        self.seen = IdsSeen()
        self._tracks = 0

    def plain(self, name: str, found: PlainFile) -> Record:
        """Take a file whose boxes are known, with the classes that they use."""
        self._use(found.highest)
        self.seen.zero = self.seen.zero or not found.least
        return Record(name, unit=FRACTIONS, raw=found.boxes.raw, plain=found.boxes)

    def _use(self, class_id: int) -> None:
        """Make up a name for a class that has none."""
        while class_id >= len(self._classes):
            self._classes.append(self._made_up(len(self._classes)))
        self.seen.add(class_id)

    def record(self, data: bytes, name: str) -> Record:
        """Read one file.

        Raises
        ------
        ImportFormatError
            If it is no text, or has more rows than any label file.
        """
        record = Record(name, unit=FRACTIONS)
        if _PLAIN_TEXT.fullmatch(data):
            text, plain = data.decode("utf-8-sig"), True
            # Trainers take a byte order mark for a part of the first number.
            record.raw = None if data.startswith(b"\xef\xbb\xbf") else data
        else:
            text, plain = decode(data), False
        if has_too_many_rows(text):
            raise ImportFormatError(f"{name}: {TOO_MANY_ROWS}")
        other = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        lines = NEWLINE.split(text)
        self._tracks = _track_column(lines, name) if plain else 0
        self._scored = plain and _have_scores(lines)
        record.raw = None if self._tracks or self._scored else record.raw
        for number, line in enumerate(lines, start=1):
            fields = line.split()
            if not fields or fields[0].startswith("#"):
                continue
            try:
                box, repairs = self._row(fields, number, plain)
            except ValueError as error:
                reason = why.OUTSIDE if isinstance(error, _NoAreaError) else why.BAD_ROW
                record.problems.append(Problem(reason, number, str(error)))
                continue
            record.boxes.append(box)
            if other:
                repairs.append(why.UTF16)
            record.repairs += [Problem(reason, number) for reason in repairs]
        return record

    def _row(self, fields: list[str], number: int, plain: bool) -> tuple[Box, list[str]]:
        repairs: list[str] = []
        if not plain:
            fields, repairs = self._cleaned(fields)
        class_id = self._class_id(fields[0])
        values = [_number(field) for field in fields[1:]]
        count = len(values)
        rest = " ".join(fields[1:])
        shape, extra = "", None
        if self._tracks and count in (5, 6):
            place = self._tracks % count
            track = {"track_id": int(values[place])}
            box = [v for n, v in enumerate(values) if n != place][:4]
            if count == 6:
                track["score"] = values[4]  # type: ignore[assignment]
            x, y, width, height = box
            return self._box(class_id, x, y, width, height, number, "", None, track), repairs
        if count == 4 or (self._keypoints and count > 5):
            x, y, width, height = values[:4]
            shape = "row" if count > 4 else ""
        elif count == 5:
            x, y, width, height, score = values
            shape, extra = "row", {"score": score}
        elif self._scored and count > 6 and count % 2:
            *outline, score = values
            x, y, width, height = _around(outline)
            repairs.append(why.SCORED_OUTLINES)
            rest, shape, extra = " ".join(fields[1:-1]), "row", {"score": score}
        elif _are_keypoints(values):
            x, y, width, height = values[:4]
            repairs.append(why.KEYPOINT_ROWS)
            return self._box(class_id, x, y, width, height, number, "", None, None), repairs
        elif count >= 6 and count % 2 == 0:
            x, y, width, height = _around(values)
            shape = "row"
        else:
            raise ValueError(
                f"expected 5 columns (class x y width height), found {count + 1}; a polygon has "
                f"an odd number of columns, 7 or more"
            )
        if count == 5 and abs(values[4]) >= _FAR:
            raise ValueError(f"expected a confidence behind the box, found {values[4]:g}")
        return self._box(class_id, x, y, width, height, number, shape, rest, extra), repairs

    def _box(
        self,
        class_id: int,
        x: float,
        y: float,
        width: float,
        height: float,
        number: int,
        shape: str,
        rest: str | None,
        extra: Mapping[str, float] | None,
    ) -> Box:
        if width < SMALLEST or height < SMALLEST:
            raise _NoAreaError(f"the box has no area (width {width:g}, height {height:g})")
        self._use(class_id)
        left, top = x - width / 2, y - height / 2
        return Box(
            *(self._classes[class_id], left, top, left + width, top + height),
            *(number, shape, rest, extra),
        )

    def _made_up(self, class_id: int) -> str:
        name = f"class_{class_id}"
        while name in self._classes:
            name += "_"
        return name

    def _class_id(self, field: str) -> int:
        value = _number(field)
        if value < 0 or value != int(value):
            raise ValueError(f"expected a class id (0, 1, 2, ...) first, found {field!r}")
        if value >= MAX_CLASSES:
            raise ValueError(f"expected class ids below {MAX_CLASSES}, found {field}")
        return int(value)

    def _cleaned(self, fields: list[str]) -> tuple[list[str], list[str]]:
        """Return a row's columns as they should stand there, and what was wrong."""
        repairs = []
        bare = _SIGNS.sub(" ", " ".join(fields)).split()
        if bare != fields and bare:
            repairs.append(why.SIGNS)
            fields = bare
        if any("," in field or ";" in field for field in fields):
            repairs.append(why.COMMAS)
            numbers = [field.strip(";") for field in fields]
            if len(fields) > 4 and all(DECIMAL_COMMA.fullmatch(f) for f in numbers[-4:]):
                fields = [field.replace(",", ".") for field in numbers]
            else:
                fields = " ".join(fields).replace(",", " ").replace(";", " ").split()
        if not fields:
            raise ValueError("expected a row, found separators")
        while len(fields) > 5 and not is_number(fields[-1]) and all(map(is_number, fields[:5])):
            fields = fields[:-1]  # the class's name behind its box
            repairs.append(why.SIGNS)
        if not is_number(fields[0]):
            fields = self._numbered(fields)
            repairs.append(why.CLASS_NAMES)
        return fields, repairs

    @staticmethod
    def _name(fields: Sequence[str]) -> str:
        return " ".join(fields).strip("\"'").casefold()

    def _numbered(self, fields: list[str]) -> list[str]:
        """Return a row that begins with a name with the class's id in its place."""
        end = next((i for i, field in enumerate(fields) if is_number(field)), len(fields))
        # A name may end with a number, and who has the list of names knows.
        known = (i for i in range(len(fields) - 4, end, -1) if self._name(fields[:i]) in self._ids)
        end = next(known, end)
        name = " ".join(fields[:end]).strip("\"'")
        count = len(fields) - end
        if count < 4 or (count > 5 and count % 2):
            raise ValueError(f"expected a class id first, found {name!r}")
        class_id = self._ids.get(self._name(fields[:end]))
        if class_id is None:
            if not self._open:
                raise ValueError(f"expected a class id or name first, found {name!r}")
            class_id = self._ids[name.casefold()] = len(self._classes)
            self._classes.append(name)
        return [str(class_id), *fields[end:]]


class _NoAreaError(ValueError):
    """A row can be read, and its box has no width or no height."""


def _track_column(lines: Sequence[str], name: str) -> int:
    """Return which of the numbers behind the class is a track's, 0 if none is.

    Trackers write ``class track x y w h`` (-5, as for JDE) or, behind the box,
    ``class x y w h track`` and ``class x y w h score track`` (-1). No coordinate and no score is
    beyond 1, so one such number in a file tells.
    """
    if not any(len(line.split()) in (6, 7) for line in lines):
        return 0
    rows = [line.split()[1:] for line in lines if line.strip()]
    if len({len(row) for row in rows}) != 1:
        return 0
    for place in (0, len(rows[0]) - 1):
        if place == 0 and len(rows[0]) == 6:
            continue
        ids = [row[place] for row in rows]
        rest = [field for row in rows for n, field in enumerate(row) if n != place]
        whole = all(_WHOLE.fullmatch(text) for text in ids)
        told = any(text == "-1" or len(text) > 1 or text > "1" for text in ids)
        told = told or (place == 0 and "labels_with_ids" in name)
        if whole and told and all(-0.5 <= float(field) <= 1.5 for field in rest):
            return -len(rows[0]) if place == 0 else -1
    return 0


def _have_scores(lines: Sequence[str]) -> bool:
    """Whether outlines have a confidence behind them, as what a model found has.

    A number over is that, unless it may be the flag of a last keypoint.
    """
    counts = {len(line.split()) - 1 for line in lines if line.strip()}
    over = {count for count in counts if count > 6 and count % 2}
    if not any((count - 4) % 3 for count in over):
        return False
    rows = [line.split()[1:] for line in lines if len(line.split()) - 1 in over]
    return all(is_number(field) and -0.01 <= float(field) <= 1.01 for row in rows for field in row)


def _around(values: Sequence[float]) -> tuple[float, float, float, float]:
    """Return centre and sides of the box around points, ``x1 y1 x2 y2 ...``."""
    left, right = min(values[0::2]), max(values[0::2])
    top, bottom = min(values[1::2]), max(values[1::2])
    return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top


def _are_keypoints(values: Sequence[float]) -> bool:
    """Whether a box is followed by points that each have a flag, which no coordinate can be."""
    flags = values[6::3]
    return (
        len(values) > 6
        and (len(values) - 4) % 3 == 0
        and set(flags) <= {0.0, 1.0, 2.0}
        and (2.0 in flags or len(values) % 2 == 1)
        and all(0 <= v <= 1.0 + 1e-6 for v in values[:4])
    )


def is_number(field: str) -> bool:
    """Whether a column is a number that can be one of a row."""
    try:
        _number(field)
    except ValueError:
        return False
    return True


def _number(field: str) -> float:
    if "_" in field or not field.isascii():
        raise ValueError(f"expected a number, found {field[:40]!r}")
    try:
        value = float(field)
    except ValueError:
        raise ValueError(f"expected a number, found {field[:40]!r}") from None
    if not -1e9 < value < 1e9:
        raise ValueError(f"expected a number, found {field[:40]!r}")
    return value
