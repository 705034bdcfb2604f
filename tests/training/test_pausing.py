"""Runs that do not end in one go: paused, killed, cut off, and resumed. Real processes."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.helpers.training import TINY, Trained, make_shapes
from workbench.errors import InvalidConfigError, TrainingError
from workbench.persistence import Stores
from workbench.persistence.run_folder import ProcessRecord, RunFolder, is_whole
from workbench.training.config import TrainingConfig
from workbench.training.events import (
    EpochFinished,
    EpochStarted,
    Event,
    Paused,
    Queued,
    SamplesSaved,
    Started,
    format_event,
)
from workbench.training.run import Run
from workbench.training.runner import TrainingRunner


@pytest.fixture
async def runner(persistence_stores: Stores, tmp_path: Path) -> AsyncIterator[TrainingRunner]:
    """A runner over the dataset of shapes; what it leaves running is ended."""
    await make_shapes(persistence_stores)
    runner = TrainingRunner(persistence_stores, tmp_path / "runs")
    yield runner
    for run in await runner.list_waiting():
        await run.cancel()
    for run in await runner.list_runs():
        await run.cancel()


def process_of(run: Run) -> ProcessRecord:
    record = RunFolder(run.path).read_process()
    assert record is not None
    return record


async def events_of(run: Run) -> list[Event]:
    return [event async for event in run.events()]


async def reach(run: Run, kind: type[Event], epoch: int = 1) -> None:
    """Wait for an event of an epoch, counted from 1."""
    async for event in run.events():
        if isinstance(event, kind) and getattr(event, "epoch", 0) >= epoch:
            return
    raise AssertionError(f"{run.progress.message}\n{run.log}")


async def test_a_paused_run_goes_on_where_it_was_with_its_optimizer(
    runner: TrainingRunner, persistence_stores: Stores
) -> None:
    run = await runner.start(TrainingConfig(**TINY, epochs=3, patience=0))
    await reach(run, EpochStarted)
    await run.pause()
    assert run.state in {"pausing", "paused"}
    progress = await run.wait()
    assert (progress.state, progress.epochs_completed) == ("paused", 1)
    assert await persistence_stores.model.list() == []
    assert run.can_resume
    while process_of(run).find() is not None:  # it has said its last word, and ends
        await asyncio.sleep(0.05)

    with pytest.raises(InvalidConfigError, match="epochs: expected a setting that may change"):
        await run.resume(epochs=9)
    # Another kernel resumes it, with a smaller batch.
    [other] = await TrainingRunner(persistence_stores, runner.runs_dir).list_runs()
    await other.resume(batch=2)
    progress = await run.wait()
    assert (progress.state, progress.epochs_completed, progress.attempt) == ("finished", 3, 2)
    assert run.config.batch == 2
    assert "Resuming training" in run.log
    happened = await events_of(run)
    assert [e.epochs_done for e in happened if isinstance(e, Started)] == [0, 1]
    assert [e.changes for e in happened if isinstance(e, Queued)] == [{}, {"batch": 2}]
    assert [e.epoch for e in happened if isinstance(e, EpochFinished)] == [1, 2, 3]
    assert list(run.curves.index) == [1, 2, 3]
    assert not run.can_resume
    with pytest.raises(TrainingError, match="nothing to resume"):
        await run.resume()
    [model] = await persistence_stores.model.list()
    assert (model.epochs_completed, model.details["run_attempt"]) == (3, 2)


async def test_after_a_kill_a_run_goes_on_from_the_newest_good_checkpoint(
    runner: TrainingRunner, persistence_stores: Stores
) -> None:
    run = await runner.start(TrainingConfig(**TINY, epochs=3, patience=0))
    await reach(run, EpochStarted, epoch=2)
    # Meanwhile somebody throws the dataset away: the run has its own frozen view.
    await persistence_stores.dataset.delete("shapes")
    os.kill(process_of(run).pid, signal.SIGKILL)
    with pytest.raises(TrainingError, match="gone without a word"):
        await run.wait()
    progress = run.progress
    assert (progress.state, progress.failure_kind) == ("failed", "killed")
    assert {"batch": 2} in progress.suggestions
    # The kill met Ultralytics while it wrote its own checkpoints in place.
    kept = run.path / "weights" / "last.pt"
    own = run.path / "ultralytics" / "weights"
    for name in ("last.pt", "best.pt"):
        content = kept.read_bytes()
        (own / name).write_bytes(content[: len(content) // 2])
    later = time.time() + 5
    os.utime(own / "last.pt", (later, later))
    assert is_whole(kept)

    await run.resume()
    progress = await run.wait()
    assert (progress.state, progress.epochs_completed) == ("finished", 3)
    assert [epoch.epoch for epoch in progress.history] == [1, 2, 3]
    assert progress.note.startswith("Goes on after epoch 1")
    [model] = await persistence_stores.model.list()
    assert model.epochs_completed == 3


async def test_a_stopped_run_is_registered_and_again_when_it_was_resumed(
    runner: TrainingRunner, persistence_stores: Stores
) -> None:
    run = await runner.start(TrainingConfig(**TINY, epochs=2, patience=0))
    await reach(run, SamplesSaved)
    await run.stop()
    assert (await run.wait()).state == "stopped"
    [first] = await persistence_stores.model.list()
    await run.resume()
    assert (await run.wait()).state == "finished"
    models = await persistence_stores.model.list()
    assert [model.epochs_completed for model in models] == [1, 2]
    assert [model.name for model in models] == [first.name, f"{first.name}-2"]
    assert run.model_name == f"{first.name}-2"


async def test_a_run_waits_for_its_device_and_the_run_before_starts_it(
    runner: TrainingRunner,
) -> None:
    first = await runner.start(TrainingConfig(**TINY, epochs=1))
    second, third = [await runner.start(TrainingConfig(**TINY, epochs=1)) for _ in range(2)]
    assert first.state != "waiting"
    assert [second.state, third.state] == ["waiting", "waiting"]
    assert [run.id for run in await runner.list_waiting()] == [second.id, third.id]
    await runner.reorder([third.id])
    assert [run.id for run in await runner.list_waiting()] == [third.id, second.id]
    await second.cancel()
    assert second.state == "cancelled"
    # Nobody follows the third run: the process of the first starts it when it ends.
    folder = RunFolder(first.path)
    while process_of(first).find() is not None:
        await asyncio.sleep(0.1)
    assert third.state in {"starting", "running"}, first.log
    assert RunFolder(third.path).read_queued() is None
    await third.cancel()
    assert third.state == "cancelled"
    assert folder.read_queued() is None


async def test_a_run_that_waits_can_be_paused_and_stopped(
    runner: TrainingRunner, tmp_path: Path
) -> None:
    first = await runner.start(TrainingConfig(**TINY, epochs=1))
    second, third = [await runner.start(TrainingConfig(**TINY, epochs=1)) for _ in range(2)]
    await second.pause()
    await third.stop()
    assert [second.state, third.state] == ["paused", "stopped"]
    assert await runner.list_waiting() == []
    await second.resume()
    assert second.state == "waiting"
    # The first is killed, so that its process starts nobody: whoever looks does.
    os.kill(process_of(first).pid, signal.SIGKILL)
    while process_of(first).find() is not None:
        await asyncio.sleep(0.05)
    starts = await asyncio.gather(*(runner.start_due() for _ in range(4)))
    assert sorted(map(len, starts)) == [0, 0, 0, 1]
    assert second.state == "starting"


async def test_a_run_that_lost_its_data_is_not_resumed(
    trained: Trained, persistence_stores: Stores, tmp_path: Path
) -> None:
    run = _copy(trained, persistence_stores, tmp_path, Paused(time=1.0, epochs_completed=1))
    shutil.rmtree(run.path / "data")
    with pytest.raises(TrainingError, match=r"data that run .* trains on are gone"):
        await run.resume()
    assert run.state == "paused"


def _copy(trained: Trained, stores: Stores, tmp_path: Path, last: Event) -> Run:
    """A copy of the finished run that ends in another event."""
    copy = tmp_path / "runs" / trained.run.id
    shutil.copytree(trained.run.path, copy)
    lines = (copy / "events.jsonl").read_text().splitlines()[:-1]
    (copy / "events.jsonl").write_text("\n".join([lines[0], format_event(last)]) + "\n")
    (copy / "registered.json").unlink()
    return Run(RunFolder(copy), stores.model)
