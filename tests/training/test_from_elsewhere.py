"""Folders of runs and sweeps that a stranger made: looking at them starts and changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.helpers.sweeps import job, run_of, sweep_of
from workbench.errors import InvalidDatasetError, TrainingError, WorkbenchError
from workbench.own_python import own_python, python_path
from workbench.persistence import Stores, create_memory_stores
from workbench.persistence.process_record import ProcessRecord
from workbench.persistence.run_folder import RunFolder
from workbench.persistence.run_queue import RunQueue
from workbench.training.events import Queued
from workbench.training.processes import spawn_module
from workbench.training.progress import CANCELLED
from workbench.training.queueing import enqueue, start_due
from workbench.training.run import Run
from workbench.training.runner import TrainingRunner
from workbench.training.sweeps.driver import Driver
from workbench.training.sweeps.sweep import Sweep
from workbench.training.telling import tell

TRAP = "import os, pathlib\npathlib.Path(os.environ['TRAP']).write_text('it ran')\n"


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is there once a file of a stranger has run as a module."""
    monkeypatch.setenv("TRAP", str(tmp_path / "trap"))
    return tmp_path / "trap"


def waiting(runs: Path, name: str) -> RunFolder:
    """A run that waits, as its folder says; it cannot be started, for it has no data."""
    folder = RunFolder(runs / name)
    folder.path.mkdir(parents=True)
    folder.write_job({**job(name).to_json(), "sweep": ""})
    tell(folder, Queued(time=time.time()))
    folder.write_queued(1.0)
    return folder


@pytest.mark.parametrize("path", ["", ":", ".:"], ids=["none", "empty", "relative"])
def test_a_process_for_a_run_takes_no_module_out_of_its_folder(
    tmp_path: Path, trap: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    folder = run_of(tmp_path, "theirs", 0.5)
    for module in ("traceback", "asyncio", "argparse", "cv2"):
        (folder.path / f"{module}.py").write_text(TRAP)
    monkeypatch.setenv("PYTHONPATH", path + os.environ.get("PYTHONPATH", ""))
    child = spawn_module("workbench.training.sweeps.driver", folder, dict(os.environ))
    assert child.wait(60) == 1  # it is no sweep
    assert "no sweep here" in folder.log_tail()
    assert not trap.exists()


def test_a_python_of_ours_takes_no_module_out_of_the_folder_it_starts_in(
    tmp_path: Path, trap: Path
) -> None:
    """As the doctor starts it, in whatever folder somebody is."""
    (tmp_path / "colorsys.py").write_text(TRAP)
    done = subprocess.run(
        own_python("-c", "import colorsys, workbench; print(workbench.__file__)"),
        cwd=tmp_path,
        env={**os.environ, **python_path()},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip().endswith("__init__.py")
    assert not trap.exists()


async def test_a_run_that_was_put_into_the_queue_elsewhere_waits_for_somebody(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    theirs, runner = waiting(tmp_path, "theirs"), TrainingRunner(persistence_stores, tmp_path)
    mine = waiting(tmp_path, "mine")
    enqueue(mine, Queued(time=time.time()))
    assert sorted(run.id for run in await runner.list_runs()) == ["mine", "theirs"]
    assert mine.read_queued() is None  # it was started
    assert theirs.read_queued() == 1.0
    assert theirs.read_process() is None
    (run,) = [run for run in await runner.list_runs() if run.id == "theirs"]
    assert run.is_resumable()
    with pytest.raises(TrainingError, match="the data that run theirs trains on are gone"):
        await run.resume()
    await Run(mine, None).cancel()


@pytest.mark.parametrize("pid", [0, -1])
async def test_to_cancel_a_run_of_elsewhere_ends_no_process_of_mine(
    tmp_path: Path, pid: int
) -> None:
    mine = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        theirs = run_of(tmp_path, "theirs", 0.5, is_over=False)
        record = ProcessRecord.of(psutil.Process(mine.pid))
        theirs.write_process(record if pid == 0 else replace(record, pid=pid))
        run = Run(theirs, None)
        with suppress(WorkbenchError):  # what names no process is damaged, and says so
            await run.cancel()
        assert mine.poll() is None
        if pid == 0:
            assert run.read_progress().state == CANCELLED
    finally:
        mine.communicate(b"\n")


async def test_one_odd_run_leaves_the_others_in_the_list(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    run_of(tmp_path, "good", 0.5)
    record = ProcessRecord.of_this_process().as_json()
    for number, (name, odd) in enumerate(
        [
            ("process.json", {**record, "pid": -1}),
            ("config.json", {**job("x").to_json(), "where": 5}),
            ("config.json", {**job("x").to_json(), "warnings": 5}),
            ("config.json", {"format": 1}),
        ]
    ):
        folder = run_of(tmp_path, f"odd{number}", 0.5, is_over=False)
        folder.write_note(name, odd)
    runs = await TrainingRunner(persistence_stores, tmp_path).list_runs()
    assert "good" in [run.id for run in runs]


def test_a_copy_of_a_run_of_mine_is_not_mine(tmp_path: Path) -> None:
    mine = waiting(tmp_path, "mine")
    mine.mark_own()
    assert mine.is_own()
    copy = RunFolder(shutil.copytree(mine.path, tmp_path / "copy"))
    assert not copy.is_own()
    mine.path.rename(tmp_path / "away")
    copy.path.rename(mine.path)  # made by somebody else, in the same place
    assert not mine.is_own()
    for content in ("", "[]", '{"signature": 1}', '{"signature": "\\u00e9"}'):
        (mine.path / "started-here.json").write_text(content)
        assert not mine.is_own()


async def test_the_weights_of_a_run_of_elsewhere_stay_where_they_are(tmp_path: Path) -> None:
    stores = create_memory_stores()
    folder = run_of(tmp_path, "theirs", 0.5)
    folder.write_job({**job("theirs").to_json(), "sweep": ""})
    assert await Run(folder, stores.model).settle() is None
    assert await stores.model.list() == []


async def test_a_sweep_of_elsewhere_waits_for_somebody(tmp_path: Path) -> None:
    folder = sweep_of(tmp_path, "")
    (folder.path / "started-here.json").unlink()
    sweep = Sweep(folder, create_memory_stores().model)
    progress = await sweep.refresh()
    assert (progress.state, "resume" in progress.message) == ("cancelled", True)
    assert folder.read_driver() is None
    await sweep.resume()
    assert folder.is_own()
    with pytest.raises(TrainingError, match="no trial has measured anything"):
        await sweep.wait()  # there are no data for the trial


async def test_a_sweep_touches_no_folder_that_it_has_not_made(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "data").mkdir(parents=True)
    (home / "data" / "thesis.txt").write_text("years of work")
    runs = tmp_path / "runs"
    folder = sweep_of(runs, "link", "plain", "another")
    (runs / "link").symlink_to(home)
    (runs / "plain" / "data").mkdir(parents=True)
    (runs / "plain" / "data" / "thesis.txt").write_text("years of work")
    other = run_of(runs, "another", 0.5, is_over=False)
    other.write_job({**job("another").to_json(), "sweep": "some other"})
    folder.request_cancel()
    await Driver(folder).drive()
    assert not other.cancel_requested()
    assert RunQueue(runs).going_on() == [other]
    driver = Driver(folder)
    for number in range(3):
        with pytest.raises(FileNotFoundError):  # the sweep has no data to give
            driver._start(number)
    assert sorted(path.name for path in home.rglob("*")) == ["data", "thesis.txt"]
    assert [path.name for path in (runs / "plain").rglob("*.txt")] == ["thesis.txt"]
    assert not other.stop_requested()


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes as POSIX has them")
async def test_what_is_no_lock_holds_up_no_other(
    tmp_path: Path, persistence_stores: Stores, kind: str
) -> None:
    runs = tmp_path / "runs"
    lost, good = waiting(runs, "lost"), waiting(runs, "good")
    lost.remove_queued()
    os.utime(lost.job_path, (1, 1))
    for path in (lost.path / ".lock", runs / ".queue.lock"):
        if kind == "link":
            (tmp_path / "elsewhere").write_text("precious")
            path.symlink_to(tmp_path / "elsewhere")
        elif kind == "folder":
            path.mkdir()
        else:
            os.mkfifo(path)
    runner = TrainingRunner(persistence_stores, runs)
    assert {run.id for run in await runner.list_runs()} == {"lost", "good"}
    with pytest.raises(InvalidDatasetError, match=r"\.queue\.lock.*remove it"):
        start_due(runs)
    with pytest.raises(InvalidDatasetError, match=r"\.lock.*remove it"):
        async with lost.lock():
            raise AssertionError
    folder = sweep_of(runs, "")
    (folder.path / ".starting").mkdir()
    with (
        pytest.raises(InvalidDatasetError, match=r"\.starting.*remove it"),
        folder.lock_in_thread(".starting"),
    ):
        raise AssertionError
    if kind == "link":
        assert (tmp_path / "elsewhere").read_text() == "precious"
    assert json.loads(good.job_path.read_text())["run_id"] == "good"
