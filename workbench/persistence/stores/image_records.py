"""What stands beside the images: where they came from, what is suggested, what was deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import TypeVar

from workbench.persistence.models import SPLITS, ImageKey, TrashEntry
from workbench.persistence.sources import ImageSource
from workbench.persistence.stopping import done_in_thread
from workbench.persistence.storage import Change
from workbench.persistence.stores import source_log, suggestion_log, trash
from workbench.persistence.stores.dataset import DATA_YAML, Dataset
from workbench.persistence.stores.places import DatasetPlaces
from workbench.persistence.suggestion_blocks import SuggestionBlock
from workbench.persistence.suggestions import SuggestionTable

T = TypeVar("T")

_NAMES_AND_CLASSES = [DATA_YAML, *(f"images/{split}" for split in SPLITS)]
"""What an image that is renamed and classes in another order leave their mark on."""


class ImageRecords:
    """The part of an image store that keeps sources, suggestions and the trash."""

    _places: DatasetPlaces
    _sources: source_log.SourceReader

    async def _look(self, name: str, work: Callable[[Dataset], T]) -> T:
        """Return what some work, which only reads, finds in a dataset."""
        dataset = self._places.open(name)
        return await asyncio.to_thread(dataset.consistently, lambda: work(dataset))

    async def _commit(self, name: str, changes: Sequence[Change]) -> None:
        def work() -> None:
            with self._places.changing(name) as (_, writer):
                writer.commit(changes)

        await done_in_thread(f"a change of dataset {name}", work)

    async def sources(self, dataset: str) -> dict[ImageKey, ImageSource]:
        """Return where the images came from of which that is known, by split and name.

        Images that were moved or renamed since are found under the names that they have now,
        and predictions have the ids that their classes have now.
        """

        def work(one: Dataset) -> dict[ImageKey, ImageSource]:
            one.read()
            return source_log.read(one.storage, self._sources, lambda: _keys(one))

        return await self._look(dataset, work)

    async def suggestions(
        self, dataset: str, *, known: SuggestionTable | None = None
    ) -> SuggestionTable:
        """Return the boxes that wait for review, in columns.

        Images that were moved or renamed since are found under the names that they have now,
        and suggestions have the ids that their classes have now.

        Parameters
        ----------
        known : SuggestionTable, optional
            What this returned before; it is returned again, as it is, if neither suggestions
            nor images nor classes have changed since.
        """

        def work(one: Dataset) -> SuggestionTable:
            num_classes = len(one.read().classes)
            return suggestion_log.read(
                one.storage, known, lambda: _listed(one), num_classes, _NAMES_AND_CLASSES
            )

        return await self._look(dataset, work)

    async def add_suggestions(self, dataset: str, blocks: Sequence[SuggestionBlock]) -> None:
        """Keep what sources propose, or what a person rejected; no label is touched.

        What a source says of an image replaces what the same source said of it before.
        Rejections are durable when this returns.
        """
        await self._commit(dataset, suggestion_log.noted(blocks))

    async def drop_suggestions(self, dataset: str, source_id: str) -> None:
        """Forget what a source proposes; what a person rejected of it is remembered.

        Raises
        ------
        ValueError
            If this cannot be the id of a source.
        """
        await self._commit(dataset, [suggestion_log.dropped(source_id)])

    async def list_trash(self, dataset: str) -> list[TrashEntry]:
        """Return the deleted images and labels of a dataset, oldest first."""

        def work(one: Dataset) -> list[TrashEntry]:
            one.read()
            return [found.entry for found in trash.list_entries(one.trash)]

        return await self._look(dataset, work)

    async def read_deleted(self, dataset: str, entry_ids: Sequence[str]) -> list[bytes | Exception]:
        """Return the files of deleted images as they are stored, in the given order.

        Returns
        -------
        list of bytes or Exception
            `NotFoundError` for an entry that is not in the trash (any more), or has no
            image (deleted labels).
        """
        ids = list(entry_ids)

        def work(one: Dataset) -> list[bytes | Exception]:
            one.read()
            return trash.read_images(one.trash, ids)

        return await self._look(dataset, work)


def _keys(dataset: Dataset) -> set[ImageKey]:
    return set(_listed(dataset))


def _listed(dataset: Dataset) -> list[ImageKey]:
    return [key for split in SPLITS for key in zip(repeat(split), dataset.image_names(split))]
