"""A model looks at pictures as Ultralytics' validation does, in batches of similar shape."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from workbench.errors import InvalidFrameError
from workbench.labelling.network import (
    Found,
    Network,
    Scaled,
    Size,
    Thresholds,
    scale_for_validation,
)
from workbench.persistence import DataStores
from workbench.persistence.models import ImageKey
from workbench.persistence.rules import decode


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found on the pictures of a batch.

    Parameters
    ----------
    places : ndarray of int64
        Of the pictures among all.
    found : list of Found or None
        None where a picture could not be read.
    sizes : ndarray of int32, shape (pictures, 2)
        Width and height; 0 where it could not be read.
    """

    places: npt.NDArray[np.int64]
    found: list[Found | None]
    sizes: npt.NDArray[np.int32]

    @classmethod
    def of(
        cls,
        places: npt.NDArray[np.int64],
        pictures: Sequence[Scaled | None],
        found: list[Found | None],
    ) -> Seen:
        """Return what was found on these pictures."""
        return cls(places, found, sizes_of(pictures))


def sizes_of(pictures: Sequence[Scaled | None]) -> npt.NDArray[np.int32]:
    """Return width and height of pictures, 0 and 0 where there is none."""
    sizes = [(0, 0) if picture is None else picture.original[::-1] for picture in pictures]
    return np.array(sizes, dtype=np.int32).reshape(-1, 2)


def readers() -> ThreadPoolExecutor:
    """Return threads that decode and scale; to be shut down by the caller."""
    return ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="workbench")


async def load_batch(
    stores: DataStores,
    dataset: str,
    keys: Sequence[ImageKey],
    image_size: int,
    canvas: Size,
    pool: ThreadPoolExecutor,
) -> list[Scaled | None]:
    """Return the images of a batch as the model sees them; None for one that is damaged."""
    contents = await stores.image.read_many(dataset, keys)
    work = partial(_scaled, image_size=image_size, canvas=canvas)
    return await asyncio.to_thread(lambda: list(pool.map(work, contents)))


def detect_batch(
    network: Network, pictures: Sequence[Scaled | None], thresholds: Thresholds
) -> list[Found | None]:
    """Return what a model finds on a batch; None where there is no picture."""
    good = [picture for picture in pictures if picture is not None]
    answers = iter(network.detect(good, thresholds) if good else ())
    return [None if picture is None else next(answers) for picture in pictures]


def _scaled(content: bytes | Exception, *, image_size: int, canvas: Size) -> Scaled | None:
    if isinstance(content, Exception):
        return None
    try:
        return scale_for_validation(decode(content, "image"), image_size, canvas)
    except InvalidFrameError:  # noted by name when the answers are put together
        return None
