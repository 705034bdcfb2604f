"""The settings of the next run, each with what it does in words."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import ipywidgets as w

from workbench.panels.train_model import TrainModel

_HELP = {
    "dataset": "What to learn from. It is copied for the run, so you can go on editing it.",
    "base_model": "Where to start: pretrained weights learn faster than a bare .yaml "
    "architecture; n, s, m, l, x go from small and fast to large and exact. A model of yours "
    "is trained further.",
    "epochs": "How often every training image is seen. It ends earlier if nothing gets better.",
    "image_size": "Images are scaled into a square of so many pixels. Larger finds smaller "
    "things and costs time by its square.",
    "batch": "Images learned at once. Fewer if memory runs out; -1 fills a GPU.",
    "device": "Empty: the first GPU, or else the processor (cpu). Several GPUs: 0,1",
    "allow_download": "Fetch pretrained weights if they are not on this disk. "
    "Nothing else is fetched, and nothing is ever sent.",
}


class TrainForm:
    """Controls for the settings of a `TrainModel`, linked both ways.

    Parameters
    ----------
    model : TrainModel
    """

    def __init__(self, model: TrainModel) -> None:
        self.dataset = w.Combobox(placeholder="name of a dataset")
        self.base_model = w.Combobox(continuous_update=False)
        self.epochs = w.BoundedIntText(min=1, max=100_000)
        self.image_size = w.BoundedIntText(min=32, max=8192, step=32)
        self.batch = w.FloatText()
        self.device = w.Text(placeholder="first GPU, or else cpu")
        self.allow_download = w.Checkbox()
        self.controls: dict[str, Any] = {name: getattr(self, name) for name in _HELP}
        w.link((model, "datasets"), (self.dataset, "options"), transform=(tuple, list))
        w.link((model, "base_models"), (self.base_model, "options"), transform=(tuple, list))
        cells: list[Any] = []
        for name, control in self.controls.items():
            w.link((model, name), (control, "value"), transform=_TRANSFORMS.get(name, _SAME))
            # A description is the label of its control, for screen readers too.
            control.description = name.replace("_", " ").capitalize()
            control.style.description_width = "8em"
            control.layout.width = "auto"
            control.layout.margin = "0"
            cells += [control, w.HTML(f'<small class="curate-hint">{escape(_HELP[name])}</small>')]
        columns = "minmax(16em, 24em) minmax(10em, 46em)"
        self.view = w.GridBox(
            cells,
            layout={
                "grid_template_columns": columns,
                "grid_gap": "4px 14px",
                "align_items": "center",
                "overflow": "visible",
            },
        )


def _same(value: Any) -> Any:
    return value


def _to_batch(value: float) -> int | float:
    return int(value) if value == int(value) else value


_SAME: tuple[Callable[[Any], Any], Callable[[Any], Any]] = (_same, _same)
_TRANSFORMS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "batch": (float, _to_batch),
}
