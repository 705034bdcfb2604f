"""Boxes that a table writes as one list, ``[20, 10, 60, 50]``, and nothing says what of.

Most mean the upper left corner and sides, some two corners. All boxes of an import mean the same,
so that which keeps all of them inside their pictures counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from workbench.datasets.changes import counted
from workbench.datasets.formats.items import Record
from workbench.datasets.formats.row_meaning import COLUMNS, CORNERS, SIDES
from workbench.persistence.image_header import ImageHeader

_SLACK = 1.0
_SLACK_FRACTIONS = 0.02
_BEYOND = 1.5  # no coordinate of a fraction is
# Shares: so many boxes that leave their pictures as a corner and sides show that they are none, ...
_MANY = 0.1
# ... if no more than so many do as two corners.
_FEW = 0.01
_ENOUGH = 3
_LARGE = 0.8

Numbers = npt.NDArray[np.float64]


def read_lists_of_four(
    pairs: Sequence[tuple[str, Record]], headers: Mapping[str, ImageHeader], chosen: str
) -> list[str]:
    """Find out what lists of four numbers are, and give their records the corners that they mean.

    Parameters
    ----------
    pairs : sequence of (str, Record)
        Pictures and what is said of them; boxes of lists are taken for a corner and sides so far.
    headers : mapping of str to ImageHeader
    chosen : str
        ``auto``, or what they are: see `Choices.rows`.

    Returns
    -------
    list of str
        What is to be said about it.
    """
    lists = [(name, record) for name, record in pairs if record.lists_of_four and record.boxes]
    if not lists:
        return []
    first = np.array([box[1:5] for _, record in lists for box in record.boxes], dtype=np.float64)
    rows = np.concatenate([first[:, :2], first[:, 2:] - first[:, :2]], axis=1)
    sizes = [size for name, record in lists for size in _sizes(record, headers[name])]
    meaning, notes = (chosen, []) if chosen != "auto" else _meaning(rows, np.array(sizes))
    if meaning == SIDES:
        return notes
    start, end = rows[:, :2], rows[:, 2:]
    low, high = (start, end) if meaning == CORNERS else (start - end / 2, start + end / 2)
    meant = iter(np.concatenate([low, high], axis=1).tolist())
    for _, record in lists:
        boxes = [(box, next(meant)) for box in record.boxes]
        record.boxes = [box._replace(x0=x0, y0=y0, x1=x1, y1=y1) for box, (x0, y0, x1, y1) in boxes]
    return notes


def _sizes(record: Record, header: ImageHeader) -> Iterator[tuple[float, float]]:
    """Yield for each box what its right and lower side may be at most."""
    known = [header.shown, (header.width, header.height)]
    widths, heights = zip(*(known if record.size is None else [*known, record.size]), strict=True)
    for box in record.boxes:
        is_fraction = max(map(abs, box[1:5])) <= _BEYOND
        yield (1.0, 1.0) if is_fraction else (float(max(widths)), float(max(heights)))


def _meaning(rows: Numbers, sizes: Numbers) -> tuple[str, list[str]]:
    slack = np.where(sizes > 1.0, _SLACK, _SLACK_FRACTIONS)
    start, end = rows[:, :2], rows[:, 2:]
    good = (start >= -slack) & (end > start) & (end <= sizes + slack)
    beyond = np.count_nonzero((start + end > sizes + slack).any(axis=1))
    odd = np.count_nonzero(~good)
    if odd > _FEW * len(rows) and odd > beyond * _MANY:
        return SIDES, []
    if beyond >= max(_MANY * len(rows), 1):
        return CORNERS, [
            f"the numbers of boxes were read as two corners ({COLUMNS[CORNERS]}), because as "
            f"{COLUMNS[SIDES]} {counted(int(beyond), 'box', 'boxes')} of {len(rows):,} would reach "
            f"out of a picture; choose rows='sides' if that is what they are"
        ]
    large = ((end / sizes) > _LARGE).any(axis=1).mean()
    if len(rows) < _ENOUGH or odd or beyond or large > 0.5:
        return SIDES, []
    return SIDES, [
        f"the numbers of {len(rows):,} boxes were read as {COLUMNS[SIDES]}, and would be inside "
        f"their pictures as two corners ({COLUMNS[CORNERS]}), too: have a look, and choose "
        f"rows='corners' if that is what they are"
    ]
