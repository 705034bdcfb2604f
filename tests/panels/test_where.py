"""Where a panel has its work done: on this machine, or on a cluster."""

from __future__ import annotations

from unittest.mock import MagicMock

import pytest
import traitlets as t

from workbench.labelling import ModelLabeller
from workbench.labelling.cluster.labeller import ClusterLabeller
from workbench.labelling.predictor import Predictor
from workbench.panels.annotate.wishes import Wish, labeller_for
from workbench.panels.browse.suggesting import Asked
from workbench.panels.shared.where import WhereChoice, on_cluster
from workbench.persistence.models import no_progress

PREDICTOR = MagicMock(spec=Predictor)


class Model(t.HasTraits):
    where = t.Unicode("local")


@pytest.mark.parametrize(
    ("named", "words"),
    [("10.0.0.1:6379", "on the cluster 10.0.0.1:8265"), ("", ""), ("ftp://head", "")],
)
def test_the_cluster_of_the_environment_is_named_where_it_can_be_one(
    named: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", named)
    assert on_cluster() == words


def test_a_choice_and_its_model_say_the_same() -> None:
    model = Model()
    choice = WhereChoice(model, "The machine that looks")
    choice.place.value = "ray"
    choice.address.value = "http://head:8265"
    assert model.where == "http://head:8265"
    model.where = "local"
    assert choice.place.value == "local"
    assert choice.view.children[1].layout.display == "none"


async def test_a_model_looks_where_a_page_wishes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "http://head:8265")
    for where, kind in (("ray", ClusterLabeller), ("local", ModelLabeller), (None, ModelLabeller)):
        asked = Asked.from_message({"where": where})
        assert type(asked.looker.labeller(PREDICTOR, fetch=False, progress=no_progress)) is kind
        wish = Wish.from_message({"at": where})
        found = await labeller_for(
            wish, MagicMock(), None, PREDICTOR, fetch=False, progress=no_progress
        )
        assert type(found) is kind


def test_a_page_names_no_address() -> None:
    with pytest.raises(ValueError, match="expected 'local' or 'ray'"):
        Asked.from_message({"where": "http://evil:8265"})
    with pytest.raises(ValueError, match="expected 'local' or 'ray'"):
        Wish.from_message({"at": "http://evil:8265"})
