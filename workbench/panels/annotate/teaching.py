"""A model that learns from what is reviewed in the annotator, behind a switch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from workbench.labelling.lessons import Lesson
from workbench.labelling.predictor import Predictor
from workbench.labelling.teaching import Teacher, TeachingState
from workbench.panels.annotate.canvas import BoxCanvas
from workbench.panels.annotate.model import AnnotateModel
from workbench.persistence import Stores
from workbench.training.runner import TrainingRunner

_AHEAD = 200
"""Images without labels that the model looks at from the open one on."""
_SECONDS_BETWEEN_LOOKS = 2.0
_USUAL_THRESHOLD = 0.25


class Teaching:
    """Has a `Teacher` do what is due while the switch is on.

    Parameters
    ----------
    stores : Stores
    model : AnnotateModel
    canvas : BoxCanvas
        Has the switch, and one line about where it stands.
    runner : TrainingRunner or None
        Runs the lessons; without one there is no switch.
    predictor : callable
        Returns what looks at images.
    """

    def __init__(
        self,
        stores: Stores,
        model: AnnotateModel,
        canvas: BoxCanvas,
        runner: TrainingRunner | None,
        predictor: Callable[[], Predictor],
    ) -> None:
        self._stores = stores
        self._model = model
        self._canvas = canvas
        self._runner = runner
        self._predictor = predictor
        self._teacher: Teacher | None = None
        self._dataset = ""
        self._reviewed = asyncio.Event()
        self._set: tuple[float, dict[str, float]] = (_USUAL_THRESHOLD, {})
        self._lesson: Lesson | None = None  # the one whose thresholds are set
        self._next: Lesson | None = None  # the same with others, for the next image
        canvas.can_teach = runner is not None

    async def run(self) -> None:
        """Teach until the switch is turned off, or the panel is closed."""
        if self._runner is None or self._canvas.teaches:
            return
        self._canvas.teaches = True
        try:
            while self._canvas.teaches:
                self._reviewed.clear()
                state = await self._look(self._runner)
                await self._wait(state)
        finally:
            self._canvas.teaches = False
            self._canvas.taught = ""

    async def turn(self, on: bool) -> None:
        """Turn the switch; when it goes off, a lesson that goes on is broken off."""
        if on:
            await self.run()
        elif self._canvas.teaches:
            self._canvas.teaches = False
            self._canvas.taught = ""
            self._next = None
            self._reviewed.set()
            if self._teacher is not None:
                await self._teacher.stop()

    async def go_on(self) -> None:
        """Turn the switch on if an earlier kernel has left a lesson under way."""
        if self._runner is not None and await self._taught(self._runner).is_under_way():
            await self.run()

    async def note_edit(self) -> None:
        """Take note that the person is at work."""
        self._reviewed.set()
        if self._teacher is not None and self._canvas.teaches:
            await self._teacher.give_way()

    def note_opened(self) -> None:
        """Take note that another image is opened: new thresholds change nothing under a hand."""
        if self._dataset != self._model.dataset:
            self.note_change()  # what was learnt is of another dataset
        elif self._next is not None:
            self._set_thresholds(self._next)

    def note_change(self) -> None:
        """Take note that labels may have changed elsewhere, such as by crops that were accepted."""
        self._reviewed.set()

    async def _look(self, runner: TrainingRunner) -> TeachingState:
        teacher = self._taught(runner)
        state = await teacher.step()
        if state.lesson is not None and self._canvas.teaches:
            if self._lesson is not None and self._lesson.model == state.lesson.model:
                self._next = state.lesson
            else:
                self._set_thresholds(state.lesson)
            ahead = [(self._model.split, name) for name in self._model.unlabelled()[:_AHEAD]]
            if await teacher.suggest(ahead):
                await self._show()
        if self._canvas.teaches:
            self._canvas.taught = str(state)
        return state

    def _set_thresholds(self, lesson: Lesson) -> None:
        """Show suggestions from where they save most, unless the person has chosen otherwise."""
        self._lesson, self._next = lesson, None
        if (self._canvas.threshold, self._canvas.class_thresholds) != self._set:
            return
        of_class = lesson.class_thresholds.items()
        names = self._model.classes
        self._set = (
            lesson.threshold,
            {names[class_id]: own for class_id, own in of_class if class_id < len(names)},
        )
        self._canvas.threshold, self._canvas.class_thresholds = self._set

    def _forget_thresholds(self) -> None:
        """Show what is usual again, unless the person has chosen otherwise."""
        self._lesson = self._next = None
        if (self._canvas.threshold, self._canvas.class_thresholds) == self._set:
            self._set = (_USUAL_THRESHOLD, {})
            self._canvas.threshold, self._canvas.class_thresholds = self._set

    def _taught(self, runner: TrainingRunner) -> Teacher:
        if self._teacher is None or self._dataset != self._model.dataset:
            self._dataset = self._model.dataset
            self._forget_thresholds()
            self._teacher = Teacher(self._stores, self._dataset, runner, self._predictor())
        return self._teacher

    async def _wait(self, state: TeachingState) -> None:
        """Wait until something may be due: while a lesson goes on a moment, else for an edit."""
        if not self._canvas.teaches:
            return
        if state.progress is not None:
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
        else:
            await self._reviewed.wait()
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS / 4)  # for the edits that come with it

    async def _show(self) -> None:
        """Show what was found on the open image, unless the person has begun with it."""
        picture, labels = self._model.picture, self._model.labels
        if picture is not None and labels is not None and not labels.revision:
            await self._model.renew(picture.index, asked_by={"have": picture.token})
