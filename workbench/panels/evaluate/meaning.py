"""What the numbers of an evaluation mean where they are none: in words, and what to do now."""

from __future__ import annotations

from workbench.datasets.changes import counted
from workbench.evaluation.evaluation import Evaluation
from workbench.evaluation.findings import Finding
from workbench.panels.evaluate.model import SUSPECTS

JUDGES_FROM = 0.1
"""mAP50 from which a model's disagreement with a label says anything about the label."""
_ZERO = 0.0005
"""Shown with three digits, less than this is 0.000."""
_OF_PREDICTIONS = (
    "false_positives",
    "wrong_class",
    "badly_placed",
    "duplicates",
    "most_confident",
    "least_confident",
)


def verdict(evaluation: Evaluation) -> str:
    """Return what the numbers say as a whole, where they could be misread; else nothing."""
    metrics, where = evaluation.metrics, f"{evaluation.dataset}/{evaluation.split}"
    if not metrics.labels:
        return (
            f"Nothing is labelled in {where}, so nothing can be measured: annotate some of its "
            f"images, or choose another split."
        )
    predicted = _num_predicted(evaluation)
    labels = counted(metrics.labels, "label")
    if not predicted:
        return (
            f"The model finds nothing at all on {counted(len(evaluation.filenames), 'image')} "
            f"with {labels}. It has learned too little: train for more epochs, start from "
            f"pretrained weights, or label more."
        )
    if metrics.map50 < _ZERO:
        return (
            f"None of what it finds ({counted(predicted, 'box', 'boxes')}) meets one of {labels}. "
            f"It has learned too little, or it was trained for other classes: train for more "
            f"epochs, start from pretrained weights, or label more."
        )
    if metrics.map50 < JUDGES_FROM:
        return (
            f"The model hardly finds anything of {labels} yet. What stands under Mistakes says "
            f"more about the model than about the labels."
        )
    missed = [row.name for row in metrics.classes if row.labels and row.ap50 < _ZERO]
    if missed:
        return f"Nothing is found of {', '.join(missed)}: look at these under Mistakes."
    return ""


def why_none(kind: str, evaluation: Evaluation, found: tuple[Finding, ...]) -> str:
    """Return what it means that a gallery is empty."""
    if found:
        return ""
    predicted, metrics = _num_predicted(evaluation), evaluation.metrics
    if not metrics.labels and kind != "false_positives":
        return "Nothing is labelled here, so there is nothing to compare with."
    if kind == SUSPECTS and metrics.map50 < JUDGES_FROM:
        return (
            f"This says nothing about the labels: a model with mAP50 {metrics.map50:.3f} is no "
            f"judge of them. Train a better one, and evaluate again."
        )
    if kind in _OF_PREDICTIONS and not predicted:
        return "There is none, because the model predicts nothing at all."
    return "✓ There is none."


def _num_predicted(evaluation: Evaluation) -> int:
    return len(evaluation.detections.confidence)
