"""Boxes drawn in to the edges of what they show, by colour: no weights are needed.

A box that is nearly right is cut out with a margin. What lies outside of it is ground; which of
the pixels within belong to the thing is found by GrabCut (Rother, Kolmogorov and Blake, 2004).
The box becomes what encloses these, unless that is so different that the thing has hardly been
found. Where things have no edges in colour this makes boxes worse, so whoever uses it measures
that first, on images whose labels are known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from workbench import geometry

Frame = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.float64]

_MARGIN = 0.35
"""Of the box's sides, which are cut out on each side of it."""
_MAY_GROW = 0.12
"""Of the box's sides, within which the thing may reach beyond it."""
_MOST_PIXELS = 128
_ROUNDS = 3
_SAME = 0.45
"""IoU with the box from which on something else was not found in its place."""
_LEAST_SIDE = 6


def tightened(frame: Frame, boxes: Sequence[Sequence[float]] | Boxes) -> Boxes:
    """Return boxes drawn in to what they show.

    Parameters
    ----------
    frame : ndarray of uint8, shape (height, width, 3)
    boxes : array-like, shape (n, 4)
        Pixel xyxy.
    """
    rows = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    return np.array([_tightened(frame, row) for row in rows], dtype=np.float64).reshape(-1, 4)


def _tightened(frame: Frame, box: Boxes) -> Boxes:
    import cv2

    height, width = frame.shape[:2]
    sides = np.array([box[2] - box[0], box[3] - box[1]])
    if sides.min() < _LEAST_SIDE:
        return box
    outer = _grown(box, _MARGIN, width, height)
    left, top = int(outer[0]), int(outer[1])
    crop = frame[top : int(np.ceil(outer[3])), left : int(np.ceil(outer[2]))]
    scale = min(1.0, _MOST_PIXELS / max(crop.shape[:2]))
    if scale < 1:
        crop = np.asarray(cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    inner = (_grown(box, _MAY_GROW, width, height) - [left, top, left, top]) * scale
    found = _thing(crop, inner)
    if found is None:
        return box
    new = found / scale + [left, top, left, top]
    return new if geometry.iou([new], [box])[0, 0] >= _SAME else box


def _grown(box: Boxes, by: float, width: int, height: int) -> Boxes:
    more = by * np.array([box[2] - box[0], box[3] - box[1]])
    grown: Boxes = np.clip(
        [box[0] - more[0], box[1] - more[1], box[2] + more[0], box[3] + more[1]],
        0,
        [width, height, width, height],
    )
    return grown


def _thing(crop: Frame, inner: Boxes) -> Boxes | None:
    """Return what encloses the thing in a rectangle of a picture; None if there is none."""
    import cv2

    height, width = crop.shape[:2]
    mask = np.full((height, width), cv2.GC_BGD, dtype=np.uint8)
    left, top = np.floor(inner[:2]).astype(int)
    right, bottom = np.ceil(inner[2:]).astype(int)
    mask[top:bottom, left:right] = cv2.GC_PR_FGD
    if np.all(mask == cv2.GC_PR_FGD) or right - left < 3 or bottom - top < 3:
        return None  # there is no ground to tell it from
    models = np.zeros((1, 65)), np.zeros((1, 65))
    try:
        cv2.grabCut(crop, mask, (0, 0, 1, 1), *models, _ROUNDS, cv2.GC_INIT_WITH_MASK)
    except cv2.error:
        return None  # of one colour, or of too few pixels
    thing = ((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)).astype(np.uint8)
    thing = cv2.morphologyEx(thing, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, _, facts, _ = cv2.connectedComponentsWithStats(thing, connectivity=8)
    if count < 2:
        return None
    largest = 1 + int(np.argmax(facts[1:, cv2.CC_STAT_AREA]))
    x, y, w, h = (int(value) for value in facts[largest, :4])
    return np.array([x, y, x + w, y + h], dtype=np.float64)
