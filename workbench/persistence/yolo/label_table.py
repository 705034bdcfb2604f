"""All label files of a folder at once, as columns.

Reading 100,000 files one by one through `parse_labels` takes most of its time in Python.
Here the bytes of many files are joined and looked at as one array. Files that hold nothing
but plain rows of five unsigned decimals (what we and most tools write) are parsed together;
every other file goes through `parse_labels`, so both ways give the same boxes and the same
errors.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.errors import LabelFormatError
from workbench.geometry import clip_xywh
from workbench.persistence.disk_errors import kind_at
from workbench.persistence.plain_files import read_file, status_of
from workbench.persistence.yolo.label_text import (
    FAR,
    MAX_BYTES,
    MAX_ROWS,
    SMALLEST,
    TOLERANCE,
    parse_labels,
    too_long,
)

# A file of plain rows, with whatever spaces between: unsigned decimals only, so that numpy reads
# them exactly as `parse_labels` does.
_PLAIN = re.compile(
    rb"(?:[0-9]+(?:[ \t]+(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)){4}[ \t]*\r?\n)*", re.ASCII
)

# What is no digit in a row where every coordinate has a point, as in nearly all files.
_SEPARATORS = np.frombuffer(b" . . . .\n", dtype=np.uint8)
_NO_LABELS = b"x"  # stands for what is too long to be any
_ZERO, _NINE = np.frombuffer(b"09", dtype=np.uint8)
_NEWLINE = 10
_Places = npt.NDArray[np.int64]
_MOST_DIGITS = 15  # of a number that is exact in float64 whatever the digits

_ODD = "delete it, or put a file there"


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Boxes of many files: which file each belongs to, its class and its normalised xywh.

    `irregular` are the files, in ascending order, that hold anything but plain boxes: those in
    `problems`, and others whose rows have more columns or another way of writing numbers.
    """

    file_index: npt.NDArray[np.int64]
    class_id: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float64]
    problems: list[LabelFormatError]
    irregular: npt.NDArray[np.int64]


def read_labels(path: str) -> bytes:
    """Return the bytes of a label file.

    Raises
    ------
    FileNotFoundError
        If there is none.
    LabelFormatError
        If it is longer than any that is read, or no file: to read from a pipe would take
        for ever.
    """
    size = status_of(
        path, lambda: LabelFormatError(path, 0, f"expected a file, found {kind_at(path)}; {_ODD}")
    ).st_size
    if size > MAX_BYTES:
        raise LabelFormatError(path, 0, too_long(size))
    return read_file(path)


def parse_many(
    contents: list[bytes], paths: list[str], num_classes: int, *, keypoints: bool = False
) -> Columns:
    """Parse many label files.

    Parameters
    ----------
    contents : list of bytes
    paths : list of str
        Of the same files, for messages.
    num_classes, keypoints
        As for `parse_labels`.
    """
    plain, file_of_row, rows = _clipped(*parse_plain(contents, num_classes, anywhere=True))
    parts_index, parts_rows = [file_of_row], [rows]
    problems: list[LabelFormatError] = []
    irregular = np.flatnonzero(~plain)
    for position in irregular.tolist():
        try:
            parsed = parse_labels(
                contents[position], paths[position], num_classes, keypoints=keypoints
            )
        except LabelFormatError as error:
            problems.append(_bare(error))
            continue
        values = [(a.class_id, *a.xywh) for a in parsed.annotations]
        parts_rows.append(np.array(values, dtype=np.float64).reshape(-1, 5))
        parts_index.append(np.full(len(values), position, dtype=np.int64))
    file_index, rows = np.concatenate(parts_index), np.concatenate(parts_rows)
    if len(parts_rows) > 1:
        order = np.argsort(file_index, kind="stable")
        file_index, rows = file_index[order], rows[order]
    # A copy, which keeps no more in memory than it is.
    boxes = np.ascontiguousarray(rows[:, 1:])
    return Columns(file_index, rows[:, 0].astype(np.int64), boxes, problems, irregular)


def _bare(error: LabelFormatError) -> LabelFormatError:
    """Return an error that keeps nothing alive of where it was raised: not the whole file."""
    error.__context__ = None
    return error.with_traceback(None)


def _clipped(
    plain: npt.NDArray[np.bool_],
    file_of_row: npt.NDArray[np.int64],
    rows: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Cut plain rows off at the border, as `parse_labels` does; what it refuses is not plain.

    Tools that round corners and not centres write some rows of nearly every dataset so.
    """
    over = np.flatnonzero(~_are_inside(rows))
    if not len(over):
        return plain, file_of_row, rows
    boxes = clip_xywh(rows[over, 1:])
    bad = (boxes[:, 2:] < SMALLEST).any(axis=1) | (rows[over, 1:] >= FAR).any(axis=1)
    rows[over, 1:] = boxes
    plain[file_of_row[over[bad]]] = False
    keep = plain[file_of_row]
    return plain, file_of_row[keep], rows[keep]


def join(parts: Sequence[Columns]) -> Columns:
    """Return the boxes of all parts in one, in the given order."""
    if not parts:
        none = np.empty(0, dtype=np.int64)
        return Columns(none, none, np.empty((0, 4), dtype=np.float64), [], none)
    return Columns(
        np.concatenate([part.file_index for part in parts]),
        np.concatenate([part.class_id for part in parts]),
        np.concatenate([part.boxes for part in parts]),
        [problem for part in parts for problem in part.problems],
        np.concatenate([part.irregular for part in parts]),
    )


def parse_plain(
    contents: list[bytes], num_classes: int, *, anywhere: bool = False
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Parse the files that hold plain rows only.

    Parameters
    ----------
    contents : list of bytes
    num_classes : int
    anywhere : bool
        Also those whose boxes reach out of the image.

    Returns
    -------
    plain : ndarray of bool, shape (files,)
    file_of_row : ndarray of int64, shape (rows,)
    rows : ndarray of float64, shape (rows, 5)
    """
    plain = np.ones(len(contents), dtype=np.bool_)
    if max(map(len, contents), default=0) > MAX_ROWS:
        contents = [_NO_LABELS if _is_too_long(c) else c for c in contents]
    blob = b"".join(contents)
    ends = np.fromiter(map(len, contents), dtype=np.int64, count=len(contents)).cumsum()
    separators = _separators(blob) if _all_end_lines(blob, ends) else None
    if separators is not None:
        rows = _numbers_between(blob, *separators)
        # The last of what is no digit in a row ends it.
        rows_before = np.searchsorted(separators[0][:, -1], ends)
        counts = np.diff(rows_before, prepend=0)
    else:
        plain = np.array([_PLAIN.fullmatch(c) is not None for c in contents], dtype=np.bool_)
        contents = [c if good else b"" for c, good in zip(contents, plain.tolist(), strict=True)]
        rows = _numbers(b"".join(contents))
        counts = np.array([c.count(b"\n") for c in contents], dtype=np.int64)
    file_of_row = np.repeat(np.arange(len(contents), dtype=np.int64), counts)
    bad = ~_good_rows(rows, num_classes, anywhere)
    if bad.any():
        plain[file_of_row[bad]] = False
        keep = plain[file_of_row]
        file_of_row, rows = file_of_row[keep], rows[keep]
    return plain, file_of_row, rows


def _is_too_long(content: bytes) -> bool:
    return len(content) > MAX_BYTES or content.count(b"\n") > MAX_ROWS


def plain_files(contents: list[bytes], num_classes: int) -> npt.NDArray[np.bool_]:
    """Whether each file holds nothing but plain boxes inside the image, shape (files,)."""
    return parse_plain(contents, num_classes)[0]


def _all_end_lines(blob: bytes, ends: _Places) -> bool:
    """Whether each file that ends at one of these places of the joined bytes ends in a newline.

    An empty one ends where the one before it does.
    """
    text = np.frombuffer(blob, dtype=np.uint8)
    return bool((text[ends[ends > 0] - 1] == _NEWLINE).all())


def _separators(blob: bytes) -> tuple[_Places, _Places] | None:
    """Find what is no digit, if all rows are alike.

    Alike is ``digits d.d d.d d.d d.d``: what is no digit is the pattern of one row over
    and over, with at least one digit before each.

    Returns
    -------
    places, lengths : ndarray of int64, shape (rows, 9)
        Where each row has them, and the number of digits before each. None if the rows
        are not alike.
    """
    text = np.frombuffer(blob, dtype=np.uint8)
    places = np.flatnonzero(text - _ZERO > _NINE - _ZERO)
    lengths = places.copy()  # of the digits before each
    lengths[1:] -= places[:-1] + 1
    if len(places) % len(_SEPARATORS) or not lengths.all():
        return None
    rows = places.reshape(-1, len(_SEPARATORS))
    return (rows, lengths.reshape(rows.shape)) if (text[rows] == _SEPARATORS).all() else None


def _numbers_between(blob: bytes, places: _Places, lengths: _Places) -> npt.NDArray[np.float64]:
    """Return the numbers of rows that are alike, shape (rows, 5).

    Where all coordinates have one digit before the point and equally many behind it, as
    one program writes them, digits are added up in columns, in a fraction of the time
    that numpy's reader takes. They make a whole number below 2**53, which is exact in
    float64, as powers of ten are up to 10**22; so their quotient is the float64 nearest
    to the decimal, which is what ``float`` returns.
    """
    if not len(places):
        return np.empty((0, 5))
    decimals, class_digits = int(lengths[0, 2]), int(lengths[:, 0].max())
    if max(decimals + 1, class_digits) > _MOST_DIGITS or not (
        (lengths[:, 1::2] == 1).all() and (lengths[:, 2::2] == decimals).all()
    ):
        return _numbers(blob)
    digits = np.frombuffer(blob, dtype=np.uint8) - _ZERO
    points = places[:, 1::2].copy()  # contiguous: quicker to look up with
    boxes = digits.take(points - 1).astype(np.float64)
    for place in range(1, decimals + 1):
        boxes *= 10.0
        boxes += digits[place:].take(points)
    last = places[:, 0] - 1
    rows = np.empty((len(places), 5))
    class_id = rows[:, 0]
    class_id[:] = digits.take(last)
    for place in range(1, class_digits):
        longer = np.flatnonzero(lengths[:, 0] > place)
        class_id[longer] += digits.take(last[longer] - place) * 10.0**place
    np.divide(boxes, 10.0**decimals, out=rows[:, 1:])
    return rows


def _numbers(blob: bytes) -> npt.NDArray[np.float64]:
    return np.fromstring(blob, dtype=np.float64, sep=" ").reshape(-1, 5)


def _good_rows(
    rows: npt.NDArray[np.float64], num_classes: int, anywhere: bool
) -> npt.NDArray[np.bool_]:
    """Whether each row stands for itself: known class, some area, inside the image."""
    class_id, size = rows[:, 0], rows[:, 3:5]
    good = (size >= SMALLEST).all(axis=1)
    if not anywhere:
        good &= _are_inside(rows)
    return np.asarray(good & (class_id < num_classes) & (class_id == np.floor(class_id)))


def _are_inside(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    centre, half = rows[:, 1:3], rows[:, 3:5] / 2
    inside = (centre - half >= -TOLERANCE) & (centre + half <= 1.0 + TOLERANCE)
    return np.asarray(inside.all(axis=1))
