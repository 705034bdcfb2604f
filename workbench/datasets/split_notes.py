"""What should be known of a plan of splits before it is carried out, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from workbench.datasets.changes import counted
from workbench.persistence.models import SPLITS, LabelTable

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_FAR = 0.05  # of all images, from which a share is not what was asked for
_NAMED = 5
_NEEDED = ("train", "val")


def about_shares(images: Ints, wanted: Floats, num_groups: int) -> list[str]:
    """Say which splits get nothing, and which far from their share because groups stay whole.

    Parameters
    ----------
    images : ndarray of int64, shape (splits,)
        Images of each of `SPLITS`.
    wanted : ndarray of float64, shape (splits,)
        Their shares, which add up to 1.
    num_groups : int
        Of images that stay together; as many as images if each is one for itself.
    """
    total = int(images.sum())
    if not total:
        return []
    notes = []
    for split, number, share in zip(SPLITS, images.tolist(), wanted.tolist(), strict=True):
        if not number and share > 0:
            there = counted(num_groups, "image" if num_groups == total else "group")
            are = "is" if num_groups == 1 else "are"
            notes.append(f"{split} gets no image: there {are} only {there}")
        elif not number and split in _NEEDED:
            notes.append(f"{split} gets no image, and training needs some there")
    found = images / total
    far = np.abs(found - wanted) > _FAR
    if num_groups < total and far.any():
        shown = ", ".join(
            f"{split} {is_now:.0%} in place of {share:.0%}"
            for split, is_now, share, is_far in zip(SPLITS, found, wanted, far, strict=True)
            if is_far
        )
        notes.append(
            f"the shares are not as wanted ({shown}), because "
            f"{counted(num_groups, 'group')} of images stay whole"
        )
    return notes


def about_absent_classes(boxes: Ints, wanted: Floats, classes: Sequence[str]) -> list[str]:
    """Say which classes a split has no box of, though it shall have images.

    Parameters
    ----------
    boxes : ndarray of int64, shape (splits, classes)
    wanted : ndarray of float64, shape (splits,)
    classes : sequence of str
    """
    notes = []
    used = boxes.any(axis=0)
    for split, own, share in zip(SPLITS, boxes, wanted.tolist(), strict=True):
        lacking = [classes[i] for i in np.flatnonzero(used & (own == 0)).tolist()]
        # A split without any box has no image, or only such without one: other notes say so.
        if share > 0 and own.any() and lacking:
            more = f" and {len(lacking) - _NAMED:,} more" if len(lacking) > _NAMED else ""
            notes.append(
                f"{split} gets no box of {counted(len(lacking), 'class', 'classes')}, which too "
                f"few images show: {', '.join(lacking[:_NAMED])}{more}"
            )
    return notes


def about_unreadable(table: LabelTable) -> list[str]:
    """Say that there are label files that nobody can read."""
    if not table.problems:
        return []
    return [
        f"{counted(len(table.problems), 'label file')} cannot be read, counted as empty "
        f"(the first: {table.problems[0]})"
    ]
