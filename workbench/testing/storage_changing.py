"""The part of the storage contract that says what a commit does."""

from __future__ import annotations

import io
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidDatasetError,
    NotFoundError,
)
from workbench.persistence.storage import Append, Change, Copy, Move, Remove, Storage, Write
from workbench.testing.contract import Contract, contents

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


_MANY = 1_001
"""Values, one more than services list in one answer, or remove by one request."""


class Changing(Contract, is_part=True):
    """The tests; see `StorageContract`."""

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

    def test_a_folder_of_many_values(self, storage: Storage) -> None:
        """As many as do not fit into one page or request are made, seen, moved and removed."""
        keys = [f"a/{number}" for number in range(_MANY)]
        with pytest.raises(AlreadyExistsError):
            storage.commit([*(Write(key, b"x") for key in keys), Write("a", b"x", if_absent=True)])
        assert storage.list("a").names == []
        storage.commit([Write(key, key.encode()) for key in keys])
        assert sorted(storage.list("a").names) == sorted(key[2:] for key in keys)
        assert sorted(storage.names("a")) == sorted(key[2:] for key in keys)
        assert storage.read_many(keys) == [key.encode() for key in keys]
        storage.commit([Move("a", "b")])
        assert len(storage.list("b").names) == _MANY
        assert not storage.exists("a")
        storage.commit([Remove("b")])
        assert contents(storage) == {}

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
