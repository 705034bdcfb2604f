"""Shapes as signed distances, drawn with soft edges and a record of whose each pixel is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Distance = Callable[[Floats, Floats, float], Floats]
"""``distance(x, y, radius)`` to the outline, in pixels; negative inside."""


def _circle(x: Floats, y: Floats, radius: float) -> Floats:
    return np.asarray(np.hypot(x, y) - 0.85 * radius)


def _square(x: Floats, y: Floats, radius: float) -> Floats:
    return _rectangle(x, y, 0.76 * radius, 0.76 * radius)


def _triangle(x: Floats, y: Floats, radius: float) -> Floats:
    # Equilateral: three half-planes, each half the radius away from the centre.
    slanted = np.abs(x) * np.sin(np.pi / 3) + y * 0.5
    return np.asarray(np.maximum(slanted, -y) - radius / 2)


def _bar(x: Floats, y: Floats, radius: float) -> Floats:
    return _rectangle(x, y, radius, 0.14 * radius)


def _cross(x: Floats, y: Floats, radius: float) -> Floats:
    arms = 0.75 * radius, 0.16 * radius
    return np.asarray(np.minimum(_rectangle(x, y, *arms), _rectangle(y, x, *arms)))


def _rectangle(x: Floats, y: Floats, half_width: float, half_height: float) -> Floats:
    return np.asarray(np.maximum(np.abs(x) - half_width, np.abs(y) - half_height))


SHAPES: dict[str, Distance] = {"circle": _circle, "square": _square, "triangle": _triangle}
DISTRACTORS: dict[str, Distance] = {"bar": _bar, "cross": _cross}
_DISTANCES = SHAPES | DISTRACTORS


@dataclass(frozen=True, slots=True)
class Sprite:
    """Something on a scene.

    Parameters
    ----------
    kind : str
        A key of `SHAPES` or `DISTRACTORS`.
    x, y : float
        Its centre in pixels of the image; may lie outside.
    radius : float
        Of a circle around all of it, in pixels.
    angle : float
        Rotation in radians.
    colour : tuple of float
        BGR, 0..255.
    """

    kind: str
    x: float
    y: float
    radius: float
    angle: float
    colour: tuple[float, float, float]

    @property
    def is_object(self) -> bool:
        """Whether this belongs to a class."""
        return self.kind in SHAPES


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Sprites on a background.

    Parameters
    ----------
    colours : ndarray of float64, shape (height, width, 3)
        BGR, 0..255.
    boxes : list of (int, int, int, int)
        Pixel xyxy around what is visible of each sprite; all 0 if nothing is.
    visible : list of float
        Share of each sprite's pixels that is inside the image and not covered, 0..1.
    """

    colours: Floats
    boxes: list[tuple[int, int, int, int]]
    visible: list[float]


def draw(sprites: list[Sprite], background: Floats) -> Picture:
    """Draw sprites onto a background, each over those before it.

    Parameters
    ----------
    sprites : list of Sprite
    background : ndarray of float64, shape (height, width, 3)
        BGR, 0..255; stays as it is.
    """
    colours = background.copy()
    owner = np.full(colours.shape[:2], -1, dtype=np.int64)
    areas = [_draw_one(colours, owner, index, sprite) for index, sprite in enumerate(sprites)]
    boxes, visible = [], []
    for index, area in enumerate(areas):
        rows, columns = np.nonzero(owner == index)
        visible.append(len(rows) / area)
        boxes.append(_box_around(rows, columns))
    return Picture(colours, boxes, visible)


def _draw_one(colours: Floats, owner: npt.NDArray[np.int64], index: int, sprite: Sprite) -> int:
    """Draw a sprite, note its pixels in `owner`, and return how many it has if all are seen."""
    height, width = owner.shape
    # A window around the sprite that may reach beyond the image: the part outside counts
    # for the sprite's whole area.
    reach = int(np.ceil(sprite.radius)) + 2
    left, top = int(sprite.x) - reach, int(sprite.y) - reach
    span = np.arange(2 * reach + 1, dtype=np.float64) + 0.5  # centres of pixels
    x, y = np.meshgrid(span + left - sprite.x, span + top - sprite.y)
    cosine, sine = np.cos(sprite.angle), np.sin(sprite.angle)
    turned_x, turned_y = x * cosine + y * sine, y * cosine - x * sine
    distance = _DISTANCES[sprite.kind](turned_x, turned_y, sprite.radius)

    inner = (
        slice(max(0, -top), max(0, height - top)),
        slice(max(0, -left), max(0, width - left)),
    )
    outer = (
        slice(max(0, top), max(0, top + len(span))),
        slice(max(0, left), max(0, left + len(span))),
    )
    cover = np.clip(0.5 - distance[inner], 0.0, 1.0)[..., np.newaxis]
    colours[outer] += (_paint(sprite, distance, y)[inner] - colours[outer]) * cover
    owner[outer][distance[inner] <= 0] = index
    return int(np.count_nonzero(distance <= 0))


def _paint(sprite: Sprite, distance: Floats, y: Floats) -> Floats:
    """Colour of each pixel: lighter towards the top, with a darker rim."""
    shade = 1.0 - 0.22 * y / sprite.radius
    rim = np.clip(1.0 + distance / (0.10 * sprite.radius + 1.0), 0.0, 1.0)
    shade *= 1.0 - 0.30 * rim
    return np.asarray(np.clip(shade[..., np.newaxis] * np.array(sprite.colour), 0.0, 255.0))


def _box_around(
    rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]
) -> tuple[int, int, int, int]:
    if not len(rows):
        return 0, 0, 0, 0
    # Corners lie between pixels: the last one's far side is one further on.
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1
