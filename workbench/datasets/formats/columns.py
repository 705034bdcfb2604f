"""Boxes of very many pictures in columns, which look like lists of objects where one is looked at.

Nearly all boxes that are imported have nothing odd about them. Readers hand those on as columns,
a part of which belongs to each record; they go as columns all the way to the label files. An
object for each is made only where somebody looks at the boxes of one picture.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from workbench.datasets.formats.items import Box

Ids = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class BoxTable:
    """Boxes of many records, record by record.

    Parameters
    ----------
    labels : sequence of str
        Names of classes; `class_id` counts in these.
    class_id : ndarray of int64, shape (boxes,)
    corners : ndarray of float64, shape (boxes, 4)
        ``x0, y0, x1, y1``, in the unit of the record.
    places : ndarray of int64, shape (boxes,), or None
        Line or element in the file; None: they count from 1 in each record.
    shapes : ndarray of uint8, shape (boxes,), or None
        What each is more than a box, as its place in `shape_names`; None: nothing.
    shape_names : sequence of str
    extras : dict of int to mapping
        What YOLO has no place for, by the box's place in the columns.
    """

    labels: Sequence[str]
    class_id: Ids
    corners: Numbers
    places: Ids | None = None
    shapes: npt.NDArray[np.uint8] | None = None
    shape_names: Sequence[str] = ("",)
    extras: dict[int, Mapping[str, Any]] = field(default_factory=dict)


class PlainBoxes(Sequence[Box]):
    """The boxes of one record: a part of a table.

    Parameters
    ----------
    table : BoxTable
    start, stop : int
    raw : bytes
        A YOLO label file of these boxes, whose rows are to be kept as they are.
    """

    __slots__ = ("raw", "start", "stop", "table")

    def __init__(self, table: BoxTable, start: int, stop: int, raw: bytes = b"") -> None:
        self.table = table
        self.start = start
        self.stop = stop
        self.raw = raw

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[Box]:
        table, part = self.table, slice(self.start, self.stop)
        shapes = [0] * len(self) if table.shapes is None else table.shapes[part].tolist()
        columns = (
            self.labels(),
            table.corners[part].tolist(),
            self.places(),
            shapes,
            rests_of(self.raw) if self.raw else [None] * len(self),
        )
        for number, (label, corners, place, shape, rest) in enumerate(zip(*columns, strict=True)):
            extra = table.extras.get(self.start + number)
            x0, y0, x1, y1 = corners
            yield Box(label, x0, y0, x1, y1, place, table.shape_names[shape], rest, extra)

    @overload
    def __getitem__(self, index: int) -> Box: ...

    @overload
    def __getitem__(self, index: slice) -> list[Box]: ...

    def __getitem__(self, index: int | slice) -> Box | list[Box]:
        return list(self)[index]

    def labels(self) -> list[str]:
        """Return the class of each."""
        names = self.table.labels
        return [names[n] for n in self.table.class_id[self.start : self.stop].tolist()]

    def places(self) -> list[int]:
        """Return the line or element of each."""
        if self.table.places is None:
            return list(range(1, len(self) + 1))
        places: list[int] = self.table.places[self.start : self.stop].tolist()
        return places

    def shapes(self) -> list[str]:
        """Return what they are more than boxes, each once."""
        if self.table.shapes is None:
            return []
        found = dict.fromkeys(self.table.shapes[self.start : self.stop].tolist())
        return [name for number in found if (name := self.table.shape_names[number])]


def runs_of(parts: Iterable[PlainBoxes]) -> Iterator[tuple[BoxTable, int, int]]:
    """Yield tables with a beginning and an end in them; parts that follow each other are one."""
    table: BoxTable | None = None
    start = stop = 0
    for part in parts:
        if part.table is table and part.start == stop:
            stop = part.stop
            continue
        if table is not None:
            yield table, start, stop
        table, start, stop = part.table, part.start, part.stop
    if table is not None:
        yield table, start, stop


def count_plain(parts: Iterable[PlainBoxes]) -> Counter[str]:
    """Return how many boxes of each class some records have."""
    result: Counter[str] = Counter()
    for table, start, stop in runs_of(parts):
        for number, count in enumerate(np.bincount(table.class_id[start:stop]).tolist()):
            if count:
                result[table.labels[number]] += count
    return result


class Row(NamedTuple):
    """One box as it will be stored: class name, normalised xywh, and the text to keep for it."""

    label: str
    x: float
    y: float
    width: float
    height: float
    rest: str | None = None
    extra: Any = None


class PlainRows(Sequence[Row]):
    """The boxes of one picture as they will be stored, all of which are taken.

    Parameters
    ----------
    source : PlainBoxes
    boxes : ndarray of float64, shape (boxes, 4)
        Normalised xywh, of many pictures.
    start : int
        Where this picture's begin there.
    """

    __slots__ = ("boxes", "source", "start")

    def __init__(self, source: PlainBoxes, boxes: Numbers, start: int) -> None:
        self.source = source
        self.boxes = boxes
        self.start = start

    def __len__(self) -> int:
        return self.source.stop - self.source.start

    def __iter__(self) -> Iterator[Row]:
        for box, row in zip(self.source, self.xywh().tolist(), strict=True):
            x, y, width, height = row
            yield Row(box.label, x, y, width, height, box.rest, box.extra)

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...

    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        return list(self)[index]

    def xywh(self) -> Numbers:
        """Return the boxes, normalised xywh."""
        return self.boxes[self.start : self.start + len(self.source)]

    def has_extras(self) -> bool:
        """Whether any carries what YOLO has no place for."""
        extras = self.source.table.extras
        return bool(extras) and any(n in extras for n in range(self.source.start, self.source.stop))


Rows = Sequence[Row]
"""Of a picture: a list, or `PlainRows`."""


def labels_in(rows: Rows | None) -> list[str]:
    """Return the class of each row."""
    if isinstance(rows, PlainRows):
        return rows.source.labels()
    return [row.label for row in rows or ()]


def count_labels(pictures: Iterable[Rows | None]) -> Counter[str]:
    """Return how many boxes of each class there are on pictures with these rows."""
    found = list(pictures)
    result = count_plain(rows.source for rows in found if isinstance(rows, PlainRows))
    result.update(row.label for rows in found if isinstance(rows, list) for row in rows)
    return result


def rests_of(raw: bytes) -> list[str]:
    """Return what stands behind the class in each row of a plain YOLO label file."""
    return [line.partition(" ")[2] for line in raw.decode().splitlines()]
