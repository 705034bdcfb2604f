"""What a panel says of its work: what happened last or is under way, how far, Stop, Undo."""

from __future__ import annotations

from typing import Any

import ipywidgets as w

from workbench.panels.shared.changing import ChangingModel
from workbench.panels.shared.parts import meter, row
from workbench.panels.shared.widgets import StatusLine


class WorkRow:
    """One line that is always there, so that nothing jumps when work begins and ends.

    Parameters
    ----------
    model : ChangingModel
    *buttons : ipywidgets.Widget
        Stand behind Stop.
    unit : str
        What is counted.

    Attributes
    ----------
    view : ipywidgets.HBox
    status : StatusLine
    """

    def __init__(self, model: ChangingModel, *buttons: w.Widget, unit: str = "") -> None:
        self._model = model
        self._unit = f" {unit}" if unit else ""
        self.status = StatusLine(layout={"flex": "1 1 240px", "min_width": "0"})
        self.bar = meter(layout={"width": "140px"})
        self.stop_button = w.Button(description="Stop", icon="stop")
        self.stop_button.tooltip = "Stop; nothing half-done is left"
        self.stop_button.on_click(lambda _: model.stop())
        self.view = row(self.status, self.bar, self.stop_button, *buttons)
        self.view.add_class("wb-work")
        model.observe(self._show, names=("work", "status"))
        self._show()

    def _show(self, _change: Any = None) -> None:
        work, status = self._model.work, self._model.status
        is_working = bool(work.what)
        text, tone = status.text, status.tone
        if is_working:
            counts = f" {work.done:,} of {work.total:,}{self._unit}" if work.total else ""
            text, tone = f"{work.what} …{counts}", "info"
        with self.status.hold_sync():
            self.status.text, self.status.tone = text, tone
        self.bar.value = work.done / work.total if work.total else 0.0
        for widget in (self.bar, self.stop_button):
            widget.layout.visibility = "visible" if is_working else "hidden"
