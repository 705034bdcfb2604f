"""Value objects for looking closely at files that are not as they should be, and mending them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from workbench.persistence.models import Annotation


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One row of a label file as it stands there, whatever it says.

    Parameters
    ----------
    line : int
        In the file, counted from 1.
    position : int
        Among the rows that are not blank, counted from 0, as `LabelStore.load` counts boxes.
    text : str
    values : tuple of float
        Its columns, class first; empty if one of them is no finite number.
    """

    line: int
    position: int
    text: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class LabelFileReport:
    """A label file that is not just plain boxes inside the image.

    Parameters
    ----------
    split, filename : str
        Of the image.
    revision : str
        As in `LabelData`.
    rows : list of LabelRow
        All rows, also the good ones; empty if the file is no text.
    problem : str
        Why the file cannot be read; empty if it can.
    """

    split: str
    filename: str
    revision: str
    rows: list[LabelRow]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class LabelInspection:
    """What a close look at all label files of a dataset found.

    Parameters
    ----------
    files : list of LabelFileReport
        By split and name. Files of plain boxes inside the image are not among them.
    orphans : list of (str, str)
        Split and name of label files that belong to no image.
    has_keypoints : bool
        Whether the dataset says that each box is followed by keypoints.
    outside : dict of str to str
        Images, label files or whole folders of a split that are links to where nobody said that
        they may lead, ``images/train/a.jpg``, and where they lead.
    """

    files: list[LabelFileReport]
    orphans: list[tuple[str, str]]
    has_keypoints: bool = False
    outside: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LabelRepair:
    """New rows for a label file; rows that are not mentioned stay as they are, byte for byte.

    Parameters
    ----------
    revision : str
        That the file had when it was inspected.
    rows : mapping of int to Annotation or None
        By position; None removes the row.
    """

    revision: str
    rows: Mapping[int, Annotation | None]


@dataclass(frozen=True, slots=True)
class ImageReplacement:
    """Other bytes for an image that keeps its labels.

    Parameters
    ----------
    split, filename : str
        Of the image.
    new_filename : str
        The same, or with another extension.
    data : bytes
        An encoded image.
    expected : bytes
        What the file held when `data` was made from it.
    """

    split: str
    filename: str
    new_filename: str
    data: bytes
    expected: bytes
