"""Work of a panel on the one event loop that owns it.

JupyterLab may deliver a widget's messages on another thread with another event loop (a
kernel *subshell*), and which one varies. Loop-bound primitives break when they are shared
between the two, and an exception in a bare task is heard of too late or never. So all work
of a panel goes through one `Background`:

1. it notes the running loop when the panel is made;
2. `spawn` may be called from any thread and starts the coroutine on that loop;
3. the task is held until it is done, so that it cannot be collected half-way;
4. an exception that nobody awaits goes to `on_error`, which the panel shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from workbench.owner_loop import OwnerLoop

T = TypeVar("T")


class Background:
    """Runs coroutines on the loop that was running when this was made.

    Parameters
    ----------
    on_error : callable
        Called on the loop with each exception of a spawned coroutine.
    loop : asyncio.AbstractEventLoop, optional
        Default: the running loop.

    Attributes
    ----------
    on_done : callable or None
        Called on the loop after each piece of work, however it ended.

    Raises
    ------
    RuntimeError
        If no loop is running and none is given.
    """

    def __init__(
        self,
        on_error: Callable[[Exception], None],
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        try:
            self._owner = OwnerLoop(loop)
        except RuntimeError:
            raise RuntimeError(
                "a panel needs a running event loop: make it in a notebook cell "
                "or inside a coroutine"
            ) from None
        self._on_error = on_error
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False
        self.on_done: Callable[[], object] | None = None

    def spawn(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Start ``work()`` on the owner loop, from any thread; its exception goes to `on_error`."""
        self._owner.call(self._start, work, None)

    def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> Awaitable[T]:
        """Start ``work()`` on the owner loop and return what to await, on any loop.

        The exception goes to whoever awaits, not to `on_error`.
        """
        result: Future[T] = Future()
        if not self._owner.call(self._start, work, result):
            result.cancel()
        return asyncio.wrap_future(result)

    def report(self, error: Exception) -> None:
        """Say something of work as its exceptions are said; on the owner loop."""
        if not self._closed:
            self._on_error(error)

    def close(self) -> None:
        """Cancel what is under way and start nothing more."""
        self._closed = True
        for task in tuple(self._tasks):
            self._owner.call(task.cancel)

    def _start(
        self, work: Callable[[], Coroutine[Any, Any, Any]], result: Future[Any] | None
    ) -> None:
        if self._closed:
            if result is not None:
                result.cancel()
            return
        task = self._owner.loop.create_task(work())
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._finish(done, result))

    def _finish(self, task: asyncio.Task[Any], result: Future[Any] | None) -> None:
        self._tasks.discard(task)
        if self.on_done is not None and not self._closed:
            self.on_done()
        if task.cancelled():
            if result is not None:
                result.cancel()
            return
        error = task.exception()
        if result is not None and not result.cancelled():
            if error is None:
                result.set_result(task.result())
            else:
                result.set_exception(error)
        elif isinstance(error, Exception):
            self._on_error(error)
