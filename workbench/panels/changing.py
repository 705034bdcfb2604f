"""What models of panels share that change a dataset: progress, messages and a way back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import traitlets

from workbench.datasets.changes import Change
from workbench.panels.browse_work import Status, StoppedError, Work
from workbench.persistence.models import Progress

MAX_UNDO = 100


class BusyError(RuntimeError):
    """Something else is under way, and only one thing is done at a time."""


class ChangingModel(traitlets.HasTraits):
    """Does one thing at a time, tells how far it is, and remembers how to take it back.

    Notes
    -----
    Used on one event loop.
    """

    status = traitlets.Instance(Status, args=(), help="the last thing that happened")
    work = traitlets.Instance(Work, args=(), help="what is under way")
    undo_text = traitlets.Unicode("", help="what undo would take back")

    def __init__(self) -> None:
        super().__init__()
        self._changes: list[Change] = []
        self._is_stopped = False
        self._lock = asyncio.Lock()  # used on the owner loop only

    @property
    def undo_texts(self) -> list[str]:
        """What can be taken back, the last change first."""
        return [change.description for change in reversed(self._changes)]

    def stop(self) -> None:
        """Stop what is under way, as soon as it asks; nothing half-done is left."""
        self._is_stopped = True

    @asynccontextmanager
    async def _doing(self, what: str, *, wait: bool = False) -> AsyncIterator[Progress]:
        """Do one thing, with its progress shown.

        Parameters
        ----------
        what : str
            In words.
        wait : bool
            Do it after what is under way, in place of refusing.

        Yields
        ------
        callable
            ``progress(done, total)`` for any thread; it raises `StoppedError` once stopped.

        Raises
        ------
        BusyError
            If something is under way already.
        """
        if self._lock.locked() and not wait:
            now = self.work.what or "Something else"
            raise BusyError(f"{now} is not done yet: wait for it, or press Stop.")
        async with self._lock:
            self._is_stopped = False
            with self._showing(what) as progress:
                yield progress

    @contextmanager
    def _showing(self, what: str) -> Iterator[Progress]:
        loop = asyncio.get_running_loop()

        def tell(done: int, total: int) -> None:
            if self._is_stopped:
                raise StoppedError(f"{what}: stopped.")
            step = max(1, total // 100)
            if total and (done % step == 0 or done == total):
                loop.call_soon_threadsafe(show, Work(what, done, total))

        def show(work: Work) -> None:
            if is_open:  # a message may come late
                self.work = work

        is_open = True
        self.work = Work(what)
        try:
            yield tell
        finally:
            is_open = False
            self.work = Work()

    def _note(self, change: Change) -> None:
        self._changes.append(change)
        del self._changes[:-MAX_UNDO]
        self._tell_undo()

    def _forget_changes(self) -> None:
        self._changes.clear()
        self._tell_undo()

    async def _undo_last(self) -> str:
        """Take the last change back; return what it was, empty if there is none."""
        if not self._changes:
            return ""
        # Off the list whether it succeeds or not: one that is refused now stays refused.
        change = self._changes.pop()
        self._tell_undo()
        await change.undo()
        return change.description

    def _tell_undo(self) -> None:
        self.undo_text = self._changes[-1].description if self._changes else ""


def sentence(text: str) -> str:
    """Return a phrase as a sentence."""
    return text[:1].upper() + text[1:] + "."
