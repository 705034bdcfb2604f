"""Pictures that differ as much as a test wants, and waiting for things to come about."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import cv2
import numpy as np

from workbench.capture.controller import CaptureController
from workbench.capture.events import CaptureEvent
from workbench.capture.frames import Image

PATIENCE = 20.0
"""Seconds until a test gives up; nothing takes nearly as long."""


def picture(grey: int = 0, height: int = 72, width: int = 96) -> Image:
    """A picture of stripes (so that it is sharp) whose mean differs by `grey`."""
    image = np.full((height, width, 3), 40 + grey, np.uint8)
    image[:, ::8] = 255
    return image


def jpeg(image: Image) -> bytes:
    return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1])


def wait_until(condition: Callable[[], object], what: str = "") -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, f"waited in vain: {what or condition}"
        time.sleep(0.005)


def wait_until_recording(capture: CaptureController) -> None:
    """From now on each frame of the feed comes into the recording."""
    wait_until(lambda: takes_frames(capture))


def takes_frames(capture: CaptureController) -> bool:
    with capture._changed:  # its thread moves the jobs about
        return any(job.subscription is not None for job in capture._worker.jobs)


class Recorder:
    """A listener that keeps all events."""

    def __init__(self) -> None:
        self.events: list[CaptureEvent] = []
        self.threads: set[str] = set()

    def __call__(self, event: CaptureEvent) -> None:
        self.events.append(event)
        self.threads.add(threading.current_thread().name)

    def of(self, kind: type) -> list[CaptureEvent]:
        return [event for event in self.events if isinstance(event, kind)]
