"""Real trainings in real processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.runs import process_of
from tests.helpers.training import CLASSES, ENDLESS, TINY, Trained, make_shapes
from workbench.errors import InvalidConfigError, NotFoundError, TrainingError
from workbench.persistence import Stores
from workbench.persistence.own_folders import mark_own
from workbench.training.config import TrainingConfig
from workbench.training.events import (
    BatchFinished,
    EpochFinished,
    EpochStarted,
    Failed,
    parse_event,
)
from workbench.training.run import Run
from workbench.training.runner import TrainingRunner


async def started(runner: TrainingRunner, **settings: object) -> Run:
    """A run of many epochs that is in its first."""
    run = await runner.start(TrainingConfig(**{**ENDLESS, **settings}))
    async for event in run.events():
        if isinstance(event, EpochStarted):
            return run
    raise AssertionError(f"{run.read_progress().message}\n{run.read_log()}")


# --- a training that ran to its end, looked at from several sides


async def test_events_come_in_order(trained: Trained) -> None:
    names = [type(event).__name__ async for event in trained.run.events()]
    by_the_clock = {"BatchFinished", "ResourcesUsed"}
    others = [name for name in names if name not in by_the_clock]
    epoch = ["EpochStarted", "CheckpointSaved", "EpochFinished", "SamplesSaved"]
    assert others == ["Queued", "Started", "Prepared", *epoch, *epoch, "Finished"]
    assert names[names.index("EpochStarted") + 1] == "BatchFinished"


async def test_the_last_batch_of_each_epoch_is_told(trained: Trained) -> None:
    batches = [e async for e in trained.run.events() if isinstance(e, BatchFinished)]
    last = {(event.epoch, event.batch) for event in batches if event.batch == event.batches}
    assert last == {(1, 3), (2, 3)}
    assert all(event.losses["box_loss"] > 0 for event in batches)


def test_progress_after_the_end(trained: Trained) -> None:
    progress = trained.run.read_progress()
    assert (progress.state, progress.fraction, progress.epochs_completed) == ("finished", 1.0, 2)
    assert progress.device == "cpu"
    assert [set(epoch.metrics) for epoch in progress.history] == [
        {"precision", "recall", "map50", "map50_95"}
    ] * 2
    assert "random weights" in progress.note


def test_the_old_names_of_what_is_read_say_the_new_ones(trained: Trained) -> None:
    run = trained.run
    progress = run.read_progress()
    values = {
        "progress": progress,
        "state": progress.state,
        "log": run.read_log(),
        "can_resume": run.is_resumable(progress),
        "model_name": run.read_model_name(),
    }
    for name, value in values.items():
        with pytest.warns(DeprecationWarning, match=f"Run.{name} is now Run") as told:
            assert getattr(run, name) == value
        assert Path(told[0].filename) == Path(__file__)  # where the old name stands
    with pytest.warns(DeprecationWarning, match="read_curves"):
        assert run.curves.equals(run.read_curves())


async def test_the_model_is_registered_with_metrics_and_active(trained: Trained) -> None:
    [model] = await trained.stores.model.list()
    assert model.name == trained.run.read_model_name() == trained.run.job.model_name
    assert model.is_active
    assert (model.base_model, model.dataset_name) == ("yolo11n.yaml", "shapes")
    assert (model.epochs_completed, model.class_names) == (2, CLASSES)
    assert set(model.metrics) == {"best_map50", "best_map50_95", "precision", "recall"}
    assert all(0 <= value <= 1 for value in model.metrics.values())
    assert model.best_map50 == model.metrics["best_map50"]
    assert model.details["run_id"] == trained.run.id
    assert model.details["config"] == trained.run.config.to_json()
    assert model.details["dataset_digest"] == trained.run.job.digest
    weights = trained.run.path / "weights" / "best.pt"
    assert model.path.read_bytes() == weights.read_bytes()


def test_the_run_folder_holds_what_it_says(trained: Trained) -> None:
    names = {path.name for path in trained.run.path.iterdir()}
    assert {"config.json", "data", "events.jsonl", "log.txt", "ultralytics", "weights"} <= names
    config = json.loads((trained.run.path / "config.json").read_text())
    assert config["config"]["epochs"] == 2
    assert config["num_images"]["train"] == 12
    assert (trained.run.path / "ultralytics" / "results.csv").is_file()


def test_nothing_is_written_into_the_working_directory(trained: Trained) -> None:
    assert trained.cwd_after == trained.cwd_before


def test_nothing_used_the_network(trained: Trained) -> None:
    assert not trained.network_log.exists(), trained.network_log.read_text()


def test_the_log_reads_like_a_terminal(trained: Trained) -> None:
    assert "2 epochs completed" in trained.run.read_log()
    assert "\x1b" not in trained.run.read_log()


async def test_another_runner_finds_the_run_and_registers_nothing_twice(trained: Trained) -> None:
    other = TrainingRunner(trained.stores, trained.runner.runs_dir)
    runs = await asyncio.gather(*(other.list_runs() for _ in range(3)))
    assert [[run.id for run in found] for found in runs] == [[trained.run.id]] * 3
    assert (await other.get(trained.run.id)).read_progress().state == "finished"
    assert len(await trained.stores.model.list()) == 1


async def test_a_run_that_was_registered_is_never_registered_again(
    trained: Trained, persistence_stores: Stores
) -> None:
    # The model may have been deleted since: the run says that it went to a store, and this
    # store has none.
    runs = await TrainingRunner(persistence_stores, trained.runner.runs_dir).list_runs()
    assert [run.read_progress().state for run in runs] == ["finished"]
    assert await persistence_stores.model.list() == []


def _copied(trained: Trained, runs: Path, *names: str) -> Path:
    """Return the folder of a run of this machine, with some of the files of another."""
    copy = runs / trained.run.id
    for name in names:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((trained.run.path / name).read_bytes())
    mark_own(copy)
    return copy


async def test_a_model_saved_by_somebody_who_died_before_noting_it_is_taken_as_it_is(
    trained: Trained, persistence_stores: Stores, tmp_path: Path
) -> None:
    copy = _copied(trained, tmp_path / "runs", "config.json", "events.jsonl", "weights/best.pt")
    details = {"run_id": trained.run.id}
    weights = copy / "weights" / "best.pt"
    await persistence_stores.model.save("half", weights, "b", "d", details=details)
    [run] = await TrainingRunner(persistence_stores, tmp_path / "runs").list_runs()
    assert [model.name for model in await persistence_stores.model.list()] == ["half"]
    assert run.read_model_name() == "half"
    active = await persistence_stores.model.get_active()
    assert active is not None
    assert active.name == "half"


async def test_a_run_that_has_lost_its_weights_is_listed_and_says_so(
    trained: Trained, persistence_stores: Stores, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _copied(trained, tmp_path / "runs", "config.json", "events.jsonl")
    [run] = await TrainingRunner(persistence_stores, tmp_path / "runs").list_runs()
    assert run.read_progress().state == "finished"
    assert "expected best.pt" in caplog.text
    with pytest.raises(TrainingError, match=r"expected best\.pt"):
        await run.settle()


async def test_a_name_that_was_taken_in_the_meantime_gets_a_number(
    trained: Trained, persistence_stores: Stores, tmp_path: Path
) -> None:
    copy = _copied(trained, tmp_path / "runs", "config.json", "events.jsonl", "weights/best.pt")
    name = trained.run.job.model_name
    await persistence_stores.model.save(name, copy / "weights" / "best.pt", "b", "d")
    [run] = await TrainingRunner(persistence_stores, tmp_path / "runs").list_runs()
    assert run.read_model_name() == f"{name}-2"


# --- runs that do not end by themselves


async def test_a_stopped_run_keeps_its_best_weights_and_registers_them(
    runner: TrainingRunner, persistence_stores: Stores
) -> None:
    run = await started(runner)
    while run.read_progress().epochs_completed < 1:
        await asyncio.sleep(0.05)
    # A second kernel that finds the run going on: stops it there, sees it end here.
    [other] = await TrainingRunner(persistence_stores, runner.runs_dir).list_runs()
    assert (other.id, other.read_progress().state) == (run.id, "running")
    await other.stop()
    assert other.read_progress().state in {"stopping", "stopped"}
    progress = await run.wait()
    assert progress.state == "stopped"
    assert 1 <= progress.epochs_completed < 500
    [model] = await persistence_stores.model.list()
    assert (model.is_active, model.epochs_completed) == (True, progress.epochs_completed)


async def test_a_killed_worker_and_a_dropped_image_are_noticed_and_said(
    runner: TrainingRunner, persistence_stores: Stores, tmp_path: Path
) -> None:
    # Ultralytics leaves such an image out of training with no more than a line in its log.
    [label] = (tmp_path / "data" / "shapes" / "labels" / "train").glob("train_003.txt")
    label.write_text("0 2.5 0.5 0.2 0.2\n")
    run = await started(runner)
    assert any(
        "leaves out 1 of 12 images of train" in text for text in run.read_progress().warnings
    )
    worker = process_of(run)
    os.kill(worker.pid, signal.SIGKILL)
    while worker.find() is not None:
        await asyncio.sleep(0.05)
    with (run.path / "events.jsonl").open("ab") as file:
        file.write(b'{"event": "Batch')  # what a kill in the middle of a write leaves
    with pytest.raises(TrainingError, match="gone without a word"):
        await run.wait()
    lines = (run.path / "events.jsonl").read_text().splitlines()
    assert isinstance(parse_event(lines[-1]), Failed)
    assert run.read_progress().state == "failed"
    assert await persistence_stores.model.list() == []


async def test_a_run_whose_folder_is_taken_away_is_over(
    runner: TrainingRunner, persistence_stores: Stores
) -> None:
    run = await started(runner)
    worker = process_of(run)
    run.path.rename(run.path.with_name("elsewhere"))
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(TrainingError, match=rf"{run.id} is not there any more: somebody has"):
        async with asyncio.timeout(60):
            await run.wait()
    assert (await run.refresh()).state == "failed"
    assert not run.path.exists()  # nobody makes it again
    assert await persistence_stores.model.list() == []


async def test_a_cancelled_run_leaves_no_process_and_no_model(
    runner: TrainingRunner, persistence_stores: Stores
) -> None:
    run = await runner.start(TrainingConfig(**TINY))
    assert process_of(run).find() is not None
    await run.cancel()
    assert process_of(run).find() is None
    assert (await run.wait()).state == "cancelled"
    assert await persistence_stores.model.list() == []
    await run.cancel()
    last_two = (run.path / "events.jsonl").read_text().splitlines()[-2:]
    assert [json.loads(line)["event"] for line in last_two].count("Cancelled") == 1


async def test_a_run_on_trained_weights_outlives_the_process_that_started_it(
    trained: Trained, persistence_stores: Stores, tmp_path: Path
) -> None:
    await make_shapes(persistence_stores)
    weights = str(trained.run.path / "weights" / "best.pt")
    script = f"""
import asyncio
from tests.helpers.training import TINY
from workbench.persistence import create_stores
from workbench.training.config import TrainingConfig
from workbench.training.runner import TrainingRunner
stores = create_stores({str(tmp_path / "data")!r}, {str(tmp_path / "models")!r})
runner = TrainingRunner(stores, {str(tmp_path / "runs")!r})
config = TrainingConfig(**TINY | {{"base_model": {weights!r}}}, epochs=500, patience=0)
run = asyncio.run(runner.start(config))
import os, signal
os.killpg(0, signal.SIGKILL)
"""
    starter = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).resolve().parents[2],
        start_new_session=True,
        check=False,
    )
    assert starter.returncode == -signal.SIGKILL
    [run] = await TrainingRunner(persistence_stores, tmp_path / "runs").list_runs()
    assert run.read_progress().state in {"starting", "running"}
    async for event in run.events():
        if isinstance(event, EpochFinished):
            break
    assert "Transferred" in run.read_log()
    await run.stop()
    assert (await run.wait()).state == "stopped"
    [model] = await persistence_stores.model.list()
    assert model.base_model == "best.pt"
    assert (model.name, model.is_active) == (run.read_model_name(), True)


async def test_a_setting_that_ultralytics_refuses_is_told_with_its_words(
    runner: TrainingRunner,
) -> None:
    run = await runner.start(TrainingConfig(**TINY, epochs=1, extra={"optimizer": "Adamant"}))
    with pytest.raises(TrainingError, match="Adamant"):
        await run.wait()
    assert "Traceback" in run.read_progress().traceback


# --- runs that never start


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"dataset": "nothing"}, NotFoundError, "nothing"),
        ({"base_model": "yolo99n"}, InvalidConfigError, "yolo99n"),
        ({"extra": {"mosiac": 0}}, InvalidConfigError, "mosaic"),
    ],
)
async def test_what_cannot_be_trained_is_refused_and_leaves_no_folder(
    runner: TrainingRunner, settings: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        await runner.start(TrainingConfig(**{**TINY, **settings}))
    assert not runner.runs_dir.exists()


async def test_a_dataset_without_val_is_refused_with_the_remedy(
    runner: TrainingRunner, persistence_stores: Stores
) -> None:
    for image in await persistence_stores.image.list("shapes", "val"):
        await persistence_stores.image.move("shapes", image.filename, "val", "train")
    with pytest.raises(TrainingError, match=r"no images in val.*move some images to val"):
        await runner.start(TrainingConfig(**TINY))


async def test_a_taken_model_name_is_refused_before_the_start(
    runner: TrainingRunner, persistence_stores: Stores, tmp_path: Path
) -> None:
    (tmp_path / "w.pt").write_bytes(b"w")
    await persistence_stores.model.save("mine", tmp_path / "w.pt", "b", "d")
    with pytest.raises(InvalidConfigError, match="'mine' already"):
        await runner.start(TrainingConfig(**TINY, model_name="mine"))


async def test_a_run_whose_process_never_came_is_failed(
    runner: TrainingRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    run = await runner.start(TrainingConfig(**TINY))
    with pytest.raises(TrainingError, match=r"never started \(exit status 1\)"):
        await run.wait()


async def test_folders_that_are_no_runs_are_left_out(
    runner: TrainingRunner, caplog: pytest.LogCaptureFixture
) -> None:
    (runner.runs_dir / "notes").mkdir(parents=True)
    (runner.runs_dir / "broken").mkdir()
    (runner.runs_dir / "broken" / "config.json").write_text("{")
    assert await runner.list_runs() == []
    assert "broken" in caplog.text
