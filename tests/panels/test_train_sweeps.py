"""Sweeps in the train panel: what is typed, what is shown. No training."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.helpers.sweeps import job, run_of, sweep_of
from tests.helpers.training import TINY, make_shapes
from workbench.errors import InvalidConfigError
from workbench.panels.train import TrainPanel
from workbench.panels.train.sweep_words import parallel_figure, sweep_status, trials_table
from workbench.persistence import Stores
from workbench.persistence.process_record import ProcessRecord
from workbench.training.sweeps.sweep import SweepProgress, Trial


@pytest.fixture
async def panel(persistence_stores: Stores, tmp_path: Path) -> AsyncIterator[TrainPanel]:
    await make_shapes(persistence_stores)
    panel = TrainPanel("shapes", persistence_stores, tmp_path / "runs")
    yield panel
    panel.close()


def progress(state: str = "running", *, folds: bool = False) -> SweepProgress:
    settings = [{"lr0": 0.001, "optimizer": "SGD"}, {"lr0": 0.1, "optimizer": "<AdamW>"}, {}]
    if folds:
        settings = [{"fold": number} for number in (1, 2, 3)]
    values = [0.25, 0.5, None]
    states = ["ended early", "finished", "not started"]
    return SweepProgress(
        state=state,
        trials=tuple(
            Trial(
                number=number + 1,
                settings=settings[number],
                state=states[number],
                epochs=9,
                map50=values[number],
                map50_95=values[number],
            )
            for number in range(3)
        ),
        metric="map50_95",
        is_cross_validation=folds,
    )


def test_the_table_marks_the_best_trial_and_takes_no_markup_from_settings() -> None:
    html = trials_table(progress())
    assert html.count("★ best") == 1
    assert "2 <b>★ best</b>" in html
    assert "&lt;AdamW&gt;" in html
    assert "0.500" in html
    assert "★" not in trials_table(progress(folds=True))


def test_what_is_said_of_a_sweep_and_of_folds() -> None:
    said = sweep_status("one", progress(), "cups-best")
    assert "2 of 3 trials are over" in said
    assert "1 ended early" in said
    assert "best: trial 2, mAP50-95 0.500" in said
    assert "cups-best" in said
    assert "mAP50 0.375 ± 0.177" in sweep_status("one", progress(folds=True), "")


def test_the_plot_has_an_axis_for_each_setting_and_one_for_the_result() -> None:
    [trace] = json.loads(parallel_figure(progress(), "one"))["data"]
    axes = {axis["label"]: axis for axis in trace["dimensions"]}
    assert list(axes) == ["lr0", "optimizer", "mAP50-95"]
    assert axes["lr0"]["ticktext"] == ["0.001", "0.01", "0.1"]
    assert axes["optimizer"]["ticktext"] == ["SGD", "<AdamW>"]
    assert trace["line"]["color"] == [0.25, 0.5]


async def test_what_cannot_be_tried_is_said_and_nothing_is_started(
    panel: TrainPanel, tmp_path: Path
) -> None:
    for name, value in TINY.items():
        panel.model.set_trait(name, value) if panel.model.has_trait(name) else None
    model = panel.sweeps.model
    with pytest.raises(InvalidConfigError, match="Say what is tried"):
        await model.start()
    panel.sweeps.space.value = "lr0: 0.1 to 0.2"
    with pytest.raises(InvalidConfigError, match="say how many trials"):
        await model.start()
    panel.sweeps.space.value = "learning_rate: 0.1, 0.2"
    panel.sweeps.start_button.click()
    async with asyncio.timeout(20):
        while "learning_rate" not in panel.sweeps.problem.value:
            await asyncio.sleep(0.01)
    assert not model.busy
    assert not list((tmp_path / "runs").glob("*/*/sweep.json"))


@pytest.mark.parametrize(("chosen", "group_by"), [("", None), ("name", "name")])
async def test_folds_are_grouped_as_was_chosen(
    panel: TrainPanel, monkeypatch: pytest.MonkeyPatch, chosen: str, group_by: str | None
) -> None:
    asked: list[object] = []

    async def begin(**options: object) -> None:
        asked.append(options["group_by"])

    monkeypatch.setattr(panel.sweeps.model, "begin_folds", begin)
    assert panel.sweeps.group_by.value == "name"
    panel.sweeps.group_by.value = chosen
    await panel.sweeps.model.cross_validate()
    assert asked == [group_by]


async def test_a_sweep_of_an_earlier_kernel_is_shown_with_its_trials(
    panel: TrainPanel, tmp_path: Path
) -> None:
    folder = sweep_of(tmp_path / "runs", "a", "b")
    run_of(tmp_path / "runs", "a", 0.25)
    run_of(tmp_path / "runs", "b", 0.75, is_over=False)
    folder.write_driver(ProcessRecord.of_this_process())  # it is carried on by somebody
    assert job().sweep == folder.id
    panel.sweeps.fold.button.value = True
    async with asyncio.timeout(20):
        while "★ best" not in panel.sweeps.table.value:
            await asyncio.sleep(0.01)
    assert panel.sweeps.sweeps.value == folder.id
    assert "1 of 2 trials are over" in panel.sweeps.status.value
    assert not panel.sweeps.cancel_button.disabled
    assert panel.sweeps.resume_button.disabled
    async with asyncio.timeout(20):
        while panel.sweeps.plots is None:
            await asyncio.sleep(0.01)
    [figure] = panel.sweeps.plots.figures
    assert "seed" in figure
