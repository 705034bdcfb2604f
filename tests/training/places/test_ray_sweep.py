"""A sweep on a real Ray cluster of two nodes, on this machine, whose bad trials end early."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.ray_cluster import RayCluster, ray_cluster
from workbench.panels.train import TrainPanel
from workbench.panels.train.sweep_words import parallel_figure, sweep_status, trials_table
from workbench.persistence import Stores
from workbench.samples import DETECTOR, create_shapes
from workbench.training.config import TrainingConfig
from workbench.training.runner import TrainingRunner
from workbench.training.sweeps.halving import Halving

# A minute on two cores.
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

RATES = [0.0005, 0.001, 0.002, 0.3, 0.6, 1.0]
"""The last three ruin what the detector has learned."""


@pytest.fixture
def cluster() -> Iterator[RayCluster]:
    """A cluster of two nodes with one processor each."""
    with ray_cluster(cpus=1) as found:
        found.tell("add")
        yield found


async def test_six_trials_on_two_nodes_of_which_the_bad_ones_end_early(
    cluster: RayCluster, persistence_stores: Stores, tmp_path: Path
) -> None:
    await create_shapes(persistence_stores, "shapes", num_images=24)
    runner = TrainingRunner(persistence_stores, tmp_path / "runs")
    config = TrainingConfig(
        dataset="shapes",
        base_model=str(DETECTOR),
        model_name="the best of six",
        epochs=6,
        image_size=96,
        batch=4,
        workers=0,
        device="cpu",
        # With `nbs` each batch is a step: else there is one in three epochs, and all are alike.
        extra={"optimizer": "SGD", "warmup_epochs": 0, "mosaic": 0.0, "nbs": 4},
    )
    sweep = await runner.sweep(
        config, {"lr0": RATES}, halving=Halving(1, 2), at_once=2, where=cluster.address
    )
    progress = await sweep.wait()
    assert progress.state == "finished"
    early = [trial for trial in progress.trials if trial.state == "ended early"]
    assert {trial.state for trial in progress.trials} <= {"ended early", "finished"}
    assert early
    assert all(trial.epochs_completed < config.epochs for trial in early)
    assert all(trial.node_hours > 0 for trial in progress.trials)

    best = progress.best
    assert best is not None
    assert best.settings["lr0"] in RATES[:3]
    [model] = await persistence_stores.model.list()
    assert (model.name, model.is_active) == ("the best of six", True)
    assert model.details["run_id"] == best.run_id
    assert sweep.read_table().index[0] == best.number

    panel = TrainPanel("shapes", persistence_stores, runner.runs_dir)
    await panel.sweeps.model.refresh()
    shown = panel.sweeps.model.progress
    panel.close()
    assert shown == progress
    assert f"best: trial {best.number}" in sweep_status(sweep.id, shown, model.name)
    assert trials_table(shown).count("ended early") == len(early)
    [trace] = json.loads(parallel_figure(shown, sweep.id))["data"]
    assert [axis["label"] for axis in trace["dimensions"]] == ["lr0", "mAP50-95"]
    assert len(trace["line"]["color"]) == len(RATES)
