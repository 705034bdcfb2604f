"""The annotations of COCO files in columns, and those of large files without an object for each.

As objects of Python, annotations take ten times the memory of their text. So of a large file
whose annotations are all alike, some thousand are read at a time, and columns are kept of what is
usually looked at. Any single one is read once more if somebody asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import orjson

from workbench.datasets.formats.coco_boxes import PLAIN
from workbench.datasets.formats.items import KEYPOINTS, POLYGON

SHAPES = ("", POLYGON, KEYPOINTS)
"""What an annotation with a box is more than that."""

_LARGE = 2**22
_AT_ONCE = 2**18
_TRIES = 8
_STAND_IN = b'"annotations stood here"'
_BEGIN = re.compile(rb'"annotations"\s*:\s*\[')
_NEXT = re.compile(rb"\}(\s*,\s*)\{")
_END = re.compile(rb"\}\s*\](?=\s*[,}])")
_KEPT_KEYS = frozenset({"attributes", "score", "track_id", "occluded", "truncated", "difficult"})

Ids = npt.NDArray[np.int64]
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class RowColumns:
    """What is usually looked at of annotations that are all alike.

    Parameters
    ----------
    image_id, category_id : ndarray of int64, shape (rows,)
    sides : ndarray of float64, shape (rows, 4)
        ``x, y, width, height``.
    crowd : ndarray of bool, shape (rows,)
    shapes : ndarray of uint8, shape (rows,)
        Places in `SHAPES`.
    extras : dict of int to mapping
        What YOLO has no place for, by the row's number.
    """

    image_id: Ids
    category_id: Ids
    sides: npt.NDArray[np.float64]
    crowd: npt.NDArray[np.bool_]
    shapes: npt.NDArray[np.uint8]
    extras: dict[int, Row] = field(default_factory=dict)


def columns_of(rows: Sequence[Any]) -> RowColumns | None:
    """Return annotations in columns; None if some are no objects, or otherwise not like most.

    All like most have whole numbers as their ids, and four numbers as their box.
    """
    try:
        image_ids = [*map(itemgetter("image_id"), rows)]
        categories = [*map(itemgetter("category_id"), rows)]
        boxes = [*map(itemgetter("bbox"), rows)]
        crowds = [row.get("iscrowd") for row in rows]
    except (TypeError, KeyError, AttributeError):
        return None
    if not rows or {*map(type, image_ids), *map(type, categories)} != {int}:
        return None
    if {*map(type, boxes)} != {list} or {*map(len, boxes)} != {4}:
        return None
    if not {*map(type, chain.from_iterable(boxes))} <= PLAIN:
        return None
    if not {*map(type, crowds)} <= {int, type(None)}:
        return None
    try:
        return RowColumns(
            np.array(image_ids, dtype=np.int64),
            np.array(categories, dtype=np.int64),
            np.fromiter(chain.from_iterable(boxes), np.float64, 4 * len(rows)).reshape(-1, 4),
            np.array([crowd == 1 for crowd in crowds], dtype=np.bool_),
            np.fromiter(map(_plain_shape, rows), dtype=np.uint8, count=len(rows)),
            {} if all(map(_KEPT_KEYS.isdisjoint, rows)) else _extras(rows),
        )
    except OverflowError:
        return None


def _plain_shape(row: Row) -> int:
    """Return what an annotation with a box is more than that, as its place in `SHAPES`."""
    outline = row.get("segmentation")
    return 1 if outline and type(outline) is list else 2 if row.get("keypoints") else 0


def _extras(rows: Sequence[Row]) -> dict[int, Row]:
    return {n: extra for n, row in enumerate(rows) if (extra := extra_of(row)) is not None}


def extra_of(row: Row) -> dict[str, Any] | None:
    """Return what YOLO has no place for."""
    if _KEPT_KEYS.isdisjoint(row):
        return None
    return {key: row[key] for key in _KEPT_KEYS if row.get(key) not in (None, {})} or None


class CocoRows(Sequence[Any]):
    """The annotations of a large file, whose objects are made when they are asked for.

    Parameters
    ----------
    data : bytes
        The file.
    parts : sequence of (int, int)
        Where some annotations at a time begin and end there.
    counts : sequence of int
        How many these are.
    columns : RowColumns
    """

    def __init__(
        self,
        data: bytes,
        parts: Sequence[tuple[int, int]],
        counts: Sequence[int],
        columns: RowColumns,
    ) -> None:
        self.columns = columns
        self._data = data
        self._parts = parts
        self._ends = np.cumsum(counts)
        self._read: tuple[int, list[Any]] = (-1, [])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __iter__(self) -> Iterator[Any]:
        for number in range(len(self._parts)):
            yield from self._part(number)

    @overload
    def __getitem__(self, index: int) -> Any: ...

    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        number = int(np.searchsorted(self._ends, place, side="right"))
        before = int(self._ends[number - 1]) if number else 0
        return self._part(number)[place - before]

    def _part(self, number: int) -> list[Any]:
        if self._read[0] != number:
            self._read = number, _rows_between(self._data, *self._parts[number])
        return self._read[1]


def parse_large(data: bytes) -> dict[str, Any] | None:
    """Return what a large COCO file holds, its annotations as `CocoRows`.

    None if it is none, or small, or its annotations are not alike: then it is read as any JSON.
    """
    begin = _BEGIN.search(data) if len(data) >= _LARGE else None
    if begin is None:
        return None
    read = _Reader(data, begin.end())
    columns = read.to_the_end()
    if columns is None:
        return None
    # The rest is JSON with something in the place of the annotations, which tells where they are.
    rest = b"".join([data[: begin.end() - 1], _STAND_IN, data[read.stop :]])
    try:
        found = orjson.loads(rest)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(found, dict) or found.get("annotations") != orjson.loads(_STAND_IN):
        return None
    if not (found.get("images") and found.get("categories")):
        return None
    found["annotations"] = CocoRows(data, read.parts, read.counts, columns)
    return found


class _Reader:
    """Reads a list of objects, some at a time.

    Whatever is between two places and makes a list of JSON when it stands in brackets is whole:
    so what comes next belongs to the list again, or ends it.
    """

    def __init__(self, data: bytes, start: int) -> None:
        self._data = data
        self.stop = start
        self.parts: list[tuple[int, int]] = []
        self.counts: list[int] = []
        self._columns: list[RowColumns] = []

    def to_the_end(self) -> RowColumns | None:
        """Return the columns of all, and let `stop` be the place behind them; None if not alike."""
        ended = False
        while not ended:
            found = self._next()
            if found is None:
                return None
            rows, part, self.stop, ended = found
            columns = columns_of(rows)
            if columns is None:
                return None
            self.parts.append(part)
            self.counts.append(len(rows))
            self._columns.append(columns)
        return self._joined()

    def _next(self) -> tuple[list[Any], tuple[int, int], int, bool] | None:
        start = self.stop
        place = start + _AT_ONCE
        for _ in range(_TRIES):
            match = _NEXT.search(self._data, place)
            if match is None:
                break
            if (rows := _rows_or_none(self._data, start, match.start() + 1)) is not None:
                return rows, (start, match.start() + 1), match.end(1), False
            # The list may have ended before, and this is another one.
            if (last := self._last(start, match.start() + 1)) is not None:
                return last
            place = match.end(1)
        return self._last(start, len(self._data))

    def _last(self, start: int, stop: int) -> tuple[list[Any], tuple[int, int], int, bool] | None:
        for match, _ in zip(_END.finditer(self._data, start, stop), range(_TRIES), strict=False):
            if (rows := _rows_or_none(self._data, start, match.start() + 1)) is not None:
                return rows, (start, match.start() + 1), match.end(), True
        return None

    def _joined(self) -> RowColumns:
        parts, self._columns = self._columns, []
        extras: dict[int, Row] = {}
        before = 0
        for part in parts:
            extras |= {before + number: extra for number, extra in part.extras.items()}
            before += len(part.image_id)
        return RowColumns(
            np.concatenate([part.image_id for part in parts]),
            np.concatenate([part.category_id for part in parts]),
            np.concatenate([part.sides for part in parts]),
            np.concatenate([part.crowd for part in parts]),
            np.concatenate([part.shapes for part in parts]),
            extras,
        )


def _rows_between(data: bytes, start: int, stop: int) -> list[Any]:
    rows: list[Any] = orjson.loads(b"[%b]" % data[start:stop])
    return rows


def _rows_or_none(data: bytes, start: int, stop: int) -> list[Any] | None:
    try:
        return _rows_between(data, start, stop)
    except orjson.JSONDecodeError:
        return None
