"""Which images of a dataset are the same, or nearly."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.datasets.fact_cache import Facts, ImageFacts, gather_facts
from workbench.datasets.image_facts import GOOD, VERSION, prints_of
from workbench.datasets.similarity import (
    MAX_DISTANCE,
    MIN_CORRELATION,
    Positions,
    Prints,
    alike,
    equal_groups,
    near_groups,
    similarity_order,
)
from workbench.persistence import DataStores
from workbench.persistence.models import Progress, no_progress

_KEY = "image-groups"
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # odd, so that multiplying loses nothing
_SETTINGS = f"{VERSION} {MAX_DISTANCE} {MIN_CORRELATION}\n".encode()


@dataclass(frozen=True, slots=True, eq=False)
class Duplicates:
    """Groups of images that look the same.

    Parameters
    ----------
    images : ImageFacts
        What the positions count.
    exact : list of ndarray of int64
        Positions of files with the same bytes.
    near : list of ndarray of int64
        Positions of pictures that look alike, those with the same bytes among them.
    """

    images: ImageFacts
    exact: list[Positions]
    near: list[Positions]

    def order(self) -> npt.NDArray[np.int64]:
        """Return all positions, alike pictures near each other."""
        return similarity_order(prints_of(self.images.facts).hashes, self.near)


async def find_duplicates(
    stores: DataStores, dataset: str, *, measured: bool = False, progress: Progress = no_progress
) -> Duplicates:
    """Find exact and near-duplicates among all images of a dataset.

    A second search reads only the images that have changed, and if none has, compares
    nothing either.

    Parameters
    ----------
    measured : bool
        Include sharpness and exposure in the facts of the images.
    progress : callable
        Told the number of images examined, and to examine; raise from it to cancel.
    """
    images = await gather_facts(stores, dataset, measured=measured, progress=progress)
    good = np.flatnonzero(images.facts["state"] == GOOD)
    prints = prints_of(images.facts[good])
    digest = _digest(prints)
    kept = await stores.dataset.load_cache(dataset, _KEY)
    near = None if kept is None else _recall(kept, digest, len(good))
    if near is None:
        near = await asyncio.to_thread(near_groups, prints.hashes, confirm=alike(prints))
        await stores.dataset.save_cache(dataset, _KEY, _to_bytes(digest, near))
    exact = _exact(images.facts[good])
    return Duplicates(images, [good[g] for g in exact], [good[g] for g in near])


def _exact(facts: Facts) -> list[Positions]:
    """Group files of one size, checksum and perceptual hash: the same bytes, for all purposes."""
    mixed = facts["content"].astype(np.uint64) * _GOLDEN
    return equal_groups(mixed ^ facts["hash"].astype(np.uint64))


def _digest(prints: Prints) -> bytes:
    of_prints = hashlib.sha256(prints.hashes.tobytes())
    of_prints.update(prints.signatures.tobytes())
    return _SETTINGS + of_prints.hexdigest().encode() + b"\n"


def _to_bytes(digest: bytes, groups: list[Positions]) -> bytes:
    sizes = np.array([len(group) for group in groups], dtype="<i8")
    members = np.concatenate([np.empty(0, dtype="<i8"), *groups]).astype("<i8")
    return b"".join([digest, len(groups).to_bytes(8, "little"), sizes.tobytes(), members.tobytes()])


def _recall(kept: bytes, digest: bytes, count: int) -> list[Positions] | None:
    """Return the groups of last time; None if the pictures are others, or the file is damaged."""
    if not kept.startswith(digest) or (len(kept) - len(digest)) % 8:
        return None
    numbers = np.frombuffer(kept, "<i8", offset=len(digest)).astype(np.int64)
    if not len(numbers) or not 0 <= numbers[0] <= len(numbers) - 1:
        return None
    sizes, members = numbers[1 : 1 + numbers[0]], numbers[1 + numbers[0] :]
    if sizes.sum() != len(members) or (members >= count).any() or (members < 0).any():
        return None
    return np.split(members, np.cumsum(sizes)[:-1]) if len(sizes) else []
