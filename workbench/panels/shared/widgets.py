"""Widgets that several panels show: a line for messages, and plots.

All else in those panels is plain ipywidgets; these need what ipywidgets has not: a live
region that stays, and plots whose script is sent once for all.
"""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets

from workbench.panels.shared import LOOK, STATIC
from workbench.panels.shared.esm import bundle, style_sheet


class StatusLine(anywidget.AnyWidget):
    """What happened last, for eyes and screen readers; brings the parts' style sheets along."""

    _esm = bundle(STATIC / "status_line.mjs")
    _css = style_sheet(*LOOK, STATIC / "panel.css")

    text = traitlets.Unicode("", help="what happened").tag(sync=True)
    tone = traitlets.Unicode("info", help="`info` or `problem`").tag(sync=True)


class CopyButton(anywidget.AnyWidget):
    """Copies what a panel is about to do as Python."""

    _esm = bundle(STATIC / "copy_button.mjs")

    text = traitlets.Unicode("", help="the code; empty: there is nothing to do yet").tag(sync=True)
    why = traitlets.Unicode("", help="why there is none").tag(sync=True)


class PlotGrid(anywidget.AnyWidget):
    """Plotly figures beside each other, with their numbers on hover.

    plotly's script, of 5 MB, goes to the page with this widget: nothing is fetched, and all
    plots share it, where each ``FigureWidget`` would bring its own. So make one when it is
    looked at, not before.
    """

    _esm = bundle(STATIC / "plot_grid.mjs")

    figures = traitlets.List(traitlets.Unicode(), help="as JSON").tag(sync=True)
    script = traitlets.Unicode(help="plotly's, made to leave itself in the page").tag(sync=True)

    def __init__(self, **kwargs: Any) -> None:
        # Read now: importing panels must not read 5 MB.
        super().__init__(script=_plotting_script(), **kwargs)


def _plotting_script() -> str:
    from plotly.offline import get_plotlyjs

    # The script asks for CommonJS before anything else, so this is where it puts itself.
    return (
        "(() => {\n"
        "const workbenchModule = { exports: {} };\n"
        "(function (module, exports, define) {\n"
        f"{get_plotlyjs()}\n"
        "}).call(globalThis, workbenchModule, workbenchModule.exports, undefined);\n"
        "globalThis.workbenchPlotly = workbenchModule.exports;\n"
        "})();\n"
    )
