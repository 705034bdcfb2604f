"""Boxes in the frame of the picture as it is shown, and what was put right on the way there."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.choices import Choices
from workbench.datasets.formats.columns import Ids, PlainRows, Row
from workbench.datasets.formats.finding import RecordsOf
from workbench.datasets.formats.frames import Flags, Placed, place
from workbench.datasets.formats.items import Reading, Record
from workbench.datasets.formats.lists_of_four import read_lists_of_four
from workbench.datasets.formats.row_meaning import RowChoice
from workbench.persistence.image_header import ImageHeader

_Of = tuple[int, str]
"""A record by its identity, and the picture that it is of: one may be of several."""


@dataclass(slots=True)
class PlacedRows:
    """The rows of all records, and what is to be said of those that are taken.

    Parameters
    ----------
    rows : dict
        By record and picture; None for boxes that lie outside.
    """

    rows: dict[_Of, PlainRows | list[Row | None]] = field(default_factory=dict)
    # Flags for the boxes of all records, and where those of a record are that has any.
    _repairs: list[tuple[str, Flags]] = field(default_factory=list)
    _parts: dict[_Of, slice] = field(default_factory=dict)
    _of_records: dict[_Of, list[tuple[str, str]]] = field(default_factory=dict)
    _of_pictures: dict[_Of, list[str]] = field(default_factory=dict)

    def of(self, record: Record, name: str) -> PlainRows | list[Row | None]:
        """Return the rows of a record, as one of a picture."""
        return self.rows[id(record), name]

    def is_silent(self, record: Record, name: str) -> bool:
        """Whether there is nothing to be said of a record as one of a picture."""
        key = id(record), name
        return not (key in self._parts or key in self._of_records or key in self._of_pictures)

    def repairs(self, record: Record, name: str) -> dict[int, list[str]]:
        """Return what was put right of boxes, by their places among those of their record."""
        part = self._parts.get((id(record), name))
        found: dict[int, list[str]] = {}
        for reason, flags in self._repairs if part is not None else ():
            for number in flags[part].nonzero()[0].tolist():
                found.setdefault(number, []).append(reason)
        return found

    def marks(self, record: Record, name: str) -> list[tuple[str, str]]:
        """Return what is said of each box of a record: outcome and reason."""
        return self._of_records.get((id(record), name), [])

    def notes(self, record: Record, name: str) -> list[str]:
        """Return what is noted of a picture if boxes of a record are taken."""
        return self._of_pictures.get((id(record), name), [])


def place_all(
    by_picture: RecordsOf, headers: dict[str, ImageHeader], reading: Reading, choices: Choices
) -> PlacedRows:
    """Place the boxes of all records, in columns."""
    pairs = [(name, record) for name, found in by_picture.items() for record in found]
    records = [record for _, record in pairs]
    reading.notes += read_lists_of_four(pairs, headers, choices.rows)
    # Of rows by YOLO's rule it is chosen what they mean; other formats leave no doubt.
    choice = RowChoice(choices.rows, choices.units) if reading.rows else None
    placed = place(records, [headers[name] for name, _ in pairs], choice)
    kept = placed.kept
    repairs = [
        (why.SWAPPED, placed.swapped),
        (why.FRACTIONS, placed.fractions),
        (why.PIXELS, placed.pixels),
        (why.CLIPPED, placed.clipped),
    ]
    changed = placed.clipped | placed.pixels
    if placed.meant is not None:
        meant = placed.meant
        repairs += [
            (why.CORNER_ROWS, meant.corners),
            (why.SIDES_ROWS, meant.sides),
            (why.PERCENT, meant.percent),
        ]
        changed |= meant.corners | meant.sides | meant.percent
        reading.notes += meant.notes
    ends = np.cumsum([len(record.found) for record in records], dtype=np.int64)
    # Whether there is more to say of a record than where its boxes are.
    sums = np.append(0, np.cumsum(changed | ~kept))
    odd = ((np.diff(sums[np.append(0, ends)]) > 0) | placed.turned).tolist()
    found = PlacedRows()
    start = 0
    for (name, record), end, turned, is_odd in zip(
        pairs, ends.tolist(), placed.turned.tolist(), odd, strict=True
    ):
        if is_odd:
            record.raw = None
        if record.plain is not None and not is_odd:
            found.rows[id(record), name] = PlainRows(record.plain, placed.boxes, start)
        else:
            part = slice(start, end)
            found.rows[id(record), name] = [
                Row(box.label, x, y, w, h, None if moved or turned else box.rest, box.extra)
                if good
                else None
                for box, good, moved, (x, y, w, h) in zip(
                    record.found,
                    kept[part].tolist(),
                    changed[part].tolist(),
                    placed.boxes[part].tolist(),
                    strict=True,
                )
            ]
        start = end
    _mark_frames(pairs, placed, found)
    _mark_boxes(pairs, ends, repairs, found)
    return found


def _mark_frames(pairs: list[tuple[str, Record]], placed: Placed, found: PlacedRows) -> None:
    """Mark the records all of whose boxes were put right, and those nothing tells for sure of."""
    of_boxes = (
        (placed.turned, why.TURNED, "repaired"),
        (placed.rescaled, why.RESCALED, "repaired"),
        (placed.shown, why.SHOWN, "noted"),
    )
    of_pictures = (
        (placed.odd_size, why.SIZES),
        (placed.mirrored, why.MIRRORED),
        (placed.halved, why.HALVED),
    )
    told = placed.turned | placed.rescaled | placed.shown
    told = told | placed.odd_size | placed.mirrored | placed.halved
    for index in told.nonzero()[0].tolist():
        name, record = pairs[index]
        marks = [(outcome, reason) for flags, reason, outcome in of_boxes if flags[index]]
        notes = [reason for flags, reason in of_pictures if flags[index]]
        if marks:
            found._of_records[id(record), name] = marks
        if notes:
            found._of_pictures[id(record), name] = notes


def _mark_boxes(
    pairs: list[tuple[str, Record]],
    ends: Ids,
    repairs: list[tuple[str, Flags]],
    found: PlacedRows,
) -> None:
    """Keep what was put right of single boxes."""
    found._repairs = repairs
    numbers = np.flatnonzero(np.any([flags for _, flags in repairs], axis=0))
    for index in dict.fromkeys(np.searchsorted(ends, numbers, side="right").tolist()):
        name, record = pairs[index]
        end = int(ends[index])
        found._parts[id(record), name] = slice(end - len(record.found), end)
