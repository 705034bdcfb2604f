"""What can be chosen about an import before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from workbench.datasets.formats.class_ids import FIRST_IDS
from workbench.datasets.formats.encodings import ENCODINGS, USUAL
from workbench.datasets.formats.row_meaning import LAYOUTS, UNITS
from workbench.errors import ImportFormatError
from workbench.persistence.models import SPLITS

_VALUES = {
    "crowds": ("auto", "take", "leave"),
    "polygons": ("box", "leave"),
    "unlabelled": ("take", "leave"),
    "unknown": ("ask", "ignore"),
    "convert": ("ask", "no", "png", "jpeg"),
    "clashes": ("rename", "skip", "replace"),
    "rows": ("auto", *LAYOUTS),
    "units": ("auto", *UNITS),
    "first_id": FIRST_IDS,
    "encoding": tuple(ENCODINGS),
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
    convert : str
        What to do with pictures that training does not read as they are: those of more than 8
        bits, TIFFs of several pages, HEIC, AVIF, GIF, JPEG 2000. ``png`` and ``jpeg`` make new
        pictures of them; ``no`` takes what can be stored as it is and leaves the rest; ``ask``
        does so, too, but asks where nothing else is there.
    levels : (int, int), optional
        What of pictures of more than 8 bits becomes black and white; default: the range that
        holds nearly all values of all of them.
    frame_step : int
        Every how many frames of a video one becomes a picture; 0: about one for each second
        where there is nothing but videos, else none.
    clashes : str
        What becomes of a picture whose name another one has already: ``rename`` it, ``skip`` it,
        or let it ``replace`` the other.
    rows : str
        What the numbers of YOLO's rows are, and those that a table (CSV, imagefolder) has as one
        list: ``centre`` (x y width height), ``corners`` (x1 y1 x2 y2), ``sides`` (left top width
        height); ``auto``: that which keeps all boxes inside their pictures, YOLO's own (sides in
        lists) if that does.
    units : str
        What these numbers count: ``fractions`` of the picture, ``pixels``, ``percent``.
    first_id : str
        Whether class ids count from ``0`` or from ``1``, where files have ids for names that
        stand elsewhere; ``auto``: from 1 where nothing else makes sense.
    encoding : str
        Of text that is not in UTF-8, such as ``gb18030`` or ``shift_jis``.
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
    convert: str = "ask"
    levels: tuple[int, int] | None = None
    frame_step: int = 0
    clashes: str = "rename"
    rows: str = "auto"
    units: str = "auto"
    first_id: str = "auto"
    encoding: str = USUAL

    def __post_init__(self) -> None:
        for name, values in _VALUES.items():
            if getattr(self, name) not in values:
                raise ImportFormatError(
                    f"{name}: expected one of {', '.join(values)}, found {getattr(self, name)!r}"
                )
        if self.frame_step < 0:
            raise ImportFormatError(
                f"frame_step: expected 1 or more, or 0, found {self.frame_step!r}"
            )
        if self.levels is not None and (
            len(self.levels) != 2 or not self.levels[0] < self.levels[1]
        ):
            raise ImportFormatError(
                f"levels: expected two numbers, the lower one first, found {self.levels!r}"
            )
        self._check_classes()
        wrong = [s for pair in self.splits.items() for s in pair if s not in SPLITS]
        if wrong:
            raise ImportFormatError(
                f"splits: expected a mapping of splits to others, such as {{'test': 'val'}}, and "
                f"of {', '.join(SPLITS)} alone, found {wrong[0]!r}"
            )

    def _check_classes(self) -> None:
        if isinstance(self.classes, str):
            raise ImportFormatError(
                f"classes: expected a list of names or a mapping, found the text {self.classes!r}"
            )
        pairs = self.classes.items() if isinstance(self.classes, Mapping) else ()
        names = [name for pair in pairs for name in pair] if pairs else [*self.classes]
        wrong = [name for name in names if not isinstance(name, str) and name is not None]
        if wrong:
            raise ImportFormatError(f"classes: expected names, found {wrong[0]!r}")

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
