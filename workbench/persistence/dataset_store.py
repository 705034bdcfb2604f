"""The contract of dataset stores."""

from __future__ import annotations

import builtins
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from workbench.persistence.models import (
    ArchiveLimits,
    DatasetInfo,
    ImportedDataset,
    NewImage,
    Progress,
    Snapshot,
    TrashEntry,
    no_progress,
)


class DatasetStore(ABC):
    """Datasets, their classes and prompts, and their way in and out as zip archives.

    Errors are the same for every method: `InvalidNameError` (a ``ValueError``) for a name
    that cannot be used, `AlreadyExistsError` (a ``ValueError``) for one that is taken,
    `NotFoundError` (a ``FileNotFoundError``) for a dataset that is not there.
    """

    @abstractmethod
    async def create(self, name: str, classes: Sequence[str] = ()) -> DatasetInfo:
        """Make an empty dataset.

        Raises
        ------
        InvalidDatasetError
            If a class name is empty, not a string or occurs twice.
        """

    @abstractmethod
    async def create_from(
        self,
        name: str,
        classes: Sequence[str],
        images: Iterable[NewImage],
        *,
        progress: Progress = no_progress,
        total: int = 0,
    ) -> DatasetInfo:
        """Make a dataset with images and labels in it: all of them, or nothing at all.

        Parameters
        ----------
        images : iterable of NewImage
            Consumed once, one at a time, in a worker thread; may be a generator.
        total : int
            Number of images, if known, for `progress`.
        """

    @abstractmethod
    async def get(self, name: str) -> DatasetInfo:
        """Return what the dataset holds at this moment."""

    @abstractmethod
    async def exists(self, name: str) -> bool:
        """Whether a dataset of this name is there."""

    @abstractmethod
    async def list(self) -> builtins.list[DatasetInfo]:
        """Return all datasets, sorted by name. A broken one is left out and logged."""

    @abstractmethod
    async def rename(self, name: str, new_name: str) -> DatasetInfo:
        """Give the dataset another name."""

    @abstractmethod
    async def update_classes(self, name: str, classes: Sequence[str]) -> DatasetInfo:
        """Change names of classes or append new ones; no box changes its class id.

        Raises
        ------
        ClassesInUseError
            If the new list is too short for ids that labels use; names them with counts.
        InvalidDatasetError
            If a class name is empty, not a string or occurs twice.
        """

    @abstractmethod
    async def save_prompts(self, name: str, prompts: Mapping[int, Sequence[str]]) -> None:
        """Keep text prompts (for YOLO-World and its like) by class id, replacing all earlier ones.

        Raises
        ------
        InvalidDatasetError
            If a class id is not one of the dataset's, or a prompt is empty.
        """

    @abstractmethod
    async def get_prompts(self, name: str) -> dict[int, builtins.list[str]]:
        """Return the prompts by class id; empty if none were saved."""

    @abstractmethod
    async def delete(self, name: str) -> TrashEntry:
        """Move the whole dataset to the trash."""

    @abstractmethod
    async def list_trash(self) -> builtins.list[TrashEntry]:
        """Return the deleted datasets, oldest first."""

    @abstractmethod
    async def restore(self, entry_id: str, *, name: str | None = None) -> DatasetInfo:
        """Bring a deleted dataset back, under another name if `name` is given."""

    @abstractmethod
    async def purge(self, entry_id: str | None = None) -> int:
        """Remove one deleted dataset for good, or all of them; return how many."""

    @abstractmethod
    async def export_zip(
        self, name: str, output_path: Path | str | None = None, *, progress: Progress = no_progress
    ) -> Path:
        """Write the dataset as a zip archive that any YOLO tool reads.

        Parameters
        ----------
        output_path : Path or str, optional
            A folder, which gets ``<name>.zip``, or the archive itself if it ends in
            ``.zip``. An archive of that name is replaced when the new one is complete.
            Default: the folder that holds the datasets.

        Returns
        -------
        Path
            The archive.
        """

    @abstractmethod
    async def import_zip(
        self,
        zip_path: Path | str,
        name: str | None = None,
        *,
        limits: ArchiveLimits | None = None,
        progress: Progress = no_progress,
    ) -> ImportedDataset:
        """Make a dataset from a zip archive, ours or another tool's.

        Parameters
        ----------
        name : str, optional
            Default: the archive's name without ``.zip``.
        limits : ArchiveLimits, optional

        Raises
        ------
        ArchiveError
            If the archive is refused; nothing of it is left behind.
        """

    @abstractmethod
    async def snapshot(
        self,
        name: str,
        folder: Path | str,
        *,
        labelled_only: bool = False,
        progress: Progress = no_progress,
    ) -> Snapshot:
        """Freeze the dataset as it is now in a new `folder` that training may do as it likes with.

        Images are linked where nothing could write through the link, else copied; labels
        are copied. Later changes of the dataset do not reach the snapshot, nor the reverse.

        Parameters
        ----------
        folder : Path or str
            Does not exist, or is empty.
        labelled_only : bool
            Leave out images without a label file. YOLO tools take those for background,
            so a half-labelled dataset would teach a model to overlook things.
        """
