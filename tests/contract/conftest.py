"""The contract suite runs every test once for each implementation of the stores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from tests.helpers.backends import BACKENDS, Backend, make_backend
from tests.helpers.pictures import jpeg
from tests.storage.sqlite_storage import SqliteStorage
from workbench.persistence import DatasetStore, ImageStore, LabelStore, ModelStore, Stores
from workbench.persistence.storage import Storage
from workbench.persistence.storage.bucket import BucketStorage
from workbench.persistence.storage.local import LocalStorage
from workbench.persistence.storage.memory import MemoryStorage
from workbench.persistence.stores.layouts import MODELS

STORAGES: dict[str, Callable[[Path], Storage]] = {
    "bucket": lambda folder: BucketStorage(MemoryStore(), "memory"),
    "local": lambda folder: LocalStorage(str(folder), MODELS),
    "memory": lambda folder: MemoryStorage(),
    "sqlite": lambda folder: SqliteStorage(folder / "models.sqlite"),
}


@pytest.fixture(params=sorted(BACKENDS))
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    return make_backend(request.param, tmp_path)


@pytest.fixture
def stores(backend: Backend) -> Stores:
    return backend.stores


@pytest.fixture
def ds(stores: Stores) -> DatasetStore:
    return stores.dataset


@pytest.fixture
def img(stores: Stores) -> ImageStore:
    return stores.image


@pytest.fixture
def lbl(stores: Stores) -> LabelStore:
    return stores.label


@pytest.fixture(params=sorted(STORAGES))
def models(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """What the model store lies over: it is one class, and works over any storage."""
    folder = tmp_path / "models"
    folder.mkdir()
    return STORAGES[request.param](folder)


@pytest.fixture
def mdl(models: Storage) -> ModelStore:
    return ModelStore(models)


@pytest.fixture
async def pets(stores: Stores) -> str:
    """A dataset of three classes with ``a.jpg`` in train, not labelled."""
    await stores.dataset.create("pets", classes=["cat", "dog", "bird"])
    await stores.image.save_bytes("pets", "train", "a.jpg", jpeg(1))
    return "pets"
