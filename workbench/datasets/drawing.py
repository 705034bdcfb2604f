"""Boxes drawn on an image, to be looked at; pure functions on arrays."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from workbench.errors import InvalidFrameError
from workbench.geometry import to_pixels
from workbench.persistence.models import Annotation, Prediction

Frame = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

# Okabe and Ito, "Color Universal Design" (https://jfly.uni-koeln.de/color/): told apart with
# every common kind of colour vision. RGB there, BGR here; black is kept for outlines.
_PALETTE: tuple[Colour, ...] = (
    (0, 159, 230),  # orange
    (233, 180, 86),  # sky blue
    (115, 158, 0),  # bluish green
    (66, 228, 240),  # yellow
    (178, 114, 0),  # blue
    (0, 94, 213),  # vermillion
    (167, 121, 204),  # reddish purple
)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_TALLEST_LABEL = 0.05  # of the image's shorter side


def class_colour(class_id: int) -> Colour:
    """Return a class's colour, BGR.

    The first seven are the Okabe-Ito palette; the next seven are lighter, the seven after
    that darker, and then it begins anew.
    """
    colour = np.array(_PALETTE[class_id % len(_PALETTE)], dtype=np.float64)
    shade = class_id // len(_PALETTE) % 3
    if shade == 1:
        colour = colour * 0.5 + 255 * 0.5
    elif shade == 2:
        colour = colour * 0.5
    blue, green, red = colour.astype(int).tolist()
    return blue, green, red


def draw_boxes(
    frame: Frame,
    annotations: Sequence[Annotation],
    classes: Sequence[str] = (),
    *,
    min_side: int = 480,
) -> Frame:
    """Return a copy of an image with boxes, class names and confidences drawn on it.

    Parameters
    ----------
    frame : ndarray of uint8, shape (height, width, 3)
        BGR; stays as it is.
    annotations : sequence of Annotation or Prediction
        Predictions show their confidence.
    classes : sequence of str
        Class names; an id without one is shown as ``class 7``.
    min_side : int
        A picture whose longer side is shorter than this is first enlarged by a whole
        factor, so that names can be read. 1 keeps every picture's size.

    Returns
    -------
    ndarray of uint8, shape (height * factor, width * factor, 3)
        BGR.
    """
    factor = max(1, -(-min_side // max(frame.shape[:2])))
    picture = np.repeat(np.repeat(frame, factor, axis=0), factor, axis=1)
    height, width = picture.shape[:2]
    pixels = to_pixels([annotation.xywh for annotation in annotations], width, height)
    corners = np.rint(pixels).astype(int).tolist()
    thickness = max(2, round(min(height, width) / 200))
    # All boxes first, so that no box crosses out a name.
    for annotation, corner in zip(annotations, corners, strict=True):
        _draw_box(picture, corner, class_colour(annotation.class_id), thickness)
    for annotation, corner in zip(annotations, corners, strict=True):
        _draw_label(picture, corner, _text(annotation, classes), class_colour(annotation.class_id))
    return picture


def to_png(frame: Frame) -> bytes:
    """Encode a picture as PNG, which notebooks show (``IPython.display.Image(data)``).

    Parameters
    ----------
    frame : ndarray of uint8, shape (height, width, 3)
        BGR.

    Raises
    ------
    InvalidFrameError
        If it cannot be encoded.
    """
    good, data = cv2.imencode(".png", frame)
    if not good:
        raise InvalidFrameError(f"a picture of shape {frame.shape} cannot be encoded as PNG")
    return bytes(data)


def _text(annotation: Annotation, classes: Sequence[str]) -> str:
    class_id = annotation.class_id
    name = classes[class_id] if 0 <= class_id < len(classes) else f"class {class_id}"
    if isinstance(annotation, Prediction):
        return f"{name} {annotation.confidence:.2f}"
    return name


def _draw_box(picture: Frame, corner: list[int], colour: Colour, thickness: int) -> None:
    left, top, right, bottom = corner
    # Box edges lie between pixels; the last pixel inside is the one before right and bottom.
    first, last = (left, top), (max(left, right - 1), max(top, bottom - 1))
    # A dark seam on both sides keeps the line visible on a background of its own colour.
    cv2.rectangle(picture, first, last, (0, 0, 0), thickness + 2)
    cv2.rectangle(picture, first, last, colour, thickness)


def _draw_label(picture: Frame, corner: list[int], text: str, colour: Colour) -> None:
    height, width = picture.shape[:2]
    scale = max(0.4, min(height, width) * _TALLEST_LABEL / 30)
    strokes = max(1, round(scale * 1.5))
    (text_width, text_height), descent = cv2.getTextSize(text, _FONT, scale, strokes)
    pad = max(2, text_height // 4)
    box_width, box_height = text_width + 2 * pad, text_height + descent + 2 * pad
    left = min(max(corner[0], 0), max(0, width - box_width))
    above = corner[1] - box_height
    top = above if above >= 0 else min(max(corner[1], 0), max(0, height - box_height))
    cv2.rectangle(picture, (left, top), (left + box_width, top + box_height), colour, cv2.FILLED)
    baseline = (left + pad, top + pad + text_height)
    cv2.putText(picture, text, baseline, _FONT, scale, _ink(colour), strokes, cv2.LINE_AA)


def _ink(paper: Colour) -> Colour:
    # Rec. 601 luma, the weights for R'G'B': black on light colours, white on dark ones.
    blue, green, red = paper
    luma = 0.114 * blue + 0.587 * green + 0.299 * red
    return (0, 0, 0) if luma > 110 else (255, 255, 255)
