"""What matches a query, in a dataset that is read, measured or compared as far as it must be."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from workbench.datasets.duplicates import Duplicates, find_duplicates
from workbench.datasets.index import DatasetIndex, Indexer
from workbench.datasets.query import parse_query
from workbench.datasets.query_conditions import in_name
from workbench.datasets.query_parsing import Word, alternatives_of, split_words
from workbench.panels.browse.listing import Integers
from workbench.persistence import Stores
from workbench.persistence.models import ImageKey, Progress, TrashEntry, no_progress


class Finder:
    """Runs queries over one dataset after the other.

    Parameters
    ----------
    stores : Stores
    images : sequence of (str, str), optional
        Only these are found; in this order, where a query asks for none.
    """

    def __init__(self, stores: Stores, images: Sequence[ImageKey] | None = None) -> None:
        self._stores = stores
        self._images = images
        self._indexer = Indexer(stores)

    async def remembered(self, dataset: str) -> DatasetIndex | None:
        """Return a dataset as it was when it was last read; see `Indexer.remembered`."""
        return await self._indexer.remembered(dataset)

    async def load(
        self,
        dataset: str,
        *,
        known: DatasetIndex | None = None,
        progress: Progress = no_progress,
    ) -> DatasetIndex:
        """Return a dataset as it is now, in columns; see `Indexer.load`."""
        return await self._indexer.load(dataset, known=known, progress=progress)

    async def prepare(
        self, dataset: str, index: DatasetIndex, text: str, *, progress: Progress = no_progress
    ) -> DatasetIndex:
        """Return the index with what a query needs to know besides: sizes, similarity.

        Raises
        ------
        QueryError
            If the query cannot be understood.
        """
        query = parse_query(text)
        words = {word.key for word in split_words(text)}
        if words & {"width", "height"} and not index.measured:
            index = await self._indexer.measure(dataset, index, progress=progress)
        if query.order == "similarity" and index.order_by_similarity is None:
            duplicates = await find_duplicates(self._stores, dataset, progress=progress)
            order = await asyncio.to_thread(_order_in, index, duplicates)
            index = replace(index, order_by_similarity=order)
        return index

    async def find(
        self,
        index: DatasetIndex,
        text: str,
        *,
        objects: bool = False,
        only: Sequence[ImageKey] | None = None,
    ) -> Integers:
        """Return the positions in the index of the images, or of the boxes, that match.

        Parameters
        ----------
        index : DatasetIndex
            As `prepare` returned it.
        text : str
            The query.
        objects : bool
            Boxes in place of images, see `Query.run_boxes`.
        only : sequence of (str, str), optional
            Just these images, of those that this finder finds at all.

        Raises
        ------
        QueryError
            If the query cannot be understood.
        """
        found = self._images if only is None else only
        if only is not None and self._images is not None:
            known = set(self._images)
            found = [image for image in only if image in known]
        return await asyncio.to_thread(_find, index, text, objects, found)


def _find(
    index: DatasetIndex, text: str, objects: bool, only: Sequence[ImageKey] | None
) -> Integers:
    query = parse_query(text)
    images = query.run(index)
    if only is not None:
        wanted = index.positions(only)
        is_ordered = any(word.key == "sort" for word in split_words(text))
        images = images[np.isin(images, wanted)] if is_ordered else wanted[np.isin(wanted, images)]
    return query.run_boxes(index, images) if objects else images


def find_deleted(trash: Sequence[TrashEntry], text: str) -> Integers:
    """Return the places of what matches a query, in the trash.

    Names and splits are looked at. What else a query asks is not known of deleted things,
    and says nothing about them.
    """
    found = np.zeros(len(trash), dtype=np.bool_)
    for words in alternatives_of(split_words(text)):
        meant = [_are_meant(trash, word) for word in words if _tells_of_deleted(word)]
        found |= np.logical_and.reduce(meant) if meant else True
    return np.flatnonzero(found)


def _tells_of_deleted(word: Word) -> bool:
    return word.key == "split" or not (word.key or word.flag)


def _are_meant(trash: Sequence[TrashEntry], word: Word) -> npt.NDArray[np.bool_]:
    if word.key:
        found = np.array([entry.split == word.value.lower() for entry in trash], dtype=np.bool_)
    else:
        found = in_name([entry.name for entry in trash], word.value)
    return np.asarray(found != word.negated)


def _order_in(index: DatasetIndex, duplicates: Duplicates) -> Integers:
    """Return the order of similarity as positions in an index, which may be a little newer."""
    return index.positions([duplicates.images.key(place) for place in duplicates.order().tolist()])
