"""A whole dataset as columns, read once and kept: what queries and statistics work on.

How a dataset is opened (`Indexer.load`):

1. One pass over the folders gives name, size and time of every image and label file.
2. The index of the last time is read from the dataset's cache.
3. Label files of which size or time differ, or that are new, are read; all other boxes are
   taken over.
4. Where images came from is looked up if a capture has added some, or images were moved.
5. What came out is cached, if it differs.

So opening an unchanged dataset costs little more than listing its folders.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import numpy as np

from workbench.datasets import index_update as update
from workbench.datasets.index_table import (
    BACKGROUND,
    LABELLED,
    STATES,
    UNLABELLED,
    UNREADABLE,
    DatasetIndex,
    from_block,
    to_block,
)
from workbench.persistence import DataStores, one_look
from workbench.persistence.models import ImageTable, Progress, no_progress

__all__ = [
    "BACKGROUND",
    "LABELLED",
    "STATES",
    "UNLABELLED",
    "UNREADABLE",
    "DatasetIndex",
    "Indexer",
]

_CACHE = "index"
_BATCH = 16_384
_NO_IMAGE = -1  # for a width: known, so that nobody looks at the file again


class Indexer:
    """Reads datasets into indexes, and keeps them in the datasets' caches."""

    def __init__(self, stores: DataStores) -> None:
        self._stores = stores

    async def remembered(self, dataset: str) -> DatasetIndex | None:
        """Return the dataset as it was when it was last read; None if that is not known.

        Takes a small part of the time of `load`: for showing something meanwhile.

        Raises
        ------
        NotFoundError
            If there is no such dataset.
        """
        cached = await self._stores.dataset.load_cache(dataset, _CACHE)
        known = await asyncio.to_thread(from_block, cached)
        return None if known is None else await self._completed(dataset, known)

    async def load(
        self,
        dataset: str,
        *,
        known: DatasetIndex | None = None,
        progress: Progress = no_progress,
    ) -> DatasetIndex:
        """Return the dataset as it is now; see the head of this module for how.

        Parameters
        ----------
        known : DatasetIndex, optional
            What `remembered` returned, in place of asking for it again. If no image and no
            label file has changed since, the result has its columns, not copies of them.
        progress : Progress
            Counts label files to read.

        Raises
        ------
        NotFoundError
            If there is no such dataset.
        """
        return await one_look(lambda: self._load(dataset, known, progress))

    async def _load(
        self, dataset: str, known: DatasetIndex | None, progress: Progress
    ) -> DatasetIndex:
        scanned_ns = time.time_ns()
        table = await self._stores.image.scan(dataset)
        if known is None:
            cached = await self._stores.dataset.load_cache(dataset, _CACHE)
            known = await asyncio.to_thread(from_block, cached)
        if known is not None and update.unchanged(known, table):
            index = replace(
                known, classes=table.classes, colours=table.colours, scanned_ns=scanned_ns
            )
        else:
            index = await self._update(dataset, table, known, scanned_ns, progress)
            block = await asyncio.to_thread(to_block, index)
            await self._stores.dataset.save_cache(dataset, _CACHE, block)
        return await self._completed(dataset, index)

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
        unread: list[int] = []
        sizes = await self._stores.image.measure_many(
            dataset, index.keys(missing), progress=progress, unread=unread
        )
        sizes[sizes[:, 0] == 0] = _NO_IMAGE
        width, height = index.width.copy(), index.height.copy()
        width[missing], height[missing] = sizes.T
        index = replace(index, width=width, height=height)
        kept = index
        if unread:  # not remembered: whoever loads the index later looks at them again
            width, height = width.copy(), height.copy()
            width[missing[unread]] = height[missing[unread]] = 0
            kept = replace(index, width=width, height=height)
        block = await asyncio.to_thread(to_block, kept)
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
        old = await asyncio.to_thread(update.old_positions, table, known)
        labels_kept = update.same_facts(
            table.label_bytes, table.label_modified_ns, known, old, labels=True
        )
        to_read = np.flatnonzero((table.label_bytes >= 0) & ~labels_kept)
        keys = update.keys(table, to_read)
        tables = []
        for start in range(0, len(keys), _BATCH):
            progress(start, len(keys))
            batch = keys[start : start + _BATCH]
            tables.append(await self._stores.label.load_many(dataset, batch))
        progress(len(keys), len(keys))
        read, kept = update.Read(to_read, tables), np.where(labels_kept, old, -1)
        proposed = update.kept_proposals(table, known, old)
        if proposed is None:
            sources = await self._stores.image.sources(dataset)
            proposed = await asyncio.to_thread(update.lowest_proposed, table, sources)
        return await asyncio.to_thread(
            update.assemble, table, known, kept, read, old, proposed, scanned_ns
        )

    async def _completed(self, dataset: str, index: DatasetIndex) -> DatasetIndex:
        """Return the index with what is derived, or kept elsewhere."""
        saved = await self._stores.dataset.get_tags(dataset)
        tags = {}
        for tag, tagged in saved.items():
            wanted = frozenset(tagged)
            tags[tag] = np.array([name in wanted for name in index.filenames], dtype=np.bool_)
        return replace(index, tags=tags, predicted=update.predicted(index))
