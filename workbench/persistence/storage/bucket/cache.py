"""Copies of objects on this machine, so that a second look costs no download.

A copy is only used for an object of the very tag that it was made of: whether the object still
has that tag is asked of the bucket each time. So nothing here is ever older than the bucket.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

MOST_BYTES = 10_000_000_000
LARGEST = 1 << 26
"""Bytes of one object, of which a copy is kept."""

_INLINE = 1 << 15
_AT_ONCE = 500
_WAIT_S = 5.0
_HOUR_S = 3600
_BEING_WRITTEN_S = 60
_FILE = "objects.sqlite"
_TABLE = """
CREATE TABLE IF NOT EXISTS copy (
    name BLOB PRIMARY KEY, tag TEXT NOT NULL, digest BLOB NOT NULL, size INTEGER NOT NULL,
    used INTEGER NOT NULL, data BLOB
);
CREATE INDEX IF NOT EXISTS by_use ON copy (used, size);
"""

_log = logging.getLogger(__name__)


_Row = tuple[bytes, str, bytes, int, int, bytes | None]


class Kept(NamedTuple):
    """A copy of an object, and the tag of the object."""

    tag: str
    data: bytes


class ReadCache:
    """A folder of copies, which several processes may use at once.

    Small ones are in a database, large ones in files named by their content. Each is checked
    against its digest when it is read. What was not used for longest goes when all are more than
    `most_bytes` together. Whatever fails here, a full disk or a damaged file, only costs a
    download. The folder can be removed at any time.

    Parameters
    ----------
    folder : Path
        Made when something is kept.
    most_bytes : int
    """

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._guard = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._process = 0
        self._since_shrunk = most_bytes  # look once at the beginning

    def get_many(self, paths: Sequence[str]) -> dict[str, Kept]:
        """Return the copies that are here, by path: the whole one, with server and bucket."""
        found: dict[str, Kept] = {}
        self._look(paths, lambda database, some: self._get_some(database, some, found))
        return found

    def known(self, paths: Sequence[str]) -> set[str]:
        """Return those paths of which a copy is here, or was: nothing of it is read."""
        found: set[str] = set()

        def look(database: sqlite3.Connection, some: Sequence[str]) -> None:
            by_name = {_name(path): path for path in some}
            query = f"SELECT name FROM copy WHERE name IN ({_marks(by_name)})"
            found.update(by_name[name] for (name,) in database.execute(query, [*by_name]))

        self._look(paths, look)
        return found

    def _look(
        self, paths: Sequence[str], look: Callable[[sqlite3.Connection, Sequence[str]], None]
    ) -> None:
        """Look for paths, some at a time, if there is anything to look in."""
        if not paths or (self._connection is None and not (self._folder / _FILE).exists()):
            return
        batches = [paths[start : start + _AT_ONCE] for start in range(0, len(paths), _AT_ONCE)]

        def each(database: sqlite3.Connection) -> None:
            for batch in batches:
                look(database, batch)

        self._do(each)

    def _get_some(
        self, database: sqlite3.Connection, paths: Sequence[str], found: dict[str, Kept]
    ) -> None:
        by_name = {_name(path): path for path in paths}
        query = f"SELECT name, tag, digest, data, used FROM copy WHERE name IN ({_marks(by_name)})"
        now, stale = int(time.time()), list[bytes]()
        for name, tag, digest, data, used in database.execute(query, [*by_name]):
            content = self._large(digest) if data is None else data
            if content is not None and _digest(content) == digest:
                found[by_name[name]] = Kept(tag, content)
                if used < now - _HOUR_S:
                    stale.append(name)
        if stale:
            update = f"UPDATE copy SET used = ? WHERE name IN ({_marks(stale)})"
            database.execute(update, [now, *stale])

    def put_many(self, copies: Mapping[str, Kept]) -> None:
        """Keep copies of objects, in place of older ones."""
        rows, now = list[_Row](), int(time.time())
        for path, (tag, data) in copies.items():
            if not tag or len(data) > LARGEST:
                continue
            digest = _digest(data)
            inline = len(data) <= _INLINE
            if inline or self._write_large(digest, data):
                stored = data if inline else None
                rows.append((_name(path), tag, digest, len(data), now, stored))
        if rows:
            self._do(lambda database: self._put(database, rows))

    def _put(self, database: sqlite3.Connection, rows: list[_Row]) -> None:
        database.executemany("INSERT OR REPLACE INTO copy VALUES (?, ?, ?, ?, ?, ?)", rows)
        self._since_shrunk += sum(row[3] for row in rows)
        if self._since_shrunk >= self._most_bytes / 20:
            self._since_shrunk = 0
            self._shrink(database)

    def _shrink(self, database: sqlite3.Connection) -> None:
        """Forget what was not used for longest, and remove the files that nothing needs any more.

        Parameters
        ----------
        database : sqlite3.Connection
            In a transaction, so nobody else keeps anything meanwhile.
        """
        (total,) = database.execute("SELECT coalesce(sum(size), 0) FROM copy").fetchone()
        if total <= self._most_bytes:
            return
        gone: list[bytes] = []
        for name, size in database.execute("SELECT name, size FROM copy ORDER BY used, size"):
            if total <= self._most_bytes * 0.9:
                break
            gone.append(name)
            total -= size
        database.executemany("DELETE FROM copy WHERE name = ?", [(name,) for name in gone])
        rows = database.execute("SELECT digest FROM copy WHERE size > ?", [_INLINE])
        needed = {digest.hex() for (digest,) in rows}
        for path in self._folder.glob("large/??/*"):
            # Another process may have written it just now, and not noted it yet.
            if path.name not in needed and path.stat().st_mtime < time.time() - _BEING_WRITTEN_S:
                path.unlink(missing_ok=True)

    def _large_path(self, digest: bytes) -> Path:
        name = digest.hex()
        return self._folder / "large" / name[:2] / name

    def _large(self, digest: bytes) -> bytes | None:
        try:
            return self._large_path(digest).read_bytes()
        except OSError:
            return None

    def _write_large(self, digest: bytes, data: bytes) -> bool:
        path = self._large_path(digest)
        unfinished = path.with_name(f".{os.urandom(8).hex()}")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                unfinished.write_bytes(data)
                unfinished.replace(path)
            finally:
                unfinished.unlink(missing_ok=True)
        except OSError as error:
            _log.info("no copy is kept: %s", error)
            return False
        return True

    def _do(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Work in the database; a failure costs what was done, and no more."""
        with self._guard:
            try:
                if self._connection is None or self._process != os.getpid():
                    self._connection, self._process = self._opened(), os.getpid()
                with self._connection:
                    work(self._connection)
            except (sqlite3.Error, OSError) as error:
                _log.info("%s is left alone: %s", self._folder, error)
                self._drop(error)

    def _opened(self) -> sqlite3.Connection:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / _FILE
        database = sqlite3.connect(path, timeout=_WAIT_S, check_same_thread=False)
        try:
            # No log beside it, which network drives cannot share; a power cut costs copies only.
            database.execute("PRAGMA synchronous = OFF")
            database.executescript(_TABLE)
        except sqlite3.Error:
            database.close()
            raise
        return database

    def _drop(self, error: Exception) -> None:
        """Begin anew where the database is damaged; other failures pass."""
        connection, self._connection = self._connection, None
        if connection is not None and self._process == os.getpid():
            connection.close()
        if type(error) is sqlite3.DatabaseError:
            (self._folder / _FILE).unlink(missing_ok=True)


def _name(path: str) -> bytes:
    return blake2b(path.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _marks(names: Sequence[bytes] | Mapping[bytes, str]) -> str:
    return ",".join("?" * len(names))


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=16).digest()
