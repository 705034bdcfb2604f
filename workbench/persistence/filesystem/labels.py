"""The label store over plain files: a thread for each call, the work in `label_files`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence

from workbench.persistence.filesystem import image_files, label_edits, label_inspection
from workbench.persistence.filesystem import label_files as files
from workbench.persistence.filesystem.dataset_folder import DatasetRoot
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


class FilesystemLabelStore(LabelStore):
    """Label files below ``<data_dir>/<dataset>/labels/<split>/``."""

    def __init__(self, root: DatasetRoot) -> None:
        self._root = root

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
        folder = self._root.open(dataset)
        split, filename = image_files.checked(split, filename)
        # Copied, because the caller may go on editing its list while the thread works.
        boxes = list(annotations)

        def work() -> LabelData:
            return files.write(
                folder,
                split,
                filename,
                boxes,
                expected_revision=expected_revision,
                discard_other_rows=discard_other_rows,
                what=what,
            )

        return await asyncio.to_thread(work)

    async def save_many(
        self, dataset: str, labels: Mapping[tuple[str, str], Sequence[Annotation]]
    ) -> None:
        """See `LabelStore.save_many`."""
        folder = self._root.open(dataset)
        copied = {
            image_files.checked(split, filename): list(annotations)
            for (split, filename), annotations in labels.items()
        }
        await asyncio.to_thread(files.write_many, folder, copied)

    async def patch_many(
        self,
        dataset: str,
        patches: Mapping[tuple[str, str], Sequence[RowPatch] | None],
        *,
        what: str = "",
    ) -> list[str]:
        """See `LabelStore.patch_many`."""
        folder = self._root.open(dataset)
        copied = {
            image_files.checked(split, filename): None if rows is None else list(rows)
            for (split, filename), rows in patches.items()
        }
        return await asyncio.to_thread(label_edits.patch, folder, copied, what)

    async def load(self, dataset: str, split: str, filename: str) -> list[Annotation]:
        """See `LabelStore.load`."""
        return (await self.get(dataset, split, filename)).annotations

    async def get(self, dataset: str, split: str, filename: str) -> LabelData:
        """See `LabelStore.get`."""
        folder = self._root.open(dataset)
        split, filename = image_files.checked(split, filename)
        return await asyncio.to_thread(
            folder.consistently, lambda: files.read(folder, split, filename)
        )

    async def load_all(self, dataset: str, split: str | None = None) -> LabelTable:
        """See `LabelStore.load_all`."""
        folder = self._root.open(dataset)
        return await asyncio.to_thread(folder.consistently, lambda: files.load_all(folder, split))

    async def load_many(self, dataset: str, images: Sequence[ImageKey]) -> LabelTable:
        """See `LabelStore.load_many`."""
        folder = self._root.open(dataset)
        keys = [image_files.checked(split, filename) for split, filename in images]
        return await asyncio.to_thread(folder.consistently, lambda: files.load_many(folder, keys))

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
        copied = {image_files.checked(*key): repair for key, repair in repairs.items()}
        return await asyncio.to_thread(label_inspection.repair, folder, copied, what)

    async def delete_orphans(
        self, dataset: str, orphans: Sequence[tuple[str, str]]
    ) -> list[TrashEntry]:
        """See `LabelStore.delete_orphans`."""
        folder = self._root.open(dataset)
        return await asyncio.to_thread(label_inspection.delete_orphans, folder, list(orphans))

    async def exists(self, dataset: str, split: str, filename: str) -> bool:
        """See `LabelStore.exists`."""
        folder = self._root.open(dataset)
        split, filename = image_files.checked(split, filename)

        def work() -> bool:
            folder.read()
            folder.require_image(split, filename)
            return os.path.isfile(folder.paths.label(split, filename))

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
        split, filename = image_files.checked(split, filename)
        return await asyncio.to_thread(
            files.delete, folder, split, filename, expected_revision=expected_revision, what=what
        )

    async def delete_many(
        self, dataset: str, images: Sequence[tuple[str, str]], *, what: str = ""
    ) -> list[TrashEntry]:
        """See `LabelStore.delete_many`."""
        folder = self._root.open(dataset)
        names = [image_files.checked(split, filename) for split, filename in images]
        return await asyncio.to_thread(label_edits.delete, folder, names, what)

    async def restore(self, dataset: str, entry_id: str) -> LabelData:
        """See `LabelStore.restore`."""
        folder = self._root.open(dataset)

        def work() -> LabelData:
            entry = image_files.restore(folder, entry_id, "label")
            return files.read(folder, entry.split, entry.name)

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
        if filename is not None and split is not None:
            split, filename = image_files.checked(split, filename)

        def work() -> list[LabelEdit]:
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
        from_split, filename = image_files.checked(from_split, filename)
        to_split, _ = image_files.checked(to_split, filename)
        await asyncio.to_thread(files.move, folder, filename, from_split, to_split)
