"""Sweeps with real, tiny trainings."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from tests.helpers.runs import gone
from tests.helpers.training import TINY
from workbench.errors import InvalidConfigError, TrainingError
from workbench.persistence import Stores
from workbench.persistence.process_record import ProcessRecord
from workbench.persistence.sweep_folder import SweepFolder
from workbench.training.config import TrainingConfig
from workbench.training.runner import TrainingRunner
from workbench.training.sweeps.starting import deal_folds
from workbench.training.sweeps.sweep import Sweep, SweepProgress


def folder_of(runner: TrainingRunner, sweep: Sweep) -> SweepFolder:
    return SweepFolder(runner.runs_dir / "sweeps" / sweep.id)


def driver_of(runner: TrainingRunner, sweep: Sweep) -> ProcessRecord:
    found = folder_of(runner, sweep).read_driver()
    assert found is not None
    return found


async def reach(sweep: Sweep, number: int, epochs: int) -> SweepProgress:
    """Wait until a trial has completed so many epochs; never longer than a test may take."""
    while True:
        progress = await sweep.refresh()
        trial = progress.trials[number]
        assert not progress.is_over, progress
        if trial.epochs_completed >= epochs and trial.state == "running":
            return progress
        await asyncio.sleep(0.1)


async def test_the_best_of_a_sweep_and_it_alone_goes_to_the_model_store(
    runner: TrainingRunner, persistence_stores: Stores
) -> None:
    config = TrainingConfig(**TINY, epochs=1, model_name="best shapes")
    sweep = await runner.sweep(config, {"lr0": [0.01, 0.0001], "optimizer": ["AdamW"]})
    progress = await sweep.wait()
    assert progress.state == "finished"
    assert [trial.state for trial in progress.trials] == ["finished", "finished"]
    runs = {run.id: run for run in await runner.list_runs()}
    assert [runs[trial.run_id].config.extra for trial in progress.trials] == [
        {"lr0": 0.01, "optimizer": "AdamW"},
        {"lr0": 0.0001, "optimizer": "AdamW"},
    ]
    best = progress.best
    assert best is not None
    [model] = await persistence_stores.model.list()
    assert (model.name, model.is_active) == ("best shapes", True)
    assert (model.details["run_id"], model.details["sweep"]) == (best.run_id, sweep.id)
    assert sweep.read_model_name() == "best shapes"
    table = sweep.read_table()
    assert table.index[0] == best.number
    assert table.loc[2, "lr0"] == 0.0001
    [found] = await TrainingRunner(persistence_stores, runner.runs_dir).list_sweeps()
    assert found.read_progress() == progress
    with pytest.raises(TrainingError, match="nothing to resume"):
        await found.resume()


async def test_values_that_would_all_come_out_the_same_are_not_tried(
    runner: TrainingRunner,
) -> None:
    config = TrainingConfig(**TINY)
    with pytest.raises(InvalidConfigError, match=r"^lr0: all values .* name one as well"):
        await runner.sweep(config, {"lr0": [0.01, 0.0001]})
    with pytest.raises(InvalidConfigError, match=r"^momentum: all values"):
        await runner.sweep(config, {"momentum": [0.1, 0.9], "optimizer": ["SGD", "auto"]})
    assert SweepFolder.find_all(runner.runs_dir) == []


async def test_a_learning_rate_that_changes_nothing_is_a_warning(runner: TrainingRunner) -> None:
    config = TrainingConfig(**TINY, extra={"lr0": 0.5})
    said = [str(problem) for problem in await runner.check(config)]
    assert any("lr0=0.5 changes nothing" in each and "optimizer=AdamW" in each for each in said)
    heard = TrainingConfig(**TINY, extra={"lr0": 0.5, "optimizer": "SGD"})
    assert not any("changes nothing" in str(each) for each in await runner.check(heard))


def test_too_few_groups_are_told_with_a_name_that_made_one() -> None:
    frames = [("train", f"shapes_{number:05}.jpg") for number in range(9)]
    with pytest.raises(TrainingError, match="there is 1, because names like shapes_00000"):
        deal_folds(frames, 3, "name")
    with pytest.raises(TrainingError, match="there are 9: take fewer"):
        deal_folds(frames, 10, None)


@pytest.mark.long
async def test_a_sweep_outlives_its_driver_and_can_be_cancelled_and_resumed(
    runner: TrainingRunner, persistence_stores: Stores
) -> None:
    config = TrainingConfig(**TINY, epochs=8, patience=0)
    sweep = await runner.sweep(config, {"seed": [1, 2]})
    await reach(sweep, 0, 1)
    driver = driver_of(runner, sweep)
    os.kill(driver.pid, signal.SIGKILL)
    await gone(driver)
    [other] = await TrainingRunner(persistence_stores, runner.runs_dir).list_sweeps()
    assert driver_of(runner, sweep) != driver
    before = (await reach(other, 1, 1)).trials
    assert before[0].state == "finished"
    assert len(await runner.list_runs()) == 2
    await other.cancel()
    progress = other.read_progress()
    assert (progress.state, progress.trials[1].state) == ("cancelled", "cancelled")
    assert await persistence_stores.model.list() == []
    await other.resume()
    after = await other.wait()
    assert [trial.state for trial in after.trials] == ["finished", "finished"]
    assert [trial.run_id for trial in after.trials] == [trial.run_id for trial in before]
    assert [trial.epochs_completed for trial in after.trials] == [8, 8]
    assert len(await persistence_stores.model.list()) == 1


@pytest.mark.long
async def test_each_fold_is_measured_by_images_that_it_was_not_trained_on(
    runner: TrainingRunner, persistence_stores: Stores
) -> None:
    config = TrainingConfig(**TINY, epochs=1)
    with pytest.raises(TrainingError, match="3 folds need as many groups"):
        await runner.cross_validate(config, folds=3)  # all that is in train is one video
    assert SweepFolder.find_all(runner.runs_dir) == []
    sweep = await runner.cross_validate(config, folds=2, group_by=None)
    progress = await sweep.wait()
    assert (progress.state, progress.is_cross_validation) == ("finished", True)
    vals = []
    for trial in progress.trials:
        data = runner.runs_dir / trial.run_id / "data"
        val = {path.name for path in (data / "images" / "val").iterdir()}
        train = {path.name for path in (data / "images" / "train").iterdir()}
        assert (len(val), len(train), len(val | train)) == (8, 8, 16)
        labels = {path.stem for path in (data / "labels" / "val").iterdir()}
        assert labels == {name.removesuffix(".png") for name in val}
        vals.append(val)
    assert not vals[0] & vals[1]
    mean, spread = progress.spread("map50")
    assert 0 <= mean <= 1
    assert spread >= 0
    assert await persistence_stores.model.list() == []
