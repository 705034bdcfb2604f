"""Frames of a video file, by OpenCV's FFmpeg."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from workbench.datasets.formats.codecs import Pixels, require_size
from workbench.errors import InvalidFrameError

_USUAL_RATE = 25.0
_MAX_RATE = 1000.0

# FFmpeg looks at what is inside, not at the name: a playlist that is called .mp4 would lead it to
# other files. So only these containers reach it: (offset, bytes).
_CONTAINERS = (
    *((4, box) for box in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")),
    (0, b"\x1aE\xdf\xa3"),  # Matroska, WebM
    (8, b"AVI "),
    (0, b"0&\xb2u\x8ef\xcf\x11"),  # ASF: .wmv
    (0, b"\0\0\1\xba"),
    (0, b"\0\0\1\xb3"),  # MPEG
)
_PACKET = 188


class Video(NamedTuple):
    """An open video.

    Parameters
    ----------
    step : int
        Every how many frames one is taken.
    rate : float
        Frames in a second.
    frames : iterator of (int, ndarray)
        Number of the frame, from 0, and the picture as BGR.
    """

    step: int
    rate: float
    frames: Iterator[tuple[int, Pixels]]


def frames_of(path: Path, name: str, step: int = 0) -> Video:
    """Open a video.

    Parameters
    ----------
    path : Path
    name : str
        For messages.
    step : int
        0: about one frame for each second.

    Raises
    ------
    InvalidFrameError
        If it is no video that can be read, or its frames are too large.
    """
    import cv2

    if not path.is_file() or not _is_container(path):
        raise InvalidFrameError(
            f"{name}: expected a video (MP4, MOV, AVI, MKV, WebM, WMV, MPEG), found something else"
        )
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            raise InvalidFrameError(
                f"{name}: expected a video, found it damaged or in a codec that is not known; "
                f"convert it to H.264 in MP4"
            )
        width, height = (
            int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        require_size(width, height, name, 2.0)
        rate = float(capture.get(cv2.CAP_PROP_FPS))
    except BaseException:
        capture.release()
        raise
    rate = rate if 0 < rate < _MAX_RATE else _USUAL_RATE
    step = step or max(round(rate), 1)
    return Video(step, rate, _frames(capture, step))


def _frames(capture: Any, step: int) -> Iterator[tuple[int, Pixels]]:
    try:
        number = 0
        while capture.grab():
            if number % step == 0:
                good, frame = capture.retrieve()
                if good and frame is not None:
                    yield number, np.asarray(frame)
            number += 1
    finally:
        capture.release()


def _is_container(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(4 * _PACKET)
    if any(head[at : at + len(magic)] == magic for at, magic in _CONTAINERS):
        return True
    # MPEG transport streams: a G at the beginning of each packet, of 188 or 192 bytes.
    for start, length in ((0, _PACKET), (4, _PACKET + 4)):
        if len(head) > start + 2 * length and all(
            head[start + n * length] == 0x47 for n in range(3)
        ):
            return True
    return False
