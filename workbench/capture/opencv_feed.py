"""Cameras of the kernel's machine and network streams, through OpenCV."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from glob import glob
from itertools import count
from typing import Any

from workbench.capture.feed import STALL_AFTER, Feed, FeedError
from workbench.capture.frames import Image, Pause

_TIMEOUT_MS = 5000
"""How long FFmpeg may take to open a stream, or to give the next frame of one."""

FIRST_BACK_OFF, LONGEST_BACK_OFF = 0.5, 15.0
"""Seconds before the first new attempt at a lost device; doubled for each, up to the second."""


@dataclass(frozen=True, slots=True)
class CameraRequest:
    """What to open, and how.

    Parameters
    ----------
    device : int or str
        Index of a camera, path of a device, or URL of a stream.
    size : (int, int) or None
        Width and height to ask a camera for; it answers with the nearest that it has.
    fps : float or None
        Frame rate to ask a camera for.
    first_back_off : float
        Seconds before the first new attempt when the device is lost.
    """

    device: int | str
    size: tuple[int, int] | None = None
    fps: float | None = None
    first_back_off: float = FIRST_BACK_OFF

    @property
    def is_stream(self) -> bool:
        """Whether the device is a stream from the network."""
        return isinstance(self.device, str) and "://" in self.device

    @property
    def label(self) -> str:
        """What to call it in messages; without the password that a URL may hold."""
        if isinstance(self.device, int):
            return f"camera {self.device}"
        return re.sub(r"(://)[^/@]*@", r"\1***@", self.device)


class OpenCVFeed(Feed):
    """A camera or stream that OpenCV can open.

    A device that cannot be opened at all makes the feed fail, with the remedy in the
    message. One that was live and is lost (a pulled plug, a network that drops) is opened
    again, with growing pauses, until the feed is stopped.

    Parameters
    ----------
    device : int or str
        Index of a camera (0 is the first), path such as ``/dev/video0``, or an RTSP or HTTP
        URL.
    size : (int, int), optional
        Width and height to ask a camera for, in pixels.
    fps : float, optional
        Frame rate to ask a camera for.
    stall_after : float
        Seconds without a frame after which the state becomes stalled.
    """

    def __init__(
        self,
        device: int | str = 0,
        *,
        size: tuple[int, int] | None = None,
        fps: float | None = None,
        stall_after: float = STALL_AFTER,
        first_back_off: float = FIRST_BACK_OFF,
    ) -> None:
        request = CameraRequest(device, size, fps, first_back_off)
        network = "is the network down, or the sender busy?"
        super().__init__(
            partial(_frames, request),
            name=request.label,
            stall_after=stall_after,
            stalled_why=network if request.is_stream else "was the camera unplugged?",
        )


def _frames(request: CameraRequest) -> Iterator[Image | Pause]:
    """Yield what the device gives; open it again whenever it is lost."""
    capture = _open(request)
    try:
        while True:
            good, image = capture.read()
            if good:
                yield image
                continue
            capture.release()
            for attempt in count():
                wait = min(request.first_back_off * 2**attempt, LONGEST_BACK_OFF)
                yield Pause(wait, f"{request.label} gives no more frames; trying again")
                try:
                    capture = _open(request)
                    break
                except FeedError:
                    continue
    finally:
        capture.release()


def _open(request: CameraRequest) -> Any:
    import cv2

    if request.is_stream:
        timeouts = [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT_MS
        ]  # fmt: skip
        capture = cv2.VideoCapture(request.device, cv2.CAP_FFMPEG, timeouts)
    else:
        problem = _problem_before_opening(request.device)
        if problem:
            raise FeedError(f"{request.label}: {problem}")
        capture = cv2.VideoCapture(request.device)
    if not capture.isOpened():
        capture.release()
        raise FeedError(f"{request.label}: {_why_not_opened(request)}")
    if not request.is_stream:
        if request.size is not None:
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, request.size[0])
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, request.size[1])
        if request.fps is not None:
            capture.set(cv2.CAP_PROP_FPS, request.fps)
        # Otherwise a slow reader sees what happened some frames ago.
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return capture


def _problem_before_opening(device: int | str) -> str | None:
    """Return what keeps a local camera from being opened, as far as files can tell."""
    if not sys.platform.startswith("linux"):
        return None
    path = f"/dev/video{device}" if isinstance(device, int) else device
    if not os.path.exists(path):  # noqa: PTH110  devices are strings here
        others = sorted(glob("/dev/video*"))  # noqa: PTH207
        there = f"there are {', '.join(others)}" if others else "this machine has no camera at all"
        return (
            f"there is no device {path}; {there}. Plug the camera in, choose another index, or "
            "use the camera of the machine that your browser runs on"
        )
    if not os.access(path, os.R_OK | os.W_OK):
        return (
            f"no permission to use {path}; add yourself to the group that owns it "
            "(`sudo usermod -aG video $USER`), then log in again"
        )
    return None


def _why_not_opened(request: CameraRequest) -> str:
    if request.is_stream:
        return (
            "the stream cannot be opened; check the address, user and password, and that this "
            "machine reaches the sender (a player such as ffplay opens it?)"
        )
    return (
        "the camera cannot be opened; probably another program uses it (a video call, another "
        "notebook): close that and start again"
    )
