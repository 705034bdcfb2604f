"""The dataset store over plain files."""

from __future__ import annotations

import asyncio
import builtins
import logging
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from workbench.errors import InvalidDatasetError, NotFoundError, WorkbenchError
from workbench.persistence import archive
from workbench.persistence.dataset_store import DatasetStore
from workbench.persistence.disk_errors import as_ours, speaks_plainly
from workbench.persistence.filesystem import dataset_files as files
from workbench.persistence.filesystem import (
    dataset_trash,
    packing,
    stamp_files,
)
from workbench.persistence.filesystem.dataset_folder import DatasetFolder, DatasetRoot
from workbench.persistence.filesystem.staging import Staging
from workbench.persistence.models import (
    ArchiveLimits,
    DatasetInfo,
    ImageKey,
    ImportedDataset,
    NewImage,
    Progress,
    TrashEntry,
    no_progress,
    with_notes,
)
from workbench.persistence.plain_files import read_file
from workbench.persistence.rules import (
    check_classes,
    check_classes_seen,
    check_classes_suffice,
)
from workbench.persistence.stamps import Stamp
from workbench.persistence.storage.local import LocalStorage
from workbench.persistence.storage.local.atomic import move_durably, replace_file
from workbench.persistence.storage.local.lock import making
from workbench.persistence.stores import trash
from workbench.persistence.stores.label_reading import load_all
from workbench.persistence.stores.layouts import DATASETS, place_in_models
from workbench.persistence.stores.side_data import prompts_written, read_prompts
from workbench.persistence.stores.telling import told
from workbench.persistence.yolo.data_yaml import DataYaml
from workbench.persistence.yolo.yaml_text import rewritten

_log = logging.getLogger(__name__)
_KINDS = frozenset({"dataset"})


@speaks_plainly
class FilesystemDatasetStore(DatasetStore):
    """Datasets as folders below one data folder."""

    def __init__(self, root: DatasetRoot) -> None:
        self._root = self._places = root
        self._staging = Staging(str(root.path))
        # A dataset is a folder here as a model is among the models.
        self._trash = trash.Trash(LocalStorage(str(root.path), DATASETS), place_in_models)

    async def create(self, name: str, classes: Sequence[str] = ()) -> DatasetInfo:
        """See `DatasetStore.create`."""
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
        """See `DatasetStore.create_from`."""
        folder = self._root.open(name)
        names = check_classes(classes)

        def work() -> DatasetInfo:
            with self._staging.build(folder.paths.root) as building:
                paths = files.write_skeleton(building, DataYaml(names))
                files.fill(paths, len(names), images, progress, total)
                made = self._built(building, folder)
            return told(lambda: files.info(folder), made)

        return await asyncio.to_thread(work)

    async def create_with(
        self, name: str, fill: Callable[[archive.Sink], archive.ArchiveContents]
    ) -> ImportedDataset:
        """See `DatasetStore.create_with`."""
        return await asyncio.to_thread(self._import, name, fill)

    async def get(self, name: str) -> DatasetInfo:
        """See `DatasetStore.get`."""
        folder = self._root.open(name)
        return await asyncio.to_thread(folder.consistently, lambda: files.info(folder))

    async def exists(self, name: str) -> bool:
        """See `DatasetStore.exists`."""
        folder = self._root.open(name)
        return await asyncio.to_thread(os.path.isfile, folder.paths.data_yaml)

    async def list(self) -> builtins.list[DatasetInfo]:
        """See `DatasetStore.list`."""

        def work() -> builtins.list[DatasetInfo]:
            found = []
            for name in files.list_names(self._root.path):
                try:
                    folder = self._root.open(name)
                    found.append(folder.consistently(partial(files.info, folder)))
                except NotFoundError as error:  # deleted or renamed meanwhile
                    _log.info("dataset left out of the list: %s", error)
                except (WorkbenchError, OSError) as error:
                    # Not a warning: whoever lists is told, and each look would say it again.
                    _log.info("dataset %s is damaged: %s", name, error)
                    path = self._root.path / name
                    problem = as_ours(error, name) if isinstance(error, OSError) else error
                    found.append(DatasetInfo(name, path, [], problem=str(problem)))
            return found

        return await asyncio.to_thread(work)

    async def stamp(self, name: str) -> Stamp:
        """See `DatasetStore.stamp`."""
        return await asyncio.to_thread(stamp_files.dataset_stamp, self._root.open(name).paths)

    async def stamp_of_all(self) -> str:
        """See `DatasetStore.stamp_of_all`."""
        return await asyncio.to_thread(stamp_files.folders_stamp, str(self._root.path))

    async def rename(self, name: str, new_name: str) -> DatasetInfo:
        """See `DatasetStore.rename`."""
        folder, target = self._root.open(name), self._root.open(new_name)

        def work() -> DatasetInfo:
            with folder.writing():
                made = self._built(folder.paths.root, target)
                self._staging.place(folder.paths.root, target.paths.root)
            return told(lambda: files.info(target), made)

        return await asyncio.to_thread(work)

    async def update_classes(
        self, name: str, classes: Sequence[str], *, expected: Sequence[str] | None = None
    ) -> DatasetInfo:
        """See `DatasetStore.update_classes`."""
        folder = self._root.open(name)
        names = check_classes(classes)

        def work() -> DatasetInfo:
            with folder.writing() as yaml:
                check_classes_seen(folder.name, yaml.classes, expected)
                if len(names) < len(yaml.classes):
                    counts = load_all(folder, None).class_counts()
                    check_classes_suffice(counts, names)
                prompts = read_prompts(folder.storage)
                kept = {i: texts for i, texts in prompts.items() if i < len(names)}
                made = replace(files.info(folder), classes=names, modified_at=datetime.now(UTC))
                with folder.journal.transaction() as change:
                    renamed = DataYaml(names, yaml.extra)
                    data = rewritten(read_file(folder.paths.data_yaml), renamed)
                    change.write(folder.paths.data_yaml, data)
                    if kept != prompts:
                        change.add(prompts_written(kept))
            return told(lambda: files.info(folder), made)

        return await asyncio.to_thread(work)

    async def delete(self, name: str) -> TrashEntry:
        """See `DatasetStore.delete`."""
        folder = self._root.open(name)

        def work() -> TrashEntry:
            data_dir = str(self._root.path)
            with ExitStack() as held:
                try:
                    held.enter_context(folder.writing())
                except InvalidDatasetError:  # to be rid of a damaged one nothing of it is read
                    held.enter_context(folder.journal.locked())
                held.enter_context(self._staging.locked())
                held.enter_context(making(data_dir))
                trashed = trash.new_entry(self._trash, "dataset", folder.name, [folder.name])
                place = f"{data_dir}/{trashed.folder}"
                try:
                    os.makedirs(place)
                    replace_file(f"{place}/entry.json", trashed.to_bytes(), place)
                    move_durably(folder.paths.root, f"{place}/{trashed.files[0][0]}")
                except BaseException:
                    dataset_trash.sweep(self._trash)  # an entry without its dataset is none
                    raise
            return trashed.entry

        return await asyncio.to_thread(work)

    async def list_trash(self) -> builtins.list[TrashEntry]:
        """See `DatasetStore.list_trash`."""
        found = await asyncio.to_thread(trash.list_entries, self._trash)
        return [trashed.entry for trashed in found]

    async def restore(self, entry_id: str, *, name: str | None = None) -> DatasetInfo:
        """See `DatasetStore.restore`."""

        def work() -> DatasetInfo:
            found = trash.find(self._trash, entry_id)
            folder = self._root.open(name or found.entry.name)
            trashed = f"{self._root.path}/{found.folder}/{found.files[0][0]}"
            made = self._built(trashed, folder)
            self._staging.place(trashed, folder.paths.root)
            dataset_trash.sweep(self._trash)
            return told(lambda: files.info(folder), made)

        return await asyncio.to_thread(work)

    async def purge(self, entry_id: str | None = None) -> int:
        """See `DatasetStore.purge`."""

        def work() -> int:
            with self._staging.locked(), making(str(self._root.path)):
                doomed = trash.doomed(self._trash, entry_id, _KINDS)
                dataset_trash.discard(self._trash, doomed)
            return len(doomed)

        return await asyncio.to_thread(work)

    async def copy_images(
        self,
        name: str,
        new_name: str,
        images: Collection[ImageKey],
        *,
        progress: Progress = no_progress,
    ) -> DatasetInfo:
        """See `DatasetStore.copy_images`."""
        source, target = self._root.open(name), self._root.open(new_name)
        keys = set(images)

        def work() -> DatasetInfo:
            chosen = {source.find(*key) for key in keys}
            with self._staging.build(target.paths.root) as building, source.writing() as yaml:
                files.copy_images(source, yaml, building, chosen, progress)
                made = self._built(building, target)
            return told(lambda: files.info(target), made)

        return await asyncio.to_thread(work)

    async def export_zip(
        self,
        name: str,
        output_path: Path | str | None = None,
        *,
        only: Collection[ImageKey] | None = None,
        follow_links: bool = False,
        progress: Progress = no_progress,
    ) -> Path:
        """See `DatasetStore.export_zip`."""
        folder = self._root.open(name)
        wanted = self._root.path if output_path is None else Path(output_path)
        keys = None if only is None else set(only)

        def work() -> Path:
            chosen = None if keys is None else {folder.find(*key) for key in keys}
            entries, data_yaml = folder.consistently(
                lambda: packing.export_entries(
                    folder, folder.read(), chosen, follow_links=follow_links
                )
            )
            total = len(entries) + 1
            output = archive.archive_path(wanted, folder.name)
            return archive.write_zip(
                output,
                [("data.yaml", data_yaml), *entries, *archive.empty_splits(n for n, _ in entries)],
                progress=progress,
                total=total,
            )

        return await asyncio.to_thread(work)

    async def import_zip(
        self,
        zip_path: Path | str,
        name: str | None = None,
        *,
        limits: ArchiveLimits | None = None,
        progress: Progress = no_progress,
    ) -> ImportedDataset:
        """See `DatasetStore.import_zip`."""
        source, bounds = Path(zip_path), limits or ArchiveLimits()
        return await asyncio.to_thread(
            self._import,
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
        """See `DatasetStore.import_folder`."""

        def work() -> ImportedDataset:
            source = Path(folder).expanduser().absolute()
            return self._import(
                source.name if name is None else name,
                lambda sink: archive.import_folder(source, sink, progress=progress),
            )

        return await asyncio.to_thread(work)

    def _import(
        self, name: str, read: Callable[[archive.Sink], archive.ArchiveContents]
    ) -> ImportedDataset:
        folder = self._root.open(name)
        with self._staging.build(folder.paths.root) as building:
            found = read(archive.FolderSink(Path(building)))
            files.write_skeleton(building, DataYaml(check_classes(found.classes), found.extra))
            made = self._built(building, folder)
        return with_notes(told(lambda: files.info(folder), made), found.notes)

    def _built(self, path: str, target: DatasetFolder) -> DatasetInfo:
        """Describe a dataset that is complete and not yet where it shall be."""
        info = files.info(self._root.at(path))
        return replace(info, name=target.name, path=Path(target.paths.root))
