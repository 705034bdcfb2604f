"""What became of everything that an import has found: found = taken + left, always."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from workbench.datasets.formats.reasons import SENTENCES, sentence_of
from workbench.persistence.counting import counted
from workbench.persistence.stored_json import MALFORMED

if TYPE_CHECKING:
    import pandas as pd

FILES, PICTURES, ANNOTATIONS = "files", "pictures", "annotations"
UNITS = (FILES, PICTURES, ANNOTATIONS)

_KEPT = 20_000
"""So many entries of one reason are kept; all are counted."""

Key = tuple[str, str, str]
"""Unit, outcome and reason."""


class Entry(NamedTuple):
    """One thing that was left out or repaired.

    Parameters
    ----------
    unit : str
        ``files``, ``pictures`` or ``annotations``.
    outcome : str
        ``left``, ``repaired`` (which is taken, too) or ``noted``.
    reason : str
        One of `workbench.datasets.formats.reasons`.
    file : str
        Where it stood.
    place : int
        Line or element there, counted from 1; 0 for the whole.
    picture : str
        The picture it is about, if it is known.
    split : str
    detail : str
    """

    unit: str
    outcome: str
    reason: str
    file: str
    place: int = 0
    picture: str = ""
    split: str = ""
    detail: str = ""


@dataclass(slots=True)
class Ledger:
    """The account of one import.

    Parameters
    ----------
    format : str
    found, taken : Counter of str
        By unit.
    by_split : Counter of (str, str)
        What was taken, by unit and split.
    put_right : Counter of str
        How many of what was taken were repaired, by unit; each once, whatever was done to it.
    reasons : Counter of (str, str, str)
        What was left or repaired, by unit, outcome and reason.
    entries : list of Entry
        Each of these, up to 20,000 of one reason.
    """

    format: str = ""
    found: Counter[str] = field(default_factory=Counter)
    taken: Counter[str] = field(default_factory=Counter)
    by_split: Counter[tuple[str, str]] = field(default_factory=Counter)
    put_right: Counter[str] = field(default_factory=Counter)
    reasons: Counter[Key] = field(default_factory=Counter)
    entries: list[Entry] = field(default_factory=list, repr=False)
    # Of how many entries beyond these the pictures are, so that they can be withdrawn.
    _beyond: dict[Key, Counter[str]] = field(default_factory=dict, repr=False, compare=False)

    def add(self, entry: Entry, count: int = 1) -> None:
        """Count something that was left, repaired or is worth a note."""
        key = entry.unit, entry.outcome, entry.reason
        self.reasons[key] += count
        if self.reasons[key] <= _KEPT:
            self.entries.append(entry)
        else:
            self._count_beyond(key, entry.picture, count)

    def _count_beyond(self, key: Key, picture: str, count: int) -> None:
        if picture and key[1] != "left":
            if key not in self._beyond:
                self._beyond[key] = Counter()
            self._beyond[key][picture] += count

    def has_room(self, entry: Entry) -> bool:
        """Whether more like this one are kept; all are counted."""
        return self.reasons[entry.unit, entry.outcome, entry.reason] < _KEPT

    def add_all(self, entry: Entry, places: Sequence[int]) -> None:
        """Count the same of several places in a file."""
        key = entry.unit, entry.outcome, entry.reason
        room = max(_KEPT - self.reasons[key], 0)
        self.reasons[key] += len(places)
        before, after = entry[:4], entry[5:]
        new = tuple.__new__  # without the call of the class: there may be thousands
        self.entries += [new(Entry, (*before, place, *after)) for place in places[:room]]
        if len(places) > room:
            self._count_beyond(key, entry.picture, len(places) - room)

    def withdraw(self, pictures: Collection[str], wanted: Callable[[Key], bool]) -> None:
        """Forget what was repaired or noted of pictures that are not taken after all.

        Parameters
        ----------
        pictures : collection of str
            By their names in the source.
        wanted : callable
            Whether what has this unit, outcome and reason is forgotten; asked of no ``left``.
        """
        gone = {key for key in self.reasons if key[1] != "left" and wanted(key)}
        if not gone or not pictures:
            return
        kept = []
        for entry in self.entries:
            key = entry[:3]
            if key in gone and entry.picture in pictures:
                self.reasons[key] -= 1
            else:
                kept.append(entry)
        for key in gone & self._beyond.keys():
            beyond = self._beyond[key]
            self.reasons[key] -= sum(beyond.pop(picture, 0) for picture in pictures)
        self.entries = kept
        self.reasons = +self.reasons

    def disown(self, unit: str) -> None:
        """Count nothing of a unit: it is not the source's; what is noted of it stays."""
        self.found[unit] = self.taken[unit] = 0
        for key in [key for key in self.reasons if key[0] == unit and key[1] == "left"]:
            del self.reasons[key]
        self.entries = [e for e in self.entries if (e.unit, e.outcome) != (unit, "left")]

    def left(self, unit: str) -> int:
        """Return how many of a unit were left out."""
        return sum(
            n for (u, outcome, _), n in self.reasons.items() if (u, outcome) == (unit, "left")
        )

    def repaired(self, unit: str) -> int:
        """Return how many of what was taken of a unit were repaired, each once."""
        return self.put_right[unit]

    def check(self) -> None:
        """Make sure that nothing was lost on the way.

        Raises
        ------
        AssertionError
            If what was found is not what was taken and what was left, or more was repaired than
            was taken.
        """
        for unit in UNITS:
            taken, left = self.taken[unit], self.left(unit)
            if self.found[unit] != taken + left or not 0 <= self.repaired(unit) <= taken:
                raise AssertionError(
                    f"the account of this import does not add up: {self.found[unit]} {unit} found, "
                    f"{taken} taken and {left} left, {self.repaired(unit)} repaired; nothing was "
                    f"imported, please report this"
                )

    def some(self, reason: str, limit: int = 12) -> list[Entry]:
        """Return the first entries of a reason."""
        found = (entry for entry in self.entries if entry.reason == reason)
        return [entry for entry, _ in zip(found, range(limit), strict=False)]

    def sentences(self) -> list[str]:
        """Return a sentence for each reason, in the order in which they came up."""
        return [
            self.sentence_of(key)
            for key in self.reasons
            if key[1] != "quiet" and key[2] in SENTENCES
        ]

    def sentence_of(self, key: tuple[str, str, str]) -> str:
        """Return the sentence for a unit, an outcome and a reason, with an example."""
        unit, outcome, reason = key
        first = next(
            (e for e in self.entries if (e.unit, e.outcome, e.reason) == key),
            Entry(unit, outcome, reason, ""),
        )
        where = first.picture or first.file
        example = f"{where!r}"
        if first.place and first.picture != first.file and first.file:
            example = f"{first.file!r}, entry {first.place}"
        detail = f" ({first.detail})" if first.detail else ""
        return sentence_of(reason, self.reasons[key], unit, example + detail)

    def __str__(self) -> str:
        """Return the account in three lines."""
        return "\n".join(
            f"{counted(self.found[unit], unit.removesuffix('s'), unit)} found: "
            f"{self.taken[unit]:,} taken ({self.repaired(unit):,} repaired), "
            f"{self.left(unit):,} left"
            for unit in UNITS
        )

    def to_frame(self) -> pd.DataFrame:
        """Return what was left, repaired or noted as a table, a row for each thing."""
        import pandas as pd

        return pd.DataFrame(
            [(self.format, *entry) for entry in self.entries], columns=["format", *Entry._fields]
        )

    def summary(self) -> pd.DataFrame:
        """Return the counts as a table, a row for each unit, outcome and reason."""
        import pandas as pd

        rows = [(unit, "found", "", self.found[unit]) for unit in UNITS]
        rows += [(unit, f"taken, {split}", "", n) for (unit, split), n in self.by_split.items()]
        rows += [(*key, n) for key, n in self.reasons.items()]
        return pd.DataFrame(rows, columns=["unit", "outcome", "reason", "count"])

    def to_json(self) -> dict[str, Any]:
        """Return the account in JSON's types."""
        return {
            "format": self.format,
            "found": dict(self.found),
            "taken": dict(self.taken),
            "by_split": [[*key, n] for key, n in self.by_split.items()],
            "repaired": dict(self.put_right),
            "reasons": [[*key, n] for key, n in self.reasons.items()],
            "entries": [list(entry) for entry in self.entries],
        }

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Ledger:
        """Return the account that `to_json` has written.

        Raises
        ------
        ValueError
            If it is none.
        """
        try:
            ledger = cls(str(found["format"]), Counter(found["found"]), Counter(found["taken"]))
            ledger.by_split.update({(u, s): int(n) for u, s, n in found["by_split"]})
            ledger.reasons.update({(u, o, r): int(n) for u, o, r, n in found["reasons"]})
            ledger.put_right.update(_put_right(ledger, found.get("repaired")))
            ledger.entries += [Entry(*row) for row in found["entries"]]
        except MALFORMED as error:
            raise ValueError(f"expected an account of an import, found {error!r}") from error
        return ledger


def _put_right(ledger: Ledger, kept: Any) -> dict[str, int]:
    """Return how much was repaired; accounts of earlier releases count the repairs alone."""
    if kept is not None:
        return {str(unit): int(count) for unit, count in kept.items()}
    found: Counter[str] = Counter()
    for (unit, outcome, _), count in ledger.reasons.items():
        found[unit] += count * (outcome == "repaired")
    return {unit: min(count, ledger.taken[unit]) for unit, count in found.items()}
