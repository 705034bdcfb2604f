"""The label store over plain files: a thread for each call, the work in `label_files`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import TypeVar

from workbench.persistence.disk_errors import speaks_plainly
from workbench.persistence.filesystem import image_files, label_edits, label_inspection
from workbench.persistence.filesystem import label_files as files
from workbench.persistence.filesystem.dataset_folder import DatasetFolder, DatasetRoot
from workbench.persistence.filesystem.label_saves import LabelSaves, Save
from workbench.persistence.inspection import LabelInspection, LabelRepair
from workbench.persistence.label_store import LabelStore
from workbench.persistence.models import (
    Annotation,
    ImageKey,
    LabelData,
    LabelEdit,
    LabelTable,
    RowPatch,
    TrashEntry,
)
from workbench.persistence.yolo.names import check_split

T = TypeVar("T")


@speaks_plainly
class FilesystemLabelStore(LabelStore):
    """Label files below ``<data_dir>/<dataset>/labels/<split>/``."""

    def __init__(self, root: DatasetRoot) -> None:
        self._root = root
        self._saves = LabelSaves()

    async def save(
        self,
        dataset: str,
        split: str,
        filename: str,
        annotations: Sequence[Annotation],
        *,
        expected_revision: str | None = None,
        discard_other_rows: bool = False,
        what: str = "",
    ) -> LabelData:
        """See `LabelStore.save`."""
        # Copied, because the caller may go on editing its list while the thread works.
        boxes = list(annotations)
        save = Save(split, filename, boxes, expected_revision, discard_other_rows, what)
        return await self._saves.save(self._root.open(dataset), save)

    async def save_many(
        self,
        dataset: str,
        labels: Mapping[tuple[str, str], Sequence[Annotation]],
        *,
        expected: Mapping[tuple[str, str], str] | None = None,
        what: str = "",
    ) -> list[str]:
        """See `LabelStore.save_many`."""
        folder = self._root.open(dataset)
        copied = {key: list(annotations) for key, annotations in labels.items()}
        seen = dict(expected or {})
        return await asyncio.to_thread(
            lambda: files.write_many(folder, _found(folder, copied), _found(folder, seen), what)
        )

    async def patch_many(
        self,
        dataset: str,
        patches: Mapping[tuple[str, str], Sequence[RowPatch] | None],
        *,
        what: str = "",
    ) -> list[str]:
        """See `LabelStore.patch_many`."""
        folder = self._root.open(dataset)
        copied = {key: None if rows is None else list(rows) for key, rows in patches.items()}
        return await asyncio.to_thread(
            lambda: label_edits.patch(folder, _found(folder, copied), what)
        )

    async def load(self, dataset: str, split: str, filename: str) -> list[Annotation]:
        """See `LabelStore.load`."""
        return (await self.get(dataset, split, filename)).annotations

    async def get(self, dataset: str, split: str, filename: str) -> LabelData:
        """See `LabelStore.get`."""
        folder = self._root.open(dataset)
        return await asyncio.to_thread(
            folder.consistently, lambda: files.read(folder, *folder.find(split, filename))
        )

    async def load_all(self, dataset: str, split: str | None = None) -> LabelTable:
        """See `LabelStore.load_all`."""
        folder = self._root.open(dataset)
        return await asyncio.to_thread(folder.consistently, lambda: files.load_all(folder, split))

    async def load_many(self, dataset: str, images: Sequence[ImageKey]) -> LabelTable:
        """See `LabelStore.load_many`."""
        folder = self._root.open(dataset)
        keys = list(images)
        return await asyncio.to_thread(
            folder.consistently,
            lambda: files.load_many(folder, [folder.find(*key) for key in keys]),
        )

    async def inspect(self, dataset: str) -> LabelInspection:
        """See `LabelStore.inspect`."""
        folder = self._root.open(dataset)
        return await asyncio.to_thread(
            folder.consistently, lambda: label_inspection.inspect(folder)
        )

    async def repair_many(
        self, dataset: str, repairs: Mapping[ImageKey, LabelRepair], *, what: str = ""
    ) -> list[str]:
        """See `LabelStore.repair_many`."""
        folder = self._root.open(dataset)
        copied = dict(repairs)
        return await asyncio.to_thread(
            lambda: label_inspection.repair(folder, _found(folder, copied), what)
        )

    async def delete_orphans(
        self, dataset: str, orphans: Sequence[tuple[str, str]]
    ) -> list[TrashEntry]:
        """See `LabelStore.delete_orphans`."""
        folder = self._root.open(dataset)
        return await asyncio.to_thread(label_inspection.delete_orphans, folder, list(orphans))

    async def exists(self, dataset: str, split: str, filename: str) -> bool:
        """See `LabelStore.exists`."""
        folder = self._root.open(dataset)

        def work() -> bool:
            folder.read()
            key = folder.find(split, filename)
            folder.require_image(*key)
            return os.path.isfile(folder.paths.label(*key))

        return await asyncio.to_thread(folder.consistently, work)

    async def delete(
        self,
        dataset: str,
        split: str,
        filename: str,
        *,
        expected_revision: str | None = None,
        what: str = "",
    ) -> TrashEntry:
        """See `LabelStore.delete`."""
        folder = self._root.open(dataset)

        def work() -> TrashEntry:
            key = folder.find(split, filename)
            return files.delete(folder, *key, expected_revision=expected_revision, what=what)

        return await asyncio.to_thread(work)

    async def delete_many(
        self, dataset: str, images: Sequence[tuple[str, str]], *, what: str = ""
    ) -> list[TrashEntry]:
        """See `LabelStore.delete_many`."""
        folder = self._root.open(dataset)
        keys = list(images)
        return await asyncio.to_thread(
            lambda: label_edits.delete(folder, [folder.find(*key) for key in keys], what)
        )

    async def restore(self, dataset: str, entry_id: str) -> LabelData:
        """See `LabelStore.restore`."""
        folder = self._root.open(dataset)

        def work() -> LabelData:
            yaml = folder.read()
            entry, data = image_files.restore_labels(folder, entry_id)
            return files.parsed(folder, entry.split, entry.name, data, yaml)

        return await asyncio.to_thread(work)

    async def history(
        self,
        dataset: str,
        split: str | None = None,
        filename: str | None = None,
        *,
        limit: int | None = None,
    ) -> list[LabelEdit]:
        """See `LabelStore.history`."""
        folder = self._root.open(dataset)

        def work() -> list[LabelEdit]:
            if filename is not None and split is not None:
                return files.history(folder, *folder.find(split, filename), limit)
            return files.history(folder, split, filename, limit)

        return await asyncio.to_thread(folder.consistently, work)

    async def revert(self, dataset: str, edit_id: str) -> LabelData:
        """See `LabelStore.revert`."""
        return await asyncio.to_thread(files.revert, self._root.open(dataset), edit_id)

    async def revert_many(self, dataset: str, edit_ids: Sequence[str], *, what: str = "") -> None:
        """See `LabelStore.revert_many`."""
        folder = self._root.open(dataset)
        await asyncio.to_thread(label_edits.revert, folder, list(edit_ids), what)

    async def move(self, dataset: str, filename: str, from_split: str, to_split: str) -> None:
        """See `LabelStore.move`."""
        folder = self._root.open(dataset)

        def work() -> None:
            # The image may have been moved already, or not yet.
            for split in (check_split(to_split), from_split):
                _, found = folder.find(split, filename)
                if os.path.isfile(folder.paths.image(split, found)):
                    break
            files.move(folder, found, from_split, to_split)

        await asyncio.to_thread(work)


def _found(folder: DatasetFolder, by_image: Mapping[ImageKey, T]) -> dict[ImageKey, T]:
    """Return what belongs to images under their names as they stand on disk."""
    return {folder.find(*key): value for key, value in by_image.items()}
