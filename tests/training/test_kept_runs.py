"""Runs whose record is kept in a storage: another machine finds them, and lets them go on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.helpers.runs import gone, process_of, reach
from tests.helpers.sweeps import add_epoch, job, run_of
from tests.helpers.training import TINY, make_shapes
from workbench.errors import StorageError, TrainingError
from workbench.persistence import Stores, create_memory_stores
from workbench.persistence.process_record import ProcessRecord
from workbench.persistence.run_folder import RunFolder
from workbench.persistence.storage.memory import MemoryStorage
from workbench.persistence.stores.runs import RunStore
from workbench.training.config import TrainingConfig
from workbench.training.events import EpochStarted, Finished, Paused, Queued
from workbench.training.run import Run
from workbench.training.runner import TrainingRunner
from workbench.training.telling import tell


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage("runs")


@pytest.fixture
def stores() -> Stores:
    return create_memory_stores()


@pytest.fixture
def here(stores: Stores, storage: MemoryStorage, tmp_path: Path) -> TrainingRunner:
    return TrainingRunner(stores, RunStore(tmp_path / "here", storage))


@pytest.fixture
def there(stores: Stores, storage: MemoryStorage, tmp_path: Path) -> TrainingRunner:
    """A runner of another machine, on the same data."""
    return TrainingRunner(stores, RunStore(tmp_path / "there", storage))


async def kept(runner: TrainingRunner, *curve: float, is_over: bool = True) -> RunFolder:
    """A run of this process that has measured so much, and is kept."""
    folder = run_of(runner.runs_dir, "20260101-000000-cups", *curve, is_over=is_over)
    folder.weights.folder.mkdir()
    (folder.weights.folder / "best.pt").write_bytes(b"weights")
    await runner.list_runs()
    return folder


async def test_a_run_elsewhere_is_shown_and_followed(
    here: TrainingRunner, there: TrainingRunner
) -> None:
    folder = await kept(here, 0.1, is_over=False)
    [run] = await there.list_runs()
    progress = await run.refresh()
    assert (progress.is_over, progress.epochs_completed) == (False, 1)
    add_epoch(folder, 2, 0.2)
    (folder.weights.folder / "last.pt").write_bytes(b"weights")
    await here.list_runs()
    run._looked_for_turn = 0.0  # else it asks every two seconds only
    await run.refresh()
    assert run.read_progress().epochs_completed == 2
    for asked in (run.stop, run.pause, run.cancel):
        with pytest.raises(TrainingError, match=r"runs on .*: end it, or let it go on, there"):
            await asked()


async def test_a_run_that_waits_elsewhere_is_not_lost_and_not_started(
    here: TrainingRunner, there: TrainingRunner
) -> None:
    folder = RunFolder(here.runs_dir / "20260101-000000-cups")
    folder.path.mkdir(parents=True)
    folder.write_job(job(folder.id).to_json())
    tell(folder, Queued(time=time.time()))
    # Behind this process, which occupies the processor.
    run_of(here.runs_dir, "20250101-000000-cups", 0.1, is_over=False)
    folder.write_queued(1.0)
    await here.list_runs()
    runs = {run.id: run for run in await there.list_runs()}
    assert (await runs[folder.id].refresh()).state == "waiting"
    assert await there.start_due() == []
    assert folder.read_process() is None


async def test_the_weights_of_a_run_go_to_the_models_from_where_it_is(
    here: TrainingRunner, there: TrainingRunner, stores: Stores
) -> None:
    folder = await kept(here, 0.1, is_over=False)
    folder.mark_own()
    content = folder.read_job() | {"sweep": ""}
    folder.write_job(content)
    tell(folder, Finished(time=time.time(), epochs_completed=1, metrics={"best_map50_95": 0.1}))
    await Run(folder, None, here.runs).keep()
    await there.list_runs()
    assert await stores.model.list() == []
    await here.list_runs()
    [model] = await stores.model.list()
    assert model.details["run_id"] == folder.id
    [run] = await there.list_runs()
    assert run.read_model_name() == model.name
    assert [info.name for info in await stores.model.list()] == [model.name]


async def test_what_cannot_be_kept_now_is_kept_later(
    here: TrainingRunner, storage: MemoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = await kept(here, 0.1, is_over=False)
    add_epoch(folder, 2, 0.2)

    def fails(*_: object, **__: object) -> None:
        raise StorageError("the network is gone")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "lease", fails)
        patch.setattr(storage, "list", fails)
        patch.setattr(storage, "read_many", fails)
        [run] = await here.list_runs()
        assert (await here.get(run.id)).read_progress().epochs_completed == 2
        await run.keep()
    before = storage.read(f"{folder.id}/events.jsonl")
    await run.keep()
    assert storage.read(f"{folder.id}/events.jsonl").startswith(before)
    assert len(storage.read(f"{folder.id}/events.jsonl")) > len(before)


async def test_data_that_changed_are_not_trained_on(
    here: TrainingRunner, there: TrainingRunner, stores: Stores
) -> None:
    folder = await kept(here, 0.1, is_over=False)
    tell(folder, Paused(time=time.time(), epochs_completed=1))
    await here.list_runs()
    [run] = await there.list_runs()
    with pytest.raises(TrainingError, match="'cups' is not what it was; start a new run"):
        await run.resume()
    await stores.dataset.create("cups", ["cup"])
    with pytest.raises(TrainingError, match="'cups' is not what it was; start a new run"):
        await run.resume()
    assert not (run.path / "data").exists()
    # It is where it was, and can be resumed there.
    assert there.runs.host_of(RunFolder(run.path)) == ProcessRecord.of_this_process().host


@pytest.mark.long
async def test_a_run_goes_on_on_another_machine(
    here: TrainingRunner, there: TrainingRunner, stores: Stores, storage: MemoryStorage
) -> None:
    """From the weights that were kept, on data that are frozen again."""
    await make_shapes(stores)
    run = await here.start(TrainingConfig(**{**TINY, "epochs": 3, "patience": 0}))
    await reach(run, EpochStarted)
    await run.pause()
    done = (await run.wait()).epochs_completed
    await gone(process_of(run))
    assert storage.read(f"{run.id}/weights/last.pt") == (run.path / "weights/last.pt").read_bytes()

    [other] = await there.list_runs()
    assert other.is_resumable()
    await other.resume()
    progress = await other.wait()
    assert (progress.state, progress.epochs_completed) == ("finished", 3)
    assert f"after epoch {done}" in progress.note
    [model] = await stores.model.list()
    assert model.details["run_id"] == run.id
    assert not storage.exists(f"{run.id}/weights/last.pt")
    await gone(process_of(other))

    [before] = await here.list_runs()
    assert before.read_progress().state == "finished"
    assert before.read_model_name() == model.name
    assert [info.name for info in await stores.model.list()] == [model.name]
