"""Stores in memory whose storage raises at any of its operations: one of the parts of `crash.py`.

The operations are those that the killed children do. A process that dies takes its memory along,
so here the storage raises instead: where it is read, staged to, leased, and in the middle of a
commit. What raised has not happened, a second try works, and what was acknowledged is there.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from benchmarks.crash_workload import BASE_CLASSES, DATASET, Chooser, Op, World, perform
from workbench.errors import WorkbenchError
from workbench.persistence import ModelStore, Stores
from workbench.persistence.opening import stores_over
from workbench.persistence.storage import Storage, Writer
from workbench.persistence.storage.base import Change, Head, Listing, Staged
from workbench.persistence.storage.memory import MemoryRoots, MemoryStorage, MemoryWriter
from workbench.persistence.stores.catalogue import StoredCatalogue

Check = Callable[[Stores, World, str], Awaitable[None]]


class InjectedError(WorkbenchError):
    """What the storage raises."""


@dataclass
class Faults:
    """When the storage raises next, and how often it was asked since."""

    left: int | None = None
    asked: int = 0
    raised: str = ""

    def arm(self, left: int | None) -> None:
        """Raise after so many operations, once; None: never."""
        self.left, self.asked, self.raised = left, 0, ""

    def step(self, what: str) -> None:
        """Count one operation, and raise if it is the one."""
        self.asked += 1
        if self.left is None:
            return
        self.left -= 1
        if self.left < 0:
            self.left, self.raised = None, what
            raise InjectedError(f"{what}: injected")


class RaisingStorage(MemoryStorage):
    """A storage in memory that raises when its faults say so."""

    def __init__(self, where: str, faults: Faults) -> None:
        super().__init__(where)
        self.faults = faults

    def read_many(
        self, keys: Sequence[str], *, most: int = 2**40
    ) -> list[bytes | Exception | None]:
        """See `Storage.read_many`."""
        self.faults.step("read")
        return super().read_many(keys, most=most)

    def head(self, key: str) -> Head | None:
        """See `Storage.head`."""
        self.faults.step("head")
        return super().head(key)

    def list(self, folder: str = "") -> Listing:
        """See `Storage.list`."""
        self.faults.step("list")
        return super().list(folder)

    @contextmanager
    def open_read(self, key: str) -> Iterator[BinaryIO]:
        """See `Storage.open_read`."""
        self.faults.step("open")
        with super().open_read(key) as stream:
            yield stream

    @contextmanager
    def lease(self) -> Iterator[Writer]:
        """See `Storage.lease`."""
        self.faults.step("lease")
        with super().lease():
            yield RaisingWriter(self)

    def keep(self, key: str, data: bytes) -> None:
        """See `Storage.keep`."""
        self.faults.step("keep")
        super().keep(key, data)


class RaisingWriter(MemoryWriter):
    """The holder of the lease of such a storage."""

    _storage: RaisingStorage

    def stage(self, stream: BinaryIO) -> Staged:
        """See `Writer.stage`."""
        self._storage.faults.step("stage")
        return super().stage(stream)

    def commit(self, changes: Sequence[Change]) -> None:
        """See `Writer.commit`."""
        self._storage.faults.step("commit")
        super().commit(changes)

    def _make(self, change: Change, before: dict) -> None:
        super()._make(change, before)
        # Behind each change of a commit, also the last: nothing of it may stay.
        self._storage.faults.step("amid a commit")


@dataclass
class Place:
    """Storages that raise, and stores over them."""

    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        self._roots = MemoryRoots(make=self._storage)
        self._models = self._storage("models")

    def _storage(self, where: str) -> Storage:
        return RaisingStorage(where, self.faults)

    def open(self) -> Stores:
        """Open the stores as somebody does who knows nothing of the past."""
        return stores_over(StoredCatalogue(self._roots), ModelStore(self._models))


@dataclass
class Raises:
    """What the storage raised."""

    operations: int = 0
    by_operation: Counter[str] = field(default_factory=Counter)
    by_call: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        calls = ", ".join(f"{call} {count}" for call, count in sorted(self.by_call.items()))
        return (
            f"in memory: {self.by_call.total()} raises in {self.operations} operations of "
            f"{len(self.by_operation)} kinds ({calls})"
        )


async def raise_often(folder: Path, seed: int, times: int, check: Check) -> Raises:
    """Do operations until the storage has raised so often; have each of them checked.

    Parameters
    ----------
    folder : Path
        Has ``pictures``, and ``exports`` for archives.
    seed, times : int
    check : callable
        Compares stores with a world, and raises where they differ.
    """
    place, world, seen = Place(), World(), Raises()
    chance, chooser = random.Random(seed), Chooser(seed, "a", classes=True, alone=True)
    paths = sorted((folder / "pictures").iterdir())
    pictures = [path.read_bytes() for path in paths]
    asked: defaultdict[str, int] = defaultdict(int)
    await place.open().dataset.create(DATASET, BASE_CLASSES)
    while seen.by_call.total() < times:
        op, stores = chooser.next(world), place.open()
        kind = op["kind"]
        # Never the first of its kind, which shows how often the storage is asked.
        place.faults.arm(chance.randrange(asked[kind]) if asked[kind] else None)
        try:
            entry = await _perform(stores, op, pictures, folder)
        except InjectedError:
            what = place.faults.raised
            seen.by_call[what] += 1
            seen.by_operation[kind] += 1
            place.faults.arm(None)
            await _both(check, (stores, place.open()), world, f"{op}: raised at {what}")
            entry = await _perform(stores, op, pictures, folder)
        asked[kind] = max(asked[kind], place.faults.asked)
        place.faults.arm(None)
        world = world.applied(op, entry)
        seen.operations += 1
        await _both(check, (stores, place.open()), world, f"{op}: done")
    return seen


async def _perform(stores: Stores, op: Op, pictures: list[bytes], folder: Path) -> str | None:
    """Do as the killed children do, but for a deleted model: these purge it, which is another."""
    if op["kind"] == "delete_model":
        await stores.model.delete(op["name"])
        return None
    return await perform(stores, op, pictures, folder / "exports")


async def _both(check: Check, some: Sequence[Stores], world: World, what: str) -> None:
    # Those who did it know it from their caches; the others read it.
    for stores in some:
        await check(stores, world, what)
