"""Cheap measures of a frame: whether it equals another one, and how sharp it is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from workbench.capture.frames import Frame

Thumbnail = npt.NDArray[np.float32]
"""Grey values 0..255, shape (36, 48): so coarse that sensor noise averages out."""

_WIDTH, _HEIGHT = 48, 36


def thumbnail(frame: Frame) -> Thumbnail:
    """Return a tiny grey picture of a frame."""
    import cv2

    small = cv2.resize(frame.grey, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.float32)


def difference(first: Thumbnail, second: Thumbnail) -> float:
    """Return how far two thumbnails are apart: mean absolute difference of grey values, 0..255."""
    return float(np.abs(first - second).mean())


def sharpness(frame: Frame) -> float:
    """Return the variance of the Laplacian at a width of 320 pixels; low means blurred.

    What counts as low depends on the scene; a well focused one has hundreds. The measure is
    LAPV of Pertuz et al., "Analysis of focus measure operators for shape-from-focus",
    Pattern Recognition 46 (2013).
    """
    import cv2

    return float(cv2.Laplacian(frame.grey, cv2.CV_32F).var())
