"""An import that is cancelled has not happened, or it has happened and returns what it made."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.formats.making import PICTURE, folder
from tests.helpers.backends import BACKENDS, make_backend
from workbench.datasets.formats import accounts
from workbench.datasets.formats.merging import plan_merge
from workbench.datasets.formats.plan import plan_import
from workbench.errors import StorageError
from workbench.persistence import Stores
from workbench.persistence.models import Annotation, ImageMove, Progress
from workbench.persistence.stopping import Stop, to_its_end
from workbench.persistence.stores import dataset_facts, merging

FILES: dict[str, Any] = {
    "data.yaml": "train: images/train\nval: images/val\nnames: [ant]\n",
    **{f"images/train/{n}.jpg": PICTURE for n in "abc"},
    **{f"labels/train/{n}.txt": "0 0.5 0.5 0.2 0.2\n" for n in "abc"},
}
Import = Callable[[Stores, Path, Progress], Coroutine[Any, Any, object]]


async def _planned(stores: Stores, source: Path, progress: Progress) -> object:
    return await (await plan_import(stores, source, "pets")).apply(progress=progress)


async def _archive(stores: Stores, source: Path, progress: Progress) -> object:
    await stores.dataset.import_folder(source, "packed")
    path = await stores.dataset.export_zip("packed", source.parent)
    return await stores.dataset.import_zip(path, "pets", progress=progress)


IMPORTS: dict[str, Import] = {
    "folder": lambda stores, source, progress: stores.dataset.import_folder(
        source, "pets", progress=progress
    ),
    "zip": _archive,
    "plan": _planned,
}


class Canceller:
    """Cancels a task in the middle of what a thread does for it, and lets that go on only then."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.calls = 0
        self.task: asyncio.Task[object] | None = None

    def __call__(self, *_: object) -> None:
        """Count a call, and cancel at the right one."""
        self.calls += 1
        if self.calls != self.at:
            return
        assert self.task is not None
        loop, done = self.task.get_loop(), threading.Event()

        def cancel() -> None:
            assert self.task is not None
            self.task.cancel()
            loop.call_soon(loop.call_soon, done.set)  # once the task has been woken

        loop.call_soon_threadsafe(cancel)
        assert done.wait(10)


@pytest.fixture(params=BACKENDS)
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Stores:
    return make_backend(request.param, tmp_path).stores


@pytest.mark.parametrize("way", IMPORTS)
async def test_one_that_is_cancelled_has_not_happened(
    stores: Stores, tmp_path: Path, way: str
) -> None:
    source = folder(tmp_path / "source", FILES)
    cancel = Canceller(at=2)
    cancel.task = asyncio.create_task(IMPORTS[way](stores, source, cancel))
    with pytest.raises(asyncio.CancelledError):
        await cancel.task
    assert cancel.calls == 2
    assert not await stores.dataset.exists("pets")
    assert await IMPORTS["folder"](stores, source, lambda *_: None)


@pytest.mark.parametrize("way", IMPORTS)
async def test_one_that_is_cancelled_too_late_returns_what_it_made(
    stores: Stores,
    tmp_path: Path,
    way: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = folder(tmp_path / "source", FILES)
    cancel = Canceller(at=1)
    complete = dataset_facts.complete

    def complete_late(building: Any, *rest: Any) -> Any:
        if cancel.task is not None:
            cancel()
        return complete(building, *rest)

    async def work() -> object:
        return await IMPORTS[way](stores, source, begun)

    def begun(*_: object) -> None:
        cancel.task = task

    monkeypatch.setattr(dataset_facts, "complete", complete_late)
    task: asyncio.Task[object] = asyncio.create_task(work())
    with caplog.at_level(logging.WARNING):
        made: Any = await task
    assert cancel.calls == 1
    assert made.name == "pets"
    assert made.num_images["train"] == 3
    assert "dataset pets: was complete when it was to be stopped, and is kept" in caplog.text


async def _cancelled_in_the_middle(change: Coroutine[Any, Any, object]) -> None:
    """Cancel a change whose thread is at work, as Ctrl-C does, and wait for its end."""
    task = asyncio.ensure_future(change)
    while not task.done() and not threading.active_count() > 1:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_change_that_is_cancelled_goes_on_behind_nobodys_back(
    stores: Stores, tmp_path: Path
) -> None:
    """When the wait is over, it has happened or it never will."""
    await stores.dataset.import_folder(folder(tmp_path / "source", FILES), "pets")
    names = [info.filename for info in await stores.image.list("pets")]
    box = [Annotation(0, 0.5, 0.5, 0.1, 0.1)]
    for change in (
        stores.image.move_many("pets", [ImageMove(n, "train", "val") for n in names]),
        stores.label.save_many("pets", {("val", n): box for n in names}),
        stores.image.delete_many("pets", [("val", n) for n in names[1:]]),
        stores.label.save("pets", "val", names[0], box * 2),
    ):
        await _cancelled_in_the_middle(change)
        before = await stores.dataset.stamp("pets")
        await asyncio.sleep(0.1)
        assert await stores.dataset.stamp("pets") == before
    assert [info.filename for info in await stores.image.list("pets")] == names[:1]
    assert await stores.label.load("pets", "val", names[0]) in (box, box * 2)


async def test_an_export_that_is_cancelled_leaves_no_archive(
    stores: Stores, tmp_path: Path
) -> None:
    await stores.dataset.import_folder(folder(tmp_path / "source", FILES), "pets")
    (tmp_path / "out").mkdir()
    cancel = Canceller(at=2)
    export = stores.dataset.export_zip("pets", tmp_path / "out", progress=cancel)
    cancel.task = asyncio.create_task(export)
    with pytest.raises(asyncio.CancelledError):
        await cancel.task
    assert [*(tmp_path / "out").iterdir()] == []


@pytest.mark.parametrize("late", [False, True])
async def test_an_import_into_a_dataset_that_is_cancelled(
    stores: Stores, tmp_path: Path, late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stores.dataset.create("pets", ["ant"])
    plan = await plan_merge(stores, folder(tmp_path / "source", FILES), "pets")
    cancel = Canceller(at=1)
    # The account is made behind all that can fail, and then put into the commit.
    place, name = (merging, "_account_written") if late else (accounts.Account, "to_bytes")
    real = getattr(place, name)

    def called(*values: Any) -> Any:
        cancel()
        return real(*values)

    monkeypatch.setattr(place, name, called)
    cancel.task = asyncio.create_task(plan.apply())
    if late:
        made: Any = await cancel.task
        assert len(made.added) == 3
    else:
        with pytest.raises(asyncio.CancelledError):
            await cancel.task
    assert cancel.calls == 1
    assert len(await stores.image.list("pets")) == (3 if late else 0)


async def test_an_import_that_cannot_be_noted_has_happened(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise StorageError("no room")

    monkeypatch.setattr(type(stores.dataset), "save_cache", full)
    plan = await plan_import(stores, folder(tmp_path / "source", FILES), "pets")
    assert (await plan.apply()).name == "pets"


async def test_what_fails_after_it_was_to_stop_says_so() -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise ValueError("for a reason")

    task = asyncio.create_task(to_its_end("it", fails(), Stop()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(ValueError, match="for a reason"):
        await task


async def test_who_is_cancelled_too_late_is_at_the_next_thing_that_it_waits_for() -> None:
    got: list[int] = []

    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    async def script() -> None:
        got.append(await to_its_end("it", work()))
        got.append(await to_its_end("it", work()))  # is complete, too: what is begun is ended
        await asyncio.sleep(3600)

    task = asyncio.create_task(script())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert got == [7, 7]
    assert task.cancelling() == 1


async def test_a_limit_of_time_that_came_too_late_ends_nothing_else() -> None:
    ended = asyncio.Event()

    async def work() -> int:
        await ended.wait()
        return 7

    asyncio.get_running_loop().call_later(0.05, ended.set)
    async with asyncio.timeout(0.01):
        assert await to_its_end("it", work()) == 7
    await asyncio.sleep(0)
    await asyncio.sleep(0)
