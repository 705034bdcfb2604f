"""CSV tables with a row for each box, whatever their columns are called.

TensorFlow (``filename, width, height, class, xmin, ymin, xmax, ymax``), VoTT (``image, xmin, ...,
label``), Open Images (``ImageID, LabelName, XMin, XMax, YMin, YMax`` in fractions, names of classes
in a file of their own), Kaggle (``image_id, bbox`` as ``[x, y, w, h]``), RetinaNet (no header:
``path, x1, y1, x2, y2, class``; a path alone shows nothing). See `bare_rows` for more without one.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from workbench.datasets.changes import counted
from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.bare_rows import Shape, shape_of
from workbench.datasets.formats.class_ids import IdsSeen, note_of
from workbench.datasets.formats.class_lists import listed_classes
from workbench.datasets.formats.encodings import decode
from workbench.datasets.formats.items import (
    FRACTIONS,
    PIXELS,
    Box,
    Detection,
    Options,
    Problem,
    Reading,
    Record,
    name_of,
    number,
    size_of,
)
from workbench.datasets.formats.view import FolderView
from workbench.datasets.formats.walking import found, head_lines, owned_texts, read_bytes
from workbench.errors import ImportFormatError

TITLE = "CSV"

_COLUMNS = {
    "picture": ("filename", "image", "imageid", "imagename", "imagepath", "path", "file", "frame",
                "filepath", "img", "imgpath", "externalid", "fname", "patientid"),
    # A name before what may be its number.
    "label": ("labelname", "classname", "categoryname", "class", "label", "category", "name",
              "object", "tag", "classid", "labels"),
    "left": ("xmin", "x1", "left", "xtl", "bboxxmin", "xminimum", "roix1"),
    "top": ("ymin", "y1", "top", "upper", "ytl", "bboxymin", "yminimum",
            "roiy1"),
    "right": ("xmax", "x2", "right", "xbr", "bboxxmax", "xmaximum", "roix2"),
    "bottom": ("ymax", "y2", "bottom", "lower", "ybr", "bboxymax", "ymaximum",
               "roiy2"),
    "x": ("x", "bboxx"),
    "y": ("y", "bboxy"),
    "w": ("w", "bboxw", "bboxwidth", "boxwidth"),
    "h": ("h", "bboxh", "bboxheight", "boxheight"),
    "cx": ("xcenter", "cx", "centerx", "xc", "xmid"),
    "cy": ("ycenter", "cy", "centery", "yc", "ymid"),
    "box": ("bbox", "box", "boundingbox"),
    "width": ("width", "imagewidth", "imgwidth"),
    "height": ("height", "imageheight", "imgheight"),
    "split": ("split", "set", "subset"),
}  # fmt: skip
_SIDES = _COLUMNS.keys() - {"picture", "label", "width", "height", "split"}
_MARKS = ("isoccluded", "istruncated", "isgroupof", "isdepiction", "isinside", "occluded",
          "truncated", "difficult", "confidence", "score")  # fmt: skip
# Labels that say that there is nothing, of rows without a box or with one that stands for none.
_NOTHING = frozenset(
    {"", "no finding", "no findings", "nothing", "none", "no object", "no objects", "no box",
     "negative", "normal", "background", "empty", "null", "nan", "n/a"}
)  # fmt: skip
_STAND_INS = frozenset({(0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 1.0, 1.0)})
_NO_NUMBERS = frozenset({"nan", "null", "none", "n/a", "na"})
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_IN_OBJECT = re.compile(r"[\"']([\w ]+)[\"']\s*:\s*[\"']?(-?[0-9.]+(?:e-?[0-9]+)?)")
_COMMA = re.compile(r"-?\d+,\d+")
# A comment, and the sign between cells as Excel writes it.
_BEFORE = re.compile(r"(?:(?:# [^\n]*|sep=.|[ \t]*)\r?\n)*", re.IGNORECASE)
_DESCRIPTIONS = "class-descriptions"
_MOST_FIELD = 2**20
_MOST_DIGITS = 6


def detect(view: FolderView) -> Detection:
    """Look for tables with columns of pictures and corners."""
    files = view.matching([".csv", ".tsv"], lambda name: _is_table(view, name))
    own = set(owned_texts(view))  # of one picture each, and there may be very many
    texts = [name for name in view.candidates(".txt") if name not in own]
    files += [name for name in texts if _accepted(view, name)]
    return found(files, f"{counted(len(files), 'table')} with a row for each box")


def _accepted(view: FolderView, name: str) -> bool:
    try:
        return _is_table(view, name)
    except ImportFormatError:
        return False


def _is_table(view: FolderView, name: str) -> bool:
    rows = list(_rows(_table_in("\n".join(head_lines(view, name)))[0]))
    return bool(rows) and (_is_whole(_columns(rows[0])) or shape_of(rows) is not None)


def _is_whole(columns: Mapping[str, int]) -> bool:
    corners = {"left", "top", "right", "bottom"} <= columns.keys()
    starts = {"x", "y"} <= columns.keys() or {"cx", "cy"} <= columns.keys()
    sides = starts and ({"w", "h"} <= columns.keys() or {"width", "height"} <= columns.keys())
    return "picture" in columns and (corners or sides or "box" in columns)


def _columns(header: Sequence[str]) -> dict[str, int]:
    """Return the place of each column that is known."""
    plain = [_letters(text) for text in header]
    result: dict[str, int] = {}
    for key, names in _COLUMNS.items():
        place = next((plain.index(name) for name in names if name in plain), None)
        if place is not None:
            result[key] = place
    return result


def _table_in(text: str) -> tuple[str, int]:
    """Return a text from the first line of its table on, and how many lines are above that."""
    before = _BEFORE.match(text)
    above = before[0] if before is not None else ""
    return text[len(above) :], above.count("\n")


def _rows(text: str) -> Iterator[list[str]]:
    first = text.partition("\n")[0]
    mark = max(",;\t|", key=first.count)
    if mark not in first:
        mark = " "
    csv.field_size_limit(_MOST_FIELD)
    try:
        # Not from StringIO, which takes four bytes for each.
        lines = (line[0] for line in _LINE.finditer(text))
        for row in csv.reader(lines, delimiter=mark, skipinitialspace=mark == " "):
            cells = [cell.strip() for cell in row]
            if mark != ",":
                cells = [c.replace(",", ".") if _COMMA.fullmatch(c) else c for c in cells]
            yield cells
    except csv.Error as error:
        raise ImportFormatError(f"expected a table, found {error}") from error


def read(view: FolderView, detection: Detection, options: Options) -> Reading:
    """Read tables; see `workbench.datasets.formats.items`."""
    reading = Reading()
    named = _descriptions(view, reading)
    listed = [] if named else listed_classes(view, reading)

    def parse(data: bytes, name: str) -> Iterator[Record]:
        yield from _records(data, name, named)

    reading.amend = partial(_give_names, reading, listed)
    reading.records = read_bytes(view, detection.files, reading, options, parse)
    return reading


def _give_names(
    reading: Reading, listed: Sequence[str], records: list[Record], first_id: str
) -> None:
    """Put names of classes in the place of their ids, which may count from 1."""
    labels = {box.label for record in records for box in record.boxes}
    seen = IdsSeen()
    for label in labels:
        if label.isdecimal() and len(label) < _MOST_DIGITS:
            seen.add(int(label))
    first = int(seen.from_one(len(listed), first_id))
    named = {str(number): name for number, name in enumerate(listed, start=first)}
    if first:
        reading.notes.append(note_of(len(listed) if first_id == "auto" else 0))
    if not listed or labels.isdisjoint(named.keys() | {*listed}):
        return
    reading.declared, reading.classes = True, list(listed)
    for record in records:
        record.boxes = [box._replace(label=named.get(box.label, box.label)) for box in record.boxes]


def _records(data: bytes, name: str, named: Mapping[str, str]) -> Iterator[Record]:
    text, above = _table_in(decode(data))
    rows = list(_rows(text))
    columns = _columns(rows[0])
    if _is_whole(columns):
        yield from _with_header(rows, columns, name, named, above)
        return
    shape = shape_of(rows)
    if shape is None:
        raise ImportFormatError("expected rows with a picture and four numbers, found none")
    yield from _bare(rows, shape, name, named, above)


def _descriptions(view: FolderView, reading: Reading) -> dict[str, str]:
    """Return the names of classes that a table gives by their codes (``/m/01yrx,cat``)."""
    named: dict[str, str] = {}
    for name in view.names:
        base = name.rpartition("/")[2].lower()
        if base.endswith(".csv") and (
            _DESCRIPTIONS in base or base in ("classes.csv", "class.csv")
        ):
            data = view.text(name)
            try:
                rows = [*_rows(decode(data))]
            except ImportFormatError as error:
                raise ImportFormatError(f"{view.path}, {name}: {error}") from error
            for row in rows:
                if len(row) == 2 and all(row):
                    # RetinaNet's is the other way round: a name and a number.
                    code, text = (row[1], row[0]) if row[1].isdigit() else (row[0], row[1])
                    named[code] = text
            reading.used.add(name)
    return named


def _with_header(
    rows: list[list[str]],
    columns: Mapping[str, int],
    file: str,
    named: Mapping[str, str],
    above: int,
) -> Iterator[Record]:
    header = [_letters(text) for text in rows[0]]
    marks = {name: header.index(name) for name in _MARKS if name in header}
    as_corners = "left" in columns or "box" in columns
    records: dict[str, Record] = {}
    for line, row in enumerate(rows[1:], start=above + 2):
        if not any(row):
            continue
        cell = {key: row[place] for key, place in columns.items() if place < len(row)}
        cell |= {key: "" for key in _SIDES & cell.keys() if cell[key].lower() in _NO_NUMBERS}
        picture = cell.get("picture", "")
        record = records.get(picture)
        if record is None:
            record = records[picture] = Record(file, picture, place=line)
            record.split = cell.get("split")
            record.lists_of_four = "box" in columns and "left" not in columns
            if as_corners:
                record.size = size_of(cell.get("width"), cell.get("height"))
            if "imageid" in header and "xmin" in header:
                record.unit = FRACTIONS  # Open Images
        try:
            box = _box(cell)
        except ValueError as error:
            record.problems.append(Problem(why.BAD_ROW, line, str(error)))
            continue
        text = cell.get("label", "")
        says_nothing = _plain(text) in _NOTHING
        if box is None or (box in _STAND_INS and text and says_nothing):
            if not says_nothing:
                record.problems.append(Problem(why.NO_BOX, line))
            continue  # listed, and nothing in it
        label = named.get(text, text) if "label" in columns else "object"
        if not label:
            record.problems.append(Problem(why.NO_CATEGORY, line))
            continue
        extra = {n: row[p] for n, p in marks.items() if p < len(row) and row[p] not in ("", "0")}
        record.boxes.append(Box(name_of(label), *box, line, "", None, extra or None))
    yield from records.values()


def _plain(label: str) -> str:
    return " ".join(label.lower().replace("_", " ").replace("-", " ").split())


def _box(cell: Mapping[str, str]) -> tuple[float, float, float, float] | None:
    if "left" in cell:
        texts = [cell.get(key, "") for key in ("left", "top", "right", "bottom")]
        if not any(texts):
            return None
        left, top, right, bottom = map(number, texts)
        return left, top, right, bottom
    if "box" in cell:
        return _one_cell(cell["box"])
    if "cx" in cell and "x" not in cell:
        sides = ("w", "h") if "w" in cell else ("width", "height")
        texts = [cell.get(key, "") for key in ("cx", "cy", *sides)]
        if not any(texts):
            return None
        x, y, width, height = map(number, texts)
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    keys = ("x", "y", "w", "h") if "w" in cell else ("x", "y", "width", "height")
    texts = [cell.get(key, "") for key in keys]
    if not any(texts):
        return None
    x, y, width, height = map(number, texts)
    return x, y, x + width, y + height


def _one_cell(text: str) -> tuple[float, float, float, float] | None:
    """Return the corners of ``[x, y, width, height]``, or of an object with such keys."""
    if text.startswith("{"):
        named = {_letters(key): value for key, value in _IN_OBJECT.findall(text)}
        return _box(
            {key: named[name] for key in _SIDES for name in _COLUMNS[key] if name in named}
            | {key: named[key] for key in ("width", "height") if key in named}
        )
    parts = text.strip("[]() ").replace(";", ",").replace(",", " ").split()
    if not parts:
        return None
    values = [number(part) for part in parts]
    if len(values) != 4:
        raise ValueError(f"expected a box of four numbers, found {len(values)}")
    x, y, width, height = values
    return x, y, x + width, y + height


def _letters(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())


def _bare(
    rows: list[list[str]], shape: Shape, file: str, named: Mapping[str, str], above: int
) -> Iterator[Record]:
    records: dict[str, Record] = {}
    for line, row in enumerate(rows, start=above + 1):
        picture = row[shape.picture] if len(row) > shape.picture else ""
        if not picture:
            continue
        record = records.get(picture)
        if record is None:
            record = records[picture] = Record(file, picture, place=line, unit=PIXELS)
            record.split = row[shape.split] if shape.split is not None else None
        if not any(row[place] for place in shape.numbers if place < len(row)):
            continue  # listed, and nothing in it
        try:
            left, top, right, bottom = (number(row[place]) for place in shape.numbers)
            label = "object" if shape.label is None else name_of(row[shape.label])
        except (IndexError, ValueError):
            expected = "expected a picture, four numbers and a class"
            record.problems.append(Problem(why.BAD_ROW, line, expected))
            continue
        if shape.sides:
            right, bottom = left + right, top + bottom
        record.boxes.append(Box(named.get(label, label), left, top, right, bottom, line))
    yield from records.values()
