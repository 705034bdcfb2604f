"""The public kit finds what is wrong with a backend: each of these has one fault, and fails it.

They are what a stranger may write: a database that forgets one thing of the contract.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from tests.storage.sqlite_storage import SqliteStorage, SqliteWriter
from workbench.persistence.storage import Change, Head, Listing, Storage, Write, Writer
from workbench.persistence.storage.base import MOST_BYTES
from workbench.testing import StorageContract

T = TypeVar("T")

_THREADS = threading.Lock()


class StepByStep(SqliteStorage):
    """A commit is as many as it has changes."""

    @contextmanager
    def lease(self) -> Iterator[Writer]:
        with super().lease() as writer:
            whole = writer.commit

            def commit(changes: Sequence[Change]) -> None:
                for change in changes:
                    whole([change])

            writer.commit = commit  # type: ignore[method-assign]
            yield writer


class InBatches(SqliteStorage):
    """A large commit is several."""

    @contextmanager
    def lease(self) -> Iterator[Writer]:
        with super().lease() as writer:
            whole = writer.commit

            def commit(changes: Sequence[Change]) -> None:
                for start in range(0, len(changes), 100):
                    whole(changes[start : start + 100])

            writer.commit = commit  # type: ignore[method-assign]
            yield writer


class SizeIsStamp(SqliteStorage):
    """A value of the same length looks the same."""

    def head(self, key: str) -> Head | None:
        found = super().head(key)
        return found and Head(found.size, found.size)


class FirstPage(SqliteStorage):
    """A listing ends after a thousand names."""

    def list(self, folder: str = "") -> Listing:
        found = super().list(folder)
        most = slice(1000)
        return Listing(found.names[most], found.sizes[most], found.stamps[most], found.folders)


class NoFolders(SqliteStorage):
    """A listing forgets what lies deeper."""

    def list(self, folder: str = "") -> Listing:
        found = super().list(folder)
        return Listing(found.names, found.sizes, found.stamps, [])


class LeavesOut(SqliteStorage):
    """What is missing is not marked."""

    def read_many(
        self, keys: Sequence[str], *, most: int = MOST_BYTES
    ) -> list[bytes | Exception | None]:
        return [one for one in super().read_many(keys, most=most) if one is not None]


class Overwrites(SqliteStorage):
    """A conditional write has no condition."""

    @contextmanager
    def lease(self) -> Iterator[Writer]:
        with super().lease() as writer:
            whole = writer.commit

            def commit(changes: Sequence[Change]) -> None:
                whole([Write(c.key, c.data) if isinstance(c, Write) else c for c in changes])

            writer.commit = commit  # type: ignore[method-assign]
            yield writer


class NoLease(SqliteStorage):
    """Whoever wants the lease has it."""

    @contextmanager
    def lease(self) -> Iterator[Writer]:
        yield SqliteWriter(self)


class LeaseOfOne(SqliteStorage):
    """The lease is that of one object: another one over the same place has its own."""

    @contextmanager
    def lease(self) -> Iterator[Writer]:
        with self.__dict__.setdefault("_lock", threading.Lock()):
            yield SqliteWriter(self)


class LeaseOfThreads(SqliteStorage):
    """The lease is that of one process."""

    @contextmanager
    def lease(self) -> Iterator[Writer]:
        with _THREADS:
            yield SqliteWriter(self)


class NoMoment(SqliteStorage):
    """What is read together may be of several moments."""

    def consistently(self, work: Callable[[], T]) -> T:
        return work()


class SeesWritesOnly(SqliteStorage):
    """Whoever reads does not notice what is moved meanwhile."""

    def _last(self) -> int:
        with self._connected() as database:
            found = database.execute("SELECT coalesce(max(stamp), 0) FROM v").fetchone()
        return int(found[0])


class _Suite(StorageContract):
    shared_by_processes = True
    kind: type[SqliteStorage]

    def make(self, folder: Path) -> Storage:
        return self.kind(folder / "storage.sqlite")


class SuiteOfThreads(_Suite):
    """One that the second process finds here."""

    kind = LeaseOfThreads


_Suite.__test__ = SuiteOfThreads.__test__ = False

Test = Callable[[StorageContract, Storage, Path], None]
_FAULTS: dict[type[SqliteStorage], Test] = {
    StepByStep: lambda suite, storage, _: suite.test_a_commit_that_raises_has_done_nothing(
        storage, "old stamp"
    ),
    InBatches: lambda suite, storage, _: suite.test_a_folder_of_many_values(storage),
    SizeIsStamp: lambda suite, storage, _: suite.test_a_stamp_changes_with_the_bytes(storage),
    FirstPage: lambda suite, storage, _: suite.test_a_folder_of_many_values(storage),
    NoFolders: lambda suite, storage, _: suite.test_a_listing_shows_one_folder(storage),
    LeavesOut: lambda suite, storage, _: suite.test_nothing_is_there(storage),
    NoLease: lambda suite, storage, _: suite.test_a_lease_keeps_others_out(storage),
    LeaseOfOne: lambda suite, storage, folder: suite.test_a_lease_keeps_another_one_out(
        storage, folder
    ),
    LeaseOfThreads: lambda suite, storage, folder: suite.test_a_lease_keeps_another_process_out(
        storage, folder
    ),
    NoMoment: lambda suite, storage, _: suite.test_what_is_read_bit_by_bit_belongs_together(
        storage, "writes"
    ),
    SeesWritesOnly: lambda suite, storage, _: suite.test_what_is_read_bit_by_bit_belongs_together(
        storage, "moves"
    ),
}


@pytest.mark.parametrize("kind", _FAULTS, ids=lambda kind: kind.__name__)
def test_a_fault_is_found(kind: type[SqliteStorage], tmp_path: Path) -> None:
    suite_of = SuiteOfThreads if kind is LeaseOfThreads else type("_", (_Suite,), {"kind": kind})
    (tmp_path / "storage").mkdir()
    suite = suite_of()
    storage = suite.make(tmp_path / "storage")
    with pytest.raises(AssertionError):
        _FAULTS[kind](suite, storage, tmp_path)


def test_a_write_without_its_condition_is_found(tmp_path: Path) -> None:
    suite = type("_", (_Suite,), {"kind": Overwrites})()
    for test in (suite.test_a_write_where_nothing_is, suite.test_a_write_with_the_right_stamp):
        folder = tmp_path / test.__name__
        folder.mkdir()
        with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
            test(suite.make(folder))
