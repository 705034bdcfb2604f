"""A whole dataset copied to another place: versions, trash, history and all, byte for byte."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from workbench.errors import ConflictError, InvalidDatasetError
from workbench.persistence import links
from workbench.persistence.models import DatasetInfo, Progress, no_progress
from workbench.persistence.storage import Storage
from workbench.persistence.storage.base import Mark
from workbench.persistence.storage.keys import RESERVED
from workbench.persistence.stores import dataset_facts
from workbench.persistence.stores.caches import CACHE
from workbench.persistence.stores.dataset import DATA_YAML, Dataset
from workbench.persistence.stores.places import Building, Catalogue
from workbench.persistence.stores.trash import TRASH
from workbench.persistence.stores.version_files import VERSIONS
from workbench.persistence.yolo.names import HIDDEN

_CHUNK = 1 << 20
_AT_ONCE = 64
"""Values that are read in one call."""
_MOST_BYTES = 1 << 31
_NAMED = 3
_LARGE = ("images", VERSIONS, TRASH)
"""Folders whose values are large and hardly ever change: read without keeping anybody waiting."""
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
    storage = source.storage
    with target.build(name) as building:
        large = source.consistently(lambda: _large(storage))
        _refuse_outside(source, large)
        digests: dict[str, bytes] = {}
        total = 2 * (len(large) + sum(1 for _ in _small_keys(storage)))
        for key in large:
            digests[key] = _copy(storage, building, key)
            progress(len(digests), total)
        rest = source.consistently(lambda: _rest(source))
        _require_same(source, large, rest.large)
        for key, value in rest.values.items():
            building.sink.write(key, value)
            digests[key] = hashlib.sha256(value).digest()
        building.flush()
        total = max(total, 2 * len(digests))
        progress(len(digests), total)
        _compare(building, digests, lambda done: progress(len(digests) + done, total))
        made = replace(dataset_facts.info(building.dataset, target.path(name)), name=name)
        progress(total, total)
    return made


def _copy(storage: Storage, building: Building, key: str) -> bytes:
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
    return {
        f"{folder}/{name}": mark
        for top in _LARGE
        for folder in _folders(storage, top)
        for name, mark in storage.marks(folder).items()
    }


def _small_keys(storage: Storage) -> Iterator[str]:
    """Yield the keys of all other values; what makes a dataset of them comes last."""
    root = storage.list()
    yield from (name for name in root.names if name != DATA_YAML)
    tops = [top for top in root.folders if top not in _LARGE]
    for folder in (found for top in (*tops, HIDDEN) for found in _folders(storage, top)):
        for name in storage.list(folder).names:
            if f"{folder}/{name}" not in _LEFT_OUT:
                yield f"{folder}/{name}"
    yield DATA_YAML


def _folders(storage: Storage, top: str) -> Iterator[str]:
    """Yield a folder and all below it, but for those that are left out, or large."""
    yield top
    for name in storage.list(top).folders:
        below = f"{top}/{name}"
        if below not in _LEFT_OUT and below not in _LARGE:
            yield from _folders(storage, below)


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
                values[key] = value
    return _Rest(values, _large(source.storage))


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


def _compare(building: Building, digests: dict[str, bytes], done: Callable[[int], None]) -> None:
    """Read all that was written once more; raise if it is something else."""
    for number, (key, digest) in enumerate(digests.items(), start=1):
        found = hashlib.sha256()
        with building.dataset.storage.open_read(key) as stream:
            while piece := stream.read(_CHUNK):
                found.update(piece)
        if found.digest() != digest:
            raise InvalidDatasetError(
                f"{building.dataset.at(key)}: expected the bytes that were written there, found "
                f"others when they were read again; nothing was copied: see to the disk or the "
                f"server, and copy again"
            )
        done(number)
