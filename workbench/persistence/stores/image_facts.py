"""Single images of a dataset, and some of them at once: their bytes, their sizes, their facts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workbench.errors import (
    PASSING,
    InvalidDatasetError,
    InvalidFrameError,
    WorkbenchError,
)
from workbench.persistence import links
from workbench.persistence.disk_errors import as_ours
from workbench.persistence.image_bounds import MAX_BYTES
from workbench.persistence.image_header import HEAD_BYTES, read_header
from workbench.persistence.image_reading import no_image, too_large
from workbench.persistence.models import ImageInfo, ImageKey, Progress
from workbench.persistence.rules import image_size
from workbench.persistence.stores.dataset import Dataset, image_key, label_key
from workbench.persistence.stores.telling import told
from workbench.persistence.stores.times import seconds_of

_AT_ONCE = 256
"""So many beginnings of files are read before the progress is told."""


def read(
    dataset: Dataset, split: str, filename: str, *, to_pass_on: bool = False
) -> tuple[str, bytes]:
    """Return what to call an image, and its bytes; see `ImageStore.read_bytes`."""
    dataset.read()
    key = dataset.require_image(*dataset.find(split, filename))
    if to_pass_on and dataset.storage.outside([key]):
        raise links.refusal(dataset.name, dataset.storage.where, [key], "it was not sent")
    return dataset.at(key), read_value(dataset, key)


def read_value(dataset: Dataset, key: str) -> bytes:
    """Return the bytes of an image.

    Raises
    ------
    NotFoundError
        If it is not there.
    InvalidFrameError
        If it is larger than any image that is decoded, or no file.
    """
    try:
        return dataset.storage.read(key, most=MAX_BYTES)
    except InvalidDatasetError:
        raise _no_image(dataset, key) from None


def _no_image(dataset: Dataset, key: str) -> InvalidFrameError:
    """Return the error for something at an image's key that cannot be read as one."""
    try:
        head = dataset.storage.head(key)
    except InvalidDatasetError:
        head = None
    if head is not None and head.size > MAX_BYTES:
        return too_large(dataset.at(key), head.size)
    return no_image(dataset.at(key))


def read_many(dataset: Dataset, images: Sequence[ImageKey]) -> list[bytes | Exception]:
    """Return the bytes of many images, or what keeps one from being read."""
    dataset.read()
    found: list[bytes | Exception] = []
    keys: list[str] = []
    for image in images:
        try:
            keys.append(image_key(*dataset.find(*image)))
        except WorkbenchError as error:
            keys.append("")
            found.append(error)
    wanted = [key for key in keys if key]
    contents = iter(dataset.storage.read_many(wanted, most=MAX_BYTES))
    refused = iter(found)
    return [
        _content(dataset, image, key, next(contents)) if key else next(refused)
        for image, key in zip(images, keys, strict=True)
    ]


def _content(
    dataset: Dataset, image: ImageKey, key: str, data: bytes | Exception | None
) -> bytes | Exception:
    if isinstance(data, bytes):
        return data
    if data is None or isinstance(data, InvalidDatasetError):
        try:
            dataset.require_image(*key.split("/")[1:])
        except WorkbenchError as error:
            return error
        return _no_image(dataset, key)
    return as_ours(data, "/".join((dataset.name, *image))) if isinstance(data, OSError) else data


def measure_many(
    dataset: Dataset, images: Sequence[ImageKey], progress: Progress
) -> tuple[npt.NDArray[np.int32], list[int]]:
    """Read width and height of many images; return also the places of those not given out."""
    dataset.read()
    unread: list[int] = []
    sizes = np.zeros((len(images), 2), dtype=np.int32)
    found = dataset.find_many(images)
    for start in range(0, len(images), _AT_ONCE):
        progress(start, len(images))
        keys = [image_key(*image) for image in found[start : start + _AT_ONCE]]
        starts = dataset.storage.read_starts(keys, HEAD_BYTES)
        for place, (key, data) in enumerate(zip(keys, starts, strict=True), start=start):
            if isinstance(data, bytes):
                sizes[place] = _size(dataset, key, data)
            elif isinstance(data, Exception) and not isinstance(data, InvalidDatasetError):
                unread.append(place)
    progress(len(images), len(images))
    return sizes, unread


def _size(dataset: Dataset, key: str, start: bytes) -> tuple[int, int]:
    header = read_header(start)
    if header is not None:
        return header.shown
    try:
        return measured(dataset, key)
    except PASSING:  # of which nothing is to be remembered
        raise
    except OSError:
        return 0, 0


def measured(dataset: Dataset, key: str) -> tuple[int, int]:
    """Return an image's width and height; a damaged one, which may be moved as well, has 0 x 0."""
    try:
        return image_size(read_value(dataset, key), dataset.at(key))
    except InvalidFrameError:
        return 0, 0


def info(dataset: Dataset, split: str, filename: str) -> ImageInfo:
    """Return one image's facts."""
    key = dataset.require_image(split, filename)
    size = image_size(read_value(dataset, key), dataset.at(key))
    return _sized_info(dataset, split, filename, *size)


def changed_info(
    dataset: Dataset,
    image: ImageKey,
    size: tuple[int, int],
    *,
    size_bytes: int = 0,
    has_labels: bool = False,
) -> ImageInfo:
    """Return the facts of an image that a change has made; it raises no more.

    Parameters
    ----------
    dataset : Dataset
    image : tuple of str
    size : tuple of int
        Width and height.
    size_bytes, has_labels
        What is said where the image cannot be looked at.
    """
    made = ImageInfo(
        filename=image[1],
        split=image[0],
        path=Path(dataset.at(image_key(*image))),
        width=size[0],
        height=size[1],
        size_bytes=size_bytes,
        has_labels=has_labels,
    )
    return told(lambda: _sized_info(dataset, *image, *size), made)


def _sized_info(dataset: Dataset, split: str, filename: str, width: int, height: int) -> ImageInfo:
    """Return the facts of an image whose size is known, without opening it."""
    head = dataset.image_head(split, filename)
    return ImageInfo(
        filename=filename,
        split=split,
        path=Path(dataset.at(image_key(split, filename))),
        width=width,
        height=height,
        size_bytes=head.size,
        has_labels=dataset.has_value(label_key(split, filename)),
        modified_at=float(seconds_of(np.array([head.stamp]))[0]),
    )
