"""What is wrong with a box as such: one judgement, for imports and for Health.

An import leaves out what is judged to have no area inside the picture, and clips what reaches over
its border. Health finds the same boxes in label files that came some other way. So Health finds
none of these in what was just imported, and both count the same in the same files.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.geometry import Boxes, xywh_to_xyxy
from workbench.persistence.yolo.label_text import SMALLEST

OVERHANG = 1e-3
"""How far a box may stick out of the picture before anybody should care; rounding does less."""
THINNEST_PIXELS = 0.01
"""Thinner than this a box has no area either, whatever the size of its picture."""
_EXACT = 1e-12  # what sums and differences of such numbers are off by

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is wrong with boxes; at most one of these with each.

    Parameters
    ----------
    empty : ndarray of bool, shape (boxes,)
        No width or no height.
    outside : ndarray of bool, shape (boxes,)
        Nothing of it lies in the picture.
    over : ndarray of bool, shape (boxes,)
        It sticks out of the picture.
    """

    empty: Flags
    outside: Flags
    over: Flags

    @property
    def kept(self) -> Flags:
        """Which boxes have something in the picture, to be learnt from."""
        return np.asarray(~(self.empty | self.outside))


Numbers = npt.NDArray[np.float64]


def either(flags: Flags) -> Flags:
    """Return ``flags.any(axis=1)`` of two columns, in a fraction of the time."""
    return np.asarray(flags[:, 0] | flags[:, 1])


def both(flags: Flags) -> Flags:
    """Return ``flags.all(axis=1)`` of two columns, in a fraction of the time."""
    return np.asarray(flags[:, 0] & flags[:, 1])


def judge_corners(low: Numbers, high: Numbers, sizes: Numbers) -> Judgement:
    """Judge boxes by their corners, as shares of the picture, before they are clipped.

    Parameters
    ----------
    low, high : ndarray of float64, shape (boxes, 2)
        Left and top, right and bottom.
    sizes : ndarray of float64, shape (boxes, 2)
        Width and height of their pictures in pixels; zeros where they are not known.
    """
    with np.errstate(divide="ignore"):
        thinnest = np.where(sizes > 0, THINNEST_PIXELS / sizes, 0.0)
    least = np.maximum(SMALLEST, thinnest) - _EXACT
    inside = np.clip(high, 0.0, 1.0) - np.clip(low, 0.0, 1.0)
    empty = either(high - low < least)
    outside = either(inside < least) & ~empty
    beyond = either(np.maximum(-low, high - 1) > OVERHANG)
    return Judgement(empty, outside, beyond & ~empty & ~outside)


def judge(boxes: Boxes, sizes: Numbers) -> Judgement:
    """Judge boxes, as normalised xywh, before they are clipped; see `judge_corners`."""
    corners = xywh_to_xyxy(boxes)
    return judge_corners(corners[:, :2], corners[:, 2:], sizes)
