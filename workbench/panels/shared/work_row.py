"""What a panel is doing and what happened last: a meter, words, a Stop button, a line."""

from __future__ import annotations

from html import escape
from typing import Any

import ipywidgets as w

from workbench.panels.shared.changing import ChangingModel
from workbench.panels.shared.parts import row, show
from workbench.panels.shared.widgets import StatusLine


class WorkRow:
    """Shows the work of a model and its status.

    Parameters
    ----------
    model : ChangingModel
    unit : str
        What is counted. Work of a panel that counts nothing is shown once it is known how
        much it is: what is done in a moment would make the page jump.

    Attributes
    ----------
    view : ipywidgets.HBox
        Meter, words and Stop; there while something is under way.
    status : StatusLine
    """

    def __init__(self, model: ChangingModel, *, unit: str = "") -> None:
        self._model = model
        self._unit = unit
        self._meter = w.FloatProgress(min=0.0, max=1.0, layout={"width": "240px"})
        self._words = w.HTML()
        stop = w.Button(description="Stop", icon="stop", tooltip="Stop; nothing half-done is left")
        stop.on_click(lambda _: model.stop())
        self.view = row(self._meter, self._words, stop)
        self.status = StatusLine()
        model.observe(self._show_work, names="work")
        model.observe(self._show_status, names="status")
        self._show_work()

    def _show_work(self, _change: Any = None) -> None:
        work = self._model.work
        show(self.view, bool(work.what) and bool(self._unit or work.total))
        self._meter.value = work.done / work.total if work.total else 0.0
        is_counted = self._unit and work.total
        count = f" {work.done:,} of {work.total:,} {self._unit}" if is_counted else " …"
        self._words.value = f"{escape(work.what)}{count}"

    def _show_status(self, _change: Any = None) -> None:
        with self.status.hold_sync():
            self.status.text = self._model.status.text
            self.status.tone = self._model.status.tone
