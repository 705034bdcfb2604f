"""Where a model fails: galleries of its mistakes, and two models side by side.

The kinds of mistakes are those of TIDE (Bolya et al., "TIDE: A General Toolbox for
Identifying Object Detection Errors", ECCV 2020), with its thresholds: an IoU of 0.5 finds a
label, one of 0.1 or more is at least about it. Each prediction that counts is of one kind:

``correct``        it found a label of its class;
``duplicate``      the label that it fits was found by a surer prediction;
``wrong_class``    it fits a label of another class;
``badly_placed``   it is about a label of its class, but does not fit;
``false_positive`` there is nothing.

``false_negative`` are the labels that no correct, wrongly named or badly placed prediction
is about. So every mistake stands in one gallery.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.evaluation.evaluation import Evaluation
from workbench.evaluation.findings import (
    Describer,
    Finding,
    Thresholds,
    best_pair,
    chosen_rows,
    iou_of,
    thresholds_by_class,
)
from workbench.evaluation.matching import Bools, Floats, Ints, match, overlapping
from workbench.persistence.counting import counted

if TYPE_CHECKING:
    import pandas as pd

FITS = 0.5
ABOUT = 0.1


@dataclass(frozen=True, slots=True)
class Galleries:
    """The predictions that count and the labels that were missed, sorted by kind.

    All are tuples of `Finding`, the most confident first, except `false_negatives`: there
    ``score`` is the confidence of the best prediction that fits but does not count, and the
    labels of which the model has the least idea come first.
    """

    correct: tuple[Finding, ...]
    false_positives: tuple[Finding, ...]
    false_negatives: tuple[Finding, ...]
    wrong_class: tuple[Finding, ...]
    badly_placed: tuple[Finding, ...]
    duplicates: tuple[Finding, ...]

    def most_confident(self, count: int = 100) -> tuple[Finding, ...]:
        """Return the surest predictions of any kind, the surest first."""
        return self._predictions()[:count]

    def least_confident(self, count: int = 100) -> tuple[Finding, ...]:
        """Return the predictions that just count, the least sure first."""
        return self._predictions()[::-1][:count]

    def _predictions(self) -> tuple[Finding, ...]:
        kinds = (
            self.correct,
            self.false_positives,
            self.wrong_class,
            self.badly_placed,
            self.duplicates,
        )
        return tuple(sorted(sum(kinds, ()), key=lambda found: -found.score))


def galleries(evaluation: Evaluation, confidence: Thresholds = None) -> Galleries:
    """Sort predictions and missed labels by what is wrong with them.

    Parameters
    ----------
    confidence : float or mapping of int to float, optional
        From which on predictions count, for all or by class id. Default: for each class the
        one with its highest F1.
    """
    kept, label = _found(evaluation, confidence)
    detections, truth = evaluation.clipped, evaluation.truth
    pairs = overlapping(detections, truth, at_least=ABOUT)
    same = detections.class_id[pairs.detection] == truth.class_id[pairs.label]
    mine, others = pairs.keep(same), pairs.keep(~same)
    best_mine = best_pair(mine, mine.detection, len(detections), mine.iou)
    best_other = best_pair(others, others.detection, len(detections), others.iou)
    mine_iou, other_iou = iou_of(mine, best_mine), iou_of(others, best_other)
    correct = kept & (label >= 0)
    rest = kept & ~correct
    duplicate = rest & (mine_iou >= FITS)
    wrong_class = rest & ~duplicate & (other_iou >= FITS)
    badly_placed = rest & ~duplicate & ~wrong_class & (mine_iou >= ABOUT)
    nothing = rest & ~duplicate & ~wrong_class & ~badly_placed
    mine_label = np.append(mine.label, -1)[best_mine]
    other_label = np.append(others.label, -1)[best_other]
    missed = np.ones(len(truth), dtype=np.bool_)
    missed[label[correct]] = False
    missed[other_label[wrong_class]] = False
    missed[mine_label[badly_placed]] = False
    describe = Describer(evaluation)

    def gallery(kind: str, which: Bools, labels: Ints, ious: Floats) -> tuple[Finding, ...]:
        rows = sorted(chosen_rows(which), key=lambda row: -detections.confidence[row])
        return tuple(
            describe.prediction(kind, row, int(labels[row]), float(ious[row])) for row in rows
        )

    no_label, no_iou = np.full_like(label, -1), np.zeros(len(label))
    return Galleries(
        correct=gallery("correct", correct, label, _iou_with(evaluation, label)),
        false_positives=gallery("false_positive", nothing, no_label, no_iou),
        false_negatives=_missed(evaluation, describe, missed),
        wrong_class=gallery("wrong_class", wrong_class, other_label, other_iou),
        badly_placed=gallery("badly_placed", badly_placed, mine_label, mine_iou),
        duplicates=gallery("duplicate", duplicate, mine_label, mine_iou),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Two models on the same labels.

    Parameters
    ----------
    only_first, only_second : tuple of Finding
        Labels that one model finds and the other misses; the prediction that found it.
    false_positives_first, false_positives_second : tuple of Finding
        Predictions where nothing is labelled, at a place where the other has none.
    both, neither : int
        How many labels both find, and none.
    models : tuple of str
        Their names; told apart by a number if they are the same.
    metrics : dict of str to tuple of float
        The numbers of both, by name.
    """

    only_first: tuple[Finding, ...]
    only_second: tuple[Finding, ...]
    false_positives_first: tuple[Finding, ...]
    false_positives_second: tuple[Finding, ...]
    both: int
    neither: int
    models: tuple[str, str]
    metrics: dict[str, tuple[float, float]]

    def to_frame(self) -> pd.DataFrame:
        """Return one row for each number, with a column for each model and the difference."""
        import pandas as pd

        frame = pd.DataFrame.from_dict(self.metrics, orient="index", columns=list(self.models))
        frame["difference"] = frame.iloc[:, 1] - frame.iloc[:, 0]
        return frame


def compare(first: Evaluation, second: Evaluation, confidence: Thresholds = None) -> Comparison:
    """Compare two models on one split.

    Parameters
    ----------
    first, second : Evaluation
        Of the same labels.
    confidence : float or mapping of int to float, optional
        As for `galleries`; by default each model has thresholds of its own.

    Raises
    ------
    ValueError
        If the two were not compared with the same labels.
    """
    if first.labels_digest != second.labels_digest:
        raise ValueError(
            f"expected two evaluations of the same labels, found {first.dataset}/{first.split} "
            f"with {counted(len(first.truth), 'label')} on "
            f"{counted(len(first.filenames), 'image')} and "
            f"{second.dataset}/{second.split} with {len(second.truth)} on "
            f"{len(second.filenames)}; evaluate both again"
        )
    found = [_finder_of_each_label(each, confidence) for each in (first, second)]
    has = [finder >= 0 for finder in found]
    names = (first.model, second.model)
    if names[0] == names[1]:
        names = (f"{names[0]} (1)", f"{names[1]} (2)")
    false = [galleries(each, confidence).false_positives for each in (first, second)]
    return Comparison(
        only_first=_findings(first, found[0], has[0] & ~has[1]),
        only_second=_findings(second, found[1], has[1] & ~has[0]),
        false_positives_first=_not_shared(false[0], false[1]),
        false_positives_second=_not_shared(false[1], false[0]),
        both=int((has[0] & has[1]).sum()),
        neither=int((~has[0] & ~has[1]).sum()),
        models=names,
        metrics=_side_by_side(first, second),
    )


def _found(evaluation: Evaluation, confidence: Thresholds) -> tuple[Bools, Ints]:
    """Return which predictions count, and the label that each found, or -1."""
    detections = evaluation.detections
    least = thresholds_by_class(evaluation, confidence)[detections.class_id]
    kept = detections.confidence >= least
    rows = np.flatnonzero(kept)
    label = np.full(len(detections), -1, dtype=np.int64)
    matches = match(evaluation.clipped.keep(rows), evaluation.truth, thresholds=np.array([FITS]))
    label[rows] = matches.label[:, 0]
    return kept, label


def _finder_of_each_label(evaluation: Evaluation, confidence: Thresholds) -> Ints:
    """Return for each label the prediction that found it, or -1."""
    _, label = _found(evaluation, confidence)
    finder = np.full(len(evaluation.truth), -1, dtype=np.int64)
    rows = np.flatnonzero(label >= 0)
    finder[label[rows]] = rows
    return finder


def _findings(evaluation: Evaluation, finder: Ints, labels: Bools) -> tuple[Finding, ...]:
    describe = Describer(evaluation)
    label_of = np.full(len(evaluation.detections), -1, dtype=np.int64)
    chosen = np.flatnonzero(labels)
    label_of[finder[chosen]] = chosen
    iou = _iou_with(evaluation, label_of)
    found = [
        describe.prediction("correct", int(finder[label]), int(label), float(iou[finder[label]]))
        for label in chosen.tolist()
    ]
    return tuple(sorted(found, key=lambda one: -one.score))


def _iou_with(evaluation: Evaluation, label: Ints) -> Floats:
    """Return the IoU of each prediction with its label; 0 where it has none."""
    result = np.zeros(len(label))
    rows = np.flatnonzero(label >= 0)
    pairs = overlapping(evaluation.clipped, evaluation.truth, at_least=ABOUT, same_class=True)
    key = pairs.detection * (len(evaluation.truth) + 1) + pairs.label
    wanted = rows * (len(evaluation.truth) + 1) + label[rows]
    result[rows] = pairs.iou[np.searchsorted(key, wanted)]
    return result


def _missed(evaluation: Evaluation, describe: Describer, missed: Bools) -> tuple[Finding, ...]:
    """Describe labels that were missed; with the confidence of what fits but does not count."""
    truth, detections = evaluation.truth, evaluation.clipped
    pairs = overlapping(detections, truth, at_least=FITS, same_class=True)
    sure = detections.confidence[pairs.detection]
    best = best_pair(pairs, pairs.label, len(truth), sure)
    score, iou = np.append(sure, 0.0)[best], iou_of(pairs, best)
    rows = sorted(chosen_rows(missed), key=lambda row: score[row])
    return tuple(
        describe.label("false_negative", row, float(score[row]), float(iou[row])) for row in rows
    )


def _not_shared(mine: tuple[Finding, ...], theirs: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return my findings that do not fit one of the other model's of the same class."""
    from workbench.geometry import iou, xywh_to_xyxy

    by_place: dict[tuple[str, int], list[tuple[float, ...]]] = {}
    for found in theirs:
        by_place.setdefault((found.filename, found.class_id), []).append(found.box)

    def is_shared(found: Finding) -> bool:
        others = by_place.get((found.filename, found.class_id))
        if others is None:
            return False
        overlaps = iou(xywh_to_xyxy([found.box]), xywh_to_xyxy(others))
        return bool(overlaps.max() >= FITS)

    return tuple(found for found in mine if not is_shared(found))


def _side_by_side(first: Evaluation, second: Evaluation) -> dict[str, tuple[float, float]]:
    numbers = {
        name: (value, second.metrics.summary()[name])
        for name, value in first.metrics.summary().items()
    }
    for mine, other in zip(first.by_size, second.by_size, strict=True):
        numbers[f"coco ap {mine.size}"] = (mine.ap, other.ap)
    for row, twin in zip(first.metrics.classes, second.metrics.classes, strict=True):
        numbers[f"ap50 {row.name}"] = (row.ap50, twin.ap50)
        numbers[f"ap {row.name}"] = (row.ap, twin.ap)
    return numbers
