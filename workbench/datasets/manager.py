"""All datasets: what there is, where new ones come from, where old ones go."""

from __future__ import annotations

import asyncio
import builtins
import logging
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from workbench.datasets.dataset import Dataset
from workbench.datasets.formats.exporting import Exported, export
from workbench.datasets.formats.importing import import_dataset
from workbench.datasets.formats.naming import default_name
from workbench.datasets.formats.plan import Imported
from workbench.datasets.health import HealthReport
from workbench.datasets.index import UNREADABLE, DatasetIndex, Indexer
from workbench.datasets.splits import DEFAULT_RATIOS, SplitPlan
from workbench.errors import PASSING, NotFoundError, WorkbenchError
from workbench.persistence import DatasetStore, DataStores, ImageStore, LabelStore, links, together
from workbench.persistence.models import (
    SPLITS,
    DatasetInfo,
    ImageKey,
    Progress,
    TrashEntry,
    no_progress,
)
from workbench.persistence.stopping import done_in_thread

_log = logging.getLogger(__name__)

_AT_ONCE = 4
"""Datasets that are looked at side by side: in a bucket most of it is waiting."""


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """What a list of datasets shows of each.

    Parameters
    ----------
    info : DatasetInfo
    num_labelled : dict of str to int
        Images that somebody has looked at, by split; also those with nothing in them.
    boxes : dict of str to int
        Number of boxes by class name, in the order of the classes.
    num_unreadable : int
        Label files that cannot be read, or name a class that is none.
    size_bytes : int
        Of all images together.
    problem : str
        Why nothing more is known than `info`; empty if all is well.
    index : DatasetIndex or None
        What was counted; None where there is a problem.
    """

    info: DatasetInfo
    num_labelled: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))
    boxes: dict[str, int] = field(default_factory=dict)
    num_unreadable: int = 0
    size_bytes: int = 0
    problem: str = ""
    index: DatasetIndex | None = field(default=None, repr=False, compare=False)

    @property
    def num_boxes(self) -> int:
        """All boxes, whatever their class."""
        return sum(self.boxes.values())


class DatasetManager:
    """Datasets as a whole; what is inside of one is the business of `Dataset`.

    Parameters
    ----------
    dataset_store : DatasetStore
    image_store : ImageStore
    label_store : LabelStore

    Examples
    --------
    ::

        datasets = DatasetManager.on(stores)
        await datasets.create("cups", ["cup"])
        cups = await datasets.open("cups")
        await cups.query("unlabelled sort:-date")
    """

    def __init__(
        self, dataset_store: DatasetStore, image_store: ImageStore, label_store: LabelStore
    ) -> None:
        self._stores = DataStores(dataset_store, image_store, label_store)
        self._indexer = Indexer(self._stores)

    @classmethod
    def on(cls, stores: DataStores) -> DatasetManager:
        """Return a manager on stores that belong together."""
        return cls(stores.dataset, stores.image, stores.label)

    # What there is.

    async def list(self) -> builtins.list[DatasetInfo]:
        """Return all datasets, sorted by name; a damaged one says so, see `DatasetInfo.problem`."""
        return await self._stores.dataset.list()

    async def list_usable(self) -> builtins.list[str]:
        """Return the names of the datasets that can be opened, sorted."""
        return [info.name for info in await self._stores.dataset.list() if not info.problem]

    async def exists(self, name: str) -> bool:
        """Whether a dataset of this name is there."""
        return await self._stores.dataset.exists(name)

    async def get(self, name: str) -> DatasetInfo:
        """Return what a dataset holds at this moment.

        Raises
        ------
        NotFoundError
            If there is no such dataset.
        """
        return await self._stores.dataset.get(name)

    async def open(self, name: str) -> Dataset:
        """Return a dataset to work with, by the name that it has on disk.

        Raises
        ------
        NotFoundError
            If there is no such dataset.
        """
        return Dataset(self._stores, (await self._stores.dataset.get(name)).name)

    async def facts(self, name: str, *, progress: Progress = no_progress) -> DatasetFacts:
        """Return how far the labelling of a dataset has come.

        Raises
        ------
        NotFoundError
            If there is no such dataset.
        """
        return await self._facts(await self._stores.dataset.get(name), progress)

    async def list_facts(self, *, progress: Progress = no_progress) -> builtins.list[DatasetFacts]:
        """Return the facts of all datasets, sorted by name.

        One that cannot be read says so in its `DatasetFacts.problem`; one that is deleted
        meanwhile too.

        Parameters
        ----------
        progress : callable
            Counts datasets.
        """
        infos = await self._stores.dataset.list()
        turns, done = asyncio.Semaphore(_AT_ONCE), 0

        async def look(info: DatasetInfo) -> DatasetFacts:
            nonlocal done
            async with turns:
                found = await self._facts_or_problem(info)
            done += 1
            progress(done, len(infos))
            return found

        progress(0, len(infos))
        return await together(look(info) for info in infos)

    async def _facts_or_problem(self, info: DatasetInfo) -> DatasetFacts:
        if info.problem:
            return DatasetFacts(info, problem=info.problem)
        try:
            return await self._facts(info, no_progress)
        except PASSING:
            raise
        except (WorkbenchError, OSError) as error:
            _log.warning("dataset %s cannot be looked at: %s", info.name, error)
            return DatasetFacts(info, problem=str(error))

    async def _facts(self, info: DatasetInfo, progress: Progress) -> DatasetFacts:
        index = await self._indexer.load(info.name, progress=progress)
        return await asyncio.to_thread(_facts_of, info, index)

    # Where they come from.

    async def create(self, name: str, classes: Sequence[str] = ()) -> DatasetInfo:
        """Make an empty dataset; see `DatasetStore.create`."""
        return await self._stores.dataset.create(name, classes)

    async def duplicate(
        self, name: str, new_name: str, *, query: str = "", progress: Progress = no_progress
    ) -> DatasetInfo:
        """Make a copy of a dataset: images, labels, classes, prompts and tags.

        Versions and the history of the labels stay with the original.

        Parameters
        ----------
        query : str
            Only the images that this query finds; see `Dataset.query`. Default: all.

        Raises
        ------
        AlreadyExistsError
            If the new name is taken.
        NotFoundError
            If there is no such dataset, or an image was deleted meanwhile.
        """
        keys = await Dataset(self._stores, name).query(query)
        return await self._stores.dataset.copy_images(name, new_name, keys, progress=progress)

    async def import_from(
        self,
        path: Path | str,
        name: str | None = None,
        *,
        number: bool = False,
        progress: Progress = no_progress,
    ) -> Imported:
        """Make a dataset of a folder or a zip archive of any tool; see `import_dataset`.

        Parameters
        ----------
        number : bool
            Whether the name gets a number behind it if there is such a dataset already.
        """
        if number:
            name = await self.free_name(default_name(Path(path)) if name is None else name)
        return await import_dataset(self._stores, path, name, progress=progress)

    async def free_name(self, name: str) -> str:
        """Return `name`, or the first of ``name-2``, ``name-3`` ... that no dataset has."""
        number, free = 2, name
        while await self.exists(free):
            free = f"{name}-{number}"
            number += 1
        return free

    # What is done with a whole one.

    async def rename(self, name: str, new_name: str) -> DatasetInfo:
        """Give a dataset another name."""
        return await self._stores.dataset.rename(name, new_name)

    async def trust_links(
        self, name: str, *, only: Collection[Path] | None = None
    ) -> builtins.list[Path]:
        """Say that the links of a dataset that lead out of it are your own.

        What lies there is from then on as good as what lies in the dataset: labels are saved
        through such links, versions and exports hold what they lead to. It is kept on this
        machine, for this folder and for where its links lead now; neither a copy of the dataset
        nor a link that comes later is meant.

        Parameters
        ----------
        name : str
        only : collection of Path, optional
            Folders that you have looked at, see `untrusted_links`; nothing is said of others.

        Returns
        -------
        list of Path
            The folders that they lead to: none of it is a surprise, or `distrust_links`.

        Raises
        ------
        NotFoundError
            If there is no such dataset.
        SetupError
            If it cannot be written down.
        """
        root = await self._folder_of(name)
        shown = None if only is None else [os.fspath(folder) for folder in only]
        work = partial(links.trust_links, root, only=shown)
        found = await done_in_thread(f"what is said of the links of {name}", work)
        return [Path(folder) for folder in found]

    async def distrust_links(self, name: str, *, but: Collection[Path] = ()) -> None:
        """Take back what `trust_links` said of a dataset; raises as it does.

        Parameters
        ----------
        name : str
        but : collection of Path
            Folders to which its links may lead still.
        """
        kept = [os.fspath(folder) for folder in but]
        work = partial(links.distrust_links, await self._folder_of(name), but=kept)
        await done_in_thread(f"what is said of the links of {name}", work)

    async def trusted_links(self, dataset: str | DatasetInfo) -> builtins.list[Path]:
        """Return the folders that `trust_links` was said of; raises as it does.

        Parameters
        ----------
        dataset : str or DatasetInfo
            As for `untrusted_links`.
        """
        root = await self._root_of(dataset)
        found = await asyncio.to_thread(links.trusted_links, root)
        return [Path(folder) for folder in found]

    async def untrusted_links(self, dataset: str | DatasetInfo) -> builtins.list[Path]:
        """Return the folders that links of a dataset lead to without that you have said so.

        Parameters
        ----------
        dataset : str or DatasetInfo
            Its name, or what is known of it: then the datasets are not listed for it.

        Raises
        ------
        NotFoundError
            If there is no such dataset.
        InvalidDatasetError
            If its folder cannot be looked through.
        """
        root = await self._root_of(dataset)
        found = await asyncio.to_thread(links.untrusted_links, root)
        return [Path(folder) for folder in found]

    async def _root_of(self, dataset: str | DatasetInfo) -> str:
        if isinstance(dataset, str):
            return await self._folder_of(dataset)
        return os.fspath(dataset.path)

    async def _folder_of(self, name: str) -> str:
        # One whose data.yaml is such a link is listed, and tells no more than where it is.
        found = [info for info in await self._stores.dataset.list() if info.name == name]
        if not found:
            raise NotFoundError(f"no dataset is called {name!r}")
        return os.fspath(found[0].path)

    async def export_zip(
        self,
        name: str,
        output_path: Path | str | None = None,
        *,
        only: Collection[ImageKey] | None = None,
        follow_links: bool = False,
        overwrite: bool = True,
        progress: Progress = no_progress,
    ) -> Path:
        """Write a dataset as a zip archive in YOLO format; see `DatasetStore.export_zip`."""
        return await self._stores.dataset.export_zip(
            name,
            output_path,
            only=only,
            follow_links=follow_links,
            overwrite=overwrite,
            progress=progress,
        )

    async def export(
        self,
        name: str,
        *,
        format: str,
        to: Path | str | BinaryIO,
        where: str = "",
        overwrite: bool = False,
        progress: Progress = no_progress,
    ) -> Exported:
        """Write a dataset in the form that another tool reads; see `exporting.export`."""
        return await export(
            self._stores,
            name,
            format=format,
            to=to,
            where=where,
            overwrite=overwrite,
            progress=progress,
        )

    async def health(
        self,
        name: str,
        *,
        progress: Progress = no_progress,
        only: Collection[str] | None = None,
    ) -> HealthReport:
        """Look for everything that is wrong with a dataset; see `Dataset.health`."""
        return await (await self.open(name)).health(progress=progress, only=only)

    async def split(
        self, name: str, ratios: Mapping[str, float] = DEFAULT_RATIOS, **options: Any
    ) -> SplitPlan:
        """Plan who goes to train, val and test; nothing moves yet. See `SplitPlanner.plan`."""
        return await (await self.open(name)).splits(ratios, **options)

    # Where they go.

    async def delete(self, name: str) -> TrashEntry:
        """Move a dataset to the trash."""
        return await self._stores.dataset.delete(name)

    async def list_trash(self) -> builtins.list[TrashEntry]:
        """Return the deleted datasets, oldest first."""
        return await self._stores.dataset.list_trash()

    async def restore(self, entry_id: str, *, name: str | None = None) -> DatasetInfo:
        """Bring a deleted dataset back, under another name if `name` is given."""
        return await self._stores.dataset.restore(entry_id, name=name)

    async def purge(self, entry_id: str | None = None) -> int:
        """Remove one deleted dataset for good, or all of them; return how many."""
        return await self._stores.dataset.purge(entry_id)


def _facts_of(info: DatasetInfo, index: DatasetIndex) -> DatasetFacts:
    of_split = index.split[index.label_bytes >= 0]
    labelled = np.bincount(of_split.astype(np.int64), minlength=len(SPLITS)).tolist()
    counts = np.bincount(index.class_id, minlength=len(index.classes)).tolist()
    return DatasetFacts(
        info,
        dict(zip(SPLITS, labelled, strict=True)),
        dict(zip(index.classes, counts, strict=True)),
        int((index.state == UNREADABLE).sum()),
        int(index.size_bytes.sum()),
        index=index,
    )
