"""Feeds: where frames come from.

A feed of one's own is a generator that yields images and releases its device in
``finally``; `Feed` does the rest (a thread, the state, queues, release on every way out)::

    def microscope() -> Iterator[Image]:
        device = vendor.open()
        try:
            while True:
                yield device.grab()          # uint8, (height, width, 3), BGR
        finally:
            device.close()

    with Feed(microscope, name="microscope") as feed:
        async for frame in feed.frames():
            ...

The generator must not refer to the feed: the thread that runs it would keep the feed alive,
and a feed that everybody has forgotten could not release its device.
"""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Self

from workbench.capture.frames import FeedState, Frame, Image, Pause, Status
from workbench.capture.hub import Hub, Session, StateListener, Subscription
from workbench.errors import WorkbenchError

__all__ = ["Feed", "FeedError", "FeedState", "Frame", "Image", "Pause", "Source", "Status"]

Source = Callable[[], Iterable["Image | Frame | Pause"]]
"""Opens a device and yields what it sees. An image gets the time of its arrival and the next
number; whoever knows better yields a `Frame`. `Pause` lets time go by."""

_STOP_PATIENCE = 2.0
_NO_REASON = "the device gave no reason"
"""Seconds that `Feed.stop` waits for a read that is under way."""

_threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()

STALL_AFTER = 3.0
"""Seconds without a frame after which a camera counts as stalled."""


class FeedError(WorkbenchError, RuntimeError):
    """A feed cannot be opened or went away; the message says why and what to do."""


class Feed:
    """A source of frames that can be started and stopped.

    Starting it runs `source` in a thread of its own. The device is released when the feed is
    stopped, when its source ends or raises, when nobody refers to the feed any more, and
    when the interpreter ends.

    Parameters
    ----------
    source : callable
        Called in the thread, once for each start.
    name : str
        What the feed shows, for people and for the metadata of what is captured.
    patient : bool
        Whether the source can wait for consumers, as a file can: then a full subscription
        holds it up instead of losing frames.
    stall_after : float or None
        Seconds without a frame after which the state becomes stalled; None: never.
    stalled_why : str
        A clause that says what may be the matter then.
    """

    def __init__(
        self,
        source: Source | None,
        *,
        name: str,
        patient: bool = False,
        stall_after: float | None = STALL_AFTER,
        stalled_why: str = "is the device still connected?",
    ) -> None:
        self.name = name
        self.patient = patient
        self._source = source
        self._hub = Hub(
            name=name, patient=patient, stall_after=stall_after, stalled_why=stalled_why
        )
        self._thread: threading.Thread | None = None
        # Also called at the end of the interpreter. It must not refer to the feed itself.
        self._finalizer = weakref.finalize(self, _shut, self._hub)

    @property
    def state(self) -> FeedState:
        """What the feed is doing, and why if something is wrong."""
        return self._hub.state

    @property
    def latest(self) -> Frame | None:
        """The newest frame since the feed was started; for previews."""
        return self._hub.latest

    @property
    def frame_rate(self) -> float:
        """Frames per second as they came lately; 0 before the second frame."""
        return self._hub.frame_rate

    def start(self) -> None:
        """Open the device and let frames come. Returns at once; does nothing if it runs."""
        session = self._hub.begin()
        if session is not None and self._source is not None:
            self._thread = threading.Thread(
                target=_run, args=(self._source, self._hub, session), name="feed", daemon=True
            )
            self._thread.start()
            _threads.add(self._thread)

    def stop(self) -> None:
        """Stop the frames and release the device; the feed can be started again.

        Waits for a read that is under way, but not for ever: a read that hangs in its
        driver is left behind, and the device is released when the driver lets go of it.
        """
        self._hub.end(FeedState("stopped"))
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(_STOP_PATIENCE)

    def frames(self) -> Subscription:
        """Return the frames from now on, always the newest: what comes too fast is left out.

        For previews. Works with ``for`` in any thread and ``async for`` on any event loop.
        """
        return self._subscribe(1, newest_only=True)

    def subscribe(
        self, capacity: int = 30, *, changed: threading.Condition | None = None
    ) -> Subscription:
        """Return all frames from now on, in order; for recording.

        Parameters
        ----------
        capacity : int
            Frames that may wait to be taken. When they are that many, a patient feed waits,
            and other feeds' frames are dropped and counted in `Subscription.dropped`.
        changed : threading.Condition, optional
            See `Subscription`.
        """
        return self._subscribe(capacity, newest_only=False, changed=changed)

    def _subscribe(
        self, capacity: int, *, newest_only: bool, changed: threading.Condition | None = None
    ) -> Subscription:
        made = Subscription(self._hub, self, capacity, newest_only=newest_only, changed=changed)
        self._hub.subscribe(made)
        return made

    def on_state(self, listener: StateListener) -> Callable[[], None]:
        """Call `listener` with each new state, in whichever thread; return what ends that."""
        listeners = self._hub.listeners
        listeners.append(listener)

        def forget() -> None:
            if listener in listeners:
                listeners.remove(listener)

        return forget

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _shut(hub: Hub) -> None:
    hub.end(FeedState("stopped"))


@atexit.register
def _wait_for_devices() -> None:
    """Give the threads, which were told to stop by now, the time to release their devices."""
    until = time.monotonic() + _STOP_PATIENCE
    for thread in tuple(_threads):
        thread.join(max(0.0, until - time.monotonic()))


def _run(source: Source, hub: Hub, session: Session) -> None:
    """Publish what the source yields until it ends, fails or is stopped."""
    iterator: Iterator[Image | Frame | Pause] | None = None
    state = FeedState("ended")
    try:
        iterator = iter(source())
        _publish_all(iterator, hub, session)
    except WorkbenchError as error:
        state = FeedState("failed", str(error))
    except Exception as error:  # noqa: BLE001  somebody's driver; the state tells it to the user
        state = FeedState("failed", str(error) or _NO_REASON)
    finally:
        try:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()
        except Exception as error:  # noqa: BLE001
            state = FeedState("failed", f"releasing the device: {error or _NO_REASON}")
        hub.end(state, session)


def _publish_all(iterator: Iterator[Image | Frame | Pause], hub: Hub, session: Session) -> None:
    sequence = 0
    for item in iterator:
        if session.stopping.is_set():
            return
        if isinstance(item, Pause):
            if item.why:
                hub.stall(session, item.why)
            session.stopping.wait(item.seconds)
            continue
        frame = item if isinstance(item, Frame) else Frame(item, time.time(), sequence)
        sequence = frame.sequence + 1
        if not hub.publish(session, frame):
            return
