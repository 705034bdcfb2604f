"""The labels that predictions are compared with, and whose classes they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workbench.errors import InvalidModelError, LabelFormatError, NotFoundError
from workbench.evaluation.matching import Bools, Floats, Ints, Truth
from workbench.geometry import xywh_to_xyxy
from workbench.persistence import Stores

_NAMED = 3  # how many images a note names before it only counts them


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """The labels of the images that take part.

    Parameters
    ----------
    classes : tuple of str
        The dataset's.
    filenames : tuple of str
    image_index, class_id : ndarray of int64, shape (labels,)
    boxes : ndarray of float64, shape (labels, 4)
        Normalised xywh.
    notes : tuple of str
        What was left out, in sentences.
    """

    classes: tuple[str, ...]
    filenames: tuple[str, ...]
    image_index: Ints
    class_id: Ints
    boxes: Floats
    notes: tuple[str, ...]

    @property
    def most_in_one_image(self) -> int:
        """How many boxes the fullest image has."""
        return int(np.bincount(self.image_index, minlength=1).max())

    def keep(self, chosen: Bools) -> Labels:
        """Return the chosen images with their labels only."""
        place = np.cumsum(chosen) - 1
        mine = chosen[self.image_index]
        return Labels(
            self.classes,
            tuple(name for name, keep in zip(self.filenames, chosen, strict=True) if keep),
            place[self.image_index[mine]],
            self.class_id[mine],
            self.boxes[mine],
            self.notes,
        )

    def truth(self, sizes: npt.NDArray[np.integer]) -> Truth:
        """Return the boxes in pixels of images of these widths and heights."""
        scale = np.tile(sizes, 2)[self.image_index]
        return Truth(self.image_index, self.class_id, xywh_to_xyxy(self.boxes) * scale)


async def load_labels(
    stores: Stores, dataset: str, split: str, *, unlabelled_as_background: bool
) -> Labels:
    """Read the labels of a split.

    Left out are images whose label file cannot be read or names an unknown class: nobody
    knows what is right there. Equal rows of one file count once, as in Ultralytics.

    Raises
    ------
    NotFoundError
        If no image is left.
    """
    classes = tuple((await stores.dataset.get(dataset)).classes)
    table = await stores.label.load_all(dataset, split)
    chosen = np.ones(len(table.filenames), dtype=np.bool_)
    notes = []

    def leave_out(which: Bools, why: str) -> None:
        names = [table.filenames[place] for place in np.flatnonzero(which & chosen).tolist()]
        chosen[which] = False
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            notes.append(f"left out because {why}: {', '.join(names[:_NAMED])}{more}")

    if not unlabelled_as_background:
        leave_out(~table.labelled, "they have no label file")
    unreadable = {Path(p.path).stem for p in table.problems if isinstance(p, LabelFormatError)}
    stems = [Path(name).stem in unreadable for name in table.filenames]
    leave_out(np.array(stems, dtype=np.bool_), "their label file cannot be read")
    unknown = np.zeros_like(chosen)
    unknown[table.image_index[table.class_id >= len(classes)]] = True
    leave_out(unknown, "a label has no class")
    if not chosen.any():
        raise NotFoundError(
            f"{dataset}/{split}: expected images with labels to compare with, found none"
            f"{f' ({notes[0]})' if notes else ''}; label some, or choose another split"
        )
    rows = np.column_stack([table.image_index, table.class_id, table.boxes])
    _, first = np.unique(rows, axis=0, return_index=True)
    kept = np.sort(first)
    every = Labels(
        classes,
        tuple(table.filenames),
        table.image_index[kept],
        table.class_id[kept],
        table.boxes[kept],
        tuple(notes),
    )
    return every.keep(chosen)


def map_classes(
    model: Mapping[int, str], dataset: tuple[str, ...], model_name: str, *, trained_here: bool
) -> tuple[Ints, list[str]]:
    """Find the dataset's class for each of a model's.

    Classes belong together by name. If the model was trained on this very dataset, one whose
    name the dataset does not know belongs to the class at its own place, where that is
    unknown to the model too: it was renamed since.

    Parameters
    ----------
    model : mapping of int to str
        The model's classes.
    dataset : tuple of str
        The dataset's classes.
    model_name : str
        For messages.
    trained_here : bool
        Whether the model was trained on this dataset.

    Returns
    -------
    mapping : ndarray of int64, shape (highest id of the model + 1,)
        The dataset's class id, or -1 where it has no such class.
    notes : list of str
        What was not the same, in sentences.

    Raises
    ------
    InvalidModelError
        A ``ValueError``: if no class is left.
    """
    ids = {name: number for number, name in enumerate(dataset)}
    mapping = np.full(max(model, default=-1) + 1, -1, dtype=np.int64)
    notes = []
    for number, name in model.items():
        if name in ids:
            mapping[number] = ids[name]
        elif trained_here and number < len(dataset) and dataset[number] not in model.values():
            mapping[number] = number
            notes.append(f"class {dataset[number]!r} is taken for what the model calls {name!r}")
    if not len(mapping) or mapping.max() < 0:
        raise InvalidModelError(
            f"model {model_name!r} finds {', '.join(map(repr, model.values()))}, and the dataset "
            f"has {', '.join(map(repr, dataset)) or 'no classes'}: nothing to compare; choose a "
            "model that was trained on these classes"
        )
    missing = [name for number, name in enumerate(dataset) if number not in mapping]
    if missing:
        notes.append(f"the model was not taught {', '.join(map(repr, missing))}")
    dropped = [name for number, name in model.items() if mapping[number] < 0]
    if dropped:
        notes.append(f"predictions of {', '.join(map(repr, dropped))} are left out")
    return mapping, notes
