"""The curate panel: what is in a dataset, what is wrong with it, and how to put it right.

How a click travels: a button of a page is pressed -> `Background` -> a command of
`CurateModel` -> `workbench.datasets` -> the stores -> the model's traits -> the pages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as w

from workbench import panels  # the others are imported once they are opened
from workbench.datasets.health import HealthReport
from workbench.panels.curate.classes import ClassesPage
from workbench.panels.curate.health import HealthPage
from workbench.panels.curate.model import CurateModel
from workbench.panels.curate.splits import SplitsPage
from workbench.panels.curate.statistics import StatisticsPage
from workbench.panels.curate.versions import VersionsPage
from workbench.panels.shared.background import Background
from workbench.panels.shared.bus import DATASETS, GONE, MODELS
from workbench.panels.shared.changing import first_dataset
from workbench.panels.shared.following import Follower, News, gone
from workbench.panels.shared.parts import Command, button, row, show, tabs, undo_words
from workbench.panels.shared.status import Status, StoppedError, in_words
from workbench.panels.shared.work_row import WorkRow
from workbench.persistence import Stores, get_stores
from workbench.persistence.models import ImageKey

if TYPE_CHECKING:
    from workbench.panels import BrowsePanel


class CuratePanel:
    """Check a dataset and repair it; see its statistics; change splits, classes, versions.

    Shown in a notebook it has a page for each of these. From Python the same can be done
    with coroutines::

        panel = CuratePanel("blood")
        report = await panel.check()
        await panel.repair("duplicate-box")
        await panel.undo()

    What it does is the same as `workbench.datasets.dataset.Dataset` does without a panel.

    Parameters
    ----------
    dataset : str, optional
        Default: the first there is.
    stores : Stores, optional
        Default: those of `get_stores`.

    Attributes
    ----------
    view : ipywidgets.VBox
        What is shown; to put the panel among other widgets.
    model : CurateModel
    name : ipywidgets.HTML
        What the dataset is called.
    gallery : BrowsePanel or None
        The gallery while the images of a finding are shown in it.
    """

    def __init__(self, dataset: str | None = None, stores: Stores | None = None) -> None:
        self._stores = stores or get_stores()
        self._first = dataset
        self.model = CurateModel(self._stores)
        self.gallery: BrowsePanel | None = None
        self._start_lock = asyncio.Lock()  # used on the owner loop only
        self._background = Background(self._report)
        self.follower = Follower(self._stores, self._background, self._catch_up)
        spawn = self._start
        self.health = HealthPage(self.model, spawn, self._show_images)
        self.statistics = StatisticsPage(self.model, spawn)
        self.splits = SplitsPage(self.model, spawn)
        self.classes = ClassesPage(self.model, spawn)
        self.versions = VersionsPage(self.model, spawn)
        pages = (self.health, self.statistics, self.splits, self.classes, self.versions)
        self.tabs = tabs({one.title: one.view for one in pages}, self._turned_to)
        self.undo_button = button("Undo", "undo", self.model.undo, self._start)
        self.work = WorkRow(self.model, self.undo_button)
        self.status = self.work.status
        self.name = w.HTML(layout={"max_width": "40%"})
        self.work.view.children = (self.name, *self.work.view.children)
        self._make_gallery_box()
        self.view = w.VBox((self.work.view, self.tabs, self._gallery_box), layout={"width": "100%"})
        self.view.add_class("wb-panel")
        self.model.observe(self._show_undo, "undo_text")
        self.model.observe(self._show_name, "dataset")
        self._show_undo()
        self._show_name()
        self._background.spawn(self._ready)

    # From Python

    async def open(self, dataset: str) -> None:
        """Show another dataset; what is under way is stopped.

        Raises
        ------
        NotFoundError
            If there is no such dataset.
        """
        self._first = dataset
        await self._background.run(lambda: self._open(dataset))

    async def check(self) -> HealthReport:
        """Look for everything that is wrong, and show it."""
        return await self._background.run(self._check)

    async def repair(self, kind: str, number: int = 0) -> None:
        """Do one of the repairs of a finding; see `CurateModel.repair`."""
        await self._background.run(lambda: self.model.repair(kind, number))

    async def show_images(self, images: Sequence[ImageKey], title: str = "") -> BrowsePanel:
        """Open images in the gallery, in place of the pages.

        Parameters
        ----------
        images : sequence of (str, str)
            Split and name of each.
        title : str
            What they have in common.
        """
        return await self._background.run(lambda: self._open_gallery(list(images), title))

    async def back(self) -> None:
        """Close the gallery and show the pages again."""
        await self._background.run(self._back)

    def turn_to(self, title: str) -> None:
        """Turn to a page: Health, Statistics, Splits, Classes or Versions."""
        self.tabs.selected_index = self.tabs.titles.index(title)

    async def undo(self) -> None:
        """Take the last change back; see `CurateModel.undo`."""
        await self._background.run(self.model.undo)

    async def refresh(self) -> None:
        """Look again what is in the dataset, unless something is under way."""
        await self._background.run(self._refresh)

    def close(self) -> None:
        """Stop the panel's work and take it off the page."""
        self.model.stop()
        self.follower.close()
        self._background.close()
        if self.gallery is not None:
            self.gallery.close()
        for widget in (self.statistics.plots, self.health.findings, self.status, self.view):
            if widget is not None:
                widget.close()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self.view._repr_mimebundle_(**kwargs)

    # On the owner loop

    def _start(self, command: Command) -> None:
        """Start what a button asks for, once the dataset is open."""
        self._background.spawn(lambda: self._once_ready(command))

    async def _once_ready(self, command: Command) -> None:
        await self._ready()
        if self.model.dataset:
            await command()

    async def _ready(self) -> None:
        async with self._start_lock:
            if self.model.dataset:
                return
            await self.follower.follow(self._first or "")
            dataset = self._first or await first_dataset(self.model.manager, self.model)
            if dataset is not None:
                await self.follower.follow(dataset)
                await self.model.open(dataset)

    async def _catch_up(self, news: News) -> None:
        if not self.model.dataset:
            await self._ready()
        elif GONE in news:
            self.model.status = Status(gone(self.model.dataset), "problem")
        elif news - {DATASETS, MODELS}:
            await self.model.catch_up()

    async def _open(self, dataset: str) -> None:
        if self.gallery is not None:
            self._close_gallery()
        async with self._start_lock:
            await self.follower.follow(dataset)
            await self.model.open(dataset)

    async def _check(self) -> HealthReport:
        await self._ready()
        return await self.model.check()

    async def _refresh(self) -> None:
        await self._ready()
        if self.model.dataset and not self.model.work.what:
            await self.model.refresh()

    async def _show_images(self, images: list[ImageKey], title: str) -> None:
        await self._open_gallery(images, title)

    async def _open_gallery(self, images: list[ImageKey], title: str) -> BrowsePanel:
        if self.gallery is not None:
            self._close_gallery()
        gallery = panels.BrowsePanel(self.model.dataset, self._stores, images=images)
        self.gallery = gallery
        self.follower.hold(gallery.follower)
        self._gallery_title.value = f"<b>{escape(title)}</b>"
        self._gallery_box.children = (self._gallery_bar, gallery.view)
        show(self.tabs, False)
        show(self._gallery_box, True)
        await gallery.search("")
        return gallery

    async def _back(self) -> None:
        is_changed = self.gallery is not None and bool(self.gallery.model.undo_text)
        self._close_gallery()
        if is_changed:
            await self.model.refresh()

    def _close_gallery(self) -> None:
        if self.gallery is not None:
            self.gallery.close()
            self.gallery = None
        self._gallery_box.children = ()
        show(self._gallery_box, False)
        show(self.tabs, True)

    # The view

    def _make_gallery_box(self) -> None:
        back = button("Back", "arrow-left", self._back, self._start)
        back.tooltip = "Back to the findings"
        self._gallery_title = w.HTML()
        self._gallery_bar = row(back, self._gallery_title)
        self._gallery_box = w.VBox(layout={"display": "none", "width": "100%"})

    def _turned_to(self, title: str) -> None:
        if title == self.statistics.title:
            self.statistics.open()
        else:
            self.statistics.close()
        # What was changed by renaming files is known already (see `following`); label files that
        # an editor has overwritten in place are not.
        self._start(self._refresh)

    def _show_name(self, _change: Any = None) -> None:
        name = escape(self.model.dataset)
        self.name.value = f'<h3 class="wb-heading" title="The dataset">{name}</h3>' if name else ""

    def _show_undo(self, _change: Any = None) -> None:
        what = self.model.undo_text
        # Hidden, not taken away: nothing jumps.
        self.undo_button.layout.visibility = "visible" if what else "hidden"
        self.undo_button.description = undo_words(what)
        self.undo_button.tooltip = "Undo, the last first: " + "; ".join(self.model.undo_texts)

    def _report(self, error: Exception) -> None:
        tone = "info" if isinstance(error, StoppedError) else "problem"
        self.model.status = Status(in_words(error), tone)
