"""The whole workbench: one tab for each panel, all on the dataset that is chosen above them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as w

from workbench.datasets.changes import counted
from workbench.datasets.manager import DatasetManager
from workbench.labelling import ModelLabeller
from workbench.labelling.predictor import Predictor
from workbench.panels.annotate import AnnotatePanel
from workbench.panels.browse import BrowsePanel
from workbench.panels.capture import CapturePanel
from workbench.panels.curate import CuratePanel
from workbench.panels.evaluate import EvaluatePanel
from workbench.panels.home import HomePanel
from workbench.panels.models import ModelsPanel
from workbench.panels.shared.background import Background
from workbench.panels.shared.bus import DATASETS, GONE
from workbench.panels.shared.following import Follower, News
from workbench.panels.shared.parts import NO_DATASET, empty, labelled, row, show, tabs
from workbench.panels.shared.readings import Readings
from workbench.panels.shared.status import in_words
from workbench.panels.shared.widgets import StatusLine
from workbench.panels.train import TrainPanel
from workbench.panels.train.words import listed
from workbench.persistence import Stores
from workbench.persistence.models import SPLITS, DatasetInfo, ImageKey
from workbench.training.runner import TrainingRunner

_NONE = ("none yet", None)

_TITLES = ("Home", "Capture", "Browse", "Curate", "Annotate", "Train", "Evaluate", "Models")


_PANELS_OF_PAGES = {"Export": "Browse"}
"""Where a page is that has a door of its own; others are in Curate."""


class WorkbenchTabs(w.VBox):  # type: ignore[misc]
    """Choose a dataset and a split; capture, browse, curate, annotate, train on it, evaluate.

    Parameters
    ----------
    stores : Stores
    runner : TrainingRunner
    predictor : Predictor
        Shared by the panels that let models look at images.
    data_dir : Path or str, optional
        Where the datasets are kept, to be shown.
    """

    def __init__(
        self,
        stores: Stores,
        runner: TrainingRunner,
        predictor: Predictor,
        data_dir: Path | str | None = None,
    ) -> None:
        self._stores = stores
        self._manager = DatasetManager.on(stores)
        self._predictor = predictor
        self._annotate: AnnotatePanel | None = None
        self._browse: BrowsePanel | None = None
        self._capture: CapturePanel | None = None
        self._curate: CuratePanel | None = None
        self._problems: dict[str, str] = {}
        self._shown: tuple[str | None, str] = (None, "train")
        self._opening = asyncio.Lock()  # used on the owner loop only
        self._readings = Readings()
        self._turns = 0
        self._background = Background(self._report)
        self.follower = Follower(stores, self._background, self._catch_up)
        self.dataset = w.Dropdown(description="Dataset", options=[_NONE])
        self.split = w.Dropdown(description="Split", options=SPLITS, value="train")
        self.message = w.HTML()
        self.home = HomePanel(
            stores, go=self.go, show=self.show_pictures, where=str(data_dir or "")
        )
        self.train = TrainPanel(None, stores, runner.runs, go=self.go)
        self._runner = runner
        self.evaluate = EvaluatePanel(None, stores, predictor=predictor, go=self.go)
        self.models = ModelsPanel(stores, predictor=predictor, go=self.go)
        self._nothing = w.HTML(empty(NO_DATASET))
        self._annotate_box, self._browse_box, self._capture_box, self._curate_box = (
            w.VBox(layout={"width": "100%", "min_height": "640px"}) for _ in range(4)
        )
        self._boxes = (self._annotate_box, self._browse_box, self._capture_box, self._curate_box)
        pages = (
            self.home.view,
            self._capture_box,
            self._browse_box,
            self._curate_box,
            self._annotate_box,
            self.train.view,
            self.evaluate.view,
            self.models.view,
        )
        self.tabs = tabs(dict(zip(_TITLES, pages, strict=True)), self._turned_to)
        # Beside the choice, where it moves no tab away from under the pointer.
        self.door = w.Button(description="Make one, or bring one in", icon="arrow-right")
        self.door.on_click(lambda _: self.go("Home"))
        choice = row(labelled(self.dataset, max_width="100%"), labelled(self.split), self.door)
        # Brings the style sheet and keeps the notebook's keys out of what is around the panels.
        self.status = StatusLine()
        super().__init__(
            (choice, self.message, self.status, self.tabs),
            layout={"width": "100%"},
        )
        self.add_class("wb-panel")
        self.add_class("wb-tabs")
        self.dataset.observe(self._choose, "value")
        self.split.observe(self._choose, "value")
        self.train.model.observe(self._show_running, "rows")
        for panel in (self.train, self.evaluate):
            panel.model.observe(self._show_chosen, "dataset")
        self._show_seen()
        self._show_chosen()
        self._background.spawn(self._begin)

    def go(self, panel: str, dataset: str = "", model: str = "") -> None:
        """Turn to a panel, by its title, to *Export*, or to a page of Curate; on any thread.

        Parameters
        ----------
        panel : str
        dataset : str
            Chosen before; empty: the one that is.
        model : str
            Chosen in Evaluate; in Browse it suggests boxes on what is not labelled.
        """
        self._background.spawn(lambda: self._go(panel, dataset, model))

    def show_pictures(self, dataset: str, images: Sequence[ImageKey], words: str) -> None:
        """Turn to some pictures in Browse, on any thread; `words` say which."""
        self._background.spawn(lambda: self._show_pictures(dataset, images, words))

    async def _show_pictures(self, dataset: str, images: Sequence[ImageKey], words: str) -> None:
        is_wanted = await self._go("Browse", dataset)
        if is_wanted and self._browse is not None and self.dataset.value == dataset:
            await self._browse.narrow(images, words)

    async def _go(self, panel: str, dataset: str, model: str = "") -> bool:
        """Turn to a page; return whether it is still the last one that was asked for."""
        self._turns += 1
        turn = self._turns
        if dataset and dataset != self.dataset.value:
            await self._list()
            if dataset in [value for _, value in self.dataset.options]:
                self.dataset.value = dataset
                await self._open()
        if turn != self._turns:
            return False
        title = panel if panel in _TITLES else _PANELS_OF_PAGES.get(panel, "Curate")
        if title == "Curate" != panel and self._curate is not None:
            self._curate.turn_to(panel)
        self.tabs.selected_index = _TITLES.index(title)
        if model and title == "Evaluate":
            await self.evaluate.choose(model)
        elif model and title == "Browse" and self._browse is not None:
            await self._browse.suggest(ModelLabeller(self._predictor, model))
        elif panel == "Export" and self._browse is not None and self.dataset.value:
            await self._browse.exports.look(self.dataset.value)
        return True

    async def _begin(self) -> None:
        await self.follower.follow("")
        await self._list()

    async def _catch_up(self, news: News) -> None:
        if news & {DATASETS, "images", GONE}:
            await self._list()

    async def refresh(self) -> None:
        """Look again which datasets there are."""
        await self._list()
        for panel in (self.home, self.train, self.evaluate, self.models):
            await panel.refresh()

    async def _list(self) -> None:
        is_news = self._readings.begin()
        found = await self._manager.list()
        if not is_news():
            return
        kept = self.dataset.value
        was_damaged = kept in self._problems
        self._problems = {info.name: info.problem for info in found if info.problem}
        # One that can be opened is chosen before one that cannot.
        names = sorted((info.name for info in found), key=lambda name: name in self._problems)
        self.dataset.options = [(_title(info), info.name) for info in found] or [_NONE]
        chosen = kept if kept in names else next(iter(names), None)
        # By its place: a value of None takes the choice back, and the field would be blank.
        self.dataset.index = [name for _, name in self.dataset.options].index(chosen)
        self._show_chosen()
        if not names:
            self._show_nothing()
        if kept == self.dataset.value and was_damaged != (kept in self._problems):
            self._shown = (None, "train")
            self._background.spawn(self._open)

    def close(self) -> None:
        """Close every panel; training runs go on."""
        self.follower.close()
        self._background.close()
        for panel in (self._capture, self._browse, self._curate, self._annotate):
            if panel is not None:
                panel.close()
        for shown in (self.home, self.train, self.evaluate, self.models):
            shown.close()
        super().close()

    def _choose(self, _change: Any) -> None:
        self._background.spawn(self._open)

    async def _open(self) -> None:
        async with self._opening:
            await self._open_chosen()

    async def _open_chosen(self) -> None:
        wanted = (self.dataset.value, self.split.value)
        if wanted == self._shown:
            return
        is_other = wanted[0] != self._shown[0]
        self._shown = wanted
        if is_other:
            await self.follower.follow(self.dataset.value or "")
            await self._list()  # what came before it was followed
        if self._annotate is not None:
            self._annotate.close()
            self._annotate = None
        self._show_chosen()
        if self.dataset.value is None or self.dataset.value in self._problems:
            self._show_nothing()
            return
        if is_other:
            await self._open_capture(self.dataset.value)
            await self._open_browse(self.dataset.value)
            await self._open_curate(self.dataset.value)
        self._annotate = AnnotatePanel(
            self.dataset.value,
            self.split.value,
            self._stores,
            predictor=self._predictor,
            runner=self._runner,
            go=self.go,
        )
        self._annotate_box.children = (self._annotate.view,)
        self.train.model.dataset = self.dataset.value
        self.evaluate.model.dataset = self.dataset.value
        await self.models.open(self.dataset.value)
        self._show_seen()

    def _show_nothing(self) -> None:
        """Empty the pages of a dataset; they say so where there is none at all."""
        for box in self._boxes:
            box.children = (self._nothing,) if self.dataset.value is None else ()

    def _show_chosen(self, _change: Any = None) -> None:
        """Say that there is none to choose, or what is wrong with the dataset that is."""
        is_missing = self.dataset.value is None
        show(self.split, not is_missing)
        show(self.door, is_missing)
        title = _TITLES[self.tabs.selected_index or 0]
        # The page Home says itself that there is none.
        self.door.layout.visibility = "hidden" if title == "Home" else "visible"
        # The other pages are about all splits, or have a choice of their own.
        self.split.layout.visibility = "visible" if title == "Annotate" else "hidden"
        # What is chosen above is not asked again, unless the page is about another one.
        for panel, choice in (
            (self.train, self.train.form.dataset),
            (self.evaluate, self.evaluate.dataset),
        ):
            show(choice, panel.model.dataset != self.dataset.value)
        problem = self._problems.get(self.dataset.value or "")
        why = "" if problem is None else f"<b>It cannot be used as it is.</b> {escape(problem)}"
        self.message.value = why

    async def _open_capture(self, dataset: str) -> None:
        if self._capture is None:
            self._capture = CapturePanel(dataset, self._stores, predictor=self._predictor)
            self._capture.view.asks_dataset = False  # it is chosen above, for all pages
        else:
            await self._capture.open(dataset)
        self._capture_box.children = (self._capture.view,)

    async def _open_browse(self, dataset: str) -> None:
        if self._browse is None:
            self._browse = BrowsePanel(
                dataset, self._stores, predictor=self._predictor, runner=self._runner
            )
        else:
            await self._browse.open(dataset)
        self._browse_box.children = (self._browse.view,)

    async def _open_curate(self, dataset: str) -> None:
        if self._curate is None:
            self._curate = CuratePanel(dataset, self._stores)
        else:
            await self._curate.open(dataset)
        self._curate_box.children = (self._curate.view,)

    def _turned_to(self, title: str) -> None:
        """Bring a page up to date: much may have been changed on the others."""
        self._turns += 1  # a hand that turns to a page has asked later than what is on its way
        self._show_seen()
        self._show_chosen()
        panels = {
            "Home": self.home,
            "Capture": self._capture,
            "Curate": self._curate,
            "Evaluate": self.evaluate,
            "Models": self.models,
        }
        panel = panels.get(title)
        if panel is not None:
            self._background.spawn(panel.refresh)

    def _show_seen(self) -> None:
        """Let panels that nobody sees follow what happens only when somebody turns to them."""
        panels = (
            *(self.home, self._capture, self._browse, self._curate, self._annotate),
            *(self.train, self.evaluate, self.models),
        )
        for title, panel in zip(_TITLES, panels, strict=True):
            if panel is not None:
                panel.follower.is_seen = title == _TITLES[self.tabs.selected_index or 0]

    def _show_running(self, _change: Any = None) -> None:
        """Tell the home page what trains or waits for its turn."""
        self.home.view.running = [
            {
                "id": one.id,
                "text": listed(one),
                "share": one.epochs_completed / one.epochs if one.epochs else 0.0,
            }
            for one in self.train.model.rows
            if not one.is_over
        ]

    def _report(self, error: Exception) -> None:
        # Errors hold names of files that may come from a stranger, so they are escaped.
        self.message.value = f'<div role="alert">{escape(in_words(error))}</div>'


def _title(info: DatasetInfo) -> str:
    if info.problem:
        return f"{info.name} (cannot be used)"
    images = sum(info.num_images.values())
    return f"{info.name} ({counted(images, 'image')})"
