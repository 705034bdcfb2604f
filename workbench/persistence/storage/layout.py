"""What lies where below a root: what a change may touch there, and which links are followed.

On a disk, what is below a root may come from a stranger, the plan of an unfinished change too.
So whoever opens a root says what of it is whose; backends without files need not be told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from workbench.persistence.yolo.names import HIDDEN


class Place(Enum):
    """The kinds of places that a plan may name."""

    NEW = "what the transaction writes"
    GONE = "what it removes"
    IMAGE = "an image"
    LABELS = "a label file"
    OURS = "a file of our own"
    TRASH = "a file in the trash"
    ENTRY = "a folder in the trash"
    CLONE = "a copy under construction"
    MODEL = "the folder of a model"
    DRAFT = "the folder of a new model"
    PART = "a file of a new model"
    ANY = "a file or folder"


PlaceOf = Callable[[list[str]], Place | None]
"""What kind of place a path, given in its parts, is below a root; None: none of ours."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What is known of a root.

    Parameters
    ----------
    place_of : callable
        What a change may name.
    is_log : callable
        Whether a path, given in its parts, is a log, which only gets longer.
    linked : callable
        How many of a path's parts, from the left, the user may have replaced by links.
    shared : callable
        Whether what is at a path is read by other programs, too: the user may have replaced all
        of its parts by links.
    """

    place_of: PlaceOf
    is_log: Callable[[list[str]], bool]
    linked: Callable[[list[str]], int]
    shared: Callable[[list[str]], bool] = lambda parts: False


def _any_place(parts: list[str]) -> Place | None:
    return Place.CLONE if parts[:2] == [HIDDEN, "tmp"] else Place.ANY


ANYTHING = Layout(_any_place, lambda parts: True, lambda parts: 0)
"""For roots that hold nothing of a stranger's."""
