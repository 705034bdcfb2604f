"""The one bridge from other threads to an event loop.

Cameras, detectors, progress of long work and, in JupyterLab, messages of pages come on
threads that are not the one whose loop an object belongs to. Whatever they have to say to
it goes through its `OwnerLoop`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


class OwnerLoop:
    """The event loop that an object belongs to.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop, optional
        Default: the one that is running.

    Raises
    ------
    RuntimeError
        If no loop is running and none is given.
    """

    __slots__ = ("loop",)

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.loop = loop or asyncio.get_running_loop()

    def call(self, work: Callable[..., object], *values: object) -> bool:
        """Have ``work(*values)`` called on the loop; from any thread.

        Returns
        -------
        bool
            False if the loop is closed: nobody is there any more who could be told, and the
            call is dropped.
        """
        try:
            self.loop.call_soon_threadsafe(work, *values)
        except RuntimeError:
            # Asking first would not do: the loop may be closed between question and call.
            if self.loop.is_closed():
                return False
            raise
        return True

    def wait_for(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine on the loop and wait for it; from any thread but the loop's own.

        Returns
        -------
        object
            What the coroutine returns; what it raises is raised here.
        """
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()
