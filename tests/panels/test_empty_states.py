"""Panels where there is nothing yet: every choice says so, and what is missing is in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, Mock

import ipywidgets as w
import pytest

from workbench.labelling import ModelLabeller
from workbench.labelling.predictor import Predictor
from workbench.panels.browse import BrowsePanel
from workbench.panels.curate import CuratePanel
from workbench.panels.evaluate import EvaluatePanel
from workbench.panels.models import ModelsPanel
from workbench.panels.shared.parts import choice, set_options
from workbench.panels.tabs import WorkbenchTabs
from workbench.panels.train import TrainPanel
from workbench.persistence import Stores, create_stores
from workbench.training.runner import TrainingRunner


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return create_stores(tmp_path / "data", tmp_path / "models")


def shown(widget: Any) -> Iterator[Any]:
    """Yield a widget and all that is shown inside it; of tabs, every page."""
    if widget.layout.display != "none":
        yield widget
        for child in getattr(widget, "children", ()):
            yield from shown(child)


def choices(view: Any) -> dict[str, object]:
    """Return what stands in each choice that is shown, by its label."""
    found = [widget for widget in shown(view) if isinstance(widget, w.Dropdown)]
    return {field.description: field.label for field in found}


async def test_no_choice_is_blank_where_there_is_nothing_to_choose(stores: Stores) -> None:
    await stores.dataset.create("bare", [])
    for make in (CuratePanel, TrainPanel, EvaluatePanel, ModelsPanel):
        panel = make("bare", stores) if make is not ModelsPanel else make(stores)
        blank = {label for label, words in choices(panel.view).items() if not words}
        assert not blank, "before anything is read"
        await panel.refresh()
        found = choices(panel.view)
        assert found, make
        assert all(found.values()), found
        panel.close()


async def test_evaluate_says_what_there_has_to_be_first(stores: Stores) -> None:
    panel = EvaluatePanel(None, stores, go=lambda *_: None)
    assert (panel.chosen.label, panel.door.layout.display) == ("looking …", "none")
    assert "not known yet" in panel.start.tooltip
    await panel.refresh()
    assert "There is no dataset yet" in panel._about.value
    assert (panel.dataset.label, panel.chosen.label) == ("none yet", "none yet")
    assert "There is no dataset yet" in panel.start.tooltip
    assert panel.weights_door.layout.display == "none"
    await stores.dataset.create("cups", ["cup"])
    await panel.refresh()
    assert "There is no model yet" in panel._about.value
    assert panel.dataset.label == "cups"
    assert panel.weights_door.layout.display is None
    panel.close()


def test_a_choice_without_options_has_none_and_says_so() -> None:
    field = choice("Version")
    assert (field.value, field.label) == (None, "none yet")
    set_options(field, [("one", 1), ("two", 2)])
    field.value = 2
    set_options(field, [("two", 2)])
    assert (field.value, field.label) == (2, "two")
    set_options(field, [])
    assert (field.value, field.label) == (None, "none yet")


async def test_a_model_that_was_trained_is_taken_along(stores: Stores, tmp_path: Path) -> None:
    predictor = Predictor(stores, device="cpu")
    tabs = WorkbenchTabs(stores, TrainingRunner(stores, tmp_path / "runs"), predictor)
    tabs.evaluate.choose = chosen = AsyncMock()
    await tabs._go("Evaluate", "", "cups-1")
    chosen.assert_awaited_once_with("cups-1")
    tabs._browse = browse = AsyncMock(spec=BrowsePanel, follower=Mock())
    await tabs._go("Browse", "", "cups-1")
    [labeller] = browse.suggest.await_args.args
    assert isinstance(labeller, ModelLabeller)
    assert labeller._model == "cups-1"
    assert tabs.tabs.titles[tabs.tabs.selected_index] == "Browse"
    tabs._browse = None
    tabs.close()
    predictor.close()
