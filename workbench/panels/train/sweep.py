"""Sweeps in the train panel: describe one, watch its trials, cancel it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import ipywidgets as w

from workbench.errors import WorkbenchError
from workbench.panels.shared.groups import GROUPS
from workbench.panels.shared.parts import (
    Command,
    Fold,
    Spawn,
    allow,
    button,
    choice,
    field,
    help_text,
    labelled,
    row,
    set_options,
    show,
)
from workbench.panels.shared.widgets import PlotGrid
from workbench.panels.train.model import TrainModel
from workbench.panels.train.sweep_model import SweepModel
from workbench.panels.train.sweep_words import (
    parallel_figure,
    sweep_status,
    trials_measured,
    trials_table,
)
from workbench.panels.train.words import CHECKING, box

_LINES_TO_DRAW = 2
_START = "Train once for each of these settings; all else is as in the form above"
_VALIDATE = "Deal train and val into folds, what belongs together into one, and train for each"
_CANCEL = "End it with all its runs; it can be resumed"
_RESUME = "Go on with what of it is not done"


class SweepPart:
    """What the panel shows of sweeps, folded until somebody wants one.

    Parameters
    ----------
    train : TrainModel
    spawn : callable

    Attributes
    ----------
    view : ipywidgets.VBox
    model : SweepModel
    """

    def __init__(self, train: TrainModel, spawn: Spawn) -> None:
        self.model = SweepModel(train)
        self._spawn = self._saying(spawn)
        self._drawn: object = None
        self._is_filling = False
        self.plots: PlotGrid | None = None
        self._make_form()
        self._make_display()
        self.fold = Fold("Sweep and cross-validation", self.form, self.display)
        self.view = self.fold.view
        self.fold.button.observe(self._open, "value")
        self.model.observe(self._fill, names="sweeps")
        self.model.observe(self._show, names=("sweep", "progress", "busy", "trained_model"))
        self.model.observe(self._watch, names="progress")
        self._show()

    def _saying(self, spawn: Spawn) -> Spawn:
        """Return what starts commands, and says here, where the buttons are, why one failed."""

        def start(command: Command) -> None:
            async def work() -> None:
                self.problem.value = ""
                try:
                    await command()
                except WorkbenchError as error:
                    self.problem.value = box(str(error))

            spawn(work)

        return start

    def close(self) -> None:
        """Take the plot off the page."""
        if self.plots is not None:
            self.plots.close()

    def _make_form(self) -> None:
        model = self.model
        self.space = w.Textarea(
            description="What is tried",
            placeholder="image_size: 320, 640\nlr0: 0.0001 to 0.1 log\noptimizer: AdamW",
            rows=3,
            layout={"width": "auto"},
        )
        self.trials = w.BoundedIntText(description="Trials", min=0, max=1000)
        self.at_once = w.BoundedIntText(description="At once", min=1, max=1000)
        self.ends_early = w.Checkbox(description="End early", indent=False)
        self.first = w.BoundedIntText(description="Compare after", min=1, max=100_000)
        self.folds = w.BoundedIntText(description="Folds", min=2, max=100)
        self.group_by = labelled(w.Dropdown(options=GROUPS, description="Grouped by"))
        for name in ("space", "trials", "at_once", "ends_early", "first", "folds", "group_by"):
            w.link((model, name), (getattr(self, name), "value"))
        self.start_button = button("Start sweep", "search", model.start, self._spawn)
        self.validate_button = button("Cross-validate", "random", model.cross_validate, self._spawn)
        self.problem = w.HTML()
        about = help_text(
            "One setting a line: values, or a range.",
            "Any setting by its name in Python (image_size, batch, epochs, base_model), and any "
            "other argument of Ultralytics. A learning rate counts only beside a named "
            "optimizer. All other settings are those of the form. The best trial's model goes to "
            "the store.",
        )
        numbers = w.Box(
            (
                field(self.trials, w.HTML(help_text("Drawn at random; 0: all combinations."))),
                field(self.at_once, w.HTML(help_text("On a cluster; here they take turns."))),
                field(self.first, w.HTML(help_text("Epochs that each trial gets in any case."))),
            )
        )
        numbers.add_class("train-three")
        early = field(
            self.ends_early,
            w.HTML(help_text("Trials that are behind end; one in three goes on.")),
        )
        folds = field(self.folds, w.HTML(help_text("Says how far a result depends on the images.")))
        grouped = help_text("What belongs together is in one fold.")
        self.form = w.VBox(
            (
                field(self.space, w.HTML(about)),
                numbers,
                early,
                row(self.start_button),
                row(folds, field(self.group_by, w.HTML(grouped)), self.validate_button),
                self.problem,
            )
        )
        self.form.add_class("train-form")

    def _make_display(self) -> None:
        model = self.model
        self.sweeps = choice("Sweeps")
        self.sweeps.observe(self._choose, "value")
        self.cancel_button = button("Cancel sweep", "trash", model.cancel, self._spawn)
        self.resume_button = button("Resume sweep", "play", model.resume, self._spawn)
        self.status = w.HTML()
        self.table = w.HTML()
        self._plot_box = w.Box(layout={"width": "100%", "overflow": "visible"})
        self.display = w.VBox(
            (
                self.sweeps,
                row(self.cancel_button, self.resume_button),
                self.status,
                self.table,
                self._plot_box,
            ),
            layout={"overflow": "visible", "grid_gap": "8px"},
        )

    def _open(self, _: Any = None) -> None:
        if self.fold.button.value:
            self._spawn(self.model.refresh)
            self._show()

    def _fill(self, _: Any = None) -> None:
        self._is_filling = True
        try:
            set_options(self.sweeps, [(each, each) for each in self.model.sweeps])
        finally:
            self._is_filling = False

    def _choose(self, change: Mapping[str, Any]) -> None:
        chosen = change["new"]
        if chosen and not self._is_filling:
            self._spawn(lambda: self.model.choose(chosen))

    def _watch(self, _: Any = None) -> None:
        if self.model.is_active:
            self._spawn(self.model.watch)

    def _show(self, _: Any = None) -> None:
        model, progress, sweep = self.model, self.model.progress, self.model.sweep
        allow(self.start_button, CHECKING if model.busy else "", _START)
        allow(self.validate_button, CHECKING if model.busy else "", _VALIDATE)
        show(self.display, sweep is not None)
        if sweep is None or progress is None:
            return
        self._is_filling = True
        try:
            if self.sweeps.value != sweep.id and sweep.id in model.sweeps:
                self.sweeps.value = sweep.id
        finally:
            self._is_filling = False
        ended = "This sweep has ended already."
        allow(self.cancel_button, "" if model.is_active else ended, _CANCEL)
        reason = "" if model.can_resume else "Nothing of this sweep is left to be done."
        allow(self.resume_button, reason, _RESUME)
        self.status.value = sweep_status(sweep.id, progress, model.trained_model)
        self.table.value = trials_table(progress)
        measured = trials_measured(progress)
        is_drawn = len(measured) >= _LINES_TO_DRAW and self.fold.button.value
        show(self._plot_box, is_drawn and not progress.is_cross_validation)
        if is_drawn and not progress.is_cross_validation and measured != self._drawn:
            self._drawn = measured
            self._spawn(self._draw)

    async def _draw(self) -> None:
        drawn, progress, sweep = self._drawn, self.model.progress, self.model.sweep
        if progress is None or sweep is None:
            return
        figure = await asyncio.to_thread(parallel_figure, progress, sweep.id)
        if drawn != self._drawn:
            return
        if self.plots is None:
            self.plots = PlotGrid(layout={"width": "100%"})
            self._plot_box.children = (self.plots,)
        self.plots.figures = [figure]
