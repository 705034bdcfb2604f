"""The image store in memory."""

from __future__ import annotations

import builtins
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from workbench.errors import (
    AlreadyExistsError,
    InvalidFrameError,
    InvalidNameError,
    NotFoundError,
    WorkbenchError,
)
from workbench.persistence.disk_errors import speaks_plainly
from workbench.persistence.filesystem.adding import distinct_keys, new_labels
from workbench.persistence.filesystem.dataset_files import content_bytes
from workbench.persistence.filesystem.image_files import checked
from workbench.persistence.filesystem.replacing import check
from workbench.persistence.history import new_moves
from workbench.persistence.image_store import ImageStore
from workbench.persistence.inspection import ImageReplacement
from workbench.persistence.memory import replacing
from workbench.persistence.memory.state import Dataset, State, StoredImage
from workbench.persistence.memory.trash import bring_back, check_way_back, discard
from workbench.persistence.models import (
    SPLITS,
    ImageInfo,
    ImageKey,
    ImageMove,
    ImageTable,
    NewImage,
    Progress,
    TrashEntry,
    no_progress,
)
from workbench.persistence.rules import (
    check_decodes,
    check_frame,
    decode,
    encode,
    image_size,
    trash_entry,
)
from workbench.persistence.sources import ImageSource, new_records
from workbench.persistence.storage import Listing
from workbench.persistence.stores import source_log
from workbench.persistence.tags import renamed
from workbench.persistence.yolo.names import check_split, stem


@speaks_plainly
class MemoryImageStore(ImageStore):
    """Images as encoded bytes in a dict."""

    def __init__(self, state: State) -> None:
        self._state = self._places = state
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
        split, filename = checked(split, filename)
        data = encode(check_frame(frame), filename)
        return await self.save_bytes(dataset, split, filename, data, overwrite=overwrite)

    async def save_bytes(
        self, dataset: str, split: str, filename: str, data: bytes, *, overwrite: bool = True
    ) -> ImageInfo:
        """See `ImageStore.save_bytes`."""
        split, filename = checked(split, filename)
        with self._state.writing(dataset) as (name, found):
            check_decodes(data, filename)
            if not overwrite and (split, filename) in found.images:
                raise AlreadyExistsError(f"{name}: {split} has an image {filename!r} already")
            found.require_free_stem(split, filename)
            found.images[split, filename] = StoredImage(bytes(data), time.time())
            return _with_size(found, name, split, filename)

    async def add_many(
        self, dataset: str, images: Sequence[NewImage], *, sources: Sequence[ImageSource] = ()
    ) -> builtins.list[ImageInfo]:
        """See `ImageStore.add_many`."""
        keys = distinct_keys(images)
        contents = [content_bytes(i, key[1]) for i, key in zip(images, keys, strict=True)]
        records = new_records(sources)
        with self._state.writing(dataset) as (name, found):
            for key in keys:
                found.require_free(name, *key)
            labels = new_labels(images, keys, len(found.yaml.classes))
            found.storage.commit(source_log.noted(found.storage, records))
            for key, data in zip(keys, contents, strict=True):
                found.images[key] = StoredImage(data, time.time())
            for key, data in labels.items():
                found.set_labels(*key, data, "add")
            return [_with_size(found, name, *key) for key in keys]

    async def load(self, dataset: str, split: str, filename: str) -> npt.NDArray[np.uint8]:
        """See `ImageStore.load`."""
        return decode(await self.read_bytes(dataset, split, filename), filename)

    async def read_bytes(
        self, dataset: str, split: str, filename: str, *, to_pass_on: bool = False
    ) -> bytes:
        """See `ImageStore.read_bytes`."""
        split, filename = checked(split, filename)
        with self._state.reading(dataset) as (name, found):
            return found.image(name, split, filename).data

    async def read_many(
        self, dataset: str, images: Sequence[ImageKey]
    ) -> builtins.list[bytes | Exception]:
        """See `ImageStore.read_many`."""
        contents: builtins.list[bytes | Exception] = []
        with self._state.reading(dataset) as (name, found):
            for split, filename in images:
                try:
                    image = found.image(name, *checked(split, filename))
                    contents.append(image.data)
                except WorkbenchError as error:
                    contents.append(error)
        return contents

    async def measure_many(
        self, dataset: str, images: Sequence[ImageKey], *, progress: Progress = no_progress
    ) -> npt.NDArray[np.int32]:
        """See `ImageStore.measure_many`."""
        sizes = np.zeros((len(images), 2), dtype=np.int32)
        with self._state.reading(dataset) as (_, found):
            for position, (split, filename) in enumerate(images):
                image = found.images.get(checked(split, filename))
                if image is not None:
                    sizes[position] = _size_or_zero(image.data, filename)
                progress(position + 1, len(images))
        return sizes

    async def get(self, dataset: str, split: str, filename: str) -> ImageInfo:
        """See `ImageStore.get`."""
        split, filename = checked(split, filename)
        with self._state.reading(dataset) as (name, found):
            image_size(found.image(name, split, filename).data, filename)
            return _with_size(found, name, split, filename)

    async def exists(self, dataset: str, split: str, filename: str) -> bool:
        """See `ImageStore.exists`."""
        with self._state.reading(dataset) as (_, found):
            return checked(split, filename) in found.images

    async def list(self, dataset: str, split: str | None = None) -> builtins.list[ImageInfo]:
        """See `ImageStore.list`."""
        splits = SPLITS if split is None else (check_split(split),)
        with self._state.reading(dataset) as (name, found):
            return [
                found.image_info(name, where, filename)
                for where in splits
                for filename in found.names(where)
            ]

    async def scan(self, dataset: str) -> ImageTable:
        """See `ImageStore.scan`."""
        with self._state.reading(dataset) as (_, found):
            table: list[tuple[int, str, int, int, int, int]] = []
            for number, split in enumerate(SPLITS):
                labels = _facts(found.storage.list(f"labels/{split}"))
                for filename, facts in sorted(
                    _facts(found.storage.list(f"images/{split}")).items()
                ):
                    own = labels.get(f"{stem(filename)}.txt", (-1, -1))
                    table.append((number, filename, *facts, *own))
            return ImageTable(
                filenames=[row[1] for row in table],
                split=np.array([row[0] for row in table], dtype=np.int8),
                size_bytes=_column(row[2] for row in table),
                modified_ns=_column(row[3] for row in table),
                label_bytes=_column(row[4] for row in table),
                label_modified_ns=_column(row[5] for row in table),
                classes=list(found.yaml.classes),
                settings_revision=found.yaml.revision,
                sources_revision=source_log.revision(found.storage),
            )

    async def move(self, dataset: str, filename: str, from_split: str, to_split: str) -> ImageInfo:
        """See `ImageStore.move`."""
        await self.move_many(dataset, [ImageMove(filename, from_split, to_split)])
        to_split, filename = checked(to_split, filename)
        with self._state.reading(dataset) as (name, found):
            return _with_size(found, name, to_split, filename)

    async def move_many(self, dataset: str, moves: Sequence[ImageMove]) -> None:
        """See `ImageStore.move_many`."""
        ways = [(checked(m.from_split, m.filename), checked(m.to_split, m.filename)) for m in moves]
        with self._state.writing(dataset) as (name, found):
            targets = [(split, stem(filename)) for _, (split, filename) in ways]
            if len(set(targets)) < len(targets):
                raise AlreadyExistsError(f"{name}: two images would come to one place")
            for source, target in ways:
                _check_way(found, name, source, target)
            for source, target in ways:
                found.carry(source, target)
            found.note(new_moves(ways))

    async def rename(self, dataset: str, split: str, filename: str, new_filename: str) -> ImageInfo:
        """See `ImageStore.rename`."""
        source, target = checked(split, filename), checked(split, new_filename)
        if source[1][len(stem(source[1])) :] != target[1][len(stem(target[1])) :]:
            raise InvalidNameError(f"{new_filename!r}: expected the extension of {filename!r}")
        with self._state.writing(dataset) as (name, found):
            _check_way(found, name, source, target)
            found.carry(source, target)
            stays = any(filename == source[1] for _, filename in found.images)
            found.tags = renamed(found.tags, source[1], target[1], keep_old=stays)
            found.note(new_moves([(source, target)]))
            return _with_size(found, name, *target)

    async def delete(self, dataset: str, split: str, filename: str) -> TrashEntry:
        """See `ImageStore.delete`."""
        return (await self.delete_many(dataset, [(split, filename)]))[0]

    async def delete_many(
        self, dataset: str, images: Sequence[tuple[str, str]]
    ) -> builtins.list[TrashEntry]:
        """See `ImageStore.delete_many`."""
        keys = list(dict.fromkeys(checked(split, filename) for split, filename in images))
        entries = []
        with self._state.writing(dataset) as (name, found):
            for split, filename in keys:
                found.image(name, split, filename)
            for split, filename in keys:
                entry = trash_entry("image", filename, split)
                labels = found.labels.pop((split, stem(filename)), None)
                found.deleted[entry.id] = (entry, found.images.pop((split, filename)), labels)
                entries.append(entry)
        return entries

    async def replace_many(
        self, dataset: str, replacements: Sequence[ImageReplacement]
    ) -> builtins.list[TrashEntry]:
        """See `ImageStore.replace_many`."""
        for one in replacements:
            checked(one.split, one.filename)
            checked(one.split, one.new_filename)
            check(one)
        with self._state.writing(dataset) as (name, found):
            return replacing.replace(found, name, replacements)

    async def undo_replace(self, dataset: str, entry_ids: Sequence[str]) -> None:
        """See `ImageStore.undo_replace`."""
        with self._state.writing(dataset) as (name, found):
            replacing.undo(found, name, entry_ids)

    async def restore(self, dataset: str, entry_id: str) -> ImageInfo:
        """See `ImageStore.restore`."""
        with self._state.writing(dataset) as (name, found):
            entry, image, labels = found.deleted.get(entry_id, (None, None, None))
            if entry is None or image is None:
                raise NotFoundError(f"{entry_id!r} is no deleted image of {name}")
            found.require_free(name, entry.split, entry.name)
            found.images[entry.split, entry.name] = image
            if labels is not None:
                found.labels[entry.split, stem(entry.name)] = labels
            del found.deleted[entry_id]
            return _with_size(found, name, entry.split, entry.name)

    async def restore_many(self, dataset: str, entry_ids: Sequence[str]) -> None:
        """See `ImageStore.restore_many`."""
        with self._state.writing(dataset) as (name, found):
            ids = list(dict.fromkeys(entry_ids))
            check_way_back(found, name, ids)
            for entry_id in ids:
                bring_back(found, entry_id)

    async def discard_many(
        self, dataset: str, entries: Sequence[TrashEntry]
    ) -> builtins.list[TrashEntry]:
        """See `ImageStore.discard_many`."""
        with self._state.writing(dataset) as (name, found):
            return discard(found, name, entries)

    async def purge(self, dataset: str, entry_id: str | None = None) -> int:
        """See `ImageStore.purge`."""
        with self._state.writing(dataset) as (name, found):
            if entry_id is not None and entry_id not in found.deleted:
                raise NotFoundError(f"{entry_id!r} is not in the trash of {name}")
            doomed = list(found.deleted) if entry_id is None else [entry_id]
            for identity in doomed:
                del found.deleted[identity]
            return len(doomed)


def _check_way(found: Dataset, name: str, source: tuple[str, str], target: tuple[str, str]) -> None:
    found.image(name, *source)
    if source == target:
        return
    found.require_free(name, *target)
    if _label(source) in found.labels and _label(target) in found.labels:
        raise AlreadyExistsError(f"{name}: {target[0]} has labels without an image: {target[1]}")


def _facts(found: Listing) -> dict[str, tuple[int, int]]:
    rows = zip(found.sizes.tolist(), found.stamps.tolist(), strict=True)
    return dict(zip(found.names, rows, strict=True))


def _label(image: tuple[str, str]) -> tuple[str, str]:
    return image[0], stem(image[1])


def _with_size(found: Dataset, name: str, split: str, filename: str) -> ImageInfo:
    info = found.image_info(name, split, filename)
    width, height = _size_or_zero(found.images[split, filename].data, filename)
    return replace(info, width=width, height=height)


def _size_or_zero(data: bytes, filename: str) -> tuple[int, int]:
    try:
        return image_size(data, filename)
    except InvalidFrameError:
        return 0, 0


def _column(values: Iterable[int]) -> npt.NDArray[np.int64]:
    return np.fromiter(values, dtype=np.int64)
