"""Boxes of one picture: from COCO's pixels to the normalised form of label files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.datasets.formats.coco_json import CocoBox
from workbench.geometry import Boxes, clip_xyxy, to_normalised
from workbench.persistence.image_bounds import header_of
from workbench.persistence.image_header import TURNED

# A box thinner than this could not be written down with eight decimals in a large image.
_THINNEST_PIXELS = 0.01

# Tools round widths and corners apart from each other; that is no box out of range.
_ROUNDING_PIXELS = 0.01

# Where the centre of a box comes to lie, by EXIF orientation: which of its coordinates
# stand for x and y, and whether they then count from the other side (EXIF 2.3, 4.6.4).
_TURNS = {5: (False, False), 6: (True, False), 7: (True, True), 8: (False, True)}


@dataclass(frozen=True, slots=True)
class PlacedBoxes:
    """Boxes as they may be stored.

    Parameters
    ----------
    boxes : ndarray of float64, shape (kept, 4)
        Normalised xywh.
    kept : ndarray of bool, shape (boxes,)
        Which of the boxes have an area inside the picture.
    clipped : int
        How many of these reached over its border.
    """

    boxes: Boxes
    kept: npt.NDArray[np.bool_]
    clipped: int


def place_boxes(boxes: Sequence[CocoBox], width: int, height: int) -> PlacedBoxes:
    """Clip and normalise boxes.

    Parameters
    ----------
    boxes : sequence of CocoBox
        Left, top, width and height in pixels.
    width, height : int
        Of the picture, in the same frame as the boxes.
    """
    pixels = np.array([box[1:] for box in boxes], dtype=np.float64).reshape(-1, 4)
    with np.errstate(over="ignore"):  # what is endlessly wide is clipped
        corners = np.concatenate([pixels[:, :2], pixels[:, :2] + pixels[:, 2:]], axis=1)
    inside = clip_xyxy(corners, width, height)
    kept = (inside[:, 2:] - inside[:, :2]).min(axis=1) >= _THINNEST_PIXELS
    over = abs(inside - corners).max(axis=1) > _ROUNDING_PIXELS
    clipped = int(np.count_nonzero(kept & over))
    return PlacedBoxes(to_normalised(inside[kept], width, height), kept, clipped)


def turn(boxes: Boxes, orientation: int) -> Boxes:
    """Take boxes along when a picture is shown with its rows and columns exchanged.

    Parameters
    ----------
    boxes : ndarray of float64, shape (n, 4)
        Normalised xywh of the picture as it is stored.
    orientation : int
        EXIF orientation, 5 to 8.

    Returns
    -------
    ndarray of float64, shape (n, 4)
        Normalised xywh of the picture as it is shown.
    """
    turned = boxes[:, [1, 0, 3, 2]]
    for axis, mirrored in enumerate(_TURNS[orientation]):
        if mirrored:
            turned[:, axis] = 1.0 - turned[:, axis]
    return turned


def orientation_of(data: bytes) -> int:
    """Return the EXIF orientation of an encoded image, 1 to 8; 1 is upright."""
    return header_of(data, "image").orientation


def is_turned(orientation: int) -> bool:
    """Whether an orientation exchanges width and height."""
    return orientation in TURNED
