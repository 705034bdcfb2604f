"""The bus: what anybody changes is heard by all who listen, by one thread."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.helpers.pictures import jpeg
from workbench.errors import InvalidDatasetError
from workbench.panels.shared.background import Background
from workbench.panels.shared.bus import DATASETS, GONE, MODELS, Bus, Changed, bus_of
from workbench.panels.shared.following import Follower
from workbench.persistence import Stores, create_stores

LIMIT_S = 20


@pytest.fixture
async def stores(tmp_path: Path) -> Stores:
    made = create_stores(tmp_path / "data", tmp_path / "models")
    await made.dataset.create("pets", ["cat"])
    await made.image.save_bytes("pets", "train", "a.jpg", jpeg(1))
    return made


class Ear:
    """Keeps what was heard."""

    def __init__(self) -> None:
        self.heard: list[Changed] = []
        self._news = asyncio.Event()

    def __call__(self, changed: Changed) -> None:
        self.heard.append(changed)
        self._news.set()

    @property
    def what(self) -> set[str]:
        return {name for changed in self.heard for name in changed.what}

    async def hears(self, what: str) -> None:
        async with asyncio.timeout(LIMIT_S):
            while what not in self.what:
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def listening(bus: Bus, dataset: str) -> AsyncIterator[Ear]:
    ear = Ear()
    one = await bus.listen(dataset, ear)
    try:
        yield ear
    finally:
        one.close()


async def until_it_rests(bus: Bus) -> None:
    async with asyncio.timeout(LIMIT_S):
        while bus.is_watching:
            await asyncio.sleep(0.01)


def threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "workbench-bus"]


async def test_all_panels_of_a_kernel_share_one_bus_and_one_thread(stores: Stores) -> None:
    bus = bus_of(stores)
    assert bus_of(stores) is bus
    others = set(threads())  # of earlier tests, about to end
    async with listening(bus, "pets"), listening(bus_of(stores), "pets"), listening(bus, ""):
        assert len(set(threads()) - others) == 1
    await until_it_rests(bus)
    for one in set(threads()) - others:
        one.join(LIMIT_S)
        assert not one.is_alive()


async def test_what_this_kernel_changes_is_heard(stores: Stores) -> None:
    bus = Bus(stores)
    async with listening(bus, "pets") as ear, listening(bus, "") as other:
        await stores.image.move("pets", "a.jpg", "train", "val")
        bus.look()
        await ear.hears("images")
        await stores.dataset.update_classes("pets", ["cat", "dog"])
        bus.look()
        await ear.hears("classes")
        assert other.what == set()


async def test_what_another_process_changes_is_heard_without_being_asked(stores: Stores) -> None:
    folder = (await stores.dataset.get("pets")).path
    code = f"""
import asyncio
from workbench import create_stores
from workbench.persistence.models import Annotation
stores = create_stores({str(folder.parent)!r}, {str(folder.parent.parent / "models")!r})
asyncio.run(stores.label.save("pets", "train", "a.jpg", [Annotation(0, .5, .5, .2, .2)]))
"""
    async with listening(Bus(stores, interval_s=0.05), "pets") as ear:
        await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], check=True)
        await ear.hears("labels")
        assert ear.what == {"labels"}


async def test_what_a_program_that_knows_nothing_of_us_changes_is_heard(stores: Stores) -> None:
    folder = (await stores.dataset.get("pets")).path
    async with listening(Bus(stores, interval_s=0.05), "pets") as ear:
        (folder / "images" / "train" / "new.jpg").write_bytes(jpeg(2))
        await ear.hears("images")
        (folder / "labels" / "train" / "new.txt").write_text("0 0.5 0.5 0.2 0.2\n")
        await ear.hears("labels")


async def test_datasets_and_models_that_come_and_go_are_heard(
    stores: Stores, tmp_path: Path
) -> None:
    weights = tmp_path / "w.pt"
    weights.write_bytes(b"weights")
    async with listening(Bus(stores, interval_s=0.05), "pets") as ear:
        await stores.model.save("one", weights, "yolo11n", "pets")
        await ear.hears(MODELS)
        await stores.dataset.create("cups")
        await ear.hears(DATASETS)
        assert GONE not in ear.what
        await stores.dataset.delete("pets")
        await ear.hears(GONE)


async def test_who_pays_no_attention_is_told_later_and_nothing_is_looked_at(
    stores: Stores,
) -> None:
    bus, ear = Bus(stores, interval_s=0.05), Ear()
    one = await bus.listen("pets", ear)
    one.is_attentive = False
    await until_it_rests(bus)
    await stores.image.move("pets", "a.jpg", "train", "val")
    await stores.dataset.save_tags("pets", {"good": ["a.jpg"]})
    bus.look()
    assert not bus.is_watching
    assert ear.heard == []

    one.is_attentive = True
    await ear.hears("tags")
    assert len(ear.heard) == 1
    assert {"images", "tags"} <= ear.heard[0].what
    one.close()


def test_a_loop_that_was_closed_without_its_panels_ends_the_watch(tmp_path: Path) -> None:
    stores = create_stores(tmp_path / "data", tmp_path / "models")
    bus = Bus(stores, interval_s=0.02)

    async def forgetful() -> None:
        await bus.listen("", print)

    asyncio.run(forgetful())
    asyncio.run(until_it_rests(bus))
    assert not bus.is_watching


async def test_a_panel_catches_up_once_at_a_time_with_all_that_came_meanwhile(
    stores: Stores,
) -> None:
    calls: list[frozenset[str]] = []
    under_way = 0
    go_on, has_come = asyncio.Event(), asyncio.Event()

    async def catch_up(news: frozenset[str]) -> None:
        nonlocal under_way
        under_way += 1
        assert under_way == 1
        calls.append(news)
        has_come.set()
        await go_on.wait()
        under_way -= 1

    background = Background(lambda error: pytest.fail(str(error)))
    follower = Follower(stores, background, catch_up)
    await follower.follow("pets")
    async with listening(bus_of(stores), "pets") as ear, asyncio.timeout(LIMIT_S):
        await stores.image.move("pets", "a.jpg", "train", "val")
        bus_of(stores).look()
        await has_come.wait()
        has_come.clear()
        await stores.dataset.save_tags("pets", {"good": ["a.jpg"]})
        bus_of(stores).look()
        await ear.hears("tags")
        await stores.dataset.update_classes("pets", ["cat", "dog"])
        bus_of(stores).look()
        await ear.hears("classes")
        assert len(calls) == 1
        go_on.set()
        await has_come.wait()
    assert "images" in calls[0]
    assert {"tags", "classes"} <= calls[1]
    follower.close()
    background.close()


_ENDS_DURING_A_LOOK = """
import asyncio, sys, threading, time
from workbench.panels.shared.bus import Bus
from workbench.persistence import create_stores

stores = create_stores(sys.argv[1] + "/data", sys.argv[1] + "/models")
looks = iter([stores.dataset.stamp_of_all])

async def stamp():
    if first := next(looks, None):
        return await first()
    print("looks", flush=True)
    while True:  # until no thread takes any more work
        await asyncio.to_thread(time.sleep, 0.01)

stores.dataset.stamp_of_all = stamp
bus = Bus(stores, interval_s=0.01)

async def main():
    await bus.listen("", print)
    await asyncio.sleep(0.5)

asyncio.run(main())
threading.Thread(target=time.sleep, args=(2,)).start()  # what is written meanwhile is seen
"""


def test_a_script_that_ends_during_a_look_ends_without_a_word(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ENDS_DURING_A_LOOK, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S * 3,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "looks\n", "")


async def test_a_dataset_that_cannot_be_looked_at_is_logged_once(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks = 0

    async def stamp(_name: str) -> None:
        nonlocal looks
        looks += 1
        raise InvalidDatasetError("pets: expected a dataset that can be read")

    monkeypatch.setattr(stores.dataset, "stamp", stamp)
    async with listening(Bus(stores, interval_s=0.01), "pets"), asyncio.timeout(LIMIT_S):
        while looks < 4:
            await asyncio.sleep(0.01)
    assert [m for m in caplog.messages if "pets" in m] == [
        "it cannot be seen whether pets has changed: pets: expected a dataset that can be read"
    ]
