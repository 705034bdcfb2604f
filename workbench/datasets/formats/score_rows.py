"""Rows of six columns: the score stands behind the box, or in some tools before it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from workbench.datasets.changes import counted
from workbench.datasets.formats.items import Record, is_box_with_score
from workbench.datasets.judging import both

_SLACK = 0.01
_MANY, _FEW = 0.05, 0.02


def put_scores_behind(records: Sequence[Record]) -> str:
    """Read scores before boxes where only that makes sense; return what to say of it.

    Parameters
    ----------
    records : sequence of Record
        Read as ``class x y width height score``. Changed if most rows would reach out of their
        pictures so, and none or nearly none as ``class score x y width height``.
    """
    found = [
        (record, number, box.rest)
        for record in records
        if record.plain is None
        for number, box in enumerate(record.boxes)
        if box.rest and is_box_with_score(box)
    ]
    if not found:
        return ""
    numbers = np.array([text.split() for _, _, text in found], dtype=np.float64)
    scores, boxes = numbers[:, 0], numbers[:, 1:]
    are_scores = (scores >= 0) & (scores <= 1)
    if _outside(numbers[:, :4]).mean() <= _MANY or (_outside(boxes) | ~are_scores).mean() > _FEW:
        return ""
    for (record, number, _), score, (x, y, width, height) in zip(
        found, scores.tolist(), boxes.tolist(), strict=True
    ):
        left, top = x - width / 2, y - height / 2
        record.boxes[number] = record.boxes[number]._replace(
            x0=left, y0=top, x1=left + width, y1=top + height, rest=None, shape="",
            extra={"score": score},
        )  # fmt: skip
        record.raw = None
    return (
        f"{counted(len(found), 'row')} of six columns were read as class, score, x, y, width, "
        f"height: with the score behind the box they would reach out of their pictures"
    )


def _outside(boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Whether each box, normalised xywh, is not one inside its picture."""
    half = boxes[:, 2:] / 2
    low, high = boxes[:, :2] - half, boxes[:, :2] + half
    return ~(both(low >= -_SLACK) & both(high <= 1 + _SLACK) & both(half > 0))
