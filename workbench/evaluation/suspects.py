"""Labels that are probably wrong, because a model that is usually right disagrees.

The idea is confident learning (Northcutt, Jiang and Chuang, "Confident Learning: Estimating
Uncertainty in Dataset Labels", JAIR 2021): disagreement counts only where the model is as
sure as it usually is when it is right about a class. Its four kinds for boxes follow
ObjectLab (Tkachenko, Thyagarajan and Mueller, "ObjectLab: Automated Diagnosis of Mislabeled
Images in Object Detection Data", 2023), which scores overlooked, badly located and swapped
boxes; a label that the model does not see at all is added here. Scores are our own, 0..1:

``missing_label``   a prediction overlaps no label: its confidence.
``wrong_class``     a prediction of another class fits: its confidence, times what the model
                    holds against the class that is labelled.
``badly_located``   a prediction of the class is about the label, but less close than the
                    model usually is: its confidence, times how much less.
``spurious_label``  no prediction is about the label: how little the model sees of it, times
                    the share of the class that it usually finds.

A model judges best what it was not trained on: on its own training images it may have
learned the mistakes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workbench.evaluation.evaluation import Evaluation
from workbench.evaluation.findings import (
    Describer,
    Finding,
    best_pair,
    chosen_rows,
    iou_of,
)
from workbench.evaluation.matching import Floats, Ints, match, overlapping
from workbench.geometry import iou

_FITS = 0.5
_APART = 0.3
"""Below this IoU, two boxes are about different things."""
_LEAST = 0.05
"""Below this score, a disagreement is noise."""
_ROUNDING = 1 - 1e-9


@dataclass(frozen=True, slots=True)
class _Habits:
    """How a model usually is, by class id.

    Parameters
    ----------
    confidence : ndarray of float64, shape (classes,)
        Mean confidence where it is right; infinite for a class it never finds.
    iou : ndarray of float64, shape (classes,)
        Median IoU where it is right.
    recall : ndarray of float64, shape (classes,)
        Share of the labels that it finds with at least half that confidence.
    """

    confidence: Floats
    iou: Floats
    recall: Floats


def suspicious_labels(evaluation: Evaluation) -> tuple[Finding, ...]:
    """Rank what is probably labelled wrongly, the most suspicious first.

    Each label stands in the list at most once, for its most suspicious kind. For a missing
    label, `Finding.box` is the prediction and there is no ``label_box``; for a label that is
    there, ``label_box`` is the label, and `Finding.box` the prediction that speaks against
    it, or for ``"spurious_label"`` the label itself.
    """
    habits = _habits(evaluation)
    describe = Describer(evaluation)
    found = [
        *_missing(evaluation, describe, habits),
        *_doubted(evaluation, describe, habits),
    ]
    return tuple(sorted(found, key=lambda one: -one.score))


def _habits(evaluation: Evaluation) -> _Habits:
    detections, truth = evaluation.clipped, evaluation.truth
    classes = len(evaluation.classes)
    label = match(detections, truth, thresholds=np.array([_FITS])).label[:, 0]
    right = label >= 0
    confidence, closeness = np.full(classes, np.inf), np.full(classes, np.nan)
    recall = np.zeros(classes)
    labels = np.bincount(truth.class_id, minlength=classes)
    for class_id in np.unique(detections.class_id[right]).tolist():
        mine = np.flatnonzero(right & (detections.class_id == class_id))
        # A plain mean would be near 0, because there are very many predictions of low confidence.
        sure = detections.confidence[mine]
        confidence[class_id] = np.average(sure, weights=np.maximum(sure, 1e-9))
        usual = mine[sure >= confidence[class_id] / 2]
        overlaps = [
            float(iou(detections.boxes[row], truth.boxes[label[row]])[0, 0]) for row in usual
        ]
        closeness[class_id] = np.median(overlaps)
        recall[class_id] = len(usual) / labels[class_id]
    return _Habits(confidence, closeness, recall)


def _missing(evaluation: Evaluation, describe: Describer, habits: _Habits) -> list[Finding]:
    """Find what is there and not labelled."""
    detections, truth = evaluation.clipped, evaluation.truth
    pairs = overlapping(detections, truth, at_least=_APART)
    alone = np.ones(len(detections), dtype=np.bool_)
    alone[pairs.detection] = False
    sure = detections.confidence >= habits.confidence[detections.class_id] * _ROUNDING
    rows = sorted(chosen_rows(alone & sure), key=lambda row: -detections.confidence[row])
    taken: dict[int, list[int]] = {}
    found = []
    for row in rows:
        before = taken.setdefault(int(detections.image_index[row]), [])
        # An unlabelled object that is predicted as several classes counts as one missing label.
        if before and iou(detections.boxes[row], detections.boxes[before]).max() >= _FITS:
            continue
        before.append(row)
        found.append(describe.prediction("missing_label", row))
    return found


def _doubted(evaluation: Evaluation, describe: Describer, habits: _Habits) -> list[Finding]:
    """Find labels that the predictions contradict, each with the strongest reason."""
    detections, truth = evaluation.clipped, evaluation.truth
    pairs = overlapping(detections, truth, at_least=_APART)
    sure = detections.confidence[pairs.detection]
    same = detections.class_id[pairs.detection] == truth.class_id[pairs.label]
    usual = sure >= habits.confidence[detections.class_id[pairs.detection]] * _ROUNDING
    # What the model thinks of the label as it is, in 0..1 of what it usually thinks.
    agrees = _highest(np.where(same & (pairs.iou >= _FITS), sure, 0), pairs.label, len(truth))
    sees = _highest(sure, pairs.label, len(truth))
    usual_confidence = habits.confidence[truth.class_id]
    known = np.isfinite(usual_confidence)
    support = np.minimum(sees / usual_confidence, 1)
    spurious = np.where(known, (1 - support) * habits.recall[truth.class_id], 0)

    other = pairs.keep(~same & usual & (pairs.iou >= _FITS))
    best_other = best_pair(other, other.label, len(truth), detections.confidence[other.detection])
    other_sure = np.append(detections.confidence[other.detection], 0.0)[best_other]
    wrong_class = other_sure * (1 - agrees)

    mine = pairs.keep(same & usual)
    best_mine = best_pair(mine, mine.label, len(truth), mine.iou)
    mine_sure = np.append(detections.confidence[mine.detection], 0.0)[best_mine]
    closeness = np.nan_to_num(iou_of(mine, best_mine) / habits.iou[truth.class_id], nan=1.0)
    badly_located = mine_sure * np.clip(1 - closeness, 0, 1)

    reasons = np.stack([wrong_class, badly_located, spurious])
    found = []
    for label in chosen_rows(reasons.max(axis=0) >= _LEAST):
        reason = int(reasons[:, label].argmax())
        score = float(reasons[reason, label])
        if reason == 2:
            found.append(describe.label("spurious_label", label, score))
            continue
        kind, against, best = (
            ("wrong_class", other, best_other),
            ("badly_located", mine, best_mine),
        )[reason]
        pair = int(best[label])
        found.append(
            describe.prediction(
                kind, int(against.detection[pair]), label, float(against.iou[pair]), score=score
            )
        )
    return found


def _highest(value: Floats, of: Ints, count: int) -> Floats:
    """Return the highest value of each row; 0 where it has none."""
    highest = np.zeros(count)
    np.maximum.at(highest, of, value)
    return highest
