"""One thing to look at: a prediction or a label, in the terms that the annotator needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.evaluation.evaluation import Evaluation
from workbench.evaluation.matching import Bools, Floats, Ints, Pairs
from workbench.geometry import to_normalised

if TYPE_CHECKING:
    import pandas as pd

Box = tuple[float, float, float, float]
"""Normalised xywh."""

Thresholds = float | Mapping[int, float] | None
"""Confidence from which on predictions count: one for all, or by class id. None: for each
class the one with its highest F1."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A prediction or a label that is worth a look.

    Parameters
    ----------
    kind : str
        What it is, for instance ``"wrong_class"``.
    split, filename : str
        Of the image.
    box : tuple of float
        Normalised xywh: of the prediction, or where there is none, of the label.
    class_id : int
        Likewise.
    class_name : str
    score : float
        Confidence of the prediction, 0..1; for suspected labels, how suspicious, 0..1.
    iou : float
        With the label; 0 where there is none.
    label_box : tuple of float or None
        Normalised xywh of the label that the prediction is compared with.
    label_class_id : int or None
    """

    kind: str
    split: str
    filename: str
    box: Box
    class_id: int
    class_name: str
    score: float
    iou: float = 0.0
    label_box: Box | None = None
    label_class_id: int | None = None


def to_frame(findings: tuple[Finding, ...]) -> pd.DataFrame:
    """Return one row for each finding."""
    import pandas as pd

    names = Finding.__slots__
    return pd.DataFrame(
        [[getattr(found, name) for name in names] for found in findings], columns=list(names)
    )


def thresholds_by_class(evaluation: Evaluation, confidence: Thresholds) -> Floats:
    """Return the confidence from which on predictions count, by class id."""
    metrics = evaluation.metrics
    by_class = np.full(len(evaluation.classes), metrics.confidence)
    if confidence is None:
        for row in metrics.classes:
            if not np.isnan(row.best_confidence):
                by_class[row.class_id] = row.best_confidence
    elif isinstance(confidence, Mapping):
        by_class[list(confidence)] = list(confidence.values())
    else:
        by_class[:] = confidence
    return by_class


class Describer:
    """Makes findings of rows of an evaluation."""

    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation
        sizes, truth, detections = evaluation.sizes, evaluation.truth, evaluation.clipped
        self._found = _normalised(detections.boxes, sizes, detections.image_index)
        self._labelled = _normalised(truth.boxes, sizes, truth.image_index)

    def prediction(
        self,
        kind: str,
        detection: int,
        label: int = -1,
        iou: float = 0.0,
        *,
        score: float | None = None,
    ) -> Finding:
        """Describe a prediction, and the label (if not -1) that it is compared with."""
        detections = self._evaluation.detections
        shown = float(detections.confidence[detection]) if score is None else score
        return self._finding(
            kind,
            int(detections.image_index[detection]),
            self._found[detection],
            int(detections.class_id[detection]),
            shown,
            label,
            iou,
        )

    def label(self, kind: str, label: int, score: float, iou: float = 0.0) -> Finding:
        """Describe a label to which no prediction belongs."""
        truth = self._evaluation.truth
        return self._finding(
            kind,
            int(truth.image_index[label]),
            self._labelled[label],
            int(truth.class_id[label]),
            score,
            label,
            iou,
        )

    def _finding(
        self,
        kind: str,
        image: int,
        box: Floats,
        class_id: int,
        score: float,
        label: int,
        iou: float,
    ) -> Finding:
        evaluation = self._evaluation
        return Finding(
            kind=kind,
            split=evaluation.split,
            filename=evaluation.filenames[image],
            box=_as_box(box),
            class_id=class_id,
            class_name=evaluation.classes[class_id],
            score=score,
            iou=iou,
            label_box=_as_box(self._labelled[label]) if label >= 0 else None,
            label_class_id=int(evaluation.truth.class_id[label]) if label >= 0 else None,
        )


def best_pair(pairs: Pairs, of: Ints, count: int, value: Floats) -> Ints:
    """Return for each row the position of its pair with the highest value, or -1.

    Parameters
    ----------
    pairs : Pairs
    of : ndarray of int64, shape (pairs,)
        The row that a pair belongs to: ``pairs.detection`` or ``pairs.label``.
    count : int
        How many rows there are.
    value : ndarray of float64, shape (pairs,)
    """
    best = np.full(count, -1, dtype=np.int64)
    order = np.argsort(value, kind="stable")
    best[of[order]] = order  # the last one written is the highest
    return best


def iou_of(pairs: Pairs, best: Ints) -> Floats:
    """Return the IoU of each row's best pair; 0 where it has none."""
    return np.append(pairs.iou, 0.0)[best]


def _normalised(boxes: Floats, sizes: Ints | np.ndarray, image_index: Ints) -> Floats:
    scale = np.tile(sizes, 2)[image_index]
    return to_normalised(boxes / scale, 1.0, 1.0)


def _as_box(row: Floats) -> Box:
    x, y, width, height = row.tolist()
    return (x, y, width, height)


def chosen_rows(mask: Bools) -> list[int]:
    """Return the positions that are true."""
    rows: list[int] = np.flatnonzero(mask).tolist()
    return rows
