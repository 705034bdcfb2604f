"""Boxes as arrays: normalised xywh, pixel xyxy, clipping and overlap.

Two coordinate frames occur in the whole project, and no third:

* *normalised xywh*: ``(x, y, width, height)`` with the box's centre first, each a
  fraction of the image's width or height, 0..1. This is what YOLO label files hold.
* *pixel xyxy*: ``(left, top, right, bottom)`` in pixels of the stored image. The
  origin is the top left *corner* of the top left pixel, so an image that is 640 wide
  spans 0..640 and a box over the whole of it has ``right == 640``.

Every function is pure, takes and returns float64 arrays of shape ``(n, 4)``, and
accepts anything that ``numpy.asarray`` turns into that shape.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Boxes = npt.NDArray[np.float64]


def as_boxes(boxes: npt.ArrayLike) -> Boxes:
    """Return `boxes` as a float64 array of shape ``(n, 4)``.

    Raises
    ------
    ValueError
        If the last axis does not have four columns.
    """
    array = np.asarray(boxes, dtype=np.float64)
    if array.size == 0:
        return np.empty((0, 4), dtype=np.float64)
    if array.ndim == 1:
        array = array[np.newaxis]
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"boxes need shape (n, 4), found {array.shape}")
    return array


def xywh_to_xyxy(boxes: npt.ArrayLike) -> Boxes:
    """Centre form to corner form, in whatever unit `boxes` has.

    Parameters
    ----------
    boxes : array_like, shape (n, 4)
        Centre x, centre y, width, height.

    Returns
    -------
    ndarray of float64, shape (n, 4)
        Left, top, right, bottom in the same unit.
    """
    array = as_boxes(boxes)
    half = array[:, 2:] / 2
    return np.concatenate([array[:, :2] - half, array[:, :2] + half], axis=1)


def xyxy_to_xywh(boxes: npt.ArrayLike) -> Boxes:
    """Corner form to centre form, in whatever unit `boxes` has; the inverse of `xywh_to_xyxy`."""
    array = as_boxes(boxes)
    size = array[:, 2:] - array[:, :2]
    return np.concatenate([array[:, :2] + size / 2, size], axis=1)


def to_pixels(boxes: npt.ArrayLike, width: float, height: float) -> Boxes:
    """Normalised xywh to pixel xyxy.

    Parameters
    ----------
    boxes : array_like, shape (n, 4)
        Normalised xywh.
    width, height : float
        Size of the image in pixels.

    Returns
    -------
    ndarray of float64, shape (n, 4)
        Pixel xyxy, not rounded and not clipped.
    """
    return xywh_to_xyxy(boxes) * np.array([width, height, width, height], dtype=np.float64)


def to_normalised(boxes: npt.ArrayLike, width: float, height: float) -> Boxes:
    """Pixel xyxy to normalised xywh; the inverse of `to_pixels`."""
    scale = np.array([width, height, width, height], dtype=np.float64)
    return xyxy_to_xywh(as_boxes(boxes) / scale)


def clip_xyxy(boxes: npt.ArrayLike, width: float = 1.0, height: float = 1.0) -> Boxes:
    """Cut corner-form boxes off at the image's border.

    A box that lies wholly outside comes back with no area (``right <= left`` or
    ``bottom <= top``); dropping it is the caller's decision.
    """
    array = as_boxes(boxes)
    return np.clip(array, 0.0, np.array([width, height, width, height], dtype=np.float64))


def clip_xywh(boxes: npt.ArrayLike) -> Boxes:
    """Cut normalised xywh boxes off at the image's border.

    Boxes that lie inside come back bit for bit unchanged, so that saving what was
    loaded never moves a box by a rounding error.
    """
    array = as_boxes(boxes)
    corners = xywh_to_xyxy(array)
    outside = ((corners < 0.0) | (corners > 1.0)).any(axis=1)
    if not outside.any():
        return array
    clipped = array.copy()
    clipped[outside] = xyxy_to_xywh(clip_xyxy(corners[outside]))
    return clipped


def clip_box(x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
    """Return the numbers that `clip_xywh` makes of one box, in a twentieth of the time."""
    left, right = x - width / 2, x + width / 2
    top, bottom = y - height / 2, y + height / 2
    if 0.0 <= left <= 1.0 and 0.0 <= top <= 1.0 and 0.0 <= right <= 1.0 and 0.0 <= bottom <= 1.0:
        return x, y, width, height
    left, right = min(max(left, 0.0), 1.0), min(max(right, 0.0), 1.0)
    top, bottom = min(max(top, 0.0), 1.0), min(max(bottom, 0.0), 1.0)
    width, height = right - left, bottom - top
    return left + width / 2, top + height / 2, width, height


def area(boxes: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Area of corner-form boxes, shape ``(n,)``; 0 for boxes that are inside out."""
    array = as_boxes(boxes)
    size = np.clip(array[:, 2:] - array[:, :2], 0.0, None)
    return np.asarray(size[:, 0] * size[:, 1])


_PAIRS_AT_ONCE = 1 << 20


def overlapping(
    first: npt.ArrayLike, second: npt.ArrayLike, least: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the pairs of corner-form boxes whose `iou` is at least so high.

    However many boxes there are, some megabytes are enough to find them.

    Parameters
    ----------
    first : array_like, shape (n, 4)
    second : array_like, shape (m, 4)
    least : float
        Above 0.

    Returns
    -------
    rows, columns : ndarray of int64, shape (pairs,)
        Places in `first` and in `second`, in ascending order.
    overlap : ndarray of float64, shape (pairs,)
    """
    a, b = as_boxes(first), as_boxes(second)
    step = max(_PAIRS_AT_ONCE // max(len(b), 1), 1)
    found = []
    for start in range(0, len(a), step):
        overlap = iou(a[start : start + step], b)
        rows, columns = np.nonzero(overlap >= least)
        found.append((rows + start, columns, overlap[rows, columns]))
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    rows, columns, overlaps = (np.concatenate(column) for column in zip(*found, strict=True))
    return rows, columns, overlaps


def iou(first: npt.ArrayLike, second: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Intersection over union (Jaccard index) of every pair of corner-form boxes.

    Parameters
    ----------
    first : array_like, shape (n, 4)
    second : array_like, shape (m, 4)
        In the same frame as `first`.

    Returns
    -------
    ndarray of float64, shape (n, m)
        0..1; 0 where both boxes are empty.
    """
    a, b = as_boxes(first), as_boxes(second)
    top_left = np.maximum(a[:, np.newaxis, :2], b[np.newaxis, :, :2])
    bottom_right = np.minimum(a[:, np.newaxis, 2:], b[np.newaxis, :, 2:])
    size = np.clip(bottom_right - top_left, 0.0, None)
    shared = size[..., 0] * size[..., 1]
    union = area(a)[:, np.newaxis] + area(b)[np.newaxis, :] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))
