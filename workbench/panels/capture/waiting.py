"""Those who wait for a recording: until it takes frames, until its images are on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from workbench.capture.events import ImageSaved
from workbench.errors import WorkbenchError


class CaptureError(WorkbenchError, RuntimeError):
    """A recording has stopped before its time; the message says why and what to do."""


class Waiting:
    """Futures by burst. Made and used on one event loop.

    Who wants to wait must say so in the same step of the loop in which the recording was
    asked for: later its news may have come already.
    """

    def __init__(self) -> None:
        self._begun: dict[str, asyncio.Future[None]] = {}
        self._results: dict[str, asyncio.Future[list[ImageSaved]]] = {}

    def begun(self, burst: str) -> asyncio.Future[None]:
        """Return what is done when the burst takes frames, or is over."""
        return self._begun.setdefault(burst, asyncio.get_running_loop().create_future())

    def result(self, burst: str) -> asyncio.Future[list[ImageSaved]]:
        """Return what gives the burst's images, or raises `CaptureError`."""
        return self._results.setdefault(burst, asyncio.get_running_loop().create_future())

    def note_begun(self, burst: str) -> None:
        """Let those go on who wait for the beginning."""
        future = self._begun.pop(burst, None)
        if future is not None and not future.done():
            future.set_result(None)

    def note_ended(self, burst: str, images: Sequence[ImageSaved], failure: str) -> None:
        """Let those go on who wait for the images; `failure`: why there are no more."""
        self.note_begun(burst)
        future = self._results.pop(burst, None)
        if future is None or future.done():
            return
        if failure:
            future.set_exception(CaptureError(failure))
        else:
            future.set_result([one for one in images if one.burst == burst])
