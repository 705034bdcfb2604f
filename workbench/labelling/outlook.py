"""When to stop: what more reviewed images are likely to be worth. Pure.

The error of detectors falls about as a power of the number of images that they learn from
(Hestness and others, "Deep Learning Scaling is Predictable, Empirically", 2017). A curve of this
form, ``best - loss * images ** -speed``, is laid through what lessons reached on held out images;
where it goes on tells what comes next, as far as anybody can from so few points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.labelling.lessons import Lesson

if TYPE_CHECKING:
    import pandas as pd

FEWEST_POINTS = 3
MORE = 50
"""Images that the sentence speaks of."""
ENOUGH = 0.005
"""A gain below this is within what a lesson reaches by chance."""

_SPEEDS = np.linspace(0.1, 2.0, 39)


@dataclass(frozen=True, slots=True)
class Outlook:
    """How good models have become with more images, and how it seems to go on.

    Parameters
    ----------
    images : list of int
        That were taught in each lesson, ascending.
    map50 : list of float
        Reached on held out images.
    best, loss, speed : float
        Of the curve.
    """

    images: list[int]
    map50: list[float]
    best: float
    loss: float
    speed: float

    def at(self, images: int) -> float:
        """Return what the curve says of so many images, 0..1."""
        value = self.best - self.loss * max(images, 1) ** -self.speed
        return float(np.clip(value, 0, 1))

    def gain(self, more: int = MORE) -> float:
        """Return what so many more images are worth."""
        return max(self.at(self.images[-1] + more) - self.at(self.images[-1]), 0.0)

    def to_frame(self, until: int | None = None) -> pd.DataFrame:
        """Return a table with the columns ``images``, ``measured`` and ``curve``.

        Parameters
        ----------
        until : int, optional
            So far the curve goes on; default: twice the images that there are.
        """
        import pandas as pd

        last = until or 2 * self.images[-1]
        ahead = np.unique(np.linspace(self.images[-1], max(last, self.images[-1]), 6).astype(int))
        known = dict(zip(self.images, self.map50, strict=True))
        places = sorted({*known, *ahead.tolist()})
        rows = [(place, known.get(place), self.at(place)) for place in places]
        return pd.DataFrame(rows, columns=["images", "measured", "curve"])

    def __str__(self) -> str:
        """Return it for people: ``the next 50 images are worth about +0.4 mAP50``."""
        gain = self.gain()
        if gain < ENOUGH:
            return f"the next {MORE} images are worth next to nothing: this may be enough"
        return f"the next {MORE} images are worth about +{100 * gain:.1f} points of mAP50"


def outlook(lessons: Sequence[Lesson]) -> Outlook | None:
    """Return how it seems to go on; None while too few lessons were measured on enough images.

    Parameters
    ----------
    lessons : sequence of Lesson
        In any order. Of several on the same number of images the best counts.
    """
    reached: dict[int, float] = {}
    for lesson in lessons:
        if lesson.can_tell:
            reached[lesson.taught] = max(reached.get(lesson.taught, 0.0), lesson.map50)
    if len(reached) < FEWEST_POINTS:
        return None
    images = sorted(reached)
    map50 = [reached[number] for number in images]
    return Outlook(images, map50, *_fitted(np.array(images, float), np.array(map50)))


def _fitted(images: np.ndarray, map50: np.ndarray) -> tuple[float, float, float]:
    """Return the curve with the least squares, of those that rise and stay below 1."""
    best = (float(map50.mean()), 0.0, 1.0)
    least = float(np.sum((map50 - best[0]) ** 2))
    for speed in _SPEEDS:
        fall = images**-speed
        matrix = np.stack([np.ones_like(fall), -fall], axis=1)
        top, loss = np.linalg.lstsq(matrix, map50, rcond=None)[0]
        if top > 1:  # the best of those that end at 1
            top, loss = 1.0, float(np.sum((1 - map50) * fall) / np.sum(fall**2))
        if loss < 0:
            continue
        error = float(np.sum((top - loss * fall - map50) ** 2))
        if error < least:
            least, best = error, (float(top), float(loss), float(speed))
    return best
