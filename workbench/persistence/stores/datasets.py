"""The dataset store: datasets as a whole, and their way in and out."""

from __future__ import annotations

import asyncio
import builtins
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path

from workbench.errors import PASSING, InvalidDatasetError, NotFoundError, WorkbenchError
from workbench.persistence import archive
from workbench.persistence.class_rewrite import Request
from workbench.persistence.disk_errors import as_ours, speaks_plainly
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
    with_notes,
)
from workbench.persistence.rules import (
    check_classes,
    check_classes_seen,
    check_classes_suffice,
    check_colours,
)
from workbench.persistence.stamps import Stamp
from workbench.persistence.stopping import Stop, done_in_thread, to_its_end, watched_in_thread
from workbench.persistence.storage import Change, Write
from workbench.persistence.storage.looks import together
from workbench.persistence.stores import class_files, packing, snapshots
from workbench.persistence.stores import dataset_facts as facts
from workbench.persistence.stores.dataset import DATA_YAML, Dataset
from workbench.persistence.stores.frozen import frozen
from workbench.persistence.stores.label_reading import load_all
from workbench.persistence.stores.places import Building, Catalogue
from workbench.persistence.stores.prompt_file import prompts_written, read_prompts
from workbench.persistence.stores.side_data import SideData
from workbench.persistence.stores.telling import told
from workbench.persistence.stores.versions import VersionStore
from workbench.persistence.yolo.data_yaml import DataYaml
from workbench.persistence.yolo.yaml_text import rewritten

_log = logging.getLogger(__name__)


@speaks_plainly
class DatasetStore(VersionStore, SideData):
    """Datasets, their classes and prompts, and their way in and out as zip archives.

    Errors are the same for every method: `InvalidNameError` (a ``ValueError``) for a name
    that cannot be used, `AlreadyExistsError` (a ``ValueError``) for one that is taken,
    `NotFoundError` (a ``FileNotFoundError``) for a dataset that is not there.

    Parameters
    ----------
    catalogue : Catalogue
        Which datasets there are, and what each lies in.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = self._places = catalogue

    @property
    def is_far(self) -> bool:
        """Whether each look at the datasets is a request to another machine, as in a bucket."""
        return self._catalogue.is_far

    async def create(self, name: str, classes: Sequence[str] = ()) -> DatasetInfo:
        """Make an empty dataset.

        Raises
        ------
        InvalidDatasetError
            If a class name is empty, not a string or occurs twice.
        """
        return await self.create_from(name, classes, [])

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
        target, names = self._catalogue.open(name), check_classes(classes)

        def work(report: Progress) -> DatasetInfo:
            with self._catalogue.build(target.name) as building:
                facts.fill(building, len(names), images, report, total)
                made = self._completed(building, DataYaml(names), target)
            return told(lambda: self._info(target), made)

        return await watched_in_thread(f"dataset {name}", work, progress)

    async def create_with(
        self, name: str, fill: Callable[[archive.Sink], archive.ArchiveContents]
    ) -> ImportedDataset:
        """Make a dataset of files that are already in its layout: all of them, or nothing at all.

        Parameters
        ----------
        fill : callable
            Called once, in a worker thread, with a sink for images, label files and our own
            metadata, as paths in the dataset's layout whose names are sound; returns classes
            and what is to be reported. What it raises undoes everything.
        """
        return await self._to_import(name, fill)

    async def get(self, name: str) -> DatasetInfo:
        """Return what the dataset holds at this moment."""
        dataset = self._catalogue.open(name)
        return await asyncio.to_thread(lambda: dataset.consistently(lambda: self._info(dataset)))

    async def exists(self, name: str) -> bool:
        """Whether a dataset of this name is there."""
        dataset = self._catalogue.open(name)

        def work() -> bool:
            try:
                return dataset.has_value(DATA_YAML)
            except NotFoundError:
                return False

        return await asyncio.to_thread(work)

    async def names(self) -> builtins.list[str]:
        """Return the names of all datasets, also of damaged ones, sorted; none is looked into."""
        return await asyncio.to_thread(self._catalogue.names)

    async def list(self) -> builtins.list[DatasetInfo]:
        """Return all datasets, sorted by name; one that cannot be read has a `problem`."""
        names = await asyncio.to_thread(self._catalogue.names)
        if self._catalogue.folder is not None:
            found = await asyncio.to_thread(lambda: [self._listed(name) for name in names])
        else:  # most of it may be waiting for a server
            found = await together(asyncio.to_thread(self._listed, name) for name in names)
        return [info for info in found if info is not None]

    def _listed(self, name: str) -> DatasetInfo | None:
        try:
            dataset = self._catalogue.open(name)
            return dataset.consistently(partial(self._info, dataset))
        except PASSING:  # says nothing of a dataset
            raise
        except NotFoundError as error:  # deleted or renamed meanwhile
            _log.info("dataset left out of the list: %s", error)
            return None
        except (WorkbenchError, OSError) as error:
            # Not a warning: whoever lists is told, and each look would say it again.
            _log.info("dataset %s is damaged: %s", name, error)
            problem = as_ours(error, name) if isinstance(error, OSError) else error
            return DatasetInfo(name, self._catalogue.path(name), [], problem=str(problem))

    async def stamp(self, name: str) -> Stamp:
        """Return a stamp that differs after each change of the dataset; no folder is listed."""
        return await asyncio.to_thread(facts.stamp, self._catalogue.open(name))

    async def stamp_of_all(self) -> str:
        """Return a stamp that differs after a dataset is made, renamed, deleted or restored."""
        return await asyncio.to_thread(self._catalogue.stamp)

    async def rename(self, name: str, new_name: str) -> DatasetInfo:
        """Give the dataset another name."""
        dataset, target = self._catalogue.open(name), self._catalogue.open(new_name)

        def work() -> DatasetInfo:
            with dataset.leased():
                made = self._called(self._info(dataset), target)
                self._catalogue.rename(dataset, target.name)
            return told(lambda: self._info(target), made)

        return await done_in_thread(f"a change of dataset {name}", work)

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
        dataset, names = self._catalogue.open(name), check_classes(classes)

        def work() -> DatasetInfo:
            with dataset.leased() as (yaml, writer):
                check_classes_seen(dataset.name, yaml.classes, expected)
                if len(names) < len(yaml.classes):
                    counts = load_all(dataset, None).class_counts()
                    check_classes_suffice(counts, names)
                prompts = read_prompts(dataset.storage)
                kept = {i: texts for i, texts in prompts.items() if i < len(names)}
                now = datetime.now(UTC)
                after = yaml.with_classes(names, {})
                was = self._info(dataset)
                made = replace(was, classes=names, colours=after.colours, modified_at=now)
                before = dataset.storage.read(DATA_YAML)
                changes: builtins.list[Change] = [Write(DATA_YAML, rewritten(before, after))]
                if kept != prompts:
                    changes.append(prompts_written(kept))
                writer.commit(changes)
            return told(lambda: self._info(dataset), made)

        return await done_in_thread(f"a change of dataset {name}", work)

    async def set_colours(self, name: str, colours: Mapping[str, str]) -> None:
        """Give classes colours of their own, which boxes are drawn in.

        Parameters
        ----------
        colours : mapping of str to str
            By class name, such as ``#ff8800``; empty for the one that belongs to its id.

        Raises
        ------
        NotFoundError
            If there is no such class.
        InvalidDatasetError
            If one is no colour.
        """
        dataset = self._catalogue.open(name)

        def work() -> None:
            with dataset.leased() as (yaml, writer):
                after = yaml.with_colours(check_colours(colours, yaml.classes))
                before = dataset.storage.read(DATA_YAML)
                writer.commit([Write(DATA_YAML, rewritten(before, after))])

        await done_in_thread(f"a change of dataset {name}", work)

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

        return await done_in_thread(f"a change of dataset {name}", work)

    async def undo_rewrite(self, name: str, rewrite_id: str) -> None:
        """Put classes, prompts and label files back to what they were, byte for byte.

        Raises
        ------
        ConflictError
            If labels, classes or prompts have changed since.
        NotFoundError
            If there is no such rewrite, or it has been undone.
        """
        dataset = self._places.open(name)
        what = f"a change of dataset {name}"
        await done_in_thread(what, class_files.undo, dataset, rewrite_id)

    async def delete(self, name: str) -> TrashEntry:
        """Move the whole dataset to the trash."""
        dataset = self._catalogue.open(name)

        def work() -> TrashEntry:
            with ExitStack() as held:
                try:
                    held.enter_context(dataset.leased())
                except InvalidDatasetError:  # to be rid of a damaged one nothing of it is read
                    held.enter_context(dataset.storage.lease())
                return self._catalogue.delete(dataset)

        return await done_in_thread(f"a change of dataset {name}", work)

    async def list_trash(self) -> builtins.list[TrashEntry]:
        """Return the deleted datasets, oldest first."""
        return await asyncio.to_thread(self._catalogue.list_trash)

    async def restore(self, entry_id: str, *, name: str | None = None) -> DatasetInfo:
        """Bring a deleted dataset back, under another name if `name` is given.

        One that was damaged comes back as damaged, see `DatasetInfo.problem`.
        """

        def work() -> DatasetInfo:
            entry, dataset = self._catalogue.deleted(entry_id)
            target = self._catalogue.open(name or entry.name)
            try:
                found = facts.info(dataset, Path())
            except InvalidDatasetError as error:
                found = DatasetInfo(entry.name, Path(), [], problem=str(error))
            made = self._called(found, target)
            self._catalogue.restore(entry_id, target.name)
            return told(lambda: self._listed(target.name) or made, made)

        return await done_in_thread(f"dataset {entry_id} of the trash", work)

    async def purge(self, entry_id: str | None = None) -> int:
        """Remove one deleted dataset for good, or all of them; return how many."""
        return await done_in_thread("emptying the trash", self._catalogue.purge, entry_id)

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
        source, target = self._catalogue.open(name), self._catalogue.open(new_name)
        keys = set(images)

        def work(report: Progress) -> DatasetInfo:
            chosen = {source.find(*key) for key in keys}
            with self._catalogue.build(target.name) as building:
                with source.leased() as (yaml, _):
                    facts.copy_images(source, building, chosen, report)
                made = self._completed(building, yaml, target)
            return told(lambda: self._info(target), made)

        return await watched_in_thread(f"dataset {new_name}", work, progress)

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
            itself if it ends in ``.zip``. Default: the folder that holds the datasets, or where
            none does, the current one.
        overwrite : bool
            Replace an archive of that name, when the new one is complete; else leave it alone.

        Returns
        -------
        Path
            The archive.

        Raises
        ------
        AlreadyExistsError
            If there is an archive of that name, and `overwrite` is False.
        InvalidDatasetError
            If links lead outside of the dataset; nothing is written then.
        ArchiveError
            If a file is larger than any that is read here; nothing is written then either.
        """
        dataset = self._catalogue.open(name)
        wanted = (self._catalogue.folder or Path()) if output_path is None else Path(output_path)
        keys = None if only is None else set(only)

        def work(report: Progress) -> Path:
            chosen = None if keys is None else {dataset.find(*key) for key in keys}
            data_yaml, members = dataset.consistently(
                lambda: packing.exported(dataset, chosen, follow_links=follow_links)
            )
            output = archive.archive_path(wanted, dataset.name)
            archive.require_free(output, overwrite=overwrite)
            return archive.write_zip(
                output,
                chain(
                    [(DATA_YAML, data_yaml)], members.entries(), archive.empty_splits(members.keys)
                ),
                progress=report,
                total=len(members.keys) + 1,
                most_bytes=packing.most_bytes,
            )

        return await watched_in_thread(f"export of {name}", work, progress)

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
        source, bounds = Path(zip_path), limits or ArchiveLimits()
        return await self._to_import(
            source.stem if name is None else name,
            lambda sink: archive.import_archive(source, sink, limits=bounds, progress=progress),
        )

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
        source = await asyncio.to_thread(lambda: Path(folder).expanduser().absolute())
        return await self._to_import(
            source.name if name is None else name,
            lambda sink: archive.import_folder(source, sink, progress=progress),
        )

    async def _to_import(
        self, name: str, read: Callable[[archive.Sink], archive.ArchiveContents]
    ) -> ImportedDataset:
        """Import in a thread; who is cancelled meanwhile gets nothing, or all of it."""
        stop = Stop()

        def read_until_stopped(sink: archive.Sink) -> archive.ArchiveContents:
            found = read(stop.watch(sink))
            stop.check()  # the last chance: what comes now makes the dataset
            return found

        work = asyncio.to_thread(self._import, name, read_until_stopped)
        return await to_its_end(f"dataset {name}", work, stop)

    def _import(
        self, name: str, read: Callable[[archive.Sink], archive.ArchiveContents]
    ) -> ImportedDataset:
        target = self._catalogue.open(name)
        with self._catalogue.build(target.name) as building:
            found = read(building.sink)
            yaml = DataYaml(check_classes(found.classes), found.extra)
            made = self._completed(building, yaml, target)
        return with_notes(told(lambda: self._info(target), made), found.notes)

    def _completed(self, building: Building, yaml: DataYaml, target: Dataset) -> DatasetInfo:
        """Complete what was built; return what it will be called and what is in it."""
        facts.complete(building, yaml)
        return self._called(facts.info(building.dataset, Path()), target)

    def _called(self, info: DatasetInfo, target: Dataset) -> DatasetInfo:
        """Describe a dataset as what it is going to be."""
        return replace(info, name=target.name, path=self._catalogue.path(target.name))

    def _info(self, dataset: Dataset) -> DatasetInfo:
        return facts.info(dataset, self._catalogue.path(dataset.name))

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

        def work(report: Progress) -> Snapshot:
            return snapshots.take(
                dataset, folder, version=version, labelled_only=labelled_only, progress=report
            )

        return await watched_in_thread(f"snapshot of {name}", work, progress)

    async def frozen(self, name: str, version: str) -> Catalogue:
        """Return where the dataset lies as it was when a version was frozen, alone.

        For stores that look at it, see `frozen_view`. Nothing is copied, and nothing can be
        changed there.

        Raises
        ------
        NotFoundError
            If there is no such version.
        InvalidDatasetError
            If an image of the version is lost, or was damaged by another program.
        """
        return await asyncio.to_thread(frozen, self._places.open(name), version)
