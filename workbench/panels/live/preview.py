"""What the pages of a live panel are shown besides the traits: pictures of a feed.

A preview picture is sent when the page has painted the one before; of those that come
meanwhile only the newest counts. It is made and sent in a thread, so that a kernel that is
busy with a cell goes on showing what the camera sees.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

import anywidget

from workbench.capture.feed import Feed
from workbench.capture.frames import Frame
from workbench.capture.hub import Subscription
from workbench.errors import InvalidFrameError

Send = Callable[..., None]
"""``send(message, buffers=None)``; from any thread."""

PREVIEW_WIDTH = 960
PAGE_PATIENCE_S = 5.0
"""Seconds after which a page that does not answer gets another picture all the same."""


def sender(view: anywidget.AnyWidget) -> Send:
    """Return what sends a message to the pages of a widget, until it is closed."""

    def send(message: Mapping[str, Any], buffers: Sequence[bytes] = ()) -> None:
        if view.comm is not None:
            view.send(dict(message), list(buffers))

    return send


class Preview:
    """Sends what a feed sees to the pages that want it.

    Parameters
    ----------
    send : callable
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._ids = count()
        self._pages: dict[str, float] = {}  # session -> since when it paints; 0: it waits
        self._changed = threading.Condition()
        self._frames: Subscription | None = None

    def welcome(self, session: str) -> None:
        """Send pictures to a page from now on."""
        with self._changed:
            self._pages[session] = 0.0
            self._changed.notify_all()

    def forget(self, session: str) -> None:
        """Send nothing more to a page."""
        with self._changed:
            self._pages.pop(session, None)

    def seen(self, session: str) -> None:
        """Note that a page has painted what it was sent."""
        with self._changed:
            if session in self._pages:
                self._pages[session] = 0.0
                self._changed.notify_all()

    def follow(self, feed: Feed | None) -> None:
        """Show this feed from now on; None: none."""
        if self._frames is not None:
            self._frames.close()
            self._frames = None
        if feed is not None:
            self._frames = feed.frames()
            threading.Thread(
                target=self._run, args=(self._frames,), name="preview", daemon=True
            ).start()

    def _run(self, frames: Subscription) -> None:
        for frame in frames:
            waiting = self._who_waits(frames)
            if not waiting:
                continue
            try:
                data = _small_jpeg(frame)
            except InvalidFrameError:
                continue  # the controller counts damaged frames
            number = next(self._ids)
            for session in waiting:
                self._send({"kind": "preview", "to": session, "id": number}, [data])

    def _who_waits(self, frames: Subscription) -> list[str]:
        with self._changed:
            self._changed.wait_for(lambda: frames.ended or self._free(), timeout=PAGE_PATIENCE_S)
            free = self._free()
            for session in free:
                self._pages[session] = time.monotonic()
            return free

    def _free(self) -> list[str]:
        now = time.monotonic()
        return [name for name, at in self._pages.items() if at == 0 or now - at > PAGE_PATIENCE_S]


def _small_jpeg(frame: Frame) -> bytes:
    import cv2

    if frame.encoded is not None and len(frame.encoded) < 200_000:
        return frame.encoded
    image = frame.image
    height, width = image.shape[:2]
    if width > PREVIEW_WIDTH:
        size = (PREVIEW_WIDTH, max(1, round(height * PREVIEW_WIDTH / width)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])[1])
