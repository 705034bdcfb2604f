"""What of a scan follows from names alone, remembered for the next scan.

Which entries of a folder are images, how they sort, and which label file belongs to which
image takes a fifth of the time of a scan to work out, and is the same for as long as no
file comes, goes or is renamed. It is kept in the dataset's cache under a fingerprint of
the names in the order in which the storage gives them.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
import zlib
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.persistence.models import SPLITS
from workbench.persistence.stores import caches
from workbench.persistence.stores.dataset import Dataset
from workbench.persistence.yolo.names import is_image_name, label_names

Integers = npt.NDArray[np.int64]

_CACHE = "scan"


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """How the entries of a split's two folders become a table of images.

    Parameters
    ----------
    fingerprint : bytes
        Of all that this was worked out from.
    images : ndarray of int64, shape (images,)
        Position of each image among the entries of its folder, by name.
    labels : ndarray of int64, shape (images,)
        Position of its label file among the entries of that folder, -1 if it has none.
    """

    fingerprint: bytes
    images: Integers
    labels: Integers

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Order) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)


# What reading raises for bytes that are no such file, or whose header cannot be true.
_DAMAGED = (
    *(ValueError, KeyError, TypeError, OSError, EOFError, SyntaxError, RecursionError),
    *(MemoryError, NotImplementedError, zlib.error, zipfile.BadZipFile),
)

Orders = dict[str, Order]
"""By split."""


def order_of(images: list[str], labels: list[str], known: Order | None) -> Order:
    """Work out the order of what is in a split's two folders, unless it is the known one.

    Parameters
    ----------
    images, labels : list of str
        Names of the files, as the storage gives them.
    """
    fingerprint = _fingerprint(images, labels)
    if known is not None and known.fingerprint == fingerprint and _fits(known, images, labels):
        return known
    chosen = [place for place, name in enumerate(images) if is_image_name(name)]
    chosen.sort(key=images.__getitem__)
    owned = _label_places([images[place] for place in chosen], labels)
    return Order(fingerprint, np.array(chosen, dtype=np.int64), owned)


def _fits(known: Order, images: list[str], labels: list[str]) -> bool:
    """Whether the places are some: what is remembered may be a stranger's."""
    if len(known.images) != len(known.labels):
        return False
    if not len(known.images):
        return True
    return bool(
        0 <= known.images.min() <= known.images.max() < len(images)
        and -1 <= known.labels.min() <= known.labels.max() < len(labels)
    )


def _fingerprint(images: list[str], labels: list[str]) -> bytes:
    # No file name holds a NUL or is empty.
    digest = hashlib.blake2b(os.fsencode("\0".join(images)), digest_size=16)
    digest.update(b"\0\0" + os.fsencode("\0".join(labels)))
    return digest.digest()


def _label_places(images: list[str], labels: list[str]) -> Integers:
    place = dict(zip(labels, range(len(labels)), strict=True))
    places = map(place.get, label_names(images), repeat(-1))
    return np.fromiter(places, dtype=np.int64, count=len(images))


def load(dataset: Dataset) -> Orders:
    """Return what was remembered; raises `NotFoundError` if there is no such dataset."""
    block = caches.load(dataset, _CACHE)
    if block is None:
        return {}
    try:
        with np.load(io.BytesIO(block), allow_pickle=False) as arrays:
            return {
                split: Order(
                    arrays[f"{split}_fingerprint"].tobytes(),
                    arrays[f"{split}_images"].astype(np.int64),
                    arrays[f"{split}_labels"].astype(np.int64),
                )
                for split in SPLITS
            }
    except _DAMAGED:
        return {}  # damaged: it will be worked out again


def save(dataset: Dataset, orders: Orders) -> None:
    """Remember the orders of all splits."""
    arrays: dict[str, Any] = {}
    for split, order in orders.items():
        arrays[f"{split}_fingerprint"] = np.frombuffer(order.fingerprint, dtype=np.uint8)
        arrays[f"{split}_images"] = order.images.astype(np.int32)
        arrays[f"{split}_labels"] = order.labels.astype(np.int32)
    block = io.BytesIO()
    np.savez(block, **arrays)
    caches.save(dataset, _CACHE, block.getvalue())
