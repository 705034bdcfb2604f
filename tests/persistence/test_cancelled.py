"""Every operation that changes something, cancelled while a thread is at work for it.

When the wait for it is over, it has happened and gave its result, or it has not and never will.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Self

import pytest

from tests.helpers.operations import BOX, DATASET, IMAGE, KEY, LABEL
from tests.helpers.planted import Planted, state
from workbench.datasets.formats.exporting import plan_export
from workbench.persistence import DatasetStore, ModelStore, Stores
from workbench.persistence.copying import copy_dataset
from workbench.persistence.inspection import LabelRepair
from workbench.persistence.stores.images import ImageStore
from workbench.persistence.stores.labels import LabelStore

Change = Callable[[Stores, Path], Awaitable[Callable[[], Awaitable[object]]]]
"""Prepares a dataset, and returns what then changes it."""

READS = {
    "dataset": {"get", "exists", "list", "names", "stamp", "stamp_of_all", "get_prompts",
                "get_tags", "load_cache", "load_imports", "frozen", "list_versions",
                "compare_versions", "list_trash"},
    "image": {"sources", "load", "read_bytes", "read_many", "measure_many", "get", "exists", "list",
              "keys", "scan", "suggestions", "list_trash", "read_deleted"},
    "label": {"load", "get", "load_all", "load_many", "inspect", "exists", "history"},
    "model": {"get", "exists", "list", "stamp", "load", "get_active", "list_trash"},
}  # fmt: skip
# Their answers come from a thread of their own, see `tests.persistence.test_label_saves`.
OTHERWISE = {"label": {"save"}}
OF_THE_WORK = {"lock", "staging", "tmp", "generation", "dataset.json"}
STORES = {"dataset": DatasetStore, "image": ImageStore, "label": LabelStore, "model": ModelStore}


async def _trashed(stores: Stores, _: Path) -> Callable[[], Awaitable[object]]:
    return partial(stores.dataset.restore, (await stores.dataset.delete("sound")).id)


async def _rewritten(stores: Stores, _: Path) -> Callable[[], Awaitable[object]]:
    done = await stores.dataset.rewrite_classes("pets", ["dog", "cat"], {0: 1, 1: 0})
    return partial(stores.dataset.undo_rewrite, "pets", done.id)


async def _merged(stores: Stores, folder: Path) -> Callable[[], Awaitable[object]]:
    way: Any = await DATASET["merge"](stores, folder, "pets")
    return partial(stores.dataset.take_back, "pets", way, ("key", b"{}"))


def _of_version(name: str) -> Change:
    async def prepare(stores: Stores, _: Path) -> Callable[[], Awaitable[object]]:
        await stores.dataset.freeze("pets", "v")
        await stores.image.delete("pets", *KEY)
        if name == "keep_version":
            automatic = await stores.dataset.restore_version("pets", "v")
            return partial(stores.dataset.keep_version, "pets", automatic.name)
        return partial(getattr(stores.dataset, name), "pets", "v")

    return prepare


async def _zipped(stores: Stores, folder: Path) -> Callable[[], Awaitable[object]]:
    path = await stores.dataset.export_zip("pets", folder)
    return partial(stores.dataset.import_zip, path, "unzipped")


async def _cached(stores: Stores, _: Path) -> Callable[[], Awaitable[object]]:
    await stores.dataset.save_cache("pets", "key", b"x")
    return partial(stores.dataset.drop_caches, "pets", ["key"])


def _of_trashed(store: str, name: str, *, many: bool = False) -> Change:
    async def prepare(stores: Stores, _: Path) -> Callable[[], Awaitable[object]]:
        one = getattr(stores, store)
        if store == "model":
            return partial(getattr(one, name), (await one.delete("good")).id)
        entry = await one.delete("pets", *KEY)
        return partial(getattr(one, name), "pets", [entry.id] if many else entry.id)

    return prepare


async def _discarded(stores: Stores, _: Path) -> Callable[[], Awaitable[object]]:
    entry = await stores.image.delete("pets", *KEY)
    await stores.image.restore("pets", entry.id)
    return partial(stores.image.discard_many, "pets", [entry])


async def _suggested(stores: Stores, folder: Path) -> Callable[[], Awaitable[object]]:
    await IMAGE["add_suggestions"](stores, folder, "pets")
    [source] = (await stores.image.suggestions("pets")).sources
    return partial(stores.image.drop_suggestions, "pets", source.id)


async def _replaced(stores: Stores, folder: Path) -> Callable[[], Awaitable[object]]:
    await IMAGE["replace_many"](stores, folder, "pets")
    [entry] = await stores.image.list_trash("pets")
    return partial(stores.image.undo_replace, "pets", [entry.id])


def _of_edit(name: str, *, many: bool = False) -> Change:
    async def prepare(stores: Stores, _: Path) -> Callable[[], Awaitable[object]]:
        await stores.label.save("pets", *KEY, [BOX] * 3)
        edit = (await stores.label.history("pets"))[-1].id
        return partial(getattr(stores.label, name), "pets", [edit] if many else edit)

    return prepare


async def _deleted(stores: Stores, _: Path) -> Callable[[], Awaitable[object]]:
    return partial(stores.image.delete_many, "pets", [KEY])


async def _moved(stores: Stores, _: Path) -> Callable[[], Awaitable[object]]:
    return partial(stores.image.move, "pets", KEY[1], KEY[0], "test")


async def _drawn(stores: Stores, _: Path) -> Callable[[], Awaitable[object]]:
    return partial(stores.label.save_many, "pets", {KEY: [BOX] * 3})


async def _odd_rows(stores: Stores, folder: Path) -> Callable[[], Awaitable[object]]:
    path = folder / "data" / "pets" / "labels" / "train" / "a.txt"
    path.write_text("0 0.5 0.5 0.2 0.2\n0 0.5 0.5 0.2 0.2\n")
    found = await stores.label.get("pets", *KEY)
    repair = LabelRepair(found.revision, {1: None})
    return partial(stores.label.repair_many, "pets", {KEY: repair})


def _of_model(name: str, *values: object) -> Change:
    async def prepare(stores: Stores, _: Path) -> Callable[[], Awaitable[object]]:
        return partial(getattr(stores.model, name), *values)

    return prepare


async def _saved_model(stores: Stores, folder: Path) -> Callable[[], Awaitable[object]]:
    weights = folder / "models" / "good" / "weights.pt"
    return partial(stores.model.save, "new", weights, base_model="yolo11n", dataset_name="pets")


async def _orphaned(stores: Stores, folder: Path) -> Callable[[], Awaitable[object]]:
    (folder / "data" / "pets" / "labels" / "train" / "orphan.txt").write_text("")
    return partial(stores.label.delete_orphans, "pets", [("train", "orphan.txt")])


async def _purged(stores: Stores, _: Path) -> Callable[[], Awaitable[object]]:
    await stores.dataset.delete("sound")
    return stores.dataset.purge


PREPARED: dict[str, dict[str, Change]] = {
    "dataset": {
        "restore": _trashed,
        "purge": _purged,
        "undo_rewrite": _rewritten,
        "take_back": _merged,
        "import_zip": _zipped,
        "drop_caches": _cached,
        **{n: _of_version(n) for n in ("restore_version", "keep_version", "delete_version")},
    },
    "image": {
        "restore": _of_trashed("image", "restore"),
        "restore_many": _of_trashed("image", "restore_many", many=True),
        "purge": _of_trashed("image", "purge"),
        "discard_many": _discarded,
        "drop_suggestions": _suggested,
        "undo_replace": _replaced,
        "delete_many": _deleted,
        "move": _moved,
    },
    "label": {
        "restore": _of_trashed("label", "restore"),
        "revert": _of_edit("revert"),
        "revert_many": _of_edit("revert_many", many=True),
        "save_many": _drawn,
        "repair_many": _odd_rows,
        "delete_orphans": _orphaned,
    },
    "model": {
        "save": _saved_model,
        "set_active": _of_model("set_active", "good"),
        "rename": _of_model("rename", "good", "better"),
        "update_details": _of_model("update_details", "good", {"a": 1}),
        "delete": _of_model("delete", "good"),
        "restore": _of_trashed("model", "restore"),
        "purge": _of_trashed("model", "purge"),
    },
}


def _plain(step: Callable[[Stores, Path, str], Awaitable[object]]) -> Change:
    async def prepare(stores: Stores, folder: Path) -> Callable[[], Awaitable[object]]:
        return partial(step, stores, folder, "pets")

    return prepare


async def _copied(_: Stores, folder: Path) -> Callable[[], Awaitable[object]]:
    return partial(copy_dataset, folder / "data" / "pets", folder / "data" / "copied")


async def _exported(stores: Stores, folder: Path) -> Callable[[], Awaitable[object]]:
    plan = await plan_export(stores, "pets", format="coco")
    return partial(plan.write, folder / "out")


PLAIN = {"dataset": DATASET, "image": IMAGE, "label": LABEL, "model": {}}
CHANGES: dict[str, Change] = {
    f"{store}.{name}": change
    for store in STORES
    for name, change in ({n: _plain(s) for n, s in PLAIN[store].items()} | PREPARED[store]).items()
    if name not in READS[store] | OTHERWISE.get(store, set())
} | {"copy_dataset": _copied, "export": _exported}


def test_every_change_is_in_the_table() -> None:
    for name, store in STORES.items():
        methods = inspect.getmembers(store, inspect.iscoroutinefunction)
        changes = {method for method, _ in methods if not method.startswith("_")} - READS[name]
        listed = {change.partition(".")[2] for change in CHANGES if change.startswith(f"{name}.")}
        assert listed | OTHERWISE.get(name, set()) == changes


class Gate:
    """Holds the threads that work for the event loop until it is opened."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._at_work = 0
        self._real = asyncio.to_thread
        self.reached = asyncio.Event()

    async def to_thread(self, work: Callable[..., object], *values: Any, **named: Any) -> object:
        """Do what `asyncio.to_thread` does, once the gate is open."""
        loop = asyncio.get_running_loop()

        def later() -> object:
            try:
                loop.call_soon_threadsafe(self.reached.set)
                assert self._open.wait(20)
                return work(*values, **named)
            finally:
                loop.call_soon_threadsafe(self._ended)

        self._at_work += 1
        return await self._real(later)

    def _ended(self) -> None:
        self._at_work -= 1

    def open(self) -> None:
        self._open.set()

    async def all_have_ended(self) -> None:
        while self._at_work:
            await asyncio.sleep(0.001)

    @classmethod
    def put_up(cls, monkeypatch: pytest.MonkeyPatch) -> Self:
        gate = cls()
        monkeypatch.setattr(asyncio, "to_thread", gate.to_thread)
        return gate


def _files(folder: Path) -> dict[str, bytes]:
    """Return what there is, without what is there for the sake of the work itself."""
    return {
        name: content
        for name, content in state(folder)
        if Path(folder, name).is_file() and not OF_THE_WORK.intersection(Path(name).parts)
    }


@pytest.mark.parametrize("name", CHANGES)
async def test_what_is_cancelled_goes_on_behind_nobodys_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    planted = Planted(tmp_path)
    change = await CHANGES[name](planted.stores(), tmp_path)
    before = _files(tmp_path)
    gate = Gate.put_up(monkeypatch)
    task = asyncio.ensure_future(change())
    await asyncio.wait_for(gate.reached.wait(), 20)
    task.cancel()
    for _ in range(3):
        await asyncio.sleep(0)
    gate.open()
    try:
        await task
        has_happened = True
    except asyncio.CancelledError:
        has_happened = False
    await gate.all_have_ended()
    assert (_files(tmp_path) != before) == has_happened
