"""Stores are used from several threads and event loops at once, as Jupyter's subshells do."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from tests.helpers.pictures import jpeg
from workbench.errors import ConflictError
from workbench.persistence import Stores
from workbench.persistence.models import Annotation

THREADS = 8
EACH = 6


def _box(thread: int, i: int) -> Annotation:
    return Annotation(i % 3, 0.5, 0.5, (thread + 1) / 16, (i + 1) / 16)


def _in_threads(work: object) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        for future in [pool.submit(lambda t=t: asyncio.run(work(t))) for t in range(THREADS)]:
            future.result()


async def _fill(stores: Stores, thread: int) -> None:
    for i in range(EACH):
        name = f"{thread}-{i}.jpg"
        await stores.image.save_bytes("pets", "train", name, jpeg(i))
        await stores.label.save("pets", "train", name, [_box(thread, i)])
        assert await stores.label.load("pets", "train", name) == [_box(thread, i)]
        if i % 2:
            await stores.image.move("pets", name, "train", "val")
        if i % 3 == 2:
            await stores.image.delete("pets", "val" if i % 2 else "train", name)
        # Reading all while others write sees whole images and whole labels only.
        table = await stores.label.load_all("pets")
        assert table.problems == []


async def test_eight_event_loops_lose_nothing(stores: Stores, pets: str) -> None:
    await asyncio.to_thread(_in_threads, lambda thread: _fill(stores, thread))
    expected = {
        ("val" if i % 2 else "train", f"{t}-{i}.jpg"): [_box(t, i)]
        for t in range(THREADS)
        for i in range(EACH)
        if i % 3 != 2
    }
    expected["train", "a.jpg"] = []
    found = {
        (i.split, i.filename): await stores.label.load(pets, i.split, i.filename)
        for i in await stores.image.list(pets)
    }
    assert found == expected
    assert len(await stores.image.list_trash(pets)) == THREADS * (EACH // 3)


async def test_of_many_writers_with_one_revision_one_wins(stores: Stores, pets: str) -> None:
    winners: list[int] = []
    losers: list[int] = []

    async def write(thread: int) -> None:
        try:
            await stores.label.save(pets, "train", "a.jpg", [_box(thread, 0)], expected_revision="")
        except ConflictError:
            losers.append(thread)
        else:
            winners.append(thread)

    await asyncio.to_thread(_in_threads, write)
    assert (len(winners), len(losers)) == (1, THREADS - 1)
    assert await stores.label.load(pets, "train", "a.jpg") == [_box(winners[0], 0)]


async def test_classes_appended_by_many_at_once(stores: Stores, pets: str) -> None:
    async def one(thread: int) -> None:
        await stores.dataset.create(f"own-{thread}", classes=[f"c{thread}"])
        await stores.dataset.update_classes(f"own-{thread}", [f"c{thread}", "more"])
        await stores.dataset.list()

    await asyncio.to_thread(_in_threads, one)
    assert [d.classes for d in await stores.dataset.list()] == [
        *([f"c{t}", "more"] for t in range(THREADS)),
        ["cat", "dog", "bird"],
    ]


async def test_many_awaits_at_once_in_one_loop(stores: Stores, pets: str) -> None:
    names = [f"{i}.jpg" for i in range(40)]
    await asyncio.gather(*(stores.image.save_bytes(pets, "train", name, jpeg(1)) for name in names))
    await asyncio.gather(
        *(stores.label.save(pets, "train", n, [_box(0, i % 8)]) for i, n in enumerate(names))
    )
    loaded = await asyncio.gather(*(stores.label.load(pets, "train", n) for n in names))
    assert loaded == [[_box(0, i % 8)] for i in range(40)]
