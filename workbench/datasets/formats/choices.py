"""What can be chosen about an import before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from workbench.errors import ImportFormatError
from workbench.persistence.models import SPLITS

_VALUES = {
    "crowds": ("auto", "take", "leave"),
    "polygons": ("box", "leave"),
    "unlabelled": ("take", "leave"),
    "unknown": ("ask", "ignore"),
}


@dataclass(frozen=True, slots=True)
class Choices:
    """The choices of one import; all have a default that is told in the plan.

    Parameters
    ----------
    format : str
        Which of the formats that were found; empty: the one that says most.
    classes : mapping or sequence of str
        A mapping renames classes, merges those that get one name, and leaves out those whose
        name becomes None; a sequence takes these classes only, in this order.
    splits : mapping of str to str
        Another split for all pictures of a split.
    shares : mapping of str to float
        Deals all pictures out to splits at random, whatever the files say.
    seed : int
        Of that.
    one_based : bool, optional
        Whether pixels count from 1 (Pascal VOC); default: as the file's origin says.
    crowds : str
        ``auto`` takes crowds where a file has nothing else; ``take``, ``leave``.
    polygons : str
        ``box`` takes the box around what is more than a box; ``leave``.
    unlabelled : str
        ``take`` pictures without annotation, or ``leave`` them out.
    unknown : str
        ``ask`` what is meant by annotation files in no known form, or ``ignore`` them.
    """

    format: str = ""
    classes: Mapping[str, str | None] | Sequence[str] = field(default_factory=dict)
    splits: Mapping[str, str] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    one_based: bool | None = None
    crowds: str = "auto"
    polygons: str = "box"
    unlabelled: str = "take"
    unknown: str = "ask"

    def __post_init__(self) -> None:
        for name, values in _VALUES.items():
            if getattr(self, name) not in values:
                raise ImportFormatError(
                    f"{name}: expected one of {', '.join(values)}, found {getattr(self, name)!r}"
                )
        wrong = [s for pair in self.splits.items() for s in pair if s not in SPLITS]
        if wrong:
            raise ImportFormatError(
                f"splits: expected {', '.join(SPLITS)} by one of these, found {wrong[0]!r}"
            )

    def class_of(self, label: str) -> str | None:
        """Return the name that a class gets; None if it is left out."""
        if isinstance(self.classes, Mapping):
            return self.classes.get(label, label)
        return label if label in self.classes or not self.classes else None

    def class_list(self, names: Sequence[str]) -> list[str]:
        """Return the classes of the dataset, from those of what is imported."""
        if not isinstance(self.classes, Mapping) and self.classes:
            return list(self.classes)
        wanted = [self.class_of(name) for name in names]
        return list(dict.fromkeys(name for name in wanted if name is not None))


def choices_from(base: Choices, changes: Mapping[str, Any]) -> Choices:
    """Return choices with some of them changed.

    Raises
    ------
    ImportFormatError
        If there is no such choice, or no such value.
    """
    known = {item.name for item in fields(Choices)}
    unknown = sorted(changes.keys() - known)
    if unknown:
        raise ImportFormatError(
            f"expected choices among {', '.join(sorted(known))}, found {unknown[0]!r}"
        )
    return Choices(**{**{name: getattr(base, name) for name in known}, **changes})
