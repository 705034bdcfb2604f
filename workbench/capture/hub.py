"""The middle of a feed: one side publishes frames, the other takes them, from any thread.

Nothing here belongs to an event loop. JupyterLab runs callbacks in several threads, each
with a loop of its own; whoever awaits a frame leaves a future of *its* loop behind, and is
woken through its `OwnerLoop`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self
from weakref import WeakSet

from workbench.capture.frames import FeedState, Frame
from workbench.owner_loop import OwnerLoop

_RATE_WINDOW = 30
"""Over how many frames the frame rate is measured."""

_PATIENCE_OPENING = 10.0
"""Seconds that opening may take; a USB camera needs 2 to 5."""

_Waiter = tuple[OwnerLoop, "asyncio.Future[None]"]


class Session:
    """One run of a feed, from start to stop; what an earlier run still publishes is ignored."""

    __slots__ = ("stopping",)

    def __init__(self) -> None:
        self.stopping = threading.Event()


class Holds:
    """Counts who still holds a frame, and tells when nobody does.

    Parameters
    ----------
    on_free : callable
        Called with the sequence number, in the thread that let go last.
    """

    def __init__(self, on_free: Callable[[int], None]) -> None:
        self._counts: dict[int, int] = {}
        self._lock = threading.Lock()
        self._on_free = on_free

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, sequence: int) -> None:
        """Note one more holder."""
        with self._lock:
            self._counts[sequence] = self._counts.get(sequence, 0) + 1

    def release(self, sequence: int) -> None:
        """Note one holder less."""
        with self._lock:
            left = self._counts[sequence] - 1
            if left:
                self._counts[sequence] = left
            else:
                del self._counts[sequence]
        if not left:
            self._on_free(sequence)


class Subscription:
    """A queue of frames of one feed; iterate over it with ``for`` or ``async for``.

    It ends when the feed is stopped, ends or fails, once the frames in it are taken; the
    feed's `state` tells which of these it was. Safe to use from any thread.

    Parameters
    ----------
    hub : Hub
    owner : object
        The feed, kept alive as long as somebody wants its frames.
    capacity : int
        Frames that it holds at most.
    newest_only : bool
        What happens to a frame that finds no room: True, it takes the place of the oldest;
        False, it is dropped and counted, or (in a feed that can wait) waits.
    changed : threading.Condition, optional
        Notified whenever a frame comes or the subscription ends, so that one thread can
        wait for this and other things at once.

    Attributes
    ----------
    dropped : int
        Frames that found no room. Those that got in are never lost.
    """

    def __init__(
        self,
        hub: Hub,
        owner: object,
        capacity: int,
        *,
        newest_only: bool,
        changed: threading.Condition | None = None,
    ) -> None:
        if capacity < 1:
            raise ValueError(f"capacity: expected 1 or more, found {capacity}")
        self.capacity = capacity
        self.newest_only = newest_only
        self.changed = changed or threading.Condition()
        self.dropped = 0
        self._hub = hub
        self._owner = owner
        self._frames: deque[Frame] = deque()
        self._waiters: list[_Waiter] = []
        self._ended = False

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def ended(self) -> bool:
        """Whether no more frames will come in; some may be left to take."""
        return self._ended

    def take(self, most: int | None = None) -> list[Frame]:
        """Return the frames that are there, oldest first, without waiting."""
        with self.changed:
            count = len(self._frames) if most is None else min(most, len(self._frames))
            taken = [self._pop() for _ in range(count)]
        self._let_go(taken)
        return taken

    def get(self, timeout: float | None = None) -> Frame | None:
        """Wait for a frame and return it; None once the subscription is over.

        Raises
        ------
        TimeoutError
            If none comes within `timeout` seconds.
        """
        with self.changed:
            if not self.changed.wait_for(lambda: self._frames or self._ended, timeout):
                raise TimeoutError(f"no frame within {timeout} s")
            taken = self._pop() if self._frames else None
        if taken is not None:
            self._let_go([taken])
        return taken

    def close(self) -> None:
        """Take no more frames, and forget those that nobody has taken."""
        self._hub.unsubscribe(self)
        self.end()
        self.take()

    def end(self) -> None:
        """Refuse further frames; those that are queued can still be taken."""
        with self.changed:
            self._ended = True
            self._wake()

    def offer(self, frame: Frame, stopping: threading.Event | None) -> None:
        """Queue a frame; where `stopping` is given, first wait for room until it is set."""
        with self.changed:
            if stopping is not None and not self.newest_only:
                self.changed.wait_for(lambda: self._ended or self._has_room() or stopping.is_set())
            if self._ended:
                return
            if not self._has_room():
                self.dropped += 1
                if not self.newest_only:
                    return
                self._frames.popleft()
            self._frames.append(frame)
            if not self.newest_only and self._hub.holds is not None:
                self._hub.holds.add(frame.sequence)
            self._wake()

    def wake(self) -> None:
        """Wake all threads that wait, so that they check again."""
        with self.changed:
            self._wake()

    def _has_room(self) -> bool:
        return len(self._frames) < self.capacity

    def _pop(self) -> Frame:
        self.changed.notify_all()  # a publisher may wait for the room
        return self._frames.popleft()

    def _let_go(self, frames: list[Frame]) -> None:
        # Outside of our lock, because this calls code of others, which may take locks too.
        if not self.newest_only and self._hub.holds is not None:
            for frame in frames:
                self._hub.holds.release(frame.sequence)

    def _wake(self) -> None:
        self.changed.notify_all()
        waiters, self._waiters = self._waiters, []
        for owner, future in waiters:
            owner.call(_resolve, future)

    def __iter__(self) -> Iterator[Frame]:
        while (frame := self.get()) is not None:
            yield frame

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Frame:
        while True:
            with self.changed:
                taken = self._pop() if self._frames else None
                if taken is None:
                    if self._ended:
                        raise StopAsyncIteration
                    owner = OwnerLoop()
                    future: asyncio.Future[None] = owner.loop.create_future()
                    self._waiters.append((owner, future))
            if taken is not None:
                self._let_go([taken])
                return taken
            await future

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


_log = logging.getLogger(__name__)

StateListener = Callable[[FeedState], None]


class Hub:
    """State, newest frame and subscriptions of one feed. Holds no reference to the feed.

    Parameters
    ----------
    name : str
        Of the feed, for the log.
    patient : bool
        Whether publishing waits for subscriptions that are full, as a file can and a
        camera cannot.
    stall_after : float or None
        Seconds without a frame after which a live feed is stalled; None: never.
    stalled_why : str
        What to say then.
    """

    def __init__(
        self, *, name: str, patient: bool, stall_after: float | None, stalled_why: str
    ) -> None:
        self._name = name
        self.holds: Holds | None = None
        self.listeners: list[StateListener] = []
        self._patient = patient
        self._stall_after = stall_after
        self._stalled_why = stalled_why
        self._lock = threading.RLock()
        self._session: Session | None = None
        self._state = FeedState("stopped")
        self._latest: Frame | None = None
        self._times: deque[float] = deque(maxlen=_RATE_WINDOW)
        self._heard_at = 0.0
        self._subscriptions: WeakSet[Subscription] = WeakSet()

    @property
    def state(self) -> FeedState:
        """What the feed is doing."""
        return self._state

    @property
    def latest(self) -> Frame | None:
        """The newest frame of this run."""
        return self._latest

    @property
    def frame_rate(self) -> float:
        """Frames per second as they came lately; 0 before the second frame."""
        with self._lock:
            times = list(self._times)
        span = times[-1] - times[0] if len(times) > 1 else 0.0
        return (len(times) - 1) / span if span > 0 else 0.0

    def begin(self) -> Session | None:
        """Start a run; None if one is under way."""
        with self._lock:
            if self._session is not None:
                return None
            session = self._session = Session()
            self._latest = None
            self._times.clear()
            self._heard_at = time.monotonic()
        self._change(session, FeedState("opening"))
        if self._stall_after is not None:
            threading.Thread(
                target=_watch, args=(self, session), name="feed-watchdog", daemon=True
            ).start()
        return session

    def end(self, state: FeedState, session: Session | None = None) -> None:
        """End the run (or only `session`, if it is this one), and all subscriptions."""
        with self._lock:
            ending = self._session
            if ending is None or session not in (None, ending):
                return
            self._session = None
            subscriptions = list(self._subscriptions)
            self._state = state
        ending.stopping.set()
        for subscription in subscriptions:
            subscription.end()
        self._tell(state)

    def publish(self, session: Session, frame: Frame) -> bool:
        """Hand a frame to all who want it; return whether the run is still on."""
        with self._lock:
            if session is not self._session:
                return False
            self._latest = frame
            self._heard_at = time.monotonic()
            self._times.append(self._heard_at)
            subscriptions = list(self._subscriptions)
        self._change(session, FeedState("live"))
        for subscription in subscriptions:
            subscription.offer(frame, session.stopping if self._patient else None)
        return session is self._session

    def stall(self, session: Session, why: str) -> None:
        """Say why no frames come at the moment."""
        self._change(session, FeedState("stalled", why))

    def look_for_stall(self, session: Session) -> None:
        """Notice that no frame has come for too long."""
        assert self._stall_after is not None
        silent = time.monotonic() - self._heard_at
        opening = self._state.status == "opening"
        patience = max(_PATIENCE_OPENING, self._stall_after) if opening else self._stall_after
        if self._state.status in ("opening", "live") and silent > patience:
            self.stall(session, f"no frame for {silent:.0f} s: {self._stalled_why}")

    @property
    def stall_after(self) -> float | None:
        """Seconds without a frame after which a live feed is stalled."""
        return self._stall_after

    def subscribe(self, subscription: Subscription) -> None:
        """Give a subscription the frames from now on."""
        with self._lock:
            if self._session is None and self._state.status in ("ended", "failed"):
                over = True
            else:
                over = False
                self._subscriptions.add(subscription)
        if over:
            subscription.end()

    def unsubscribe(self, subscription: Subscription) -> None:
        """Give a subscription no more frames."""
        with self._lock:
            self._subscriptions.discard(subscription)

    def _change(self, session: Session, state: FeedState) -> None:
        with self._lock:
            if session is not self._session or state == self._state:
                return
            self._state = state
        self._tell(state)

    def _tell(self, state: FeedState) -> None:
        _log.info("feed %s: %s", self._name, f"{state.status} {state.why}".strip())
        for listener in tuple(self.listeners):
            listener(state)


def _watch(hub: Hub, session: Session) -> None:
    assert hub.stall_after is not None
    while not session.stopping.wait(hub.stall_after / 4):
        hub.look_for_stall(session)
