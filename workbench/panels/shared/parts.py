"""Parts that the pages of several panels are made of: rows, buttons, tables, questions."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from html import escape
from typing import Any

import ipywidgets as w

from workbench.datasets.drawing import class_colour

NO_DATASET = "There is no dataset yet: make one, or bring one in, on the page Home."

MAX_UNDO_WORDS = 60
"""Letters of what a button would undo; all of it is its tip."""

Command = Callable[[], Coroutine[Any, Any, Any]]
Spawn = Callable[[Command], None]
"""Starts a command on the panel's event loop."""


def row(*widgets: w.Widget) -> w.HBox:
    """Return widgets beside each other, on more lines where there is no room."""
    box = w.HBox(widgets)
    box.add_class("wb-row")
    return box


def page(*widgets: w.Widget) -> w.VBox:
    """Return the content of a page."""
    box = w.VBox(widgets)
    box.add_class("wb-page")
    return box


def card(title: str, *widgets: w.Widget) -> w.VBox:
    """Return a part of a panel with a frame and a heading."""
    box = w.VBox((w.HTML(f'<h3 class="wb-heading">{escape(title)}</h3>'), *widgets))
    box.add_class("wb-card")
    return box


def tabs(pages: Mapping[str, w.Widget], turned: Callable[[str], None]) -> w.Tab:
    """Return pages behind each other, of which one is seen.

    Parameters
    ----------
    pages : mapping of str to ipywidgets.Widget
        By their titles.
    turned : callable
        Told the title of the page that is turned to.
    """
    made = w.Tab(
        list(pages.values()), titles=list(pages), selected_index=0, layout={"width": "100%"}
    )
    titles = list(pages)
    made.observe(lambda change: turned(titles[change["new"] or 0]), "selected_index")
    return made


class Fold:
    """A part of a panel that opens when its heading is pressed.

    The page gets its content when it opens for the first time: what nobody opens costs nothing.

    Parameters
    ----------
    title : str
    *widgets : ipywidgets.Widget
        What is in it.

    Attributes
    ----------
    view : ipywidgets.VBox
    button : ipywidgets.ToggleButton
        Its heading; pressed: open.
    """

    def __init__(self, title: str, *widgets: w.Widget) -> None:
        self.button = w.ToggleButton(description=title, tooltip=f"{title}: open or close")
        self._widgets = widgets
        self.content = w.VBox(layout={"overflow": "visible", "grid_gap": "8px"})
        self.view = w.VBox((self.button, self.content))
        self.view.add_class("wb-fold")
        self.button.observe(self._turn, "value")
        self._turn()

    def _turn(self, _change: Any = None) -> None:
        is_open = self.button.value
        self.button.icon = "caret-down" if is_open else "caret-right"
        if is_open:
            self.content.children = self._widgets
        show(self.content, is_open)


def field(control: w.Widget, about: w.HTML) -> w.VBox:
    """Return a control with its help below it; see `help_text` and `note_text`."""
    made = w.VBox((control, about))
    made.add_class("wb-field")
    return made


def help_text(line: str, more: str = "") -> str:
    """Return one line of help as HTML; where there is more to say, it opens."""
    if not more:
        return f'<div class="wb-about">{escape(line)}</div>'
    return (
        f'<details class="wb-about"><summary>{escape(line)}</summary>'
        f"<div>{escape(more)}</div></details>"
    )


def note_text(text: str) -> str:
    """Return what is to be said of something as it stands, as HTML; all but a sentence opens."""
    first, stop, rest = text.partition(". ")
    if not rest:
        return f'<div class="wb-note">{escape(text)}</div>'
    return (
        f'<details class="wb-note"><summary>{escape(first + stop.strip())}</summary>'
        f"<div>{escape(rest)}</div></details>"
    )


def hint(line: str, more: str = "") -> w.HTML:
    """Return one line on what a page is for, and more on demand."""
    return w.HTML(help_text(line, more))


def empty(text: str) -> str:
    """Return what stands where nothing is yet, and what to do about it, as HTML."""
    return f'<p class="wb-empty">{escape(text)}</p>'


def meter(**options: Any) -> w.FloatProgress:
    """Return a bar that says how far something is, from 0 to 1."""
    return w.FloatProgress(min=0.0, max=1.0, **options)


def button(words: str, icon: str, command: Command, spawn: Spawn, *, tip: str = "") -> w.Button:
    """Return a button that starts a command."""
    made = w.Button(description=words, icon=icon, tooltip=tip or words)
    made.on_click(lambda _: spawn(command))
    return made


def allow(control: w.Widget, reason: str, tip: str = "") -> None:
    """Let a control be used, or say on it why not; nothing else disables one.

    Parameters
    ----------
    control : ipywidgets.Button or another that has a tooltip
    reason : str
        Why it cannot be used now, and what to do; empty: it can.
    tip : str
        What it does, said while it can be used.
    """
    control.disabled = bool(reason)
    control.tooltip = reason or tip


def undo_words(what: str) -> str:
    """Return what a button says that takes back `what`; empty: there is nothing."""
    if not what:
        return "Undo"
    is_short = len(what) <= MAX_UNDO_WORDS
    return f"Undo: {what if is_short else what[: MAX_UNDO_WORDS - 1] + '…'}"


def labelled(control: Any, **layout: str) -> Any:
    """Let a control be as wide as what it shows; its label stands above it."""
    for name, value in {"width": "auto", **layout}.items():
        setattr(control.layout, name, value)
    return control


NONE_YET = "none yet"
"""Stands in a choice while there is nothing to choose; its value is None."""


def choice(description: str, **layout: str) -> w.Dropdown:
    """Return a choice without options, which says so; `set_options` gives it some."""
    made = labelled(w.Dropdown(description=description), **layout)
    set_options(made, ())
    return made


def set_options(field: Any, options: Sequence[tuple[str, Any]], *, first: Any = None) -> None:
    """Offer other options to choose from; what was chosen stays so, if it is there still.

    Parameters
    ----------
    field : Dropdown or Select
    options : sequence of (str, object)
        Words and value of each. A Dropdown without any says so; its value is None then.
    first : object
        Chosen if nothing was that is there still; default: the first option.
    """
    values = [value for _, value in options]
    kept, had_options = field.value, bool(field.options)
    field.options = options
    if not options and isinstance(field, w.Dropdown):
        field.options = [(NONE_YET, None)]
        field.index = 0  # a value of None takes the choice back, and the field would be blank
    elif had_options and kept in values:
        field.value = kept
    elif values:
        field.value = values[0] if first is None else first


def show(widget: w.Widget, is_shown: bool) -> None:
    """Show a widget, or leave it out of the page."""
    widget.layout.display = None if is_shown else "none"


def table(
    caption: str,
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    texts: Sequence[int] = (),
    longs: Sequence[int] = (),
) -> str:
    """Return an HTML table.

    Parameters
    ----------
    caption : str
    heads : sequence of str
        Of the columns, as text.
    rows : iterable of sequence of str
        Cells as HTML, so text in them must be escaped; the first one heads its row.
    texts, longs : sequence of int
        Columns of words, besides the first; of sentences, which may take several lines.
    """
    left = {0, *texts, *longs}

    def cell(column: int, html: str) -> str:
        kind = "wb-long" if column in longs else "wb-text" if column in left else ""
        if column == 0:
            return f'<th scope="row" class="{kind}">{html}</th>'
        return f'<td class="{kind}">{html}</td>'

    head = "".join(
        f'<th scope="col" class="{"wb-text" if column in left else ""}">{escape(text)}</th>'
        for column, text in enumerate(heads)
    )
    body = "".join(
        "<tr>" + "".join(cell(column, html) for column, html in enumerate(cells)) + "</tr>"
        for cells in rows
    )
    return (
        f'<div class="wb-scroll" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f'<table class="wb-table">'
        f"<caption>{escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def notes(lines: Iterable[str]) -> str:
    """Return sentences as an HTML list; empty if there are none."""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<ul class="wb-notes">{items}</ul>' if items else ""


def lines(text: str, label: str) -> str:
    """Return lines in a box of their own, which scrolls if there are many."""
    return (
        f'<div class="wb-lines" tabindex="0" role="region" aria-label="{escape(label)}">'
        f"{escape(text)}</div>"
    )


def class_name(class_id: int, name: str, colours: Sequence[str] = ()) -> str:
    """Return a class with the colour that its boxes are drawn in, as HTML.

    Parameters
    ----------
    class_id : int
    name : str
    colours : sequence of str
        `DatasetInfo.colours`.
    """
    blue, green, red = class_colour(class_id, colours)
    swatch = f'<span class="wb-colour" style="background: rgb({red}, {green}, {blue})"></span>'
    return f"{swatch}{escape(name)}"


def number(value: int) -> str:
    """Return a number with its thousands apart."""
    return f"{value:,}"


class Confirmation:
    """Asks before something that cannot be taken back with one click.

    Parameters
    ----------
    spawn : callable
    """

    def __init__(self, spawn: Spawn) -> None:
        self._spawn = spawn
        self._command: Command | None = None
        self._words = w.HTML()
        self._yes = w.Button(icon="check")
        self._no = w.Button(description="Leave it as it is", icon="times")
        self._yes.on_click(self._confirm)
        self._no.on_click(lambda _: self.withdraw())
        self.view = w.VBox((self._words, row(self._yes, self._no)))
        self.view.add_class("wb-confirm")
        show(self.view, False)

    def ask(self, html: str, answer: str, command: Command) -> None:
        """Show a question; the command starts when it is answered with `answer`."""
        self._command = command
        self._words.value = f'<div role="alert">{html}</div>'
        self._yes.description = answer
        show(self.view, True)

    def withdraw(self) -> None:
        """Take the question away."""
        self._command = None
        show(self.view, False)

    def _confirm(self, _: Any) -> None:
        command = self._command
        self.withdraw()
        if command is not None:
            self._spawn(command)
