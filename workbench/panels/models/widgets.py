"""The models panel's own widgets: a table, a stage to try a model on, files in and out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import anywidget
import traitlets

from workbench.panels import live, shared
from workbench.panels.shared.esm import bundle, style_sheet
from workbench.panels.shared.refusing import refusal

STATIC = Path(__file__).parent / "static"

KINDS = frozenset(
    ("shown", "hidden", "camera", "frame", "seen", "source", "stop", "play", "upload")
)
"""Messages that a page of a `Trial` may send."""


class TrialHost(Protocol):
    """Who answers the pages of a `Trial`: `workbench.panels.models.trial_page`."""

    def asked(self, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        """Take a message of a page; may be on any thread."""


class ModelTable(anywidget.AnyWidget):
    """Models as rows, of which one is chosen."""

    _esm = bundle(STATIC / "model_table.mjs")
    _css = style_sheet(STATIC / "models.css")

    heads = traitlets.List(traitlets.Unicode(), help="of the cells' columns").tag(sync=True)
    texts = traitlets.List(traitlets.Int(), help="columns of words, counted from 0").tag(sync=True)
    spare = traitlets.List(
        traitlets.Int(), help="columns that a narrow table leaves out, the first one first"
    ).tag(sync=True)
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
    why_not = traitlets.Unicode("", help="why it cannot be pressed now; empty: it can").tag(
        sync=True
    )

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


class FileUpload(anywidget.AnyWidget):
    """A button that brings a file from the machine of the browser, piece by piece.

    However large the file is, no message is larger than a server lets pass.

    Parameters
    ----------
    on_piece : callable
        Told of each piece: ``session`` of the page, ``batch``, ``name``, ``size``,
        ``offset``, ``unreadable``, and the bytes; on any thread. Answers with `take_next`,
        or with `give_up`.
    """

    _esm = bundle(STATIC / "file_upload.mjs")

    label = traitlets.Unicode("Upload", help="on the button").tag(sync=True)
    accept = traitlets.Unicode("", help="kinds of files, as HTML names them").tag(sync=True)

    def __init__(self, on_piece: Callable[[Mapping[str, Any], bytes], None], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._on_piece = on_piece
        self.on_msg(self._receive)

    def take_next(self, message: Mapping[str, Any]) -> None:
        """Tell a page that this piece has arrived, so that the next may come."""
        self.send({"kind": "uploaded", "to": message["session"], "batch": message["batch"]})

    def give_up(self, message: Mapping[str, Any]) -> None:
        """Tell a page that no more pieces are wanted."""
        self.send({"kind": "refused", "to": message["session"]})

    def _receive(self, _widget: Any, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        if message.get("kind") == "upload":
            self._on_piece(message, bytes(buffers[0]))


class Trial(anywidget.AnyWidget):
    """A stage that shows a picture, a video or a camera, with boxes above a confidence.

    Several pages may show it; ``session`` names the one that sends a message.

    ================  ======================================================================
    from the page
    ================  ======================================================================
    shown, hidden     the page can be seen, or cannot any more
    camera            its camera is ``on`` (``name``), or not
    frame             a JPEG of its camera, number ``seq``, taken at ``time`` seconds
    seen              preview picture ``id`` is painted: the next may come
    source, stop      look at a source of this kind, at ``place``; let go of it
    play              ``pause``, ``play``, ``step`` or ``seek`` (``value``) in a file
    upload            a piece of a picture file that is to be tried
    ================  ======================================================================

    ================  ======================================================================
    from the kernel
    ================  ======================================================================
    ack               the kernel is done with frame ``seq`` of the page's camera
    owner             the camera of another page is used now
    halt              the page's camera is not wanted
    preview           picture ``id`` of a feed that the browser does not see by itself
    still             a picture that was tried
    boxes             what model ``by`` sees, as ``[x, y, width, height, label, score, class]``
    uploaded          a piece of file batch ``batch`` has arrived: the next may come
    ================  ======================================================================
    """

    _esm = bundle(STATIC / "trial.mjs")
    _css = style_sheet(*shared.LOOK, live.STATIC / "camera.css", STATIC / "trial.css")

    feed = traitlets.Dict(
        help="`kind`, `place`, `status` and `why` of the feed; `player`: `position`, `length` "
        "and `paused` of one that has a beginning and an end"
    ).tag(sync=True)
    confidence = traitlets.Float(0.25, help="boxes below it are not shown").tag(sync=True)
    rate = traitlets.Float(10.0, help="frames a second that a page's camera sends").tag(sync=True)
    window = traitlets.Int(8, help="frames that may be on their way").tag(sync=True)
    quality = traitlets.Float(0.9, help="of the page's JPEG files, 0..1").tag(sync=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.host: TrialHost | None = None
        self.on_msg(self._receive)

    def _receive(self, _widget: Any, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        if message.get("kind") not in KINDS:
            refusal(message)
        elif self.host is not None:
            self.host.asked(message, buffers)
