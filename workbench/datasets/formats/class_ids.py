"""Class ids that count from 1 although the list of names counts from 0.

Tools that keep 0 for the background, COCO's categories and hand-made tables count so. Where there
are n names and the ids are 1..n, each one would get the name of the next class, and the last none:
nothing but counting from 1 makes sense then. Otherwise it is said, and can be chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.datasets.changes import counted
from workbench.datasets.formats.items import Record
from workbench.errors import ImportFormatError

FIRST_IDS = ("auto", "0", "1")


@dataclass(slots=True)
class IdsSeen:
    """Which class ids there were.

    Parameters
    ----------
    highest : int
        -1: none yet.
    zero : bool
        Whether 0 was one of them.
    """

    highest: int = -1
    zero: bool = False

    def add(self, class_id: int) -> None:
        """Count one more."""
        self.highest = max(self.highest, class_id)
        self.zero = self.zero or not class_id

    def from_one(self, named: int, choice: str) -> bool:
        """Whether ids are taken as counted from 1.

        Parameters
        ----------
        named : int
            How many names there are.
        choice : str
            One of `FIRST_IDS`.

        Raises
        ------
        ImportFormatError
            If that was chosen, and some are 0.
        """
        if choice == "1" and self.zero:
            raise ImportFormatError(
                "first_id: expected class ids of 1 or more, found 0; choose first_id='0'"
            )
        sure = not self.zero and named > 0 and self.highest == named
        return self.highest > 0 and (choice == "1" or (choice == "auto" and sure))


def note_of(named: int) -> str:
    """Return what is said where ids are taken as counted from 1."""
    classes = counted(named, "class is", "classes are")
    what = f"no row has the id 0, and {named} is one although {classes} named"
    return (
        f"class ids were taken as counted from 1: {what}; choose first_id='0' if they count from 0"
        if named
        else "class ids were taken as counted from 1, as was chosen"
    )


def offer(highest: int) -> str:
    """Return what is said where they may be, and nothing tells."""
    return (
        f"no class is named, and class ids run from 1 to {highest}: class_0 has no box; choose "
        f"first_id='1' if they count from 1"
    )


def count_from_one(records: Sequence[Record], classes: list[str], named: int) -> None:
    """Give each box the class before the one that its id was taken for.

    Parameters
    ----------
    records : sequence of Record
    classes : list of str
        By id; names without a class any more go. Where none was named, each keeps its own.
    named : int
        How many of them were not made up.
    """
    former = dict(zip(classes[1:], classes, strict=False)) if named else {}
    tables = set()
    for record in records:
        record.raw = None
        if record.plain is not None:
            table = record.plain.table
            if id(table) not in tables:
                tables.add(id(table))
                table.class_id[:] -= 1
        else:
            record.boxes = [
                box._replace(label=former.get(box.label, box.label)) for box in record.boxes
            ]
    if not named:
        del classes[:1]
    elif len(classes) > named:
        del classes[-1:]
