"""YOLO label files of all shapes: boxes, polygons, rotated boxes, keypoints; and how they go wrong.

One file for each picture, a row for each object: ``class x y width height``, normalised, centre
first (https://docs.ultralytics.com/datasets/detect/); or ``class x1 y1 x2 y2 ...`` (segment and
OBB); or a box with keypoints behind it, as ``kpt_shape`` in ``data.yaml`` says. Rows that the
stores can read are kept as they are. Of others is read what can have only one meaning: commas,
decimal commas, UTF-16, class names in place of ids, pixels, keypoints that nobody announced.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from workbench.datasets.changes import counted
from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.class_ids import IdsSeen, count_from_one, note_of, offer
from workbench.datasets.formats.class_lists import (
    from_json,
    from_other_list,
    is_class_list,
    is_other_list,
    small_text,
)
from workbench.datasets.formats.columns import BoxTable, PlainBoxes
from workbench.datasets.formats.encodings import decode
from workbench.datasets.formats.file_names import extension, hidden
from workbench.datasets.formats.given_splits import given_splits
from workbench.datasets.formats.items import (
    FRACTIONS,
    Box,
    Detection,
    Options,
    Problem,
    Reading,
    Record,
)
from workbench.datasets.formats.pairing import stem_of
from workbench.datasets.formats.view import FolderView
from workbench.errors import ArchiveError, ImportFormatError
from workbench.persistence.archive import parse_class_list, parse_data_yaml
from workbench.persistence.archive.data_yaml import MAX_CLASSES
from workbench.persistence.archive.directory import fold
from workbench.persistence.yolo.label_table import parse_plain
from workbench.persistence.yolo.label_text import SMALLEST

TITLE = "YOLO"

_FAR = 10.0
_TICK = 500
_PLAIN_TEXT = re.compile(rb"(?:\xef\xbb\xbf)?[0-9eE+\-. \t\r\n]*")
_ROWS = re.compile(rb"(?:[0-9]{1,4}(?: [0-9]{1,8}(?:\.[0-9]{1,20})?){4,}\n)+")
_NEWLINE = re.compile(r"\r\n|\r|\n")
_SIGNS = re.compile(r"(?<=\s)#.*$|\btensor\b|[\[\](){}\"|]|:(?=\s|$)|(?<=\s)'|'(?=\s)")
_WHOLE = re.compile(r"-?\d{1,9}")
_DECIMAL_COMMA = re.compile(r"-?\d*,\d+")
_NO_LABELS = frozenset({"readme", "license", "requirements", "readme.roboflow", "readme.dataset"})


def detect(view: FolderView) -> Detection:
    """Look for text files with rows of numbers, beside pictures or in a folder of their own."""
    lists = given_splits(view).lists
    stems = {fold(stem_of(name)) for name in view.pictures}
    stems |= {fold(name.rpartition("/")[2]) for name in view.pictures}
    named = [
        n
        for n in view.candidates(".txt")
        if n not in lists and not _is_list(n) and stem_of(n).lower() not in _NO_LABELS
    ]
    owned = [name for name in named if fold(stem_of(name)) in stems]
    if owned:
        step = max(len(owned) // 200, 1)
        sample = [view.read(name) for name in owned[::step]]
        scores = [score for data in sample if (score := _score(data)) is not None]
        if scores and max(scores) <= 0:
            return Detection()
        sure = sum(score > 0 for score in scores) / len(scores) if scores else 0.5
        if sure < 0.2:
            return Detection()
        rest = [n for n in named if fold(stem_of(n)) not in stems and _is_label(view, n)]
        return Detection(
            0.9 * sure + 0.05,
            f"{counted(len(owned), 'text file')} with rows of numbers",
            owned + rest,
        )
    orphans = [name for name in named if _is_label(view, name)]
    if orphans:
        return Detection(0.3, f"{counted(len(orphans), 'text file')} with rows of numbers", orphans)
    if any(extension(n) in (".yaml", ".yml") and _has_names(view, n) for n in view.names):
        return Detection(0.2, "a data.yaml with class names, and no labels yet", [])
    return Detection()


def read(view: FolderView, detection: Detection, options: Options) -> Reading:
    """Read label files; see `workbench.datasets.formats.items`."""
    given = given_splits(view)
    reading = Reading(declared=True, splits=given.splits, notes=list(given.notes), rows=True)
    reading.used |= set(given.lists)
    if given.lists:
        reading.used |= {n for n in view.names if n.rpartition("/")[2].lower() == "obj.data"}
    _describe(view, reading)
    keypoints = "kpt_shape" in reading.extra
    reading.records = _records(view, detection.files, reading, options, keypoints)
    return reading


def _records(
    view: FolderView, files: Sequence[str], reading: Reading, options: Options, keypoints: bool
) -> Iterator[Record]:
    parser = RowReader(reading.classes, keypoints)
    reading.amend = partial(_amend, reading, parser, len(reading.classes))
    for start in range(0, len(files), _TICK):
        options.tick()
        names, contents = [], []
        for name in files[start : start + _TICK]:
            try:
                contents.append(view.text(name))
            except ImportFormatError as error:
                reading.unreadable.append((name, str(error)))
            else:
                names.append(name)
        in_columns = _in_columns(contents, reading.classes)
        for name, data, plain in zip(names, contents, in_columns, strict=True):
            try:
                record = parser.plain(name, plain) if plain else parser.record(data, name)
            except ImportFormatError as error:
                reading.unreadable.append((name, str(error)))
                continue
            reading.used.add(name)
            yield record


def _amend(
    reading: Reading, parser: RowReader, named: int, records: list[Record], first_id: str
) -> None:
    """Find out what class ids count from, and say what they have no name for."""
    highest = parser.seen.highest
    if parser.seen.from_one(named, first_id):
        count_from_one(records, reading.classes, named)
        reading.notes.append(note_of(named if first_id == "auto" else 0))
        highest -= 1
    elif not named and highest > 0 and not parser.seen.zero and first_id == "auto":
        reading.notes.append(offer(highest))
    if highest >= named:
        reading.notes.append(
            f"label files use class ids up to {highest} and {named} classes are named: the "
            f"others are called class_{named} and so on; rename them"
        )


class _Plain(NamedTuple):
    """A file that holds plain rows only: its boxes, and the least and the greatest of their ids."""

    boxes: PlainBoxes
    least: int
    highest: int


def _in_columns(contents: list[bytes], classes: list[str]) -> list[_Plain | None]:
    """Return the boxes of the files that hold plain rows only; None for others and for no rows.

    Parameters
    ----------
    contents : list of bytes
    classes : list of str
        May grow before the boxes are looked at.
    """
    _, owner, rows = parse_plain(contents, MAX_CLASSES, anywhere=True)
    half = rows[:, 3:5] / 2
    corners = np.concatenate([rows[:, 1:3] - half, rows[:, 1:3] + half], axis=1)
    class_id = rows[:, 0].astype(np.int64)
    table = BoxTable(classes, class_id, corners)
    counts = np.bincount(owner, minlength=len(contents))
    found: list[_Plain | None] = [None] * len(contents)
    places = np.flatnonzero(counts)
    ends = np.cumsum(counts[places])
    starts = ends - counts[places]
    if len(places):
        least = np.minimum.reduceat(class_id, starts)
        highest = np.maximum.reduceat(class_id, starts)
        columns = (column.tolist() for column in (places, starts, ends, least, highest))
        for place, start, end, low, high in zip(*columns, strict=True):
            found[place] = _Plain(PlainBoxes(table, start, end, contents[place]), low, high)
    return found


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

    def plain(self, name: str, found: _Plain) -> Record:
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
            If it is no text.
        """
        record = Record(name, unit=FRACTIONS)
        if _PLAIN_TEXT.fullmatch(data):
            text, plain = data.decode("utf-8-sig"), True
            # Trainers take a byte order mark for a part of the first number.
            record.raw = None if data.startswith(b"\xef\xbb\xbf") else data
        else:
            text, plain = decode(data), False
        other = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        lines = _NEWLINE.split(text)
        self._tracks = _track_column(lines, name) if plain else 0
        record.raw = None if self._tracks else record.raw
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
        elif _are_keypoints(values):
            x, y, width, height = values[:4]
            repairs.append(why.KEYPOINT_ROWS)
            return self._box(class_id, x, y, width, height, number, "", None, None), repairs
        elif count >= 6 and count % 2 == 0:
            left, right = min(values[0::2]), max(values[0::2])
            top, bottom = min(values[1::2]), max(values[1::2])
            x, y, width, height = (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
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
            if len(fields) > 4 and all(_DECIMAL_COMMA.fullmatch(f) for f in numbers[-4:]):
                fields = [field.replace(",", ".") for field in numbers]
            else:
                fields = " ".join(fields).replace(",", " ").replace(";", " ").split()
        if not fields:
            raise ValueError("expected a row, found separators")
        while len(fields) > 5 and not _is_number(fields[-1]) and all(map(_is_number, fields[:5])):
            fields = fields[:-1]  # the class's name behind its box
            repairs.append(why.SIGNS)
        if not _is_number(fields[0]):
            fields = self._numbered(fields)
            repairs.append(why.CLASS_NAMES)
        return fields, repairs

    @staticmethod
    def _name(fields: Sequence[str]) -> str:
        return " ".join(fields).strip("\"'").casefold()

    def _numbered(self, fields: list[str]) -> list[str]:
        """Return a row that begins with a name with the class's id in its place."""
        end = next((i for i, field in enumerate(fields) if _is_number(field)), len(fields))
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


def _is_number(field: str) -> bool:
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


def _score(data: bytes) -> float | None:
    """Return how much of a file is rows of YOLO, -1..1; None if it is empty."""
    if _ROWS.fullmatch(data, 0, 20_000):
        return 1.0
    try:
        text = decode(data[:20_000])
    except ImportFormatError:
        return -1.0
    lines = [line for line in _NEWLINE.split(text) if line.strip()][:50]
    if not lines:
        return None
    good = sum(map(_looks_like_row, lines))
    return good / len(lines) if good else -1.0


def _looks_like_row(line: str) -> bool:
    fields = line.replace(",", " ").replace(";", " ").split()
    behind = line.split()[1:]
    if behind and all(map(_DECIMAL_COMMA.fullmatch, behind)):
        fields = line.replace(",", ".").split()
    numbers = [field for field in fields if _is_number(field)]
    if not _is_number(fields[0]):
        # A class name and fractions; a name and pixels are another tool's.
        tail = fields[-4:] if len(numbers) in (4, 5) else numbers
        return (
            len(numbers) >= 4
            and fields[-len(numbers) :] == numbers
            and all(0 <= float(f) <= 1.5 for f in tail)
        )
    return len(numbers) == len(fields) >= 5 and float(fields[0]) >= 0


def _is_label(view: FolderView, name: str) -> bool:
    return (_score(view.head(name)) or 0) > 0.5


def _is_list(name: str) -> bool:
    return is_class_list(name) or is_other_list(name)


# Class names


def _describe(view: FolderView, reading: Reading) -> None:
    """Take class names and other keys from wherever they stand."""
    chosen = ""
    for name in _yamls(view):
        data = small_text(view, name)
        if b"names" not in data and not _is_data_yaml(name):
            continue
        found, extra, notes = parse_data_yaml(data, f"{view.path}, {name}")
        reading.used.add(name)
        reading.notes += [note.replace(f"{view.path}, ", "") for note in notes]
        reading.extra = reading.extra or extra
        _agree(view, reading, chosen, name, found)
        chosen = chosen or (name if found else "")
    for name in [n for n in view.names if is_class_list(n) and not hidden(n)]:
        found, notes = parse_class_list(small_text(view, name), f"{view.path}, {name}")
        reading.used.add(name)
        if chosen in _yamls(view) and chosen:
            if found != reading.classes:
                reading.notes.append(f"{name} was dropped: it lists other classes than {chosen}")
            continue
        reading.notes += [note.replace(f"{view.path}, ", "") for note in notes]
        _agree(view, reading, chosen, name, found)
        chosen = chosen or name
    if not chosen and not from_other_list(view, reading):
        from_json(view, reading)


def _agree(view: FolderView, reading: Reading, chosen: str, name: str, found: list[str]) -> None:
    if reading.classes and found and reading.classes != found:
        raise ArchiveError(
            f"{view.path}: expected one list of classes, found {chosen!r} and {name!r}, which "
            f"differ; put the right one into data.yaml and import again"
        )
    if found and not reading.classes:
        reading.classes[:] = found


def _yamls(view: FolderView) -> list[str]:
    """Return the nearest ``data.yaml``, else all YAML files."""
    if view.focus is not None and extension(view.focus) in (".yaml", ".yml"):
        return [view.focus]
    found = [n for n in view.names if extension(n) in (".yaml", ".yml") and not hidden(n)]
    known = sorted((n for n in found if _is_data_yaml(n)), key=lambda n: (n.count("/"), n))
    if known:
        depth = known[0].count("/")
        first = [name for name in known if name.count("/") == depth]
        return sorted(first, key=lambda n: not n.rpartition("/")[2].startswith("data."))[:1]
    return found


def _is_data_yaml(name: str) -> bool:
    return stem_of(name).lower() in ("data", "dataset")


def _has_names(view: FolderView, name: str) -> bool:
    return not hidden(name) and b"names" in view.head(name)
