"""Precision, recall, F1 and average precision, as Ultralytics' own validation computes them.

Formulas after ``ap_per_class`` and ``compute_ap`` of ``ultralytics.utils.metrics`` (release
8.4). Average precision there is the area below the precision envelope, interpolated
linearly at 101 recalls; pycocotools takes steps instead, see `workbench.evaluation.coco`.
Ultralytics' own functions are not called, because importing them loads PyTorch, which takes two
seconds; ``tests/evaluation/test_agreement.py`` holds both against each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.evaluation.matching import (
    IOU_THRESHOLDS,
    Bools,
    Detections,
    Floats,
    Ints,
    Truth,
    match,
)

if TYPE_CHECKING:
    import pandas as pd

_RECALLS: Floats = np.linspace(0, 1, 101)
_GRID: Floats = np.linspace(0, 1, 1000)
_TINY = 1e-16
# Ultralytics smooths the mean F1 over a tenth of the axis before it takes the highest.
_SMOOTHING = 0.1
_AT_75 = 5


@dataclass(frozen=True, slots=True)
class ClassMetrics:
    """How well one class is found.

    Parameters
    ----------
    class_id : int
    name : str
    labels, images : int
        How many boxes of the class are labelled, and in how many images.
    precision, recall, f1 : float
        At an IoU of 0.5 and the confidence that suits all classes together best.
    ap50, ap75, ap : float
        Average precision at an IoU of 0.5, of 0.75, and the mean over `IOU_THRESHOLDS`.
    best_confidence : float
        Threshold with the highest F1 of this class; predictions with this confidence are
        kept. NaN where nothing is ever found.
    best_precision, best_recall, best_f1 : float
        At that threshold.
    """

    class_id: int
    name: str
    labels: int
    images: int
    precision: float
    recall: float
    f1: float
    ap50: float
    ap75: float
    ap: float
    best_confidence: float
    best_precision: float
    best_recall: float
    best_f1: float


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Curves by class at an IoU of 0.5; one row for each class of `Metrics.classes`.

    Parameters
    ----------
    axis : ndarray of float64, shape (1000,)
        Confidence, or recall, 0..1.
    precision, recall, f1 : ndarray of float64, shape (classes, 1000)
        Against confidence.
    precision_at_recall : ndarray of float64, shape (classes, 1000)
        The precision envelope against recall: the PR curve.
    """

    axis: Floats
    precision: Floats
    recall: Floats
    f1: Floats
    precision_at_recall: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Metrics:
    """How well a model finds what is labelled.

    Parameters
    ----------
    classes : tuple of ClassMetrics
        Of each class that has labels.
    precision, recall, f1 : float
        Mean over those classes at `confidence`.
    confidence : float
        Threshold at which the (smoothed) mean F1 is highest.
    map50, map75, map : float
        Mean average precision at an IoU of 0.5, of 0.75, and over `IOU_THRESHOLDS`.
    average_precision : ndarray of float64, shape (classes, 10)
        For each class and threshold.
    curves : Curves
    labels, images, detections : int
        How many there were.
    """

    classes: tuple[ClassMetrics, ...]
    precision: float
    recall: float
    f1: float
    confidence: float
    map50: float
    map75: float
    map: float
    average_precision: Floats
    curves: Curves
    labels: int
    images: int
    detections: int

    def to_frame(self) -> pd.DataFrame:
        """Return one row for each class, indexed by its name."""
        import pandas as pd

        names = ClassMetrics.__slots__
        rows = [[getattr(row, name) for name in names] for row in self.classes]
        return pd.DataFrame(rows, columns=list(names)).set_index("name")

    def summary(self) -> dict[str, float]:
        """Return the numbers over all classes by name."""
        names = ("precision", "recall", "f1", "confidence", "map50", "map75", "map")
        return {name: float(getattr(self, name)) for name in names}


def measure(
    detections: Detections, truth: Truth, class_names: tuple[str, ...], num_images: int
) -> Metrics:
    """Compute all metrics of some predictions.

    Parameters
    ----------
    detections : Detections
        Not clipped, if the numbers shall be those of Ultralytics.
    truth : Truth
    class_names : tuple of str
        By class id.
    num_images : int
        How many images were looked at, those without boxes included.
    """
    correct = match(detections, truth, "ultralytics").correct
    order = np.argsort(-detections.confidence, kind="stable")
    correct, confidence = correct[order], detections.confidence[order]
    class_of = detections.class_id[order]
    class_ids, counts = np.unique(truth.class_id, return_counts=True)
    shape = (len(class_ids), len(_GRID))
    curves = Curves(_GRID, np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(shape))
    ap = np.zeros((len(class_ids), len(IOU_THRESHOLDS)))
    best = []
    for row, (class_id, count) in enumerate(zip(class_ids.tolist(), counts.tolist(), strict=True)):
        mine = class_of == class_id
        best.append(best_threshold(correct[mine, 0], confidence[mine], count))
        if mine.any():
            ap[row] = _fill_curves(curves, row, correct[mine], confidence[mine], count)
    with np.errstate(invalid="ignore"):
        curves.f1[:] = 2 * curves.precision * curves.recall
        curves.f1[:] /= curves.precision + curves.recall + _TINY
    at = int(_smooth(curves.f1.mean(axis=0)).argmax()) if len(class_ids) else 0
    with_class = _images_with_class(truth, class_ids)
    classes = tuple(
        ClassMetrics(
            class_id=class_id,
            name=class_names[class_id],
            labels=count,
            images=with_class[row],
            precision=float(curves.precision[row, at]),
            recall=float(curves.recall[row, at]),
            f1=float(curves.f1[row, at]),
            ap50=float(ap[row, 0]),
            ap75=float(ap[row, _AT_75]),
            ap=float(ap[row].mean()),
            best_confidence=best[row].confidence,
            best_precision=best[row].precision,
            best_recall=best[row].recall,
            best_f1=best[row].f1,
        )
        for row, (class_id, count) in enumerate(
            zip(class_ids.tolist(), counts.tolist(), strict=True)
        )
    )
    return Metrics(
        classes=classes,
        precision=_mean(curves.precision[:, at]),
        recall=_mean(curves.recall[:, at]),
        f1=_mean(curves.f1[:, at]),
        confidence=float(_GRID[at]),
        map50=_mean(ap[:, 0]),
        map75=_mean(ap[:, _AT_75]),
        map=_mean(ap),
        average_precision=ap,
        curves=curves,
        labels=len(truth),
        images=num_images,
        detections=len(detections),
    )


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold of confidence, and what comes of it."""

    confidence: float
    precision: float
    recall: float
    f1: float


def best_threshold(correct: Bools, confidence: Floats, num_labels: int) -> OperatingPoint:
    """Find the threshold with the highest F1 among the confidences that occur.

    Parameters
    ----------
    correct : ndarray of bool, shape (detections,)
        Of one class, at one IoU.
    confidence : ndarray of float64, shape (detections,)
        Falling. What has the same confidence is kept or dropped together.
    num_labels : int
        Of the class.
    """
    found = np.cumsum(correct)
    # F1 = 2 TP / (predictions + labels): van Rijsbergen's harmonic mean, without its 0/0.
    f1 = 2 * found / (np.arange(1, len(found) + 1) + num_labels)
    last_of_equals = np.append(np.diff(confidence) != 0, True)[: len(found)]
    f1 = np.where(last_of_equals, f1, -1.0)
    if not len(f1) or f1.max() <= 0:
        return OperatingPoint(float("nan"), 0.0, 0.0, 0.0)
    at = int(f1.argmax())
    return OperatingPoint(
        confidence=float(confidence[at]),
        precision=float(found[at] / (at + 1)),
        recall=float(found[at] / num_labels),
        f1=float(f1[at]),
    )


def average_precision(recall: Floats, precision: Floats) -> tuple[float, Floats, Floats]:
    """Return the area below a precision-recall curve, and recall and precision of its envelope.

    Parameters
    ----------
    recall, precision : ndarray of float64, shape (detections,)
        After each prediction, in order of falling confidence.
    """
    last = recall[-1:] if len(recall) else np.ones(1)
    full_recall = np.concatenate(([0.0], recall, last, [1.0]))
    envelope = np.concatenate(([1.0], precision, [0.0], [0.0]))
    envelope = np.maximum.accumulate(envelope[::-1])[::-1]
    heights = np.interp(_RECALLS, full_recall, envelope)
    area = float(((heights[1:] + heights[:-1]) / 2).sum() * (_RECALLS[1] - _RECALLS[0]))
    return area, full_recall, envelope


def _fill_curves(
    curves: Curves, row: int, correct: Bools, confidence: Floats, num_labels: int
) -> Floats:
    """Write the curves of one class into its row; return its average precisions."""
    found = correct.cumsum(axis=0)
    recall = found / (num_labels + _TINY)
    precision = found / np.arange(1, len(found) + 1)[:, np.newaxis]
    # Interpolation needs a rising axis, so both are turned round.
    curves.recall[row] = np.interp(-_GRID, -confidence, recall[:, 0], left=0)
    curves.precision[row] = np.interp(-_GRID, -confidence, precision[:, 0], left=1)
    areas = [average_precision(recall[:, at], precision[:, at]) for at in range(correct.shape[1])]
    _, full_recall, envelope = areas[0]
    curves.precision_at_recall[row] = np.interp(_GRID, full_recall, envelope)
    return np.array([value for value, _, _ in areas])


def _smooth(curve: Floats) -> Floats:
    """Return the moving mean of a curve whose ends are continued (``smooth`` of Ultralytics)."""
    width = round(len(curve) * _SMOOTHING * 2) // 2 + 1
    ends = np.ones(width // 2)
    padded = np.concatenate((ends * curve[0], curve, ends * curve[-1]))
    return np.convolve(padded, np.ones(width) / width, mode="valid")


def _images_with_class(truth: Truth, class_ids: Ints) -> list[int]:
    pairs = np.unique(np.stack([truth.class_id, truth.image_index], axis=1), axis=0)
    return [int((pairs[:, 0] == class_id).sum()) for class_id in class_ids.tolist()]


def _mean(values: Floats) -> float:
    return float(values.mean()) if values.size else 0.0
