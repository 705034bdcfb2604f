"""The contract of image stores."""

from __future__ import annotations

import builtins
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

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
from workbench.persistence.sources import ImageSource
from workbench.persistence.stores.image_records import ImageRecords


class ImageStore(ImageRecords, ABC):
    """The images inside a dataset's splits.

    Errors are the same for every method: `InvalidNameError` (a ``ValueError``) for a
    dataset, split or file name that cannot be, `NotFoundError` (a ``FileNotFoundError``)
    for a dataset or image that is not there.
    """

    @abstractmethod
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

    @abstractmethod
    async def save_bytes(
        self, dataset: str, split: str, filename: str, data: bytes, *, overwrite: bool = True
    ) -> ImageInfo:
        """Store an image that is encoded already, byte for byte.

        Raises
        ------
        InvalidFrameError
            If `data` cannot be decoded as an image.
        """

    @abstractmethod
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

    @abstractmethod
    async def load(self, dataset: str, split: str, filename: str) -> npt.NDArray[np.uint8]:
        """Decode an image: uint8, shape ``(height, width, 3)``, BGR, EXIF rotation applied.

        Raises
        ------
        InvalidFrameError
            If the file is no image or is damaged.
        """

    @abstractmethod
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

    @abstractmethod
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

    @abstractmethod
    async def measure_many(
        self, dataset: str, images: Sequence[ImageKey], *, progress: Progress = no_progress
    ) -> npt.NDArray[np.int32]:
        """Read width and height of many images from their headers.

        Returns
        -------
        ndarray of int32, shape (images, 2)
            Width and height in pixels, as the picture is shown (EXIF rotation applied).
            0 and 0 for a file that is not there or is no image.
        """

    @abstractmethod
    async def get(self, dataset: str, split: str, filename: str) -> ImageInfo:
        """Return one image's facts, width and height included.

        Raises
        ------
        InvalidFrameError
            If the file is no image or is damaged.
        """

    @abstractmethod
    async def exists(self, dataset: str, split: str, filename: str) -> bool:
        """Whether the image is there."""

    @abstractmethod
    async def list(self, dataset: str, split: str | None = None) -> builtins.list[ImageInfo]:
        """Return all images by split and name, in one pass over the folders.

        No file is opened: ``width`` and ``height`` are 0.
        """

    @abstractmethod
    async def scan(self, dataset: str) -> ImageTable:
        """Return sizes and times of all images and label files in columns.

        For what works on whole datasets: it makes no object for each image but its name.
        """

    @abstractmethod
    async def move(self, dataset: str, filename: str, from_split: str, to_split: str) -> ImageInfo:
        """Move an image to another split, together with its label file.

        `LabelStore.move` may follow and finds nothing left to do: there is no moment at
        which an image stands without its labels.

        Raises
        ------
        AlreadyExistsError
            If the target split has an image of this name.
        """

    @abstractmethod
    async def move_many(self, dataset: str, moves: Sequence[ImageMove]) -> None:
        """Move many images with their labels: all of them, or none."""

    @abstractmethod
    async def rename(self, dataset: str, split: str, filename: str, new_filename: str) -> ImageInfo:
        """Give an image and its label file another name; the extension must stay."""

    @abstractmethod
    async def delete(self, dataset: str, split: str, filename: str) -> TrashEntry:
        """Move an image and its labels to the trash."""

    @abstractmethod
    async def delete_many(
        self, dataset: str, images: Sequence[tuple[str, str]]
    ) -> builtins.list[TrashEntry]:
        """Move many images, given as ``(split, filename)``, to the trash: all, or none."""

    @abstractmethod
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

    @abstractmethod
    async def undo_replace(self, dataset: str, entry_ids: Sequence[str]) -> None:
        """Put replaced images back to what they were: all, or none.

        Raises
        ------
        ConflictError
            If an image was changed since it was replaced.
        NotFoundError
            If an entry is not in the trash (any more).
        """

    @abstractmethod
    async def restore(self, dataset: str, entry_id: str) -> ImageInfo:
        """Bring a deleted image back to where it was, with the labels that it had."""

    @abstractmethod
    async def restore_many(self, dataset: str, entry_ids: Sequence[str]) -> None:
        """Bring deleted images and label files back to where they were: all, or none.

        Raises
        ------
        AlreadyExistsError
            If a place is taken again; names it.
        NotFoundError
            If an entry is not in the trash (any more), or a label's image is gone.
        """

    @abstractmethod
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

    @abstractmethod
    async def purge(self, dataset: str, entry_id: str | None = None) -> int:
        """Remove one entry of the trash for good, or all of them; return how many."""
