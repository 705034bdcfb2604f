"""Where the next work is done: on this machine, or on a Ray cluster."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

import ipywidgets as w
import traitlets as t

from workbench.datasets.prelabelling import Labeller
from workbench.errors import InvalidConfigError
from workbench.labelling import ModelLabeller
from workbench.panels.shared.parts import field, help_text, show
from workbench.training.config import LOCAL
from workbench.training.places.jobs import INSTALL
from workbench.training.places.ray import RAY, VARIABLE, RayPlace

_PLACES = [("This machine", LOCAL), ("A Ray cluster", RAY)]


class WhereChoice:
    """A choice of the place, with a field for the address of a cluster.

    Parameters
    ----------
    model : HasTraits
        Whose trait ``where`` it is: ``"local"``, ``"ray"`` or an address.
    what : str
        The machine that is chosen, in words.
    needs : str
        What must be under the same path on the nodes of a cluster beside the data folder.
    """

    def __init__(self, model: t.HasTraits, what: str, needs: str = "") -> None:
        self._model = model
        self.place = w.Dropdown(options=_PLACES, description="Where")
        self.place.tooltip = what
        self.place.layout.width = "auto"
        self.address = w.Text(
            placeholder=known_cluster() or "http://head:8265",
            description="Address",
            tooltip="Of the cluster's dashboard; with ?cpus=4&gpus=1 for more than one processor",
            continuous_update=False,
            layout={"width": "auto"},
        )
        self.hint = w.HTML(help_text(f"{what}."))
        self._address_field = field(self.address, w.HTML(help_text(*_said_of_clusters(needs))))
        self.view = w.VBox((field(self.place, self.hint), self._address_field))
        self.view.add_class("wb-where")
        self.place.observe(self._choose, "value")
        self.address.observe(self._choose, "value")
        model.observe(self._follow, names="where")
        self._follow()

    def _choose(self, _: Any = None) -> None:
        is_far = self.place.value == RAY
        where = (self.address.value.strip() or RAY) if is_far else LOCAL
        self._model.set_trait("where", where)

    def _follow(self, _: Any = None) -> None:
        where = self._model.trait_values()["where"]
        is_far = where != LOCAL
        if is_far and where != RAY:
            self.address.value = where
        self.place.value = RAY if is_far else LOCAL
        show(self._address_field, is_far)


def known_cluster() -> str:
    """Return the address of the cluster that the environment names; empty if it names none."""
    return os.environ.get(VARIABLE, "").strip()


def on_cluster() -> str:
    """Return that cluster as it goes on after the name of somebody; empty if there is none."""
    try:
        host = RayPlace.at(known_cluster()).url.rpartition("//")[2]
    except InvalidConfigError:  # none, or none that can be: whoever chooses one is told
        return ""
    return f"on the cluster {host}"


def place_wished(where: object) -> str:
    """Return the place that a page wishes; an address comes from Python and the environment only.

    Raises
    ------
    ValueError
        If it is neither this machine nor the cluster that the environment names.
    """
    where = where or LOCAL
    if where not in (LOCAL, RAY):
        raise ValueError(f"where {where!r}: expected {LOCAL!r} or {RAY!r}")
    return str(where)


def placed(labeller: ModelLabeller, where: str) -> Labeller:
    """Return who labels in place of a labeller of this machine."""
    return labeller if where == LOCAL else labeller.at(where)


def _said_of_clusters(needs: str) -> tuple[str, str]:
    """Return one line on clusters, and what more there is to say."""
    if find_spec("ray") is None:
        return f"Needs Ray, which is not installed: {INSTALL}", ""
    empty = "" if known_cluster() else ", which is not set"
    same = f"And {needs}, both under the same path" if needs else "Under the same path as here"
    return (
        "Its nodes must see the data folder.",
        f"{same}. Empty: what {VARIABLE} "
        f"says{empty}. ?cpus=4&gpus=1 behind an address asks for more than one processor.",
    )
