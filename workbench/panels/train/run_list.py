"""The list of runs in the train panel: choose one to see it, several to compare them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets as w

from workbench.panels.shared.parts import Fold, Spawn, allow, button, row, show
from workbench.panels.train.model import TrainModel
from workbench.panels.train.words import listed

_LINES = 6


class RunList:
    """All runs, the newest first.

    Parameters
    ----------
    model : TrainModel
    spawn : callable
    """

    def __init__(self, model: TrainModel, spawn: Spawn) -> None:
        self._model = model
        self._spawn = spawn
        self._is_filling = False
        self.runs = w.SelectMultiple(
            description="Runs",
            rows=_LINES,
            layout={"width": "auto", "max_width": "760px"},
        )
        self.runs.tooltip = "Choose one to see it, several (with Ctrl or Shift) to compare them"
        self.compare = button("Compare", "line-chart", self._compare, spawn)
        self.back = button("Back to the run", "arrow-left", self._back, spawn)
        self.move_up = button("Earlier in the queue", "arrow-up", model.move_up, spawn)
        self.fold = Fold("Runs", self.runs, row(self.compare, self.move_up, self.back))
        self.view = self.fold.view
        self.runs.observe(self._choose, "value")
        model.observe(self._fill, names=("rows", "run"))
        model.observe(self._enable, names=("comparison",))
        self._fill()

    def _fill(self, _: Any = None) -> None:
        rows = self._model.rows
        options = tuple((listed(each), each.id) for each in rows)
        chosen = self.runs.value
        shown = self._model.run.id if self._model.run is not None else ""
        if len(chosen) < 2:
            chosen = (shown,)
        self._is_filling = True
        try:
            with self.runs.hold_sync():
                if options != self.runs.options:
                    self.runs.options = options
                ids = {each.id for each in rows}
                self.runs.value = tuple(run_id for run_id in chosen if run_id in ids)
        finally:
            self._is_filling = False
        self.fold.button.description = f"Runs ({len(rows):,})"
        self._enable()

    def _enable(self, _: Any = None) -> None:
        is_one = len(self.runs.value) < 2
        reason = "Choose two or more runs first, with Ctrl or Shift." if is_one else ""
        allow(self.compare, reason, "Put the chosen runs side by side")
        reason = "" if self._model.place > 1 else "Choose a run that waits behind another one."
        allow(self.move_up, reason, "Let this run have its turn one place earlier")
        waits = sum(each.place > 0 for each in self._model.rows)
        show(self.move_up, waits > 1)
        show(self.back, self._model.comparison is not None and self._model.run is not None)

    def _choose(self, change: Mapping[str, Any]) -> None:
        if self._is_filling:
            return
        chosen = change["new"]
        self._enable()
        if len(chosen) == 1:
            self._spawn(lambda: self._model.choose(chosen[0]))

    async def _compare(self) -> None:
        await self._model.compare(self.runs.value)

    async def _back(self) -> None:
        run = self._model.run
        if run is not None:
            self.runs.value = (run.id,)
            await self._model.choose(run.id)
