"""The camera of the machine that the browser runs on, as a feed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import count

from workbench.capture.push_feed import PushFeed
from workbench.errors import InvalidFrameError

WINDOW = 30
"""Frames on their way: a second of a camera, some megabytes. So long a disk that synchronises,
or a kernel that cleans up its memory, may hold up the round trip without costing a frame."""

_DRIFT = 2.0
"""Seconds by which the clocks of page and kernel may come apart before they are set anew."""

Acknowledge = Callable[[str, int], None]
"""Tells a page, by its session, that the kernel is done with one of its frames."""


class BrowserFeed(PushFeed):
    """Frames that a page sends; one page at a time.

    Every frame that the page sends is acknowledged once, also one that is refused: the page
    sends no more than `window` ahead, and would wait for ever for an answer that got lost.

    Parameters
    ----------
    acknowledge : callable
        Called in any thread.
    window : int
        Frames that may be on their way.
    """

    def __init__(self, acknowledge: Acknowledge, *, window: int = WINDOW) -> None:
        super().__init__(window=window, acknowledge=self._answer)
        self._tell = acknowledge
        self._lock = threading.Lock()
        self._numbers = count()
        self._senders: dict[int, tuple[str, int]] = {}
        self._offset = 0.0
        self._seen = -1
        self.session = ""

    def own(self, session: str, name: str = "") -> str:
        """Take frames of this page from now on; return the page that had its turn before."""
        with self._lock:
            before, self.session = self.session, session
            self._seen = -1
            self._offset = 0.0
        if name:
            self.name = name
        self.stop()
        self.start()
        return "" if before == session else before

    def take(self, session: str, sequence: int, page_time: float, content: bytes) -> bool:
        """Take a frame of a page; return whether it was accepted.

        Parameters
        ----------
        session : str
        sequence : int
            The page's own number for it.
        page_time : float
            When it was taken by the page's clock, in seconds. What counts is the distance to
            other frames: the page's clock may be wrong, so the kernel's tells the hour.
        content : bytes
            A JPEG file.

        Raises
        ------
        InvalidFrameError
            If `content` is no JPEG file.
        """
        with self._lock:
            # Messages of one page may be handled by several threads and overtake each other.
            if session != self.session or sequence <= self._seen:
                self._tell(session, sequence)
                return False
            self._seen = sequence
            number = next(self._numbers)
            self._senders[number] = (session, sequence)
            try:
                accepted = self.push(content, time=self._kernel_time(page_time), sequence=number)
            except InvalidFrameError:
                self._answer(number)
                raise
            if not accepted:
                self._answer(number)
        return accepted

    def _answer(self, number: int) -> None:
        sender = self._senders.pop(number, None)
        if sender is not None:
            self._tell(*sender)

    def _kernel_time(self, page_time: float) -> float:
        now = time.time()
        if abs(page_time + self._offset - now) > _DRIFT:
            self._offset = now - page_time
        return page_time + self._offset
