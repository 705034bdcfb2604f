"""The page of the curate panel that deals images out to train, val and test."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import ipywidgets as w

from workbench.datasets.changes import counted
from workbench.datasets.splits import SplitPlan
from workbench.panels.curate.model import CurateModel
from workbench.panels.shared.groups import GROUPS
from workbench.panels.shared.parts import (
    Spawn,
    allow,
    button,
    hint,
    labelled,
    notes,
    number,
    page,
    row,
)
from workbench.panels.shared.parts import table as html_table
from workbench.panels.shared.python_code import call, code
from workbench.panels.shared.widgets import CopyButton
from workbench.persistence.models import SPLITS

_FIRST = {"train": 80.0, "val": 20.0, "test": 0.0}
_ROUNDING = 0.05  # three thirds of 33.33 add up
_HINT = "Deals all images out anew; you see what would move before anything does."
_MORE = (
    "Stratified: every class keeps the same share in each split, as near as the images allow. "
    "Frames of one video look alike, so group them: a model must not be judged by pictures that "
    "it has all but seen."
)


class SplitsPage:
    """Ratios and a seed; then a preview, and only then the moves.

    Parameters
    ----------
    model : CurateModel
    spawn : callable
    """

    title = "Splits"

    def __init__(self, model: CurateModel, spawn: Spawn) -> None:
        self._model = model
        self.shares = {
            split: labelled(
                w.BoundedFloatText(
                    value=_FIRST[split], min=0, max=100, step=5, description=f"{split} %"
                ),
                width="130px",
            )
            for split in SPLITS
        }
        self.stratify = w.Checkbox(value=True, description="Stratify by class", indent=False)
        self.stratify.layout.width = "auto"
        self.group_by = labelled(w.Dropdown(options=GROUPS, value="", description="Group by"))
        self.seed = labelled(
            w.BoundedIntText(value=0, min=0, max=2**31 - 1, description="Seed"), width="120px"
        )
        self.preview_button = button("Preview", "eye", self._preview, spawn)
        self.apply_button = button("Apply", "check", model.apply_splits, spawn)
        self.copy_button = CopyButton(why="Choose a dataset first")
        self.table = w.HTML()
        fields = (*self.shares.values(), self.stratify, self.group_by, self.seed)
        for field in fields:
            field.observe(self._forget, "value")
        self.view = page(
            hint(_HINT, _MORE),
            row(*self.shares.values()),
            row(self.stratify, self.group_by, self.seed),
            row(self.preview_button, self.apply_button, self.copy_button),
            self.table,
        )
        model.observe(self._show, ("split_plan", "dataset"))
        self._show()

    async def _preview(self) -> None:
        await self._model.plan_splits(
            {split: field.value for split, field in self.shares.items()},
            stratify=self.stratify.value,
            group_by=self.group_by.value or None,
            seed=self.seed.value,
        )

    def _forget(self, _change: Mapping[str, Any]) -> None:
        self._model.forget_plans()
        self._show()

    def as_python(self) -> str:
        """Return what *Preview* and *Apply* do, to be run in a cell."""
        dataset = self._model.dataset
        if not dataset:
            return ""
        return code(
            ("Dataset", "get_stores"),
            call(
                f"plan = await Dataset(get_stores(), {dataset!r}).splits",
                {split: field.value for split, field in self.shares.items()},
                stratify=self.stratify.value,
                group_by=self.group_by.value or None,
                seed=self.seed.value,
            ),
            "print(plan.to_frame())",
            "await plan.apply()",
        )

    def _show(self, _change: Mapping[str, Any] | None = None) -> None:
        self.copy_button.text = self.as_python()
        plan = self._model.split_plan
        allow(self.apply_button, _obstacle(plan), "Move the images as previewed")
        self.table.value = "" if plan is None else _preview(plan, self._about_sum())

    def _about_sum(self) -> list[str]:
        """Say what shares are taken to mean that do not add up to 100."""
        shares = {split: field.value for split, field in self.shares.items()}
        total = sum(shares.values())
        if not total or abs(total - 100) < _ROUNDING:
            return []
        meant = ", ".join(f"{split} {share / total:.1%}" for split, share in shares.items())
        return [f"the shares add up to {total:g}, so they are taken in proportion: {meant}"]


def _obstacle(plan: SplitPlan | None) -> str:
    """Return why a plan cannot be applied; empty if it can."""
    if plan is None:
        return "Press Preview first, to see what would move."
    return "" if plan.moves else "Every image is in its split already: nothing would move."


def _preview(plan: SplitPlan, about: list[str]) -> str:
    heads = ["", *(f"{split} {when}" for split in SPLITS for when in ("now", "then", "share"))]
    rows = []
    # Not through a table of pandas, whose import would hold up the event loop for a second.
    for name, now, then in zip(*plan.counts(), strict=True):
        cells = [escape(name)]
        total = max(int(then.sum()), 1)
        for before, after in zip(now.tolist(), then.tolist(), strict=True):
            changed = ' class="curate-changed"' if before != after else ""
            cells += [
                number(before),
                f"<span{changed}>{number(after)}</span>",
                f"{after / total:.0%}",
            ]
        rows.append(cells)
    caption = f"Preview: {counted(len(plan.moves), 'image')} would move; below, boxes by class"
    # Before the table, which is long where there are many classes.
    return notes([*about, *plan.notes]) + html_table(caption, heads, rows)
