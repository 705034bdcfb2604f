"""Runs that do not end in one go: paused, killed, cut off, and resumed. Real processes."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.helpers.runs import events_of, gone, process_of, reach
from tests.helpers.training import ENDLESS, TINY, Trained
from tests.helpers.workers import hit_in_epoch
from workbench.errors import InvalidConfigError, TrainingError
from workbench.persistence import Stores
from workbench.persistence.run_folder import RunFolder
from workbench.persistence.run_weights import is_whole
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

# The Train panel's test pauses and resumes a run, too, in the other lane.
pytestmark = pytest.mark.long

KILL = """
import os, signal

def hit(trainer):
    os.kill(os.getpid(), signal.SIGKILL)
"""


async def test_a_paused_run_goes_on_where_it_was_with_its_optimizer(
    runner: TrainingRunner, persistence_stores: Stores
) -> None:
    run = await runner.start(TrainingConfig(**ENDLESS))
    await reach(run, EpochStarted)
    await run.pause()
    assert run.read_progress().state in {"pausing", "paused"}
    progress = await run.wait()
    done = progress.epochs_completed
    assert progress.state == "paused"
    assert done >= 1
    assert await persistence_stores.model.list() == []
    assert run.is_resumable()
    await gone(process_of(run))

    with pytest.raises(InvalidConfigError, match="epochs: expected a setting that may change"):
        await run.resume(epochs=9)
    # Another kernel resumes it, with a smaller batch.
    [other] = await TrainingRunner(persistence_stores, runner.runs_dir).list_runs()
    await other.resume(batch=2)
    await reach(run, SamplesSaved, epoch=done + 1, attempt=2)
    assert run.config.batch == 2
    assert "Resuming training" in run.read_log()
    await run.stop()
    progress = await run.wait()
    assert (progress.state, progress.attempt) == ("stopped", 2)
    happened = await events_of(run)
    assert [e.epochs_done for e in happened if isinstance(e, Started)] == [0, done]
    assert [e.changes for e in happened if isinstance(e, Queued)] == [{}, {"batch": 2}]
    finished = [e.epoch for e in happened if isinstance(e, EpochFinished)]
    assert finished == list(range(1, len(finished) + 1))
    assert list(run.read_curves().index) == finished
    [model] = await persistence_stores.model.list()
    assert model.epochs_completed == progress.epochs_completed > done
    assert model.details["run_attempt"] == 2


async def test_after_a_kill_a_run_goes_on_from_the_newest_good_checkpoint(
    runner: TrainingRunner,
    persistence_stores: Stores,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        hit_in_epoch(2, KILL, tmp_path, patch)
        run = await runner.start(TrainingConfig(**TINY, epochs=3, patience=0))
    # Meanwhile somebody throws the dataset away: the run has its own frozen view.
    await persistence_stores.dataset.delete("shapes")
    with pytest.raises(TrainingError, match="gone without a word"):
        await run.wait()
    progress = run.read_progress()
    assert (progress.state, progress.failure_kind) == ("failed", "killed")
    assert (progress.epochs_completed, progress.epoch) == (1, 2)
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
    assert not run.is_resumable()
    with pytest.raises(TrainingError, match="nothing to resume"):
        await run.resume()


async def test_a_stopped_run_is_registered_and_again_when_it_was_resumed(
    runner: TrainingRunner, persistence_stores: Stores
) -> None:
    run = await runner.start(TrainingConfig(**ENDLESS))
    await reach(run, SamplesSaved)
    await run.stop()
    stopped = await run.wait()
    assert stopped.state == "stopped"
    [first] = await persistence_stores.model.list()
    await run.resume()
    await reach(run, SamplesSaved, epoch=stopped.epochs_completed + 1, attempt=2)
    await run.stop()
    again = await run.wait()
    assert again.state == "stopped"
    assert again.epochs_completed > stopped.epochs_completed
    models = await persistence_stores.model.list()
    both = [stopped.epochs_completed, again.epochs_completed]
    assert [model.epochs_completed for model in models] == both
    assert [model.name for model in models] == [first.name, f"{first.name}-2"]
    assert run.read_model_name() == f"{first.name}-2"


async def test_a_run_waits_for_its_device_and_the_run_before_starts_it(
    runner: TrainingRunner,
) -> None:
    first, second, third = [await runner.start(TrainingConfig(**ENDLESS)) for _ in range(3)]
    assert first.read_progress().state != "waiting"
    assert [second.read_progress().state, third.read_progress().state] == ["waiting", "waiting"]
    assert [run.id for run in await runner.list_waiting()] == [second.id, third.id]
    await runner.reorder([third.id])
    assert [run.id for run in await runner.list_waiting()] == [third.id, second.id]
    await second.cancel()
    assert second.read_progress().state == "cancelled"
    # Nobody follows the third run: the process of the first starts it when it ends.
    folder = RunFolder(first.path)
    await first.stop()
    await gone(process_of(first))
    assert third.read_progress().state in {"starting", "running"}, first.read_log()
    assert RunFolder(third.path).read_queued() is None
    await third.cancel()
    assert third.read_progress().state == "cancelled"
    assert folder.read_queued() is None


async def test_a_run_that_waits_can_be_paused_and_stopped(
    runner: TrainingRunner, tmp_path: Path
) -> None:
    first, second, third = [await runner.start(TrainingConfig(**ENDLESS)) for _ in range(3)]
    await second.pause()
    await third.stop()
    assert [second.read_progress().state, third.read_progress().state] == ["paused", "stopped"]
    assert await runner.list_waiting() == []
    await second.resume()
    assert second.read_progress().state == "waiting"
    # The first is killed, so that its process starts nobody: whoever looks does.
    os.kill(process_of(first).pid, signal.SIGKILL)
    await gone(process_of(first))
    starts = await asyncio.gather(*(runner.start_due() for _ in range(4)))
    assert sorted(map(len, starts)) == [0, 0, 0, 1]
    assert second.read_progress().state in {"starting", "running"}


async def test_a_run_that_lost_its_data_is_not_resumed(
    trained: Trained, persistence_stores: Stores, tmp_path: Path
) -> None:
    run = _copy(trained, persistence_stores, tmp_path, Paused(time=1.0, epochs_completed=1))
    shutil.rmtree(run.path / "data")
    with pytest.raises(TrainingError, match=r"data that run .* trains on are gone"):
        await run.resume()
    assert run.read_progress().state == "paused"


def _copy(trained: Trained, stores: Stores, tmp_path: Path, last: Event) -> Run:
    """A copy of the finished run that ends in another event."""
    copy = tmp_path / "runs" / trained.run.id
    shutil.copytree(trained.run.path, copy)
    lines = (copy / "events.jsonl").read_text().splitlines()[:-1]
    (copy / "events.jsonl").write_text("\n".join([lines[0], format_event(last)]) + "\n")
    (copy / "registered.json").unlink()
    return Run(RunFolder(copy), stores.model)
