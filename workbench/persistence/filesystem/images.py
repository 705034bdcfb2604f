"""The image store over plain files: a thread for each call, the work in `image_files`."""

from __future__ import annotations

import asyncio
import builtins
import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from workbench.persistence import links
from workbench.persistence.disk_errors import FULL, speaks_plainly
from workbench.persistence.filesystem import (
    adding,
    dataset_trash,
    discarding,
    replacing,
    scanning,
)
from workbench.persistence.filesystem import image_files as files
from workbench.persistence.filesystem.dataset_folder import DatasetFolder, DatasetRoot
from workbench.persistence.filesystem.image_reading import read_image
from workbench.persistence.image_store import ImageStore
from workbench.persistence.inspection import ImageReplacement
from workbench.persistence.models import (
    ImageInfo,
    ImageKey,
    ImageMove,
    ImageTable,
    NewImage,
    Progress,
    TrashEntry,
    no_progress,
)
from workbench.persistence.rules import check_decodes, check_frame, decode, encode
from workbench.persistence.sources import ImageSource, new_records
from workbench.persistence.stores import source_log, trash
from workbench.persistence.stores.label_inspection import ORPHAN
from workbench.persistence.yolo.names import check_split

_KINDS = frozenset({"image", "label", ORPHAN, replacing.REPLACED})


@speaks_plainly
class FilesystemImageStore(ImageStore):
    """Images below ``<data_dir>/<dataset>/images/<split>/``."""

    def __init__(self, root: DatasetRoot) -> None:
        self._root = self._places = root
        self._sources = source_log.SourceReader()

    async def save(
        self,
        dataset: str,
        split: str,
        filename: str,
        frame: npt.NDArray[np.uint8],
        *,
        overwrite: bool = True,
    ) -> ImageInfo:
        """See `ImageStore.save`."""
        folder = self._root.open(dataset)
        split, filename = files.checked(split, filename)
        check_frame(frame)

        def work() -> ImageInfo:
            folder.read()
            data = encode(frame, filename)
            return files.write(folder, split, filename, data, overwrite=overwrite)

        return await asyncio.to_thread(work)

    async def save_bytes(
        self, dataset: str, split: str, filename: str, data: bytes, *, overwrite: bool = True
    ) -> ImageInfo:
        """See `ImageStore.save_bytes`."""
        folder = self._root.open(dataset)
        split, filename = files.checked(split, filename)

        def work() -> ImageInfo:
            check_decodes(data, filename)
            return files.write(folder, split, filename, bytes(data), overwrite=overwrite)

        return await asyncio.to_thread(work)

    async def add_many(
        self, dataset: str, images: Sequence[NewImage], *, sources: Sequence[ImageSource] = ()
    ) -> builtins.list[ImageInfo]:
        """See `ImageStore.add_many`."""
        folder = self._root.open(dataset)
        records = new_records(sources)
        return await asyncio.to_thread(adding.add, folder, list(images), records)

    async def load(self, dataset: str, split: str, filename: str) -> npt.NDArray[np.uint8]:
        """See `ImageStore.load`."""
        path, data = await self._read(dataset, split, filename)
        return await asyncio.to_thread(decode, data, path)

    async def read_bytes(
        self, dataset: str, split: str, filename: str, *, to_pass_on: bool = False
    ) -> bytes:
        """See `ImageStore.read_bytes`."""
        return (await self._read(dataset, split, filename, to_pass_on=to_pass_on))[1]

    async def _read(
        self, dataset: str, split: str, filename: str, *, to_pass_on: bool = False
    ) -> tuple[str, bytes]:
        folder = self._root.open(dataset)

        def work() -> tuple[str, bytes]:
            folder.read()
            key = folder.find(split, filename)
            path = folder.image_path(*key)
            if to_pass_on:
                links.require_own_content(folder.name, folder.paths.root, path)
            return path, read_image(path)

        return await asyncio.to_thread(folder.consistently, work)

    async def read_many(
        self, dataset: str, images: Sequence[ImageKey]
    ) -> builtins.list[bytes | Exception]:
        """See `ImageStore.read_many`."""
        folder, keys = self._root.open(dataset), list(images)
        return await asyncio.to_thread(
            folder.consistently, lambda: scanning.read_many(folder, keys)
        )

    async def measure_many(
        self, dataset: str, images: Sequence[ImageKey], *, progress: Progress = no_progress
    ) -> npt.NDArray[np.int32]:
        """See `ImageStore.measure_many`."""
        folder, keys = self._root.open(dataset), list(images)
        return await asyncio.to_thread(
            folder.consistently, lambda: scanning.measure_many(folder, keys, progress)
        )

    async def get(self, dataset: str, split: str, filename: str) -> ImageInfo:
        """See `ImageStore.get`."""
        folder = self._root.open(dataset)

        def work() -> ImageInfo:
            folder.read()
            return files.info(folder, *folder.find(split, filename))

        return await asyncio.to_thread(folder.consistently, work)

    async def exists(self, dataset: str, split: str, filename: str) -> bool:
        """See `ImageStore.exists`."""
        folder = self._root.open(dataset)

        def work() -> bool:
            folder.read()
            return os.path.isfile(folder.paths.image(*folder.find(split, filename)))

        return await asyncio.to_thread(folder.consistently, work)

    async def list(self, dataset: str, split: str | None = None) -> builtins.list[ImageInfo]:
        """See `ImageStore.list`."""
        folder = self._root.open(dataset)
        return await asyncio.to_thread(
            folder.consistently, lambda: files.list_images(folder, split)
        )

    async def scan(self, dataset: str) -> ImageTable:
        """See `ImageStore.scan`."""
        folder = self._root.open(dataset)
        return await asyncio.to_thread(scanning.scan, folder)

    async def move(self, dataset: str, filename: str, from_split: str, to_split: str) -> ImageInfo:
        """See `ImageStore.move`."""
        folder = self._root.open(dataset)

        def work() -> ImageInfo:
            [way] = _found(folder, [ImageMove(filename, from_split, to_split)])
            size = files.measured(folder.image_path(way.from_split, way.filename))
            files.move(folder, [way])
            return files.sized_info(folder, to_split, way.filename, *size)

        return await asyncio.to_thread(work)

    async def move_many(self, dataset: str, moves: Sequence[ImageMove]) -> None:
        """See `ImageStore.move_many`."""
        folder = self._root.open(dataset)
        ways = builtins.list(moves)
        await asyncio.to_thread(lambda: files.move(folder, _found(folder, ways)))

    async def rename(self, dataset: str, split: str, filename: str, new_filename: str) -> ImageInfo:
        """See `ImageStore.rename`."""
        folder = self._root.open(dataset)
        split, new_filename = files.checked(split, new_filename)

        def work() -> ImageInfo:
            return files.rename(folder, *folder.find(split, filename), new_filename)

        return await asyncio.to_thread(work)

    async def delete(self, dataset: str, split: str, filename: str) -> TrashEntry:
        """See `ImageStore.delete`."""
        return (await self.delete_many(dataset, [(split, filename)]))[0]

    async def delete_many(
        self, dataset: str, images: Sequence[tuple[str, str]]
    ) -> builtins.list[TrashEntry]:
        """See `ImageStore.delete_many`."""
        folder = self._root.open(dataset)
        keys = builtins.list(images)
        return await asyncio.to_thread(
            lambda: files.delete(folder, [folder.find(*key) for key in keys])
        )

    async def replace_many(
        self, dataset: str, replacements: Sequence[ImageReplacement]
    ) -> builtins.list[TrashEntry]:
        """See `ImageStore.replace_many`."""
        folder = self._root.open(dataset)

        def work() -> builtins.list[TrashEntry]:
            for one in replacements:
                split, filename = folder.find(one.split, one.filename)
                if one.new_filename != filename:
                    files.checked(split, one.new_filename)
                replacing.check(one)
            return replacing.replace(folder, replacements)

        return await asyncio.to_thread(work)

    async def undo_replace(self, dataset: str, entry_ids: Sequence[str]) -> None:
        """See `ImageStore.undo_replace`."""
        folder = self._root.open(dataset)
        await asyncio.to_thread(replacing.undo, folder, list(entry_ids))

    async def restore(self, dataset: str, entry_id: str) -> ImageInfo:
        """See `ImageStore.restore`."""
        folder = self._root.open(dataset)
        return await asyncio.to_thread(files.restore_image, folder, entry_id)

    async def restore_many(self, dataset: str, entry_ids: Sequence[str]) -> None:
        """See `ImageStore.restore_many`."""
        folder = self._root.open(dataset)
        await asyncio.to_thread(files.restore_many, folder, builtins.list(entry_ids))

    async def discard_many(
        self, dataset: str, entries: Sequence[TrashEntry]
    ) -> builtins.list[TrashEntry]:
        """See `ImageStore.discard_many`."""
        folder, copied = self._root.open(dataset), builtins.list(entries)
        return await asyncio.to_thread(discarding.discard, folder, copied)

    async def purge(self, dataset: str, entry_id: str | None = None) -> int:
        """See `ImageStore.purge`."""
        folder = self._root.open(dataset)

        def work() -> int:
            with folder.writing():
                doomed = trash.doomed(folder.trash, entry_id, _KINDS)
                try:
                    with folder.journal.transaction() as change:
                        for trashed in doomed:
                            change.remove(folder.paths.at(trashed.folder))
                        for key in trash.leftovers(folder.trash):
                            change.remove(folder.paths.at(key))
                except OSError as error:
                    if error.errno not in FULL:
                        raise
                    # The plan of a transaction finds no room on a full disk. This needs none.
                    dataset_trash.discard(folder.trash, doomed)
            return len(doomed)

        return await asyncio.to_thread(work)


def _found(folder: DatasetFolder, moves: Sequence[ImageMove]) -> list[ImageMove]:
    """Return moves with the names as they stand on disk."""
    ways = []
    for way in moves:
        split, filename = folder.find(way.from_split, way.filename)
        ways.append(ImageMove(filename, split, check_split(way.to_split)))
    return ways
