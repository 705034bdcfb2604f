"""The models panel: what was trained, how good it is, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as w

from workbench.datasets.manager import DatasetManager
from workbench.labelling.predictor import Predictor
from workbench.panels.models.model import ModelsModel
from workbench.panels.models.pages import FIGURES, DetailsPage, table_cells
from workbench.panels.models.transfer import ExportPage, ImportPage, TrashPage
from workbench.panels.models.trial_page import TryPage
from workbench.panels.models.widgets import ModelTable
from workbench.panels.shared.background import Background
from workbench.panels.shared.bus import MODELS
from workbench.panels.shared.following import Follower, News
from workbench.panels.shared.parts import allow, button, page, row, show, tabs, undo_words
from workbench.panels.shared.status import Status, in_words
from workbench.panels.shared.work_row import WorkRow
from workbench.persistence import Stores, get_stores
from workbench.persistence.models import ModelInfo

_HEADS = (*FIGURES, "epochs", "dataset", "started from", "made")
_TEXTS = (5, 6, 7)
_SPARE = (6, 7, 2, 3)  # the page About has them all
_NONE = "There is no model yet: train one, or bring in weights."


class ModelsPanel:
    """Look at the models there are, name and choose them, take them out, and try them.

    Shown in a notebook it is a table with pages below. From Python the same can be done
    with coroutines of its model, which can be undone::

        panel = ModelsPanel()
        await panel.refresh()
        await panel.model.note("blood-1", "before the relabelling")
        await panel.model.undo()

    Parameters
    ----------
    stores : Stores, optional
        Default: those of `get_stores`.
    predictor : Predictor, optional
        Shares the model that it has loaded; default: one of the panel's own.
    go : callable, optional
        Turns to another panel, by its title and the dataset.

    Attributes
    ----------
    view : ipywidgets.VBox
        What is shown; to put the panel among other widgets.
    model : ModelsModel
    """

    def __init__(
        self,
        stores: Stores | None = None,
        *,
        predictor: Predictor | None = None,
        go: Callable[[str, str], object] | None = None,
    ) -> None:
        stores = stores or get_stores()
        self._stores = stores
        self._predictor = predictor or Predictor(stores)
        self._owns_predictor = predictor is None
        self.model = ModelsModel(stores, self._predictor)
        self._background = Background(self._report)
        self.follower = Follower(stores, self._background, self._catch_up)
        spawn = self._background.spawn
        self.table = ModelTable(
            heads=list(_HEADS), texts=list(_TEXTS), spare=list(_SPARE), empty=_NONE
        )
        self.undo_button = button("Undo", "undo", self.model.undo, spawn)
        self.work = WorkRow(self.model, self.undo_button)
        self.status = self.work.status
        self.details = DetailsPage(self.model, spawn)
        self.trial = TryPage(self.model, spawn)
        self.exports = ExportPage(self.model, spawn)
        self.imports = ImportPage(self.model, spawn)
        self.trash = TrashPage(self.model, spawn)
        self.pages = (self.details, self.trial, self.exports, self.imports, self.trash)
        self.tabs = tabs({p.title: p.view for p in self.pages}, lambda _title: None)
        self.train_door = w.Button(description="Train a model", icon="arrow-right")
        self.train_door.on_click(lambda _: go and go("Train", ""))
        self.import_door = w.Button(description="Bring in weights", icon="arrow-right")
        self.import_door.on_click(lambda _: self.turn_to(self.imports.title))
        self._doors = row(*([self.train_door] if go else []), self.import_door)
        show(self._doors, False)  # until it is known that there is no model
        self.view = page(self.table, self._doors, self.work.view, self.tabs)
        self.view.add_class("wb-panel")
        self.table.observe(self._choose, "chosen")
        self.model.observe(self._show_models, names=("models", "curves"))
        self.model.observe(self._show_chosen, names=("chosen", "models"))
        self.model.observe(self._show_undo, names="undo_text")
        self._show_undo()
        spawn(self._follow)

    # From Python

    @property
    def models(self) -> list[ModelInfo]:
        """The models there are, the newest first."""
        return list(self.model.models)

    def turn_to(self, title: str) -> None:
        """Show another page, by its title: About, Try, Export, Import or Trash."""
        self.tabs.selected_index = [each.title for each in self.pages].index(title)

    async def open(self, dataset: str) -> None:
        """Try models on the pictures of this dataset.

        Raises
        ------
        NotFoundError
            If there is no such dataset.
        """
        await self._background.run(lambda: self._open(dataset))

    async def refresh(self) -> None:
        """Look again which models there are."""
        await self._background.run(self._begin)

    def close(self) -> None:
        """Stop the panel's work and take it off the page."""
        self.follower.close()
        self.model.stop()
        self._background.close()
        if self._owns_predictor:
            self._predictor.close()
        self.trial.close()
        self.imports.close()
        for widget in (self.table, self.exports.download, self.view):
            widget.close()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self.view._repr_mimebundle_(**kwargs)

    # Inside

    async def _follow(self) -> None:
        await self.follower.follow("")
        await self._begin()

    async def _catch_up(self, news: News) -> None:
        if MODELS in news:
            async with self.model.at_rest():
                await self.model.refresh()
            self._show_doors()
        await self.trial.refresh()

    async def _open(self, dataset: str) -> None:
        info = await DatasetManager.on(self._stores).get(dataset)
        await self.trial.open(info.name)

    async def _begin(self) -> None:
        await self.model.refresh()
        self._show_doors()
        await self.trial.refresh()

    def _choose(self, change: Mapping[str, Any]) -> None:
        self.model.chosen = change["new"]

    def _show_models(self, _change: Any = None) -> None:
        self._show_doors()
        self.table.rows = [
            {
                "name": info.name,
                "is_active": info.is_active,
                "problem": _problem(info),
                "curve": self.model.curves.get(info.name, []),
                "cells": table_cells(info),
            }
            for info in self.model.models
        ]

    def _show_doors(self) -> None:
        """Offer what brings a first model, where there is none."""
        show(self._doors, not self.model.models)

    def _show_chosen(self, _change: Any = None) -> None:
        self.table.chosen = self.model.chosen
        for each in self.pages[:3]:
            each.show(self.model.info)

    def _show_undo(self, _change: Any = None) -> None:
        what = self.model.undo_text
        self.undo_button.description = undo_words(what)
        allow(self.undo_button, "" if what else "Nothing was changed yet.", f"Undo: {what}")

    def _report(self, error: Exception) -> None:
        self.model.status = Status(in_words(error), "problem")


def _problem(info: ModelInfo) -> str:
    """Word in few words what is wrong with a model; empty if nothing is known to be."""
    if info.problem:
        return "damaged"
    return _PROBLEMS.get(info.weights_state, "") or ("no weights" if info.weights_problem else "")


_PROBLEMS = {"missing": "its weights are gone", "changed": "its weights were changed"}
