"""What a gallery lists: images, boxes or deleted things, in order; and selections of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.datasets.changes import BoxRef, counted
from workbench.datasets.index import LABELLED, STATES, DatasetIndex
from workbench.datasets.thumbnails import MARGIN
from workbench.datasets.waiting import WaitingBoxes
from workbench.persistence.models import SPLITS, Annotation, ImageKey, TrashEntry
from workbench.persistence.suggestions import Suggestion

Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Ranges = tuple[tuple[int, int], ...]
"""A selection of places as sorted, disjoint, half-open ranges."""

MODES = ("images", "objects", "suggested", "trash")
_OF_BOXES = ("objects", "suggested")
ORDERS = ("surest", "doubtful", "images")
"""By falling score; those first of which a model is least sure either way; by image."""
_DELETED = {"label": "labels only", "orphan": "labels only", "replaced": "before a repair"}
"""What lies in the trash that is no deleted image, by the kind of the entry."""
MAX_BOXES = 150
"""More boxes than this are not drawn over one thumbnail."""


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a listing, as a gallery shows it.

    Parameters
    ----------
    position : int
        Its place in the listing.
    key : str
        Identity of the image, or of the box in it.
    name : str
    split : str
    state : str
        One of `STATES`, or ``"deleted"``.
    badge : str
        A word or two instead of the state's.
    label : str
        What comes before the name for a screen reader, for instance the class of a crop.
    note : str
        Shown where there are no classes.
    boxes : list
        Class id, then x, y, width and height as shares of the picture; not more than `MAX_BOXES`.
    counts : list
        Class id and number of boxes, by class.
    tags : list of str
    predicted : bool
        Whether predictions wait for review.
    problem : str
        Why there is no picture.
    """

    position: int
    key: str
    name: str
    split: str
    state: str = ""
    badge: str = ""
    label: str = ""
    note: str = ""
    boxes: list[list[float]] = field(default_factory=list)
    counts: list[tuple[int, int]] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    predicted: bool = False
    problem: str = ""

    def as_message(self) -> dict[str, Any]:
        """Return what a page is sent; what is empty is left out."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        always = {"position", "key", "name"}
        return {name: value for name, value in fields.items() if value or name in always}


@dataclass(frozen=True, slots=True)
class Only:
    """Some images of a dataset that were chosen for a reason.

    Parameters
    ----------
    images : tuple of (str, str)
    words : str
        What they have in common.
    """

    images: tuple[ImageKey, ...]
    words: str


@dataclass(frozen=True, slots=True)
class Sieve:
    """Which suggestions are listed.

    Parameters
    ----------
    order : str
        One of `ORDERS`.
    least : float
        The score from which on, 0..1.
    """

    order: str = ORDERS[0]
    least: float = 0.0

    def __post_init__(self) -> None:
        if self.order not in ORDERS:
            raise ValueError(f"order {self.order!r}: expected one of {', '.join(ORDERS)}")
        if not 0 <= self.least <= 1:
            raise ValueError(f"least: expected a score in 0..1, found {self.least!r}")


@dataclass(frozen=True, slots=True, eq=False)
class Aim:
    """What is to be shown; see `Listing`."""

    dataset: str
    index: DatasetIndex
    query: str
    mode: str
    only: Only | None = None
    sieve: Sieve = field(default_factory=Sieve)


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """What is listed, at one moment.

    Parameters
    ----------
    number : int
        Goes up with every listing of a panel.
    dataset : str
    mode : str
        One of `MODES`.
    query : str
    index : DatasetIndex
    rows : ndarray of int64, shape (items,)
        Positions in `index`: of images, or of boxes in the mode ``"objects"``; else places
        in `waiting` or in `trash`.
    trash : list of TrashEntry
    keep : bool
        Whether it lists the same as the one before, brought up to date.
    only : Only, optional
        The images that are looked at, if it is not all of them.
    waiting : WaitingBoxes, optional
        What waits for review, in the mode ``"suggested"``.
    """

    number: int
    dataset: str
    mode: str
    query: str
    index: DatasetIndex
    rows: Integers
    trash: Sequence[TrashEntry] = ()
    keep: bool = False
    only: Only | None = None
    waiting: WaitingBoxes | None = None

    @property
    def boxed(self) -> DatasetIndex:
        """The index whose boxes are listed."""
        return self.index if self.waiting is None else self.waiting.index

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.rows)

    def chosen(self, ranges: Ranges) -> Integers:
        """Return the rows at the places of a selection, in the listing's order."""
        parts = [self.rows[start:end] for start, end in ranges]
        return np.concatenate([np.empty(0, np.int64), *parts])

    def keys(self, ranges: Ranges) -> list[ImageKey]:
        """Return the images of a selection, each once; of boxes, the images that they are on."""
        if self.mode == "trash":
            return []
        rows = self.chosen(ranges)
        images = self.boxed.image_index[rows] if self.mode in _OF_BOXES else rows
        return self.index.keys(list(dict.fromkeys(images.tolist())))

    def boxes(self, ranges: Ranges) -> list[BoxRef]:
        """Return the boxes of a selection; none unless boxes are listed."""
        if self.mode != "objects":
            return []
        return [self.box(row) for row in self.chosen(ranges).tolist()]

    def entries(self, ranges: Ranges) -> list[str]:
        """Return the ids of the trash entries of a selection."""
        return [self.trash[row].id for row in self.chosen(ranges).tolist()] if self.trash else []

    def box(self, row: int) -> BoxRef:
        """Return what identifies the box at a row of the index."""
        index = self.index
        image = int(index.image_index[row])
        first = int(np.searchsorted(index.image_index, image))
        x, y, width, height = index.boxes[row].tolist()
        expected = Annotation(int(index.class_id[row]), x, y, width, height)
        return BoxRef(*index.key(image), row - first, expected)

    def item(self, place: int) -> Item:
        """Return the item at a place."""
        row = int(self.rows[place])
        if self.mode == "trash":
            return _deleted(place, self.trash[row])
        if self.mode in _OF_BOXES:
            return self._object(place, row)
        return self._image(place, row)

    def carried_to(self, other: Listing, ranges: Ranges) -> Ranges:
        """Return the same selection in another listing, as far as its items are there."""
        if self.mode != other.mode or not ranges or not len(other):
            return ()
        if self.mode == "trash":
            wanted = set(self.entries(ranges))
            return ranges_of(np.array([other.trash[r].id in wanted for r in other.rows.tolist()]))
        if self.mode == "objects":
            return self._boxes_carried_to(other, ranges)
        if self.waiting is not None and other.waiting is not None:
            own = {self._proposed(row) for row in self.chosen(ranges).tolist()}
            return ranges_of(np.array([other._proposed(row) in own for row in other.rows.tolist()]))
        rows = self.chosen(ranges)
        if self.index.filenames is not other.index.filenames:
            rows = other.index.positions(self.index.keys(rows))
        is_chosen = np.zeros(len(other.index), dtype=np.bool_)
        is_chosen[rows] = True
        return ranges_of(is_chosen[other.rows])

    def _proposed(self, row: int) -> tuple[ImageKey, Suggestion]:
        assert self.waiting is not None
        return self.waiting.key(row), self.waiting.suggestion(row)

    def _boxes_carried_to(self, other: Listing, ranges: Ranges) -> Ranges:
        if self.index is other.index:
            is_chosen = np.zeros(len(self.index.class_id), dtype=np.bool_)
            is_chosen[self.chosen(ranges)] = True
            return ranges_of(is_chosen[other.rows])
        refs = set(self.boxes(ranges))
        images = other.index.positions(list({ref.image for ref in refs}))
        found = np.isin(other.index.image_index[other.rows], images)
        for place in np.flatnonzero(found).tolist():
            found[place] = other.box(int(other.rows[place])) in refs
        return ranges_of(found)

    def _image(self, place: int, row: int) -> Item:
        index = self.index
        split, name = index.key(row)
        class_ids, boxes = index.boxes_of(row)
        state = int(index.state[row])
        ids, counts = np.unique(class_ids, return_counts=True)
        drawn = np.round(boxes[:MAX_BOXES], 4).tolist()
        return Item(
            position=place,
            key=f"{split}/{name}",
            name=name,
            split=split,
            state=STATES[state],
            badge=counted(len(class_ids), "box", "boxes") if state == LABELLED else "",
            boxes=[[c, *box] for c, box in zip(class_ids.tolist(), drawn, strict=False)],
            counts=list(zip(ids.tolist(), counts.tolist(), strict=True)),
            tags=[tag for tag, has in index.tags.items() if has[row]],
            predicted=bool(index.predicted[row]),
        )

    def _object(self, place: int, row: int) -> Item:
        index, waiting = self.boxed, self.waiting
        split, name = index.key(int(index.image_index[row]))
        class_id = int(index.class_id[row])
        known = class_id < len(index.classes)
        return Item(
            position=place,
            key=f"{split}/{name}#{row}",
            name=name,
            split=split,
            label=index.classes[class_id] if known else f"class {class_id}",
            badge="" if waiting is None else f"{float(waiting.scores[row]):.0%}",
            note="" if waiting is None else waiting.source_of(row),
            boxes=[[class_id, *_in_crop(index.boxes[row].tolist())]],
            counts=[(class_id, 1)],
        )


def _in_crop(box: Sequence[float]) -> list[float]:
    """Return where a box is in its own crop, as shares of the crop."""
    place: list[float] = [0, 0, 0, 0]
    for axis in (0, 1):
        centre, size = box[axis], box[axis + 2]
        start = max(centre - size * (0.5 + MARGIN), 0.0)
        end = min(centre + size * (0.5 + MARGIN), 1.0)
        extent = max(end - start, 1e-9)
        place[axis], place[axis + 2] = round((centre - start) / extent, 4), round(size / extent, 4)
    return place


def ranges_of(chosen: Mask) -> Ranges:
    """Return the places where a mask is set."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]]).astype(np.int8)))
    return tuple((int(start), int(end)) for start, end in edges.reshape(-1, 2))


def checked_ranges(ranges: Iterable[Sequence[int]], total: int) -> Ranges:
    """Return ranges that came from outside, cut to what there is.

    Raises
    ------
    ValueError
        If one is no pair of numbers in order.
    """
    checked: list[tuple[int, int]] = []
    try:
        pairs = [(int(start), int(end)) for start, end in ranges]
    except (TypeError, OverflowError) as error:
        raise ValueError(f"expected ranges, each of two numbers, found {ranges!r}") from error
    for start, end in pairs:
        if not 0 <= start < end or (checked and start < checked[-1][1]):
            raise ValueError(f"expected sorted, separate ranges, found {start}..{end}")
        if start < total:
            checked.append((start, min(end, total)))
    return tuple(checked)


def size_of(ranges: Ranges) -> int:
    """Return how many places are selected."""
    return sum(end - start for start, end in ranges)


def _deleted(place: int, entry: TrashEntry) -> Item:
    when = entry.deleted_at.astimezone().strftime("%Y-%m-%d %H:%M")
    what = _DELETED.get(entry.kind, entry.split or SPLITS[0])
    return Item(
        position=place,
        key=entry.id,
        name=entry.name,
        split=entry.split,
        state="deleted",
        badge=what,
        note=f"deleted {when}",
    )
