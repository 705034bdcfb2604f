"""The settings of the next run: what is trained, three numbers, and the rest folded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import ipywidgets as w

from workbench.panels.shared.parts import (
    Fold,
    allow,
    card,
    field,
    help_text,
    note_text,
    number,
    row,
)
from workbench.panels.train.model import TrainModel
from workbench.panels.train.settings import CHOSEN, LEAST, too_small
from workbench.persistence.models import SPLITS
from workbench.training.defaults import SUGGESTED

_WORDS = {
    "dataset": ("Dataset", "The run has a copy of its own, so you can go on editing.", ""),
    "version": (
        "Version",
        "As it is now, or as it was when you froze a version of it.",
        "",
    ),
    "base_model": (
        "Start from",
        "Pretrained weights (.pt) learn faster than an architecture (.yaml).",
        "n, s, m, l, x go from small and fast to large and exact. A model of yours is trained "
        "further. Clear the field to see the choices.",
    ),
    "allow_download": (
        "Allow download",
        "Fetch pretrained weights if they are not on this disk.",
        "Nothing else is fetched, and nothing is ever sent.",
    ),
    "epochs": (
        "Epochs",
        "How often every training image is seen.",
        "It ends earlier if nothing gets better.",
    ),
    "image_size": (
        "Image size",
        "Images are scaled into a square of so many pixels.",
        "Larger finds smaller things and costs time by its square.",
    ),
    "batch": ("Batch", "Images learned at once.", "Fewer if memory runs out; -1 fills a GPU."),
    "device": ("Device", "A GPU is many times as fast as a processor.", ""),
    "model_name": (
        "Model name",
        "What the model is called in the store.",
        "Empty: the dataset's name and the time.",
    ),
    "patience": (
        "Patience",
        "It ends after so many epochs in which nothing got better.",
        "0: never before the last.",
    ),
    "seed": ("Seed", "The same number on the same machine gives the same model again.", ""),
    "cache": (
        "Keep images",
        "Decoded images are kept, so that they are not read anew in every epoch.",
        "",
    ),
    "unlabelled_as_background": (
        "Unlabelled too",
        "Learn images without labels as pictures of nothing.",
        "Else they are left out; those that are marked as background always take part.",
    ),
    "arguments": (
        "More arguments",
        "Any other argument of Ultralytics' train.",
        "Such as lr0=0.01 optimizer=AdamW degrees=5.",
    ),
}
_MAIN = ("dataset", "version", "base_model", "allow_download")
_RARE = tuple(name for name in CHOSEN if name not in (*_MAIN, *SUGGESTED))
_FOLLOW = "Set epochs, image size and batch to what is suggested"
_CACHES = [("No", False), ("In memory", "ram"), ("On the disk", "disk")]


class TrainForm:
    """Controls for the settings of a `TrainModel`, linked both ways.

    Parameters
    ----------
    model : TrainModel

    Attributes
    ----------
    view : ipywidgets.VBox
        What is trained, and the three settings that matter most.
    dataset : ipywidgets.Dropdown
        The choice of the dataset; hidden where it is made elsewhere, its help stays.
    more : Fold
        All other settings.
    """

    def __init__(self, model: TrainModel) -> None:
        self._model = model
        self.dataset = _Choice(model, "dataset", lambda: [(n, n) for n in model.datasets]).field
        self.version = _Choice(model, "version", lambda: list(model.versions)).field
        self.base_model = w.Combobox(continuous_update=False)
        self.allow_download = w.Checkbox(indent=False)
        self.epochs = w.IntText()  # what is too small is said, not put right without a word
        self.image_size = w.IntText(step=32)
        self.batch = w.FloatText()
        self.device = _Choice(model, "device", lambda: list(model.devices)).field
        self.model_name = w.Text(placeholder="dataset and time", continuous_update=False)
        self.patience = w.BoundedIntText(min=0, max=100_000)
        self.seed = w.BoundedIntText(min=0, max=2**31 - 1)
        self.cache = w.Dropdown(options=_CACHES)
        self.unlabelled_as_background = w.Checkbox(indent=False)
        self.arguments = w.Text(
            placeholder="degrees=5 lr0=0.01 optimizer=AdamW", continuous_update=False
        )
        w.link((model, "base_models"), (self.base_model, "options"), transform=(tuple, list))
        self.controls: dict[str, Any] = {name: getattr(self, name) for name in CHOSEN}
        self.hints = {name: w.HTML() for name in CHOSEN}
        for name, control in self.controls.items():
            self._link(name, control)
            # A description is the label of its control, for screen readers too.
            control.description, control.tooltip, _ = _WORDS[name]
            control.layout.width = "auto"
        self.follow_button = w.Button(description="Use what is suggested", icon="magic")
        self.follow_button.on_click(lambda _: model.follow_suggestions())
        self.counts = w.HTML()
        dataset, *others = self._fields(_MAIN)
        what = card("What is trained", dataset, self.counts, *others)
        three = row(*self._fields(SUGGESTED))
        three.add_class("train-three")
        self.view = w.VBox((what, three))
        self.view.add_class("train-form")
        self.more = Fold("More settings", *self._fields(_RARE), self.follow_button)
        model.observe(self._say, names=("notes", "suggestions", "own", *SUGGESTED))
        model.observe(self._count, names=("images", "dataset"))
        self._say()
        self._count()

    def _link(self, name: str, control: Any) -> None:
        if name not in ("dataset", "version", "device"):  # they are linked by `_Choice`
            same = (_same, _same)
            transform = (float, _to_batch) if name == "batch" else same
            w.link((self._model, name), (control, "value"), transform=transform)

    def _fields(self, names: Iterable[str]) -> tuple[w.VBox, ...]:
        return tuple(field(self.controls[name], self.hints[name]) for name in names)

    def _count(self, _: Any = None) -> None:
        """Say how many images of each split take part."""
        images = self._model.images
        counts = " · ".join(f"{split} <b>{number(images.get(split, 0))}</b>" for split in SPLITS)
        words = f"Images: {counts}" if images else "&nbsp;"
        self.counts.value = f'<div class="wb-note">{words}</div>'

    def _say(self, _: Any = None) -> None:
        model = self._model
        for name, hint in self.hints.items():
            _, line, more = _WORDS[name]
            notes = []
            suggestion = model.suggestions.get(name)
            if suggestion is not None:
                more = f"{line} {more} Why {suggestion.value}: {suggestion.why}."
                line = f"Suggested: {suggestion.value}"
            if name in LEAST and getattr(model, name) < LEAST[name]:
                notes.append(too_small(name, LEAST[name]))
            if name in model.notes:
                notes.append(model.notes[name])
            html = help_text(line, more) + "".join(map(note_text, notes))
            if html != hint.value:
                hint.value = html
        differs = any(getattr(model, name) != s.value for name, s in model.suggestions.items())
        same = "All settings are the suggested ones already."
        reason = "" if differs else same if model.suggestions else "Choose a dataset first."
        allow(self.follow_button, reason, _FOLLOW)


class _Choice:
    """A dropdown over what there is; what is set stays, also if it is not there (any more).

    Parameters
    ----------
    model : TrainModel
    name : str
        Of the trait that is chosen.
    options : callable
        Returns words and value of each option.
    """

    def __init__(
        self, model: TrainModel, name: str, options: Callable[[], list[tuple[str, str]]]
    ) -> None:
        self._model, self._name, self._options = model, name, options
        self._is_filling = False
        self.field = w.Dropdown()
        self.field.observe(self._choose, "value")
        model.observe(self._fill, names=("datasets", "versions", "devices", name))
        self._fill()

    def _fill(self, _: Any = None) -> None:
        value = getattr(self._model, self._name)
        options = self._options()
        if value not in [known for _, known in options]:
            words = f"{value} (not there)" if value else f"Choose a {self._name}"
            options.append((words, value))
        self._is_filling = True
        try:
            with self.field.hold_sync():
                if tuple(options) != self.field.options:
                    self.field.options = tuple(options)
                self.field.value = value
        finally:
            self._is_filling = False

    def _choose(self, change: Mapping[str, Any]) -> None:
        if not self._is_filling:
            setattr(self._model, self._name, change["new"])


def _same(value: Any) -> Any:
    return value


def _to_batch(value: float) -> int | float:
    return int(value) if value == int(value) else value
