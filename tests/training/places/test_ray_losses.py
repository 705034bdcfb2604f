"""Runs on a real Ray cluster of several nodes, on this machine, that lose theirs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.ray_cluster import RayCluster, ray_cluster
from tests.helpers.runs import events_of, gone, process_of, reach
from tests.helpers.training import ENDLESS
from workbench.training.config import TrainingConfig
from workbench.training.events import EpochStarted, SamplesSaved, Started, Warned
from workbench.training.run import Run
from workbench.training.runner import TrainingRunner

# Minutes on two cores, each for a cluster of its own.
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture
def cluster() -> Iterator[RayCluster]:
    """A cluster whose only processor is on a node that is not the head."""
    with ray_cluster(cpus=0) as found:
        found.tell("add")
        yield found


async def goes_on(run: Run) -> None:
    """Wait until a run whose node was lost has learned more, and end it."""
    await reach(run, Warned)
    done = run.read_progress().epochs_completed
    await reach(run, SamplesSaved, epoch=done + 1)
    await run.stop()
    progress = await run.wait()
    assert (progress.state, progress.attempt) == ("stopped", 1)
    assert progress.epochs_completed > done >= 1
    [begun_with, went_on_with] = [
        event.epochs_done for event in await events_of(run) if isinstance(event, Started)
    ]
    assert begun_with == 0
    assert 1 <= went_on_with <= done + 1  # the last one may be saved, and not told
    [warning] = progress.warnings
    assert warning.endswith("; it goes on from its last checkpoint")


async def test_a_run_whose_node_is_lost_goes_on_at_another(
    cluster: RayCluster, runner: TrainingRunner
) -> None:
    run = await runner.start(TrainingConfig(**ENDLESS), where=cluster.address)
    await reach(run, EpochStarted, epoch=2)
    first = process_of(run)
    cluster.tell("add")
    cluster.tell("kill")
    await gone(first)
    await goes_on(run)
    assert process_of(run) != first


async def test_a_run_whose_head_is_lost_is_sent_again_when_there_is_one(
    cluster: RayCluster, runner: TrainingRunner
) -> None:
    run = await runner.start(TrainingConfig(**ENDLESS), where=cluster.address)
    await reach(run, EpochStarted, epoch=2)
    first = process_of(run)
    cluster.tell("behead")
    cluster.tell("add")
    await goes_on(run)
    await gone(first)
    assert process_of(run) != first
