"""Every storage backend keeps the contract; so does one that a stranger could have written."""

from __future__ import annotations

from inspect import isabstract
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from tests.storage.sqlite_storage import SqliteRoots, SqliteStorage
from workbench.errors import UnreachableError
from workbench.persistence import storage
from workbench.persistence.storage import Head, Roots, Storage
from workbench.persistence.storage.bucket import BucketStorage
from workbench.persistence.storage.layout import ANYTHING
from workbench.persistence.storage.local import LocalStorage
from workbench.persistence.storage.memory import MemoryRoots, MemoryStorage
from workbench.testing import RootsContract, StorageContract


class TestLocal(StorageContract):
    shared_by_processes = True

    def make(self, folder: Path) -> Storage:
        return LocalStorage(str(folder), ANYTHING)


class TestMemory(StorageContract):
    shared_by_processes = False

    def make(self, folder: Path) -> Storage:
        return MemoryStorage()


class TestBucket(StorageContract):
    """The same through a real server, and from several processes, is in `test_bucket_server`."""

    shared_by_processes = False

    def make(self, folder: Path) -> Storage:
        return BucketStorage(MemoryStore(), "memory")


class TestSqlite(StorageContract):
    shared_by_processes = True

    def make(self, folder: Path) -> Storage:
        return SqliteStorage(folder / "storage.sqlite")


class TestMemoryRoots(RootsContract):
    shared_by_processes = False

    def make(self, folder: Path) -> Roots:
        return MemoryRoots()


class TestSqliteRoots(RootsContract):
    shared_by_processes = True

    def make(self, folder: Path) -> Roots:
        return SqliteRoots(folder)


def test_every_backend_of_the_package_is_here() -> None:
    tested = {type(suite().make(Path("/"))) for suite in (TestMemory, TestLocal, TestBucket)}
    below = f"{storage.__name__}."  # a view of one, which nobody writes to, lies elsewhere
    kinds = {*Storage.__subclasses__()}
    kinds |= {inner for kind in kinds for inner in kind.__subclasses__()}
    ours = {kind for kind in kinds if kind.__module__.startswith(below)}
    there = {kind for kind in ours if not isabstract(kind)}
    assert there
    assert there <= tested


@pytest.mark.parametrize("suite", [StorageContract, RootsContract])
def test_a_suite_that_forgets_its_subject_cannot_be_made(suite: type) -> None:
    with pytest.raises(TypeError, match=r"expected a method make\(folder\)"):
        type("Forgetful", (suite,), {"shared_by_processes": True})


@pytest.mark.parametrize("suite", [StorageContract, RootsContract])
def test_a_suite_that_forgets_whether_processes_share_it_cannot_be_made(suite: type) -> None:
    with pytest.raises(TypeError, match="expected shared_by_processes"):
        type("Forgetful", (suite,), {"make": lambda self, folder: MemoryStorage()})


def test_a_suite_is_run_whatever_its_name_is() -> None:
    made = {"make": lambda self, folder: MemoryStorage(), "shared_by_processes": False}
    assert not StorageContract.__test__
    assert type("Bucket", (StorageContract,), made).__test__


class Silent(MemoryStorage):
    """One that nobody answers for."""

    def head(self, key: str) -> Head | None:
        raise UnreachableError(f"{key}: no answer")


def test_what_cannot_be_seen_is_not_said_to_be_there() -> None:
    silent = Silent()
    with pytest.raises(UnreachableError):
        silent.exists("images/train/a.jpg")
    with pytest.raises(UnreachableError):
        silent.existing(["images/train/a.jpg"])
