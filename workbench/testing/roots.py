"""What storages side by side do: the contract of `Roots`, as tests.

Subclass `RootsContract` in a test file of yours, as `StorageContract`::

    class TestBucketRoots(RootsContract):
        shared_by_processes = True

        def make(self, folder):
            return BucketRoots(...)
"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from workbench.errors import AlreadyExistsError, NotFoundError
from workbench.persistence.opening import stores_over
from workbench.persistence.storage import Append, Remove, Roots, Write
from workbench.persistence.storage.memory import MemoryStorage
from workbench.persistence.stores.bundle import Stores
from workbench.persistence.stores.catalogue import StoredCatalogue
from workbench.persistence.stores.models import ModelStore
from workbench.testing.contract import LIMIT_S, Contract, contents

_NAMES = ("a", "a.b", "with space & 'quotes'", "Käfer 甲虫", "%41", "a-b_c", "x" * 100)


class RootsContract(Contract, is_part=True):
    """The tests; see the module for how they are used.

    Attributes
    ----------
    shared_by_processes : bool
        Whether another one that `make` returns for the same folder has the same storages.
    """

    def make(self, folder: Path) -> Roots:
        """Return roots for an existing folder of the test, without any when it is the first.

        Called again with the same folder, it returns others over the same storages, if
        `shared_by_processes`.
        """
        raise NotImplementedError

    @pytest.fixture
    def roots(self, tmp_path: Path) -> Roots:
        """Return roots with nothing in them."""
        folder = tmp_path / "roots"
        folder.mkdir()
        return self.make(folder)

    def test_nothing_lies_there(self, roots: Roots) -> None:
        """A storage can be had of any name; as long as nothing is in it, it is none of them."""
        assert list(roots.names()) == []
        storage = roots.at("a")
        assert contents(storage) == {}
        assert storage.head("data.yaml") is None
        assert list(roots.names()) == []
        assert roots.where

    @pytest.mark.parametrize("name", _NAMES)
    def test_any_name_is_taken(self, roots: Roots, name: str) -> None:
        """Names of files, with all that these may have in them."""
        roots.at(name).commit([Write("images/train/a.jpg", b"1")])
        assert list(roots.names()) == [name]
        assert contents(roots.at(name)) == {"images/train/a.jpg": b"1"}

    def test_each_has_keys_of_its_own(self, roots: Roots) -> None:
        """Also where one name is the beginning of another, and what is known of all of them."""
        for name in ("a", "ab", "a-b"):
            roots.at(name).commit([Write("key", name.encode()), Write(".workbench/x", b"hidden")])
        roots.shared.commit([Write("key", b"shared")])
        assert sorted(roots.names()) == ["a", "a-b", "ab"]
        for name in ("a", "ab", "a-b"):
            assert contents(roots.at(name)) == {"key": name.encode()}
        assert contents(roots.shared) == {"key": b"shared"}

    def test_one_whose_values_are_all_hidden_is_there(self, roots: Roots) -> None:
        """It may be a dataset whose copy has just begun."""
        roots.at("a").commit([Write(".workbench/dataset.json", b"{}")])
        assert list(roots.names()) == ["a"]

    def test_the_same_name_is_the_same_storage(self, roots: Roots) -> None:
        """What one writes, the other reads, and a lease of one keeps the other out."""
        one, other = roots.at("a"), roots.at("a")
        one.commit([Append("log", b"1")])
        other.commit([Append("log", b"2")])
        assert one.read("log") == other.read("log") == b"12"
        order: list[str] = []

        def write() -> None:
            other.commit([Append("log", b"4")])
            order.append("other")

        thread = threading.Thread(target=write, daemon=True)
        with one.lease() as writer:
            thread.start()
            thread.join(0.1)
            writer.commit([Append("log", b"3")])
            order.append("one")
        thread.join(LIMIT_S)
        assert order == ["one", "other"]
        assert one.read("log") == b"1234"

    def test_who_writes_in_one_keeps_nobody_from_another(self, roots: Roots) -> None:
        """Nor from what is known of all of them."""
        with roots.at("a").lease() as writer:
            roots.at("b").commit([Write("x", b"b")])
            roots.shared.commit([Write("x", b"shared")])
            writer.commit([Write("x", b"a")])
        assert sorted(roots.names()) == ["a", "b"]

    def test_what_is_removed_is_gone(self, roots: Roots) -> None:
        """Wholly, also what is hidden; its name can be used again."""
        for name in ("a", "b"):
            values = [Write(f"images/{number}", b"x") for number in range(20)]
            roots.at(name).commit([*values, Write(".workbench/history/1", b"y")])
        roots.remove("a")
        assert list(roots.names()) == ["b"]
        again = roots.at("a")
        assert contents(again) == {}
        assert again.list(".workbench/history").names == []
        assert len(contents(roots.at("b"))) == 20
        again.commit([Write("new", b"z")])
        assert contents(roots.at("a")) == {"new": b"z"}
        assert sorted(roots.names()) == ["a", "b"]

    def test_what_is_not_there_can_be_removed(self, roots: Roots) -> None:
        """Another may have done it before."""
        roots.remove("a")
        roots.at("b").commit([Write("x", b"")])
        roots.at("b").commit([Remove("x")])
        roots.remove("b")
        assert list(roots.names()) == []

    def test_others_over_the_same_place(self, roots: Roots, tmp_path: Path) -> None:
        """They see the same storages where processes share them, and else none."""
        roots.at("a").commit([Write("x", b"1")])
        roots.shared.commit([Write("y", b"2")])
        others = self.make(tmp_path / "roots")
        if not self.shared_by_processes:
            assert list(others.names()) == []
            return
        assert list(others.names()) == ["a"]
        assert others.at("a").read("x") == b"1"
        assert others.shared.read("y") == b"2"
        others.at("b").commit([Write("x", b"3")])
        assert sorted(roots.names()) == ["a", "b"]
        others.remove("a")
        assert list(roots.names()) == ["b"]
        assert contents(roots.at("a")) == {}

    def test_datasets_live_in_it(self, roots: Roots) -> None:
        """From their making to their end, by the stores that all backends have."""
        asyncio.run(self._live(stores_over(StoredCatalogue(roots), ModelStore(MemoryStorage()))))
        assert list(roots.names()) == []

    @staticmethod
    async def _live(stores: Stores) -> None:
        datasets = stores.dataset
        await datasets.create("cups", ["cup"])
        with pytest.raises(AlreadyExistsError):
            await datasets.create("cups", ["cup"])
        await datasets.rename("cups", "mugs")
        assert [info.name for info in await datasets.list()] == ["mugs"]
        assert (await datasets.get("mugs")).classes == ["cup"]
        entry = await datasets.delete("mugs")
        with pytest.raises(NotFoundError):
            await datasets.get("mugs")
        await datasets.create("mugs", ["plate"])
        await datasets.restore(entry.id, name="cups")
        assert (await datasets.get("cups")).classes == ["cup"]
        for name in ("cups", "mugs"):
            await datasets.delete(name)
        assert await datasets.purge() == 2
        assert await datasets.list() == []
