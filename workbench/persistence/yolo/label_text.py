r"""YOLO label files: text to boxes and back.

The format, as Ultralytics documents it (https://docs.ultralytics.com/datasets/detect/):
one row for each box, ``class x y width height``, with the centre first and all four
normalised to 0..1 of the image. What stands in files from elsewhere is read as follows,
and nothing else is:

* blank lines, ``\r\n``, tabs, repeated spaces, a UTF-8 byte order mark: ignored;
* a class written as ``3.0``: 3;
* a box partly outside the image: clipped;
* six columns: a box and a confidence; the box is read;
* seven or more columns, an odd number: a polygon, ``class x1 y1 x2 y2 ...``, read as the
  smallest box around it, the way Ultralytics trains on it;
* in a dataset whose ``data.yaml`` says ``kpt_shape``: a box and its keypoints; the box is read.

The last three lose something when they are written back as boxes, so the reader counts
them as *other rows*. Anything else is an error that names file and line.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from workbench.errors import InvalidBoxError, LabelFormatError
from workbench.geometry import clip_box
from workbench.persistence.counting import counted
from workbench.persistence.models import Annotation

DECIMALS = 8
"""Decimals written. Six would do for 8K; eight keep what other tools write with seven."""

SMALLEST = 10.0**-DECIMALS
"""Width or height below which a box cannot be written down, so it has no area."""

TOLERANCE = 1e-7
"""How far a rounded box may stick out of the image and still count as inside."""

MAX_BYTES = 2**23
"""Of a label file that is read: as many boxes as it may have, with room to spare."""

MAX_ROWS = 100_000
"""Of a label file; as many as it can have of ordinary boxes."""

MAX_ROW = 2**20
"""Characters of a row: a polygon of 50,000 points."""

FAR = 10.0
"""No normalised coordinate is as large, whatever is wrong with it."""

ROW = re.compile(r"\S[^\r\n]*")
"""A row without the spaces before it: blank lines, of which there may be millions, cost nothing."""

_NEWLINE = re.compile(r"\r\n|\r|\n")
# Nearly every row: a box whose numbers need no closer look.
_PLAIN_BOX = re.compile(r"[0-9]{1,9}(?: [01]\.[0-9]+){4}")
# Nothing but boxes with their centre inside the image and some area, as we write them.
_PLAIN_FILE = re.compile(rb"(?:[0-9]{1,9}(?: 0\.(?!0+[ \n])[0-9]{1,8}){4}\n)*")
_PLAIN_CLASS = re.compile(rb"^[0-9]+", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ParsedLabels:
    """What a label file says.

    Parameters
    ----------
    annotations : list of Annotation
        In the file's order.
    other_rows : int
        How many of them stood there as more than a plain box.
    """

    annotations: list[Annotation]
    other_rows: int = 0


def parse_labels(
    data: bytes, path: str | os.PathLike[str], num_classes: int, *, keypoints: bool = False
) -> ParsedLabels:
    """Read the bytes of a label file.

    Parameters
    ----------
    data : bytes
    path : path-like
        For messages only.
    num_classes : int
        Class ids run from 0 to ``num_classes - 1``.
    keypoints : bool
        The dataset has keypoints after each box.

    Raises
    ------
    LabelFormatError
        If a row is none of the forms above.
    """
    if len(data) > MAX_BYTES:
        raise LabelFormatError(os.fspath(path), 0, too_long(len(data)))
    text = _decode(data, path)
    if has_too_many_rows(text):
        raise LabelFormatError(os.fspath(path), 0, TOO_MANY_ROWS)
    annotations: list[Annotation] = []
    other_rows = 0
    # Ultralytics reads label files with universal newlines, so "\r" ends a line too.
    for match in ROW.finditer(text):
        line = match[0]
        try:
            if len(line) > MAX_ROW:
                raise ValueError(
                    f"expected a row of at most {MAX_ROW:,} characters, found {len(line):,}; "
                    f"is it a label file?"
                )
            fields = line.split()
            class_id = _class_id(fields[0], num_classes)
            plain = _PLAIN_BOX.fullmatch(line)
            values = list(map(float if plain else _coordinate, fields[1:]))
            annotations.append(_checked(class_id, *_box_of(values, keypoints)))
        except ValueError as error:
            number = len(_NEWLINE.findall(text, 0, match.start())) + 1
            raise LabelFormatError(os.fspath(path), number, str(error)) from None
        other_rows += len(values) != 4
    return ParsedLabels(annotations, other_rows)


TOO_MANY_ROWS = f"expected at most {MAX_ROWS:,} rows, found more; is it a label file?"


def has_too_many_rows(text: str) -> bool:
    """Whether a file has more rows than are read; asked before reading them takes seconds."""
    if text.count("\n") + text.count("\r") < MAX_ROWS:
        return False
    return next(islice(ROW.finditer(text), MAX_ROWS, None), None) is not None


def too_long(length: int) -> str:
    """Return what is wrong with a label file of so many bytes."""
    return f"expected at most {MAX_BYTES:,} bytes, found {length:,} or more; is it a label file?"


def revision_of(data: bytes | None) -> str:
    """Return what `LabelData.revision` is for a file of these bytes; None for no file."""
    return "" if data is None else hashlib.blake2b(data, digest_size=12).hexdigest()


def is_plain(data: bytes, num_classes: int) -> bool:
    """Whether a label file surely holds plain boxes only; if not, `parse_labels` must tell."""
    if len(data) > MAX_BYTES or not _PLAIN_FILE.fullmatch(data):
        return False
    return all(int(class_id) < num_classes for class_id in set(_PLAIN_CLASS.findall(data)))


def _decode(data: bytes, path: str | os.PathLike[str]) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        problem = "expected plain text, found UTF-16; save the file as UTF-8"
        raise LabelFormatError(os.fspath(path), 0, problem)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = f"expected plain text, found byte 0x{data[error.start]:02x}; is it a label file?"
        raise LabelFormatError(os.fspath(path), line, problem) from None


def _shown(field: str) -> str:
    return repr(field if len(field) <= 40 else f"{field[:40]}...")


def _number(field: str) -> float:
    # float() takes more than label files may hold: "1_0", "nan", other scripts' digits.
    if not field.isascii() or "_" in field:
        raise ValueError(f"expected a number, found {_shown(field)}")
    try:
        value = float(field)
    except ValueError:
        hint = "; separate the columns by spaces" if "," in field or ";" in field else ""
        raise ValueError(f"expected a number, found {_shown(field)}{hint}") from None
    if not math.isfinite(value):
        raise ValueError(f"expected a number, found {_shown(field)}")
    return value


def _class_id(field: str, num_classes: int) -> int:
    value = _number(field)
    if value != int(value) or value < 0:
        raise ValueError(f"expected a class id (0, 1, 2, ...) first, found {_shown(field)}")
    if value >= num_classes:
        named = int(value) if value < 1e15 else _shown(field)
        raise ValueError(
            f"class id {named}, but the dataset has {counted(num_classes, 'class', 'classes')} "
            f"(ids start at 0); add the class to data.yaml or correct the id"
        )
    return int(value)


def _coordinate(field: str) -> float:
    value = _number(field)
    # Far outside, a number cannot be a normalised coordinate, whatever it is meant to be.
    if not -FAR < value < FAR:
        raise ValueError(
            f"expected a coordinate normalised to 0..1, found {_shown(field)}; is it in pixels?"
        )
    return value


def _box_of(values: list[float], keypoints: bool) -> tuple[float, float, float, float]:
    if len(values) in (4, 5) or (keypoints and len(values) > 5):
        return values[0], values[1], values[2], values[3]
    if len(values) >= 6 and len(values) % 2 == 0:
        left, right = min(values[0::2]), max(values[0::2])
        top, bottom = min(values[1::2]), max(values[1::2])
        return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
    raise ValueError(
        f"expected 5 columns (class x y width height), found {len(values) + 1}; "
        f"a polygon has an odd number of columns, 7 or more"
    )


def _checked(class_id: int, x: float, y: float, width: float, height: float) -> Annotation:
    if width < SMALLEST or height < SMALLEST:
        raise ValueError(
            f"the box has no area (width {width:g}, height {height:g}); remove the row"
        )
    if _inside(x, width) and _inside(y, height):
        return Annotation(class_id, x, y, width, height)
    x, y, width, height = clip_box(x, y, width, height)
    if width < SMALLEST or height < SMALLEST:
        raise ValueError("the box lies outside the image; remove or correct the row")
    return Annotation(class_id, x, y, width, height)


def _inside(centre: float, size: float) -> bool:
    return centre - size / 2 >= -TOLERANCE and centre + size / 2 <= 1.0 + TOLERANCE


def clean_annotations(
    annotations: Iterable[Annotation], num_classes: int, where: str
) -> list[Annotation]:
    """Return boxes as they may be stored: checked, clipped to the image and rounded.

    Parameters
    ----------
    where : str
        What the boxes belong to, for messages.

    Raises
    ------
    InvalidBoxError
        If a box is NaN, empty inside the image, or of an unknown class, or if there are more than
        can be read again.
    """
    cleaned: list[Annotation] = []
    for position, annotation in enumerate(annotations):
        if position == MAX_ROWS:
            raise InvalidBoxError(
                f"{where}: expected at most {MAX_ROWS:,} boxes on an image, found more; cut it "
                f"into several"
            )
        try:
            cleaned.append(_clean(annotation, num_classes))
        except ValueError as error:
            box = ", ".join(f"{value:g}" for value in annotation.xywh)
            message = f"{where}: box {position} (class {annotation.class_id}; {box}): {error}"
            raise InvalidBoxError(message) from None
    return cleaned


def _clean(annotation: Annotation, num_classes: int) -> Annotation:
    class_id = annotation.class_id
    if class_id != int(class_id) or not 0 <= class_id < num_classes:
        raise ValueError(f"expected a class id from 0 to {num_classes - 1}; add the class first")
    # Far outside, a number cannot be a normalised coordinate, and NaN is no number at all.
    x, y, width, height = map(float, annotation.xywh)
    if not (abs(x) < FAR and abs(y) < FAR and abs(width) < FAR and abs(height) < FAR):
        raise ValueError("expected numbers normalised to 0..1")
    if width <= 0 or height <= 0:
        raise ValueError("the box has no area")
    if not (_inside(x, width) and _inside(y, height)):
        x, y, width, height = clip_box(x, y, width, height)
    x, y = round(x, DECIMALS) + 0.0, round(y, DECIMALS) + 0.0
    width, height = round(width, DECIMALS), round(height, DECIMALS)
    if width < SMALLEST or height < SMALLEST:
        raise ValueError("nothing of the box is inside the image (0..1, centre first)")
    return Annotation(int(class_id), x, y, width, height)


def format_labels(annotations: Iterable[Annotation]) -> bytes:
    """Return the bytes of a label file that holds `annotations`, which must be clean."""
    return "".join(
        f"{a.class_id} {a.x:.{DECIMALS}f} {a.y:.{DECIMALS}f} "
        f"{a.width:.{DECIMALS}f} {a.height:.{DECIMALS}f}\n"
        for a in annotations
    ).encode()
