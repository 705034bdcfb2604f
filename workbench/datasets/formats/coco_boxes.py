"""The boxes of COCO files: ``[x, y, width, height]``, and what other tools write in its place."""

from __future__ import annotations

import re
from typing import Any

from workbench.datasets.formats.items import corners, number

PLAIN = frozenset({int, float})
FAR = 1e15

_BETWEEN_NUMBERS = re.compile(r"\s*[,;\s]\s*")


def box_of(value: Any) -> tuple[float, float, float, float] | None:
    """Return the corners of ``[x, y, width, height]``; None if these are none with an area."""
    four = _four(value)
    if four is None:
        return None
    x, y, width, height = four
    # Nearly all are plain numbers, which NaN and infinity fall out of.
    if not (type(x) in PLAIN and type(y) in PLAIN and type(width) in PLAIN
            and type(height) in PLAIN and -FAR < x < FAR and -FAR < y < FAR
            and 0 < width < FAR and 0 < height < FAR):  # fmt: skip
        try:
            x, y, width, height = map(number, four)
        except ValueError:
            return None
    return (x, y, x + width, y + height) if width > 0 and height > 0 else None


def drawn_backwards(value: Any) -> tuple[float, float, float, float] | None:
    """Return the corners of a box with negative sides, as it was drawn: the last before the first.

    None if it is none. A side of -1 stands for no box, and nobody draws to the left of a picture.
    """
    four = _four(value)
    if four is None:
        return None
    try:
        x, y, width, height = map(number, four)
    except ValueError:
        return None
    backwards = (width < -1 or height < -1) and abs(width) > 1 and abs(height) > 1
    right, bottom = x + width, y + height
    return (x, y, right, bottom) if backwards and right >= -1 and bottom >= -1 else None


def around(outline: Any) -> tuple[float, float, float, float]:
    """Return the corners of the box around polygons, ``[[x1, y1, x2, y2, ...], ...]``."""
    if not isinstance(outline, list) or not outline:
        raise ValueError("neither a box nor an outline")
    polygons = outline if isinstance(outline[0], list) else [outline]
    if not all(isinstance(polygon, list) and len(polygon) % 2 == 0 for polygon in polygons):
        raise ValueError("an outline with half a point")
    left, top, right, bottom = corners(number(v) for polygon in polygons for v in polygon)
    if right <= left or bottom <= top:
        raise ValueError("an outline without an area")
    return left, top, right, bottom


def _four(value: Any) -> list[Any] | None:
    """Return the four parts of a box, also of one that is an object or a text; None: it is none."""
    if isinstance(value, dict):
        return [value.get(key) for key in ("x", "y", "width", "height")]
    if isinstance(value, str):  # "[20, 10, 60, 50]", as a table that was turned into JSON has it
        value = _BETWEEN_NUMBERS.split(value.strip(" []()"))
    return value if isinstance(value, list) and len(value) == 4 else None
