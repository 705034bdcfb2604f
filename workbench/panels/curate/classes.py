"""The page of the curate panel that changes classes, and the labels that use them."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import ipywidgets as w

from workbench.datasets.classes import ClassCount, ClassPlan
from workbench.panels.curate.model import CurateModel
from workbench.panels.curate.statistics import classes_table
from workbench.panels.shared.parts import (
    Spawn,
    allow,
    button,
    choice,
    hint,
    labelled,
    notes,
    number,
    page,
    row,
    set_options,
    show,
    table,
)

ADD, RENAME, COLOUR = "add", "rename", "colour"
MERGE, DELETE, REORDER = "merge", "delete", "reorder"
_KINDS = (
    ("Add a class", ADD),
    ("Rename a class", RENAME),
    ("Choose a class's colour", COLOUR),
    ("Merge classes into one", MERGE),
    ("Delete a class", DELETE),
    ("Put classes in order", REORDER),
)
_HINT = "Labels are rewritten as a whole or not at all, and you see first what would change."
_USUAL = "#f0a30a"
_MORE = "Boxes of classes that you do not name keep their class."


class ClassesPage:
    """A table of the classes, and what can be done to them.

    Parameters
    ----------
    model : CurateModel
    spawn : callable
    """

    title = "Classes"

    def __init__(self, model: CurateModel, spawn: Spawn) -> None:
        self._model = model
        self.table = w.HTML()
        self.kind = labelled(w.Dropdown(options=_KINDS, value=RENAME, description="Change"))
        self._make_fields()
        self.preview_button = button("Preview", "eye", self._preview, spawn)
        self.apply_button = button("Apply", "check", model.apply_classes, spawn)
        self.preview = w.HTML()
        self.view = page(
            self.table,
            hint(_HINT, _MORE),
            row(self.kind, *self._fields.values()),
            row(self.preview_button, self.apply_button),
            self.preview,
        )
        fields = (self.which, self.name, self.colour, self.usual, self.sources, self.into)
        for field in (self.kind, *fields, self.with_boxes):
            field.observe(self._forget, "value")
        self.kind.observe(self._show_fields, "value")
        model.observe(self._show_classes, "statistics")
        model.observe(self._show_plan, ("class_plan", "dataset"))
        self._show_fields()
        self._show_plan()

    def _make_fields(self) -> None:
        self.which = choice("Class")
        self.name = labelled(
            w.Text(description="New name", placeholder="such as: red cell"), width="260px"
        )
        self.colour = labelled(
            w.ColorPicker(description="Colour", tooltip="Colour", value=_USUAL), width="160px"
        )
        self.usual = w.Checkbox(description="as usual for its id", indent=False)
        self.usual.layout.width = "auto"
        self.sources = labelled(w.SelectMultiple(description="Classes", rows=5), width="260px")
        self.into = choice("Into")
        self.with_boxes = w.Checkbox(description="and all its boxes", indent=False)
        self.with_boxes.layout.width = "auto"
        self.order = labelled(w.Select(description="Order", rows=6), width="260px")
        up = w.Button(description="Up", icon="arrow-up", tooltip="Move the class up")
        down = w.Button(description="Down", icon="arrow-down", tooltip="Move the class down")
        up.on_click(lambda _: self._shift(-1))
        down.on_click(lambda _: self._shift(1))
        self.up_button, self.down_button = up, down
        self._fields: dict[str, w.Widget] = {
            "name": self.name,
            COLOUR: row(self.colour, self.usual),
            MERGE: row(self.sources, self.into),
            DELETE: row(self.with_boxes),
            REORDER: row(self.order, w.VBox((up, down))),
        }
        self._fields = {"which": self.which, **self._fields}

    # What is wanted

    def _show_fields(self, _change: Mapping[str, Any] | None = None) -> None:
        kind = self.kind.value
        users = {"which": (RENAME, COLOUR, DELETE), "name": (ADD, RENAME)}
        for name, field in self._fields.items():
            show(field, kind in users.get(name, (name,)))

    def _shift(self, by: int) -> None:
        order, chosen = list(self.order.options), self.order.index
        if chosen is None or not 0 <= chosen + by < len(order):
            return
        order.insert(chosen + by, order.pop(chosen))
        self.order.options = order
        self.order.index = chosen + by
        self._model.forget_plans()

    def _forget(self, _change: Mapping[str, Any]) -> None:
        self._model.forget_plans()

    async def _preview(self) -> None:
        model, kind = self._model, self.kind.value
        if kind == ADD:
            await model.add_class(self.name.value)
        elif kind == REORDER:
            await model.reorder_classes([class_id for _, class_id in self.order.options])
        elif kind == MERGE:
            await model.merge_classes(self.sources.value, self._any(self.into))
        elif kind == RENAME:
            await model.rename_class(self._any(self.which), self.name.value)
        elif kind == COLOUR:
            colour = "" if self.usual.value else str(self.colour.value)
            await model.colour_class(self._any(self.which), colour)
        else:
            await model.delete_class(self._any(self.which), with_boxes=self.with_boxes.value)

    def _any(self, field: w.Dropdown) -> int:
        """Return which class is chosen."""
        if field.value is None:
            raise ValueError("The dataset has no classes yet: add one first.")
        return int(field.value)

    # What is shown

    def _show_classes(self, _change: Mapping[str, Any]) -> None:
        statistics = self._model.statistics
        self.table.value = "" if statistics is None else classes_table(statistics)
        options = [(f"{name} ({i})", i) for i, name in enumerate(self._model.classes)]
        if list(self.order.options) != options:
            # Another set of classes: what was chosen may mean something else by now.
            self.sources.index = ()  # before the options: the page knows no option behind the last
            self.sources.options = options
            for field in (self.which, self.into, self.order):
                set_options(field, ())
                set_options(field, options)
            self.name.value, self.usual.value = "", False
            self.with_boxes.value = False

    def _show_plan(self, _change: Mapping[str, Any] | None = None) -> None:
        plan = self._model.class_plan
        allow(self.apply_button, _obstacle(plan), "Change the classes as previewed")
        self.preview.value = "" if plan is None else _preview(plan)


def _obstacle(plan: ClassPlan | None) -> str:
    """Return why a plan cannot be applied; empty if it can."""
    if plan is None:
        return "Press Preview first, to see what would change."
    return "" if plan.counts else "Nothing would change, so there is nothing to apply."


def _preview(plan: ClassPlan) -> str:
    if not plan.counts:
        return "<p>Nothing would change.</p>" + notes(plan.notes)
    rows = [_row(count) for count in plan.counts]
    heads = ["class", "becomes", "boxes", "on images"]
    caption = f"Preview: {plan.description}"
    return notes(plan.notes) + table(caption, heads, rows, texts=(1,))


def _row(count: ClassCount) -> list[str]:
    old = f"{count.name} ({count.class_id})" if count.class_id is not None else "(new)"
    new = f"{count.new_name} ({count.new_id})" if count.new_id is not None else "— deleted"
    return [escape(old), escape(new), number(count.boxes), number(count.images)]
