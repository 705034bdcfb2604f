"""Which prediction found which label.

Two conventions are in use, and both are here, because their numbers differ:

*COCO* (``COCOeval.evaluateImg`` of pycocotools; Lin et al., "Microsoft COCO", 2014). The
predictions of one image and class are taken in order of falling confidence. Each takes the
label not yet taken with the highest IoU, if that reaches the threshold; of equal IoUs the
last label. Labels out of the range of areas that is asked about are ignored: they are taken
only where no other label fits, and whoever takes one counts neither as right nor as wrong.

*Ultralytics* (``BaseValidator.match_predictions`` of release 8.4). The same greedy order,
but of equal IoUs the first label, IoU and thresholds in single precision, and nothing is
ignored. Releases before 8.4 matched by falling IoU instead, which differs by a few
thousandths.

Both take one pass over all images at once: in round *k* the *k*-th prediction of every
image and class chooses its label, for every threshold, in a handful of array operations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from workbench.geometry import area

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Convention = Literal["coco", "ultralytics"]

IOU_THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)
"""0.5, 0.55 ... 0.95: what "AP50-95" is the mean over."""

PAIRS_AT_ONCE = 4_000_000  # bounds the memory that IoUs take, to some hundred MB
_NOBODY = np.iinfo(np.int64).max
# COCOeval lets an IoU of 1 reach every threshold, whatever the rounding.
_ALMOST_ONE = 1 - 1e-10
# `ultralytics.utils.metrics.box_iou` adds this to the union.
_ULTRALYTICS_EPS = np.float32(1e-7)


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """The labels of some images in columns.

    Parameters
    ----------
    image_index : ndarray of int64, shape (labels,)
        Position of the image among those evaluated; ascending.
    class_id : ndarray of int64, shape (labels,)
    boxes : ndarray of float64, shape (labels, 4)
        Pixel xyxy.
    """

    image_index: Ints
    class_id: Ints
    boxes: Floats

    def __len__(self) -> int:
        """Return the number of labels."""
        return len(self.class_id)


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """The predictions on some images in columns.

    Parameters
    ----------
    image_index : ndarray of int64, shape (detections,)
        Position of the image among those evaluated; ascending.
    class_id : ndarray of int64, shape (detections,)
    boxes : ndarray of float64, shape (detections, 4)
        Pixel xyxy; may reach beyond the image.
    confidence : ndarray of float64, shape (detections,)
        0..1; falling within an image.
    """

    image_index: Ints
    class_id: Ints
    boxes: Floats
    confidence: Floats

    def __len__(self) -> int:
        """Return the number of predictions."""
        return len(self.class_id)

    def keep(self, chosen: Bools | Ints) -> Detections:
        """Return the chosen rows only."""
        return Detections(
            self.image_index[chosen],
            self.class_id[chosen],
            self.boxes[chosen],
            self.confidence[chosen],
        )

    def clipped(self, sizes: npt.NDArray[np.integer]) -> Detections:
        """Return the boxes cut off at the border of their images.

        Parameters
        ----------
        sizes : ndarray of int, shape (images, 2)
            Width and height in pixels.
        """
        limits = np.tile(sizes, 2)[self.image_index].astype(np.float64)
        return replace(self, boxes=np.clip(self.boxes, 0.0, limits))


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """What each prediction found, for each threshold of IoU.

    Parameters
    ----------
    label : ndarray of int64, shape (detections, thresholds)
        Position of the label in the `Truth`, or -1.
    ignored : ndarray of bool, shape (detections, thresholds)
        Whether the prediction found a label that is ignored.
    """

    label: Ints
    ignored: Bools

    @property
    def correct(self) -> Bools:
        """Which predictions found a label that counts."""
        return (self.label >= 0) & ~self.ignored


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Predictions and labels of one image that overlap.

    Parameters
    ----------
    detection, label : ndarray of int64, shape (pairs,)
        Positions in `Detections` and `Truth`; sorted by detection, then label.
    iou : ndarray of float64, shape (pairs,)
    """

    detection: Ints
    label: Ints
    iou: Floats

    def keep(self, chosen: Bools | Ints) -> Pairs:
        """Return the chosen rows only."""
        return Pairs(self.detection[chosen], self.label[chosen], self.iou[chosen])


def overlapping(
    detections: Detections,
    truth: Truth,
    *,
    at_least: float = 0.0,
    same_class: bool = False,
    single_precision: bool = False,
) -> Pairs:
    """Find all predictions and labels that overlap.

    Parameters
    ----------
    at_least : float
        Pairs with a lower IoU are left out; so are those with none at all.
    same_class : bool
        Leave out pairs of different classes.
    single_precision : bool
        Compute as Ultralytics does: in float32, with a little added to the union.
    """
    parts = []
    for detection, label in _blocks(detections, truth):
        if same_class:
            same = detections.class_id[detection] == truth.class_id[label]
            detection, label = detection[same], label[same]
        iou = _iou(detections.boxes[detection], truth.boxes[label], single_precision)
        near = (iou > 0) & (iou >= at_least)
        parts.append(Pairs(detection[near], label[near], iou[near]))
    if not parts:
        nothing = np.empty(0, dtype=np.int64)
        return Pairs(nothing, nothing, np.empty(0))
    return Pairs(
        np.concatenate([part.detection for part in parts]),
        np.concatenate([part.label for part in parts]),
        np.concatenate([part.iou for part in parts]),
    )


def match(
    detections: Detections,
    truth: Truth,
    convention: Convention = "ultralytics",
    *,
    thresholds: Floats = IOU_THRESHOLDS,
    same_class: bool = True,
    ignored: Bools | None = None,
    pairs: Pairs | None = None,
) -> Matches:
    """Match predictions with labels, image by image.

    Parameters
    ----------
    convention : str
        ``"coco"`` or ``"ultralytics"``; see the module.
    thresholds : ndarray of float64, shape (thresholds,)
        IoU that makes a prediction right.
    same_class : bool
        Whether only labels of the prediction's class can be found.
    ignored : ndarray of bool, shape (labels,), optional
        Labels that shall not count.
    pairs : Pairs, optional
        What `overlapping` found for this `convention`, if it is there already; with all
        pairs whose IoU reaches the lowest threshold.
    """
    ultralytics = convention == "ultralytics"
    reach: Floats = np.minimum(thresholds, _ALMOST_ONE)
    if ultralytics:
        reach = thresholds.astype(np.float32).astype(np.float64)
    if pairs is None:
        pairs = overlapping(
            detections,
            truth,
            at_least=float(reach.min()),
            same_class=same_class,
            single_precision=ultralytics,
        )
    ignored = np.zeros(len(truth), dtype=np.bool_) if ignored is None else ignored
    found = np.full((len(detections), len(thresholds)), -1, dtype=np.int64)
    taken = np.zeros((len(truth), len(thresholds)), dtype=np.bool_)
    for turn in _turns(detections, pairs, ignored, last_of_equals=not ultralytics, by=same_class):
        _choose(turn, reach, taken, found)
    return Matches(found, np.append(ignored, False)[found])  # -1 finds the False at the end


def _choose(turn: Pairs, reach: Floats, taken: Bools, found: Ints) -> None:
    """Give each prediction of one round the first of its labels that fits and is free."""
    fits = (turn.iou[:, np.newaxis] >= reach) & ~taken[turn.label]
    place = np.where(fits, np.arange(len(turn.label))[:, np.newaxis], _NOBODY)
    starts = np.flatnonzero(np.diff(turn.detection, prepend=-1))
    first = np.minimum.reduceat(place, starts, axis=0)
    row, threshold = np.nonzero(first != _NOBODY)
    label = turn.label[first[row, threshold]]
    found[turn.detection[starts][row], threshold] = label
    taken[label, threshold] = True


def _turns(
    detections: Detections, pairs: Pairs, ignored: Bools, *, last_of_equals: bool, by: bool
) -> Iterator[Pairs]:
    """Split the pairs into rounds, in each of which no two predictions want the same label.

    Within a round the pairs of a prediction stand in the order of its preference.
    """
    if not len(pairs.detection):
        return
    rank = _rank(detections, np.unique(pairs.detection), by)[pairs.detection]
    tie = -pairs.label if last_of_equals else pairs.label
    order = np.lexsort((tie, -pairs.iou, ignored[pairs.label], pairs.detection, rank))
    pairs, rank = pairs.keep(order), rank[order]
    ends = np.searchsorted(rank, np.arange(rank[-1] + 1), side="right")
    for start, end in zip(np.append(0, ends[:-1]).tolist(), ends.tolist(), strict=True):
        yield pairs.keep(np.arange(start, end))


def _rank(detections: Detections, chosen: Ints, by_class: bool) -> Ints:
    """Return for each chosen prediction how many of its image (and class) come before it."""
    classes = detections.class_id[chosen] if by_class else np.zeros_like(chosen)
    images = detections.image_index[chosen]
    order = np.lexsort((chosen, -detections.confidence[chosen], classes, images))
    is_new = np.ones(len(chosen), dtype=np.bool_)
    is_new[1:] = (np.diff(images[order]) != 0) | (np.diff(classes[order]) != 0)
    place = np.arange(len(chosen))
    rank = np.full(len(detections), -1, dtype=np.int64)
    rank[chosen[order]] = place - np.maximum.accumulate(np.where(is_new, place, 0))
    return rank


def _blocks(detections: Detections, truth: Truth) -> Iterator[tuple[Ints, Ints]]:
    """Yield all pairs of a prediction and a label of one image, some images at a time."""
    first = np.searchsorted(truth.image_index, detections.image_index, side="left")
    count = np.searchsorted(truth.image_index, detections.image_index, side="right") - first
    total = np.cumsum(count)
    start = 0
    while start < len(count):
        before = int(total[start - 1]) if start else 0
        end = int(np.searchsorted(total, before + PAIRS_AT_ONCE, side="right"))
        end = max(end, start + 1)
        counts = count[start:end]
        detection = np.repeat(np.arange(start, end), counts)
        within = np.arange(len(detection)) - np.repeat(np.cumsum(counts) - counts, counts)
        yield detection, np.repeat(first[start:end], counts) + within
        start = end


def _iou(first: Floats, second: Floats, single_precision: bool) -> Floats:
    """Return the IoU of boxes row by row."""
    if single_precision:
        return _iou_as_ultralytics(first.astype(np.float32), second.astype(np.float32))
    size = np.minimum(first[:, 2:], second[:, 2:]) - np.maximum(first[:, :2], second[:, :2])
    shared = np.prod(np.clip(size, 0.0, None), axis=1)
    union = area(first) + area(second) - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))


def _iou_as_ultralytics(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> Floats:
    size = np.minimum(first[:, 2:], second[:, 2:]) - np.maximum(first[:, :2], second[:, :2])
    shared = np.prod(np.clip(size, 0, None), axis=1)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (first, second)]
    return np.asarray(shared / (areas[0] + areas[1] - shared + _ULTRALYTICS_EPS), dtype=np.float64)
