"""The whole workbench: one tab for each panel, all on the dataset that is chosen above them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ipywidgets as w

from workbench.panels.annotate import AnnotatePanel
from workbench.panels.background import Background
from workbench.panels.train import TrainPanel
from workbench.persistence import Stores
from workbench.persistence.models import SPLITS, DatasetInfo

_NO_DATASET = (
    "There is no dataset yet. Make one with <code>await wb.stores.dataset.create(name, classes)"
    "</code> or bring one in with <code>import_zip</code>, then press Refresh."
)


class WorkbenchTabs(w.VBox):  # type: ignore[misc]
    """Choose a dataset and a split; annotate and train on it.

    Parameters
    ----------
    stores : Stores
    runs_dir : Path
        Where training runs are kept.
    """

    def __init__(self, stores: Stores, runs_dir: Path) -> None:
        self._stores = stores
        self._annotate: AnnotatePanel | None = None
        self._shown: tuple[str | None, str] = (None, "train")
        self._background = Background(self._report)
        self.dataset = w.Dropdown(description="Dataset")
        self.split = w.Dropdown(description="Split", options=SPLITS, value="train")
        self.refresh_button = w.Button(description="Refresh", icon="refresh")
        self.message = w.HTML()
        self.train = TrainPanel(None, stores, runs_dir)
        self._annotate_box = w.VBox(layout={"width": "100%", "min_height": "640px"})
        tabs = w.Tab((self._annotate_box, self.train), titles=("Annotate", "Train"))
        choice = w.HBox((self.dataset, self.split, self.refresh_button))
        super().__init__((choice, self.message, tabs), layout={"width": "100%"})
        self.dataset.observe(self._choose, "value")
        self.split.observe(self._choose, "value")
        self.refresh_button.on_click(lambda _: self._background.spawn(self.refresh))
        self._background.spawn(self.refresh)

    async def refresh(self) -> None:
        """Look again which datasets there are."""
        found = await self._stores.dataset.list()
        kept = self.dataset.value
        names = [info.name for info in found]
        self.dataset.options = [(_title(info), info.name) for info in found]
        self.dataset.value = kept if kept in names else next(iter(names), None)
        self.message.value = "" if names else _NO_DATASET
        await self.train.refresh()

    def close(self) -> None:
        """Close every panel; training runs go on."""
        self._background.close()
        if self._annotate is not None:
            self._annotate.close()
        self.train.close()
        super().close()

    def _choose(self, _change: Any) -> None:
        self._background.spawn(self._open)

    async def _open(self) -> None:
        wanted = (self.dataset.value, self.split.value)
        if wanted == self._shown:
            return
        self._shown = wanted
        if self._annotate is not None:
            self._annotate.close()
            self._annotate = None
        if self.dataset.value is None:
            self._annotate_box.children = ()
            return
        self._annotate = AnnotatePanel(self.dataset.value, self.split.value, self._stores)
        self._annotate_box.children = (self._annotate.view,)
        self.train.model.dataset = self.dataset.value

    def _report(self, error: Exception) -> None:
        self.message.value = f"<b>{type(error).__name__}</b>: {error}"


def _title(info: DatasetInfo) -> str:
    images = sum(info.num_images.values())
    return f"{info.name} ({images} image{'' if images == 1 else 's'})"
