"""All label files of a folder at once, as columns.

Reading 100,000 files one by one through `parse_labels` takes most of its time in Python.
Here the bytes of many files are joined and looked at as one array. Files that hold nothing
but plain rows of five unsigned decimals inside the image (what we and most tools write)
are parsed in one call; every other file goes through `parse_labels`, so both ways give
the same boxes and the same errors.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.errors import LabelFormatError
from workbench.persistence.filesystem.label_text import SMALLEST, TOLERANCE, parse_labels

# A file of plain rows, as `_is_uniform` tests for many at once: unsigned decimals only, so
# that one call to numpy reads them exactly as `parse_labels` does.
_PLAIN = re.compile(rb"(?:[0-9]+(?: [0-9]+(?:\.[0-9]+)?){4}\n)*")

_KIND = np.full(256, 4, dtype=np.uint8)
_KIND[list(b"0123456789")] = 0
_KIND[list(b". \n")] = (1, 2, 3)
_LINE = np.array([2, 1, 2, 1, 2, 1, 2, 1, 3], dtype=np.uint8)

_CHUNK = 1 << 16
_READ_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Boxes of many files: which file each belongs to, its class and its normalised xywh."""

    file_index: npt.NDArray[np.int64]
    class_id: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float64]
    problems: list[LabelFormatError]


def read_file(path: str) -> bytes:
    """Return a small file's bytes; `os.read` takes a quarter of the time of ``open``."""
    descriptor = os.open(path, _READ_FLAGS)
    try:
        data = os.read(descriptor, _CHUNK)
        if len(data) < _CHUNK:
            return data
        parts = [data]
        while data := os.read(descriptor, _CHUNK):
            parts.append(data)
        return b"".join(parts)
    finally:
        os.close(descriptor)


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
    plain, file_of_row, rows = _parse_plain(contents, num_classes)
    parts_index, parts_rows = [file_of_row], [rows]
    problems: list[LabelFormatError] = []
    for position in np.flatnonzero(~plain).tolist():
        try:
            parsed = parse_labels(
                contents[position], paths[position], num_classes, keypoints=keypoints
            )
        except LabelFormatError as error:
            problems.append(error)
            continue
        values = [(a.class_id, *a.xywh) for a in parsed.annotations]
        parts_rows.append(np.array(values, dtype=np.float64).reshape(-1, 5))
        parts_index.append(np.full(len(values), position, dtype=np.int64))
    file_index, rows = np.concatenate(parts_index), np.concatenate(parts_rows)
    if len(parts_rows) > 1:
        order = np.argsort(file_index, kind="stable")
        file_index, rows = file_index[order], rows[order]
    return Columns(file_index, rows[:, 0].astype(np.int64), rows[:, 1:], problems)


def _parse_plain(
    contents: list[bytes], num_classes: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Parse the files that hold plain rows only.

    Returns
    -------
    plain : ndarray of bool, shape (files,)
    file_of_row : ndarray of int64, shape (rows,)
    rows : ndarray of float64, shape (rows, 5)
    """
    plain = np.ones(len(contents), dtype=np.bool_)
    blob = b"".join(contents)
    if not (_all_end_lines(contents) and _is_uniform(blob)):
        plain = np.array([_PLAIN.fullmatch(c) is not None for c in contents], dtype=np.bool_)
        contents = [c if good else b"" for c, good in zip(contents, plain.tolist(), strict=True)]
        blob = b"".join(contents)
    counts = np.array([c.count(b"\n") for c in contents], dtype=np.int64)
    file_of_row = np.repeat(np.arange(len(contents), dtype=np.int64), counts)
    rows = np.fromstring(blob, dtype=np.float64, sep=" ").reshape(-1, 5)
    bad = ~_good_rows(rows, num_classes)
    if bad.any():
        plain[file_of_row[bad]] = False
        keep = plain[file_of_row]
        file_of_row, rows = file_of_row[keep], rows[keep]
    return plain, file_of_row, rows


def _all_end_lines(contents: list[bytes]) -> bool:
    return all(c.endswith(b"\n") for c in contents if c)


def _is_uniform(blob: bytes) -> bool:
    """Whether every line is ``digits d.d d.d d.d d.d`` and nothing else.

    What is no digit must then be the pattern of one line over and over, with at least
    one digit before each.
    """
    kind = _KIND[np.frombuffer(blob, dtype=np.uint8)]
    places = np.flatnonzero(kind)
    if len(places) % len(_LINE):
        return False
    if (np.diff(places, prepend=-1) < 2).any():
        return False
    return bool((kind[places].reshape(-1, len(_LINE)) == _LINE).all())


def _good_rows(rows: npt.NDArray[np.float64], num_classes: int) -> npt.NDArray[np.bool_]:
    """Whether each row stands for itself: known class, some area, inside the image."""
    class_id, centre, size = rows[:, 0], rows[:, 1:3], rows[:, 3:5]
    half = size / 2
    inside = (centre - half >= -TOLERANCE) & (centre + half <= 1.0 + TOLERANCE)
    good = (inside & (size >= SMALLEST)).all(axis=1)
    return np.asarray(good & (class_id < num_classes) & (class_id == np.floor(class_id)))
