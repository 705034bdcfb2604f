"""Work of a panel runs on the loop that owns it, wherever it was asked for."""

from __future__ import annotations

import asyncio
import threading

import pytest

from workbench.panels.shared.background import Background


async def test_work_asked_for_on_another_loop_runs_on_the_owner() -> None:
    owner = asyncio.get_running_loop()
    background = Background(pytest.fail)
    ran_on: list[asyncio.AbstractEventLoop] = []

    async def work() -> int:
        ran_on.append(asyncio.get_running_loop())
        return 42

    def elsewhere() -> int:
        async def ask() -> int:
            return await background.run(work)

        return asyncio.run(ask())

    assert await asyncio.to_thread(elsewhere) == 42
    assert ran_on == [owner]


async def test_an_exception_of_spawned_work_is_reported() -> None:
    errors: list[Exception] = []
    reported = asyncio.Event()

    def on_error(error: Exception) -> None:
        errors.append(error)
        reported.set()

    async def work() -> None:
        raise ValueError("broken")

    background = Background(on_error)
    await asyncio.to_thread(background.spawn, work)
    await asyncio.wait_for(reported.wait(), 5)
    assert [str(error) for error in errors] == ["broken"]


async def test_an_exception_of_awaited_work_goes_to_who_awaits() -> None:
    async def work() -> None:
        raise ValueError("broken")

    background = Background(lambda _: pytest.fail("reported twice"))
    with pytest.raises(ValueError, match="broken"):
        await background.run(work)


async def test_work_is_held_until_it_is_done() -> None:
    import gc

    background = Background(pytest.fail)
    gate, done = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await gate.wait()
        done.set()

    background.spawn(work)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()
    gate.set()
    await asyncio.wait_for(done.wait(), 5)


async def test_closing_cancels_what_is_under_way() -> None:
    background = Background(pytest.fail)
    started = asyncio.Event()

    async def work() -> None:
        started.set()
        await asyncio.Event().wait()

    result = asyncio.ensure_future(background.run(work))
    await started.wait()
    background.close()
    with pytest.raises(asyncio.CancelledError):
        await result


def test_without_a_loop_it_says_what_to_do() -> None:
    problems: list[BaseException] = []

    def make() -> None:
        try:
            Background(pytest.fail)
        except RuntimeError as error:
            problems.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    assert "notebook cell" in str(problems[0])
