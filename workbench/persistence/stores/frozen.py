"""A version of a dataset as a storage of its own, in which nothing has to be copied."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import BinaryIO, TypeVar

from workbench.errors import ReadOnlyError
from workbench.persistence.storage import Head, Listing, Roots, Storage, Write, Writer
from workbench.persistence.storage.base import MOST_BYTES
from workbench.persistence.storage.memory import MemoryStorage
from workbench.persistence.stores import snapshots
from workbench.persistence.stores.catalogue import StoredCatalogue
from workbench.persistence.stores.dataset import DATA_YAML, Dataset, image_key, label_key

T = TypeVar("T")


class FrozenStorage(Storage):
    """Values of one's own, and those of another storage under other keys; for readers only.

    Parameters
    ----------
    where : str
        What messages shall call it.
    source : Storage
        What the others lie in.
    keys : mapping of str to str
        Their keys there, by those that they have here.
    values : mapping of str to bytes
        Its own. What is kept here later (`keep`) is forgotten with it.
    """

    def __init__(
        self, where: str, source: Storage, keys: Mapping[str, str], values: Mapping[str, bytes]
    ) -> None:
        self.where = where
        self._source = source
        self._keys = dict(keys)
        self._own = MemoryStorage(where)
        self._own.commit([Write(key, data) for key, data in values.items()])

    def read_many(
        self, keys: Sequence[str], *, most: int = MOST_BYTES
    ) -> builtins.list[bytes | Exception | None]:
        """See `Storage.read_many`."""
        return self._of_both(keys, lambda storage, some: storage.read_many(some, most=most))

    def read_starts(
        self, keys: Sequence[str], length: int
    ) -> builtins.list[bytes | Exception | None]:
        """See `Storage.read_starts`."""
        return self._of_both(keys, lambda storage, some: storage.read_starts(some, length))

    def _of_both(
        self,
        keys: Sequence[str],
        read: Callable[[Storage, Sequence[str]], Sequence[bytes | Exception | None]],
    ) -> builtins.list[bytes | Exception | None]:
        """Read from both storages, many at a time, and return it in the order of the keys."""
        there = [self._keys[key] for key in keys if key in self._keys]
        here = [key for key in keys if key not in self._keys]
        found = iter(read(self._source, there) if there else [])
        own = iter(read(self._own, here) if here else [])
        return [next(found) if key in self._keys else next(own) for key in keys]

    def head(self, key: str) -> Head | None:
        """See `Storage.head`."""
        if key in self._keys:
            return self._source.head(self._keys[key])
        return self._own.head(key)

    def list(self, folder: str = "") -> Listing:
        """See `Storage.list`."""
        rows = []
        for key in self._keys:
            # Only of what lies directly in the folder anything is asked.
            head = self.head(key) if key.rpartition("/")[0] == folder else Head(0, 0)
            if head is not None:
                rows.append((key, head.size, head.stamp))
        there, own = Listing.of(folder, rows), self._own.list(folder)
        if not own.names:
            return Listing(there.names, there.sizes, there.stamps, _merged(there, own))
        # Own values and those of the source are never in one folder.
        return Listing(own.names, own.sizes, own.stamps, _merged(there, own))

    def names(self, folder: str) -> builtins.list[str]:
        """See `Storage.names`."""
        start = len(folder) + 1 if folder else 0
        there = [key[start:] for key in self._keys if key.rpartition("/")[0] == folder]
        return there + self._own.names(folder)

    def open_read(self, key: str) -> AbstractContextManager[BinaryIO]:
        """See `Storage.open_read`."""
        if key in self._keys:
            return self._source.open_read(self._keys[key])
        return self._own.open_read(key)

    def keep(self, key: str, data: bytes) -> None:
        """See `Storage.keep`."""
        self._own.keep(key, data)

    def consistently(self, work: Callable[[], T]) -> T:
        """See `Storage.consistently`; nothing changes here."""
        return work()

    def lease(self) -> AbstractContextManager[Writer]:
        """See `Storage.lease`; nothing may be changed here."""
        raise ReadOnlyError(f"{self.where}: a version never changes; change the dataset itself")


def _merged(one: Listing, other: Listing) -> builtins.list[str]:
    return [*dict.fromkeys([*one.folders, *other.folders])]


class _OneRoot(Roots):
    """A single storage among no others."""

    def __init__(self, name: str, storage: Storage) -> None:
        self.where = storage.where
        self.shared = MemoryStorage(storage.where)
        self._name, self._storage = name, storage

    def at(self, name: str) -> Storage:
        """See `Roots.at`."""
        return self._storage if name == self._name else MemoryStorage(self.where)

    def names(self) -> list[str]:
        """See `Roots.names`."""
        return [self._name]

    def remove(self, name: str) -> None:
        """See `Roots.remove`; nobody has made one here."""


def frozen(dataset: Dataset, version: str) -> StoredCatalogue:
    """Return where a dataset lies, alone, as it was when a version was frozen.

    Raises
    ------
    NotFoundError
        If there is no such version.
    InvalidDatasetError
        If an image of it is lost, or was damaged by another program.
    """
    state = snapshots.kept(dataset, version)
    values = {DATA_YAML: state.yaml.to_bytes()}
    labelled = [key for key, is_labelled in state.images.items() if is_labelled]
    for key, label in zip(labelled, state.labels(labelled), strict=True):
        if label is not None:
            values[label_key(*key)] = label
    keys = {image_key(*key): state.source(key) for key in state.images}
    where = f"version {version!r} of {dataset.name}"
    storage = FrozenStorage(where, dataset.storage, keys, values)
    return StoredCatalogue(_OneRoot(dataset.name, storage))
