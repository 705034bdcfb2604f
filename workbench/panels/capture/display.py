"""From the capture model to its pages: traits, numbers, boxes and pictures."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from workbench.capture.events import ImageSaved
from workbench.panels.capture.camera import Camera
from workbench.panels.capture.model import CaptureModel
from workbench.panels.capture.options import as_message
from workbench.panels.capture.strip import Strip
from workbench.panels.live.browser_feed import BrowserFeed
from workbench.panels.live.feed_watch import FeedWatch, feed_message
from workbench.panels.live.preview import Preview, sender
from workbench.panels.shared.background import Background
from workbench.persistence import Stores

IDLE_RATE, WATCHED_RATE = 2.0, 10.0
"""Frames a second of a page's camera while nothing is recorded: so that one is at hand, and
for a model to look at."""

_ALL = 0.0
_NEWS_EVERY = 0.1
"""Seconds from one piece of news to the next, so that the page has time for its camera."""

ACK_PERIOD = 0.05
"""Seconds that a word may wait for others to go with it."""
ACKS_TOGETHER = 4
"""Words that go together; few beside the page's window, so that it never runs dry."""

Tell = Callable[[str, Sequence[int]], None]
"""Tells a page, by its session, that the kernel is done with these of its frames."""


class Throttled:
    """A call that is made at once, and then no more often than every so many seconds.

    What is asked for meanwhile is made up for by one call at the end of that time. Used on
    one event loop.

    Parameters
    ----------
    period : float
        In seconds.
    work : callable
    """

    def __init__(self, period: float, work: Callable[[], None]) -> None:
        self._period = period
        self._work = work
        self._rests = False
        self._is_due = False

    def __call__(self) -> None:
        """Do it now, or soon."""
        if self._rests:
            self._is_due = True
            return
        self._rests = True
        asyncio.get_running_loop().call_later(self._period, self._wake)
        self._work()

    def _wake(self) -> None:
        self._rests = False
        if self._is_due:
            self._is_due = False
            self()


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

    def __init__(self, tell: Tell, most: int = ACKS_TOGETHER, period: float = ACK_PERIOD) -> None:
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


class Display:
    """Shows what the model says.

    Parameters
    ----------
    view : Camera
    model : CaptureModel
    browser : BrowserFeed
        The feed that pages see by themselves.
    stores : Stores
    background : Background

    Attributes
    ----------
    send : callable
        Sends a message to the pages; from any thread.
    preview : Preview
    strip : Strip
    """

    def __init__(
        self,
        view: Camera,
        model: CaptureModel,
        browser: BrowserFeed,
        stores: Stores,
        background: Background,
    ) -> None:
        self.send = sender(view)
        self.preview = Preview(self.send)
        self.strip = Strip(stores, self.send)
        self._view = view
        self._model = model
        self._browser = browser
        self._background = background
        self._last: tuple[ImageSaved, ...] = ()
        self._watch = FeedWatch(self.preview, background.spawn, self.show_feed)
        self._show_status_soon = Throttled(_NEWS_EVERY, self._show_status)
        self._show_recent_soon = Throttled(_NEWS_EVERY, self._show_recent)
        self._link()

    def show_feed(self) -> None:
        """Show what the feed does, and where a file is."""
        feed, state = self._model.feed, self._model.feed_state
        self._view.feed = {"name": feed.name, **feed_message(feed, state, self._model.place)}

    def show_settings(self) -> None:
        """Show all settings and options."""
        model = self._model
        self._view.settings = as_message(model.dataset, model.settings, model.options)

    def close(self) -> None:
        """Show nothing more."""
        self._watch.follow(None)
        self.strip.close()

    def _link(self) -> None:
        model, view = self._model, self._view
        model.observe(lambda _: self._follow_feed(), ["feed", "feed_state", "place"])
        model.observe(lambda _: self.show_settings(), ["settings", "options", "dataset"])
        model.observe(lambda _: self._follow_status(), ["status", "countdown", "options"])
        model.observe(lambda _: self._show_recent_soon(), ["recent", "dataset"])
        model.observe(lambda change: self._show_boxes(change["new"]), "detections")
        model.observe(lambda change: self._show_countdown(change["new"]), "countdown")
        for name, own in (
            ("datasets", "datasets"),
            ("classes", "classes"),
            ("active_model", "model"),
        ):
            model.observe(lambda change, own=own: setattr(view, own, change["new"]), name)
        model.observe(lambda change: setattr(view, "notice", asdict(change["new"])), "notice")
        view.window = self._browser.window
        self.show_settings()
        self._show_status()
        self._follow_feed()

    def _follow_feed(self) -> None:
        feed = self._model.feed
        is_seen = feed is self._browser or self._model.feed_state.over
        self._watch.follow(None if is_seen else feed)
        self.show_feed()

    def _follow_status(self) -> None:
        # The camera of the page must know at once that a recording begins or ends.
        if self._model.status.recording != self._view.status.get("recording"):
            self._show_status()
        else:
            self._show_status_soon()

    def _show_status(self) -> None:
        status = self._model.status
        self._view.status = {**asdict(status), "slow": status.slow}
        self._view.rate = self._wanted_rate()

    def _wanted_rate(self) -> float:
        """Return how many frames a second of a page's camera are wanted now."""
        model = self._model
        idle = WATCHED_RATE if model.options.show_boxes else IDLE_RATE
        if not model.status.recording:
            return _ALL if model.countdown >= 0 else idle
        if model.seconds_apart == 0:
            return _ALL
        # Twice what is saved, so that one near the right moment is among them.
        return max(idle, 2 / model.seconds_apart)

    def _show_recent(self) -> None:
        recent = self._model.recent
        new = len(set(recent) - set(self._last))
        self._last = recent
        if new:
            self.send({"kind": "saved", "count": new})
        self._background.spawn(lambda: self.strip.show(self._model.dataset, recent))

    def _show_boxes(self, found: Any) -> None:
        classes = self._model.classes
        rows = [] if found is None else [
            [*p.xywh, classes[p.class_id], round(p.confidence, 3), p.class_id]
            for p in found.predictions
        ]  # fmt: skip
        self.send({"kind": "boxes", "rows": rows})

    def _show_countdown(self, seconds: int) -> None:
        self.send({"kind": "countdown", "seconds": seconds})
