"""How much work suggestions would have saved on images whose labels are known. Pure.

A person who draws pays 1 for each box. One who reviews pays 1 for each box that is missing and
1 for each that is wrong (a key with the pointer on it), but never more than for rejecting all with
one key and drawing everything. What is counted is the keys and drags beyond the one that goes on.

As crops of many images, suggestions are judged otherwise: an image on which a box is missing has to
be opened and left. So it is best to see less likely ones there, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from workbench import geometry
from workbench.persistence.models import Annotation, Prediction

Box = TypeVar("Box", bound=Annotation)

RIGHT = 0.5
"""IoU from which on a suggestion of the same class is right."""
THRESHOLDS = [round(step / 20, 2) for step in range(1, 20)]
FEWEST_OF_CLASS = 10
_WRONG = 1
_INCOMPLETE = 2


@dataclass(frozen=True, slots=True)
class Savings:
    """What it costs to label some images.

    Parameters
    ----------
    by_hand : int
        Actions without suggestions.
    reviewed : int
        Actions with those at or above `threshold`, which is where they are fewest.
    threshold : float
    """

    by_hand: int
    reviewed: int
    threshold: float

    @property
    def percent(self) -> int:
        """Of 100 boxes that would have to be drawn, so many are saved."""
        return round(100 * (1 - self.reviewed / self.by_hand)) if self.by_hand else 0


def savings(
    suggested: Sequence[Sequence[Prediction]],
    labels: Sequence[Sequence[Annotation]],
    *,
    right: float = RIGHT,
) -> Savings:
    """Return what suggestions save on images, at the threshold where they save most.

    Parameters
    ----------
    suggested, labels : sequence of sequence
        Of each image.
    right : float
        IoU from which on a suggestion of the same class is right.
    """
    marked = [_marked(found, known, right) for found, known in zip(suggested, labels, strict=True)]
    by_hand = sum(len(known) for known in labels)
    best = Savings(by_hand, by_hand + len(labels) + 1, THRESHOLDS[-1])
    for threshold in reversed(THRESHOLDS):  # of equal ones the higher, which shows less
        cost = sum(
            _cost(scores >= threshold, is_right, len(known))
            for (scores, is_right), known in zip(marked, labels, strict=True)
        )
        if cost < best.reviewed:
            best = Savings(by_hand, cost, threshold)
    return best


def thresholds_by_class(
    suggested: Sequence[Sequence[Prediction]], labels: Sequence[Sequence[Annotation]]
) -> dict[int, float]:
    """Return the threshold where suggestions of a class save most, by class id.

    Of classes with fewer than `FEWEST_OF_CLASS` labels nobody can tell.

    Parameters
    ----------
    suggested, labels : sequence of sequence
        Of each image.
    """
    counts = Counter(label.class_id for known in labels for label in known)
    return {
        class_id: savings(_of(suggested, class_id), _of(labels, class_id)).threshold
        for class_id, count in sorted(counts.items())
        if count >= FEWEST_OF_CLASS
    }


def _of(rows: Sequence[Sequence[Box]], class_id: int) -> list[list[Box]]:
    return [[box for box in row if box.class_id == class_id] for row in rows]


def crops_from(
    suggested: Sequence[Sequence[Prediction]],
    labels: Sequence[Sequence[Annotation]],
    *,
    rights: Sequence[float] = (RIGHT,),
) -> float:
    """Return the score from which on it costs least to review suggestions as crops.

    Parameters
    ----------
    suggested, labels : sequence of sequence
        Of each image.
    rights : sequence of float
        IoU from which on a suggestion of the same class is right; what several cost is added up.
    """
    marked = [
        (*_marked(found, known, right), len(known))
        for found, known in zip(suggested, labels, strict=True)
        for right in rights
    ]

    def cost(threshold: float) -> int:
        return sum(_cost_of_crops(scores >= threshold, ok, count) for scores, ok, count in marked)

    return min(reversed(THRESHOLDS), key=cost)  # of equal ones the higher, which shows less


Marked = tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]


def _marked(found: Sequence[Prediction], labels: Sequence[Annotation], right: float) -> Marked:
    """Return the scores of suggestions, the surest first, and whether each is right.

    Each takes the label that it fits best of those that surer ones left, so that what is right
    does not depend on the threshold.
    """
    ordered = sorted(found, key=lambda one: -one.confidence)
    scores = np.array([one.confidence for one in ordered], dtype=np.float64)
    is_right = np.zeros(len(ordered), dtype=bool)
    if not ordered or not labels:
        return scores, is_right
    corners = [geometry.xywh_to_xyxy([box.xywh for box in boxes]) for boxes in (ordered, labels)]
    overlap = geometry.iou(*corners)
    classes = [np.array([box.class_id for box in boxes]) for boxes in (ordered, labels)]
    overlap[classes[0][:, None] != classes[1][None, :]] = 0
    for row in range(len(ordered)):
        label = int(np.argmax(overlap[row]))
        if overlap[row, label] >= right:
            is_right[row] = True
            overlap[:, label] = 0
    return scores, is_right


def _cost(is_shown: npt.NDArray[np.bool_], is_right: npt.NDArray[np.bool_], num_labels: int) -> int:
    taken = int(np.sum(is_shown & is_right))
    wrong = int(np.sum(is_shown)) - taken
    return min(num_labels - taken + _WRONG * wrong, num_labels + 1)


def _cost_of_crops(
    is_shown: npt.NDArray[np.bool_], is_right: npt.NDArray[np.bool_], num_labels: int
) -> int:
    taken = int(np.sum(is_shown & is_right))
    missing = num_labels - taken
    wrong = int(np.sum(is_shown)) - taken
    return missing + _INCOMPLETE * (missing > 0) + _WRONG * wrong
