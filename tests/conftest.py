"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.persistence import Stores, create_stores, set_stores


@pytest.fixture
def persistence_stores(tmp_path: Path) -> Iterator[Stores]:
    """Real stores over `tmp_path`, also reachable through the accessors."""
    stores = create_stores(data_dir=tmp_path / "data", models_dir=tmp_path / "models")
    set_stores(stores)
    yield stores
    set_stores(None)
