"""The page of the curate panel that keeps states of a dataset, compares and restores them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from html import escape
from typing import Any

import ipywidgets as w

from workbench.datasets.versions import differences, in_words
from workbench.panels.curate.model import CurateModel
from workbench.panels.shared.parts import (
    Confirmation,
    Spawn,
    allow,
    button,
    choice,
    empty,
    hint,
    labelled,
    number,
    page,
    row,
    set_options,
    table,
)
from workbench.persistence.models import SPLITS
from workbench.persistence.version_models import KEPT_AUTOMATIC, VersionComparison, VersionInfo

NOW = ""
_NONE = "No versions yet: give one a name, and press Freeze."
ROWS_SHOWN = 100
_HINT = "A version is the dataset as it was, under a name; it never changes."
_MORE = (
    "Freeze one before a large change or a training run, and you can always say what a model has "
    "learned from."
)


class VersionsPage:
    """The versions of a dataset: freeze, compare, restore, delete.

    Parameters
    ----------
    model : CurateModel
    spawn : callable
    """

    title = "Versions"

    def __init__(self, model: CurateModel, spawn: Spawn) -> None:
        self._model = model
        self.name = labelled(w.Text(description="Name", placeholder="v1"), width="200px")
        self.note = labelled(
            w.Text(description="Note", placeholder="what it is for"), width="320px"
        )
        self.freeze_button = button("Freeze", "snowflake-o", self._freeze, spawn)
        self.table = w.HTML()
        self.first = choice("From")
        self.second = choice("to")
        self.compare_button = button("Compare", "exchange", self._compare, spawn)
        self.chosen = choice("Version")
        self.restore_button = button("Restore …", "history", self._ask_restore, spawn)
        self.delete_button = button("Delete …", "trash", self._ask_delete, spawn)
        self.confirmation = Confirmation(spawn)
        self.comparison = w.HTML()
        self.view = page(
            hint(_HINT, _MORE),
            row(self.name, self.note, self.freeze_button),
            self.table,
            row(self.chosen, self.restore_button, self.delete_button),
            self.confirmation.view,
            row(self.first, self.second, self.compare_button),
            self.comparison,
        )
        model.observe(self._show_versions, "versions")
        model.observe(self._show_comparison, "comparison")
        model.observe(lambda _: self.confirmation.withdraw(), "dataset")
        for field in (self.first, self.second):
            field.observe(self._forget_comparison, "value")
        self._show_versions()

    # Commands

    async def _freeze(self) -> None:
        await self._model.freeze(self.name.value, self.note.value)
        self.name.value = self.note.value = ""

    async def _compare(self) -> None:
        await self._model.compare(self.first.value or None, self.second.value or None)

    async def _ask_restore(self) -> None:
        name = self._chosen()
        difference = await self._model.compare(None, name)
        self._model.comparison = None  # the question says it
        if not difference:
            self.confirmation.withdraw()
            raise ValueError(f"The dataset is as it was in {name!r} already.")
        words = (
            f"Restore <b>{escape(name)}</b>? {escape(in_words(difference))} The state of now is "
            f"kept as an automatic version; of these, the newest {KEPT_AUTOMATIC} stay."
        )
        restore = partial(self._model.restore, name, expected=difference)
        self.confirmation.ask(words, "Restore", restore)

    async def _ask_delete(self) -> None:
        name = self._chosen()
        words = f"Delete the version <b>{escape(name)}</b>? This cannot be undone."
        self.confirmation.ask(words, "Delete for good", lambda: self._model.delete_version(name))

    def _chosen(self) -> str:
        if not self.chosen.value:
            raise ValueError("There is no version yet: freeze one first.")
        return str(self.chosen.value)

    def _forget_comparison(self, _change: Mapping[str, Any]) -> None:
        self._model.comparison = None

    # What is shown

    def _show_versions(self, _change: Mapping[str, Any] | None = None) -> None:
        versions = self._model.versions
        names = [version.name for version in versions]
        self.table.value = _versions_table(versions) if versions else empty(_NONE)
        either = [*((name, name) for name in names), ("as it is now", NOW)]
        set_options(self.chosen, [(name, name) for name in names])
        set_options(self.first, either if names else [])
        set_options(self.second, either, first=NOW)
        reason = "" if names else "There is no version yet: freeze one first."
        allow(self.compare_button, reason, "Say what is different in the second")
        allow(self.restore_button, reason, "Make the dataset what it was then; asks first")
        allow(self.delete_button, reason, "Remove the version for good; asks first")

    def _show_comparison(self, _change: Mapping[str, Any]) -> None:
        found = self._model.comparison
        self.comparison.value = "" if found is None else _comparison_table(found)


def _versions_table(versions: list[VersionInfo]) -> str:
    rows = [
        [
            escape(version.name) + (" <small>(automatic)</small>" if version.automatic else ""),
            escape(version.created_at.astimezone().strftime("%Y-%m-%d %H:%M")),
            *(number(version.num_images[split]) for split in SPLITS),
            number(sum(version.num_labelled.values())),
            escape(version.note),
        ]
        for version in versions
    ]
    heads = ["version", "frozen at", *SPLITS, "labelled", "note"]
    return table("Versions", heads, rows, texts=(1,), longs=(6,))


def _comparison_table(found: VersionComparison) -> str:
    summary = f"<p>{escape(in_words(found))}</p>"
    lines = differences(found)
    if not lines:
        return summary
    rows = [
        [
            escape(line.change),
            escape(f"{line.split}/{line.filename}"),
            escape(line.from_split),
            f"+{line.boxes_added} −{line.boxes_removed}" if line.change == "boxes" else "",
        ]
        for line in lines[:ROWS_SHOWN]
    ]
    more = len(lines) - ROWS_SHOWN
    caption = f"Differences (the first {ROWS_SHOWN} of {len(lines):,})" if more > 0 else ""
    heads = ["what", "image", "from", "boxes"]
    return summary + table(caption or "Differences", heads, rows, texts=(1, 2))
