"""The evaluate panel's own widget: findings as pictures to click."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from workbench.panels.shared.esm import bundle, style_sheet

STATIC = Path(__file__).parent / "static"


class FindingTiles(anywidget.AnyWidget):
    """A page of findings; `on_open` is told the number of one that is clicked, on any thread."""

    _esm = bundle(STATIC / "finding_tiles.mjs")
    _css = style_sheet(STATIC / "evaluate.css")

    tiles = traitlets.List(
        traitlets.Dict(),
        help="`number`, `title`, `name` and `words` of each; `picture` as JPEG and its `shape`; "
        "`label` and `prediction` as left, top, width, height in shares of it; `class_id` and "
        "`label_class`; `problem` where there is no picture",
    ).tag(sync=True)
    colours = traitlets.List(
        traitlets.Unicode(), help="of the classes that have one of their own, else empty"
    ).tag(sync=True)
    title = traitlets.Unicode("", help="what these findings are").tag(sync=True)
    empty = traitlets.Unicode("", help="what stands there while there are none").tag(sync=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.on_open: Callable[[int], None] | None = None
        self.on_msg(self._receive)

    def _receive(self, _widget: Any, message: Mapping[str, Any], _buffers: Any) -> None:
        if message.get("kind") == "open" and self.on_open is not None:
            self.on_open(int(message["number"]))
