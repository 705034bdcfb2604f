"""What matches a query, in a dataset that is read, measured or compared as far as it must be."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from workbench.datasets.duplicates import Duplicates, find_duplicates
from workbench.datasets.index import DatasetIndex, Indexer
from workbench.datasets.query import class_ids, parse_query
from workbench.datasets.query_parsing import split_words
from workbench.panels.browse_listing import Integers, objects_of
from workbench.persistence import Stores
from workbench.persistence.models import ImageKey, Progress, no_progress


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

    async def find(self, index: DatasetIndex, text: str, *, objects: bool = False) -> Integers:
        """Return the positions in the index of the images, or of the boxes, that match.

        Parameters
        ----------
        index : DatasetIndex
            As `prepare` returned it.
        text : str
            The query.
        objects : bool
            Boxes on the images that match; where the query names classes, only of these.

        Raises
        ------
        QueryError
            If the query cannot be understood.
        """
        return await asyncio.to_thread(_find, index, text, objects, self._images)


def _find(
    index: DatasetIndex, text: str, objects: bool, only: Sequence[ImageKey] | None
) -> Integers:
    query = parse_query(text)
    images = query.run(index)
    if only is not None:
        wanted = index.positions(only)
        is_ordered = any(word.key == "sort" for word in split_words(text))
        images = images[np.isin(images, wanted)] if is_ordered else wanted[np.isin(wanted, images)]
    return objects_of(index, images, classes_in(text, index)) if objects else images


def classes_in(text: str, index: DatasetIndex) -> Collection[int] | None:
    """Return the ids of the classes that a query asks for; None if it names none."""
    named = [word for word in split_words(text) if word.key == "class" and not word.negated]
    if not named:
        return None
    return {class_id for word in named for class_id in class_ids(index, word.value)}


def _order_in(index: DatasetIndex, duplicates: Duplicates) -> Integers:
    """Return the order of similarity as positions in an index, which may be a little newer."""
    return index.positions([duplicates.images.key(place) for place in duplicates.order().tolist()])
