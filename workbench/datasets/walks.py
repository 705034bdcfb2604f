"""Which images of a split to walk, and in which order."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workbench.datasets.review_queue import ORDERS, review_queue
from workbench.errors import LabelFormatError, NotFoundError
from workbench.persistence import DataStores
from workbench.persistence.models import LabelTable
from workbench.persistence.suggestions import without_covered

OF_CLASS = "class:"
_ORDERED = ("recent", "suggested", *ORDERS)
FILTERS = ("unlabelled", "labelled", "background", *_ORDERED, f"{OF_CLASS}NAME")
RECENT_EDITS = 10_000
"""How far back ``"recent"`` looks."""


@dataclass(frozen=True, slots=True)
class Walk:
    """Images to go through one after the other.

    Parameters
    ----------
    filenames : list of str
        In the order of the walk.
    labelled : set of str
        Those of them that have a label file, also an empty one.
    reasons : mapping of str to str
        Why an image of a queue stands where it does, for people.
    """

    filenames: list[str]
    labelled: set[str]
    reasons: Mapping[str, str] = field(default_factory=dict)


def check_filter(only: str | None) -> None:
    """Make sure that `plan_walk` will know this filter.

    Raises
    ------
    ValueError
        If it is not None and none of `FILTERS`.
    """
    if only is None or only in FILTERS[:-1]:
        return
    if only.startswith(OF_CLASS) and only != OF_CLASS:
        return
    raise ValueError(f"only: expected None or one of {', '.join(FILTERS)}; found {only!r}")


_EMPTY = {
    "unlabelled": "Each image of this split has labels, or is marked as showing nothing.",
    "labelled": "No image of this split has labels yet.",
    "background": "No image of this split is marked as showing nothing.",
    "recent": "No labels of this split were changed yet.",
}
_NONE_WAIT = (
    "No suggested boxes wait here: let a model suggest some in Browse, or choose another split."
)


def why_empty(only: str | None) -> str:
    """Return why `plan_walk` may have found no image with this filter; empty without one."""
    if only is None:
        return ""
    if only.startswith(OF_CLASS):
        return f"No image of this split has a box of the class {only.removeprefix(OF_CLASS)}."
    return _EMPTY.get(only, _NONE_WAIT)


def is_of_suggestions(only: str | None) -> bool:
    """Whether what `plan_walk` finds with this filter depends on the suggestions that wait."""
    return only in ("suggested", *ORDERS)


async def plan_walk(
    stores: DataStores,
    dataset: str,
    split: str,
    *,
    images: Sequence[str] | None = None,
    only: str | None = None,
    keep: Sequence[str] | None = None,
) -> Walk:
    """Choose the images of a split to go through.

    Parameters
    ----------
    images : sequence of str, optional
        File names to choose from, in this order; default: all of the split, by name.
    only : str, optional
        Leave the others out:

        ``"unlabelled"``, ``"labelled"``
            without, or with, a label file;
        ``"background"``
            reviewed, and nothing in it: an empty label file;
        ``"class:NAME"``
            with a box of this class;
        ``"recent"``
            whose labels were changed here, the last change first;
        ``"suggested"``
            with boxes that wait for review;
        ``"teaching"``, ``"safest"``
            those of them that nobody has labelled, in the order of `review_queue`.

    keep : sequence of str, optional
        To plan a walk again that has begun: what is not there any more is left out, and these
        images stay, in this order, whatever the filter says of them by now; others come behind.

    Raises
    ------
    NotFoundError
        If the split lacks one of `images`, or the dataset the class.
    ValueError
        If there is no such filter.
    """
    check_filter(only)
    infos = {info.filename: info for info in await stores.image.list(dataset, split)}
    names = list(infos) if images is None else list(images)
    if keep is None:
        _require_all(names, infos.keys(), f"{dataset}/{split}")
    names = [name for name in names if name in infos]
    labelled = {name for name, info in infos.items() if info.has_labels}
    reasons: dict[str, str] = {}
    if only == "labelled":
        names = [name for name in names if name in labelled]
    elif only == "unlabelled":
        names = [name for name in names if name not in labelled]
    elif only == "recent":
        place = await _by_last_change(stores, dataset, split)
        names = sorted((name for name in names if name in place), key=place.__getitem__)
    elif only == "suggested":
        waiting = await _with_suggestions(stores, dataset, split)
        names = [name for name in names if name in waiting]
    elif only in ORDERS:
        queue = await review_queue(stores, dataset, split, order=only)
        wanted = set(names)
        reasons = {one.key[1]: one.reason for one in queue if one.key[1] in wanted}
        names = [*reasons]
    elif only is not None:
        chosen = await _by_content(stores, dataset, split, only)
        names = [name for name in names if name in chosen]
    names = list(dict.fromkeys([*(name for name in keep or () if name in infos), *names]))
    return Walk(names, labelled.intersection(names), reasons)


def _require_all(names: Sequence[str], present: Collection[str], where: str) -> None:
    missing = [name for name in names if name not in present]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise NotFoundError(
            f"{where} has no image {', '.join(missing[:5])}{more}: renamed, moved or deleted "
            f"meanwhile? list() names those that are there"
        )


async def _by_last_change(stores: DataStores, dataset: str, split: str) -> dict[str, int]:
    """Return the place of each image whose labels were changed, the last change at 0."""
    edits = await stores.label.history(dataset, split, limit=RECENT_EDITS)
    newest_first = dict.fromkeys(edit.filename for edit in reversed(edits))
    return {name: place for place, name in enumerate(newest_first)}


async def _with_suggestions(stores: DataStores, dataset: str, split: str) -> set[str]:
    """Return the images with suggestions that no label covers and nobody has rejected."""
    table = await stores.image.suggestions(dataset)
    names = [name for where, name in table.images if where == split]
    labels = await stores.label.load_many(dataset, [(split, name) for name in names])
    found = set()
    for name, boxes in zip(names, labels.annotations_by_image(), strict=True):
        if without_covered(table.of(split, name), boxes):
            found.add(name)
    return found


async def _by_content(stores: DataStores, dataset: str, split: str, only: str) -> set[str]:
    """Return the images whose label files hold what the filter asks for."""
    classes = (await stores.dataset.get(dataset)).classes
    wanted = only.removeprefix(OF_CLASS)
    if only != "background" and wanted not in classes:
        raise NotFoundError(
            f"{dataset} has no class {wanted!r}; its classes are {', '.join(classes) or 'none'}"
        )
    table = await stores.label.load_all(dataset, split)
    if only == "background":
        places = np.flatnonzero(_is_background(table))
    else:
        ids = [i for i, name in enumerate(classes) if name == wanted]
        places = np.unique(table.image_index[np.isin(table.class_id, ids)])
    return {table.filenames[place] for place in places.tolist()}


def _is_background(table: LabelTable) -> npt.NDArray[np.bool_]:
    # A file that cannot be read has no boxes in the table either; that is not "nothing here".
    unreadable = {Path(p.path).stem for p in table.problems if isinstance(p, LabelFormatError)}
    readable = np.array([Path(name).stem not in unreadable for name in table.filenames], np.bool_)
    empty: npt.NDArray[np.bool_] = table.boxes_per_image() == 0
    return table.labelled & readable & empty
