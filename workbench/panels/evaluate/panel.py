"""The evaluate panel: how good a model is, where it fails, and which labels to look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as w

from workbench import panels  # the others are imported once they are opened
from workbench.datasets.changes import counted
from workbench.evaluation.evaluator import Evaluator
from workbench.labelling.predictor import Predictor
from workbench.panels.evaluate.model import CHOICES, GALLERIES, EvaluateModel, Result
from workbench.panels.evaluate.pages import GalleryPage, PlotsPage
from workbench.panels.evaluate.tables import compared, numbers
from workbench.panels.shared.background import Background
from workbench.panels.shared.bus import DATASETS, MODELS
from workbench.panels.shared.following import Follower, News
from workbench.panels.shared.parts import (
    NO_DATASET,
    NONE_YET,
    allow,
    button,
    choice,
    empty,
    help_text,
    labelled,
    page,
    row,
    show,
    tabs,
)
from workbench.panels.shared.status import Status, in_words
from workbench.panels.shared.where import WhereChoice
from workbench.panels.shared.work_row import WorkRow
from workbench.persistence import Stores, get_stores
from workbench.persistence.models import SPLITS

if TYPE_CHECKING:
    from workbench.panels import AnnotatePanel

_PAGES = ("Numbers", "Plots", "Mistakes", "Comparison")
_NOTHING = "Choose a model and a split, and press Evaluate."
_MORE = (
    "What the model finds is kept: after you have corrected labels, evaluating again takes no "
    "second look at the images."
)
_NO_MODEL = "There is no model yet: train one, or bring in weights in Models."
_ACTIVE = "the active model"
_LOOKING = "looking …"


class EvaluatePanel:
    """Measure models on a split, and look at their mistakes in the annotator.

    Shown in a notebook it is a form with results. From Python the same can be done with
    coroutines::

        panel = EvaluatePanel("blood")
        result = await panel.evaluate(model="blood-1", split="val")
        result.evaluation.metrics.to_frame()

    Parameters
    ----------
    dataset : str, optional
        Chosen at first; default: the only one there is.
    stores : Stores, optional
        Default: those of `get_stores`.
    predictor : Predictor, optional
        Shares the model that it has loaded; default: one of the panel's own.

    Attributes
    ----------
    view : ipywidgets.VBox
        What is shown; to put the panel among other widgets.
    model : EvaluateModel
    annotator : AnnotatePanel or None
        The annotator while findings are open in it.
    """

    def __init__(
        self,
        dataset: str | None = None,
        stores: Stores | None = None,
        *,
        predictor: Predictor | None = None,
        go: Callable[[str, str], object] | None = None,
    ) -> None:
        self._stores = stores or get_stores()
        self._predictor = predictor or Predictor(self._stores)
        self._owns_predictor = predictor is None
        self._go = go
        self._behind_door = ""
        self._is_filling = False
        evaluator = Evaluator(self._stores, self._predictor)
        self.model = EvaluateModel(self._stores, evaluator, dataset or "")
        self.annotator: AnnotatePanel | None = None
        self._background = Background(self._report)
        self.follower = Follower(self._stores, self._background, self._catch_up)
        self._make_form()
        self._make_pages()
        self._make_annotate_box()
        self.main = page(
            self.form,
            self.options,
            self.where.view,
            self.work.view,
            self._about,
            row(self.door, self.weights_door),
            self.tabs,
        )
        self.view = w.VBox((self.main, self._annotate_box), layout={"width": "100%"})
        self.view.add_class("wb-panel")
        self.model.observe(self._show_models, names=("models", "datasets", "is_read"))
        known = ("models", "datasets", "is_read", "dataset")
        self.model.observe(self._show_work, names=("work", *known))
        self.model.observe(self._show_result, names="result")
        self.model.observe(self._show_door, names=("lacks_images", *known))
        self._show_models()
        self._show_result()
        self._show_work()
        self._show_door()
        self.model.observe(self._follow, names="dataset")
        self._background.spawn(self._begin)

    # From Python

    async def evaluate(self, **choices: Any) -> Result:
        """Evaluate what is chosen in the form, of which any may be given.

        Parameters
        ----------
        **choices
            ``dataset``, ``split``, ``model``, ``against`` (a second model),
            ``unlabelled_as_background`` and ``where``, see `EvaluateModel`.

        Raises
        ------
        ValueError
            If no dataset is chosen, or a choice cannot be.
        WorkbenchError
            See `Evaluator.evaluate`.
        """
        return await self._background.run(lambda: self._evaluate(choices))

    async def annotate(self, kind: str, number: int = 0) -> AnnotatePanel:
        """Open a gallery's images in the annotator, at one of its findings.

        Parameters
        ----------
        kind : str
            See `GALLERIES`.
        number : int
            Of the finding, counted from 0.
        """
        return await self._background.run(lambda: self._open_annotator(kind, number))

    async def open(self, dataset: str) -> None:
        """Choose the dataset that is evaluated next.

        Raises
        ------
        NotFoundError
            If there is no such dataset.
        """
        await self._background.run(lambda: self.model.open(dataset))

    async def choose(self, model: str) -> None:
        """Choose the model that is evaluated next.

        Raises
        ------
        NotFoundError
            If there is no such model.
        """
        await self._background.run(lambda: self.model.choose(model))

    def turn_to(self, title: str) -> None:
        """Turn to a page: Numbers, Plots, Mistakes or Comparison."""
        self.tabs.selected_index = _PAGES.index(title)

    async def back(self) -> None:
        """Close the annotator, and compare with the labels as they are now."""
        await self._background.run(self._back)

    async def refresh(self) -> None:
        """Look again which datasets and models there are."""
        await self._background.run(self.model.refresh)

    def close(self) -> None:
        """Stop the panel's work and take it off the page."""
        self.follower.close()
        self.model.close()
        self._background.close()
        if self._owns_predictor:
            self._predictor.close()
        if self.annotator is not None:
            self.annotator.close()
        for widget in (self.gallery.tiles, self.view):
            widget.close()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self.view._repr_mimebundle_(**kwargs)

    # The view

    def _make_form(self) -> None:
        spawn = self._background.spawn
        self.dataset = choice("Dataset", max_width="100%")
        self.split = labelled(w.Dropdown(description="Split", options=SPLITS, value="val"))
        self.chosen = choice("Model", max_width="100%")
        self.against = choice("Compare with", max_width="100%")
        self.unlabelled = w.Checkbox(
            description="Take images without labels as showing nothing",
            indent=False,
            layout={"width": "auto"},
        )
        self.start = button("Evaluate", "play", self.model.evaluate, spawn)
        self.start.button_style = "primary"
        self.form = row(self.dataset, self.split, self.chosen, self.against, self.start)
        self.options = row(self.unlabelled)
        self.where = WhereChoice(self.model, "The machine that looks at the images")
        self.where.view.layout.max_width = "420px"
        self.door = w.Button(icon="arrow-right", layout={"width": "auto"})
        self.door.on_click(lambda _: self._pass_door())
        self.weights_door = w.Button(description="Bring in weights", icon="arrow-right")
        self.weights_door.on_click(lambda _: self._go and self._go("Models", ""))
        self.work = WorkRow(self.model, unit="images")
        self.status = self.work.status
        self._about = w.HTML()
        for name, field in (
            ("split", self.split),
            ("unlabelled_as_background", self.unlabelled),
        ):
            w.link((self.model, name), (field, "value"))
        for name, field in self._choices().items():
            field.observe(self._setter(name), "value")
            self.model.observe(_shower(field), name)

    def _make_pages(self) -> None:
        self.numbers = w.HTML()
        self.comparison = w.HTML()
        self.plots = PlotsPage(self.model)
        self.gallery = GalleryPage(self.model, self._background.spawn, self._open_annotator)
        views = (self.numbers, self.plots.view, self.gallery.view, self.comparison)
        self.tabs = tabs(dict(zip(_PAGES, views, strict=True)), self._turned_to)

    def _make_annotate_box(self) -> None:
        self.back_button = button(
            "Back to the findings", "arrow-left", self._back, self._background.spawn
        )
        self._title = w.HTML()
        self._annotate_bar = row(self.back_button, self._title)
        self._annotate_box = w.VBox(layout={"display": "none", "width": "100%"})

    def _choices(self) -> dict[str, w.Dropdown]:
        return {"dataset": self.dataset, "model": self.chosen, "against": self.against}

    def _show_models(self, _change: Any = None) -> None:
        model = self.model
        titles = [(f"{m.name} (active)" if m.is_active else m.name, m.name) for m in model.models]
        unknown = NONE_YET if model.is_read else _LOOKING
        options = {
            "dataset": [
                ("choose …" if model.datasets else unknown, ""),
                *((name, name) for name in model.datasets),
            ],
            "model": [(_ACTIVE if titles else unknown, ""), *titles],
            "against": [("no other", ""), *titles],
        }
        self._is_filling = True  # what a field shows meanwhile is nobody's choice
        try:
            for name, field in self._choices().items():
                kept = getattr(model, name)
                field.options = options[name]
                if kept in [value for _, value in options[name]]:
                    field.value = kept
        finally:
            self._is_filling = False
        self._about.value = (
            empty(self._missing()) if self._missing() else help_text(_NOTHING, _MORE)
        )

    def _setter(self, name: str) -> Callable[[Mapping[str, Any]], None]:
        def take(change: Mapping[str, Any]) -> None:
            if not self._is_filling:
                setattr(self.model, name, change["new"] or "")

        return take

    def _missing(self) -> str:
        """Return what there has to be before anything can be evaluated; empty if it is there."""
        if not self.model.is_read:
            return ""
        if not self.model.datasets:
            return NO_DATASET
        return "" if self.model.models else _NO_MODEL

    def _show_door(self, _change: Any = None) -> None:
        """Offer what is missing before anything can be evaluated."""
        missing = self._missing()
        words, self._behind_door = "", ""
        if missing == _NO_MODEL:
            words, self._behind_door = "Train a model", "Train"
        elif self.model.lacks_images and not missing:
            words, self._behind_door = "Choose splits …", "Splits"
        self.door.description = words
        show(self.door, self._go is not None and bool(words))
        show(self.weights_door, self._go is not None and missing == _NO_MODEL)

    def _pass_door(self) -> None:
        if self._go is not None and self._behind_door:
            self._go(self._behind_door, self.model.dataset)

    def _show_work(self, _change: Any = None) -> None:
        allow(self.start, self._obstacle(), "Let the model look at each image of this split")

    def _obstacle(self) -> str:
        """Return why nothing can be evaluated now; empty if it can."""
        if self.model.work.what:
            return "An evaluation is under way: wait for its end, or press Stop."
        if not self.model.is_read:
            return "It is not known yet which models there are."
        return self._missing() or ("" if self.model.dataset else "Choose a dataset first.")

    def _show_result(self, _change: Any = None) -> None:
        result = self.model.result
        show(self.tabs, result is not None)
        show(self._about, result is None)
        if result is None:
            return
        self.numbers.value = numbers(result)
        self.comparison.value = (
            empty("Choose a second model under “Compare with”, and press Evaluate.")
            if result.comparison is None
            else compared(result.comparison)
        )

    def _turned_to(self, title: str) -> None:
        self.plots.is_shown = title == "Plots"

    # On the owner loop

    async def _begin(self) -> None:
        await self.follower.follow(self.model.dataset)
        await self.model.refresh()

    def _follow(self, change: Mapping[str, Any]) -> None:
        self._background.spawn(lambda: self.follower.follow(change["new"]))

    async def _catch_up(self, news: News) -> None:
        if news & {DATASETS, MODELS}:
            await self.model.refresh()
        if self.model.result is not None and news & {"images", "labels", "classes"}:
            self.model.status = Status(
                "Images, labels or classes have changed since: press Evaluate to see the "
                "numbers of now."
            )

    async def _evaluate(self, choices: Mapping[str, Any]) -> Result:
        await self.model.refresh()
        unknown = set(choices) - set(CHOICES)
        if unknown:
            raise ValueError(f"expected some of {sorted(CHOICES)}, found {sorted(unknown)}")
        for name, value in choices.items():
            setattr(self.model, name, value if value is not None else "")
        return await self.model.evaluate()

    async def _open_annotator(self, kind: str, number: int) -> AnnotatePanel:
        if kind not in GALLERIES:
            raise ValueError(f"kind: expected one of {', '.join(GALLERIES)}, found {kind!r}")
        found = self.model.findings(kind)
        if not 0 <= number < len(found) or self.model.result is None:
            raise ValueError(
                f"{kind}: expected one of {counted(len(found), 'finding')}, found number {number}"
            )
        if self.annotator is not None:
            self.annotator.close()
        evaluation = self.model.result.evaluation_of(kind)
        walk = self.model.walk(kind)
        images = list(walk)
        panel = panels.AnnotatePanel(
            evaluation.dataset, evaluation.split, self._stores, images=images
        )
        panel.canvas.autofocus = True
        self.follower.hold(panel.follower)
        self.annotator = panel
        for name, predictions in walk.items():
            panel.model.propose(name, predictions)
        title = self.model.result.describe(kind).title
        self._title.value = (
            f"<b>{escape(title)}</b> of {escape(evaluation.model)}: "
            f"{counted(len(images), 'image')} of "
            f"{escape(evaluation.dataset)}/{evaluation.split}. Dashed boxes are predictions."
        )
        self._annotate_box.children = (self._annotate_bar, panel.view)
        show(self.main, False)
        show(self._annotate_box, True)
        await panel.show(images.index(found[number].filename))
        return panel

    async def _back(self) -> None:
        if self.annotator is None:
            return
        self.annotator.close()
        self.annotator = None
        self._annotate_box.children = ()
        show(self._annotate_box, False)
        show(self.main, True)
        await self.model.evaluate_again()

    def _report(self, error: Exception) -> None:
        self.model.status = Status(in_words(error), "problem")


def _shower(field: w.Dropdown) -> Callable[[Mapping[str, Any]], None]:
    def take(change: Mapping[str, Any]) -> None:
        if change["new"] in [value for _, value in field.options]:
            field.value = change["new"]

    return take
