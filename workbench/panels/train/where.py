"""Where the next run runs: this machine, or a Ray cluster."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

import ipywidgets as w

from workbench.panels.shared.parts import field, help_text, show
from workbench.panels.train.model import TrainModel
from workbench.training.config import LOCAL
from workbench.training.places.jobs import INSTALL
from workbench.training.places.ray import RAY, VARIABLE

_PLACES = [("This machine", LOCAL), ("A Ray cluster", RAY)]


class WhereChoice:
    """A choice of the place, with a field for the address of a cluster.

    Parameters
    ----------
    model : TrainModel
    """

    def __init__(self, model: TrainModel) -> None:
        self._model = model
        self.place = w.Dropdown(options=_PLACES, description="Where")
        self.place.tooltip = "The machine that trains"
        self.place.layout.width = "auto"
        known = os.environ.get(VARIABLE, "")
        self.address = w.Text(
            placeholder=known or "http://head:8265",
            description="Address",
            tooltip="Of the cluster's dashboard; with ?cpus=4&gpus=1 for more than one processor",
            continuous_update=False,
            layout={"width": "auto"},
        )
        self.hint = w.HTML(help_text("The machine that trains."))
        self._address_field = field(self.address, w.HTML(help_text(*_said_of_clusters())))
        self.view = w.VBox((field(self.place, self.hint), self._address_field))
        self.view.add_class("train-form")
        self.place.observe(self._choose, "value")
        self.address.observe(self._choose, "value")
        model.observe(self._follow, names="where")
        self._follow()

    def _choose(self, _: Any = None) -> None:
        on_cluster = self.place.value == RAY
        self._model.where = (self.address.value.strip() or RAY) if on_cluster else LOCAL

    def _follow(self, _: Any = None) -> None:
        where = self._model.where
        on_cluster = where != LOCAL
        if on_cluster and where != RAY:
            self.address.value = where
        self.place.value = RAY if on_cluster else LOCAL
        show(self._address_field, on_cluster)


def _said_of_clusters() -> tuple[str, str]:
    """Return one line on clusters, and what more there is to say."""
    if find_spec("ray") is None:
        return f"Needs Ray, which is not installed: {INSTALL}", ""
    empty = "" if os.environ.get(VARIABLE) else ", which is not set"
    return (
        "Its nodes must see the data folder.",
        f"And the folder runs beside it, both under the same path. Empty: what {VARIABLE} "
        f"says{empty}. ?cpus=4&gpus=1 behind an address asks for more than one processor.",
    )
