"""Rows of YOLO label files out of columns: ``class x y width height``, with eight decimals.

A million boxes formatted one number at a time take seconds. Here the digits of all numbers are
made at once, as columns of one table of bytes whose rows are the lines.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

_DIGITS = 8
_COLUMN = _DIGITS + 3  # a space, a digit, the point, and the digits behind it
_BLOCK = 1 << 16
_ZERO, _SPACE, _POINT, _NEWLINE = np.frombuffer(b"0 .\n", dtype=np.uint8)

Ids = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


def label_texts(class_id: Ids, boxes: Numbers, counts: Ids) -> Iterator[bytes]:
    """Yield the contents of label files.

    Parameters
    ----------
    class_id : ndarray of int64, shape (boxes,)
    boxes : ndarray of float64, shape (boxes, 4)
        Normalised xywh, file by file.
    counts : ndarray of int64, shape (files,)
        How many boxes each file has.
    """
    ends = np.cumsum(counts)
    done = first = 0
    while first < len(counts):
        # So many files that their rows make a block, and at least one.
        last = max(int(np.searchsorted(ends, done + _BLOCK, side="right")), first + 1)
        stop = int(ends[last - 1])
        text, lengths = _rows(class_id[done:stop], boxes[done:stop])
        places = np.concatenate([[0], np.cumsum(lengths)])[ends[first:last] - done].tolist()
        begin = 0
        for end in places:
            yield text[begin:end]
            begin = end
        done, first = stop, last


def _rows(class_id: Ids, boxes: Numbers) -> tuple[bytes, Ids]:
    """Return lines, joined, and the length of each."""
    number = len(class_id)
    most = int(class_id.max(initial=0))
    front = len(str(most))
    if number and not ((boxes >= 0) & (boxes < 9)).all():
        return _one_by_one(class_id, boxes)
    table = np.empty((number, front + 4 * _COLUMN + 1), dtype=np.uint8)
    table[:, -1] = _NEWLINE
    _write_digits(table[:, :front], class_id.astype(np.uint32))
    left = np.rint(boxes * 10.0**_DIGITS).astype(np.uint32)
    for column in range(4):
        part = table[:, front + column * _COLUMN : front + (column + 1) * _COLUMN]
        part[:, 0], part[:, 2] = _SPACE, _POINT
        whole, rest = np.divmod(left[:, column], np.uint32(10**_DIGITS))
        part[:, 1] = whole + _ZERO
        _write_digits(part[:, 3:], rest)
    lengths = np.full(number, table.shape[1], dtype=np.int64)
    if front == 1:
        return table.tobytes(), lengths
    keep = np.ones(table.shape, dtype=np.bool_)
    for place in range(front - 1):
        keep[:, place] = class_id >= 10 ** (front - 1 - place)
        lengths -= ~keep[:, place]
    return table[keep].tobytes(), lengths


def _write_digits(part: npt.NDArray[np.uint8], values: npt.NDArray[np.uint32]) -> None:
    """Write whole numbers into columns of digits, the last digit into the last one."""
    ten = np.uint32(10)
    for place in reversed(range(part.shape[1])):
        values, digit = np.divmod(values, ten)
        part[:, place] = digit + _ZERO


def _one_by_one(class_id: Ids, boxes: Numbers) -> tuple[bytes, Ids]:
    """Return the same for numbers that need a sign or more than a digit before the point."""
    lines = [
        f"{own} {x:.8f} {y:.8f} {w:.8f} {h:.8f}\n".encode()
        for own, (x, y, w, h) in zip(class_id.tolist(), boxes.tolist(), strict=True)
    ]
    return b"".join(lines), np.array([len(line) for line in lines], dtype=np.int64)
