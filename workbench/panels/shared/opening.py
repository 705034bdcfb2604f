"""Widgets of a panel are opened once they are as they shall be shown: few messages, not many.

ipywidgets tells the page of each widget as it is made, and of each change from then on: a panel of
150 widgets takes 600 messages, of which a third say what the first could have said. `at_once` has
the widgets that a constructor makes wait until it is done:

1. A widget that is made gets a line to the page on which nothing goes out (`_Held`).
2. What is changed on it, and put into it, is remembered by the widget itself.
3. At the end each is opened, those before it that it refers to, under the name that it had.
4. Styles of which nobody has changed anything are one, of each kind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import wraps
from threading import get_ident
from typing import Any, TypeVar, cast
from uuid import uuid4

import ipywidgets as w

Init = TypeVar("Init", bound=Callable[..., None])


class _Held:
    """Stands for a widget's line to the page until it is opened."""

    kernel = None
    """What ipywidgets asks before it sends: there is nobody."""

    def __init__(self) -> None:
        self.comm_id = uuid4().hex

    def on_msg(self, _callback: object) -> None:
        """Nobody says anything yet."""

    def close(self) -> None:
        """Nothing was opened."""


class _Opening:
    """The widgets that one constructor makes, in one thread."""

    def __init__(self) -> None:
        self._thread = get_ident()
        self._before = w.Widget._widget_construction_callback
        self._held: dict[w.Widget, None] = {}
        self._styles: dict[type, w.Widget] = {}

    def begin(self) -> None:
        w.Widget.on_widget_constructed(self._constructed)

    def end(self) -> None:
        """Open all that was made, each behind what it refers to."""
        for widget in list(self._held):
            self._open(widget)
        # Only now: a layout that nobody had asked for was made as it was looked at.
        w.Widget.on_widget_constructed(self._before)

    def _constructed(self, widget: w.Widget) -> None:
        if self._before is not None:
            self._before(widget)
        if get_ident() == self._thread and widget.comm is None:
            widget.comm = _Held()
            self._held[widget] = None

    def _open(self, widget: w.Widget) -> None:
        if not isinstance(widget.comm, _Held):
            return  # opened before, for another, or closed
        self._share_style(widget)
        for other in _referred(widget):
            self._open(other)
        if isinstance(widget.comm, _Held):
            widget.comm = None
            widget.open()

    def _share_style(self, widget: w.Widget) -> None:
        style = getattr(widget, "style", None)
        if not isinstance(style, w.Widget) or not isinstance(style.comm, _Held):
            return
        if any(getattr(style, name) not in (None, "") for name in style.keys if name[0] != "_"):
            return  # somebody has chosen something
        shared = self._styles.setdefault(type(style), style)
        if shared is not style:
            widget.style = shared
            style.close()


def _referred(widget: w.Widget) -> Iterator[w.Widget]:
    """Yield the widgets that a widget's state names."""
    for name in widget.keys:
        value = getattr(widget, name)
        several = value if isinstance(value, list | tuple) else (value,)
        yield from (one for one in several if isinstance(one, w.Widget))


def at_once(init: Init) -> Init:
    """Have all widgets that a constructor makes opened at its end.

    Only where an event loop runs in this thread, as in a notebook: then nothing else can happen
    meanwhile. One within another leaves it to the other.
    """

    @wraps(init)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        if not _is_loop_here() or _is_under_way():
            init(*args, **kwargs)
            return
        opening = _Opening()
        opening.begin()
        try:
            init(*args, **kwargs)
        finally:
            opening.end()

    return cast(Init, wrapped)


def _is_under_way() -> bool:
    callback: Any = w.Widget._widget_construction_callback
    return isinstance(getattr(callback, "__self__", None), _Opening)


def _is_loop_here() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
