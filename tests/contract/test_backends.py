"""The suite itself: no implementation is forgotten, none is skipped in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.backends import BACKENDS, make_backend
from workbench.persistence import DatasetStore, ImageStore, LabelStore, ModelStore

CONTRACTS = (DatasetStore, ImageStore, LabelStore, ModelStore)


def test_a_backend_that_is_not_configured_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="no backend 's3' is configured"):
        make_backend("s3", tmp_path)


def test_every_implementation_in_the_package_is_under_contract(tmp_path: Path) -> None:
    tested: set[type] = set()
    for kind in BACKENDS:
        stores = make_backend(kind, tmp_path / kind).stores
        tested |= {type(s) for s in (stores.dataset, stores.image, stores.label, stores.model)}
    there = {
        subclass
        for contract in CONTRACTS
        for subclass in contract.__subclasses__()
        if subclass.__module__.startswith("workbench.")
    }
    assert there
    assert there <= tested
