"""The contract of dataset stores."""

from __future__ import annotations

import asyncio
import builtins
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.persistence.class_rewrite import Request
from workbench.persistence.models import (
    ArchiveLimits,
    ClassRewrite,
    DatasetInfo,
    ImageKey,
    ImportedDataset,
    NewImage,
    Progress,
    RowPatch,
    Snapshot,
    TrashEntry,
    no_progress,
)
from workbench.persistence.stamps import Stamp
from workbench.persistence.stores import class_files, snapshots
from workbench.persistence.stores.side_data import SideData
from workbench.persistence.stores.versions import VersionStore

if TYPE_CHECKING:
    from workbench.persistence.archive import ArchiveContents, Sink


class DatasetStore(VersionStore, SideData, ABC):
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
    async def create_with(
        self, name: str, fill: Callable[[Sink], ArchiveContents]
    ) -> ImportedDataset:
        """Make a dataset of files that are already in its layout: all of them, or nothing at all.

        Parameters
        ----------
        fill : callable
            Called once, in a worker thread, with a sink for images, label files and our own
            metadata, as paths in the dataset's layout whose names are sound; returns classes
            and what is to be reported. What it raises undoes everything.
        """

    @abstractmethod
    async def get(self, name: str) -> DatasetInfo:
        """Return what the dataset holds at this moment."""

    @abstractmethod
    async def exists(self, name: str) -> bool:
        """Whether a dataset of this name is there."""

    @abstractmethod
    async def list(self) -> builtins.list[DatasetInfo]:
        """Return all datasets, sorted by name; one that cannot be read has a `problem`."""

    @abstractmethod
    async def stamp(self, name: str) -> Stamp:
        """Return a stamp that differs after each change of the dataset; no folder is listed."""

    @abstractmethod
    async def stamp_of_all(self) -> str:
        """Return a stamp that differs after a dataset is made, renamed, deleted or restored."""

    @abstractmethod
    async def rename(self, name: str, new_name: str) -> DatasetInfo:
        """Give the dataset another name."""

    @abstractmethod
    async def update_classes(
        self, name: str, classes: Sequence[str], *, expected: Sequence[str] | None = None
    ) -> DatasetInfo:
        """Change names of classes or append new ones; no box changes its class id.

        Parameters
        ----------
        classes : sequence of str
            All classes afterwards; the position is the class id.
        expected : sequence of str, optional
            The classes that the caller last saw.

        Raises
        ------
        ConflictError
            If the classes are not those that were expected.
        ClassesInUseError
            If the new list is too short for ids that labels use; names them with counts.
        InvalidDatasetError
            If a class name is empty, not a string or occurs twice.
        """

    async def rewrite_classes(
        self,
        name: str,
        classes: Sequence[str],
        mapping: Mapping[int, int | None],
        *,
        patches: Mapping[ImageKey, Sequence[RowPatch]] | None = None,
        expected: Sequence[str] | None = None,
        expected_boxes: Mapping[int, int] | None = None,
    ) -> ClassRewrite:
        """Change classes and every label file that uses them: all of it, or nothing.

        Label files in the trash, prompts and the history follow, so that whatever is
        brought back later has the right classes. Rows that are more than a box keep
        everything but their class id.

        Parameters
        ----------
        classes : sequence of str
            All classes afterwards.
        mapping : mapping of int to int or None
            New id by old id; None removes the boxes of the class. Ids that are not in it
            stay as they are.
        patches : mapping, optional
            Single rows that get another class as well, by ``(split, filename)``; positions,
            expected boxes and class ids are those after the mapping.
        expected : sequence of str, optional
            The classes that the caller last saw.
        expected_boxes : mapping of int to int, optional
            Number of boxes that the caller has counted, by old class id.

        Raises
        ------
        ConflictError
            If the classes, the counts or a patched row are not what was expected.
        InvalidDatasetError
            If the class names or the mapping cannot be.
        LabelFormatError
            If label files of images cannot be read; names them.
        """
        request = Request(classes, mapping, {}, expected, expected_boxes)
        dataset, copied = self._places.open(name), dict(patches or {})

        def work() -> ClassRewrite:
            rows = {dataset.find(*key): patch for key, patch in copied.items()}
            return class_files.rewrite(dataset, request, rows)

        return await asyncio.to_thread(work)

    async def undo_rewrite(self, name: str, rewrite_id: str) -> None:
        """Put classes, prompts and label files back to what they were, byte for byte.

        Raises
        ------
        ConflictError
            If labels, classes or prompts have changed since.
        NotFoundError
            If there is no such rewrite, or it has been undone.
        """
        await asyncio.to_thread(class_files.undo, self._places.open(name), rewrite_id)

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
    async def copy_images(
        self,
        name: str,
        new_name: str,
        images: Collection[ImageKey],
        *,
        progress: Progress = no_progress,
    ) -> DatasetInfo:
        """Make a dataset of some images of another: all of them, or nothing at all.

        Images and label files are copied byte for byte, with the splits, all classes and
        prompts, and the tags of these images.

        Raises
        ------
        NotFoundError
            If one of the images is not there.
        """

    @abstractmethod
    async def export_zip(
        self,
        name: str,
        output_path: Path | str | None = None,
        *,
        only: Collection[ImageKey] | None = None,
        follow_links: bool = False,
        progress: Progress = no_progress,
    ) -> Path:
        """Write the dataset as a zip archive that any YOLO tool reads.

        Parameters
        ----------
        only : collection of (str, str), optional
            Just these images, as ``(split, filename)``, without the history of the labels.
        follow_links : bool
            Pack also what links in the dataset's folder lead to outside of it. Without that,
            such links are an error: somebody else's may lead to what is yours alone.
        output_path : Path or str, optional
            A folder, which gets ``<name>.zip`` and is made if it is not there, or the archive
            itself if it ends in ``.zip``. An archive of that name is replaced when the new one
            is complete. Default: the folder that holds the
            datasets.

        Returns
        -------
        Path
            The archive.

        Raises
        ------
        InvalidDatasetError
            If links lead outside of the dataset; nothing is written then.
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
    async def import_folder(
        self,
        folder: Path | str,
        name: str | None = None,
        *,
        progress: Progress = no_progress,
    ) -> ImportedDataset:
        """Make a dataset from a folder in YOLO format, ours or another tool's.

        The folder stays as it is; everything is copied. It may have any of the shapes that
        `import_zip` understands, and links in it are followed.

        Parameters
        ----------
        name : str, optional
            Default: the folder's name.

        Raises
        ------
        NotFoundError
            If there is no such folder.
        ArchiveError
            If the folder is refused; nothing of it is left behind.
        """

    async def snapshot(
        self,
        name: str,
        folder: Path | str,
        *,
        version: str | None = None,
        labelled_only: bool = False,
        progress: Progress = no_progress,
    ) -> Snapshot:
        """Freeze the dataset, as it is now, in a new `folder` that training may write to.

        Images are copies, which share the space of the originals where the file system can
        (reflinks). Later changes of the dataset do not reach the snapshot, nor the reverse.

        Parameters
        ----------
        folder : Path or str
            Does not exist, or is empty.
        version : str, optional
            Take the dataset as it was when this version was frozen. One that is what the
            dataset is now gives a snapshot of the same digest.
        labelled_only : bool
            Leave out images without a label file. YOLO tools take those for background,
            so a half-labelled dataset would teach a model to overlook things.

        Raises
        ------
        NotFoundError
            If there is no such version.
        AlreadyExistsError
            If `folder` holds something.
        InvalidDatasetError
            If an image of the version is lost, or was damaged by another program.
        """
        dataset = self._places.open(name)
        return await asyncio.to_thread(
            snapshots.take,
            dataset,
            folder,
            version=version,
            labelled_only=labelled_only,
            progress=progress,
        )
