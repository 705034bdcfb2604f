"""The suite itself: no implementation is forgotten, none is skipped in silence."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.helpers.backends import BACKENDS, make_backend
from tests.storage.sqlite_storage import SqliteStorage
from workbench.persistence.storage.bucket import BucketStorage
from workbench.persistence.storage.local import LocalStorage
from workbench.persistence.storage.memory import MemoryStorage


def test_a_backend_that_is_not_configured_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="no backend 's3' is configured"):
        make_backend("s3", tmp_path)


def test_every_storage_in_the_package_is_under_contract(tmp_path: Path) -> None:
    tested = set()
    for kind in BACKENDS:
        backend = make_backend(kind, tmp_path / kind)
        asyncio.run(backend.stores.dataset.create("pets"))
        tested.add(type(backend.storage("pets")))
    assert tested == {BucketStorage, LocalStorage, MemoryStorage, SqliteStorage}
