"""What the pages of a capture panel are shown besides the traits: pictures.

A preview picture is sent when the page has painted the one before; of those that come
meanwhile only the newest counts. It is made and sent in a thread, so that a kernel that is
busy with a cell goes on showing what the camera sees.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

from workbench.capture.events import ImageSaved
from workbench.capture.feed import Feed
from workbench.capture.frames import Frame
from workbench.capture.hub import Subscription
from workbench.datasets.thumbnails import Thumbnail, Thumbnails
from workbench.errors import InvalidFrameError, NotFoundError
from workbench.panels.widgets.camera import Camera
from workbench.persistence import Stores

Send = Callable[..., None]
"""``send(message, buffers=None)``; from any thread."""

PREVIEW_WIDTH = 960
STRIP_LENGTH = 24
THUMBNAIL = 160
_AT_ONCE = 6
_PAUSE = 0.3
"""Thumbnails made in one go while pictures keep coming, and seconds until the next go."""
_PAGE_PATIENCE = 5.0
"""Seconds after which a page that does not answer gets another picture all the same."""


def sender(view: Camera) -> Send:
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
            self._changed.wait_for(lambda: frames.ended or self._free(), timeout=_PAGE_PATIENCE)
            free = self._free()
            for session in free:
                self._pages[session] = time.monotonic()
            return free

    def _free(self) -> list[str]:
        now = time.monotonic()
        return [name for name, at in self._pages.items() if at == 0 or now - at > _PAGE_PATIENCE]


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


class Strip:
    """Small pictures of what was captured last, newest first.

    Used on the owner loop.
    """

    def __init__(self, stores: Stores, send: Send) -> None:
        self._thumbnails = Thumbnails(stores)
        self._send = send
        self._numbers = count()
        self._ids: dict[tuple[str, str], int] = {}
        self._pictures: dict[int, bytes] = {}
        self._shown: list[ImageSaved] = []
        self._dataset = ""
        self._is_busy = False

    def find(self, number: int) -> ImageSaved | None:
        """Return the picture that has a number on the pages."""
        return next((one for one in self._shown if self._id(one) == number), None)

    def welcome(self, session: str) -> None:
        """Show a new page all there is."""
        self._tell(self._shown, to=session)

    async def show(self, dataset: str, recent: tuple[ImageSaved, ...]) -> None:
        """Show the last pictures; returns when all of them have their thumbnails."""
        if dataset != self._dataset:
            self._dataset = dataset
            self._ids.clear()
            self._pictures.clear()
        self._shown = list(reversed(recent[-STRIP_LENGTH:]))
        shown = {self._id(one) for one in self._shown}
        self._pictures = {k: v for k, v in self._pictures.items() if k in shown}
        self._ids = {key: number for key, number in self._ids.items() if number in shown}
        self._tell([])
        if self._is_busy:
            return
        self._is_busy = True
        try:
            while missing := [o for o in self._shown if self._id(o) not in self._pictures]:
                await self._make(missing[:_AT_ONCE])
                await asyncio.sleep(_PAUSE)  # while pictures pour in, the newest of them will do
        finally:
            self._is_busy = False

    def close(self) -> None:
        """Let go of the threads."""
        self._thumbnails.close()

    async def _make(self, images: list[ImageSaved]) -> None:
        keys = [(one.info.split, one.info.filename) for one in images]
        try:
            made = await self._thumbnails.get(self._dataset, keys, size=THUMBNAIL)
        except NotFoundError:
            made = [NotFoundError(self._dataset)] * len(keys)
        for one, picture in zip(images, made, strict=True):
            # One that has gone meanwhile gets an empty picture, so that nobody asks again.
            data = picture.data if isinstance(picture, Thumbnail) else b""
            self._pictures[self._id(one)] = data
        self._tell(images)

    def _tell(self, images: list[ImageSaved], **to: str) -> None:
        buffers: list[bytes] = []
        items: list[Mapping[str, Any]] = []
        for one in images:
            data = self._pictures.get(self._id(one))
            items.append(
                {
                    "id": self._id(one),
                    "name": one.info.filename,
                    "split": one.info.split,
                    "class_name": one.class_name,
                    "blurred": one.blurred,
                    "boxes": one.num_boxes,
                    "buffer": len(buffers) if data else None,
                }
            )
            if data:
                buffers.append(data)
        ids = [self._id(one) for one in self._shown]
        self._send({"kind": "strip", "ids": ids, "items": items, **to}, buffers)

    def _id(self, one: ImageSaved) -> int:
        key = (one.info.split, one.info.filename)
        if key not in self._ids:
            self._ids[key] = next(self._numbers)
        return self._ids[key]
