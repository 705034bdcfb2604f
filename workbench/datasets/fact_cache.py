"""The facts of a dataset's images, gathered once and kept until an image changes.

One pass goes so:

1. The folders are listed (no file is opened) and the facts of last time are loaded.
2. Images whose name, size and time of change are as they were keep their facts.
3. The bytes of the others are read once, in batches, and examined in two threads.
4. All facts are kept for the next time, also if the pass is cancelled in between.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.datasets.image_facts import DTYPE, VERSION, examine
from workbench.datasets.places import find_places
from workbench.errors import InvalidFrameError
from workbench.persistence import DataStores
from workbench.persistence.models import (
    SPLITS,
    ImageKey,
    ImageTable,
    Progress,
    no_progress,
)
from workbench.persistence.stored_json import loads

Facts = npt.NDArray[np.void]

_KEY = "image-facts"
_THREADS = 2
BATCH_IMAGES, BATCH_BYTES = 256, 48 << 20
_PIECE = 16  # images between two reports of progress


@dataclass(frozen=True, slots=True, eq=False)
class ImageFacts:
    """A listing of a dataset's images, and what is known of each.

    Parameters
    ----------
    table : ImageTable
    facts : ndarray of `image_facts.DTYPE`, shape (images,)
    examined : int
        Number of images that had to be read for that.
    """

    table: ImageTable
    facts: Facts
    examined: int

    def key(self, position: int) -> ImageKey:
        """Return what identifies the image at a position."""
        return SPLITS[self.table.split[position]], self.table.filenames[position]


async def gather_facts(
    stores: DataStores, dataset: str, *, measured: bool = True, progress: Progress = no_progress
) -> ImageFacts:
    """Return the facts of all images of a dataset, reading only those that have changed.

    Parameters
    ----------
    measured : bool
        Include sharpness and exposure, which take half as long again.
    progress : callable
        Told the number of images examined, and to examine; raise from it to cancel.
    """
    table = await stores.image.scan(dataset)
    kept = await stores.dataset.load_cache(dataset, _KEY)
    facts, known = await asyncio.to_thread(_recall, kept, table)
    missing = np.flatnonzero(~(known & facts["measured"]) if measured else ~known)
    if len(missing):
        try:
            await _examine_all(stores, dataset, table, missing, measured, facts, known, progress)
        finally:
            await stores.dataset.save_cache(dataset, _KEY, _to_bytes(table, facts, known))
    return ImageFacts(table, facts, len(missing))


async def _examine_all(
    stores: DataStores,
    dataset: str,
    table: ImageTable,
    missing: npt.NDArray[np.int64],
    measured: bool,
    facts: Facts,
    known: npt.NDArray[np.bool_],
    progress: Progress,
) -> None:
    done = 0
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="facts") as pool:
        for batch in _batches(missing, table.size_bytes):
            keys = [(SPLITS[table.split[i]], table.filenames[i]) for i in batch.tolist()]
            contents = await stores.image.read_many(dataset, keys)
            await asyncio.to_thread(
                _examine_batch,
                pool,
                contents,
                batch,
                measured,
                facts,
                known,
                progress,
                done,
                len(missing),
            )
            done += len(batch)


def _examine_batch(
    pool: ThreadPoolExecutor,
    contents: Sequence[bytes | Exception],
    batch: npt.NDArray[np.int64],
    measured: bool,
    facts: Facts,
    known: npt.NDArray[np.bool_],
    progress: Progress,
    done: int,
    total: int,
) -> None:
    starts = range(0, len(batch), _PIECE)
    parts = [contents[start : start + _PIECE] for start in starts]
    pieces = pool.map(examine, parts, repeat(measured))
    for start, found in zip(starts, pieces, strict=True):
        places = batch[start : start + _PIECE]
        facts[places] = found
        # What could not be read for another reason than its bytes is looked at again.
        known[places] = [
            isinstance(one, bytes | InvalidFrameError) for one in contents[start : start + _PIECE]
        ]
        progress(done + start + len(places), total)


def _batches(
    missing: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]
) -> list[npt.NDArray[np.int64]]:
    """Cut a list of images into parts of bounded number and, but for giants, bounded size."""
    by_size = np.cumsum(sizes[missing]) // BATCH_BYTES
    by_number = np.arange(len(missing)) // BATCH_IMAGES
    cuts = np.flatnonzero(np.diff(by_size) | np.diff(by_number)) + 1
    return np.split(missing, cuts)


def _recall(kept: bytes | None, table: ImageTable) -> tuple[Facts, npt.NDArray[np.bool_]]:
    """Return the facts that still hold, and for which images these are."""
    facts = np.zeros(len(table), dtype=DTYPE)
    old = None if kept is None else _from_bytes(kept)
    if old is None:
        return facts, np.zeros(len(table), dtype=np.bool_)
    source = find_places(old.filenames, old.split, table.filenames, table.split)
    known = source >= 0
    if known.any():
        known &= old.known[source] & (old.size_bytes[source] == table.size_bytes)
        known &= old.modified_ns[source] == table.modified_ns
        facts[known] = old.facts[source[known]]
    return facts, known


# --- the kept form: a line of JSON, the columns, then the names -------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    filenames: list[str]
    split: npt.NDArray[np.int8]
    known: npt.NDArray[np.bool_]
    size_bytes: npt.NDArray[np.int64]
    modified_ns: npt.NDArray[np.int64]
    facts: Facts


def _heading(count: int) -> bytes:
    return json.dumps({"version": VERSION, "dtype": str(DTYPE.descr), "images": count}).encode()


def _to_bytes(table: ImageTable, facts: Facts, known: npt.NDArray[np.bool_]) -> bytes:
    columns = (table.split, known, table.size_bytes, table.modified_ns, facts)
    # Names on a disk may hold anything but a zero byte; surrogates stand for what is no UTF-8.
    names = "\0".join(table.filenames).encode("utf-8", "surrogateescape")
    heading = _heading(len(table))
    return b"".join([heading, b"\n", *(column.tobytes() for column in columns), names])


def _from_bytes(data: bytes) -> _Kept | None:
    """Read what `_to_bytes` made; None if it is of another version, or damaged."""
    heading, _, rest = data.partition(b"\n")
    try:
        count = int(loads(heading)["images"])
    except (ValueError, KeyError, TypeError):
        return None
    dtypes = [np.dtype(t) for t in ("i1", "?", "<i8", "<i8", DTYPE)]
    needed = count * sum(dtype.itemsize for dtype in dtypes)
    if heading != _heading(count) or len(rest) < needed:
        return None
    columns: list[Any] = []
    offset = 0
    for dtype in dtypes:
        columns.append(np.frombuffer(rest, dtype, count, offset))
        offset += count * dtype.itemsize
    names = rest[offset:].decode("utf-8", "surrogateescape")
    filenames = names.split("\0") if count else []
    return None if len(filenames) != count else _Kept(filenames, *columns)
