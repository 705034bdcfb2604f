"""What models of panels share that change a dataset: progress, messages and a way back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import traitlets

from workbench.datasets.changes import Change
from workbench.datasets.manager import DatasetManager
from workbench.owner_loop import OwnerLoop
from workbench.panels.shared.status import Status, StoppedError, Work

MAX_UNDO = 100
_SOON_S = 0.5
"""After so long something under way is shown though it has not told how far it is."""


class BusyError(RuntimeError):
    """Something else is under way, and only one thing is done at a time."""


class Task:
    """Something under way, as the callback that it tells its progress to; for any thread.

    Each has its own word on whether it is stopped: one that begins meanwhile takes none back.

    Parameters
    ----------
    what : str
        In words.
    changed : callable
        Called on the event loop when `work` has changed.

    Attributes
    ----------
    work : Work
        How far it is; empty until that is to be shown.
    is_stopped : bool
        Whether it shall stop as soon as it asks.
    """

    def __init__(self, what: str, changed: Callable[[], None]) -> None:
        self.what = what
        self.work = Work()
        self.is_stopped = False
        self._changed = changed
        self._owner = OwnerLoop()

    def __call__(self, done: int, total: int) -> None:
        """Tell how far it is, as `Progress`.

        Raises
        ------
        StoppedError
            If it shall stop.
        """
        if self.is_stopped:
            raise StoppedError(f"{self.what}: stopped.")
        step = max(1, total // 100)
        if total and (done % step == 0 or done == total):
            self._owner.call(self.show, Work(self.what, done, total))

    def show_begun(self) -> None:
        """Show that it is under way, unless it has told more; on the event loop."""
        if not self.work.what:
            self.show(Work(self.what))

    def show(self, work: Work) -> None:
        """Show how far it is; on the event loop."""
        self.work = work
        self._changed()


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
        self._tasks: list[Task] = []  # under way, the last begun last
        self._lock = asyncio.Lock()  # used on the owner loop only
        self._is_unasked = False  # what holds the lock
        self._is_awaited = False  # and a command comes next

    @property
    def undo_texts(self) -> list[str]:
        """What can be taken back, the last change first."""
        return [change.description for change in reversed(self._changes)]

    def stop(self) -> None:
        """Stop what is under way, as soon as it asks; nothing half-done is left."""
        for task in self._tasks:
            task.is_stopped = True

    @asynccontextmanager
    async def at_rest(self) -> AsyncIterator[None]:
        """Wait until nothing is under way, and let nothing begin meanwhile."""
        async with self._lock:
            yield

    @asynccontextmanager
    async def _doing(
        self, what: str, *, wait: bool = False, at_once: bool = True, unasked: bool = False
    ) -> AsyncIterator[Task]:
        """Do one thing, with its progress shown.

        Parameters
        ----------
        what : str
            In words.
        wait : bool
            Do it after what is under way, in place of refusing.
        at_once : bool
            See `_showing`.
        unasked : bool
            The panel does it by itself: a command that comes meanwhile is done after it.

        Yields
        ------
        Task
            ``progress(done, total)`` for any thread; it raises `StoppedError` once stopped.

        Raises
        ------
        BusyError
            If something is under way already.
        """
        if self._lock.locked() and not wait:
            if self._is_awaited or not self._is_unasked:
                raise BusyError(not_done(self.work.what or "Something else"))
            self._is_awaited = True
        async with self._lock:
            self._is_unasked, self._is_awaited = unasked, False
            try:
                with self._showing(what, at_once=at_once) as progress:
                    yield progress
            finally:
                self._is_unasked = False

    @contextmanager
    def _showing(self, what: str, *, at_once: bool = True) -> Iterator[Task]:
        """Show something under way; several may be, and the last begun is shown.

        Parameters
        ----------
        what : str
            In words.
        at_once : bool
            Also before it says how far it is; else, for what mostly takes no time, soon.
        """
        task = Task(what, self._show_work)
        self._tasks.append(task)
        if at_once:
            task.show_begun()
        soon = asyncio.get_running_loop().call_later(_SOON_S, task.show_begun)
        try:
            yield task
        finally:
            soon.cancel()
            self._tasks.remove(task)  # what it still tells comes too late
            self._show_work()

    def _show_work(self) -> None:
        told = [task.work for task in self._tasks if task.work.what]
        self.work = told[-1] if told else Work()

    def _note(self, change: Change, *, instead: Change | None = None) -> None:
        """Remember a change; one that holds an earlier one within itself takes its place."""
        if instead in self._changes:
            self._changes[self._changes.index(instead)] = change
        else:
            self._changes.append(change)
        del self._changes[:-MAX_UNDO]
        self._tell_undo()

    def _forget_change(self, change: Change) -> None:
        if change in self._changes:
            self._changes.remove(change)
            self._tell_undo()

    def _forget_changes(self) -> None:
        self._changes.clear()
        self._tell_undo()

    async def _undo_last(self) -> str:
        """Take the last change back; return what it was, empty if there is none."""
        if not self._changes:
            return ""
        # Removed from the list even if it fails: a change that is refused now stays refused.
        change = self._changes.pop()
        self._tell_undo()
        await change.undo()
        return change.description

    def _tell_undo(self) -> None:
        self.undo_text = self._changes[-1].description if self._changes else ""


async def first_dataset(datasets: DatasetManager, model: ChangingModel) -> str | None:
    """Return the name of the first dataset; if there is none, say so in the model's status."""
    found = await datasets.list()
    names = [info.name for info in found if not info.problem]
    if not names:
        problems = [f"{info.name} is damaged: {info.problem}" for info in found]
        model.status = Status("\n".join(problems) or "There is no dataset yet.", "problem")
        return None
    return names[0]


def not_done(what: str) -> str:
    """Return in words that something is under way, and what to do about it."""
    return f"{what} is not done yet: wait for it, or press Stop."


def sentence(text: str) -> str:
    """Return a phrase as a sentence."""
    return text[:1].upper() + text[1:] + "."
