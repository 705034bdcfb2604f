"""The models panel's own widgets: a table with sparklines, and a button that downloads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from workbench.panels.widgets.esm import bundle

STATIC = Path(__file__).parent / "static"


class ModelTable(anywidget.AnyWidget):
    """Models as rows, of which one is chosen."""

    _esm = bundle(STATIC / "model_table.mjs")
    _css = (STATIC / "models.css").read_text(encoding="utf-8")

    heads = traitlets.List(traitlets.Unicode(), help="of the cells' columns").tag(sync=True)
    texts = traitlets.List(traitlets.Int(), help="columns of words, counted from 0").tag(sync=True)
    rows = traitlets.List(
        traitlets.Dict(),
        help="`name`, `is_active`, `problem`, `curve` (values by epoch) and `cells` (text) of each",
    ).tag(sync=True)
    chosen = traitlets.Unicode("", help="name of the model that is looked at").tag(sync=True)
    empty = traitlets.Unicode("", help="what stands there while there are none").tag(sync=True)


class FileDownload(anywidget.AnyWidget):
    """A button that saves a file on the machine of the browser, piece by piece.

    Parameters
    ----------
    on_want : callable
        Told at which byte the next piece of the file starts; on any thread. Answers with
        `send_piece`, or with `give_up` if there is no file.
    """

    _esm = bundle(STATIC / "file_download.mjs")

    label = traitlets.Unicode("Download", help="on the button").tag(sync=True)
    disabled = traitlets.Bool(False).tag(sync=True)

    def __init__(self, on_want: Callable[[int], None], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._on_want = on_want
        self.on_msg(self._receive)

    def send_piece(self, name: str, start: int, total: int, data: bytes) -> None:
        """Send a piece of the file that shall be called `name`."""
        self.send({"kind": "piece", "start": start, "total": total, "name": name}, [data])

    def give_up(self) -> None:
        """Tell the page that nothing more will come."""
        self.send({"kind": "failed"})

    def _receive(self, _widget: Any, message: Mapping[str, Any], _buffers: Any) -> None:
        if message.get("kind") == "want":
            self._on_want(int(message["start"]))
