"""A storage in one SQLite database: what a stranger writes from the docs page alone."""

from __future__ import annotations

import builtins
import hashlib
import io
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

from workbench.errors import AlreadyExistsError, ConflictError, InvalidDatasetError, WorkbenchError
from workbench.persistence.storage import (
    Append,
    Change,
    Copy,
    Head,
    Listing,
    Move,
    Remove,
    Roots,
    Staged,
    Storage,
    Write,
    Writer,
)
from workbench.persistence.storage.base import MOST_BYTES
from workbench.persistence.storage.keys import check_key

T = TypeVar("T")

_BELOW = "(key = ?1 OR substr(key, 1, length(?1) + 1) = ?1 || '/')"


class SqliteStorage(Storage):
    """One table of keys. The database's own transactions are the commits, its lock is the lease."""

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        with self._connected("IMMEDIATE") as database:
            database.execute("CREATE TABLE IF NOT EXISTS v (key TEXT PRIMARY KEY, data, stamp)")
            database.execute("CREATE TABLE IF NOT EXISTS s (stamp INTEGER)")
            database.execute("INSERT INTO s SELECT 0 WHERE NOT EXISTS (SELECT * FROM s)")

    @contextmanager
    def _connected(self, kind: str = "DEFERRED") -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self.where, timeout=60, isolation_level=None)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            # What a killed process has committed is kept all the same. Only a machine that goes
            # down would lose it, which no test has, and each wait for the disk takes its time.
            database.execute("PRAGMA synchronous = OFF")
            database.execute(f"BEGIN {kind}")
            yield database
            database.execute("COMMIT")
        finally:
            database.close()

    def read_many(
        self, keys: Sequence[str], *, most: int = MOST_BYTES
    ) -> list[bytes | Exception | None]:
        with self._connected() as database:
            return [self._read(database, key, most) for key in keys]

    def _read(self, database: sqlite3.Connection, key: str, most: int) -> bytes | Exception | None:
        try:
            check_key(key)
        except WorkbenchError as error:
            return error
        row = database.execute("SELECT data FROM v WHERE key = ?", [key]).fetchone()
        if row is not None and len(row[0]) > most:
            return InvalidDatasetError(f"{self.where}/{key}: expected at most {most} bytes")
        return None if row is None else bytes(row[0])

    def head(self, key: str) -> Head | None:
        check_key(key)
        with self._connected() as database:
            return self._head(database, key)

    def _head(self, database: sqlite3.Connection, key: str) -> Head | None:
        query = "SELECT length(data), stamp FROM v WHERE key = ?"
        row = database.execute(query, [key]).fetchone()
        return None if row is None else Head(*row)

    def list(self, folder: str = "") -> Listing:
        if folder:
            check_key(folder)
        with self._connected() as database:
            rows = database.execute("SELECT key, length(data), stamp FROM v").fetchall()
        return Listing.of(folder, rows)

    @contextmanager
    def open_read(self, key: str) -> Iterator[BinaryIO]:
        yield io.BytesIO(self.read(key))

    @contextmanager
    def lease(self) -> Iterator[Writer]:
        # Readers look at the last commit meanwhile, so a lease needs a database of its own.
        locks = sqlite3.connect(f"{self.where}.lease", timeout=60, isolation_level=None)
        try:
            locks.execute("BEGIN IMMEDIATE")
            yield SqliteWriter(self)
        finally:
            locks.close()

    def consistently(self, work: Callable[[], T]) -> T:
        # Each look is a transaction of its own; nobody may commit between two of them.
        while True:
            before = self._last()
            try:
                result = work()
            except WorkbenchError:
                if self._last() == before:
                    raise
                continue
            if self._last() == before:
                return result

    def all_keys(self) -> builtins.list[str]:
        with self._connected() as database:
            return [str(key) for (key,) in database.execute("SELECT key FROM v")]

    def _last(self) -> int:
        with self._connected() as database:
            return int(database.execute("SELECT stamp FROM s").fetchone()[0])


class SqliteWriter(Writer):
    def __init__(self, storage: SqliteStorage) -> None:
        self._storage = storage
        self._staged: list[bytes] = []

    def stage(self, stream: BinaryIO) -> Staged:
        data = stream.read()
        self._staged.append(data)
        return Staged(str(len(self._staged) - 1), len(data), hashlib.sha256(data).hexdigest(), "")

    def commit(self, changes: Sequence[Change]) -> None:
        with self._storage._connected("IMMEDIATE") as database:
            for change in changes:
                self._make(database, change)
            # Whoever reads meanwhile sees by it that something was moved or removed, too.
            database.execute("UPDATE s SET stamp = stamp + 1")

    def _make(self, database: sqlite3.Connection, change: Change) -> None:
        match change:
            case Write(key, data, if_stamp, if_absent):
                check_key(key)
                head = self._storage._head(database, key)
                if if_stamp is not None and (head is None or head.stamp != if_stamp):
                    raise ConflictError(f"{self._storage.where}/{key} was changed meanwhile")
                if if_absent:
                    self._require_free(database, key)
                if isinstance(data, Staged):
                    data = self._staged[int(data.token)]
                self._put(database, key, data)
            case Copy(source, target):
                check_key(source)
                check_key(target)
                row = database.execute("SELECT data FROM v WHERE key = ?", [source]).fetchone()
                if row is None:
                    raise self._storage.missing(source)
                self._put(database, target, row[0])
            case Append(key, data):
                check_key(key)
                row = database.execute("SELECT data FROM v WHERE key = ?", [key]).fetchone()
                self._put(database, key, data if row is None else bytes(row[0]) + data)
            case Remove(key):
                check_key(key)
                database.execute(f"DELETE FROM v WHERE {_BELOW}", [key])
            case Move(source, target):
                check_key(source)
                check_key(target)
                if not self._is_there(database, source):
                    raise self._storage.missing(source)
                self._require_free(database, target)
                query = f"UPDATE v SET key = ?2 || substr(key, length(?1) + 1) WHERE {_BELOW}"
                database.execute(query, [source, target])

    def _is_there(self, database: sqlite3.Connection, key: str) -> bool:
        return bool(database.execute(f"SELECT 1 FROM v WHERE {_BELOW} LIMIT 1", [key]).fetchone())

    def _require_free(self, database: sqlite3.Connection, key: str) -> None:
        if self._is_there(database, key):
            raise AlreadyExistsError(f"{self._storage.where}/{key} exists already")

    def _put(self, database: sqlite3.Connection, key: str, data: bytes) -> None:
        # Times, to the millisecond, of which no two are alike.
        now = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000000"
        database.execute(f"UPDATE s SET stamp = max(stamp + 1, {now})")
        query = "INSERT OR REPLACE INTO v SELECT ?, ?, stamp FROM s"
        database.execute(query, [key, data])


class SqliteRoots(Roots):
    """A database for each name, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.where = str(folder)
        self.shared = SqliteStorage(folder / "shared.sqlite")
        self._folder = folder

    def at(self, name: str) -> SqliteStorage:
        return SqliteStorage(self._folder / f"{name}.root")

    def names(self) -> list[str]:
        found = [path.name.removesuffix(".root") for path in self._folder.glob("*.root")]
        return [name for name in found if self.at(name).all_keys()]

    def remove(self, name: str) -> None:
        with self.at(name).lease() as writer:
            writer.commit([Remove(key) for key in self.at(name).all_keys()])
