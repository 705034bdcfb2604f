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

# The same as in the browser (panels/shared/static/colours.mjs): eight colours after the
# idea of Okabe and Ito (Color Universal Design, 2008), told apart with every common kind of
# colour vision, then steps round the hue circle by the golden angle. As web colours.
_PALETTE = ("f0a30a", "56b4e9", "00b88a", "f5e642", "3b8beb", "e8622c", "dd8ac0", "c9c9c9")
_GOLDEN_ANGLE = 137.508
_SATURATION = 0.72
_LIGHTNESS = (0.62, 0.45, 0.75)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_TALLEST_LABEL = 0.05  # of the image's shorter side


def class_colour(class_id: int, chosen: Sequence[str] = ()) -> Colour:
    """Return a class's colour, BGR: the one that the annotation canvas shows it in.

    Parameters
    ----------
    class_id : int
    chosen : sequence of str
        `DatasetInfo.colours`.
    """
    if 0 <= class_id < len(chosen) and chosen[class_id]:
        red, green, blue = bytes.fromhex(chosen[class_id].removeprefix("#"))
        return blue, green, red
    if class_id < len(_PALETTE):
        red, green, blue = bytes.fromhex(_PALETTE[max(class_id, 0)])
        return blue, green, red
    index = class_id - len(_PALETTE)
    return _from_hsl((20 + index * _GOLDEN_ANGLE) % 360, _LIGHTNESS[index % len(_LIGHTNESS)])


def draw_boxes(
    frame: Frame,
    annotations: Sequence[Annotation],
    classes: Sequence[str] = (),
    *,
    colours: Sequence[str] = (),
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
    colours : sequence of str
        `DatasetInfo.colours`; default: the colours that belong to the ids.
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
        _draw_box(picture, corner, class_colour(annotation.class_id, colours), thickness)
    for annotation, corner in zip(annotations, corners, strict=True):
        colour = class_colour(annotation.class_id, colours)
        _draw_label(picture, corner, _text(annotation, classes), colour)
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
    # Relative luminance (WCAG 2.2) with the threshold of the browser's labels.
    levels = np.array(paper) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    return (0, 0, 0) if linear @ (0.0722, 0.7152, 0.2126) > 0.22 else (255, 255, 255)


def _from_hsl(hue: float, lightness: float) -> Colour:
    # CSS Color Module Level 4, section 7; halves are rounded up, as JavaScript does.
    reach = _SATURATION * min(lightness, 1 - lightness)

    def channel(offset: int) -> int:
        k = (offset + hue / 30) % 12
        return int(255 * (lightness - reach * max(-1.0, min(k - 3, 9 - k, 1.0))) + 0.5)

    return channel(4), channel(8), channel(0)
