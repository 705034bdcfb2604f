"""Whoever is cancelled while a thread works for them: what raised has not happened.

A thread cannot be cancelled. So who waits for one goes on waiting after a cancellation (which is
what Ctrl-C is to a coroutine), the work is asked to stop, and what it says last is the answer: that
it stopped and undid what it had done; or, if it was complete by then, its result.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from workbench.persistence.archive.importer import Sink
from workbench.persistence.models import Progress

__all__ = ["Stop", "done_in_thread", "to_its_end", "watched_in_thread"]

_log = logging.getLogger(__name__)
T = TypeVar("T")


class _StoppedError(Exception):
    """The work has stopped, as it was asked to."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Asks work in a thread to stop; the work looks with `check`, up to its last change."""

    _asked: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        """Ask for it."""
        self._asked.set()

    def check(self) -> None:
        """Raise what `to_its_end` waits for, if somebody asked."""
        if self._asked.is_set():
            raise _StoppedError

    def watch(self, sink: Sink) -> Sink:
        """Return a sink that looks before each file, and before each piece of a large one."""
        return _WatchedSink(sink, self)


@dataclass(frozen=True, slots=True)
class _WatchedSink:
    sink: Sink
    stop: Stop

    def write(self, relative_path: str, data: bytes) -> None:
        """See `Sink.write`."""
        self.stop.check()
        self.sink.write(relative_path, data)

    def write_chunks(self, relative_path: str, chunks: Iterable[bytes]) -> None:
        """See `Sink.write_chunks`."""
        self.sink.write_chunks(relative_path, self._checked(chunks))

    def _checked(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.stop.check()
            yield chunk


async def to_its_end(what: str, work: Awaitable[T], stop: Stop | None = None) -> T:
    """Await work that a cancellation does not break off, but asks to stop.

    Parameters
    ----------
    what : str
        For the log.
    work : awaitable
    stop : Stop, optional
        What the work looks at; default: it is so short that it is waited for.

    Raises
    ------
    asyncio.CancelledError
        If the work has stopped: nothing of it has happened. If it was complete before it looked,
        its result is returned, and what came too late is logged; a task that goes on all the same
        (a script, whose Ctrl-C this was) is cancelled at the next thing that it waits for.
    """
    going_on = work if isinstance(work, asyncio.Future) else asyncio.ensure_future(_caught(work))
    asked = stop or Stop()
    came_too_late = False
    while not going_on.done():
        try:
            await asyncio.wait([going_on])  # which leaves it alone when it is cancelled itself
        except asyncio.CancelledError:
            asked.ask()
            came_too_late = True
    try:
        result = going_on.result()
    except _StoppedError:
        raise asyncio.CancelledError from None
    except _InterruptedError as error:
        raise error.interrupt from None
    if came_too_late:
        _log.warning("%s: was complete when it was to be stopped, and is kept", what)
        asyncio.get_running_loop().call_soon(_ask_again, asyncio.current_task())
    return result


class _InterruptedError(Exception):
    """Work was interrupted."""

    def __init__(self, interrupt: BaseException) -> None:
        super().__init__(str(interrupt))
        self.interrupt = interrupt


async def _caught(work: Awaitable[T]) -> T:
    """Return what work gives; what interrupts it is wrapped: raised by a task, it ends the loop."""
    try:
        return await work
    except (KeyboardInterrupt, SystemExit) as interrupt:
        raise _InterruptedError(interrupt) from None


async def done_in_thread(what: str, work: Callable[..., T], *values: Any) -> T:
    """Do a change in a thread, which is short enough to be waited for; see `to_its_end`.

    What only reads needs none of this: `asyncio.to_thread`, which leaves it to itself.
    """
    return await to_its_end(what, asyncio.to_thread(work, *values))


async def watched_in_thread(what: str, work: Callable[[Progress], T], progress: Progress) -> T:
    """Do a change in a thread, which can be stopped whenever it says how far it is.

    Parameters
    ----------
    what : str
        For the log.
    work : callable
        Gets the progress to report to, which raises when it is to stop. So it reports none behind
        its commit, and undoes what it has done when that raises.
    progress : callable
        Gets what the work reports.
    """
    stop = Stop()

    def report(done: int, total: int) -> None:
        stop.check()
        progress(done, total)

    return await to_its_end(what, asyncio.to_thread(work, report), stop)


def _ask_again(task: asyncio.Task[Any] | None) -> None:
    """Cancel a task that goes on although it was cancelled, unless that was taken back."""
    if task is not None and not task.done() and task.cancelling():
        task.uncancel()  # it is the same request, not a second one
        task.cancel()
