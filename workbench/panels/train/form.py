"""The settings of the next run, each with what it does in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import ipywidgets as w

from workbench.panels.shared.parts import row, show
from workbench.panels.train.model import TrainModel
from workbench.panels.train.settings import CHOSEN, LEAST, too_small
from workbench.training.defaults import SUGGESTED

_WORDS = {
    "dataset": ("Dataset", "It is copied for the run, so you can go on editing it."),
    "version": (
        "Version",
        "Train on the dataset as it is now, or as it was when you froze a version of it.",
    ),
    "base_model": (
        "Start from",
        "Pretrained weights (.pt) learn faster than a bare architecture (.yaml); n, s, m, l, x go "
        "from small and fast to large and exact. A model of yours is trained further. Clear the "
        "field to see the choices.",
    ),
    "allow_download": (
        "Allow download",
        "Fetch pretrained weights if they are not on this disk. Nothing else is fetched, and "
        "nothing is ever sent.",
    ),
    "epochs": (
        "Epochs",
        "How often every training image is seen. It ends earlier if nothing gets better.",
    ),
    "image_size": (
        "Image size",
        "Images are scaled into a square of so many pixels. Larger finds smaller things and costs "
        "time by its square.",
    ),
    "batch": ("Batch", "Images learned at once. Fewer if memory runs out; -1 fills a GPU."),
    "device": ("Device", "A GPU is many times as fast as a processor."),
    "model_name": (
        "Model name",
        "What the model is called in the store. Empty: the dataset's name and the time.",
    ),
    "patience": (
        "Patience",
        "It ends after so many epochs in which nothing got better; 0: never before the last.",
    ),
    "seed": ("Seed", "The same number on the same machine gives the same model again."),
    "cache": (
        "Keep images",
        "Decoded images are kept, so that they are not read anew in every epoch.",
    ),
    "unlabelled_as_background": (
        "Unlabelled too",
        "Learn images without labels as pictures of nothing. Else they are left out; those that "
        "are marked as background always take part.",
    ),
    "arguments": (
        "More arguments",
        "Any other argument of Ultralytics' train, such as lr0=0.01 degrees=5 optimizer=AdamW.",
    ),
}
_RARE = ("patience", "seed", "cache", "unlabelled_as_background", "arguments")
_CACHES = [("No", False), ("In memory", "ram"), ("On the disk", "disk")]


class TrainForm:
    """Controls for the settings of a `TrainModel`, linked both ways.

    Parameters
    ----------
    model : TrainModel
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
        self.arguments = w.Text(placeholder="lr0=0.01 degrees=5", continuous_update=False)
        w.link((model, "base_models"), (self.base_model, "options"), transform=(tuple, list))
        self.controls: dict[str, Any] = {name: getattr(self, name) for name in CHOSEN}
        self.hints = {name: w.HTML() for name in CHOSEN}
        for name, control in self.controls.items():
            self._link(name, control)
            # A description is the label of its control, for screen readers too.
            control.description, control.tooltip = _WORDS[name]
            control.style.description_width = "8.5em"
            control.layout.width = "auto"
            control.layout.margin = "0 0 0 8.8em" if isinstance(control, w.Checkbox) else "0"
        self.more_button = w.ToggleButton(description="More settings", icon="caret-right")
        self.follow_button = w.Button(description="Use what is suggested", icon="magic")
        self.follow_button.tooltip = "Set epochs, image size and batch to what is suggested"
        self.follow_button.on_click(lambda _: model.follow_suggestions())
        self._rare = self._grid(_RARE)
        common = [name for name in CHOSEN if name not in _RARE]
        self.view = w.VBox(
            (self._grid(common), row(self.more_button, self.follow_button), self._rare),
            layout={"overflow": "visible", "width": "100%"},
        )
        self.more_button.observe(self._fold, "value")
        model.observe(self._say, names=("notes", "suggestions", "own", *SUGGESTED))
        self._fold()
        self._say()

    def _link(self, name: str, control: Any) -> None:
        if name not in ("dataset", "version", "device"):  # they are linked by `_Choice`
            same = (_same, _same)
            transform = (float, _to_batch) if name == "batch" else same
            w.link((self._model, name), (control, "value"), transform=transform)

    def _grid(self, names: Any) -> w.GridBox:
        cells = [cell for name in names for cell in (self.controls[name], self.hints[name])]
        columns = "minmax(17em, 26em) minmax(10em, 46em)"
        return w.GridBox(
            cells,
            layout={
                "grid_template_columns": columns,
                "grid_gap": "5px 14px",
                "align_items": "center",
                "overflow": "visible",
            },
        )

    def _fold(self, _: Any = None) -> None:
        is_open = self.more_button.value
        self.more_button.icon = "caret-down" if is_open else "caret-right"
        show(self._rare, is_open)

    def _say(self, _: Any = None) -> None:
        model = self._model
        for name, hint in self.hints.items():
            words = [escape(_WORDS[name][1])]
            suggestion = model.suggestions.get(name)
            if suggestion is not None:
                words.append(f"<b>Suggested: {suggestion.value}</b> ({escape(suggestion.why)}).")
            if name in LEAST and getattr(model, name) < LEAST[name]:
                words.append(f"<b>{too_small(name, LEAST[name])}</b>")
            if name in model.notes:
                words.append(f"<b>{escape(model.notes[name])}</b>")
            html = f'<small class="wb-explanation">{" ".join(words)}</small>'
            if html != hint.value:
                hint.value = html
        differs = any(getattr(model, name) != s.value for name, s in model.suggestions.items())
        self.follow_button.disabled = not differs


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
