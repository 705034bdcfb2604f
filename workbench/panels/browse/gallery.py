"""A gallery of any number of items, of which a page holds only those in sight.

Traits are what there is to say about the whole. Items and thumbnails go as messages, JSON
with JPEG bytes as binary buffers. Every view asks for itself (``session`` names it):

===============  ===========================================================================
from the page
===============  ===========================================================================
want             request ``id``: the items of ``listing`` at ``ranges`` of places, with
                 thumbnails of ``level`` pixels on the longer side
cancel           request ``id`` is not needed any more
select           the places selected in ``listing``, as ``ranges``
query            show what matches ``text``
complete         what may come at ``cursor`` of ``text``; ``seq`` tells answers apart
mode             show images, objects or the trash
open             the item at ``position`` of ``listing`` was double-clicked
do               an ``action`` on the selection, see `workbench.panels.browse.pages`
upload           a piece of a file that is to be added
stop             stop the action under way
arrive           a piece of a file or folder that is to be imported, with its ``path``
import           an ``action`` of the import whose page is shown, see `transfer`
export           likewise of the export
fetch            the piece of the download that starts at ``start``
===============  ===========================================================================

===============  ===========================================================================
from the kernel
===============  ===========================================================================
items            some of the items of request ``id``, the last with ``done``; an item with a
                 ``picture`` names the ``buffer`` that holds it
completions      the answer to ``complete``
uploaded         a piece of file batch ``batch`` has arrived: the next may come
arrived          likewise of what is to be imported; ``refused``: no more of it
piece            of a download: the bytes from ``start`` on, ``total``, and its ``name``
no_piece         nothing more of the download will come
===============  ===========================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import anywidget
import traitlets

from workbench.panels import shared
from workbench.panels.shared.esm import bundle, style_sheet
from workbench.panels.shared.refusing import refusal

STATIC = Path(__file__).parent / "static"

KINDS = frozenset(
    (
        *("want", "cancel", "select", "query", "complete", "mode", "open", "do", "upload", "stop"),
        *("arrive", "import", "export", "fetch"),
    )
)
"""Messages that a page may send."""


class GalleryHost(Protocol):
    """Who answers a gallery: `workbench.panels.browse` for a dataset."""

    def asked(self, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        """Take a message of a page; may be on any thread."""


class Gallery(anywidget.AnyWidget):
    """A gallery with filter bar and actions.

    Parameters
    ----------
    height : int
        Of the grid, in CSS pixels.
    """

    _esm = bundle(STATIC / "gallery.mjs")
    _css = style_sheet(*shared.LOOK, shared.STATIC / "pages.css", STATIC / "gallery.css")

    listing = traitlets.Dict(
        help="`id`, `total`, `mode`, `query` and `dataset` of what is listed; `of` how many; "
        "`keep`: the same as before, brought up to date; `empty`: words where there is nothing; "
        "`only`: words for the images that are looked at, if it is not all"
    ).tag(sync=True)
    selection = traitlets.Dict(
        help="`ranges` of places in `listing`, and the session `by` which they were chosen"
    ).tag(sync=True)
    classes = traitlets.List(traitlets.Unicode(), help="names of the classes").tag(sync=True)
    colours = traitlets.List(
        traitlets.Unicode(), help="of the classes that have one of their own, else empty"
    ).tag(sync=True)
    tags = traitlets.List(traitlets.Unicode(), help="that the dataset has").tag(sync=True)
    problem = traitlets.Unicode("", help="what is wrong with the query").tag(sync=True)
    status = traitlets.Dict(
        help="`text` and `tone` of what happened last, and `details` to look up"
    ).tag(sync=True)
    progress = traitlets.Dict(help="`what` is under way, `done` of `total`").tag(sync=True)
    transfer = traitlets.Dict(
        help="what is shown of an import or an export in place of the gallery; `kind` says which"
    ).tag(sync=True)
    transfer_state = traitlets.Dict(
        help="`status` and `progress` of it, as those of the gallery"
    ).tag(sync=True)
    labellers: traitlets.List[dict[str, str]] = traitlets.List(
        help="who can suggest boxes: `text` for people, `how`, and a model's `name`"
    ).tag(sync=True)
    words: traitlets.Dict[str, list[str]] = traitlets.Dict(
        help="what is looked for in words by class id, where it is not the class's name"
    ).tag(sync=True)
    offer: traitlets.Dict[str, str] = traitlets.Dict(
        help="files that could be fetched: `text` says what for, `choice` what the button says"
    ).tag(sync=True)
    undo = traitlets.Unicode("", help="what undo would take back").tag(sync=True)
    accept = traitlets.List(
        traitlets.Unicode(), help="extensions of files that may be added, with the dot"
    ).tag(sync=True)
    imports = traitlets.List(
        traitlets.Unicode(),
        help="extensions of archives, annotations and videos, which are imported",
    ).tag(sync=True)
    max_bytes = traitlets.Int(0, help="that a file may have which is added").tag(sync=True)
    height = traitlets.Int(560, min=200, help="of the grid, CSS pixels").tag(sync=True)

    def __init__(self, height: int = 560, **kwargs: Any) -> None:
        super().__init__(height=height, **kwargs)
        self.host: GalleryHost | None = None
        self.on_msg(self._receive)

    def _receive(self, _widget: Any, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        if message.get("kind") not in KINDS:
            self.status = {"text": refusal(message), "tone": "problem"}
        elif self.host is not None:
            self.host.asked(message, buffers)
