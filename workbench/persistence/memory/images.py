"""The image store in memory."""

from __future__ import annotations

import builtins
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from workbench.errors import (
    AlreadyExistsError,
    InvalidFrameError,
    InvalidNameError,
    NotFoundError,
)
from workbench.persistence.filesystem.image_files import checked
from workbench.persistence.filesystem.paths import check_split, stem
from workbench.persistence.history import new_moves
from workbench.persistence.image_store import ImageStore
from workbench.persistence.memory.state import Dataset, State, StoredImage
from workbench.persistence.models import SPLITS, ImageInfo, ImageMove, TrashEntry
from workbench.persistence.rules import check_frame, decode, encode, image_size, trash_entry


class MemoryImageStore(ImageStore):
    """Images as encoded bytes in a dict."""

    def __init__(self, state: State) -> None:
        self._state = state

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
            decode(data, filename)
            if not overwrite and (split, filename) in found.images:
                raise AlreadyExistsError(f"{name}: {split} has an image {filename!r} already")
            found.require_free_stem(split, filename)
            found.images[split, filename] = StoredImage(bytes(data), time.time())
            return _with_size(found, name, split, filename)

    async def load(self, dataset: str, split: str, filename: str) -> npt.NDArray[np.uint8]:
        """See `ImageStore.load`."""
        return decode(await self.read_bytes(dataset, split, filename), filename)

    async def read_bytes(self, dataset: str, split: str, filename: str) -> bytes:
        """See `ImageStore.read_bytes`."""
        split, filename = checked(split, filename)
        with self._state.reading(dataset) as (name, found):
            return found.require_image(name, split, filename).data

    async def get(self, dataset: str, split: str, filename: str) -> ImageInfo:
        """See `ImageStore.get`."""
        split, filename = checked(split, filename)
        with self._state.reading(dataset) as (name, found):
            image_size(found.require_image(name, split, filename).data, filename)
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
                _carry(found, source, target)
            found.history += new_moves(ways)

    async def rename(self, dataset: str, split: str, filename: str, new_filename: str) -> ImageInfo:
        """See `ImageStore.rename`."""
        source, target = checked(split, filename), checked(split, new_filename)
        if source[1][len(stem(source[1])) :] != target[1][len(stem(target[1])) :]:
            raise InvalidNameError(f"{new_filename!r}: expected the extension of {filename!r}")
        with self._state.writing(dataset) as (name, found):
            _check_way(found, name, source, target)
            _carry(found, source, target)
            found.history += new_moves([(source, target)])
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
                found.require_image(name, split, filename)
            for split, filename in keys:
                entry = trash_entry("image", filename, split)
                labels = found.labels.pop((split, stem(filename)), None)
                found.trash[entry.id] = (entry, found.images.pop((split, filename)), labels)
                entries.append(entry)
        return entries

    async def list_trash(self, dataset: str) -> builtins.list[TrashEntry]:
        """See `ImageStore.list_trash`."""
        with self._state.reading(dataset) as (_, found):
            return [entry for entry, _, _ in found.trash.values()]

    async def restore(self, dataset: str, entry_id: str) -> ImageInfo:
        """See `ImageStore.restore`."""
        with self._state.writing(dataset) as (name, found):
            entry, image, labels = found.trash.get(entry_id, (None, None, None))
            if entry is None or image is None:
                raise NotFoundError(f"{entry_id!r} is no deleted image of {name}")
            found.require_free(name, entry.split, entry.name)
            found.images[entry.split, entry.name] = image
            if labels is not None:
                found.labels[entry.split, stem(entry.name)] = labels
            del found.trash[entry_id]
            return _with_size(found, name, entry.split, entry.name)

    async def purge(self, dataset: str, entry_id: str | None = None) -> int:
        """See `ImageStore.purge`."""
        with self._state.writing(dataset) as (name, found):
            if entry_id is not None and entry_id not in found.trash:
                raise NotFoundError(f"{entry_id!r} is not in the trash of {name}")
            doomed = list(found.trash) if entry_id is None else [entry_id]
            for identity in doomed:
                del found.trash[identity]
            return len(doomed)


def _check_way(found: Dataset, name: str, source: tuple[str, str], target: tuple[str, str]) -> None:
    found.require_image(name, *source)
    if source == target:
        return
    found.require_free(name, *target)
    if _label(source) in found.labels and _label(target) in found.labels:
        raise AlreadyExistsError(f"{name}: {target[0]} has labels without an image: {target[1]}")


def _carry(found: Dataset, source: tuple[str, str], target: tuple[str, str]) -> None:
    found.images[target] = found.images.pop(source)
    if _label(source) in found.labels:
        found.labels[_label(target)] = found.labels.pop(_label(source))


def _label(image: tuple[str, str]) -> tuple[str, str]:
    return image[0], stem(image[1])


def _with_size(found: Dataset, name: str, split: str, filename: str) -> ImageInfo:
    info = found.image_info(name, split, filename)
    try:
        width, height = image_size(found.images[split, filename].data, filename)
    except InvalidFrameError:
        return info
    return replace(info, width=width, height=height)
