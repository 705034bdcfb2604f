"""The line of the train panel that says what happened, and the panel's style sheet."""

from __future__ import annotations

from pathlib import Path

from workbench.panels.shared import LOOK
from workbench.panels.shared import STATIC as SHARED
from workbench.panels.shared.esm import style_sheet
from workbench.panels.shared.widgets import StatusLine

STATIC = Path(__file__).parent / "static"


class TrainStatus(StatusLine):
    """A status line that brings the layout of Train along."""

    _css = style_sheet(*LOOK, SHARED / "panel.css", STATIC / "train.css")
