"""The canvas on which boxes are drawn: a widget that lives wholly in the browser.

The page draws by itself and tells the kernel of finished edits only. Messages, all JSON,
image bytes as binary buffers (``session`` names the page that sent one):

===============  ===========================================================================
from the page
===============  ===========================================================================
hello            a page has started, or reloaded, and wants everything
go               show image ``index`` of ``walk``; ``have`` is the token of bytes it holds
go_unlabelled    show the next image without labels after ``index``
want             send image ``index`` (to have it ready) or ``key``; ``plain``: re-encoded
want_trail       send what undo leads to beyond what this page knows of image ``key``
suggest          have boxes proposed, see `Wish`; while that goes on: stop it
fetch            fetch the files that `offer` speaks of, and go on
tighten          draw ``boxes`` (pixel xyxy) of image ``key`` in to what they show
click            send a tight box around what is at ``point`` (pixels) of image ``key``
teach            have a model learn from what is reviewed; again: stop that
add_class        append class ``name`` to the dataset
strip            send small pictures of ``count`` images from ``first`` on, but of those in ``have``
got              frame ``id`` has arrived
edit             the boxes of image ``key`` after a finished edit, see `Edit`
submit           the user is done with this image
===============  ===========================================================================

===============  ===========================================================================
from the kernel
===============  ===========================================================================
frame            one image, see `Frame`; ``show`` it or keep it ready; ``cause``: whose ``go``
empty            there is no image in this walk
scope            unsaved edits whose keys begin so may be sent now
not_shown        image ``index``, ``why``; a page that still wants it asks again
saved            edit ``seq`` of ``session`` is in the label file, which has ``revision`` now
not_saved        it is not, ``why``, and the ``choices`` that the user has; if that ``passes``,
                 the page sends it again by itself
labels           boxes of image ``key`` that were set in Python
suggested        what others suggest on image ``key`` by now, whatever its labels cover:
                 ``proposals``, and those of it that were ``rejected``; drawn boxes stay
tightened        ``boxes`` of image ``key``, by the ``ids`` of the request
clicked          the box, ``xyxy`` in pixels of image ``key``, or null
strip            names and states of images around the one that is shown, with small pictures
trail            states of image ``key`` before (``past``) and after (``future``) the present
                 ``boxes``, each its boxes, or null while it was not labelled
===============  ===========================================================================
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import anywidget
import ipywidgets
import traitlets

from workbench.panels import shared
from workbench.panels.annotate.keys import ACTIONS, key_bindings
from workbench.panels.annotate.messages import CanvasBox, Edit, Frame, MessageError
from workbench.panels.shared.esm import bundle, style_sheet
from workbench.persistence.rules import image_size

STATIC = Path(__file__).parent / "static"

_log = logging.getLogger(__name__)


_ASKED = frozenset(
    (
        *("hello", "go", "go_unlabelled", "want", "want_trail", "strip"),
        *("suggest", "fetch", "teach", "tighten", "click", "add_class", "open"),
    )
)
"""Messages that the host answers."""


class CanvasHost(Protocol):
    """Who answers a canvas: `workbench.panels.annotate` for a dataset."""

    def asked(self, message: Mapping[str, Any]) -> None:
        """Take any message but ``edit``, ``got`` and ``submit``; may be on any thread."""

    def edited(self, edit: Edit) -> None:
        """Take a finished edit; may be on any thread."""


class BoxCanvas(anywidget.AnyWidget):
    """A canvas for boxes, which an ipyannotations `Annotator` can have as its ``CanvasClass``.

    Alone it shows one image at a time and keeps the boxes in `data`. With a `host` it
    walks a dataset.

    Parameters
    ----------
    size : tuple of int
        Width and height in CSS pixels; the width follows the cell.
    classes : sequence of str
    """

    _esm = bundle(STATIC / "canvas.mjs")
    _css = style_sheet(*shared.LOOK, STATIC / "canvas.css")

    classes = traitlets.List(traitlets.Unicode(), help="names of the classes").tag(sync=True)
    colours = traitlets.List(
        traitlets.Unicode(), help="of the classes that have one of their own, else empty"
    ).tag(sync=True)
    current_class = traitlets.Unicode(
        None, allow_none=True, help="class of the boxes that are drawn next"
    ).tag(sync=True)
    opacity = traitlets.Float(0.15, min=0, max=1, help="of the fill of boxes").tag(sync=True)
    image_brightness = traitlets.Float(1, min=0, max=10, help="factor").tag(sync=True)
    image_contrast = traitlets.Float(1, min=0, max=10, help="factor").tag(sync=True)
    bindings = traitlets.Dict(help="action to its keys, see `key_bindings`").tag(sync=True)
    actions: traitlets.List[dict[str, Any]] = traitlets.List(help="what there are keys for").tag(
        sync=True
    )
    walks = traitlets.Bool(False, help="whether there are other images to go to").tag(sync=True)
    doors = traitlets.List(
        traitlets.Unicode(), help="titles of panels that bring images, which can be opened"
    ).tag(sync=True)
    why_empty = traitlets.Unicode("", help="why there is no image; empty: there is none").tag(
        sync=True
    )
    autofocus = traitlets.Bool(
        False, help="take the keyboard when the first image is shown and nothing else has it"
    ).tag(sync=True)
    canvas_height = traitlets.Int(500, min=200, help="CSS pixels").tag(sync=True)
    threshold = traitlets.Float(
        0.25, min=0, max=1, help="score from which on predictions are shown"
    ).tag(sync=True)
    class_thresholds: traitlets.Dict[str, float] = traitlets.Dict(
        key_trait=traitlets.Unicode(),
        value_trait=traitlets.Float(min=0, max=1),
        help="the same for some classes by name, in place of it",
    ).tag(sync=True)
    best_thresholds: traitlets.Dict[str, float] = traitlets.Dict(
        key_trait=traitlets.Unicode(),
        value_trait=traitlets.Float(min=0, max=1),
        help="what an evaluation offers for `class_thresholds`",
    ).tag(sync=True)
    best_from = traitlets.Unicode("", help="which evaluation that is, in words").tag(sync=True)
    work = traitlets.Unicode("", help="what is under way, in words").tag(sync=True)
    elsewhere = traitlets.Unicode("", help="where else a model can look, in words").tag(sync=True)
    can_teach = traitlets.Bool(False, help="whether there is a switch for teaching").tag(sync=True)
    teaches = traitlets.Bool(False, help="whether a model learns meanwhile").tag(sync=True)
    taught = traitlets.Unicode("", help="what it has learnt, in a line").tag(sync=True)
    offer: traitlets.Dict[str, str] = traitlets.Dict(
        help="files that could be fetched: what they are for, and what the button says"
    ).tag(sync=True)
    notice = traitlets.Unicode("", help="a problem to show over the image").tag(sync=True)

    def __init__(
        self,
        size: tuple[int, int] = (700, 500),
        classes: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        names = list(classes or [])
        kwargs.setdefault("bindings", key_bindings())
        super().__init__(
            classes=names,
            current_class=names[0] if names else None,
            canvas_height=size[1],
            actions=ACTIONS,
            **kwargs,
        )
        self.width, self.height = size
        self.host: CanvasHost | None = None
        self.frame: Frame | None = None
        self._boxes: tuple[CanvasBox, ...] = ()
        self._undo_queue: deque[Callable[[], None]] = deque()
        self._submit_callbacks: list[Callable[[], None]] = []
        self._loaded = 0
        self._last_id = 0
        self._unacknowledged: set[int] = set()
        self.on_msg(self._receive)

    @cached_property
    def error_output_widget(self) -> ipywidgets.Output:
        """Part of what ipyannotations expects of a canvas; nothing is ever written to it."""
        return ipywidgets.Output()

    # What ipyannotations users work with

    def load_image(self, image: Any) -> None:
        """Show an image without boxes.

        Parameters
        ----------
        image : ipywidgets.Image, Path, str, bytes, ndarray or PIL.Image
            Arrays are RGB, as everywhere in ipyannotations.
        """
        from ipyannotations.images.canvases.image_utils import load_img

        content = bytes(load_img(image).value)
        width, height = image_size(content, "image")
        self._loaded += 1
        frame = Frame(
            key=f"{self.model_id}/{self._loaded}",
            token=str(self._loaded),
            name=Path(image).name if isinstance(image, str | Path) else f"image {self._loaded}",
            width=width,
            height=height,
            content=content,
            keep=False,
        )
        self.show(frame)

    def clear(self) -> None:
        """Take image and boxes away."""
        self.frame = None
        self._boxes = ()
        self._undo_queue.clear()
        self.send({"kind": "empty"})

    @property
    def data(self) -> list[dict[str, Any]]:
        """The boxes: ``{"type": "box", "label": str, "xyxy": (left, top, right, bottom)}``.

        Pixels of the image; whole numbers are ints, as stock ipyannotations has them.
        """
        return [
            {"type": "box", "label": self._name(box.class_id), "xyxy": _tidy(box.xyxy)}
            for box in self._boxes
        ]

    @data.setter
    def data(self, value: Sequence[Mapping[str, Any]]) -> None:
        self.set_boxes([self._box_of(item) for item in value])

    def set_boxes(self, boxes: Sequence[CanvasBox]) -> None:
        """Replace the boxes of the image shown, as an edit that can be undone."""
        before = self._boxes
        self._undo_queue.append(lambda: self._put_boxes(before))
        self._put_boxes(tuple(boxes))

    def on_submit(self, callback: Callable[[], None]) -> None:
        """Have a function called when the user presses the submit key."""
        self._submit_callbacks.append(callback)

    # What a host works with

    def show(self, frame: Frame, **how: Any) -> None:
        """Show an image to every page; see `send_frame` for `how`."""
        if self.frame is None or self.frame.key != frame.key:
            self._undo_queue.clear()
        self.frame = frame
        self._boxes = frame.boxes
        self.send_frame(frame, show=True, **how)

    def send_frame(
        self,
        frame: Frame,
        *,
        show: bool = False,
        to: str | None = None,
        cause: Mapping[str, Any] | None = None,
        have: str | None = None,
        total: int = 1,
        labelled: int = 0,
        to_review: int = 0,
        plain: bool = False,
    ) -> None:
        """Send an image to the pages, with its bytes unless they have them.

        Parameters
        ----------
        show : bool
            Show it now, or keep it ready.
        to : str, optional
            The one session that it is for; default all.
        cause : mapping, optional
            ``session`` and ``seq`` of the ``go`` that this answers.
        have : str, optional
            Token of the bytes that the page has.
        total, labelled : int
            Length of the walk, and how much of it is labelled.
        to_review : int
            Images of the walk with predictions that wait for review.
        plain : bool
            Whether the bytes were re-encoded because the browser could not decode them.
        """
        self._last_id += 1
        message = {
            "kind": "frame",
            "id": self._last_id,
            "to": to,
            "show": show,
            "cause": dict(cause) if cause else None,
            "total": total,
            "labelled": labelled,
            "to_review": to_review,
            "plain": plain,
            "frame": frame.as_message(),
        }
        if have == frame.token or not frame.content:
            self.send(message)
            return
        self._unacknowledged.add(self._last_id)
        self.send(message, buffers=[frame.content])

    def follow(self, frame: Frame, *, labelled: int = 0, to_review: int = 0) -> None:
        """Take over boxes that were set in Python, and tell the pages."""
        if self.frame is not None and self.frame.key == frame.key:
            self.frame = frame
            self._boxes = frame.boxes
        self._send_labels(frame, labelled, to_review)

    @property
    def frames_under_way(self) -> int:
        """Images that were sent and have not arrived yet."""
        return len(self._unacknowledged)

    # Inside

    def _receive(self, _widget: Any, message: Mapping[str, Any], _buffers: Any) -> None:
        try:
            self._dispatch(message)
        except MessageError as error:
            _log.warning("box canvas: %s", error)
            self.notice = f"The page sent something unreadable: {error}"

    def _dispatch(self, message: Mapping[str, Any]) -> None:
        kind = message.get("kind")
        if kind == "edit":
            self._take_edit(Edit.from_message(message))
        elif kind == "got":
            self._unacknowledged.discard(int(message.get("id", 0)))
        elif kind == "submit":
            for callback in tuple(self._submit_callbacks):
                callback()
        elif kind in _ASKED:
            if kind == "hello":
                self._unacknowledged.clear()
            if self.host is not None:
                self.host.asked(message)
            elif kind in {"hello", "want"}:
                self._send_own(str(message.get("session", "")))
        else:
            raise MessageError(f"unknown kind {kind!r}")

    def _send_own(self, session: str) -> None:
        if self.frame is None:
            self.send({"kind": "empty", "to": session})
        else:
            self.send_frame(self._present(), show=True, to=session)

    def _present(self) -> Frame:
        assert self.frame is not None
        return replace(self.frame, boxes=self._boxes)

    def _take_edit(self, edit: Edit) -> None:
        if self.frame is not None and edit.key == self.frame.key:
            before = self._boxes
            if edit.what == "undo" and self._undo_queue:
                self._undo_queue.pop()
            else:
                self._undo_queue.append(lambda: self._put_boxes(before))
            self._boxes = edit.boxes
        if self.host is not None:
            self.host.edited(edit)
            return
        self.send(
            {
                "kind": "saved",
                "session": edit.session,
                "seq": edit.seq,
                "key": edit.key,
                "revision": edit.revision,
                "labelled": 0,
            }
        )

    def _put_boxes(self, boxes: tuple[CanvasBox, ...]) -> None:
        self._boxes = boxes
        if self.frame is None:
            return
        if self.host is not None:
            self.host.edited(Edit(self.frame.key, self.frame.revision, boxes, what="python"))
            return
        self._send_labels(replace(self.frame, boxes=boxes), 0)

    def _send_labels(self, frame: Frame, labelled: int, to_review: int = 0) -> None:
        message = frame.as_message()
        fields = {name: message[name] for name in ("key", "revision", "boxes", "proposals")}
        self.send({"kind": "labels", "labelled": labelled, "to_review": to_review, **fields})

    def _name(self, class_id: int) -> str:
        return self.classes[class_id] if 0 <= class_id < len(self.classes) else f"class {class_id}"

    def _box_of(self, item: Mapping[str, Any]) -> CanvasBox:
        if item.get("type", "box") != "box" or "label" not in item or "xyxy" not in item:
            raise ValueError(
                f'expected {{"type": "box", "label": ..., "xyxy": ...}}, found {item!r}'
            )
        if item["label"] not in self.classes:
            raise ValueError(f"label {item['label']!r} is not one of the options {self.classes}")
        row = {"class_id": self.classes.index(item["label"]), "xyxy": item["xyxy"]}
        return CanvasBox.from_row(row)


def _tidy(xyxy: Sequence[float]) -> tuple[float, ...]:
    return tuple(int(value) if float(value).is_integer() else value for value in xyxy)
