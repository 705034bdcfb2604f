"""Large pictures with small things on them: predicted in overlapping tiles, and joined. Pure.

A network sees a picture scaled to its input. On a picture of 4,000 pixels an object of 20 is 3
pixels for a network of 640, which is nothing. So the picture is cut into tiles in which objects
are large enough; the whole picture is looked at, too, because of objects larger than a tile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from workbench.geometry import area

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Tile = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels."""

SMALL = 16.0
"""Pixels of the network's input below which an object is easily missed."""
_WANTED = 24.0
_OVERLAP = 0.25
_FAR_LARGER = 3.0
_SMALLEST_SHARE = 0.25
_CUT_SLACK = 2.0
_SAME = 0.55
_PART = 0.6


def tile_side(width: int, height: int, network_size: int, object_size: float | None) -> int | None:
    """Return the side of the tiles that a picture needs, or None if it needs none.

    Parameters
    ----------
    width, height : int
        Of the picture.
    network_size : int
        Long side of what the network sees.
    object_size : float or None
        Side of a small object in the picture; None if that is not known: then only pictures
        that are far larger than the input are cut.
    """
    longest = max(width, height)
    if object_size is None:
        return network_size if longest > _FAR_LARGER * network_size else None
    if object_size * network_size / longest >= SMALL or longest <= network_size / 2:
        return None
    side = min(network_size, math.ceil(network_size * object_size / _WANTED))
    side = max(side, math.ceil(network_size * _SMALLEST_SHARE), math.ceil(2 * object_size))
    return side if side < longest else None


def tiles_of(width: int, height: int, side: int) -> list[Tile]:
    """Return tiles that cover a picture, each overlapping its neighbours by a quarter or more."""
    return [
        (left, top, min(left + side, width), min(top + side, height))
        for top in _starts(height, side)
        for left in _starts(width, side)
    ]


def _starts(length: int, side: int) -> list[int]:
    if length <= side:
        return [0]
    steps = math.ceil((length - side) / (side * (1 - _OVERLAP)))
    return [round(step * (length - side) / steps) for step in range(steps + 1)]


def join(
    tiles: Sequence[Tile],
    boxes: Sequence[Floats],
    class_id: Sequence[Ints],
    score: Sequence[Floats],
) -> tuple[Floats, Ints, Floats]:
    """Join what was found in tiles.

    A box that ends at an inner edge of its tile is part of an object, as long as another box
    holds most of it. Of two boxes of the same object from two tiles the surer stays.

    Parameters
    ----------
    tiles : sequence of tuple
        The first may be the whole picture.
    boxes : sequence of ndarray of float64, shape (n, 4)
        Of each tile: pixel xyxy of the whole picture.
    class_id, score : sequence of ndarray, shape (n,)

    Returns
    -------
    boxes, class_id, score : ndarray
        The surest first.
    """
    limits = np.array(tiles, dtype=np.float64).reshape(-1, 4)
    whole = np.array([0, 0, limits[:, 2].max(), limits[:, 3].max()])
    tile = np.repeat(np.arange(len(tiles)), [len(one) for one in boxes])
    everything = np.concatenate([np.reshape(one, (-1, 4)) for one in boxes])
    classes, scores = np.concatenate(class_id), np.concatenate(score)
    edge = limits[tile]
    at_edge = (np.abs(everything - edge) <= _CUT_SLACK) & (np.abs(edge - whole) > _CUT_SLACK)
    cut = at_edge.any(axis=1)
    kept: list[int] = []
    for row in np.lexsort((-scores, cut)).tolist():
        rivals = [k for k in kept if classes[k] == classes[row] and tile[k] != tile[row]]
        if rivals:
            shared = _shared(everything[row], everything[rivals])
            own, theirs = area(everything[row : row + 1])[0], area(everything[rivals])
            part = shared / max(own, 1e-9)
            same = shared / np.maximum(own + theirs - shared, 1e-9)
            if np.any(same >= _SAME) or (cut[row] and np.any(part >= _PART)):
                continue
        kept.append(row)
    order = np.array(sorted(kept, key=lambda row: -scores[row]), dtype=np.int64)
    return everything[order], classes[order], scores[order]


def _shared(box: Floats, others: Floats) -> Floats:
    size = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared: Floats = np.prod(np.clip(size, 0.0, None), axis=1)
    return shared
