from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.helpers.training import Trained, make_shapes, trained_once
from workbench.persistence import Stores
from workbench.training.runner import TrainingRunner


@pytest.fixture(scope="session")
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A finished training, shared by all tests that only look at it."""
    return trained_once(request.config, tmp_path_factory.mktemp("trained"))


@pytest.fixture
async def runner(persistence_stores: Stores, tmp_path: Path) -> AsyncIterator[TrainingRunner]:
    """A runner over the dataset of shapes; what it leaves waiting or running is ended."""
    await make_shapes(persistence_stores)
    runner = TrainingRunner(persistence_stores, tmp_path / "runs")
    yield runner
    for sweep in await runner.list_sweeps():
        await sweep.cancel()
    # Those that wait first: else one would begin when another is ended.
    for run in [*await runner.list_waiting(), *await runner.list_runs()]:
        await run.cancel()
