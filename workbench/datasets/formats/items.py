"""What readers of all formats hand on: pictures that a file speaks of, with their boxes.

A reader turns text into these and looks at no picture; pairing, frames, counting and writing
are the business of one loop, see `workbench.datasets.formats.reading`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from workbench.datasets.formats.columns import PlainBoxes

PIXELS = "pixels"
FRACTIONS = "fractions"

POLYGON = "polygon"
ROTATED = "rotated"
MASK = "mask"
KEYPOINTS = "keypoints"
CROWD = "crowd"
"""What an annotation was more than a box."""


SAYS_LOOKED_AT = frozenset(
    {"reviewed", "checked", "verified", "done", "empty", "background", "negative"}
)
"""What is said of a picture as a whole by somebody who has looked for things in it."""


# A tuple, because there may be a million of them.
class Box(NamedTuple):
    """One annotation as its file has it.

    Parameters
    ----------
    label : str
        Name of its class.
    x0, y0, x1, y1 : float
        Two opposite corners, in the unit of its record.
    place : int
        Line or element in the file, counted from 1.
    shape : str
        What it is more than a box; its box is what is taken.
    rest : str or None
        Of a row in YOLO format what stands behind the class, to be kept as it is.
    extra : mapping or None
        What YOLO has no place for: ``difficult``, ``occluded``, a track, a score.
    """

    label: str
    x0: float
    y0: float
    x1: float
    y1: float
    place: int
    shape: str = ""
    rest: str | None = None
    extra: Mapping[str, Any] | None = None


def is_box_with_score(box: Box) -> bool:
    """Whether this is a row of YOLO of a box and a confidence, in whatever order."""
    return bool(
        box.extra and box.extra.keys() == {"score"} and box.rest and box.rest.count(" ") == 4
    )


class Problem(NamedTuple):
    """One annotation that cannot be taken, or one that was repaired by its reader."""

    reason: str
    place: int
    detail: str = ""


@dataclass(slots=True)
class Record:
    """What one file says of one picture.

    Parameters
    ----------
    file : str
    picture : str
        As the file calls it, with or without folders and extension; empty: the one that is
        called like the file.
    boxes : list of Box
    problems : list of Problem
        Annotations that could not be read; with the boxes they are all that were found.
    repairs : list of Problem
        Boxes that were put right by the reader; these are among `boxes`.
    size : (int, int) or None
        Width and height that the file says.
    split : str or None
        That the file says.
    unit : str
        `PIXELS` or `FRACTIONS`.
    reviewed : bool
        Whether no annotations mean that there is nothing in the picture.
    shown : bool
        Whether the tool is known to measure pictures as they are shown, after their EXIF
        rotation, whatever size it writes down.
    raw : bytes or None
        The whole label file, if it may be kept as it is.
    place : int
        Element of the file that is this record; 0 where each picture has a file of its own.
    also : str
        Another name that the picture may have.
    plain : PlainBoxes or None
        The boxes in columns, in place of `boxes`, where there is nothing odd about any.
    lists_of_four : bool
        Whether nothing says what the four numbers of a box are; see
        `workbench.datasets.formats.lists_of_four`.
    """

    file: str
    picture: str = ""
    boxes: list[Box] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    repairs: list[Problem] = field(default_factory=list)
    size: tuple[int, int] | None = None
    split: str | None = None
    unit: str = PIXELS
    reviewed: bool = True
    shown: bool = False
    raw: bytes | None = None
    place: int = 0
    also: str = ""
    plain: PlainBoxes | None = None
    lists_of_four: bool = False

    @property
    def found(self) -> Sequence[Box]:
        """All boxes, however they are kept."""
        return self.boxes if self.plain is None else self.plain

    def drop(self, unwanted: str) -> list[Box]:
        """Take the boxes of a shape out, and return them."""
        dropped = [box for box in self.found if box.shape == unwanted]
        if dropped:
            self.boxes = [box for box in self.found if box.shape != unwanted]
            self.plain = None
        return dropped


@dataclass(slots=True)
class Reading:
    """What a reader has found.

    Parameters
    ----------
    records : iterable of Record
        May be a generator.
    classes : list of str
        In the order of the format, as far as it says; whole once `records` are used up.
    declared : bool
        Whether that order means something; else the names are sorted.
    used : set of str
        Files that were read.
    extra : dict
        Further keys for ``data.yaml``.
    notes : list of str
    problems : list of (str, Problem)
        Annotations that belong to no picture, with their file.
    splits : dict of str to str
        Split by picture, where the format has lists.
    unreadable : list of (str, str)
        Annotation files that cannot be read, and why.
    rows : bool
        Whether boxes are rows of four numbers by YOLO's rule, which not everybody keeps to; see
        `workbench.datasets.formats.row_meaning`.
    amend : callable, optional
        Puts right what only all records together tell; gets them, and `Choices.first_id`.
    """

    records: Iterable[Record] = ()
    classes: list[str] = field(default_factory=list)
    declared: bool = False
    used: set[str] = field(default_factory=set)
    extra: dict[str, object] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: list[tuple[str, Problem]] = field(default_factory=list)
    splits: dict[str, str] = field(default_factory=dict)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    rows: bool = False
    amend: Callable[[list[Record], str], None] | None = None


@dataclass(frozen=True, slots=True)
class Detection:
    """What a format's ``detect`` thinks of what there is.

    Parameters
    ----------
    confidence : float
        0: surely not this format; 1: surely this one.
    reason : str
        One sentence for people.
    files : sequence of str
        Annotation files that are in this format.
    """

    confidence: float = 0.0
    reason: str = ""
    files: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Options:
    """What readers have to know of the choices that were made.

    Parameters
    ----------
    one_based : bool or None
        Whether pixels count from 1; None: as the format says.
    tick : callable
        Called now and then; may raise to cancel.
    """

    one_based: bool | None = None
    tick: Callable[[], None] = lambda: None


def corners(points: Iterable[float]) -> tuple[float, float, float, float]:
    """Return the box around ``x1, y1, x2, y2, ...``.

    Raises
    ------
    ValueError
        If there are less than two points, or half a point.
    """
    flat = list(points)
    if len(flat) < 4 or len(flat) % 2:
        raise ValueError(f"expected points with x and y, found {len(flat)} numbers")
    xs, ys = flat[0::2], flat[1::2]
    return min(xs), min(ys), max(xs), max(ys)


def point_list(points: Any) -> tuple[float, float, float, float]:
    """Return the box around ``[[x, y], ...]``, or around ``[{"x": .., "y": ..}, ...]``.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    flat: list[float] = []
    try:
        for point in points:
            x, y = (point["x"], point["y"]) if isinstance(point, dict) else point[:2]
            flat += (number(x), number(y))
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"expected points, found {str(points)[:60]}") from error
    return corners(flat)


def rotated_around(
    left: float, top: float, right: float, bottom: float, degrees: float
) -> tuple[float, float, float, float]:
    """Return the box around a box that is turned about its centre."""
    x, y, width, height = (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
    cos, sin = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    across, down = width * cos + height * sin, width * sin + height * cos
    return x - across / 2, y - down / 2, x + across / 2, y + down / 2


def number(value: Any) -> float:
    """Return a finite number.

    Raises
    ------
    ValueError
        If it is none.
    """
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        found = float("nan")
    if not -1e15 < found < 1e15:
        raise ValueError(f"expected a number, found {str(value)[:40]!r}")
    return found


def size_of(width: Any, height: Any) -> tuple[int, int] | None:
    """Return a picture's size if it is one."""
    try:
        found = round(number(width)), round(number(height))
    except ValueError:
        return None
    return found if min(found) > 0 else None


def said_by(error: Exception) -> str:
    """Return what is wrong with a row, in words: of a missing key Python says the key alone."""
    return f"has no {error}" if isinstance(error, KeyError) else str(error)


def name_of(value: Any) -> str:
    """Return the name of a class with single spaces.

    Raises
    ------
    ValueError
        If there is none.
    """
    if isinstance(value, str | int) and not isinstance(value, bool):
        text = " ".join(str(value).split())
        if text:
            return text
    raise ValueError(f"expected the name of a class, found {str(value)[:40]!r}")
