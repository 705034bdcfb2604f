"""Curves, tables and sample pictures of the train panel, renewed once an epoch."""

from __future__ import annotations

import asyncio
from typing import Any

import ipywidgets as w

from workbench.panels.shared.parts import Fold, Spawn, page, show
from workbench.panels.shared.widgets import PlotGrid
from workbench.panels.train.model import TrainModel
from workbench.panels.train.plots import comparison_figures, run_figures
from workbench.panels.train.words import comparison, epochs, samples
from workbench.training.comparison import RunComparison
from workbench.training.curves import curves_of

_PLOT_HEIGHT = "300px"


class TrainCharts:
    """What came of the shown run so far, or of the runs that are compared.

    The plots' script is large, so there is one grid for both, made when the first epoch is
    there to be drawn.

    Parameters
    ----------
    model : TrainModel
    spawn : callable

    Attributes
    ----------
    view : ipywidgets.VBox
        The curves.
    more : ipywidgets.VBox
        Tables and sample pictures, folded.
    """

    def __init__(self, model: TrainModel, spawn: Spawn) -> None:
        self._model = model
        self._spawn = spawn
        self._drawn: object = None
        self._sampled: object = None
        self.plots: PlotGrid | None = None
        self._plots_box = w.Box(layout={"width": "100%", "overflow": "visible"})
        self._plots_box.layout.min_height = _PLOT_HEIGHT  # so that nothing jumps when they come
        self.table = w.HTML()
        self.samples = w.HTML()
        self.compared = w.HTML()
        self.view = page(self._plots_box)
        self.samples_fold = Fold("What it finds", self.samples)
        self.epochs_fold = Fold("Epochs", self.table)
        self.more = w.VBox((self.compared, self.samples_fold.view, self.epochs_fold.view))
        self.more.layout.overflow = "visible"
        model.observe(self._follow, names=("run", "progress", "comparison"))
        self._follow()

    def close(self) -> None:
        """Take the plots off the page."""
        if self.plots is not None:
            self.plots.close()

    def _follow(self, _: Any = None) -> None:
        model, progress, run = self._model, self._model.progress, self._model.run
        compared = model.comparison
        has_epochs = bool(progress.history)
        show(self.view, compared is not None or has_epochs or model.is_active)
        show(self.compared, compared is not None)
        for fold in (self.samples_fold, self.epochs_fold):
            show(fold.view, compared is None)
        if run is None and compared is None:
            return
        run_id = run.id if run is not None else ""
        state = id(compared) if compared is not None else (run_id, progress.history)
        if state != self._drawn:
            self._drawn = state
            self._spawn(self._draw)
        sampled = (run_id, progress.attempt, progress.samples_epoch)
        if sampled != self._sampled:
            self._sampled = sampled
            self._spawn(self._show_samples)

    async def _draw(self) -> None:
        model, progress, run = self._model, self._model.progress, self._model.run
        drawn, compared = self._drawn, model.comparison
        figures: list[str] = []
        if compared is not None:
            figures, tables = await asyncio.to_thread(_compared, compared)
            self.compared.value = tables
        elif run is not None and progress.history:
            figures = await asyncio.to_thread(lambda: run_figures(curves_of(progress), run.id))
        if drawn != self._drawn:
            return  # something newer is on its way
        self.table.value = epochs(progress)
        if self.plots is None and figures:
            self.plots = PlotGrid(layout={"width": "100%"})
            self._plots_box.children = (self.plots,)
        if self.plots is not None:
            self.plots.figures = figures

    async def _show_samples(self) -> None:
        sampled, epoch = self._sampled, self._model.progress.samples_epoch
        pictures = await self._model.samples(epoch) if epoch else []
        if sampled == self._sampled:
            self.samples.value = samples(pictures, epoch)


def _compared(compared: RunComparison) -> tuple[list[str], str]:
    return comparison_figures(compared), comparison(compared.settings, compared.metrics)
