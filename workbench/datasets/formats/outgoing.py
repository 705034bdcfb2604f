"""What writers of all formats get: pictures with their boxes, the boxes of all in columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt

DECIMALS = 4
"""Of pixels: a hundredth of what is asked of a round trip."""


class OutBox(NamedTuple):
    """One box on its way out: corners in pixels of the picture as it is shown."""

    class_id: int
    x0: float
    y0: float
    x1: float
    y1: float
    extra: Mapping[str, Any] = {}

    @property
    def xywh(self) -> list[float]:
        """Left, top, width and height in pixels."""
        return [self.x0, self.y0, rounded(self.x1 - self.x0), rounded(self.y1 - self.y0)]


def rounded(value: float) -> float:
    """Return pixels with as many decimals as are written; a whole number as an integer."""
    near = round(value, DECIMALS)
    return int(near) if near == int(near) else near


@dataclass(frozen=True, slots=True, eq=False)
class OutTable:
    """The boxes of all pictures that go out, picture by picture.

    Parameters
    ----------
    class_id : ndarray of int64, shape (boxes,)
    corners : ndarray of float64, shape (boxes, 4)
        Left, top, right and bottom in pixels.
    extras : dict of int to mapping
        What boxes carry beyond that, by their place in the columns.
    """

    class_id: npt.NDArray[np.int64]
    corners: npt.NDArray[np.float64]
    extras: dict[int, Mapping[str, Any]] = field(default_factory=dict)


class OutBoxes(Sequence[OutBox]):
    """The boxes of one picture: a part of a table, of which objects are made when asked for."""

    __slots__ = ("start", "stop", "table")

    def __init__(self, table: OutTable, start: int, stop: int) -> None:
        self.table = table
        self.start = start
        self.stop = stop

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[OutBox]:
        part = slice(self.start, self.stop)
        rows = self.table.corners[part].tolist()
        extras = self.table.extras
        ids = self.table.class_id[part].tolist()
        for place, (class_id, row) in enumerate(zip(ids, rows, strict=True), self.start):
            x0, y0, x1, y1 = row
            yield OutBox(class_id, x0, y0, x1, y1, extras.get(place, {}))

    @overload
    def __getitem__(self, index: int) -> OutBox: ...

    @overload
    def __getitem__(self, index: slice) -> list[OutBox]: ...

    def __getitem__(self, index: int | slice) -> OutBox | list[OutBox]:
        return list(self)[index]


@dataclass(frozen=True, slots=True)
class OutItem:
    """One picture on its way out.

    Parameters
    ----------
    split, filename : str
    width, height : int
    boxes : OutBoxes or None
        None: not labelled yet.
    rows : sequence of str
        Rows of its YOLO label file that are to be written as they are; empty: its boxes are.
    """

    split: str
    filename: str
    width: int
    height: int
    boxes: OutBoxes | None
    rows: Sequence[str] = ()

    @property
    def stem(self) -> str:
        """The file's name without its extension."""
        return self.filename[: self.filename.rfind(".")]


class OutColumns(NamedTuple):
    """The boxes of some pictures in columns.

    Parameters
    ----------
    counts : ndarray of int64, shape (pictures,)
        How many boxes each picture has.
    owner : ndarray of int64, shape (boxes,)
        The picture of each box, by its place.
    class_id : ndarray of int64, shape (boxes,)
    corners : ndarray of float64, shape (boxes, 4)
    extras : dict of int to mapping
        By the place of the box in these columns.
    """

    counts: npt.NDArray[np.int64]
    owner: npt.NDArray[np.int64]
    class_id: npt.NDArray[np.int64]
    corners: npt.NDArray[np.float64]
    extras: dict[int, Mapping[str, Any]]


def columns_of(items: Sequence[OutItem]) -> OutColumns:
    """Return the boxes of some pictures, which all have labels, in their order."""
    found = [item.boxes for item in items if item.boxes is not None]
    if not found or any(
        boxes.table is not before.table or boxes.start != before.stop
        for before, boxes in pairwise(found)
    ):
        return _gathered(found)
    # They follow each other in one table: nothing has to be copied.
    table, first, last = found[0].table, found[0].start, found[-1].stop
    counts = np.diff([first, *(boxes.stop for boxes in found)])
    owner = np.repeat(np.arange(len(found)), counts)
    extras = {n - first: extra for n, extra in table.extras.items() if first <= n < last}
    part = slice(first, last)
    return OutColumns(counts, owner, table.class_id[part], table.corners[part], extras)


def _gathered(found: Sequence[OutBoxes]) -> OutColumns:
    """Return the boxes of pictures in columns that are copied together."""
    counts = np.array([len(boxes) for boxes in found], dtype=np.int64)
    class_ids = [boxes.table.class_id[boxes.start : boxes.stop] for boxes in found]
    corners = [boxes.table.corners[boxes.start : boxes.stop] for boxes in found]
    extras: dict[int, Mapping[str, Any]] = {}
    begin = 0
    for boxes in found:
        if boxes.table.extras:
            for place in range(boxes.start, boxes.stop):
                if (extra := boxes.table.extras.get(place)) is not None:
                    extras[begin + place - boxes.start] = extra
        begin += len(boxes)
    return OutColumns(
        counts,
        np.repeat(np.arange(len(found)), counts),
        np.concatenate(class_ids) if found else np.empty(0, dtype=np.int64),
        np.concatenate(corners) if found else np.empty((0, 4)),
        extras,
    )
