"""The part of the storage contract that says how keys are looked at and read."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from workbench.errors import InvalidDatasetError, NotFoundError
from workbench.persistence.storage import Append, Copy, Move, Remove, Storage, Write
from workbench.testing.contract import Contract, contents, sorted_rows

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


class Reading(Contract, is_part=True):
    """The tests; see `StorageContract`."""

    @pytest.fixture
    def storage(self, tmp_path: Path) -> Storage:
        """Return an empty storage."""
        folder = tmp_path / "storage"
        folder.mkdir()
        made: Storage = self.make(folder)
        return made

    def test_nothing_is_there(self, storage: Storage) -> None:
        """Reading an empty storage finds nothing, and says so in each form."""
        assert storage.read_many(["a", "b/c"]) == [None, None]
        assert storage.head("a") is None
        assert not storage.exists("a")
        with pytest.raises(NotFoundError, match="a/b"):
            storage.read("a/b")
        with pytest.raises(NotFoundError, match="a/b"), storage.open_read("a/b"):
            pass
        with pytest.raises(NotFoundError, match="a/b"):
            storage.consistently(lambda: storage.read("a/b"))
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
        assert sorted_rows(storage.list(folder)) == [(name, 256)]

    @pytest.mark.parametrize("size", [0, 1, 65_536, 3_000_001])
    def test_values_of_all_sizes(self, storage: Storage, size: int) -> None:
        """Empty values can be kept, and values that do not fit into a buffer."""
        data = os.urandom(size)
        storage.commit([Write("a/x", data)])
        assert storage.read("a/x") == data
        with storage.open_read("a/x") as file:
            assert file.read() == data
        assert sorted_rows(storage.list("a")) == [("x", size)]

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
        assert (sorted_rows(root), sorted(root.folders)) == ([("top", 1)], ["a", "ab"])
        assert (sorted_rows(inner), inner.folders) == ([("x", 2), ("y", 3)], ["b"])
        assert sorted_rows(storage.list(".workbench")) == [("tags.json", 1)]
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
