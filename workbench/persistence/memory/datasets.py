"""The dataset store in memory."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from time import time

import numpy as np

from workbench.errors import NotFoundError
from workbench.persistence import archive
from workbench.persistence.dataset_store import DatasetStore
from workbench.persistence.disk_errors import speaks_plainly
from workbench.persistence.memory.packing import MemorySink, entries_of
from workbench.persistence.memory.state import Dataset, State, StoredImage
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
from workbench.persistence.rules import (
    check_classes,
    check_classes_seen,
    check_classes_suffice,
    no_same_stem,
    trash_entry,
)
from workbench.persistence.stamps import Stamp
from workbench.persistence.stores.image_adding import content_bytes
from workbench.persistence.tags import check_tags
from workbench.persistence.yolo.data_yaml import DataYaml
from workbench.persistence.yolo.label_table import parse_many
from workbench.persistence.yolo.label_text import clean_annotations, format_labels
from workbench.persistence.yolo.names import check_image, check_name, stem


@speaks_plainly
class MemoryDatasetStore(DatasetStore):
    """Datasets in a dict. Archives and snapshots, which are files by nature, are real files."""

    def __init__(self, state: State) -> None:
        self._state = self._places = state

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
        name = check_name(name, "dataset name")
        new = Dataset(DataYaml(check_classes(classes)))
        self._state.require_free(name)
        for done, image in enumerate(images, start=1):
            _add(new, image)
            progress(done, max(total, done))
        return self._place(name, new)

    async def create_with(
        self, name: str, fill: Callable[[archive.Sink], archive.ArchiveContents]
    ) -> ImportedDataset:
        """See `DatasetStore.create_with`."""
        return self._import(name, fill)

    def _place(self, name: str, dataset: Dataset) -> DatasetInfo:
        with self._state.lock:
            self._state.require_free(name)
            self._state.datasets[name] = dataset
            dataset.called(name)
            return dataset.info(name)

    async def get(self, name: str) -> DatasetInfo:
        """See `DatasetStore.get`."""
        with self._state.reading(name) as (name, found):
            return found.info(name)

    async def exists(self, name: str) -> bool:
        """See `DatasetStore.exists`."""
        return check_name(name, "dataset name") in self._state.datasets

    async def list(self) -> builtins.list[DatasetInfo]:
        """See `DatasetStore.list`."""
        with self._state.lock:
            return [found.info(name) for name, found in sorted(self._state.datasets.items())]

    async def stamp(self, name: str) -> Stamp:
        """See `DatasetStore.stamp`."""
        with self._state.reading(name) as (_, found):
            return found.stamp()

    async def stamp_of_all(self) -> str:
        """See `DatasetStore.stamp_of_all`."""
        with self._state.lock:
            made = [(name, id(found)) for name, found in sorted(self._state.datasets.items())]
            return repr((made, sorted(self._state.trash)))

    async def rename(self, name: str, new_name: str) -> DatasetInfo:
        """See `DatasetStore.rename`."""
        new_name = check_name(new_name, "dataset name")
        with self._state.writing(name) as (name, found):
            self._state.require_free(new_name)
            self._state.datasets[new_name] = self._state.datasets.pop(name)
            found.called(new_name)
            return found.info(new_name)

    async def update_classes(
        self, name: str, classes: Sequence[str], *, expected: Sequence[str] | None = None
    ) -> DatasetInfo:
        """See `DatasetStore.update_classes`."""
        names = check_classes(classes)
        with self._state.writing(name) as (name, found):
            check_classes_seen(name, found.yaml.classes, expected)
            check_classes_suffice(_class_counts(found), names)
            found.yaml = DataYaml(names, found.yaml.extra)
            found.prompts = {i: texts for i, texts in found.prompts.items() if i < len(names)}
        return await self.get(name)

    async def delete(self, name: str) -> TrashEntry:
        """See `DatasetStore.delete`."""
        with self._state.reading(name) as (name, found):
            entry = trash_entry("dataset", name)
            self._state.trash[entry.id] = (entry, found)
            del self._state.datasets[name]
            return entry

    async def list_trash(self) -> builtins.list[TrashEntry]:
        """See `DatasetStore.list_trash`."""
        with self._state.lock:
            return [entry for entry, _ in self._state.trash.values()]

    async def restore(self, entry_id: str, *, name: str | None = None) -> DatasetInfo:
        """See `DatasetStore.restore`."""
        with self._state.lock:
            entry, found = self._require_trashed(entry_id)
            info = self._place(check_name(name or entry.name, "dataset name"), found)
            del self._state.trash[entry_id]
            return info

    async def purge(self, entry_id: str | None = None) -> int:
        """See `DatasetStore.purge`."""
        with self._state.lock:
            if entry_id is None:
                count = len(self._state.trash)
                self._state.trash.clear()
                return count
            self._require_trashed(entry_id)
            del self._state.trash[entry_id]
            return 1

    def _require_trashed(self, entry_id: str) -> tuple[TrashEntry, Dataset]:
        if entry_id not in self._state.trash:
            raise NotFoundError(f"{entry_id!r} is not in the trash: purged or restored?")
        return self._state.trash[entry_id]

    async def copy_images(
        self,
        name: str,
        new_name: str,
        images: Collection[ImageKey],
        *,
        progress: Progress = no_progress,
    ) -> DatasetInfo:
        """See `DatasetStore.copy_images`."""
        new_name = check_name(new_name, "dataset name")
        self._state.require_free(new_name)
        with self._state.reading(name) as (name, found):
            new = _of_some(found, name, images)
            for done in range(len(new.images)):
                progress(done + 1, len(new.images))
            return self._place(new_name, new)

    async def export_zip(
        self,
        name: str,
        output_path: Path | str | None = None,
        *,
        only: Collection[ImageKey] | None = None,
        follow_links: bool = False,
        progress: Progress = no_progress,
    ) -> Path:
        """See `DatasetStore.export_zip`; the default folder is the current one."""
        with self._state.reading(name) as (name, found):
            entries = entries_of(found if only is None else _of_some(found, name, only))
        entries += archive.empty_splits(entry for entry, _ in entries)
        output = archive.archive_path(Path(output_path or "."), name)
        return archive.write_zip(output, entries, progress=progress, total=len(entries))

    async def import_zip(
        self,
        zip_path: Path | str,
        name: str | None = None,
        *,
        limits: ArchiveLimits | None = None,
        progress: Progress = no_progress,
    ) -> ImportedDataset:
        """See `DatasetStore.import_zip`."""
        source = Path(zip_path)
        return self._import(
            source.stem if name is None else name,
            lambda sink: archive.import_archive(source, sink, limits=limits, progress=progress),
        )

    async def import_folder(
        self,
        folder: Path | str,
        name: str | None = None,
        *,
        progress: Progress = no_progress,
    ) -> ImportedDataset:
        """See `DatasetStore.import_folder`."""
        source = Path(folder).expanduser().absolute()
        return self._import(
            source.name if name is None else name,
            lambda sink: archive.import_folder(source, sink, progress=progress),
        )

    def _import(
        self, name: str, read: Callable[[archive.Sink], archive.ArchiveContents]
    ) -> ImportedDataset:
        name = check_name(name, "dataset name")
        self._state.require_free(name)
        sink = MemorySink()
        contents = read(sink)
        new = Dataset(DataYaml(check_classes(contents.classes), contents.extra))
        sink.fill(new)
        return with_notes(self._place(name, new), contents.notes)


def _of_some(found: Dataset, name: str, images: Collection[ImageKey]) -> Dataset:
    """Return a dataset of some images of another, without its history."""
    new = Dataset(found.yaml)
    if found.prompts:
        new.prompts = found.prompts
    keys = {check_image(split, filename) for split, filename in images}
    names = {filename for _, filename in keys}
    new.tags = check_tags({tag: names.intersection(hung) for tag, hung in found.tags.items()})
    for split, filename in keys:
        new.images[split, filename] = found.image(name, split, filename)
        if (split, stem(filename)) in found.labels:
            new.labels[split, stem(filename)] = found.labels[split, stem(filename)]
    return new


def _add(dataset: Dataset, image: NewImage) -> None:
    split, filename = check_image(image.split, image.filename)
    if (split, filename) in dataset.images:
        raise no_same_stem(filename, filename, split)
    dataset.require_free_stem(split, filename)
    data = content_bytes(replace(image, filename=filename), filename)
    dataset.images[split, filename] = StoredImage(data, time())
    if image.annotations is not None:
        where = f"{split}/{filename}"
        clean = clean_annotations(image.annotations, len(dataset.yaml.classes), where)
        dataset.labels[split, stem(filename)] = format_labels(clean)


def _class_counts(dataset: Dataset) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    contents = list(dataset.labels.values())
    names = ["/".join(key) for key in dataset.labels]
    columns = parse_many(
        contents, names, len(dataset.yaml.classes), keypoints=dataset.yaml.has_keypoints
    )
    return np.bincount(columns.class_id).astype(np.int64)
