"""What looks the same as a box, pixel by pixel: no model and no weights are needed.

The boxes are cut out and laid over every place of a picture, in several sizes; where the pixels go
up and down together (normalised cross-correlation, OpenCV's ``TM_CCOEFF_NORMED``) something
of the same look is found. That is useful for things that are nearly identical and face the same
way: symbols on a plan, printed parts, icons. Of living things it finds next to nothing: with one
red blood cell of BCCD as the example 14 % of the others.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from workbench import geometry
from workbench.datasets.prelabelling import Frame, Labeller, Task
from workbench.labelling.looking import predictions_of
from workbench.labelling.network import Found
from workbench.labelling.told import Example
from workbench.persistence.models import Prediction
from workbench.persistence.suggestion_blocks import SuggestionSource

LEAST_LIKENESS = 0.6
"""Correlation of pixels from which on a place is suggested; 1 is the same picture."""

_SCALES = (0.8, 0.9, 1.0, 1.12, 1.25)
_SHORT_SIDE = 32
"""Pixels of an example's short side that are enough to tell it; larger pictures are reduced."""
_LEAST_SIDE = 6
_LEAST_CONTRAST = 4.0
_ONE_THING = 0.3
_MOST = 300
_MOST_PEAKS = 2_000

Floats = npt.NDArray[np.float64]


class LookAlikeLabeller(Labeller):
    """Proposes what has the same pixels as a box, in several sizes.

    Parameters
    ----------
    examples : sequence of Example
    likeness : float
        Correlation of pixels from which on a place is suggested, 0..1.

    Raises
    ------
    ValueError
        If there is no box, or one is too small or of one colour, so that all would be like it.
    """

    def __init__(self, examples: Sequence[Example], likeness: float = LEAST_LIKENESS) -> None:
        if not 0 < likeness <= 1:
            raise ValueError(f"likeness: expected a number in 0..1, found {likeness!r}")
        self._likeness = likeness
        self._looks = [
            (class_id, _cut_out(example.frame, box))
            for example in examples
            for box, class_id in zip(example.boxes, example.class_ids, strict=True)
        ]
        if not self._looks:
            raise ValueError("expected at least one box to find the like of, found none")

    async def start(self, task: Task) -> SuggestionSource:
        """See `Labeller.start`."""
        names = [task.classes[class_id] for class_id in sorted({one for one, _ in self._looks})]
        shown = hashlib.sha256()
        for class_id, look in self._looks:
            shown.update(f"{class_id} {look.shape}".encode() + look.tobytes())
        details = {"like": names, "likeness": self._likeness}
        return SuggestionSource("pixels", "look-alikes", shown.hexdigest(), details)

    async def label(self, frames: Sequence[Frame]) -> list[list[Prediction]]:
        """See `Labeller.label`."""
        return [await asyncio.to_thread(self._on, frame) for frame in frames]

    def _on(self, frame: Frame) -> list[Prediction]:
        boxes: list[Floats] = []
        classes: list[int] = []
        scores: list[float] = []
        for class_id, look in self._looks:
            for found, score in _alike(frame, look, self._likeness):
                boxes.append(found)
                classes.append(class_id)
                scores.append(score)
        return predictions_of(_apart(boxes, classes, scores), frame)


def _cut_out(frame: Frame, box: Floats) -> Frame:
    height, width = frame.shape[:2]
    left, top = np.clip(np.floor(box[:2]).astype(int), 0, [width, height])
    right, bottom = np.clip(np.ceil(box[2:]).astype(int), 0, [width, height])
    look = frame[top:bottom, left:right]
    if min(look.shape[:2]) < _LEAST_SIDE:
        raise ValueError(
            f"expected a box of at least {_LEAST_SIDE} by {_LEAST_SIDE} pixels to find the like of "
            f"it, found {look.shape[1]} by {look.shape[0]}"
        )
    if float(look.astype(np.float64).std(axis=(0, 1)).max()) < _LEAST_CONTRAST:
        raise ValueError("what is in the box is of one colour: every empty place would be like it")
    return np.ascontiguousarray(look)


def _alike(frame: Frame, look: Frame, likeness: float) -> list[tuple[Floats, float]]:
    """Return boxes on a picture that have the look of another one, in its pixels."""
    import cv2

    reduced = min(1.0, _SHORT_SIDE / min(look.shape[:2]))
    small = _resized(frame, reduced)
    found: list[tuple[Floats, float]] = []
    for scale in _SCALES:
        part = _resized(look, reduced * scale)
        if part.shape[0] > small.shape[0] or part.shape[1] > small.shape[1]:
            continue
        map_ = np.nan_to_num(cv2.matchTemplate(small, part, cv2.TM_CCOEFF_NORMED), posinf=0)
        # Only the best place of a neighbourhood: its neighbours are the same thing.
        peaks = (map_ >= likeness) & (map_ == cv2.dilate(map_, np.ones((5, 5), np.uint8)))
        rows, columns = np.nonzero(peaks)
        for place in np.argsort(-map_[rows, columns], kind="stable")[:_MOST_PEAKS].tolist():
            x, y = float(columns[place]), float(rows[place])
            xyxy = np.array([x, y, x + part.shape[1], y + part.shape[0]]) / reduced
            found.append((xyxy, min(float(map_[rows[place], columns[place]]), 1.0)))
    return found


def _resized(frame: Frame, scale: float) -> Frame:
    import cv2

    if scale == 1:
        return frame
    height, width = (max(round(side * scale), 1) for side in frame.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(frame, (width, height), interpolation=how), dtype=np.uint8)


def _apart(boxes: list[Floats], classes: list[int], scores: list[float]) -> Found:
    """Leave the best of those that overlap, the best first."""
    if not boxes:
        return Found(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0))
    rows, score = np.array(boxes), np.array(scores)
    kept: list[int] = []
    for place in np.argsort(-score, kind="stable").tolist():
        overlap = geometry.iou(rows[place : place + 1], rows[kept]) if kept else np.zeros((1, 1))
        if overlap.max() <= _ONE_THING:
            kept.append(place)
        if len(kept) == _MOST:
            break
    return Found(rows[kept], np.array(classes, dtype=np.int64)[kept], score[kept])
