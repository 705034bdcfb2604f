"""A whole dataset copied to another place: versions, trash, history and all, byte for byte.

Only what training would run or fetch, where a ``data.yaml`` says so, does not come along.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from workbench.errors import AlreadyExistsError, ConflictError, InvalidDatasetError, NotFoundError
from workbench.persistence import links
from workbench.persistence.models import DatasetInfo, Progress, no_progress
from workbench.persistence.storage import Storage
from workbench.persistence.storage.base import Mark
from workbench.persistence.storage.keys import RESERVED
from workbench.persistence.stores import dataset_facts
from workbench.persistence.stores.caches import CACHE
from workbench.persistence.stores.copy_log import Copied, CopyLog
from workbench.persistence.stores.dataset import DATA_YAML, Dataset
from workbench.persistence.stores.places import Building, Catalogue
from workbench.persistence.stores.trash import TRASH
from workbench.persistence.stores.version_files import VERSIONS
from workbench.persistence.yolo.data_yaml import DANGEROUS, parse
from workbench.persistence.yolo.names import HIDDEN

_CHUNK = 1 << 20
_WHOLE, _MOST_TOGETHER = 1 << 23, 256
"""Bytes of values that are held in memory together, and how many those are; larger ones are
copied piece by piece."""
_AT_ONCE = 64
"""Values that are read in one call."""
_MOST_BYTES = 1 << 31
_NAMED = 3
_LARGE = ("images", VERSIONS, TRASH)
"""Folders whose values are large and hardly ever change: read without keeping anybody waiting."""
_SMALL = ("labels", HIDDEN)
"""Folders that we write to. What lies beside them is of other tools, and may be of any size."""
_MOST_AT_ONCE = 1 << 24
"""Bytes of a value of ours beyond which it is read as the large ones are."""
_LEFT_OUT = RESERVED | {CACHE}
"""What belongs to the place, or is derived again."""


@dataclass(frozen=True, slots=True)
class _Rest:
    """What is small, with what the large values were at the same moment."""

    values: dict[str, bytes]
    large: dict[str, Mark]


def copy_dataset(
    source: Dataset, target: Catalogue, name: str, *, progress: Progress = no_progress
) -> DatasetInfo:
    """Copy a dataset as it is at one moment, and compare the copy with it.

    What is large is read first, while others may go on working. Then all that is small is read
    at once, as of a moment between two changes, and whether the large values are still those.

    A copy that was interrupted is gone on with by the next of the same source and target on this
    machine: what it had written, and what is still that by its content, is not copied again.

    Parameters
    ----------
    source : Dataset
    target : Catalogue
        Where the copy shall be: the same or another kind of place.
    name : str
        Of the copy.
    progress : callable, optional
        Called with the number of values done, and of all; each counts when it is written and
        when it has been compared.

    Returns
    -------
    DatasetInfo
        Of the copy.

    Raises
    ------
    NotFoundError
        If there is no such dataset.
    AlreadyExistsError
        If there is one of this name at the target.
    ConflictError
        If images or versions of the dataset were changed meanwhile.
    InvalidDatasetError
        If links lead out of the dataset, or what was written is not what is read again.
    """
    source.read()
    log = CopyLog(source.storage.where, str(target.path(name)))
    try:
        with target.build(name, token=log.begin()) as building:
            made = _built(source, target.path(name), building, log, progress)
    except AlreadyExistsError:
        log.end()
        raise
    log.end()
    return replace(made, name=name)


def _built(
    source: Dataset, path: Path, building: Building, log: CopyLog, progress: Progress
) -> DatasetInfo:
    storage = source.storage
    large = source.consistently(lambda: _large(storage))
    _refuse_outside(source, large)
    total = 2 * (len(large) + sum(1 for _ in _small_keys(storage)))
    digests = _still_there(building, log.copied(), large)
    building.drop_others(digests.keys())
    compared = frozenset(digests)
    progress(2 * len(compared), total)
    for keys in _batches([key for key in large if key not in compared], lambda key: large[key][0]):
        copied = _copy(source, building, keys, large)
        building.flush()
        log.note({key: Copied(large[key], digest) for key, digest in copied.items()})
        for number in range(1, len(copied) + 1):
            progress(len(compared) + len(digests) + number, total)
        digests |= copied
    rest = source.consistently(lambda: _rest(source))
    _require_same(source, large, rest.large)
    for key, value in rest.values.items():
        building.sink.write(key, value)
        digests[key] = hashlib.sha256(value).digest()
    building.flush()
    total = max(total, 2 * len(digests))
    progress(len(compared) + len(digests), total)
    sizes = {key: mark[0] for key, mark in large.items()}
    sizes |= {key: len(value) for key, value in rest.values.items()}
    written = {key: digest for key, digest in digests.items() if key not in compared}
    before = total - len(written)
    _compare(building, written, sizes, lambda done: progress(before + done, total))
    made = dataset_facts.info(building.dataset, path)
    progress(total, total)
    return made


def _still_there(
    building: Building, copied: Mapping[str, Copied], large: Mapping[str, Mark]
) -> dict[str, bytes]:
    """Return the digests of those values that an attempt before has copied, and that are sound."""
    wanted = {key: one.digest for key, one in copied.items() if large.get(key) == one.mark}
    sizes = {key: large[key][0] for key in wanted}
    storage = building.dataset.storage
    return {
        key: digest
        for keys in _batches([*wanted], sizes.__getitem__)
        for key, digest in _digests(storage, keys, sizes).items()
        if digest == wanted[key]
    }


def _copy(
    source: Dataset, building: Building, keys: Sequence[str], marks: Mapping[str, Mark]
) -> dict[str, bytes]:
    """Copy some values; return their digests. Those that are gone by now are left out."""
    if len(keys) == 1 and marks[keys[0]][0] > _WHOLE:
        return {keys[0]: _copy_large(source.storage, building, keys[0])}
    digests: dict[str, bytes] = {}
    for key, value in zip(keys, source.storage.read_many(keys), strict=True):
        if isinstance(value, Exception):
            raise value
        if value is not None:
            building.sink.write(key, value)
            digests[key] = hashlib.sha256(value).digest()
    return digests


def _copy_large(storage: Storage, building: Building, key: str) -> bytes:
    """Copy one value in pieces; return its digest."""
    digest = hashlib.sha256()

    def pieces() -> Iterator[bytes]:
        with storage.open_read(key) as stream:
            while piece := stream.read(_CHUNK):
                digest.update(piece)
                yield piece

    building.sink.write_chunks(key, pieces())
    return digest.digest()


def _large(storage: Storage) -> dict[str, Mark]:
    """Return what is copied piece by piece: images, versions, and all that may be of any size."""
    others = [top for top in storage.list().folders if top not in {*_LARGE, *_SMALL}]
    found = _marks(storage, ["", *_below(storage, *_LARGE, *others)])
    found |= _marks(storage, _below(storage, *_SMALL), more_than=_MOST_AT_ONCE)
    return {key: mark for key, mark in found.items() if key not in _LEFT_OUT | {DATA_YAML}}


def _marks(storage: Storage, folders: Iterable[str], more_than: int = -1) -> dict[str, Mark]:
    """Return what tells the values in some folders, of more bytes than that, from any other."""
    return {
        f"{folder}/{name}".lstrip("/"): mark
        for folder in folders
        for name, mark in storage.marks(folder).items()
        if mark[0] > more_than
    }


def _small_keys(storage: Storage) -> Iterator[str]:
    """Yield the keys of all other values; what makes a dataset of them comes last."""
    for folder in _below(storage, *_SMALL):
        listing = storage.list(folder)
        for name, size in zip(listing.names, listing.sizes.tolist(), strict=True):
            if size <= _MOST_AT_ONCE and f"{folder}/{name}" not in _LEFT_OUT:
                yield f"{folder}/{name}"
    yield DATA_YAML


def _below(storage: Storage, *tops: str) -> Iterator[str]:
    """Yield folders and all below them, but for those that are left out, or large."""
    left = [*tops]
    while left:
        folder = left.pop()
        yield folder
        below = [f"{folder}/{name}" for name in storage.list(folder).folders]
        left += [key for key in below if key not in _LEFT_OUT and key not in _LARGE]


def _rest(source: Dataset) -> _Rest:
    keys = [*_small_keys(source.storage)]
    _refuse_outside(source, keys)
    values: dict[str, bytes] = {}
    for start in range(0, len(keys), _AT_ONCE):
        some = keys[start : start + _AT_ONCE]
        found = source.storage.read_many(some, most=_MOST_BYTES)
        for key, value in zip(some, found, strict=True):
            if isinstance(value, Exception):
                raise value
            if value is not None:
                values[key] = _harmless(value, source) if key == DATA_YAML else value
    return _Rest(values, _large(source.storage))


def _harmless(data: bytes, source: Dataset) -> bytes:
    """Return a ``data.yaml`` as it is, or without what training would run or fetch."""
    read = parse(data, source.at(DATA_YAML))
    return read.to_bytes() if DANGEROUS & read.extra.keys() else data


def _refuse_outside(source: Dataset, keys: Iterable[str]) -> None:
    outside = dict.fromkeys(source.storage.outside(keys))
    if outside:
        raise links.refusal(source.name, source.storage.where, [*outside], "nothing was copied")


def _require_same(source: Dataset, before: dict[str, Mark], now: dict[str, Mark]) -> None:
    if before == now:
        return
    changed = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    more = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
    raise ConflictError(
        f"{source.name}: expected images and versions that stay as they are while the dataset is "
        f"copied, found {', '.join(changed[:_NAMED])}{more} changed, added or removed meanwhile; "
        f"nothing was copied: copy again"
    )


def _compare(
    building: Building,
    digests: Mapping[str, bytes],
    sizes: Mapping[str, int],
    done: Callable[[int], None],
) -> None:
    """Read all that was written once more; raise if it is something else."""
    number = 0
    for keys in _batches([*digests], sizes.__getitem__):
        found = _digests(building.dataset.storage, keys, sizes)
        for key in keys:
            if found.get(key) != digests[key]:
                raise InvalidDatasetError(
                    f"{building.dataset.at(key)}: expected the bytes that were written there, "
                    f"found others when they were read again; nothing was copied: see to the "
                    f"disk or the server, and copy again"
                )
            number += 1
            done(number)


def _digests(storage: Storage, keys: Sequence[str], sizes: Mapping[str, int]) -> dict[str, bytes]:
    """Return the digests of the values that are there."""
    if len(keys) > 1 or sizes[keys[0]] <= _WHOLE:
        values = zip(keys, storage.read_many(keys), strict=True)
        return {key: hashlib.sha256(v).digest() for key, v in values if isinstance(v, bytes)}
    found = hashlib.sha256()
    try:
        with storage.open_read(keys[0]) as stream:
            while piece := stream.read(_CHUNK):
                found.update(piece)
    except NotFoundError:
        return {}
    return {keys[0]: found.digest()}


def _batches(keys: Sequence[str], size_of: Callable[[str], int]) -> Iterator[list[str]]:
    """Yield keys of values that are small together, and those of large ones by themselves."""
    batch, size = list[str](), 0
    for key in keys:
        own = size_of(key)
        if batch and (size + own > _WHOLE or len(batch) >= _MOST_TOGETHER):
            yield batch
            batch, size = [], 0
        batch.append(key)
        size += own
    if batch:
        yield batch
