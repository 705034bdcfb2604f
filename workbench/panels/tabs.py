"""The whole workbench: one tab for each panel, all on the dataset that is chosen above them."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as w

from workbench.datasets.manager import DatasetManager
from workbench.labelling.predictor import Predictor
from workbench.panels.annotate import AnnotatePanel
from workbench.panels.browse import BrowsePanel
from workbench.panels.capture import CapturePanel
from workbench.panels.curate import CuratePanel
from workbench.panels.evaluate import EvaluatePanel
from workbench.panels.models import ModelsPanel
from workbench.panels.shared.background import Background
from workbench.panels.train import TrainPanel
from workbench.persistence import Stores
from workbench.persistence.models import SPLITS, DatasetInfo

_NO_DATASET = (
    "There is no dataset yet. Make one with <code>await wb.datasets.create(name, classes)"
    "</code> or bring one in with <code>await wb.datasets.import_from(path)</code>, then press "
    "Refresh."
)

_TITLES = ("Capture", "Browse", "Curate", "Annotate", "Train", "Evaluate", "Models")


class WorkbenchTabs(w.VBox):  # type: ignore[misc]
    """Choose a dataset and a split; capture, browse, curate, annotate, train on it, evaluate.

    Parameters
    ----------
    stores : Stores
    runs_dir : Path
        Where training runs are kept.
    predictor : Predictor
        Shared by the panels that let models look at images.
    """

    def __init__(self, stores: Stores, runs_dir: Path, predictor: Predictor) -> None:
        self._stores = stores
        self._manager = DatasetManager.on(stores)
        self._predictor = predictor
        self._annotate: AnnotatePanel | None = None
        self._browse: BrowsePanel | None = None
        self._capture: CapturePanel | None = None
        self._curate: CuratePanel | None = None
        self._problems: dict[str, str] = {}
        self._shown: tuple[str | None, str] = (None, "train")
        self._background = Background(self._report)
        self.dataset = w.Dropdown(description="Dataset")
        self.split = w.Dropdown(description="Split", options=SPLITS, value="train")
        self.refresh_button = w.Button(description="Refresh", icon="refresh")
        self.message = w.HTML()
        self.train = TrainPanel(None, stores, runs_dir)
        self.evaluate = EvaluatePanel(None, stores, predictor=predictor)
        self.models = ModelsPanel(stores, predictor=predictor)
        self._annotate_box = w.VBox(layout={"width": "100%", "min_height": "640px"})
        self._browse_box = w.VBox(layout={"width": "100%", "min_height": "640px"})
        self._capture_box = w.VBox(layout={"width": "100%", "min_height": "640px"})
        self._curate_box = w.VBox(layout={"width": "100%", "min_height": "640px"})
        tabs = w.Tab(
            (
                self._capture_box,
                self._browse_box,
                self._curate_box,
                self._annotate_box,
                self.train.view,
                self.evaluate.view,
                self.models.view,
            ),
            titles=_TITLES,
            selected_index=_TITLES.index("Browse"),
        )
        choice = w.HBox((self.dataset, self.split, self.refresh_button))
        super().__init__((choice, self.message, tabs), layout={"width": "100%"})
        self.dataset.observe(self._choose, "value")
        self.split.observe(self._choose, "value")
        tabs.observe(self._turn_to, "selected_index")
        self.refresh_button.on_click(lambda _: self._background.spawn(self.refresh))
        self._background.spawn(self.refresh)

    async def refresh(self) -> None:
        """Look again which datasets there are."""
        found = await self._manager.list()
        kept = self.dataset.value
        was_damaged = kept in self._problems
        self._problems = {info.name: info.problem for info in found if info.problem}
        # One that can be opened is chosen before one that cannot.
        names = sorted((info.name for info in found), key=lambda name: name in self._problems)
        self.dataset.options = [(_title(info), info.name) for info in found]
        self.dataset.value = kept if kept in names else next(iter(names), None)
        self.message.value = self._about_chosen()
        if kept == self.dataset.value and was_damaged != (kept in self._problems):
            self._shown = (None, "train")
            self._background.spawn(self._open)
        await self.train.refresh()
        await self.evaluate.refresh()
        await self.models.refresh()

    def close(self) -> None:
        """Close every panel; training runs go on."""
        self._background.close()
        for panel in (self._capture, self._browse, self._curate, self._annotate):
            if panel is not None:
                panel.close()
        for shown in (self.train, self.evaluate, self.models):
            shown.close()
        super().close()

    def _choose(self, _change: Any) -> None:
        self._background.spawn(self._open)

    async def _open(self) -> None:
        wanted = (self.dataset.value, self.split.value)
        if wanted == self._shown:
            return
        is_other = wanted[0] != self._shown[0]
        self._shown = wanted
        if self._annotate is not None:
            self._annotate.close()
            self._annotate = None
        self.message.value = self._about_chosen()
        if self.dataset.value is None or self.dataset.value in self._problems:
            self._annotate_box.children = ()
            self._browse_box.children = self._curate_box.children = ()
            self._capture_box.children = ()
            return
        if is_other:
            await self._open_capture(self.dataset.value)
            await self._open_browse(self.dataset.value)
            await self._open_curate(self.dataset.value)
        self._annotate = AnnotatePanel(self.dataset.value, self.split.value, self._stores)
        self._annotate_box.children = (self._annotate.view,)
        self.train.model.dataset = self.dataset.value
        self.evaluate.model.dataset = self.dataset.value

    def _about_chosen(self) -> str:
        """Return what is wrong with the dataset that is chosen; empty if nothing is."""
        if self.dataset.value is None:
            return _NO_DATASET
        problem = self._problems.get(self.dataset.value)
        return "" if problem is None else f"<b>This dataset is damaged.</b> {escape(problem)}"

    async def _open_capture(self, dataset: str) -> None:
        if self._capture is None:
            self._capture = CapturePanel(dataset, self._stores, predictor=self._predictor)
        else:
            await self._capture.open(dataset)
        self._capture_box.children = (self._capture.view,)

    async def _open_browse(self, dataset: str) -> None:
        if self._browse is None:
            self._browse = BrowsePanel(dataset, self._stores, predictor=self._predictor)
        else:
            await self._browse.open(dataset)
        self._browse_box.children = (self._browse.view,)

    async def _open_curate(self, dataset: str) -> None:
        if self._curate is None:
            self._curate = CuratePanel(dataset, self._stores)
        else:
            await self._curate.open(dataset)
        self._curate_box.children = (self._curate.view,)

    def _turn_to(self, change: Any) -> None:
        """Bring a page up to date: much may have been changed on the others."""
        panels = {
            "Capture": self._capture,
            "Curate": self._curate,
            "Evaluate": self.evaluate,
            "Models": self.models,
        }
        panel = panels.get(_TITLES[change["new"] or 0])
        if panel is not None:
            self._background.spawn(panel.refresh)

    def _report(self, error: Exception) -> None:
        # Errors hold names of files that may come from a stranger, so they are escaped.
        self.message.value = f"<b>{type(error).__name__}</b>: {escape(str(error))}"


def _title(info: DatasetInfo) -> str:
    if info.problem:
        return f"{info.name} (damaged)"
    images = sum(info.num_images.values())
    return f"{info.name} ({images} image{'' if images == 1 else 's'})"
