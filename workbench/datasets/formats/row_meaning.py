"""What the four numbers of a label row mean: YOLO's centre and sides, or what others write there.

::

    0.25 0.35 0.3 0.5     centre: x y width height, as fractions of the picture; YOLO's rule
    20 10 80 60           corners: x1 y1 x2 y2, here in pixels
    20 10 60 50           sides: left top width height, as in COCO
    10 10 40 60           any of these in percent of the picture

One row can often be read in several ways, all rows of a set mostly in one only: that which keeps
every box inside its picture, with an area. Where several do, the rule of the format counts, and
it is said. Rows of a set that are beyond 1 are looked at apart from those that are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from workbench.datasets.changes import counted
from workbench.datasets.formats.items import FRACTIONS, PIXELS, Record, is_box_with_score

CENTRE, CORNERS, SIDES, PERCENT = "centre", "corners", "sides", "percent"

LAYOUTS = (CENTRE, CORNERS, SIDES)
UNITS = (FRACTIONS, PIXELS, PERCENT)
COLUMNS = {CENTRE: "x y width height", CORNERS: "x1 y1 x2 y2", SIDES: "left top width height"}

_BEYOND = 1.5  # no coordinate of a fraction is, however sloppy
_FULL = {FRACTIONS: 1.0, PERCENT: 100.0}
_SLACK = {FRACTIONS: 0.02, PIXELS: 1.0, PERCENT: 2.0}
_LEAST_SIDE = {FRACTIONS: 1e-9, PIXELS: 1.0, PERCENT: 0.05}
# Shares of rows: so many may misfit what is taken in place of the rule, ...
_FEW = 0.01
# ... so many must misfit the rule for that, ...
_MANY = 0.1
# ... and so many of those beyond 1 must fit what they are taken for.
_MOST = 0.9
_ENOUGH = 3
_SAMPLE = 1000

Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]
Meaning = tuple[str, str]
"""A layout and a unit."""


@dataclass(frozen=True, slots=True)
class RowChoice:
    """What was chosen about rows; ``auto`` where they shall tell.

    Parameters
    ----------
    layout : str
        ``auto``, or one of `LAYOUTS`.
    unit : str
        ``auto``, or one of `UNITS`.
    """

    layout: str = "auto"
    unit: str = "auto"


@dataclass(slots=True)
class Meant:
    """Rows after what they mean was found out.

    Parameters
    ----------
    low, high : ndarray of float64, shape (rows, 2)
        Upper left and lower right corner, in fractions or in pixels.
    pixels, percent, corners, sides : ndarray of bool, shape (rows,)
        Which were in that unit or layout.
    notes : list of str
        What else the rows could mean.
    """

    low: Numbers
    high: Numbers
    pixels: Flags
    percent: Flags
    corners: Flags
    sides: Flags
    notes: list[str] = field(default_factory=list)


def are_four(records: Iterable[Record]) -> Flags:
    """Return which boxes are of four numbers; the others are polygons or have keypoints."""
    flags: list[bool] = []
    for record in records:
        if record.plain is not None:
            flags += [True] * len(record.plain)
        else:
            flags += [not b.shape or is_box_with_score(b) for b in record.boxes]
    return np.array(flags, dtype=np.bool_)


def meant(
    low: Numbers,
    high: Numbers,
    records: Sequence[Record],
    owner: npt.NDArray[np.int64],
    sizes: tuple[Numbers, Numbers],
    choice: RowChoice,
) -> Meant:
    """Find out what rows mean.

    Parameters
    ----------
    low, high : ndarray of float64, shape (rows, 2)
        The corners by YOLO's rule.
    records : sequence of Record
    owner : ndarray of int64, shape (rows,)
        The record of each row.
    sizes : two ndarrays of float64, shape (records, 2)
        Width and height of each record's picture: as it is shown, and as it is stored.
    choice : RowChoice
    """
    none = np.zeros(len(low), dtype=np.bool_)
    result = Meant(low, high, none, none.copy(), none.copy(), none.copy())
    if not len(low) or (choice == RowChoice() and _is_surely_by_rule(low, high)):
        return result
    four = are_four(records)
    rows = _Rows(low, high, four, (sizes[0][owner], sizes[1][owner]))
    beyond = np.where(four, rows.most_number(), high.max(axis=1)) > _BEYOND
    for part in (beyond, ~beyond):
        if not part.any():
            continue
        meaning, others = rows.part(part).meaning(choice, beyond=part is beyond)
        if meaning is None:
            continue
        _take(result, rows, part, meaning)
        result.notes += _said(meaning, others, int(part.sum()))
    return result


def _is_surely_by_rule(low: Numbers, high: Numbers) -> bool:
    """Whether all rows fit the rule, and some of the first ones nothing else.

    That is what nearly all sets are like, and there may be millions of rows.
    """
    slack = _SLACK[FRACTIONS]
    if low.min() < -slack or high.max() > 1.0 + slack:
        return False
    start, end = low[:_SAMPLE], high[:_SAMPLE]
    return bool(((end - start) < (start + end) / 2).any())


def _take(result: Meant, rows: _Rows, part: Flags, meaning: Meaning) -> None:
    layout, unit = meaning
    if layout != CENTRE:
        one, other = rows.corners(layout)
        result.low = np.where(part[:, None], np.minimum(one, other), result.low)
        result.high = np.where(part[:, None], np.maximum(one, other), result.high)
        flags = result.corners if layout == CORNERS else result.sides
        flags |= part & rows.four
    if unit == PIXELS:
        result.pixels |= part
    elif unit == PERCENT:
        result.percent |= part
        divisor = np.where(part, _FULL[PERCENT], 1.0)[:, None]
        result.low, result.high = result.low / divisor, result.high / divisor


def _said(meaning: Meaning, others: Sequence[Meaning], count: int) -> list[str]:
    if not others:
        return []
    (layout, unit), (other, other_unit) = meaning, others[0]
    change = f"rows={other!r}" if other != layout else f"units={other_unit!r}"
    return [
        f"{counted(count, 'row was', 'rows were')} read as {COLUMNS[layout]} in {unit}, and would "
        f"be inside "
        f"their pictures as {COLUMNS[other]} in {other_unit}, too: have a look, and choose "
        f"{change} if that is what they are"
    ]


class _Rows:
    """Rows, and how well they fit what they could mean."""

    def __init__(
        self, low: Numbers, high: Numbers, four: Flags, sizes: tuple[Numbers, Numbers]
    ) -> None:
        self._low, self._high, self._sizes = low, high, sizes
        self.four = four

    def part(self, chosen: Flags) -> _Rows:
        """Return some of the rows."""
        if chosen.all():
            return self
        shown, stored = (size[chosen] for size in self._sizes)
        return _Rows(self._low[chosen], self._high[chosen], self.four[chosen], (shown, stored))

    def most_number(self) -> Numbers:
        """Return the largest of the four numbers of each row."""
        centre = (self._low + self._high) / 2
        return np.asarray(np.maximum(centre, self._high - self._low).max(axis=1))

    def corners(self, layout: str) -> tuple[Numbers, Numbers]:
        """Return both corners, as they stand there: the second may come first."""
        if layout == CENTRE:
            return self._low, self._high
        start, end = (self._low + self._high) / 2, self._high - self._low
        if layout == SIDES:
            end = start + end
        four = self.four[:, None]
        return np.where(four, start, self._low), np.where(four, end, self._high)

    def misfits(self, meaning: Meaning) -> int:
        """Return how many boxes would leave their picture or have no area."""
        layout, unit = meaning
        low, high = self.corners(layout)
        slack = _SLACK[unit]
        good = ((low >= -slack) & (high - low >= _LEAST_SIDE[unit])).all(axis=1)
        if unit == PIXELS:
            inside = [(high <= size + slack).all(axis=1) for size in self._sizes]
            good &= inside[0] | inside[1]
        else:
            good &= (high <= _FULL[unit] + slack).all(axis=1)
        return int(np.count_nonzero(~good))

    def meaning(self, choice: RowChoice, *, beyond: bool) -> tuple[Meaning | None, list[Meaning]]:
        """Return what the rows mean, and what they could mean as well.

        Parameters
        ----------
        choice : RowChoice
        beyond : bool
            Whether they are those that are beyond 1.
        """
        layouts = LAYOUTS if choice.layout == "auto" else (choice.layout,)
        units: tuple[str, ...] = (PIXELS, PERCENT) if beyond else (FRACTIONS,)
        if choice.unit != "auto":
            units = (choice.unit,)
        candidates = [(layout, unit) for layout in layouts for unit in units]
        if not beyond and len(layouts) > 1 and len(units) == 1:
            return self._within(candidates)
        misfits = {candidate: self.misfits(candidate) for candidate in candidates}
        best = self._best(candidates, misfits)
        if choice.unit == "auto" and misfits[best] > (1 - _MOST) * len(self.four):
            return None, []
        return best, [c for c in candidates if c != best and not misfits[c]]

    def _within(self, candidates: Sequence[Meaning]) -> tuple[Meaning, list[Meaning]]:
        """Return the same for rows of fractions, of which nearly all are by the rule."""
        rule, corners, sides = candidates
        count = len(self.four)
        bad = self.misfits(rule)
        if bad < max(_MANY * count, 1):
            also = count >= _ENOUGH and not self._large() and not self.misfits(corners)
            return rule, [corners] if also else []
        if self.misfits(corners) <= _FEW * count:
            return corners, []
        if bad > 1 and self.misfits(sides) <= _FEW * count:
            return sides, []
        return rule, []

    def _large(self) -> bool:
        """Whether boxes are as large as their pictures, which any reading makes sense of."""
        return bool(((self._high - self._low) > 0.8).any(axis=1).mean() > 0.5)

    def _best(self, candidates: Sequence[Meaning], misfits: dict[Meaning, int]) -> Meaning:
        rule = candidates[0]
        best = min(candidates, key=lambda c: misfits[c])  # of equals the first
        count = len(self.four)
        if misfits[rule] < max(_MANY * count, 1) or misfits[best] > _FEW * count:
            best = rule if misfits[rule] <= (1 - _MOST) * count else best
        percent = (best[0], PERCENT)
        if best[1] == PIXELS and percent in misfits and misfits[percent] <= misfits[best]:
            return percent if self._in_a_corner(best[0]) else best
        return best

    def _in_a_corner(self, layout: str) -> bool:
        """Whether as pixels all would lie in a quarter of their pictures, as percent not."""
        _, high = self.corners(layout)
        as_pixels = (high / np.maximum(self._sizes[0], 1)).max(axis=0)
        return bool((as_pixels < 0.5).all() and high.max() > _FULL[PERCENT] / 2)
