"""The process that carries a sweep on, over runs whose events are written here: no training."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from tests.helpers.sweeps import add_epoch, run_of, sweep_of
from tests.helpers.waiting import eventually
from workbench.errors import InvalidDatasetError, TrainingError
from workbench.persistence import create_memory_stores
from workbench.persistence.sweep_folder import SweepFolder
from workbench.training.events import Failed, Finished, Stopped
from workbench.training.runner import TrainingRunner
from workbench.training.sweeps.driver import Driver, drive
from workbench.training.sweeps.halving import Halving
from workbench.training.sweeps.plan import SweepNotes, SweepPlan
from workbench.training.sweeps.sweep import Sweep
from workbench.training.telling import tell


async def test_a_trial_that_is_behind_is_asked_to_stop_and_no_other(tmp_path: Path) -> None:
    folder = sweep_of(tmp_path, "a", "b", "c", halving=Halving(first=2, factor=2))
    run_of(tmp_path, "a", 0.1, 0.5, 0.6)
    behind = run_of(tmp_path, "b", 0.1, 0.2, is_over=False)
    ahead = run_of(tmp_path, "c", 0.9, is_over=False)
    task = asyncio.create_task(Driver(folder).drive())
    await eventually(behind.stop_requested)
    add_epoch(ahead, 2, 0.8)
    tell(behind, Stopped(time=time.time(), epochs_completed=2, metrics={"best_map50_95": 0.2}))
    sweep = Sweep(folder, create_memory_stores().model)
    await eventually(lambda: SweepNotes.read(folder, sweep.plan).trials[2].rung == 2)
    assert not ahead.stop_requested()
    assert sweep.read_progress().state == "running"
    tell(ahead, Finished(time=time.time(), epochs_completed=9, metrics={"best_map50_95": 0.7}))
    await task
    progress = sweep.read_progress()
    assert progress.state == "finished"
    assert [trial.state for trial in progress.trials] == ["finished", "ended early", "finished"]
    assert progress.best is not None
    assert (progress.best.number, progress.best.map50_95) == (3, 0.7)
    assert sweep.read_table().index.tolist() == [3, 1, 2]
    mean, spread = progress.spread()
    assert (round(mean, 3), round(spread, 3)) == (0.5, 0.265)


async def test_a_cancelled_sweep_starts_nothing_more(tmp_path: Path) -> None:
    folder = sweep_of(tmp_path, "a", "")
    run_of(tmp_path, "a", 0.5)
    folder.request_cancel()
    await Driver(folder).drive()
    progress = Sweep(folder, create_memory_stores().model).read_progress()
    assert progress.state == "cancelled"
    assert [trial.state for trial in progress.trials] == ["finished", "not started"]


async def test_a_sweep_of_which_nothing_was_measured_says_why(tmp_path: Path) -> None:
    folder = sweep_of(tmp_path, "a")
    run = run_of(tmp_path, "a", is_over=False)
    tell(run, Failed(time=time.time(), message="the disk is full"))
    sweep = Sweep(folder, create_memory_stores().model)
    await Driver(folder).drive()
    with pytest.raises(TrainingError, match="the disk is full"):
        await sweep.wait()
    assert repr(sweep) == f"<Sweep {sweep.id}: {sweep.read_progress().state}, 1 trials>"


async def test_a_trial_that_cannot_be_started_does_not_hold_up_the_others(tmp_path: Path) -> None:
    folder = sweep_of(tmp_path, "a", "")
    run_of(tmp_path, "a", 0.5)
    await Driver(folder).drive()  # there are no data to give to the second one
    progress = Sweep(folder, create_memory_stores().model).read_progress()
    assert progress.state == "finished"
    assert progress.trials[1].state == "failed"
    assert "data" in progress.trials[1].message


def test_a_driver_that_breaks_says_so(tmp_path: Path) -> None:
    folder = sweep_of(tmp_path, "a")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "config.json").write_text("{")
    with pytest.raises(TrainingError, match="could not be carried on"):
        drive(folder)
    progress = SweepNotes.read(folder, SweepPlan.read(folder))
    assert progress.state == "failed"
    assert "config.json" in progress.message


@pytest.mark.parametrize(
    "odd",
    [
        *({"state": None}, {"state": "eaten"}, {"message": 10**30}, {"trials": [{"run": 5}]}),
        *({"trials": [{"rung": "x"}]}, {"trials": [{"cancelled": 1}]}, {"settings": {"a": 1}}),
        {"settings": ["x"]},
    ],
    ids=repr,
)
async def test_a_sweep_of_other_types_is_left_out(tmp_path: Path, odd: dict[str, object]) -> None:
    folder = sweep_of(tmp_path / "runs", "")
    path = folder.path / ("sweep.json" if "settings" in odd else "trials.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **odd}))
    with pytest.raises(InvalidDatasetError, match="sweep"):
        SweepNotes.read(folder, SweepPlan.read(folder))
    runner = TrainingRunner(create_memory_stores(), tmp_path / "runs")
    assert await runner.list_sweeps() == []


@pytest.mark.parametrize("name", ["..", "../../elsewhere", "/etc"])
def test_notes_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    folder = sweep_of(tmp_path, name)
    with pytest.raises(InvalidDatasetError, match="trials that are none of it"):
        SweepNotes.read(folder, SweepPlan.read(folder))


def test_a_fold_has_its_images_with_their_labels_also_where_names_meet(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path / "sweeps" / "one")
    for split, names in {"train": ["a.png", "b.png"], "val": ["a.jpg", "c.png"]}.items():
        for kind in ("images", "labels"):
            (folder.data_dir / kind / split).mkdir(parents=True)
        for name in names:
            (folder.data_dir / "images" / split / name).write_text(f"picture {split}/{name}")
            label = folder.data_dir / "labels" / split / f"{Path(name).stem}.txt"
            label.write_text(f"boxes {split}/{name}")
    (folder.data_dir / "data.yaml").write_text("names: [cup]\n")
    val = {("val", "a.jpg"), ("train", "b.png")}
    target = tmp_path / "run"
    images, labelled = folder.copy_data(target, val)
    assert images == labelled == {"train": 2, "val": 2, "test": 0}
    found = {
        f"{path.parent.name}/{path.name}": path.read_text().split()[1]
        for path in (target / "images").rglob("*.*")
    }
    assert sorted(found) == ["train/a.png", "train/c.png", "val/a.jpg", "val/b.png"]
    for name, said in found.items():
        split, _, file = name.partition("/")
        label = target / "labels" / split / f"{Path(file).stem}.txt"
        assert label.read_text() == f"boxes {said}"
    images, _ = folder.copy_data(tmp_path / "two", {("train", "a.png")})
    assert images == {"train": 3, "val": 1, "test": 0}
    names = sorted(path.name for path in (tmp_path / "two" / "images" / "train").iterdir())
    assert names == ["b.png", "c.png", "val-a.jpg"]
