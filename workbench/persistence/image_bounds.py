"""How large a picture may be that is decoded, and the one way to decode it.

A file of two megabytes can hold a billion pixels of one colour, which take gigabytes and
minutes to decode. So the header is read first, and a picture beyond the bound is refused
before any of its pixels exist.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.errors import InvalidFrameError
from workbench.persistence.image_header import ImageHeader, is_cut_off, whole_header

MAX_PIXELS = 100_000_000
"""Pixels of a picture that is decoded. The environment variable `VARIABLE` says otherwise."""

COLOUR_PIXELS = MAX_PIXELS // 2
"""Of a picture that is decoded in colours only to be looked at: 300 MB, because OpenCV holds
all pixels twice for a moment."""

VARIABLE = "WORKBENCH_MAX_PIXELS"

MAX_BYTES = 2**28
"""Of an image file that is read into memory."""

_SCANS = 20
"""Scans of a progressive JPEG with the most pixels; smaller ones may have as many more."""

# Pictures with more pixels are decoded one at a time, whatever the number of threads.
_LARGE = 25_000_000
_turn = threading.Lock()


def max_pixels() -> int:
    """Return how many pixels a picture may have that is decoded."""
    text = os.environ.get(VARIABLE, "")
    return int(text) if text.isdecimal() else MAX_PIXELS


def header_of(data: bytes, where: str) -> ImageHeader:
    """Return what the header of an encoded image says; no pixel is decoded.

    Raises
    ------
    InvalidFrameError
        If `data` is no image; names `where`.
    """
    header = whole_header(data)
    if header is None:
        raise _no_image(data, where)
    return header


def _no_image(data: bytes, where: str) -> InvalidFrameError:
    return InvalidFrameError(
        f"{where}: expected an image (JPEG, PNG, BMP, WebP or TIFF), found {len(data)} bytes "
        f"that are none or are damaged"
    )


def require_decodable(data: bytes, where: str) -> ImageHeader:
    """Make sure that a picture is small enough to be decoded; return its header.

    Raises
    ------
    InvalidFrameError
        If `data` is no image, or has too many pixels; names `where`.
    """
    header = header_of(data, where)
    most = max_pixels()
    pixels = header.width * header.height
    if pixels * header.layers > most:
        kind = "" if header.layers <= 1 else f" (which take {header.layers:.1f} times their memory)"
        raise InvalidFrameError(
            f"{where}: expected at most {most / 1e6:g} million pixels, found "
            f"{header.width} x {header.height}{kind}; make it smaller, or set {VARIABLE}"
        )
    scans = data.count(b"\xff\xda") if header.has_scans else 1
    if scans * pixels > _SCANS * most:
        raise InvalidFrameError(
            f"{where}: expected a JPEG of a few scans, found {scans} over "
            f"{header.width} x {header.height} pixels; save it anew"
        )
    return header


def require_whole(data: bytes, where: str) -> None:
    """Make sure that a picture takes no more memory than its header says, see `is_cut_off`.

    Raises
    ------
    InvalidFrameError
        If it is a PNG that is cut off, which could not be decoded anyway; names `where`.
    """
    if is_cut_off(data):
        raise InvalidFrameError(
            f"{where}: expected a whole PNG, found one that is cut off or damaged: a part of it "
            f"is longer than the file ({len(data)} bytes); copy or export it again"
        )


def decode_bounded(data: bytes, where: str, flags: int) -> npt.NDArray[np.uint8]:
    """Decode a picture that is not too large, as `cv2.imdecode` does.

    Parameters
    ----------
    data : bytes
    where : str
        For messages.
    flags : int
        OpenCV's, such as ``cv2.IMREAD_COLOR``.

    Raises
    ------
    InvalidFrameError
        If `data` is no image, damaged, or has too many pixels; names `where`.
    """
    import cv2

    header = require_decodable(data, where)
    require_whole(data, where)
    picture: Any
    try:
        with _one_at_a_time(header):
            picture = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
    except cv2.error as error:
        raise InvalidFrameError(f"{where}: damaged image: {error}") from error
    if picture is None:
        raise _no_image(data, where)
    return np.asarray(picture, dtype=np.uint8)


@contextmanager
def _one_at_a_time(header: ImageHeader) -> Iterator[None]:
    if header.width * header.height * header.layers <= _LARGE:
        yield
        return
    with _turn:
        yield
