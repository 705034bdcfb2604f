"""Small pictures of images and of single boxes, made quickly and kept for a while.

A JPEG can be decoded at a half, a quarter or an eighth of its size in a fraction of the
time: the decoder leaves out what the small picture would not show. So each picture is
decoded at the largest such step that is still no smaller than what is asked for, and then
scaled. OpenCV lets go of the interpreter while it works; two threads share a page of pictures.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from workbench.errors import InvalidFrameError
from workbench.persistence import DataStores
from workbench.persistence.image_bounds import COLOUR_PIXELS, decode_bounded
from workbench.persistence.models import ImageKey, TrashEntry
from workbench.persistence.rules import image_size

Frame = npt.NDArray[np.uint8]
XYWH = tuple[float, float, float, float]
T = TypeVar("T")
R = TypeVar("R")

MAX_BYTES = 64 * 2**20
"""What the kept pictures may take together."""

MARGIN = 0.1
"""What a crop shows around its box, as a part of the box's size on each side."""

_QUALITY = 80
_THREADS = max(2, min(4, os.cpu_count() or 2))
_NICENESS = 19
_STEPS = (
    (8, cv2.IMREAD_REDUCED_COLOR_8),
    (4, cv2.IMREAD_REDUCED_COLOR_4),
    (2, cv2.IMREAD_REDUCED_COLOR_2),
)


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture.

    Parameters
    ----------
    data : bytes
        JPEG, its longer side no longer than was asked for, upright.
    width, height : int
        Pixels of the original as it is shown; of the part cut out, for a crop.
    """

    data: bytes
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class CropRequest:
    """One box to be shown by itself.

    Parameters
    ----------
    image : ImageKey
    box : tuple of float
        Normalised xywh, centre first, of the image as it is shown.
    """

    image: ImageKey
    box: XYWH


class _Wanted(NamedTuple):
    """What a picture is made of.

    Parameters
    ----------
    dataset : str
    folder : str
        Split of an image, or id of an entry of the trash.
    filename : str
    stamp : int or None
        Time of change; None if it is not known, so that no picture made earlier will do.
    """

    dataset: str
    folder: str
    filename: str
    stamp: int | None


_Place = tuple[_Wanted, int]
"""What a picture is made of, and its size."""
_Read = Callable[[Sequence[int]], Awaitable[Sequence[bytes | Exception]]]


class Thumbnails:
    """Makes small pictures of a dataset's images; safe to use from several tasks at once.

    Parameters
    ----------
    stores : DataStores
    max_bytes : int
        What the kept pictures may take together; the ones unused for longest go first.
    """

    def __init__(self, stores: DataStores, *, max_bytes: int = MAX_BYTES) -> None:
        self._stores = stores
        self._kept = _Kept(max_bytes)
        self._pool = ThreadPoolExecutor(
            _THREADS, thread_name_prefix="thumbnails", initializer=_stand_back
        )

    async def get(
        self,
        dataset: str,
        keys: Sequence[ImageKey],
        *,
        size: int,
        modified_ns: Sequence[int] | None = None,
    ) -> list[Thumbnail | Exception]:
        """Return a small picture of each image.

        Parameters
        ----------
        keys : sequence of (split, filename)
        size : int
            Pixels of the longer side. A smaller image is not enlarged.
        modified_ns : sequence of int, optional
            When each image was last changed, as `DatasetIndex.modified_ns` has it. With it
            pictures made earlier are used again; without it, all images are read.

        Returns
        -------
        list of Thumbnail or Exception
            For an image that is gone or damaged, what is the matter with it.

        Raises
        ------
        NotFoundError
            If there is no such dataset.
        """
        stamps: Sequence[int | None] = [None] * len(keys) if modified_ns is None else modified_ns
        wanted = [_Wanted(dataset, *key, stamp) for key, stamp in zip(keys, stamps, strict=True)]
        return await self._made(
            wanted,
            lambda places: self._stores.image.read_many(dataset, [keys[at] for at in places]),
            size,
        )

    async def deleted(
        self, dataset: str, entries: Sequence[TrashEntry], *, size: int
    ) -> list[Thumbnail | Exception]:
        """Return a small picture of each image in the trash; see `get`.

        For deleted labels it is a picture of the image that they belong to.
        """
        images = [entry.kind != "label" for entry in entries]
        # Files in the trash do not change. Where only labels are in it, their image may change.
        wanted = [
            _Wanted(dataset, entry.id, entry.name, 0 if is_image else None)
            for entry, is_image in zip(entries, images, strict=True)
        ]

        async def read(places: Sequence[int]) -> list[bytes | Exception]:
            trashed = [entries[at].id for at in places if images[at]]
            present = [(entries[at].split, entries[at].name) for at in places if not images[at]]
            from_trash = iter(await self._stores.image.read_deleted(dataset, trashed))
            from_folder = iter(await self._stores.image.read_many(dataset, present))
            return [next(from_trash if images[at] else from_folder) for at in places]

        return await self._made(wanted, read, size)

    async def _made(
        self, wanted: Sequence[_Wanted], read: _Read, size: int
    ) -> list[Thumbnail | Exception]:
        """Return pictures: those that are kept, and all others from bytes that `read` gets."""
        if size < 1:
            raise ValueError(f"size: expected a number of pixels of 1 or more, found {size}")
        found = [self._kept.get((name, size)) for name in wanted]
        missing = [place for place, picture in enumerate(found) if picture is None]
        contents = await read(missing) if missing else []
        named = [(wanted[at].filename, data) for at, data in zip(missing, contents, strict=True)]
        pictures = await self._map(lambda item: _thumbnail(*item, size), named)
        made = dict(zip(missing, pictures, strict=True))
        for place, picture in made.items():
            if isinstance(picture, Thumbnail) and wanted[place].stamp is not None:
                self._kept.put((wanted[place], size), picture)
        return [made[at] if kept is None else kept for at, kept in enumerate(found)]

    async def crops(
        self, dataset: str, requests: Sequence[CropRequest], *, size: int
    ) -> list[Thumbnail | Exception]:
        """Return a picture of each box, with `MARGIN` around it; each image is decoded once.

        Parameters
        ----------
        size : int
            Pixels of the longer side. A smaller crop is not enlarged.
        """
        if size < 1:
            raise ValueError(f"size: expected a number of pixels of 1 or more, found {size}")
        by_image: dict[ImageKey, list[int]] = {}
        for place, request in enumerate(requests):
            by_image.setdefault(request.image, []).append(place)
        contents = await self._stores.image.read_many(dataset, list(by_image))
        work = [
            (key[1], data, [requests[place].box for place in places])
            for (key, places), data in zip(by_image.items(), contents, strict=True)
        ]
        made = await self._map(lambda item: _crops(*item, size), work)
        found: dict[int, Thumbnail | Exception] = {}
        for places, pictures in zip(by_image.values(), made, strict=True):
            found.update(zip(places, pictures, strict=True))
        return [found[place] for place in range(len(requests))]

    async def _map(self, work: Callable[[T], R], items: Sequence[T]) -> list[R]:
        loop = asyncio.get_running_loop()
        return await asyncio.gather(
            *(loop.run_in_executor(self._pool, work, item) for item in items)
        )

    def close(self) -> None:
        """End the threads and free all kept pictures."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._kept.clear()


def _stand_back() -> None:
    """Give this thread a lower priority than everything else on this machine.

    The browser often runs here as well, and scrolls while pictures are being made.
    """
    # On other systems the call concerns the whole process, or does not exist.
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


class _Kept:
    """Pictures up to so many bytes together."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._pictures: OrderedDict[_Place, Thumbnail] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: _Place) -> Thumbnail | None:
        with self._lock:
            picture = self._pictures.get(name)
            if picture is not None:
                self._pictures.move_to_end(name)
            return picture

    def put(self, name: _Place, picture: Thumbnail) -> None:
        with self._lock:
            old = self._pictures.pop(name, None)
            self._bytes += len(picture.data) - (len(old.data) if old is not None else 0)
            self._pictures[name] = picture
            while self._bytes > self._max_bytes:
                _, oldest = self._pictures.popitem(last=False)
                self._bytes -= len(oldest.data)

    def clear(self) -> None:
        with self._lock:
            self._pictures.clear()
            self._bytes = 0


def _thumbnail(filename: str, data: bytes | Exception, size: int) -> Thumbnail | Exception:
    if isinstance(data, Exception):
        return data
    try:
        width, height = shown_size(data, filename)
        picture = decode_reduced(data, filename, max(width, height) / size)
        return Thumbnail(_encoded(_fitted(picture, size)), width, height)
    except (InvalidFrameError, cv2.error) as error:
        return error


def _crops(
    filename: str, data: bytes | Exception, boxes: Sequence[XYWH], size: int
) -> Sequence[Thumbnail | Exception]:
    if isinstance(data, Exception):
        return [data] * len(boxes)
    try:
        width, height = shown_size(data, filename)
        places = [_window(box, width, height) for box in boxes]
        # The smallest crop decides at which resolution the image must be decoded.
        longest = min(max(right - left, low - top) for left, top, right, low in places)
        picture = decode_reduced(data, filename, longest / size)
        return [_cut(picture, place, width, height, size) for place in places]
    except (InvalidFrameError, cv2.error) as error:
        return [error] * len(boxes)


def shown_size(data: bytes, where: str) -> tuple[int, int]:
    """Return width and height of an encoded image as it is shown, from its header.

    Raises
    ------
    InvalidFrameError
        If `data` is no image; names `where`.
    """
    return image_size(data, where)


def decode_reduced(data: bytes, where: str, factor: float) -> Frame:
    """Decode an image at the largest of 1/8, 1/4, 1/2, 1/1 that is at least ``1 / factor``.

    Parameters
    ----------
    factor : float
        By how much the picture may become smaller.

    Returns
    -------
    ndarray of uint8, shape (about height / step, about width / step, 3)
        BGR, EXIF rotation applied. Grey, and at most half the size, where the colours of so
        many pixels would take too much memory and the format cannot be decoded smaller.

    Raises
    ------
    InvalidFrameError
        If `data` is no image, damaged, or has too many pixels; names `where`.
    """
    flags = next((flag for step, flag in _STEPS if step <= factor), cv2.IMREAD_COLOR)
    if data.startswith(b"\xff\xd8"):
        return decode_bounded(data, where, flags)
    # Only JPEGs are smaller while they are decoded.
    width, height = image_size(data, where)
    if width * height <= COLOUR_PIXELS:
        return decode_bounded(data, where, cv2.IMREAD_COLOR)
    grey = decode_bounded(data, where, cv2.IMREAD_GRAYSCALE)
    half = cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(half, cv2.COLOR_GRAY2BGR), dtype=np.uint8)


def _window(box: XYWH, width: int, height: int) -> tuple[float, float, float, float]:
    """Return left, top, right, bottom in pixels of a box with its margin, inside the image."""
    x, y, box_width, box_height = box
    half_width, half_height = box_width * (0.5 + MARGIN), box_height * (0.5 + MARGIN)
    left, right = ((x - half_width) * width, (x + half_width) * width)
    top, bottom = ((y - half_height) * height, (y + half_height) * height)
    left, top = min(max(left, 0.0), width - 1.0), min(max(top, 0.0), height - 1.0)
    return left, top, max(min(right, width), left + 1), max(min(bottom, height), top + 1)


def _cut(
    picture: Frame, place: tuple[float, float, float, float], width: int, height: int, size: int
) -> Thumbnail:
    rows, columns = picture.shape[:2]
    left, right = place[0] * columns / width, place[2] * columns / width
    top, bottom = place[1] * rows / height, place[3] * rows / height
    part = picture[int(top) : max(round(bottom), int(top) + 1), :]
    part = part[:, int(left) : max(round(right), int(left) + 1)]
    return Thumbnail(
        _encoded(_fitted(part, size)), round(place[2] - place[0]), round(place[3] - place[1])
    )


def _fitted(picture: Frame, size: int) -> Frame:
    """Return the picture with its longer side no longer than `size`."""
    height, width = picture.shape[:2]
    scale = size / max(height, width)
    if scale >= 1:
        return picture
    target = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, target, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _encoded(picture: Frame) -> bytes:
    good, data = cv2.imencode(
        ".jpg", np.ascontiguousarray(picture), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    )
    if not good:  # longer than JPEG's 65,500 pixels: cannot be, after scaling
        raise InvalidFrameError(f"a picture of {picture.shape[:2]} pixels cannot be a JPEG")
    return bytes(data)
