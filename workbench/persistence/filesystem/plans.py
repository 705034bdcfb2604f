"""What the plan of a transaction may say, whoever wrote it.

A plan is a list of renames below one root. One that a crash left behind is carried out by
the next process, also if it was written on another machine; so it may come from a stranger,
too. It is carried out only if a transaction of ours could have written it: each path has a
form from the lists here, each rename goes from one kind of place to another that it can go
to, and what lies at both ends fits. New plans are held against the same lists before they
are written, so that no change that we can make is refused when it has to be completed.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

from workbench.errors import InvalidDatasetError
from workbench.persistence.filesystem import inside
from workbench.persistence.filesystem.paths import HIDDEN, is_image_name
from workbench.persistence.models import SPLITS

Plan = list[tuple[str, str]]


class Place(Enum):
    """The kinds of places that a plan may name."""

    NEW = "what the transaction writes"
    GONE = "what it removes"
    IMAGE = "an image"
    LABELS = "a label file"
    OURS = "a file of our own"
    TRASH = "a file in the trash"
    CLONE = "a copy under construction"
    MODEL = "the folder of a model"


_WAYS = frozenset(
    {
        (Place.NEW, Place.IMAGE),
        (Place.NEW, Place.LABELS),
        (Place.NEW, Place.OURS),
        (Place.NEW, Place.TRASH),
        (Place.IMAGE, Place.IMAGE),
        (Place.IMAGE, Place.TRASH),
        (Place.IMAGE, Place.GONE),
        (Place.LABELS, Place.LABELS),
        (Place.LABELS, Place.TRASH),
        (Place.LABELS, Place.GONE),
        (Place.OURS, Place.GONE),
        (Place.TRASH, Place.IMAGE),
        (Place.TRASH, Place.LABELS),
        (Place.CLONE, Place.IMAGE),
        (Place.MODEL, Place.MODEL),
        (Place.MODEL, Place.TRASH),
        (Place.TRASH, Place.MODEL),
    }
)

# Files and folders of ours that transactions write, and how deep one may lie in them.
_DATASET_FILES = frozenset({"dataset.json", "prompts.json", "tags.json"})
_DATASET_FOLDERS = frozenset({"history", "rewrites"})

PlaceOf = Callable[[list[str]], Place | None]
"""What kind of place a path, given in its parts, is below a root; None: none of ours."""


def place_in_dataset(parts: list[str]) -> Place | None:
    """Return what kind of place a path below a dataset's folder is."""
    match parts:
        case ["data.yaml"]:
            return Place.OURS
        case ["images", split, name] if split in SPLITS and is_image_name(name):
            return Place.IMAGE
        case ["labels", split, name] if split in SPLITS and name.endswith(".txt"):
            return Place.LABELS
        case [folder, name] if folder == HIDDEN and name in _DATASET_FILES:
            return Place.OURS
        case [folder, name, _] if folder == HIDDEN and name in _DATASET_FOLDERS:
            return Place.OURS
    return _place_of_all(parts)


def place_in_models(parts: list[str]) -> Place | None:
    """Return what kind of place a path below the folder of all models is."""
    match parts:
        case [name] if not name.startswith("."):
            return Place.MODEL
        case [folder, "active.json"] if folder == HIDDEN:
            return Place.OURS
    return _place_of_all(parts)


def _place_of_all(parts: list[str]) -> Place | None:
    match parts:
        case [folder, "trash", _, _] if folder == HIDDEN:
            return Place.TRASH
        case [folder, "tmp", _] if folder == HIDDEN:
            return Place.CLONE
    return None


def checked(content: Any, own: str, place_of: PlaceOf) -> Plan:
    """Return a plan if a transaction of ours could have written it; looks at no file.

    Parameters
    ----------
    content : object
        What stands in ``plan.json``.
    own : str
        The name of the transaction's own folder.
    place_of : callable

    Raises
    ------
    InvalidDatasetError
        If none could.
    """
    if not isinstance(content, list):
        raise InvalidDatasetError("it is no list of renames")
    return [_checked_step(step, own, place_of) for step in content]


def _checked_step(step: Any, own: str, place_of: PlaceOf) -> tuple[str, str]:
    if not isinstance(step, (list, tuple)) or len(step) != 2:
        raise InvalidDatasetError(f"it holds {step!r}, which is no rename")
    source, target = step
    way = (_place(source, own, place_of), _place(target, own, place_of))
    if way not in _WAYS:
        raise InvalidDatasetError(
            f"it would move {source!r} ({way[0].value}) to {target!r} ({way[1].value}), which no "
            f"change of ours does"
        )
    return source, target


def _place(path: Any, own: str, place_of: PlaceOf) -> Place:
    parts = inside.parts_of(path)
    match parts:
        case [folder, "tx", name, new] if folder == HIDDEN and name == own:
            if new.isascii() and new.isdigit():
                return Place.NEW
            if new.startswith("gone-"):
                return Place.GONE
    found = place_of(parts)
    if found is None:
        raise InvalidDatasetError(f"it names {path!r}, which no change of ours touches")
    return found


def require_possible(root: str, plan: Sequence[tuple[str, str]], place_of: PlaceOf) -> None:
    """Make sure that what lies at both ends of each rename fits the plan.

    A source that is not there has been moved already.

    Raises
    ------
    InvalidDatasetError
        If a link is on the way, or a file is where a folder should be or the other way round.
    """
    for source, target in plan:
        ends = [inside.parts_of(source), inside.parts_of(target)]
        is_model = any(place_of(parts) is Place.MODEL for parts in ends)
        is_staged = ends[0][:2] == [HIDDEN, "tx"]
        here, there = inside.mode_of(root, source), inside.mode_of(root, target)
        if here and (
            stat.S_ISDIR(here) != is_model
            or (is_staged and not stat.S_ISREG(here))
            or (not is_model and not (stat.S_ISREG(here) or stat.S_ISLNK(here)))
        ):
            raise InvalidDatasetError(
                f"{source!r} is not what it would be if a change of ours had been under way"
            )
        if here and stat.S_ISDIR(there):
            raise InvalidDatasetError(f"a folder is at {target!r}, where nothing or a file was")
