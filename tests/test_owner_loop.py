"""Calls from other threads reach the loop that they are for, or nobody."""

from __future__ import annotations

import asyncio
import threading

import pytest

from workbench.owner_loop import OwnerLoop
from workbench.panels.shared.background import Background


async def test_a_call_of_another_thread_is_done_on_the_loop() -> None:
    owner = OwnerLoop()
    told: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
    here = threading.get_ident()

    def note(word: str) -> None:
        told.put_nowait((word, threading.get_ident()))

    assert await asyncio.to_thread(owner.call, note, "hello")
    assert await asyncio.wait_for(told.get(), 10) == ("hello", here)


def test_a_call_for_a_loop_that_is_closed_is_dropped() -> None:
    """A camera may tell its last word after the kernel's loop has gone."""

    async def make() -> OwnerLoop:
        return OwnerLoop()

    owner = asyncio.run(make())
    assert not owner.call(pytest.fail, "nobody is there to be told")


async def test_a_thread_waits_for_what_a_coroutine_returns_or_raises() -> None:
    owner = OwnerLoop()
    here = threading.get_ident()

    async def divide(number: int) -> tuple[float, int]:
        return 1 / number, threading.get_ident()

    assert await asyncio.to_thread(lambda: owner.wait_for(divide(2))) == (0.5, here)
    with pytest.raises(ZeroDivisionError):
        await asyncio.to_thread(lambda: owner.wait_for(divide(0)))


def test_other_problems_of_a_call_are_heard() -> None:
    class Broken(asyncio.SelectorEventLoop):
        def call_soon_threadsafe(self, *_: object, **__: object) -> asyncio.Handle:
            raise RuntimeError("broken")

    loop = Broken()
    try:
        with pytest.raises(RuntimeError, match="broken"):
            OwnerLoop(loop).call(print)
    finally:
        loop.close()


def test_without_a_loop_there_is_no_owner() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        OwnerLoop()


async def test_who_waits_for_work_of_a_closed_loop_is_let_go() -> None:
    gone = asyncio.new_event_loop()
    gone.close()
    background = Background(lambda error: pytest.fail(str(error)), gone)

    async def work() -> None:
        pytest.fail("nobody is there to do it")

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(background.run(work), 10)
