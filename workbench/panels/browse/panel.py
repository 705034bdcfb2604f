"""The browse panel: see a whole dataset, find images by a query, and put them right."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as w

from workbench import panels  # the others are imported once they are opened
from workbench.datasets.prelabelling import Labeller, Prelabelled
from workbench.labelling.predictor import Predictor
from workbench.panels.browse.gallery import Gallery
from workbench.panels.browse.listing import Listing
from workbench.panels.browse.model import BrowseModel
from workbench.panels.browse.pages import BrowsePages
from workbench.panels.browse.suggesting import SuggestingPages
from workbench.panels.browse.transfer import TransferPages
from workbench.panels.shared.background import Background
from workbench.panels.shared.bus import DATASETS, GONE, MODELS
from workbench.panels.shared.changing import first_dataset
from workbench.panels.shared.following import Follower, News, gone
from workbench.panels.shared.status import Status, StoppedError, in_words
from workbench.persistence import Stores, get_stores
from workbench.persistence.models import SPLITS, ImageKey
from workbench.training.runner import TrainingRunner

if TYPE_CHECKING:
    from workbench.panels import AnnotatePanel


class BrowsePanel:
    """Look through the images of a dataset, select some, and act on them.

    Shown in a notebook it is a gallery with a filter bar. From Python the same can be done
    with coroutines::

        panel = BrowsePanel("blood")
        await panel.search("class:platelet boxes>3")
        await panel.select_all()
        await panel.model.move("val")
        await panel.model.undo()

    Parameters
    ----------
    dataset : str, optional
        Default: the only one there is, or the first.
    stores : Stores, optional
        Default: those of `get_stores`.
    query : str
        What is shown at first, see `workbench.datasets.query`.
    images : sequence of (str, str), optional
        Show nothing but these, given as ``(split, filename)``, in this order; default: all.
    height : int
        Of the gallery, in CSS pixels.
    predictor : Predictor, optional
        Runs the model that suggests boxes; default: one of its own.
    runner : TrainingRunner, optional
        Ran the lessons of what was taught in the annotator; without one *Suggest boxes* does not
        offer that model. `Workbench.browse` gives it one.

    Attributes
    ----------
    view : ipywidgets.VBox
        What is shown; to put the panel among other widgets.
    model : BrowseModel
    imports : ImportModel
        The import that is looked at, and the accounts of those before.
    exports : ExportModel
        The export that is looked at.
    annotator : AnnotatePanel or None
        The annotator while some images are open in it.
    """

    def __init__(
        self,
        dataset: str | None = None,
        stores: Stores | None = None,
        *,
        query: str = "",
        images: Sequence[ImageKey] | None = None,
        height: int = 560,
        predictor: Predictor | None = None,
        runner: TrainingRunner | None = None,
    ) -> None:
        self._stores = stores or get_stores()
        self._first = (dataset, query)
        self._predictor = predictor
        self.model = BrowseModel(self._stores, images, predictor)
        self.gallery = Gallery(height=height)
        self.gallery.host = self
        self.annotator: AnnotatePanel | None = None
        self._transfer = TransferPages(
            self._stores, self.model, self.gallery, lambda dataset: self._open(dataset, "")
        )
        self.imports = self._transfer.imports
        self.exports = self._transfer.exports
        self._suggesting = SuggestingPages(self._stores, self.model, self.gallery, runner)
        self._pages = BrowsePages(
            self.model, self.gallery, self._annotate, self._transfer, self._suggesting
        )
        self._height = height
        self._make_annotate_bar()
        self._annotate_box = w.VBox(layout={"display": "none", "width": "100%"})
        self.view = w.VBox((self.gallery, self._annotate_box), layout={"width": "100%"})
        self._walks: dict[str, tuple[list[str], int]] = {}
        self._start_lock = asyncio.Lock()  # used on the owner loop only
        self._background = Background(self._report)
        self.follower = Follower(self._stores, self._background, self._catch_up)
        self._background.spawn(self._ready)

    # From Python

    async def open(self, dataset: str, query: str = "") -> Listing:
        """Show another dataset.

        Raises
        ------
        NotFoundError
            If there is no such dataset.
        """
        self._first = (dataset, query)
        return await self._background.run(lambda: self._open(dataset, query))

    async def search(self, query: str) -> list[ImageKey]:
        """Show what matches a query; return the images, as ``(split, filename)``.

        Raises
        ------
        QueryError
            If the query cannot be understood.
        """
        return await self._background.run(lambda: self._search(query))

    async def narrow(self, images: Sequence[ImageKey], words: str) -> None:
        """Show some images only; `words` say which: ``"of the import"``."""
        await self._background.run(lambda: self.model.narrow(images, words))

    async def suggest(self, labeller: Labeller | None = None) -> Prelabelled:
        """Have boxes proposed on what is not labelled, and show those that wait for review.

        Parameters
        ----------
        labeller : Labeller, optional
            Default: the active model.

        Raises
        ------
        NotFoundError
            If no model is active, or it knows none of the dataset's classes.
        """
        return await self._background.run(lambda: self._suggest(labeller))

    async def select_all(self) -> int:
        """Select all that is listed; return how much that is."""
        return await self._background.run(self._select_all)

    async def refresh(self) -> None:
        """Look again what is in the dataset."""
        await self._background.run(self._refresh)

    async def annotate(self, images: Sequence[ImageKey]) -> AnnotatePanel:
        """Open images in the annotator, in place of the gallery.

        Raises
        ------
        ValueError
            If there are none.
        """
        return await self._background.run(lambda: self._open_annotator(list(images), 0))

    async def back(self) -> None:
        """Close the annotator and show the gallery again."""
        await self._background.run(self._back)

    def close(self) -> None:
        """Stop the panel's work and take it off the page."""
        self.follower.close()
        self._background.close()
        self._pages.close()
        self.model.close()
        if self.annotator is not None:
            self.annotator.close()
        for widget in (self.gallery, self._annotate_box, self.view):
            widget.close()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self.view._repr_mimebundle_(**kwargs)

    # From the page; see `GalleryHost`

    def asked(self, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        """Take a message of a page; on any thread."""
        kind = message["kind"]
        if kind == "cancel":
            self._pages.call_off(message)
            return
        if kind == "want":
            self._pages.open_request(message)
        self._background.spawn(lambda: self._answer(message, buffers))

    # On the owner loop

    async def _ready(self) -> None:
        async with self._start_lock:
            if self.model.listing is not None:
                return
            name, query = self._first
            await self.follower.follow("")  # until there is a dataset
            dataset = name or await first_dataset(self.model.manager, self.model)
            if dataset is not None:
                await self._open(dataset, query)

    async def _catch_up(self, news: News) -> None:
        if MODELS in news:
            await self._suggesting.list_labellers()
        if self.model.listing is None:
            await self._ready()
        elif GONE in news:
            self.model.status = Status(gone(self.model.dataset), "problem")
        elif "suggestions" in news:
            await self.model.refresh()
        elif news - {DATASETS, MODELS, "versions"}:
            await self.model.catch_up()

    async def _open(self, dataset: str, query: str) -> Listing:
        if self.annotator is not None:
            self._close_annotator()
        await self.follower.follow(dataset)
        await self._suggesting.list_labellers()
        listing = await self.model.open(dataset, query)
        await self._suggesting.list_words(dataset)
        return listing

    async def _suggest(self, labeller: Labeller | None) -> Prelabelled:
        await self._ready()
        done = await self.model.suggest(labeller, "unlabelled")
        await self.model.show("suggested")
        return done

    async def _search(self, query: str) -> list[ImageKey]:
        await self._ready()
        listing = await self.model.find(query)
        return listing.keys(((0, len(listing)),))

    async def _select_all(self) -> int:
        await self._ready()
        assert self.model.listing is not None
        total = len(self.model.listing)
        self.model.select(((0, total),) if total else ())
        return total

    async def _refresh(self) -> None:
        await self._ready()
        if self.model.listing is not None:
            await self.model.refresh()

    async def _answer(self, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        if self.model.listing is None:  # else a page need not wait for what is still looked at
            await self._ready()
        await self._pages.answer(message, buffers)

    async def _annotate(self, listing: Listing, place: int | None) -> None:
        """Open the selection in the annotator, or all that is listed, at one place of it."""
        if place is None:
            await self._open_annotator(self.model.selected(), 0)
            return
        images = listing.keys(((0, len(listing)),))
        (wanted,) = listing.keys(((place, place + 1),))
        await self._open_annotator(images, images.index(wanted))

    async def _open_annotator(self, images: list[ImageKey], start: int) -> AnnotatePanel:
        if not images:
            raise ValueError("no image to annotate: select some first")
        if self.annotator is not None:
            self._close_annotator()
        first = images[start]
        self._walks = {}
        for split in SPLITS:
            names = [name for own, name in images if own == split]
            if names:
                at = names.index(first[1]) if split == first[0] else 0
                self._walks[split] = (names, at)
        self._split.options = [(f"{s} ({len(self._walks[s][0]):,})", s) for s in self._walks]
        self._split.layout.display = "none" if len(self._walks) == 1 else ""
        if self._split.value != first[0]:
            self._split.value = first[0]  # opens it
        return await self._show_split(first[0])

    async def _show_split(self, split: str) -> AnnotatePanel:
        if self.annotator is not None:
            if self.annotator.model.split == split:
                return self.annotator
            self.annotator.close()
        names, at = self._walks[split]
        panel = panels.AnnotatePanel(
            self.model.dataset,
            split,
            self._stores,
            images=names,
            height=self._height,
            predictor=self._predictor,
        )
        panel.canvas.autofocus = True
        self.follower.hold(panel.follower)
        self.annotator = panel
        total = sum(len(walk) for walk, _ in self._walks.values())
        self._title.value = f"<b>{total:,}</b> of {escape(self.model.dataset)}"
        self._annotate_box.children = (self._bar, panel.view)
        self.gallery.layout.display = "none"
        self._annotate_box.layout.display = ""
        await panel.show(at)
        return panel

    async def _back(self) -> None:
        self._close_annotator()
        await self.model.refresh()
        self.model.select(self.model.selection)  # what was drawn meanwhile was seen

    def _close_annotator(self) -> None:
        if self.annotator is not None:
            self.annotator.close()
            self.annotator = None
        self._annotate_box.children = ()
        self._annotate_box.layout.display = "none"
        self.gallery.layout.display = ""

    def _make_annotate_bar(self) -> None:
        back = w.Button(
            description="Back to the gallery", icon="arrow-left", layout={"width": "auto"}
        )
        back.on_click(lambda _: self._background.spawn(self._back))
        self._title = w.HTML()
        self._split = w.Dropdown(description="Split", layout={"width": "auto"})
        self._split.observe(self._choose_split, "value")
        self._bar = w.HBox((back, self._title, self._split), layout={"align_items": "center"})

    def _choose_split(self, change: Mapping[str, Any]) -> None:
        split = change["new"]
        if split in self._walks and self.annotator is not None:
            self._background.spawn(lambda: self._show_split(split))

    def _report(self, error: Exception) -> None:
        tone = "info" if isinstance(error, StoppedError) else "problem"
        told = self._transfer.shown or self.model
        told.status = Status(in_words(error), tone)
