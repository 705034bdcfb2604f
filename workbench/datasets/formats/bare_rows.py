"""Tables without a header: which column is what, told by what stands in them.

::

    a.jpg,20,10,80,60,cat                       RetinaNet
    a.jpg,cat,20,10,80,60                       the class first
    a.jpg,200,100,cat,20,10,80,60               TensorFlow, its header lost
    cat,20,10,60,50,a.jpg,200,100               makesense.ai: left, top, width, height
    TRAIN,gs://b/a.jpg,cat,0.1,0.1,,,0.4,0.6,,  Google AutoML
    a.jpg 20 10 80 60 0 "cat"                   Udacity
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from workbench.datasets.formats.items import number
from workbench.persistence import IMAGE_EXTENSIONS

_PICTURE = re.compile(
    rf".+(?:{'|'.join(re.escape(e) for e in sorted(IMAGE_EXTENSIONS | {'.ppm'}))})(?:\?.*)?",
    re.IGNORECASE,
)
_SETS = frozenset({"TRAIN", "TRAINING", "VALIDATE", "VALIDATION", "TEST", "UNASSIGNED"})
_SAMPLE = 50
_AUTOML = 8


@dataclass(frozen=True, slots=True)
class Shape:
    """Which column is what.

    Parameters
    ----------
    picture : int
    numbers : (int, int, int, int)
        Two corners, or a corner and sides.
    sides : bool
        Whether the last two numbers are a width and a height.
    label : int or None
        None: there are no classes.
    split : int or None
    """

    picture: int
    numbers: tuple[int, ...]
    sides: bool
    label: int | None
    split: int | None = None


def shape_of(rows: Sequence[Sequence[str]]) -> Shape | None:
    """Return which column of a table is what; None if it holds no boxes of pictures."""
    some = [row for row in rows[:_SAMPLE] if any(row)]
    picture = next((place for place in range(2) if _all(some, place, _is_picture)), None)
    if picture is None:
        return _makesense(some)
    full = [row for row in some if len(row) > picture + 1 and any(row[picture + 1 :])]
    if not full or len({len(row) for row in full}) != 1:
        return None
    if picture == 1:
        return _automl(full) if _all(full, 0, lambda text: text.upper() in _SETS) else None
    rest = range(1, len(full[0]))
    texts = [place for place in rest if not _all(full, place, _is_number)]
    numbers = [place for place in rest if place not in texts]
    if len(texts) > 1 or len(numbers) < 4:
        return None
    label = texts[0] if texts else None
    if label is None and len(numbers) == 5:
        # The id of a class is a whole number, before the box or behind it.
        whole = [n for n in (numbers[-1], numbers[0]) if _all(full, n, str.isdigit)]
        if not whole:
            return None
        label = numbers.pop(numbers.index(whole[0]))
    if len(numbers) == 6 and label is not None and label > numbers[1]:
        numbers = numbers[2:] if label < numbers[2] else numbers[:4]
    elif len(numbers) > 4 and (label is None or label < numbers[-1]):
        return None
    found = tuple(numbers[:4])
    boxes = [[number(row[place]) for place in found] for row in full]
    ordered = all(x1 > x0 and y1 > y0 for x0, y0, x1, y1 in boxes)
    swapped = all(x1 < x0 and y1 < y0 for x0, y0, x1, y1 in boxes)
    return Shape(0, found, sides=not (ordered or swapped), label=label)


def _makesense(rows: Sequence[Sequence[str]]) -> Shape | None:
    if not rows or {len(row) for row in rows} != {8} or not _all(rows, 5, _is_picture):
        return None
    if not all(_all(rows, place, _is_number) for place in (1, 2, 3, 4, 6, 7)):
        return None
    return Shape(5, (1, 2, 3, 4), sides=True, label=0)


def _automl(rows: Sequence[Sequence[str]]) -> Shape | None:
    """Corners are given twice, or the two others are left blank."""
    if len(rows[0]) < 3 + _AUTOML - 1:
        return None
    if not all(_all(rows, place, _is_number) for place in (3, 4, 7, 8)):
        return None
    return Shape(1, (3, 4, 7, 8), sides=False, label=2, split=0)


def _all(rows: Sequence[Sequence[str]], place: int, good: Callable[[str], bool]) -> bool:
    return bool(rows) and all(len(row) > place and good(row[place]) for row in rows)


def _is_picture(text: str) -> bool:
    return _PICTURE.fullmatch(text) is not None


def _is_number(text: str) -> bool:
    try:
        number(text)
    except ValueError:
        return False
    return True
