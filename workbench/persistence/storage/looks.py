"""One look at many things: a backend that is far away is asked once for each of them.

Each call of a store reads as of one moment, and a backend that is far has to ask for that moment
before and after. Whoever calls several stores to show one page wants one moment for all of them:

1. `one_look` opens a look, which the calls within find by their context, in whatever thread.
2. A backend keeps there as of which moment it reads, and what it has found.
3. At the end each says whether its moment is over. Those forget what they have found, and all is
   done once more; what the others have found is still at hand.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar, cast

from workbench.errors import WorkbenchError

_TRIES = 2

T = TypeVar("T")
S = TypeVar("S")


class Look:
    """What backends know within one look."""

    def __init__(self) -> None:
        self._found: dict[object, tuple[Any, Callable[[], bool]]] = {}
        self._beginning: dict[object, threading.Lock] = {}
        self._guard = threading.Lock()

    def known(self, backend: object, begin: Callable[[], tuple[T, Callable[[], bool]]]) -> T:
        """Return what a backend knows.

        Parameters
        ----------
        backend : object
        begin : callable
            Called at its first time; returns what it knows, and what says at the end whether that
            still holds.
        """
        with self._guard:
            one_at_a_time = self._beginning.setdefault(backend, threading.Lock())
        with one_at_a_time:
            if backend not in self._found:
                self._found[backend] = begin()
            return cast(T, self._found[backend][0])

    async def drop_old(self) -> bool:
        """Forget what does not hold any more; return whether there was any."""
        backends = list(self._found)
        holds = await asyncio.gather(
            *(asyncio.to_thread(self._found[backend][1]) for backend in backends)
        )
        for backend, still in zip(backends, holds, strict=True):
            if not still:
                del self._found[backend]
        return not all(holds)


_LOOK: ContextVar[Look | None] = ContextVar("look", default=None)


def current_look() -> Look | None:
    """Return the look that this is part of, if any."""
    return _LOOK.get()


async def together(works: Iterable[Awaitable[T]]) -> list[T]:
    """Return the results of several works that are done at once; none goes on after this.

    Of several that raise, the first in their order is raised.
    """
    found = await asyncio.gather(*works, return_exceptions=True)
    for result in found:
        if isinstance(result, BaseException):
            raise result
    return cast(list[T], found)


async def both(one: Awaitable[T], other: Awaitable[S]) -> tuple[T, S]:
    """Return the results of two works that are done at once, as `together` does.

    Neither may be a ``both(…)`` itself: cancelled before it begins, it would leave its own two
    works unawaited, of which Python warns.
    """
    works: list[Awaitable[Any]] = [one, other]
    first, second = await together(works)
    return first, second


def side_by_side(one: Callable[[], T], other: Callable[[], S]) -> tuple[T, S]:
    """Return the results of two calls, the second of which another thread makes meanwhile."""
    with ThreadPoolExecutor(1, "beside") as pool:
        second = pool.submit(copy_context().run, other)
        first = one()
        return first, second.result()


async def one_look(work: Callable[[], Awaitable[T]]) -> T:
    """Return ``await work()``, which only reads from stores, as of one moment of each.

    `work` is called once more if somebody has changed something meanwhile, and then without a
    common moment if that happens again. It must not leave tasks of its own behind.
    """
    if current_look() is not None:
        return await work()
    look = Look()
    for _ in range(_TRIES):
        failed: WorkbenchError | None = None
        token = _LOOK.set(look)
        try:
            result = await work()
        except WorkbenchError as error:
            failed = error
        finally:
            _LOOK.reset(token)
        if not await look.drop_old():
            if failed is not None:
                raise failed
            return result
    return await work()
