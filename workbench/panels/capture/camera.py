"""The capture panel's page: preview, record button, strip of what was captured.

Traits are state. Pictures go as messages, with the bytes as binary buffers. Every page asks
for itself (``session`` names it), because several may show one panel: a laptop and a phone.

===============  ===========================================================================
from the page
===============  ===========================================================================
hello            the page is there, and wants what it cannot know from the traits
bye              the page goes away
camera           its camera is ``on`` (``name``), or not, with ``why`` and whether it
                 ``failed``
frame            a JPEG of its camera, number ``seq``, taken at ``time`` seconds; ``shoot``:
                 this is the picture that the shutter was pressed for
frames           several of them; ``frames``: what is said of each, in the order of the buffers
seen             preview picture ``id`` is painted: the next may come
press, release   the record button; ``held``: for a burst that lasts until the release
set              change ``name`` of the settings to ``value``
source           take frames from a source of this ``kind``, at ``place``
start, stop      the feed
play             ``pause``, ``play``, ``step`` or ``seek`` (``value``) in a file
undo, redo       the last picture
remove           the picture ``id`` of the strip
upload           a piece of a picture file that is to be added
===============  ===========================================================================

===============  ===========================================================================
from the kernel
===============  ===========================================================================
ack              the kernel is done with the frames ``seqs`` of the page's camera
owner            the camera of another page is used now
preview          picture ``id`` of a feed that the browser does not see by itself
boxes            what the active model sees, as rows ``[x, y, width, height, label, score]``
countdown        so many ``seconds`` are left
strip            the last pictures, all of them (``whole``) or new ones; ``ids`` in order
saved            so many more pictures are on disk
uploaded         a piece of file batch ``batch`` has arrived: the next may come
===============  ===========================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import anywidget
import traitlets

from workbench.panels import live, shared
from workbench.panels.shared.esm import bundle, style_sheet
from workbench.panels.shared.refusing import refusal

STATIC = Path(__file__).parent / "static"

KINDS = frozenset(
    (
        "hello", "bye", "camera", "frame", "frames", "seen", "press", "release", "set", "source",
        "start", "stop", "play", "undo", "redo", "remove", "upload",
    )
)  # fmt: skip
"""Messages that a page may send."""


class CameraHost(Protocol):
    """Who answers the page: `workbench.panels.capture.inbox`."""

    def asked(self, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        """Take a message of a page; may be on any thread."""


class Camera(anywidget.AnyWidget):
    """Preview and controls of a capture."""

    _esm = bundle(STATIC / "camera.mjs")
    _css = style_sheet(*shared.LOOK, live.STATIC / "camera.css")

    feed = traitlets.Dict(
        help="`status` and `why` of the feed, its `kind`, `name` and `place`; `player`: whether "
        "it has a beginning and an end, with `position`, `length` and `paused`"
    ).tag(sync=True)
    settings = traitlets.Dict(help="of the capture, see `workbench.panels.capture.model`").tag(
        sync=True
    )
    status = traitlets.Dict(help="`CaptureStatus` as a mapping").tag(sync=True)
    datasets = traitlets.List(traitlets.Unicode(), help="that there are").tag(sync=True)
    asks_dataset = traitlets.Bool(
        True, help="whether the dataset is chosen here, and not around the panel"
    ).tag(sync=True)
    classes = traitlets.List(traitlets.Unicode(), help="of the dataset").tag(sync=True)
    model = traitlets.Unicode("", help="name of the active model").tag(sync=True)
    notice = traitlets.Dict(help="`text` and `tone` of what happened last").tag(sync=True)
    rate = traitlets.Float(
        2.0, help="frames a second that the kernel wants of the page's camera; 0: all"
    ).tag(sync=True)
    window = traitlets.Int(8, help="frames that may be on their way").tag(sync=True)
    quality = traitlets.Float(0.92, help="of the page's JPEG files, 0..1").tag(sync=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.host: CameraHost | None = None
        self.on_msg(self._receive)

    def _receive(self, _widget: Any, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        if message.get("kind") not in KINDS:
            self.notice = {"text": refusal(message), "tone": "problem"}
        elif self.host is not None:
            self.host.asked(message, buffers)
