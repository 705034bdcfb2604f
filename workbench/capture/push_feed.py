"""A feed whose frames are pushed from outside: by a browser, a socket, a test."""

from __future__ import annotations

import time as clock
from collections.abc import Callable

from workbench.capture.feed import STALL_AFTER, Feed
from workbench.capture.frames import FeedState, Frame, Image
from workbench.capture.hub import Holds, Session
from workbench.errors import InvalidFrameError

_JPEG_START = b"\xff\xd8\xff"


class PushFeed(Feed):
    """Frames that somebody else sends.

    The sender may have `window` frames on the way. Each that `push` accepts is acknowledged
    exactly once, when every recording has taken it out of its queue (at once if nothing
    records); what comes although the window is used up is refused. So a disk that is too
    slow makes the sender slower, and memory stays bounded whatever the sender does.

    Parameters
    ----------
    name : str
    window : int
        Frames that may be waiting to be acknowledged.
    acknowledge : callable, optional
        Called with the sequence number of a frame, in any thread.
    stall_after : float
        Seconds without a frame after which the state becomes stalled.
    """

    def __init__(
        self,
        *,
        name: str = "browser camera",
        window: int = 4,
        acknowledge: Callable[[int], None] | None = None,
        stall_after: float = STALL_AFTER,
        stalled_why: str = "is the page still open, and its camera on?",
    ) -> None:
        if window < 1:
            raise ValueError(f"window: expected 1 or more, found {window}")
        super().__init__(None, name=name, stall_after=stall_after, stalled_why=stalled_why)
        self.window = window
        self.refused = 0
        self._acknowledge = acknowledge
        self._session: Session | None = None
        self._last_sequence = -1
        # The hub must not refer to the feed, or the feed could not be collected.
        self._hub.holds = Holds(acknowledge or _nobody)

    @property
    def unacknowledged(self) -> int:
        """Number of frames that were accepted and not acknowledged yet."""
        return 0 if self._hub.holds is None else len(self._hub.holds)

    def start(self) -> None:
        """Accept frames from now on; the feed is live when the first has come."""
        session = self._hub.begin()
        if session is not None:
            self._session, self._last_sequence = session, -1

    def push(
        self, content: bytes | Image, *, time: float | None = None, sequence: int | None = None
    ) -> bool:
        """Take a frame from the sender.

        Parameters
        ----------
        content : bytes or ndarray of uint8, shape (height, width, 3)
            A JPEG file, or pixels (BGR).
        time : float, optional
            When it was taken, in seconds since the epoch; default: now.
        sequence : int, optional
            Its number; default: the next one.

        Returns
        -------
        bool
            Whether it was accepted. It is not if the feed is not running, the window is
            used up, or a frame of this or a later number was there already.

        Raises
        ------
        InvalidFrameError
            If `content` is neither.
        """
        number = self._last_sequence + 1 if sequence is None else sequence
        frame = _frame(content, clock.time() if time is None else time, number)
        session, holds = self._session, self._hub.holds
        if session is None or session.stopping.is_set() or holds is None:
            return False
        if len(holds) >= self.window or number <= self._last_sequence:
            self.refused += 1
            return False
        self._last_sequence = number
        holds.add(
            number
        )  # our own hold: the frame is not let go before all subscribers have seen it
        accepted = self._hub.publish(session, frame)
        holds.release(number)
        return accepted

    def stall(self, why: str) -> None:
        """Say that no frames come at the moment, and why: the sender knows better than a clock."""
        if self._session is not None:
            self._hub.stall(self._session, why)

    def end(self) -> None:
        """Say that no more frames come."""
        self._hub.end(FeedState("ended"))

    def fail(self, why: str) -> None:
        """Say that no more frames come, and what went wrong with which remedy.

        Works also before the first frame: permission denied, no camera, insecure origin.
        """
        self.start()
        self._hub.end(FeedState("failed", why))


def _frame(content: bytes | Image, time: float, number: int) -> Frame:
    if isinstance(content, bytes | bytearray | memoryview):
        data = bytes(content)
        if not data.startswith(_JPEG_START):
            raise InvalidFrameError(
                f"frame {number}: expected a JPEG file or pixels, found {len(data)} bytes that "
                f"begin with {data[:4]!r}"
            )
        return Frame(None, time, number, encoded=data)
    return Frame(content, time, number)


def _nobody(sequence: int) -> None:
    """Do nothing: for senders that want no acknowledgement."""
