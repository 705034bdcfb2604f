"""The image store: written once, over the storage contract."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from workbench.persistence.disk_errors import speaks_plainly
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
from workbench.persistence.stopping import done_in_thread
from workbench.persistence.stores import (
    image_adding,
    image_facts,
    image_listing,
    image_moves,
    image_replacing,
    image_trash,
    source_log,
)
from workbench.persistence.stores.dataset import Dataset
from workbench.persistence.stores.image_records import ImageRecords
from workbench.persistence.stores.places import DatasetPlaces
from workbench.persistence.yolo.names import check_image

T = TypeVar("T")


@speaks_plainly
class ImageStore(ImageRecords):
    """The images inside a dataset's splits.

    Errors are the same for every method: `InvalidNameError` (a ``ValueError``) for a
    dataset, split or file name that cannot be, `NotFoundError` (a ``FileNotFoundError``)
    for a dataset or image that is not there.

    Parameters
    ----------
    places : DatasetPlaces
        Where the datasets are.
    """

    def __init__(self, places: DatasetPlaces) -> None:
        self._places = places
        self._sources = source_log.SourceReader()

    async def _change(self, name: str, work: Callable[[Dataset], T]) -> T:
        dataset = self._places.open(name)
        return await done_in_thread(f"a change of dataset {name}", work, dataset)

    async def save(
        self,
        dataset: str,
        split: str,
        filename: str,
        frame: npt.NDArray[np.uint8],
        *,
        overwrite: bool = True,
    ) -> ImageInfo:
        """Encode a frame and store it; the extension of `filename` picks the codec.

        Parameters
        ----------
        frame : ndarray of uint8, shape (height, width, 3)
            BGR.
        overwrite : bool
            Replace an image of this name (atomically), or raise `AlreadyExistsError`.

        Raises
        ------
        InvalidFrameError
            If `frame` is anything else.
        AlreadyExistsError
            If an image of the same split differs only in its extension: the two would
            share one label file.
        """
        one = self._places.open(dataset)
        split, filename = check_image(split, filename)
        check_frame(frame)

        def work() -> ImageInfo:
            one.read()
            data = encode(frame, filename)
            return image_adding.write(one, split, filename, data, overwrite=overwrite)

        return await done_in_thread(f"image {filename}", work)

    async def save_bytes(
        self, dataset: str, split: str, filename: str, data: bytes, *, overwrite: bool = True
    ) -> ImageInfo:
        """Store an image that is encoded already, byte for byte.

        Raises
        ------
        InvalidFrameError
            If `data` cannot be decoded as an image.
        """
        one = self._places.open(dataset)
        split, filename = check_image(split, filename)

        def work() -> ImageInfo:
            check_decodes(data, filename)
            return image_adding.write(one, split, filename, bytes(data), overwrite=overwrite)

        return await done_in_thread(f"image {filename}", work)

    async def add_many(
        self, dataset: str, images: Sequence[NewImage], *, sources: Sequence[ImageSource] = ()
    ) -> builtins.list[ImageInfo]:
        """Store new images, with their labels where they have some: all, or none.

        Durable when this returns, and faster than one call for each.

        Parameters
        ----------
        images : sequence of NewImage
            JPEG and other encoded bytes are stored as they are. Labels come into the history.
        sources : sequence of ImageSource
            Where they came from; for some of them, all or none.

        Raises
        ------
        AlreadyExistsError
            If an image of such a name is there, or two would share a label file.
        InvalidFrameError
            If one is no image.
        InvalidBoxError
            If a box is NaN, empty inside the image, or of an unknown class.
        """
        copied = builtins.list(images)
        records = new_records(sources)
        return await self._change(dataset, lambda one: image_adding.add(one, copied, records))

    async def load(self, dataset: str, split: str, filename: str) -> npt.NDArray[np.uint8]:
        """Decode an image: uint8, shape ``(height, width, 3)``, BGR, EXIF rotation applied.

        Raises
        ------
        InvalidFrameError
            If the file is no image or is damaged.
        """
        where, data = await self._look(dataset, lambda one: image_facts.read(one, split, filename))
        return await asyncio.to_thread(decode, data, where)

    async def read_bytes(
        self, dataset: str, split: str, filename: str, *, to_pass_on: bool = False
    ) -> bytes:
        """Return the file as it is stored.

        Parameters
        ----------
        to_pass_on : bool
            Whether it leaves this machine. Then it has to lie in the dataset.

        Raises
        ------
        InvalidDatasetError
            If a link leads out of the dataset, and `to_pass_on` is set.
        """
        _, data = await self._look(
            dataset, lambda one: image_facts.read(one, split, filename, to_pass_on=to_pass_on)
        )
        return data

    async def read_many(
        self, dataset: str, images: Sequence[ImageKey]
    ) -> builtins.list[bytes | Exception]:
        """Return many files as they are stored, in the given order.

        Returns
        -------
        list of bytes or Exception
            For an image that cannot be read, the error that `read_bytes` would raise: one
            missing picture is no reason to show none.
        """
        keys = builtins.list(images)
        return await self._look(dataset, lambda one: image_facts.read_many(one, keys))

    async def measure_many(
        self,
        dataset: str,
        images: Sequence[ImageKey],
        *,
        progress: Progress = no_progress,
        unread: builtins.list[int] | None = None,
    ) -> npt.NDArray[np.int32]:
        """Read width and height of many images from their headers.

        Parameters
        ----------
        unread : list of int, optional
            Gets the positions of those that were not given out, say for want of permission,
            which says nothing of what they are.

        Returns
        -------
        ndarray of int32, shape (images, 2)
            Width and height in pixels, as the picture is shown (EXIF rotation applied).
            0 and 0 for a file that is not there or is no image.
        """
        keys = builtins.list(images)

        def work(one: Dataset) -> npt.NDArray[np.int32]:
            sizes, denied = image_facts.measure_many(one, keys, progress)
            if unread is not None:
                unread[:] = denied
            return sizes

        return await self._look(dataset, work)

    async def get(self, dataset: str, split: str, filename: str) -> ImageInfo:
        """Return one image's facts, width and height included.

        Raises
        ------
        InvalidFrameError
            If the file is no image or is damaged.
        """

        def work(one: Dataset) -> ImageInfo:
            one.read()
            return image_facts.info(one, *one.find(split, filename))

        return await self._look(dataset, work)

    async def exists(self, dataset: str, split: str, filename: str) -> bool:
        """Whether the image is there."""

        def work(one: Dataset) -> bool:
            one.read()
            return one.has_image(*one.find(split, filename))

        return await self._look(dataset, work)

    async def list(self, dataset: str, split: str | None = None) -> builtins.list[ImageInfo]:
        """Return all images by split and name, in one pass over the folders.

        No file is opened: ``width`` and ``height`` are 0.
        """
        return await self._look(dataset, lambda one: image_listing.list_images(one, split))

    async def keys(self, dataset: str) -> builtins.list[ImageKey]:
        """Return split and name of all images, in the order of `list`.

        It looks at nothing but the names, so what is called like an image may be none.
        """
        return await self._look(dataset, image_listing.list_keys)

    async def scan(self, dataset: str) -> ImageTable:
        """Return sizes and times of all images and label files in columns.

        For what works on whole datasets: it makes no object for each image but its name.
        """
        return await asyncio.to_thread(image_listing.scan, self._places.open(dataset))

    async def move(self, dataset: str, filename: str, from_split: str, to_split: str) -> ImageInfo:
        """Move an image to another split, together with its label file.

        `LabelStore.move` may follow and finds nothing left to do: there is no moment at
        which an image stands without its labels.

        Raises
        ------
        AlreadyExistsError
            If the target split has an image of this name.
        """
        way = ImageMove(filename, from_split, to_split)
        return await self._change(dataset, lambda one: image_moves.move_one(one, way))

    async def move_many(self, dataset: str, moves: Sequence[ImageMove]) -> None:
        """Move many images with their labels: all of them, or none."""
        ways = builtins.list(moves)
        await self._change(dataset, lambda one: image_moves.move_many(one, ways))

    async def rename(self, dataset: str, split: str, filename: str, new_filename: str) -> ImageInfo:
        """Give an image and its label file another name; the extension must stay."""
        _, new = check_image(split, new_filename)
        return await self._change(
            dataset, lambda one: image_moves.rename(one, *one.find(split, filename), new)
        )

    async def delete(self, dataset: str, split: str, filename: str) -> TrashEntry:
        """Move an image and its labels to the trash."""
        return (await self.delete_many(dataset, [(split, filename)]))[0]

    async def delete_many(
        self, dataset: str, images: Sequence[tuple[str, str]]
    ) -> builtins.list[TrashEntry]:
        """Move many images, given as ``(split, filename)``, to the trash: all, or none."""
        keys = builtins.list(images)
        return await self._change(
            dataset, lambda one: image_trash.delete(one, [one.find(*key) for key in keys])
        )

    async def replace_many(
        self, dataset: str, replacements: Sequence[ImageReplacement]
    ) -> builtins.list[TrashEntry]:
        """Put other bytes in the place of images, which keep their labels: all, or none.

        For an image that needs another encoding or another extension. What it was goes to
        the trash; `undo_replace` takes the entries back.

        Raises
        ------
        ConflictError
            If an image does not hold what its replacement was made from.
        AlreadyExistsError
            If the new name is taken.
        InvalidNameError
            If the new name differs in more than the extension.
        InvalidFrameError
            If the new bytes are no image.
        """
        copied = builtins.list(replacements)
        return await self._change(dataset, lambda one: image_replacing.replace(one, copied))

    async def undo_replace(self, dataset: str, entry_ids: Sequence[str]) -> None:
        """Put replaced images back to what they were: all, or none.

        Raises
        ------
        ConflictError
            If an image was changed since it was replaced.
        NotFoundError
            If an entry is not in the trash (any more).
        """
        ids = builtins.list(entry_ids)
        await self._change(dataset, lambda one: image_replacing.undo(one, ids))

    async def restore(self, dataset: str, entry_id: str) -> ImageInfo:
        """Bring a deleted image back to where it was, with the labels that it had."""
        return await self._change(dataset, lambda one: image_trash.restore_image(one, entry_id))

    async def restore_many(self, dataset: str, entry_ids: Sequence[str]) -> None:
        """Bring deleted images and label files back to where they were: all, or none.

        Raises
        ------
        AlreadyExistsError
            If a place is taken again; names it.
        NotFoundError
            If an entry is not in the trash (any more), or a label's image is gone.
        """
        ids = builtins.list(entry_ids)
        await self._change(dataset, lambda one: image_trash.restore_many(one, ids))

    async def discard_many(
        self, dataset: str, entries: Sequence[TrashEntry]
    ) -> builtins.list[TrashEntry]:
        """Take `restore_many` back: all to the trash once more, or nothing.

        Parameters
        ----------
        entries : sequence of TrashEntry
            As `list_trash` gave them before they were restored: images, which go with the
            labels that they have now, label files, and label files without an image.

        Returns
        -------
        list of TrashEntry
            The new entries, in the same order.

        Raises
        ------
        NotFoundError
            If an image or a label file is not where it was restored to (any more).
        ConflictError
            If an image has come to a label file that had none.
        """
        copied = builtins.list(entries)
        return await self._change(dataset, lambda one: image_trash.discard(one, copied))

    async def purge(self, dataset: str, entry_id: str | None = None) -> int:
        """Remove one entry of the trash for good, or all of them; return how many."""
        return await self._change(dataset, lambda one: image_trash.purge(one, entry_id))
