"""Entries of a ledger that are about what a file says of a picture."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.datasets.formats.items import Record
from workbench.datasets.formats.ledger import ANNOTATIONS, PICTURES, Entry, Ledger


@dataclass(frozen=True, slots=True)
class Noter:
    """Adds them.

    Parameters
    ----------
    ledger : Ledger
    """

    ledger: Ledger

    def leave(
        self,
        reason: str,
        record: Record,
        place: int,
        picture: str = "",
        detail: str = "",
        split: str | None = None,
    ) -> None:
        """Count one annotation as left."""
        self.ledger.add(
            Entry(ANNOTATIONS, "left", reason, record.file, place, picture, split or "", detail)
        )

    def leave_all(self, reason: str, record: Record, picture: str) -> None:
        """Count all annotations of a record as left."""
        places = [box.place for box in record.found] + [p.place for p in record.problems]
        for place in places:
            self.leave(reason, record, place, picture)

    def box(self, outcome: str, reason: str, record: Record, picture: str, place: int) -> None:
        """Note something of one annotation."""
        self.ledger.add(Entry(ANNOTATIONS, outcome, reason, record.file, place, picture))

    def picture(self, reason: str, record: Record, picture: str) -> None:
        """Note something of a picture."""
        self.ledger.add(Entry(PICTURES, "noted", reason, record.file, 0, picture))
