"""Which class is taken for which.

Matching after ``ConfusionMatrix.process_batch`` of ``ultralytics.utils.metrics`` (release
8.4): predictions above a confidence, in falling order, take the free label with the highest
IoU above 0.45, whatever its class. What is left over is counted against the background.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.evaluation.matching import Detections, Floats, Ints, Truth, match

if TYPE_CHECKING:
    import pandas as pd

BACKGROUND = "background"
CONFIDENCE = 0.25
IOU = 0.45


@dataclass(frozen=True, slots=True, eq=False)
class ConfusionMatrix:
    """Counts of predicted against labelled classes.

    Parameters
    ----------
    counts : ndarray of int64, shape (classes + 1, classes + 1)
        ``counts[predicted, labelled]``; the last row holds labels that nothing found, the
        last column predictions where nothing is labelled.
    names : tuple of str
        Of the classes, then ``"background"``.
    confidence, iou : float
        Above which a prediction, and a match, counts.
    """

    counts: Ints
    names: tuple[str, ...]
    confidence: float
    iou: float

    def to_frame(self) -> pd.DataFrame:
        """Return the counts with predicted classes as rows, labelled ones as columns."""
        import pandas as pd

        return pd.DataFrame(
            self.counts,
            index=pd.Index(self.names, name="predicted"),
            columns=pd.Index(self.names, name="labelled"),
        )

    def shares(self) -> Floats:
        """Return the share of each labelled class (column); NaN where there is none."""
        total = self.counts.sum(axis=0, dtype=np.float64)
        shape = self.counts.shape
        shares = np.divide(self.counts, total, out=np.full(shape, np.nan), where=total > 0)
        return np.asarray(shares)


def confusion_matrix(
    detections: Detections,
    truth: Truth,
    class_names: tuple[str, ...],
    *,
    confidence: float = CONFIDENCE,
    iou: float = IOU,
) -> ConfusionMatrix:
    """Count which class is taken for which.

    Parameters
    ----------
    detections : Detections
    truth : Truth
    class_names : tuple of str
        By class id.
    confidence, iou : float
        A prediction counts above, not at, these.
    """
    detections = detections.keep(detections.confidence > confidence)
    # The matching asks for "at least"; the next number in single precision is "above".
    above = np.nextafter(np.float32(iou), np.float32(1))
    matches = match(
        detections, truth, thresholds=np.array([above], dtype=np.float64), same_class=False
    )
    label = matches.label[:, 0]
    found = label >= 0
    background = len(class_names)
    missed = np.ones(len(truth), dtype=np.bool_)
    missed[label[found]] = False
    predicted = np.append(detections.class_id, np.full(int(missed.sum()), background))
    labelled = np.append(
        np.where(found, np.append(truth.class_id, background)[label], background),
        truth.class_id[missed],
    )
    width = background + 1
    counts = np.bincount(predicted * width + labelled, minlength=width**2).astype(np.int64)
    return ConfusionMatrix(
        counts.reshape(width, width), (*class_names, BACKGROUND), confidence, iou
    )
