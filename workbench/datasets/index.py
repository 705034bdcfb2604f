"""A whole dataset as columns, read once and kept: what queries and statistics work on.

How a dataset is opened (`Indexer.load`):

1. One pass over the folders gives name, size and time of every image and label file.
2. The index of the last time is read from the dataset's cache.
3. Label files of which size or time differ, or that are new, are read; all other boxes are
   taken over.
4. What came out is cached, if it differs.

So opening an unchanged dataset costs little more than listing its folders.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.datasets.columns import pack, pack_names, unpack, unpack_names
from workbench.errors import LabelFormatError
from workbench.persistence import Stores
from workbench.persistence.models import (
    SPLITS,
    ImageKey,
    ImageTable,
    LabelTable,
    Progress,
    no_progress,
)

UNLABELLED, BACKGROUND, LABELLED, UNREADABLE = range(4)
"""States of an image: no label file; an empty one; one with boxes; one that cannot be read."""
STATES = ("unlabelled", "background", "labelled", "unreadable")
"""Names of the states, by number."""

Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_CACHE = "index"
_KIND = "workbench index 1"
_BATCH = 16_384
_NO_IMAGE = -1  # for a width: known, so that nobody looks at the file again

_UNSETTLED_NS = 2_000_000_000
"""A file changed within so short a time before a listing could change again without its time
of change showing it: file systems count in steps of up to two seconds (FAT)."""


@dataclass(frozen=True, slots=True, eq=False)
class DatasetIndex:
    """A dataset at one moment, in columns over its images and over its boxes.

    Parameters
    ----------
    classes : list of str
    filenames : list of str
        Of every image, by split and name; ``images`` for short below.
    split : ndarray of int8, shape (images,)
        Index into `SPLITS`.
    size_bytes, modified_ns : ndarray of int64, shape (images,)
        Of the image file; nanoseconds since the epoch.
    label_bytes, label_modified_ns : ndarray of int64, shape (images,)
        Of the label file; -1 where there is none.
    state : ndarray of uint8, shape (images,)
        `UNLABELLED`, `BACKGROUND`, `LABELLED` or `UNREADABLE`.
    num_boxes : ndarray of int64, shape (images,)
    image_index : ndarray of int64, shape (boxes,)
        For each box, the position of its image; ascending.
    class_id : ndarray of int64, shape (boxes,)
    boxes : ndarray of float64, shape (boxes, 4)
        Normalised xywh, in the label file's order.
    width, height : ndarray of int32, shape (images,)
        Pixels as the picture is shown; 0 where not known, see `Indexer.measure`; -1 where
        the file is no image.
    settings_revision : str
        See `ImageTable.settings_revision`.
    scanned_ns : int
        When the folders were listed, nanoseconds since the epoch.
    tags : mapping of str to ndarray of bool, shape (images,)
    predicted : ndarray of bool, shape (images,)
        Whether predictions wait for review.
    order_by_similarity : ndarray of int64, shape (images,), or None
        Positions in an order that has alike images side by side, where it is known.
    """

    classes: list[str]
    filenames: list[str]
    split: npt.NDArray[np.int8]
    size_bytes: Integers
    modified_ns: Integers
    label_bytes: Integers
    label_modified_ns: Integers
    state: npt.NDArray[np.uint8]
    num_boxes: Integers
    image_index: Integers
    class_id: Integers
    boxes: npt.NDArray[np.float64]
    width: npt.NDArray[np.int32]
    height: npt.NDArray[np.int32]
    settings_revision: str = ""
    scanned_ns: int = 0
    tags: Mapping[str, Mask] = field(default_factory=dict)
    predicted: Mask = field(default_factory=lambda: np.empty(0, dtype=np.bool_))
    order_by_similarity: Integers | None = None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.filenames)

    def key(self, position: int) -> ImageKey:
        """Return what identifies the image at a position."""
        return SPLITS[self.split[position]], self.filenames[position]

    def keys(self, positions: Iterable[int] | Integers | None = None) -> list[ImageKey]:
        """Return what identifies the images at these positions; default: all."""
        if positions is None:
            positions = range(len(self))
        elif isinstance(positions, np.ndarray):
            positions = positions.tolist()
        split, names = self.split.tolist(), self.filenames
        return [(SPLITS[split[place]], names[place]) for place in positions]

    def positions(self, keys: Sequence[ImageKey]) -> Integers:
        """Return the positions of images; an image that is not there is left out."""
        places = {key: place for place, key in enumerate(self.keys())}
        return np.array([places[key] for key in keys if key in places], dtype=np.int64)

    def boxes_of(self, position: int) -> tuple[Integers, npt.NDArray[np.float64]]:
        """Return class ids, shape (n,), and boxes, shape (n, 4), of the image at a position."""
        first, last = np.searchsorted(self.image_index, (position, position + 1))
        return self.class_id[first:last], self.boxes[first:last]

    @property
    def measured(self) -> bool:
        """Whether somebody has looked for width and height of all images."""
        return bool((self.width != 0).all())


class Indexer:
    """Reads datasets into indexes, and keeps them in the datasets' caches."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    async def load(self, dataset: str, *, progress: Progress = no_progress) -> DatasetIndex:
        """Return the dataset as it is now; see the head of this module for how.

        Parameters
        ----------
        progress : Progress
            Counts label files to read.

        Raises
        ------
        NotFoundError
            If there is no such dataset.
        """
        scanned_ns = time.time_ns()
        table = await self._stores.image.scan(dataset)
        cached = await self._stores.dataset.load_cache(dataset, _CACHE)
        known = await asyncio.to_thread(_from_block, cached)
        if known is not None and _unchanged(known, table):
            index = replace(known, classes=table.classes, scanned_ns=scanned_ns)
        else:
            index = await self._update(dataset, table, known, scanned_ns, progress)
            block = await asyncio.to_thread(_to_block, index)
            await self._stores.dataset.save_cache(dataset, _CACHE, block)
        return await self._with_tags(dataset, index)

    async def measure(
        self, dataset: str, index: DatasetIndex, *, progress: Progress = no_progress
    ) -> DatasetIndex:
        """Return the index with width and height of all images, read from their headers.

        Parameters
        ----------
        progress : Progress
            Counts images; called from the thread that reads them.
        """
        missing = np.flatnonzero(index.width == 0)
        if not len(missing):
            return index
        sizes = await self._stores.image.measure_many(
            dataset, index.keys(missing), progress=progress
        )
        sizes[sizes[:, 0] == 0] = _NO_IMAGE
        width, height = index.width.copy(), index.height.copy()
        width[missing], height[missing] = sizes.T
        index = replace(index, width=width, height=height)
        block = await asyncio.to_thread(_to_block, index)
        await self._stores.dataset.save_cache(dataset, _CACHE, block)
        return index

    async def _update(
        self,
        dataset: str,
        table: ImageTable,
        known: DatasetIndex | None,
        scanned_ns: int,
        progress: Progress,
    ) -> DatasetIndex:
        """Read the label files that are new or changed, and take over all others' boxes."""
        old = await asyncio.to_thread(_old_positions, table, known)
        labels_kept = _same_facts(
            table.label_bytes, table.label_modified_ns, known, old, labels=True
        )
        to_read = np.flatnonzero((table.label_bytes >= 0) & ~labels_kept)
        keys = _keys(table, to_read)
        tables = []
        for start in range(0, len(keys), _BATCH):
            progress(start, len(keys))
            batch = keys[start : start + _BATCH]
            tables.append(await self._stores.label.load_many(dataset, batch))
        progress(len(keys), len(keys))
        read = _Read(to_read, tables)
        return await asyncio.to_thread(
            _assemble, table, known, np.where(labels_kept, old, -1), read, old, scanned_ns
        )

    async def _with_tags(self, dataset: str, index: DatasetIndex) -> DatasetIndex:
        saved = await self._stores.dataset.get_tags(dataset)
        if not saved:
            return index
        tags = {}
        for tag, tagged in saved.items():
            wanted = frozenset(tagged)
            tags[tag] = np.array([name in wanted for name in index.filenames], dtype=np.bool_)
        return replace(index, tags=tags)


@dataclass(frozen=True, slots=True)
class _Read:
    """Labels just read: the positions of their images, and tables that hold those in turn."""

    positions: Integers
    tables: list[LabelTable]


def _unchanged(known: DatasetIndex, table: ImageTable) -> bool:
    """Whether what is known holds for every image and label file of the listing."""
    return (
        known.settings_revision == table.settings_revision
        and len(known) == len(table)
        and np.array_equal(known.label_modified_ns, table.label_modified_ns)
        and np.array_equal(known.modified_ns, table.modified_ns)
        and np.array_equal(known.label_bytes, table.label_bytes)
        and np.array_equal(known.size_bytes, table.size_bytes)
        and np.array_equal(known.split, table.split)
        and _last_change(known) < known.scanned_ns - _UNSETTLED_NS
        and known.filenames == table.filenames
    )


def _last_change(known: DatasetIndex) -> int:
    return int(max(known.modified_ns.max(initial=0), known.label_modified_ns.max(initial=0)))


def _old_positions(table: ImageTable, known: DatasetIndex | None) -> Integers:
    """Return for each image of the listing its position in the known index, or -1."""
    if known is None or known.settings_revision != table.settings_revision:
        return np.full(len(table), -1, dtype=np.int64)
    places = {key: place for place, key in enumerate(known.keys())}
    keys = _keys(table, np.arange(len(table)))
    return np.array([places.get(key, -1) for key in keys], dtype=np.int64)


def _keys(table: ImageTable, positions: Integers) -> list[ImageKey]:
    split, names = table.split.tolist(), table.filenames
    return [(SPLITS[split[place]], names[place]) for place in positions.tolist()]


def _same_facts(
    size: Integers,
    modified_ns: Integers,
    known: DatasetIndex | None,
    old: Integers,
    *,
    labels: bool,
) -> Mask:
    """Whether files have the size and time that they had, with a time that can be trusted."""
    if known is None:
        return np.zeros(len(size), dtype=np.bool_)
    old_size = known.label_bytes if labels else known.size_bytes
    old_modified = known.label_modified_ns if labels else known.modified_ns
    # Position -1 finds what is appended here: a file like no other.
    old_size, old_modified = np.append(old_size, -2)[old], np.append(old_modified, -2)[old]
    settled = old_modified < known.scanned_ns - _UNSETTLED_NS
    return np.asarray((old_size == size) & (old_modified == modified_ns) & settled)


def _assemble(
    table: ImageTable,
    known: DatasetIndex | None,
    kept: Integers,
    read: _Read,
    old: Integers,
    scanned_ns: int,
) -> DatasetIndex:
    """Put together the boxes that were kept and those that were read.

    Parameters
    ----------
    kept, old : ndarray of int64, shape (images,)
        Position in `known` of the image whose labels are, or which itself is, the same;
        -1 for none. An image may have kept its labels and have changed itself.
    """
    state = np.where(table.label_bytes >= 0, LABELLED, UNLABELLED).astype(np.uint8)
    owners, class_ids, boxes = [], [], []
    if known is not None and len(known):
        new_place = np.full(len(known), -1, dtype=np.int64)
        new_place[kept[kept >= 0]] = np.flatnonzero(kept >= 0)
        owner = new_place[known.image_index]
        taken = owner >= 0
        owners.append(owner[taken])
        class_ids.append(known.class_id[taken])
        boxes.append(known.boxes[taken])
        state[kept >= 0] = known.state[kept[kept >= 0]]
    start = 0
    for part in read.tables:
        places = read.positions[start : start + len(part.filenames)]
        start += len(part.filenames)
        owners.append(places[part.image_index])
        class_ids.append(part.class_id)
        boxes.append(part.boxes)
        state[places[~part.labelled]] = UNLABELLED  # gone since the listing
        state[places[_unreadable(part)]] = UNREADABLE
    image_index = np.concatenate([np.empty(0, np.int64), *owners])
    order = np.argsort(image_index, kind="stable")
    num_boxes = np.bincount(image_index, minlength=len(table)).astype(np.int64)
    state[(state == LABELLED) & (num_boxes == 0)] = BACKGROUND
    width, height = _kept_sizes(table, known, old)
    return DatasetIndex(
        classes=table.classes,
        filenames=table.filenames,
        split=table.split,
        size_bytes=table.size_bytes,
        modified_ns=table.modified_ns,
        label_bytes=table.label_bytes,
        label_modified_ns=table.label_modified_ns,
        state=state,
        num_boxes=num_boxes,
        image_index=image_index[order],
        class_id=np.concatenate([np.empty(0, np.int64), *class_ids])[order],
        boxes=np.concatenate([np.empty((0, 4)), *boxes])[order],
        width=width,
        height=height,
        settings_revision=table.settings_revision,
        scanned_ns=scanned_ns,
        predicted=np.zeros(len(table), dtype=np.bool_),
    )


def _unreadable(part: LabelTable) -> Integers:
    """Return the positions of the images whose label files could not be read."""
    bad = {
        Path(problem.path).parts[-2:]
        for problem in part.problems
        if isinstance(problem, LabelFormatError)
    }
    if not bad:
        return np.empty(0, dtype=np.int64)
    names = zip(part.splits, part.filenames, strict=True)
    places = [i for i, (split, name) in enumerate(names) if (split, _label_name(name)) in bad]
    return np.array(places, dtype=np.int64)


def _label_name(filename: str) -> str:
    return filename.rpartition(".")[0] + ".txt"


def _kept_sizes(
    table: ImageTable, known: DatasetIndex | None, old: Integers
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return widths and heights of the images that did not change, 0 for all others."""
    width, height = np.zeros((2, len(table)), dtype=np.int32)
    if known is not None:
        same = _same_facts(table.size_bytes, table.modified_ns, known, old, labels=False)
        width[same], height[same] = known.width[old[same]], known.height[old[same]]
    return width, height


_COLUMNS = (
    "split",
    "size_bytes",
    "modified_ns",
    "label_bytes",
    "label_modified_ns",
    "state",
    "num_boxes",
    "class_id",
    "boxes",
    "width",
    "height",
)


def _to_block(index: DatasetIndex) -> bytes:
    facts = {
        "classes": index.classes,
        "settings_revision": index.settings_revision,
        "scanned_ns": index.scanned_ns,
    }
    arrays = {name: getattr(index, name) for name in _COLUMNS}
    return pack(_KIND, facts, {"filenames": pack_names(index.filenames), **arrays})


def _from_block(block: bytes | None) -> DatasetIndex | None:
    found = unpack(_KIND, block)
    if found is None:
        return None
    facts, arrays = found
    filenames = unpack_names(arrays.pop("filenames"))
    columns: dict[str, Any] = {**facts, **arrays}
    return DatasetIndex(
        filenames=filenames,
        image_index=np.repeat(np.arange(len(filenames)), arrays["num_boxes"]),
        predicted=np.zeros(len(filenames), dtype=np.bool_),
        **columns,
    )
