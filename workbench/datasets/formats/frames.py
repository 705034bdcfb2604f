"""Which pixels boxes mean: all boxes of an import in columns, to fractions of what is shown.

A box may be in pixels or in fractions, of the picture as it is shown or as it was before its
EXIF rotation, of this picture or of a larger one of the same shape. What the file says of the
size tells, and where the boxes fit tells more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from workbench.datasets.formats.columns import runs_of
from workbench.datasets.formats.items import FRACTIONS, Record
from workbench.datasets.formats.row_meaning import Meant, RowChoice, meant
from workbench.datasets.judging import both, either, judge_corners
from workbench.geometry import Boxes
from workbench.persistence.image_header import TURNED, ImageHeader

_SLACK_PIXELS = 1.0
_SLACK = 0.01
_HALF = 0.5
_AT_ONCE = 1 << 14
"""So many boxes are worked on at a time, for which the processor's cache has room."""

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Placed:
    """Boxes as fractions of the picture as it is shown, and what was done for that.

    Parameters
    ----------
    boxes : ndarray of float64, shape (boxes, 4)
        Normalised xywh, clipped.
    kept : ndarray of bool, shape (boxes,)
        Whether there is an area inside the picture.
    clipped, swapped, fractions, pixels : ndarray of bool, shape (boxes,)
        What was put right: see `workbench.datasets.formats.reasons`.
    meant : Meant or None
        What rows were found to mean, if that was asked for.
    turned, rescaled, shown : ndarray of bool, shape (records,)
        Of which records all boxes were.
    odd_size, mirrored : ndarray of bool, shape (records,)
        Which nothing tells for sure.
    halved : ndarray of bool, shape (records,)
        Which have rows that lost more than half of their area when they were clipped.
    """

    boxes: Boxes
    kept: Flags
    clipped: Flags
    swapped: Flags
    fractions: Flags
    pixels: Flags
    turned: Flags
    rescaled: Flags
    shown: Flags
    odd_size: Flags
    mirrored: Flags
    halved: Flags
    meant: Meant | None = None


def place(
    records: Sequence[Record], headers: Sequence[ImageHeader], choice: RowChoice | None = None
) -> Placed:
    """Turn the boxes of records, each of the picture with that header, into what is stored.

    Parameters
    ----------
    records : sequence of Record
    headers : sequence of ImageHeader
    choice : RowChoice, optional
        For rows of YOLO label files, of which has to be found out what they mean.
    """
    rows = _corners(records)
    counts = np.array([len(record.found) for record in records], dtype=np.int64)
    owner = np.repeat(np.arange(len(records)), counts)
    swapped = (rows[:, 2] < rows[:, 0]) | (rows[:, 3] < rows[:, 1])
    frame = _Frames(records, headers)
    in_fractions = frame.in_fractions[owner]
    fractions = _fractions_for_pixels(records, rows, owner, in_fractions)
    low, high = np.minimum(rows[:, :2], rows[:, 2:]), np.maximum(rows[:, :2], rows[:, 2:])
    del rows  # there may be millions, and each array of them counts
    stored = np.array([(h.width, h.height) for h in headers], dtype=np.float64).reshape(-1, 2)
    shown = np.array([h.shown for h in headers], dtype=np.float64).reshape(-1, 2)
    if choice is not None:
        found = meant(low, high, records, owner, (shown, stored), choice)
        low, high, pixels = found.low, found.high, found.pixels
    else:
        found = None
        pixels = in_fractions & _pixels_for_fractions(low, high, shown, owner)
    in_fractions = (in_fractions & ~pixels) | fractions
    turned, as_shown = frame.turned(high, owner, in_fractions, stored, shown)
    size = np.where(turned[:, None], stored, shown)
    divisor, rescaled, odd = frame.divisor(size, high, counts, owner, in_fractions)
    orientation = np.array([h.orientation for h in headers], dtype=np.int64)
    frames = (in_fractions, divisor, size, np.where(turned, orientation, 1))
    cut = _cut(low, high, owner, frames)
    halved = np.zeros(len(records), dtype=np.bool_)
    if found is not None:
        halved[owner[cut.halved]] = True
        found.low = found.high = np.empty((0, 2))  # nobody asks for them any more
    mirrored = (orientation != 1) & ~turned & ~as_shown & ~frame.tells(stored, shown) & (counts > 0)
    return Placed(
        cut.boxes,
        cut.kept,
        cut.clipped,
        swapped,
        fractions,
        pixels,
        turned,
        rescaled,
        as_shown,
        odd,
        mirrored,
        halved,
        found,
    )


@dataclass(frozen=True, slots=True)
class _Cut:
    """Boxes that were cut off at the border, as in `Placed`; and which lost most by that."""

    boxes: Boxes
    kept: Flags
    clipped: Flags
    halved: Flags


def _cut(
    low: npt.NDArray[np.float64],
    high: npt.NDArray[np.float64],
    owner: npt.NDArray[np.int64],
    frames: tuple[Flags, npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.int64]],
) -> _Cut:
    """Bring boxes into their pictures, some at a time.

    Parameters
    ----------
    low, high : ndarray of float64, shape (boxes, 2)
    owner : ndarray of int64, shape (boxes,)
    frames : tuple of ndarray
        Which boxes are in fractions; and of each record what its pixels are divided by, the size
        of its picture, and the orientation by which its boxes are turned.
    """
    in_fractions, divisor, size, turns = frames
    number = len(owner)
    flags = (np.zeros(number, np.bool_) for _ in range(3))
    result = _Cut(np.empty((number, 4)), *flags)
    for start in range(0, number, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        own = owner[part]
        unit = np.where(in_fractions[part, None], 1.0, divisor[own])
        one, other = low[part] / unit, high[part] / unit
        judgement = judge_corners(one, other, size[own])
        result.kept[part], result.clipped[part] = judgement.kept, judgement.over
        cut_one, cut_other = np.clip(one, 0.0, 1.0), np.clip(other, 0.0, 1.0)
        boxes = np.concatenate([(cut_one + cut_other) / 2, cut_other - cut_one], axis=1)
        result.boxes[part] = _turn(boxes, turns[own])
        if judgement.over.any():
            left = (cut_other - cut_one).prod(axis=1)
            result.halved[part] = judgement.over & (left < _HALF * (other - one).prod(axis=1))
    return result


def _corners(records: Sequence[Record]) -> npt.NDArray[np.float64]:
    """Return the corners of all boxes, record by record."""
    parts: list[npt.NDArray[np.float64]] = []
    for in_columns, some in groupby(records, key=lambda record: record.plain is not None):
        if in_columns:
            runs = runs_of(record.plain for record in some if record.plain is not None)
            parts += [table.corners[start:stop] for table, start, stop in runs]
        else:
            boxes = [box[1:5] for record in some for box in record.boxes]
            parts.append(np.array(boxes, dtype=np.float64).reshape(-1, 4))
    return np.concatenate(parts) if parts else np.empty((0, 4))


def _fractions_for_pixels(
    records: Sequence[Record],
    rows: npt.NDArray[np.float64],
    owner: npt.NDArray[np.int64],
    in_fractions: Flags,
) -> Flags:
    """Whether boxes are of a file in pixels of which not one box reaches beyond 1.

    Where each picture has a file of its own, all files are looked at together.
    """
    result = np.zeros(len(owner), dtype=np.bool_)
    if in_fractions.all():
        return result
    files: dict[str, int] = {}
    number = np.array(
        [files.setdefault(r.file if r.place else "", len(files)) for r in records], dtype=np.int64
    )
    if not len(owner):
        return result
    most, broken = np.zeros(len(files)), np.zeros(len(files))
    for start in range(0, len(owner), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        group, some = number[owner[part]], rows[part]
        np.maximum.at(most, group, abs(some).max(axis=1))
        np.maximum.at(broken, group, (some != np.floor(some)).any(axis=1).astype(float))
    are_fractions = (most <= 1.0 + _SLACK) & (broken > 0)
    return np.asarray(are_fractions[number][owner] & ~in_fractions)


def _pixels_for_fractions(
    low: npt.NDArray[np.float64],
    high: npt.NDArray[np.float64],
    sizes: npt.NDArray[np.float64],
    owner: npt.NDArray[np.int64],
) -> Flags:
    """Whether boxes that cannot be fractions are inside the picture as pixels."""
    far = either(high > 1.5)
    if not far.any():
        return far
    far &= both((high - low) > 1.0)
    far &= both(low >= -_SLACK_PIXELS)
    return far & both(high <= sizes[owner] + _SLACK_PIXELS)


class _Frames:
    """What records say of the frame of their boxes, in columns."""

    def __init__(self, records: Sequence[Record], headers: Sequence[ImageHeader]) -> None:
        self._records = records
        self.in_fractions = np.array([r.unit == FRACTIONS for r in records], dtype=np.bool_)
        self._said = np.array([r.size or (0, 0) for r in records], dtype=np.float64).reshape(-1, 2)
        self._known = self._said[:, 0] > 0
        self._rotated = np.array(
            [h.orientation in TURNED and h.width != h.height for h in headers], dtype=np.bool_
        )
        self._rule = np.array([r.shown for r in records], dtype=np.bool_)

    def turned(
        self,
        high: npt.NDArray[np.float64],
        owner: npt.NDArray[np.int64],
        in_fractions: Flags,
        stored: npt.NDArray[np.float64],
        shown: npt.NDArray[np.float64],
    ) -> tuple[Flags, Flags]:
        """Return whose boxes are of the picture before its rotation, and whose only look so."""
        number = len(self._records)
        if not self._rotated.any():
            none = np.zeros(number, dtype=np.bool_)
            return none, none.copy()
        far = np.zeros((number, 2))
        np.maximum.at(far, owner[~in_fractions], high[~in_fractions])
        slack = _SLACK_PIXELS
        fits_stored = (far <= stored + slack).all(axis=1)
        fits_shown = (far <= shown + slack).all(axis=1)
        says_stored = self._known & _same_shape(self._said, stored) & self._rotated
        sure_stored = self._rotated & fits_stored & ~fits_shown
        sure_shown = self._rotated & fits_shown & ~fits_stored
        files: dict[str, int] = {}
        index = np.array([files.setdefault(r.file, len(files)) for r in self._records])
        votes = np.zeros(len(files))
        np.add.at(votes, index, sure_stored.astype(float) - sure_shown.astype(float))
        vote = votes[index]
        by_rule = np.where(self._rule, False, np.where(vote != 0, vote > 0, says_stored))
        turned = self._rotated & np.where(sure_stored, True, np.where(sure_shown, False, by_rule))
        return turned, says_stored & ~turned

    def divisor(
        self,
        size: npt.NDArray[np.float64],
        high: npt.NDArray[np.float64],
        counts: npt.NDArray[np.int64],
        owner: npt.NDArray[np.int64],
        in_fractions: Flags,
    ) -> tuple[npt.NDArray[np.float64], Flags, Flags]:
        """Return what pixels are divided by, whose boxes were scaled, and whose size is odd."""
        has_pixels = np.zeros(len(self._records), dtype=np.bool_)
        has_pixels[owner[~in_fractions]] = True
        other = self._known & (self._said != size).any(axis=1) & has_pixels
        swapped = (self._said[:, ::-1] == size).all(axis=1) & self._rotated
        alike = other & _same_shape(self._said, size) & ~swapped
        if alike.any():
            far = np.zeros((len(self._records), 2))
            starts = (np.cumsum(counts) - counts)[counts > 0]
            far[counts > 0] = np.maximum(np.maximum.reduceat(high, starts), 0.0)
            alike &= (far <= self._said + _SLACK_PIXELS).all(axis=1)
        return np.where(alike[:, None], self._said, size), alike, other & ~alike & ~swapped

    def tells(self, stored: npt.NDArray[np.float64], shown: npt.NDArray[np.float64]) -> Flags:
        """Whether the size that is written down tells a turned picture from an upright one."""
        return np.asarray(self._known & self._rotated & (stored != shown).any(axis=1)) | self._rule


def _same_shape(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> Flags:
    """Whether sizes are of one shape, up to the rounding of a scaled one."""
    with np.errstate(divide="ignore", invalid="ignore"):
        wide = abs(one[:, 0] * other[:, 1] / other[:, 0] - one[:, 1])
        high = abs(one[:, 1] * other[:, 0] / other[:, 1] - one[:, 0])
    return np.asarray((one[:, 0] > 0) & (np.minimum(wide, high) <= 1.0))


# Where the centre of a box comes to lie, by EXIF orientation: which of its coordinates then
# count from the other side (EXIF 2.3, 4.6.4); all of these exchange x and y.
_TURNS = {5: (False, False), 6: (True, False), 7: (True, True), 8: (False, True)}


def _turn(boxes: Boxes, orientation: npt.NDArray[np.int64]) -> Boxes:
    """Take boxes along when pictures are shown with their rows and columns exchanged."""
    result = boxes.copy()
    for kind, mirrored in _TURNS.items():
        chosen = orientation == kind
        if not chosen.any():
            continue
        moved = boxes[chosen][:, [1, 0, 3, 2]]
        for axis, flip in enumerate(mirrored):
            if flip:
                moved[:, axis] = 1.0 - moved[:, axis]
        result[chosen] = moved
    return result
