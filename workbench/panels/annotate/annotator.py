"""An ipyannotations annotator for boxes, drawn in the browser."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets
from ipyannotations.images.annotator import Annotator

from workbench.panels.annotate.canvas import BoxCanvas

_SHOWN = ("current_class", "opacity", "image_brightness", "image_contrast")
"""What the base class links controls of its own to, which begin as they like."""


class BoxAnnotator(Annotator):  # type: ignore[misc]
    """Draw, move, resize and delete boxes on an image.

    A drop-in for ipyannotations' own `BoxAnnotator`: `display`, `data`, `options`,
    `on_submit`, `undo` and `skip` work as there. Different on purpose: Backspace deletes
    the selected boxes (Ctrl+Z undoes), and keys work only while the canvas has the focus.

    Parameters
    ----------
    canvas_size : tuple of int
        Width and height in CSS pixels.
    options : sequence of str
        The classes.
    data_postprocessor : callable, optional
        Applied to `data` before it is returned and submitted.
    controls : bool
        Show the buttons Undo, Skip and Submit below the canvas.
    canvas : BoxCanvas, optional
        Worked with as it is, in place of a new one; `options` are its classes then.
    """

    CanvasClass: Callable[..., BoxCanvas] = BoxCanvas

    def __init__(
        self,
        canvas_size: tuple[int, int] = (700, 500),
        options: Sequence[str] = (),
        data_postprocessor: Callable[[list[dict[str, Any]]], Any] | None = None,
        *,
        controls: bool = True,
        canvas: BoxCanvas | None = None,
        **kwargs: Any,
    ) -> None:
        shown = {} if canvas is None else {name: getattr(canvas, name) for name in _SHOWN}
        if canvas is not None:
            self.CanvasClass = lambda *_, **__: canvas
            options = canvas.classes
        with warnings.catch_warnings():
            # ipyannotations 0.5 hands ipyevents an argument that it does not know.
            warnings.filterwarnings("ignore", "Passing unrecognized arguments", DeprecationWarning)
            super().__init__(canvas_size, list(options), data_postprocessor, **kwargs)
        # The base class has linked its opacity slider, which starts at a fill that hides
        # small things, as its other controls were to what a canvas has that was there before.
        self.canvas.opacity = BoxCanvas.opacity.default_value
        for name, value in shown.items():
            setattr(self.canvas, name, value)
        ipywidgets.dlink((self, "options"), (self.canvas, "classes"), list)
        ipywidgets.dlink((self.canvas, "classes"), (self, "options"), list)
        # The base class puts its view-less key listener among the children, which shows as
        # a red box; and it would take Enter on any button for a submit. The canvas has
        # keys of its own.
        self.event_watcher.watched_events = []
        buttons = ipywidgets.HBox(
            (self.undo_button, self.skip_button, self.submit_button),
            layout={"justify_content": "flex-end"},
        )
        self.children = (self.canvas, buttons) if controls else (self.canvas,)
        self.canvas.on_submit(self.submit)

    @property
    def data(self) -> Any:
        """The boxes, as list of ``{"type": "box", "label": str, "xyxy": (l, t, r, b)}``, pixels."""
        return super().data

    @data.setter
    def data(self, value: Sequence[Mapping[str, Any]]) -> None:
        self.canvas.data = value
