"""Storage in memory: it keeps the contract honest, and tests fast."""

from __future__ import annotations

import hashlib
import io
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple, TypeVar

from workbench.errors import (
    AlreadyExistsError,
    BusyError,
    ConflictError,
    InvalidDatasetError,
    WorkbenchError,
)
from workbench.persistence.storage.base import (
    MOST_BYTES,
    Append,
    Change,
    Copy,
    Head,
    Listing,
    Move,
    Remove,
    Staged,
    Storage,
    Write,
    Writer,
)
from workbench.persistence.storage.keys import check_key
from workbench.persistence.storage.roots import Roots
from workbench.persistence.yolo.names import HIDDEN

LONGEST_WAIT_S = 600.0

T = TypeVar("T")


class _Value(NamedTuple):
    data: bytes
    stamp: int


class MemoryStorage(Storage):
    """Keys in a dict, which dies with its process.

    Parameters
    ----------
    where : str
        What messages shall call it.
    """

    def __init__(self, where: str = "memory") -> None:
        self.where = where
        self._values: dict[str, _Value] = {}
        self._lease = threading.Lock()
        # Held for a moment only: a commit waits for readers, and they for it.
        self._guard = threading.RLock()
        self._last_stamp = 0
        # When what lies in a folder was changed last.
        self._changed: dict[str, int] = {}

    def read_many(
        self, keys: Sequence[str], *, most: int = MOST_BYTES
    ) -> list[bytes | Exception | None]:
        """See `Storage.read_many`."""
        with self._guard:
            return [self._read(key, most) for key in keys]

    def _read(self, key: str, most: int) -> bytes | Exception | None:
        try:
            check_key(key)
        except WorkbenchError as error:
            return error
        value = self._values.get(key)
        if value is not None and len(value.data) > most:
            return InvalidDatasetError(
                f"{self.where}/{key}: expected at most {most:,} bytes, found {len(value.data):,}"
            )
        return None if value is None else value.data

    def _new(self, data: bytes) -> _Value:
        return _Value(bytes(data), self._next_stamp())

    def _next_stamp(self) -> int:
        # Times, as on a disk, but no two alike, however coarse the clock.
        self._last_stamp = max(time.time_ns(), self._last_stamp + 1)
        return self._last_stamp

    def head(self, key: str) -> Head | None:
        """See `Storage.head`."""
        check_key(key)
        value = self._values.get(key)
        return None if value is None else Head(len(value.data), value.stamp)

    def list(self, folder: str = "") -> Listing:
        """See `Storage.list`."""
        if folder:
            check_key(folder)
        with self._guard:
            return Listing.of(folder, ((k, len(v.data), v.stamp) for k, v in self._values.items()))

    @contextmanager
    def open_read(self, key: str) -> Iterator[BinaryIO]:
        """See `Storage.open_read`."""
        yield io.BytesIO(self.read(key))

    @contextmanager
    def lease(self) -> Iterator[Writer]:
        """See `Storage.lease`."""
        if not self._lease.acquire(timeout=LONGEST_WAIT_S):
            raise BusyError(
                f"{self.where}: expected other changes to end within {LONGEST_WAIT_S:.0f} s, "
                f"found that another thread is still at work; end what hangs, and try again"
            )
        try:
            yield MemoryWriter(self)
        finally:
            self._lease.release()

    def keep(self, key: str, data: bytes) -> None:
        """See `Storage.keep`."""
        MemoryWriter(self).commit([Write(key, data)])

    def consistently(self, work: Callable[[], T]) -> T:
        """See `Storage.consistently`."""
        with self._guard:
            return work()

    def changed_ns(self, keys: Sequence[str]) -> int:
        """See `Storage.changed_ns`; what was removed from a folder counts, too."""
        with self._guard:
            found = [self._changed.get(key, 0) for key in keys]
            found += [self._values[key].stamp for key in keys if key in self._values]
        return max(found, default=0)


class MemoryWriter(Writer):
    """The holder of the lease of one `MemoryStorage`."""

    def __init__(self, storage: MemoryStorage) -> None:
        self._storage = storage
        self._staged: dict[str, _Value] = {}

    def stage(self, stream: BinaryIO) -> Staged:
        """See `Writer.stage`."""
        data = stream.read()
        token = str(len(self._staged))
        value = self._storage._new(data)
        self._staged[token] = value
        return Staged(token, len(data), hashlib.sha256(data).hexdigest(), value.stamp)

    def commit(self, changes: Sequence[Change]) -> None:
        """See `Writer.commit`."""
        storage = self._storage
        with storage._guard:
            before: dict[str, _Value | None] = {}
            try:
                for change in changes:
                    self._make(change, before)
            except BaseException:
                for key, value in before.items():
                    if value is None:
                        storage._values.pop(key, None)
                    else:
                        storage._values[key] = value
                raise

    def _make(self, change: Change, before: dict[str, _Value | None]) -> None:
        match change:
            case Write(key, data):
                self._require(change)
                self._set(key, self._value_of(data), before)
            case Copy(source, target):
                self._copy(source, target, before)
            case Append(key, data):
                check_key(key)
                old = self._storage._values.get(key)
                self._set(key, self._storage._new(old.data + data if old else data), before)
            case Remove(key):
                for found in self._at_or_below(key):
                    self._set(found, None, before)
            case Move(source, target):
                self._move(source, target, before)

    def _value_of(self, data: bytes | Staged) -> _Value:
        return self._staged[data.token] if isinstance(data, Staged) else self._storage._new(data)

    def _require(self, change: Write) -> None:
        where = f"{self._storage.where}/{change.key}"
        head = self._storage.head(change.key)
        if change.if_stamp is not None and (head is None or head.stamp != change.if_stamp):
            raise ConflictError(f"{where}: somebody else has changed it meanwhile; get it again")
        if change.if_absent and self._storage.exists(change.key):
            raise AlreadyExistsError(f"{where} exists already")

    def _copy(self, source: str, target: str, before: dict[str, _Value | None]) -> None:
        check_key(source)
        check_key(target)
        value = self._storage._values.get(source)
        if value is None:
            raise self._storage.missing(source)
        self._set(target, self._storage._new(value.data), before)

    def _move(self, source: str, target: str, before: dict[str, _Value | None]) -> None:
        found = self._at_or_below(source)
        if not found:
            raise self._storage.missing(source)
        if self._storage.exists(target):
            raise AlreadyExistsError(f"{self._storage.where}/{target} exists already")
        for key in found:
            value = self._storage._values[key]
            self._set(key, None, before)
            self._set(target + key[len(source) :], value, before)

    def _at_or_below(self, key: str) -> list[str]:
        check_key(key)
        if key in self._storage._values:
            return [key]
        return [k for k in self._storage._values if k.startswith(f"{key}/")]

    def _set(self, key: str, value: _Value | None, before: dict[str, _Value | None]) -> None:
        values = self._storage._values
        before.setdefault(key, values.get(key))
        self._storage._changed[key.rpartition("/")[0]] = self._storage._next_stamp()
        if value is None:
            values.pop(key, None)
        else:
            values[key] = value


class MemoryRoots(Roots):
    """Storages in a dict.

    Parameters
    ----------
    where : str
    make : callable, optional
        Makes an empty storage of some name; others than those in memory are for tests.
    """

    def __init__(
        self, where: str = "memory", make: Callable[[str], Storage] = MemoryStorage
    ) -> None:
        self.where = where
        self._make = make
        self._storages: dict[str, Storage] = {}
        self._guard = threading.Lock()
        self.shared = make(f"{where}/{HIDDEN}")

    def at(self, name: str) -> Storage:
        """See `Roots.at`."""
        with self._guard:
            if name not in self._storages:
                self._storages[name] = self._make(f"{self.where}/{name}")
            return self._storages[name]

    def names(self) -> list[str]:
        """See `Roots.names`."""
        with self._guard:
            storages = list(self._storages.items())
        return [name for name, storage in storages if any(_in_root(storage))]

    def remove(self, name: str) -> None:
        """See `Roots.remove`."""
        storage = self.at(name)
        storage.commit([Remove(key) for key in _in_root(storage)])


def _in_root(storage: Storage) -> list[str]:
    root, hidden = storage.list(), storage.list(HIDDEN)
    return [*root.names, *root.folders, *(f"{HIDDEN}/{n}" for n in hidden.names + hidden.folders)]
