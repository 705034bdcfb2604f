"""From which score on a lesson's suggestions are shown, as what comes next is like what came last.

What is held out says how good a model is, but it is spread over all that was reviewed, and people
change: from some image on the small things are left out, or the pictures come from elsewhere.
All that was reviewed since a lesson began was not taught in it either. So thresholds follow the
newest images that the lesson has not learnt from, and in the beginning these are what is held out.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from workbench.labelling.lessons import Lesson
from workbench.labelling.savings import RIGHT, crops_from, savings, thresholds_by_class
from workbench.persistence.models import Annotation, ImageKey, Prediction

NEWEST = 40
"""Of so many images thresholds are the best: more are of another time, fewer are chance."""
EVERY = 5
"""New images until thresholds are looked for again."""
STRICT = 0.75
"""IoU from which on a box is right to people who mind its edges."""


class Tuning:
    """The thresholds of one lesson.

    Parameters
    ----------
    lesson : Lesson
    taught : collection of ImageKey
        Images that it has learnt from.

    Attributes
    ----------
    lesson : Lesson
        With the thresholds for what comes next.
    """

    def __init__(self, lesson: Lesson, taught: Collection[ImageKey]) -> None:
        self.lesson = lesson
        self._measured = lesson
        self._known = set(taught)
        self._found: list[list[Prediction]] = []
        self._labels: list[list[Annotation]] = []

    def is_of(self, lesson: Lesson) -> bool:
        """Whether this began with a lesson."""
        return lesson == self._measured

    def wanted(self, reviewed: Sequence[ImageKey]) -> list[ImageKey]:
        """Return the images to look at next, as many as are worth it; they are known from then on.

        Parameters
        ----------
        reviewed : sequence of ImageKey
            All, in the order of the dataset.
        """
        new = [key for key in reviewed if key not in self._known]
        if not new or (self._found and len(new) < EVERY):
            return []
        self._known.update(new)
        return new[-NEWEST:]

    def learn(
        self, found: Sequence[list[Prediction]], labels: Sequence[list[Annotation]]
    ) -> Lesson:
        """Take what the model finds on more images, and what is there; return `lesson`."""
        self._found = [*self._found, *found][-NEWEST:]
        self._labels = [*self._labels, *labels][-NEWEST:]
        if any(self._labels):
            self.lesson = replace(
                self.lesson,
                threshold=savings(self._found, self._labels).threshold,
                crops_from=crops_from(self._found, self._labels, rights=(RIGHT, STRICT)),
                class_thresholds=thresholds_by_class(self._found, self._labels),
            )
        return self.lesson
