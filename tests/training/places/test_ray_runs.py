"""Runs on a real Ray cluster of this machine."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import psutil
import pytest

from tests.helpers.ray_cluster import RayCluster, ray_cluster
from tests.helpers.runs import events_of, gone, process_of, reach
from tests.helpers.training import ENDLESS, TINY, install_network_guard
from workbench.errors import TrainingError
from workbench.persistence import Stores
from workbench.persistence.process_record import ProcessRecord
from workbench.persistence.run_folder import RunFolder
from workbench.training.config import TrainingConfig
from workbench.training.events import (
    DataFetched,
    EpochStarted,
    Placed,
    SamplesSaved,
    Started,
    Warned,
)
from workbench.training.places import ray, versions
from workbench.training.places.versions import ask_a_node, versions_here
from workbench.training.run import Run
from workbench.training.runner import TrainingRunner


@pytest.fixture(scope="module")
def network_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where each use of the network by anything that the tests start is written to."""
    with pytest.MonkeyPatch.context() as patch:
        yield install_network_guard(tmp_path_factory.mktemp("guard"), patch)


@pytest.fixture(scope="module")
def cluster(network_log: Path) -> Iterator[RayCluster]:
    """A cluster of one node with one processor."""
    with ray_cluster(cpus=1) as found:
        yield found


def keeper_of(run: Run) -> ProcessRecord:
    found = RunFolder(run.path).read_keeper()
    assert found is not None
    return found[0]


def pictures_and_labels(run: Run) -> list[Path]:
    return [path for path in (run.path / "data").glob("*/*/*") if path.is_file()]


def addresses_of(cluster: RayCluster) -> set[str]:
    """Where the processes of a cluster listen."""
    connections = chain(*cluster.each(lambda process: process.net_connections("inet")))
    return {one.laddr.ip for one in connections if one.status == psutil.CONN_LISTEN}


async def test_a_run_on_a_cluster_is_what_a_run_on_this_machine_is(
    cluster: RayCluster, runner: TrainingRunner, persistence_stores: Stores, network_log: Path
) -> None:
    config = TrainingConfig(**TINY, epochs=1)
    run = await runner.start(config, where=cluster.address)
    progress = await run.wait()
    assert (progress.state, progress.epochs_completed, progress.warnings) == ("finished", 1, ())
    by_the_clock = {"BatchFinished", "ResourcesUsed"}
    events = await events_of(run)
    names = [name for event in events if (name := type(event).__name__) not in by_the_clock]
    epoch = ["EpochStarted", "CheckpointSaved", "EpochFinished", "SamplesSaved"]
    placed = ["Placed", "Placed"]
    assert names == ["Queued", *placed, "DataFetched", "Started", "Prepared", *epoch, "Finished"]
    [fetched] = [event for event in events if isinstance(event, DataFetched)]
    assert (fetched.files, fetched.bytes > 0) == (len(pictures_and_labels(run)) + 1, True)
    handed, begun = [event for event in events if isinstance(event, Placed)]
    assert (handed.where, handed.node) == (cluster.address, "")
    assert (begun.task, bool(begun.node)) == (handed.task, True)
    assert 0 < progress.node_hours * 3600 <= progress.updated_at - handed.time
    [model] = await persistence_stores.model.list()
    assert (model.name, model.is_active) == (run.read_model_name(), True)
    assert model.path.read_bytes() == (run.path / "weights" / "best.pt").read_bytes()
    assert "1 epochs completed" in run.read_log()
    assert (run.config, run.job.where) == (config, f"{cluster.address}?cpus=1")
    await gone(keeper_of(run))
    assert not network_log.exists(), network_log.read_text()
    listening = addresses_of(cluster)
    assert listening
    assert listening <= {"127.0.0.1", "::ffff:127.0.0.1"}


@pytest.mark.long
async def test_a_run_on_a_cluster_is_paused_resumed_and_stopped(
    cluster: RayCluster, runner: TrainingRunner, persistence_stores: Stores
) -> None:
    run = await runner.start(TrainingConfig(**ENDLESS), where=cluster.address)
    await reach(run, EpochStarted)
    await run.pause()
    done = (await run.wait()).epochs_completed
    assert (run.read_progress().state, done >= 1) == ("paused", True)
    await run.resume(batch=2)
    await reach(run, SamplesSaved, epoch=done + 1, attempt=2)
    await run.stop()
    progress = await run.wait()
    assert (progress.state, progress.attempt) == ("stopped", 2)
    events = await events_of(run)
    assert [e.epochs_done for e in events if isinstance(e, Started)] == [0, done]
    assert [e.bytes for e in events if isinstance(e, DataFetched)][1:] == [0]  # they were here
    [model] = await persistence_stores.model.list()
    assert model.epochs_completed == progress.epochs_completed


@pytest.mark.long
async def test_a_run_whose_worker_is_killed_goes_on_from_its_checkpoint(
    cluster: RayCluster, runner: TrainingRunner
) -> None:
    run = await runner.start(TrainingConfig(**ENDLESS), where=cluster.address)
    await reach(run, EpochStarted, epoch=2)
    os.kill(process_of(run).pid, signal.SIGKILL)
    await reach(run, Warned)
    done = run.read_progress().epochs_completed
    await reach(run, SamplesSaved, epoch=done + 1)
    await run.stop()
    progress = await run.wait()
    assert (progress.state, progress.attempt) == ("stopped", 1)
    begins = [e.epochs_done for e in await events_of(run) if isinstance(e, Started)]
    assert begins[0] == 0
    assert begins[1] >= 1
    assert "is gone without a word (" in progress.warnings[0]


@pytest.mark.long
async def test_a_run_outlives_its_keeper_and_the_next_who_looks_follows_it(
    cluster: RayCluster, runner: TrainingRunner, persistence_stores: Stores
) -> None:
    run = await runner.start(TrainingConfig(**ENDLESS), where=cluster.address)
    await reach(run, EpochStarted)
    first, worker = keeper_of(run), process_of(run)
    os.kill(first.pid, signal.SIGKILL)
    await gone(first)
    # A kernel that was opened later.
    [other] = await TrainingRunner(persistence_stores, runner.runs_dir).list_runs()
    await reach(other, SamplesSaved, epoch=other.read_progress().epoch + 1)
    second = keeper_of(other)
    assert (second != first, second.find() is not None) == (True, True)
    assert process_of(other) == worker
    await other.cancel()
    assert other.read_progress().state == "cancelled"
    await gone(worker)
    assert await persistence_stores.model.list() == []


@pytest.mark.long
async def test_a_run_that_waits_on_the_cluster_can_be_cancelled_and_stopped(
    cluster: RayCluster, runner: TrainingRunner
) -> None:
    first = await runner.start(TrainingConfig(**ENDLESS), where=cluster.address)
    await reach(first, EpochStarted)
    second, third = [
        await runner.start(TrainingConfig(**ENDLESS), where=cluster.address) for _ in range(2)
    ]
    for run in (second, third):
        await reach(run, Placed)
        assert run.read_progress().state == "waiting"
    await second.cancel()
    await third.stop()
    assert (await third.wait()).state == "stopped"
    assert second.read_progress().state == "cancelled"
    for run in (second, third):
        assert [type(event).__name__ for event in await events_of(run)][:2] == ["Queued", "Placed"]
        assert RunFolder(run.path).read_process() is None
    assert first.read_progress().state == "running"
    await first.cancel()


@pytest.mark.long
async def test_the_trials_of_a_sweep_are_runs_on_the_cluster(
    cluster: RayCluster, runner: TrainingRunner, persistence_stores: Stores
) -> None:
    config = TrainingConfig(**TINY, epochs=1)
    sweep = await runner.sweep(config, {"seed": [1, 2]}, at_once=2, where=cluster.address)
    progress = await sweep.wait()
    assert [trial.state for trial in progress.trials] == ["finished", "finished"]
    assert all(trial.node_hours > 0 for trial in progress.trials)
    [model] = await persistence_stores.model.list()
    assert progress.best is not None
    assert model.details["run_id"] == progress.best.run_id


@pytest.mark.long
async def test_other_versions_on_a_node_are_named_before_a_run_is_sent(
    cluster: RayCluster, runner: TrainingRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its one processor may still be another test's, and a busy machine answers late.
    monkeypatch.setattr(versions, "_SECONDS_FOR_ANSWER", 150.0)
    answer = ask_a_node(cluster.address, 1.0, 0.0)
    assert answer is not None
    host, found = answer
    assert found.items() <= versions_here().items()
    assert set(found) == {"python", "torch", "ultralytics"}
    monkeypatch.setattr(ray, "versions_here", lambda: {**found, "torch": "1.0"})
    monkeypatch.setattr(ray, "_fitted", {})
    with pytest.raises(TrainingError) as told:
        await runner.start(TrainingConfig(**TINY, epochs=1), where=cluster.address)
    text = f"the node {host} has torch {found['torch']} instead of 1.0: `pip install torch==1.0`"
    assert text in str(told.value)
    assert await runner.list_runs() == []
