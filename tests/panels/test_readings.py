"""Readings of a panel that overlap: the one that began last is what is shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from workbench.capture.push_feed import PushFeed
from workbench.labelling.predictor import Predictor
from workbench.panels.capture.model import CaptureModel
from workbench.panels.evaluate import EvaluatePanel
from workbench.panels.home.model import HomeModel
from workbench.panels.models import ModelsPanel
from workbench.panels.shared.readings import Readings
from workbench.panels.tabs import WorkbenchTabs
from workbench.panels.train.model import TrainModel
from workbench.persistence import Stores
from workbench.training.runner import TrainingRunner


def test_an_older_reading_is_dropped_once_a_newer_one_is_shown() -> None:
    readings = Readings()
    first, second, third = readings.begin(), readings.begin(), readings.begin()
    assert first(), "nothing newer is shown yet"
    assert third()
    assert not second()
    assert readings.begin()()


class Gate:
    """Holds back what the first reading after `close` found, until it is opened."""

    def __init__(self, real: Callable[[], Any]) -> None:
        self._real = real
        self._opened = asyncio.Event()
        self._is_first = False
        self.reached = asyncio.Event()

    def close(self) -> None:
        self._is_first = True

    def open(self) -> None:
        self._opened.set()

    async def __call__(self) -> Any:
        is_first, self._is_first = self._is_first, False
        found = await self._real()
        if is_first:
            self.reached.set()
            await self._opened.wait()
        return found


async def _overlap(gate: Gate, stores: Stores, refresh: Callable[[], Any]) -> None:
    """Let a reading begin, a dataset be made, another reading begin, and the first end last."""
    async with asyncio.timeout(20):
        await refresh()
        gate.close()
        older = asyncio.ensure_future(refresh())
        await gate.reached.wait()
        await stores.dataset.create("newer", ["cup"])
        await refresh()
        gate.open()
        await older


@pytest.fixture
async def gate(persistence_stores: Stores, monkeypatch: pytest.MonkeyPatch) -> Gate:
    await persistence_stores.dataset.create("older", ["cup"])
    made = Gate(persistence_stores.dataset.list)
    monkeypatch.setattr(persistence_stores.dataset, "list", made)
    return made


async def test_of_home(gate: Gate, persistence_stores: Stores) -> None:
    model = HomeModel(persistence_stores)
    await _overlap(gate, persistence_stores, model.refresh)
    assert [card["name"] for card in model.cards] == ["newer", "older"]
    model.close()


async def test_of_train(gate: Gate, persistence_stores: Stores, tmp_path: Path) -> None:
    model = TrainModel(None, persistence_stores, tmp_path / "runs")
    await _overlap(gate, persistence_stores, model.refresh)
    assert list(model.datasets) == ["newer", "older"]


async def test_of_evaluate(gate: Gate, persistence_stores: Stores) -> None:
    panel = EvaluatePanel(None, persistence_stores)
    await _overlap(gate, persistence_stores, panel.model.refresh)
    assert list(panel.model.datasets) == ["newer", "older"]
    panel.close()


async def test_of_models_what_is_tried(gate: Gate, persistence_stores: Stores) -> None:
    panel = ModelsPanel(persistence_stores)
    await _overlap(gate, persistence_stores, panel.trial.refresh)
    assert [name for _, name in panel.trial.dataset.options] == ["newer", "older"]
    panel.close()


@pytest.fixture
async def open_tabs(
    persistence_stores: Stores, tmp_path: Path
) -> AsyncIterator[Callable[[], WorkbenchTabs]]:
    """Open the tabs, which look at what there is from then on."""
    predictor = Predictor(persistence_stores, device="cpu")
    runner = TrainingRunner(persistence_stores, tmp_path / "runs")
    opened: list[WorkbenchTabs] = []

    def make() -> WorkbenchTabs:
        opened.append(WorkbenchTabs(persistence_stores, runner, predictor))
        return opened[-1]

    yield make
    for tabs in opened:
        tabs.close()
    predictor.close()


async def test_of_the_tabs(
    gate: Gate, persistence_stores: Stores, open_tabs: Callable[[], WorkbenchTabs]
) -> None:
    tabs = open_tabs()
    await _overlap(gate, persistence_stores, tabs._list)
    assert [name for _, name in tabs.dataset.options] == ["newer", "older"]


async def test_of_capture(gate: Gate, persistence_stores: Stores) -> None:
    predictor = Predictor(persistence_stores, device="cpu")
    model = CaptureModel(persistence_stores, PushFeed(), predictor)
    await _overlap(gate, persistence_stores, model.refresh)
    assert list(model.datasets) == ["newer", "older"]
    await model.close()
    predictor.close()


async def test_in_tabs_models_are_tried_on_the_dataset_that_is_chosen(
    persistence_stores: Stores, open_tabs: Callable[[], WorkbenchTabs]
) -> None:
    for name in ("cups", "plates"):
        await persistence_stores.dataset.create(name, ["thing"])
    tabs = open_tabs()
    tried = tabs.models.trial.dataset
    async with asyncio.timeout(20):
        for name in ("plates", "cups"):
            tabs.go("Models", name)
            while tried.value != name:
                await asyncio.sleep(0.02)


async def test_in_tabs_the_last_page_that_was_asked_for_is_turned_to(
    persistence_stores: Stores, open_tabs: Callable[[], WorkbenchTabs]
) -> None:
    for name in ("cups", "plates"):
        await persistence_stores.dataset.create(name, ["thing"])
    tabs = open_tabs()
    async with asyncio.timeout(20):
        while tabs.dataset.value != "cups":
            await asyncio.sleep(0.02)
        # The first has a dataset to open, the second has nothing to wait for.
        turns = await asyncio.gather(tabs._go("Models", "plates"), tabs._go("Train", ""))
    assert turns == [False, True]
    assert tabs.tabs.get_title(tabs.tabs.selected_index) == "Train"
    turning = asyncio.ensure_future(tabs._go("Models", "cups"))
    await asyncio.sleep(0)
    tabs.tabs.selected_index = tabs.tabs.titles.index("Browse")  # as a click does
    assert not await turning
    assert tabs.tabs.get_title(tabs.tabs.selected_index) == "Browse"
