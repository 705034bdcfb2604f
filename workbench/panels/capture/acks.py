"""Telling pages, in few messages, that their frames have arrived."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

PERIOD = 0.05
"""Seconds that a word may wait for others to go with it."""
MOST = 4
"""Words that go together; few beside the page's window, so that it never runs dry."""

Tell = Callable[[str, Sequence[int]], None]
"""Tells a page, by its session, that the kernel is done with these of its frames."""


class Acknowledgements:
    """Gathers acknowledgements, so that thirty frames a second are not thirty messages back.

    Each word costs the kernel, the server and the page about a millisecond, and small
    messages in a row wait for each other on their way (Nagle's algorithm). A few of them
    together open as much of the page's window. Safe to use from any thread.

    Parameters
    ----------
    tell : callable
        Called in the thread of `add` or in one of a timer.
    most : int
        Words that go together at most.
    period : float
        Seconds that a word may wait.
    """

    def __init__(self, tell: Tell, most: int = MOST, period: float = PERIOD) -> None:
        self._tell = tell
        self._most = most
        self._period = period
        self._lock = threading.Lock()
        self._due: dict[str, list[int]] = {}
        self._timer: threading.Timer | None = None

    def add(self, session: str, sequence: int) -> None:
        """Tell a page soon, or with this word all that are due if they are many."""
        with self._lock:
            due = self._due.setdefault(session, [])
            due.append(sequence)
            if len(due) < self._most:
                self._wait()
                return
            del self._due[session]
        self._tell(session, due)

    def close(self) -> None:
        """Forget what is due."""
        with self._lock:
            self._due.clear()
            if self._timer is not None:
                self._timer.cancel()

    def _wait(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(self._period, self.flush)
            self._timer.daemon = True
            self._timer.start()

    def flush(self) -> None:
        """Tell now what is due."""
        with self._lock:
            all_due, self._due = self._due, {}
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        for session, due in all_due.items():
            self._tell(session, due)
