"""What every storage backend does: the contract, as tests.

Subclass `StorageContract` in a test file of yours::

    class TestBucket(StorageContract):
        shared_by_processes = True

        def make(self, folder):
            return BucketStorage(...)

Both have to be there: a subclass that lacks one cannot be made, so that no backend passes because
somebody forgot to say what is to be tested.
"""

from __future__ import annotations

import io
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from inspect import getfile
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from workbench.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidDatasetError,
    NotFoundError,
)
from workbench.persistence.storage import (
    Append,
    Change,
    Copy,
    Listing,
    Move,
    Remove,
    Storage,
    Write,
    Writer,
)
from workbench.testing import killed_writer

_LIMIT_S = 60
_KILLS = 6

_BAD_KEYS = (
    "",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "../a",
    "a/../b",
    "a/./b",
    "a\0b",
    "a/\ud800",
    "x" * 300,
    ".workbench/lock",
    ".workbench/generation",
    ".workbench/tx/1/plan.json",
    ".workbench/tmp/x",
)

_GOOD_KEYS = (
    "a",
    "a.txt",
    "one/two/three/four.bin",
    ".hidden",
    ".workbench/tags.json",
    "with space/and 'quotes'",
    "Käfer/甲虫.jpg",
    "%41",
    "..a/b..",
    "x" * 200,
)

_KEY_CALLS: dict[str, Callable[[Storage, str], object]] = {
    "read": lambda storage, key: storage.read(key),
    "head": lambda storage, key: storage.head(key),
    "open": lambda storage, key: storage.open_read(key).__enter__(),
    "write": lambda storage, key: storage.commit([Write(key, b"x")]),
    "append": lambda storage, key: storage.commit([Append(key, b"x")]),
    "copy from": lambda storage, key: storage.commit([Copy(key, "free")]),
    "copy to": lambda storage, key: storage.commit([Copy("here", key)]),
    "move from": lambda storage, key: storage.commit([Move(key, "free")]),
    "move to": lambda storage, key: storage.commit([Move("here", key)]),
    "remove": lambda storage, key: storage.commit([Remove(key)]),
}

# Each of these changes is impossible: a commit that ends with it must leave no trace.
_REFUSED: dict[str, tuple[Change, type[Exception]]] = {
    "stamp of nothing": (Write("new", b"x", if_stamp=1), ConflictError),
    "old stamp": (Write("keep", b"x", if_stamp="an old one"), ConflictError),
    "taken by a value": (Write("keep", b"x", if_absent=True), AlreadyExistsError),
    "taken by this commit": (Write("made", b"x", if_absent=True), AlreadyExistsError),
    "taken by a folder": (Write("folder", b"x", if_absent=True), AlreadyExistsError),
    "copy of nothing": (Copy("nothing", "new"), NotFoundError),
    "copy of what is gone": (Copy("gone", "new"), NotFoundError),
    "copy of a folder": (Copy("folder", "new"), NotFoundError),
    "move of nothing": (Move("nothing", "new"), NotFoundError),
    "move of what is gone": (Move("gone", "new"), NotFoundError),
    "move onto a value": (Move("folder/x", "keep"), AlreadyExistsError),
    "move onto a folder": (Move("keep", "folder"), AlreadyExistsError),
    "move onto a moved one": (Move("keep", "moved"), AlreadyExistsError),
    "bad key": (Write("../x", b"x"), InvalidDatasetError),
}


def contents(storage: Storage, folder: str = "") -> dict[str, bytes]:
    """Return all values below a folder by their keys, without what is hidden in the root."""
    listing = storage.list(folder)
    prefix = f"{folder}/" if folder else ""
    found = {f"{prefix}{name}": storage.read(f"{prefix}{name}") for name in listing.names}
    for name in listing.folders:
        found |= contents(storage, f"{prefix}{name}")
    return found


def _sorted(listing: Listing) -> list[tuple[str, int]]:
    return sorted(zip(listing.names, listing.sizes.tolist(), strict=True))


class StorageContract:
    """The tests; see the module for how they are used.

    Attributes
    ----------
    shared_by_processes : bool
        Whether another process sees the same keys when it calls `make` with the same folder. It is
        False only for a storage that ends with its process.
    """

    __test__ = False
    shared_by_processes: ClassVar[bool]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.make is StorageContract.make:
            raise TypeError(f"{cls.__name__}: expected a method make(folder), found none")
        if not isinstance(getattr(cls, "shared_by_processes", None), bool):
            raise TypeError(f"{cls.__name__}: expected shared_by_processes = True or False")
        cls.__test__ = True

    def make(self, folder: Path) -> Storage:
        """Return a storage for an existing folder of the test, empty when it is the first.

        Called again with the same folder, it returns another one over the same keys, if
        `shared_by_processes`.
        """
        raise NotImplementedError

    @pytest.fixture
    def storage(self, tmp_path: Path) -> Storage:
        """Return an empty storage."""
        folder = tmp_path / "storage"
        folder.mkdir()
        return self.make(folder)

    # Reading and looking

    def test_nothing_is_there(self, storage: Storage) -> None:
        """Reading an empty storage finds nothing, and says so in each form."""
        assert storage.read_many(["a", "b/c"]) == [None, None]
        assert storage.head("a") is None
        assert not storage.exists("a")
        with pytest.raises(NotFoundError, match="a/b"):
            storage.read("a/b")
        with pytest.raises(NotFoundError, match="a/b"), storage.open_read("a/b"):
            pass
        for folder in ("", "a", ".workbench"):
            listing = storage.list(folder)
            assert (listing.names, listing.folders) == ([], [])
            assert listing.sizes.shape == listing.stamps.shape == (0,)

    @pytest.mark.parametrize("key", _GOOD_KEYS)
    def test_a_key_holds_what_was_written(self, storage: Storage, key: str) -> None:
        """Keys of all kinds are taken, and values with every byte."""
        data = bytes(range(256))
        storage.commit([Write(key, data)])
        assert storage.read(key) == data
        head = storage.head(key)
        assert head is not None
        assert head.size == 256
        assert storage.exists(key)
        folder, _, name = key.rpartition("/")
        assert _sorted(storage.list(folder)) == [(name, 256)]

    @pytest.mark.parametrize("size", [0, 1, 65_536, 3_000_001])
    def test_values_of_all_sizes(self, storage: Storage, size: int) -> None:
        """Empty values can be kept, and values that do not fit into a buffer."""
        data = os.urandom(size)
        storage.commit([Write("a/x", data)])
        assert storage.read("a/x") == data
        with storage.open_read("a/x") as file:
            assert file.read() == data
        assert _sorted(storage.list("a")) == [("x", size)]

    def test_many_are_read_in_their_order(self, storage: Storage) -> None:
        """A key that is missing, or is no key, does not stop the others from being read."""
        storage.commit([Write(f"a/{number}", b"%d" % number) for number in range(50)])
        keys = [f"a/{number}" for number in range(49, -1, -1)]
        assert storage.read_many(keys) == [b"%d" % number for number in range(49, -1, -1)]
        storage.commit([Write("b/c/1", b"deep"), Write("b/Käfer", b"plain"), Write("1", b"top")])
        mixed = ["b/c/1", "a/1", "1", "b/Käfer", "a/2", "nowhere/x", "b/c/2"]
        expected = [b"deep", b"1", b"top", b"plain", b"2", None, None]
        assert storage.read_many(mixed) == expected
        first, missing, bad, again = storage.read_many(["a/1", "a/x", "../a", "a/1"])
        assert (first, missing, again) == (b"1", None, b"1")
        assert isinstance(bad, InvalidDatasetError)

    def test_what_is_too_large_is_not_read(self, storage: Storage) -> None:
        """The caller sets the limit, and it holds for each value by itself."""
        storage.commit([Write("large", b"12345"), Write("small", b"1234")])
        large, small = storage.read_many(["large", "small"], most=4)
        assert isinstance(large, InvalidDatasetError)
        assert small == b"1234"
        with pytest.raises(InvalidDatasetError, match="large"):
            storage.read("large", most=4)

    def test_a_value_can_be_read_in_parts(self, storage: Storage) -> None:
        """A reader can move to any place in the stream, also counted from the end."""
        storage.commit([Write("a", b"0123456789")])
        with storage.open_read("a") as file:
            assert file.read(3) == b"012"
            file.seek(-2, io.SEEK_END)
            assert file.read() == b"89"
            file.seek(5)
            assert file.read(2) == b"56"

    def test_the_beginnings_of_many_are_read(self, storage: Storage) -> None:
        """Of each value as many bytes as are asked for, or all; others are not in the way."""
        large = os.urandom(100_000)
        storage.commit(
            [Write("a/1", b"0123456789"), Write("a/2", b"01"), Write("b", b""), Write("c", large)]
        )
        keys = ["a/1", "c", "a/2", "a/nothing", "b", "nowhere/x", "a/1"]
        expected = [b"0123", large[:4], b"01", None, b"", None, b"0123"]
        assert storage.read_starts(keys, 4) == expected
        assert storage.read_starts(["c"], 200_000) == [large]
        assert storage.read_starts([], 4) == []
        bad, good = storage.read_starts(["../a", "a/1"], 4)
        assert isinstance(bad, InvalidDatasetError)
        assert good == b"0123"

    def test_a_listing_shows_one_folder(self, storage: Storage) -> None:
        """It has sizes and stamps in columns, and folder names; hidden folders only on request."""
        storage.commit(
            [
                Write("top", b"1"),
                Write("a/x", b"22"),
                Write("a/y", b"333"),
                Write("a/b/z", b"4"),
                Write("ab/x", b"5"),
                Write(".workbench/tags.json", b"6"),
            ]
        )
        root, inner = storage.list(), storage.list("a")
        assert (_sorted(root), sorted(root.folders)) == ([("top", 1)], ["a", "ab"])
        assert (_sorted(inner), inner.folders) == ([("x", 2), ("y", 3)], ["b"])
        assert _sorted(storage.list(".workbench")) == [("tags.json", 1)]
        assert inner.sizes.dtype == np.int64
        for name, stamp in zip(inner.names, inner.stamps.tolist(), strict=True):
            head = storage.head(f"a/{name}")
            assert head is not None
            assert stamp == head.stamp

    def test_names_can_be_had_without_facts(self, storage: Storage) -> None:
        """Which is quicker where looking at each value takes time."""
        storage.commit([Write("a/x", b"1"), Write("a/y", b"2"), Write("b", b"3")])
        assert sorted(storage.names("a")) == ["x", "y"]
        assert list(storage.names("nothing")) == []

    def test_whether_many_are_there(self, storage: Storage) -> None:
        """Values, and folders with something in them, of one folder and of several."""
        storage.commit([Write("a/1", b""), Write("a/2", b"2"), Write("a/b/c", b"3")])
        keys = ["a/1", "a/x", "a/2", "a/b", "b", "b/1", "b/2", "a", "a/b/c", "a/1/x"]
        expected = [True, False, True, True, False, False, False, True, True, False]
        assert storage.existing(keys) == expected
        assert storage.existing([]) == []
        with pytest.raises(InvalidDatasetError):
            storage.existing(["a/1", "../a"])

    def test_a_mark_tells_a_value_from_others(self, storage: Storage) -> None:
        """It stays as long as the value does, and is another one after each change."""
        storage.commit([Write("a/x", b"1"), Write("a/y", b"22"), Write("a/b/z", b"3")])
        before = storage.marks("a")
        assert {name: mark[0] for name, mark in before.items()} == {"x": 1, "y": 2}
        storage.commit([Write("a/x", b"2"), Write("b", b"x")])
        after = storage.marks("a")
        assert after["y"] == before["y"]
        assert after["x"] != before["x"]
        assert storage.marks("nothing") == {}

    def test_a_root_is_filled(self, storage: Storage) -> None:
        """What is written where nobody looks yet is there afterwards, large or small."""
        with storage.lease() as writer:
            staged = writer.stage(io.BytesIO(b"large"))
            writer.fill([Write("a/x", b"small"), Write("a/y", staged)])
        assert contents(storage) == {"a/x": b"small", "a/y": b"large"}

    def test_what_is_touched_tells_so(self, storage: Storage) -> None:
        """A value and a folder are told from what they were; another folder stays what it was."""
        keys = ["a/x", "a", "b", "none"]
        storage.commit([Write("a/x", b"1"), Write("b/y", b"1")])
        first = storage.touched(keys)
        assert storage.touched(keys) == first
        storage.commit([Write("a/x", b"2")])
        second = storage.touched(keys)
        assert [old != new for old, new in zip(first, second, strict=True)] == [
            *(True, True, False, False)
        ]
        storage.commit([Remove("a/x")])
        assert storage.touched(keys)[:2] != second[:2]
        assert storage.touched(keys)[2:] == second[2:]

    def test_a_time_of_change_does_not_go_back(self, storage: Storage) -> None:
        """It grows with each change, or is 0 where nobody knows it."""
        storage.commit([Write("a/x", b"1")])
        first = storage.changed_ns(["a"])
        storage.commit([Write("a/y", b"1")])
        second = storage.changed_ns(["a"])
        assert first < second or first == second == 0

    def test_the_files_of_values_hold_them(self, storage: Storage) -> None:
        """Where there are no files, nothing says that there are."""
        storage.commit([Write("a/x", b"1"), Write("y", b"2")])
        paths = storage.file_paths(["a/x", "y"])
        if paths is not None:
            assert [Path(path).read_bytes() for path in paths] == [b"1", b"2"]

    def test_what_is_kept_here_is_not_outside(self, storage: Storage) -> None:
        """Only what somebody else has led to is, where there is such a thing."""
        storage.commit([Write("a/x", b"1"), Write("b", b"2")])
        assert storage.outside(["a/x", "b", "nothing"]) == []

    def test_what_was_derived_is_kept(self, storage: Storage) -> None:
        """It is read like any value, and the later one of two is there."""
        for data in (b"first", b"2"):
            storage.keep(".workbench/cache/sizes", data)
            assert storage.read(".workbench/cache/sizes") == data
        assert storage.list(".workbench/cache").names == ["sizes"]
        with pytest.raises(InvalidDatasetError):
            storage.keep("../a", b"x")

    def test_a_stamp_changes_with_the_bytes(self, storage: Storage) -> None:
        """It changes also when writes follow each other quickly and the size stays the same."""
        seen = []
        for number in range(20):
            storage.commit([Write("a", b"%02d" % number)])
            head = storage.head("a")
            assert head is not None
            assert head == storage.head("a")
            seen.append(head.stamp)
        assert all(one != other for one, other in pairwise(seen))
        storage.commit([Write("b", b"x")])
        assert storage.head("a") == head

    @pytest.mark.parametrize("call", _KEY_CALLS)
    @pytest.mark.parametrize("key", _BAD_KEYS, ids=ascii)
    def test_what_is_no_key_is_refused(self, storage: Storage, key: str, call: str) -> None:
        """No key leads out of the root, or to files that the backend keeps for itself."""
        storage.commit([Write("here", b"x")])
        with pytest.raises(InvalidDatasetError):
            _KEY_CALLS[call](storage, key)
        assert contents(storage) == {"here": b"x"}

    # Changing

    def test_a_value_is_replaced(self, storage: Storage) -> None:
        """The new value may be shorter or longer than the old one."""
        for data in (b"first", b"2", b"the third", b""):
            storage.commit([Write("a/b", data)])
            assert storage.read("a/b") == data
        assert contents(storage) == {"a/b": b""}

    def test_a_commit_makes_all_changes(self, storage: Storage) -> None:
        """Changes of all kinds are made, in their order."""
        storage.commit([Write("old", b"old"), Write("gone", b"x"), Append("log", b"1")])
        storage.commit(
            [
                Move("old", "trash/old"),
                Write("old", b"new"),
                Remove("gone"),
                Append("log", b"2"),
                Append("log", b"3"),
                Write("deep/er/new", b"n"),
            ]
        )
        assert contents(storage) == {
            "trash/old": b"old",
            "old": b"new",
            "log": b"123",
            "deep/er/new": b"n",
        }

    def test_a_change_sees_those_before_it(self, storage: Storage) -> None:
        """A change sees what earlier changes of the same commit wrote, moved and removed."""
        storage.commit([Write("a/old", b"1")])
        storage.commit(
            [
                Write("a/new", b"2"),
                Move("a", "b"),
                Write("a/new", b"3", if_absent=True),
                Remove("b/old"),
                Move("b/new", "c/new"),
                Write("b/new", b"4", if_absent=True),
                Remove("a"),
                Move("c", "a"),
            ]
        )
        assert contents(storage) == {"a/new": b"2", "b/new": b"4"}
        with pytest.raises(AlreadyExistsError):
            storage.commit([Write("new/x", b"5"), Move("b", "new")])

    def test_an_empty_commit_changes_nothing(self, storage: Storage) -> None:
        """Callers may commit an empty list; they need not check for it first."""
        storage.commit([])
        assert contents(storage) == {}

    def test_two_values_change_places(self, storage: Storage) -> None:
        """One commit moves them past each other by a third key."""
        storage.commit([Write("a", b"A"), Write("b", b"B")])
        storage.commit([Move("a", "c"), Move("b", "a"), Move("c", "b")])
        assert contents(storage) == {"a": b"B", "b": b"A"}

    def test_a_value_is_copied(self, storage: Storage) -> None:
        """The copy replaces what was there, and goes its own way afterwards."""
        large = os.urandom(3_000_001)
        storage.commit([Write("a/x", large), Write("small", b"1"), Write("old", b"other")])
        storage.commit([Copy("a/x", "b/c/x"), Copy("small", "old"), Copy("small", "small")])
        assert contents(storage) == {"a/x": large, "b/c/x": large, "small": b"1", "old": b"1"}
        storage.commit([Write("small", b"2"), Remove("a")])
        assert contents(storage) == {"b/c/x": large, "small": b"2", "old": b"1"}

    def test_what_others_write_into_a_file_reaches_no_copy(self, storage: Storage) -> None:
        """Only backends that have files are checked: the copy is no second name of the same one."""
        storage.commit([Write("a", b"first"), Write("c", b"first")])
        storage.commit([Copy("a", "b")])
        for key, other in (("a", "b"), ("b", "a")):
            path = storage.local_path(key)
            if path is not None:
                with path.open("r+b") as file:
                    file.write(b"WROTE")
                storage.commit([Copy("c", key)])
            assert storage.read(other) == b"first"

    def test_a_copy_has_a_stamp_of_its_own(self, storage: Storage) -> None:
        """Whoever knew what it replaced sees that it is another value."""
        storage.commit([Write("a", b"1"), Write("b", b"2")])
        for source in ("a", "b", "a"):
            before = storage.head("c")
            storage.commit([Copy(source, "c")])
            assert storage.head("c") != before

    def test_copies_and_other_changes_follow_each_other(self, storage: Storage) -> None:
        """A copy takes what earlier changes have left, and later ones take the copy."""
        storage.commit([Write("a", b"A"), Write("b", b"B"), Write("f/x", b"X"), Write("f/y", b"Y")])
        with storage.lease() as writer:
            staged = writer.stage(io.BytesIO(b"S"))
            writer.commit(
                [
                    Copy("a", "c"),
                    Copy("b", "a"),
                    Copy("c", "b"),
                    Write("c", b"C"),
                    Copy("c", "d"),
                    Move("c", "e"),
                    Copy("e", "c"),
                    Move("f", "g"),
                    Copy("g/x", "h"),
                    Remove("g/x"),
                    Copy("h", "g/z"),
                    Write("s", staged),
                    Copy("s", "t"),
                ]
            )
        assert contents(storage) == {
            "a": b"B",
            "b": b"A",
            "c": b"C",
            "d": b"C",
            "e": b"C",
            "g/y": b"Y",
            "g/z": b"X",
            "h": b"X",
            "s": b"S",
            "t": b"S",
        }

    def test_many_values_are_copied(self, storage: Storage) -> None:
        """One commit may copy more than there is room for in any buffer, also onto each other."""
        keys = [f"a/{number}" for number in range(60)]
        storage.commit([Write(key, key.encode()) for key in keys])
        storage.commit([Copy(key, f"b/{key}") for key in keys])
        storage.commit([Copy(f"b/{keys[-1 - n]}", key) for n, key in enumerate(keys)])
        found = storage.read_many(keys)
        assert found == [key.encode() for key in reversed(keys)]

    def test_a_folder_moves_with_all_that_is_in_it(self, storage: Storage) -> None:
        """Everything in the folder moves, and nothing beside it."""
        storage.commit([Write("a/x", b"1"), Write("a/b/y", b"2"), Write("ab", b"3")])
        storage.commit([Move("a", "new/place")])
        assert contents(storage) == {"new/place/x": b"1", "new/place/b/y": b"2", "ab": b"3"}
        assert not storage.exists("a")
        assert storage.exists("new")
        assert storage.exists("new/place")

    def test_a_folder_is_removed_with_all_that_is_in_it(self, storage: Storage) -> None:
        """Removing it a second time is no error."""
        storage.commit([Write("a/x", b"1"), Write("a/b/y", b"2"), Write("ab", b"3")])
        storage.commit([Remove("a"), Remove("nothing")])
        assert contents(storage) == {"ab": b"3"}
        storage.commit([Remove("a"), Remove("ab")])
        assert contents(storage) == {}

    def test_what_is_purged_is_gone(self, storage: Storage) -> None:
        """Values, folders with all that is in them, and what is not there."""
        storage.commit([Write("a/x", b"1"), Write("a/b/y", b"2"), Write("ab", b"3")])
        with storage.lease() as writer:
            writer.purge(["a", "nothing"])
        assert contents(storage) == {"ab": b"3"}

    def test_a_write_with_the_right_stamp(self, storage: Storage) -> None:
        """It succeeds once; after that the value has a new stamp."""
        storage.commit([Write("a", b"1")])
        head = storage.head("a")
        assert head is not None
        change = Write("a", b"2", if_stamp=head.stamp)
        storage.commit([change])
        with pytest.raises(ConflictError, match="a"):
            storage.commit([change])
        assert storage.read("a") == b"2"

    def test_a_write_where_nothing_is(self, storage: Storage) -> None:
        """If something is there already, it stays as it is."""
        change = Write("a/b", b"1", if_absent=True)
        storage.commit([change])
        with pytest.raises(AlreadyExistsError, match="a/b"):
            storage.commit([Write("a/b", b"2", if_absent=True)])
        storage.commit([Remove("a/b"), change])
        assert contents(storage) == {"a/b": b"1"}

    @pytest.mark.parametrize("name", _REFUSED)
    def test_a_commit_that_raises_has_done_nothing(self, storage: Storage, name: str) -> None:
        """The changes before the impossible one are not made either, whatever they are."""
        change, error = _REFUSED[name]
        storage.commit(
            [
                Write("keep", b"k"),
                Write("gone", b"g"),
                Write("log", b"l"),
                Write("source", b"s"),
                Write("folder/x", b"x"),
            ]
        )
        before = contents(storage)
        heads = {key: storage.head(key) for key in before}
        with pytest.raises(error):
            storage.commit(
                [
                    Write("made", b"m"),
                    Write("log", b"over"),
                    Append("log", b"l"),
                    Remove("gone"),
                    Move("source", "moved"),
                    change,
                ]
            )
        assert contents(storage) == before
        assert {key: storage.head(key) for key in before} == heads

    def test_a_stream_becomes_a_value(self, storage: Storage) -> None:
        """It is committed together with other changes, and its digest is known."""
        data = os.urandom(5_000_000)
        source = io.BytesIO(b"skipped" + data)
        source.seek(len(b"skipped"))
        with storage.lease() as writer:
            staged = writer.stage(source)
            assert contents(storage) == {}
            facts = f"{staged.size} {staged.sha256}".encode()
            writer.commit([Write("m/weights", staged, if_absent=True), Write("m/facts", facts)])
        assert storage.read("m/weights") == data
        assert storage.read("m/facts") == f"{len(data)} {sha256(data).hexdigest()}".encode()
        head = storage.head("m/weights")
        assert head is not None
        assert staged.stamp in ("", head.stamp)

    def test_what_was_staged_and_not_used_leaves_nothing(self, storage: Storage) -> None:
        """A stream that ends with an error leaves nothing behind either."""

        class Broken(io.RawIOBase):
            def read(self, size: int = -1) -> bytes:
                raise OSError("the cable is out")

        broken: Any = Broken()
        with storage.lease() as writer:
            writer.stage(io.BytesIO(b"x"))
            with pytest.raises(OSError, match="the cable is out"):
                writer.stage(broken)
            writer.commit([Write("a", b"1")])
        assert contents(storage) == {"a": b"1"}
        assert storage.list(".workbench").names == []

    def test_files_for_those_who_need_some(self, storage: Storage, tmp_path: Path) -> None:
        """The files are copies: writing to them changes nothing in the storage."""
        storage.commit([Write("a/b/x", b"1"), Write("y", b"2"), Write("z", b"3")])
        paths = storage.materialise(["a/b/x", "y"], tmp_path / "out")
        assert paths == [tmp_path / "out/a/b/x", tmp_path / "out/y"]
        assert [path.read_bytes() for path in paths] == [b"1", b"2"]
        assert sorted(path.name for path in (tmp_path / "out").rglob("*")) == ["a", "b", "x", "y"]
        paths[0].write_bytes(b"scribbled")
        assert storage.read("a/b/x") == b"1"
        assert storage.materialise(["a/b/x"], tmp_path / "out")[0].read_bytes() == b"1"
        with pytest.raises(NotFoundError, match="nothing"):
            storage.materialise(["nothing"], tmp_path / "out")

    def test_a_file_of_ones_own(self, storage: Storage, tmp_path: Path) -> None:
        """It is new, and whoever writes into it changes nothing in the storage."""
        storage.commit([Write("a/x", b"1")])
        path = tmp_path / "new"
        storage.copy_out("a/x", path)
        with path.open("r+b") as file:
            file.write(b"2")
        assert storage.read("a/x") == b"1"
        with pytest.raises(FileExistsError):
            storage.copy_out("a/x", str(path))
        assert path.read_bytes() == b"2"
        with pytest.raises(NotFoundError, match="nothing"):
            storage.copy_out("nothing", tmp_path / "other")
        assert not (tmp_path / "other").exists()

    def test_a_local_path_leads_to_the_value(self, storage: Storage) -> None:
        """Only backends that have local paths are checked."""
        storage.commit([Write("a/x", b"1")])
        path = storage.local_path("a/x")
        assert path is None or path.read_bytes() == b"1"
        assert (path is None) == (storage.local_path("nothing") is None)

    # Several at once

    def test_a_lease_keeps_others_out(self, storage: Storage) -> None:
        """Two writers count up at the same time, and no step is lost."""
        storage.commit([Write("count", b"0")])

        def count(times: int) -> None:
            for _ in range(times):
                with storage.lease() as writer:
                    number = int(storage.read("count"))
                    time.sleep(0.0005)
                    writer.commit([Write("count", b"%d" % (number + 1))])

        self._in_threads(*[lambda: count(15)] * 4)
        assert storage.read("count") == b"60"

    def test_a_stamp_keeps_others_out(self, storage: Storage) -> None:
        """Two writers count up without a lease: who meets a conflict tries again."""
        storage.commit([Write("count", b"0")])

        def count(times: int) -> None:
            while times:
                head, number = storage.consistently(
                    lambda: (storage.head("count"), int(storage.read("count")))
                )
                assert head is not None
                try:
                    storage.commit([Write("count", b"%d" % (number + 1), if_stamp=head.stamp)])
                except ConflictError:
                    continue
                times -= 1

        self._in_threads(*[lambda: count(15)] * 3)
        assert storage.read("count") == b"45"

    def test_what_is_decided_on_is_still_so_when_it_is_done(self, storage: Storage) -> None:
        """Several decide on what they read, and count up: none is lost, each is told its own."""
        storage.commit([Write("count", b"0")])
        told: list[int] = []

        def decide() -> tuple[list[Change], int]:
            number = int(storage.read("count")) + 1
            return [Write("count", b"%d" % number), Append("log", b".")], number

        def count(times: int) -> None:
            for _ in range(times):
                number = storage.transact(decide, values=["count"], heads=["log"])
                told.append(number)

        self._in_threads(*[lambda: count(10)] * 3)
        assert storage.read("count") == b"30"
        assert storage.read("log") == b"." * 30
        assert sorted(told) == [*range(1, 31)]

    def test_what_is_not_decided_is_not_done(self, storage: Storage) -> None:
        """What raises while it is decided or checked has changed nothing, and keeps nobody out."""

        def refuse() -> None:
            raise ConflictError("no")

        def decide() -> tuple[list[Change], int]:
            refuse()
            return [Write("a", b"1")], 1

        with pytest.raises(ConflictError):
            storage.transact(decide)
        with pytest.raises(ConflictError):
            storage.transact(lambda: ([Write("a", b"1")], 1), checks=[refuse])
        assert storage.transact(lambda: ([], storage.exists("a"))) is False
        assert storage.transact(lambda: ([Write("a", b"2")], "done"), values=["a", "b"]) == "done"
        assert contents(storage) == {"a": b"2"}

    def test_a_lease_ends_with_its_block(self, storage: Storage) -> None:
        """The lease ends also when the block raises."""
        for _ in range(3):
            with pytest.raises(ZeroDivisionError), storage.lease() as writer:
                self._and_raise(writer)
        storage.commit([Append("log", b".")])
        assert storage.read("log") == b"...."

    @staticmethod
    def _and_raise(writer: Writer) -> None:
        writer.commit([Append("log", b".")])
        raise ZeroDivisionError

    def test_what_is_read_together_belongs_together(self, storage: Storage) -> None:
        """A reader never sees half of a commit that another writer makes meanwhile."""
        killed_writer.begin(storage)
        done = threading.Event()
        start = threading.Barrier(3, timeout=_LIMIT_S)

        def write() -> None:
            start.wait()
            try:
                for number in range(1, 61):
                    storage.commit(killed_writer.changes(number))
            finally:
                done.set()

        def look() -> None:
            start.wait()
            while not done.is_set():
                state = storage.consistently(lambda: killed_writer.state(storage))
                assert isinstance(state[0], bytes)
                assert state == killed_writer.expected(int(state[0]))

        self._in_threads(write, look, look)
        assert killed_writer.state(storage) == killed_writer.expected(60)

    @staticmethod
    def _in_threads(*calls: Callable[[], None]) -> None:
        with ThreadPoolExecutor(len(calls)) as pool:
            for done in [pool.submit(call) for call in calls]:
                done.result(timeout=_LIMIT_S)

    # Across processes

    def test_another_one_over_the_same_place(self, storage: Storage, tmp_path: Path) -> None:
        """A second storage sees the same keys where processes share them, and else none of them."""
        storage.commit([Write("a", b"1")])
        other = self.make(tmp_path / "storage")
        if not self.shared_by_processes:
            assert not other.exists("a")
            return
        assert other.read("a") == b"1"
        other.commit([Write("a", b"2"), Write("b", b"3")])
        assert storage.read_many(["a", "b"]) == [b"2", b"3"]

    def test_a_process_that_is_killed_loses_nothing(self, storage: Storage, tmp_path: Path) -> None:
        """What it reported as done is done; what it was doing is done wholly or not at all."""
        killed_writer.begin(storage)
        if not self.shared_by_processes:
            return
        chance = random.Random(os.urandom(8))
        last = 0
        for _ in range(_KILLS):
            told = max(last, self._killed_after(chance.uniform(0.0, 0.15), tmp_path / "storage"))
            state = killed_writer.state(self.make(tmp_path / "storage"))
            assert isinstance(state[0], bytes)
            last = int(state[0])
            assert last in (told, told + 1)
            assert state == killed_writer.expected(last)
        storage.commit([Write("after", b"x")])
        assert storage.read("after") == b"x"

    def _killed_after(self, seconds: float, folder: Path) -> int:
        """Let a process write for some time after its first commit; return the last it told of."""
        command = [sys.executable, "-m", killed_writer.__name__, getfile(type(self))]
        paths = os.pathsep.join(filter(None, sys.path))
        process = subprocess.Popen(
            [*command, type(self).__name__, str(folder)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": paths},
        )
        assert process.stdout is not None
        try:
            first = process.stdout.readline()
            assert first, "the process that writes ended by itself"
            time.sleep(seconds)
        finally:
            process.kill()
            rest = process.stdout.read().split(b"\n")
            process.wait(_LIMIT_S)
            process.stdout.close()
        # The last piece may be half a number.
        return int([first, *rest[:-1]][-1])
