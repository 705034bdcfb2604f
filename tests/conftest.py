"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.persistence import Stores, create_stores, set_stores

# Tests here drive browsers, JupyterLabs, kernels and trainings.
PROCESSES = {"browser", "capture", "panels", "training"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In CI, give a test of real processes a second try; the summary names it then.

    Not on a developer's machine: a test that needs two tries is to be repaired.
    """
    if not os.environ.get("CI"):
        return
    root = Path(__file__).parent
    for item in items:
        inside = item.path.relative_to(root).parts if item.path.is_relative_to(root) else ()
        if inside and inside[0] in PROCESSES:
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture
def persistence_stores(tmp_path: Path) -> Iterator[Stores]:
    """Real stores over `tmp_path`, also reachable through the accessors."""
    stores = create_stores(data_dir=tmp_path / "data", models_dir=tmp_path / "models")
    set_stores(stores)
    yield stores
    set_stores(None)
