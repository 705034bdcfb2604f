"""What must be true of a dataset before it is worth to start training on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workbench.errors import TrainingError
from workbench.persistence import Stores
from workbench.persistence.models import DatasetInfo, LabelTable

_NAMES_SHOWN = 5


async def check_dataset(
    stores: Stores, name: str, unlabelled_as_background: bool = False
) -> list[str]:
    """Check a dataset before training; return warnings, one sentence each.

    Parameters
    ----------
    unlabelled_as_background : bool
        As in `TrainingConfig`.

    Raises
    ------
    NotFoundError
        If there is no such dataset.
    TrainingError
        If training on it would fail or be pointless; names every reason with its remedy.
    """
    info = await stores.dataset.get(name)
    if not info.classes:
        raise TrainingError(
            f"dataset {name!r} has no classes: give it some with update_classes, then label boxes"
        )
    table = await stores.label.load_all(name)
    errors = find_errors(info, table)
    if errors:
        raise TrainingError(f"dataset {name!r} is not ready for training: {'; '.join(errors)}")
    return find_warnings(info, table, unlabelled_as_background)


def find_errors(info: DatasetInfo, table: LabelTable) -> list[str]:
    """Return why training on the dataset would fail or be pointless, each with its remedy."""
    splits = np.array(table.splits, dtype=object)
    images = {split: int((splits == split).sum()) for split in ("train", "val")}
    boxes = {split: int((splits[table.image_index] == split).sum()) for split in ("train", "val")}
    errors = []
    if not images["train"]:
        errors.append("there are no images in train: capture or import some")
    elif not boxes["train"]:
        errors.append(f"none of its {images['train']} images in train has a box: label some first")
    if not images["val"]:
        errors.append(
            "there are no images in val, without which nobody can tell how good the model gets: "
            "move some images to val, about one in five"
        )
    elif not boxes["val"]:
        errors.append(
            f"none of its {images['val']} images in val has a box: label some, or move labelled "
            "images to val"
        )
    unknown = np.unique(table.class_id[table.class_id >= len(info.classes)])
    if len(unknown):
        errors.append(
            f"labels use class ids {', '.join(map(str, unknown))}, but the dataset has "
            f"{len(info.classes)} classes: append the missing names or correct the labels"
        )
    return errors


def find_warnings(
    info: DatasetInfo, table: LabelTable, unlabelled_as_background: bool = False
) -> list[str]:
    """Return what training survives, but whoever starts it should know."""
    splits = np.array(table.splits, dtype=object)
    of_box = splits[table.image_index]
    warnings = []
    for split in ("train", "val"):
        counts = np.bincount(table.class_id[of_box == split], minlength=len(info.classes))
        missing = [name for name, count in zip(info.classes, counts, strict=False) if not count]
        if missing:
            reason = "cannot be learned" if split == "train" else "cannot be measured"
            warnings.append(f"No box in {split} for {_listed(missing)}: {reason}.")
        unlabelled = [
            name
            for name, where, labelled in zip(
                table.filenames, table.splits, table.labelled, strict=True
            )
            if where == split and not labelled
        ]
        if unlabelled:
            fate = (
                "count as background: if anything is in them, the model learns to overlook it"
                if unlabelled_as_background
                else "are left out: label them, or mark those that show nothing as background"
            )
            warnings.append(
                f"{len(unlabelled)} images of {split} have no labels yet and {fate} "
                f"({_listed(unlabelled)})."
            )
    if table.problems:
        problems = _listed([str(problem) for problem in table.problems])
        warnings.append(f"Images with unreadable labels are left out: {problems}.")
    return warnings


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN])
    more = len(names) - _NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
