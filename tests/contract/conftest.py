"""The contract suite runs every test once for each implementation of the stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.backends import BACKENDS, Backend, make_backend
from tests.helpers.pictures import jpeg
from workbench.persistence import DatasetStore, ImageStore, LabelStore, ModelStore, Stores


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


@pytest.fixture
def mdl(stores: Stores) -> ModelStore:
    return stores.model


@pytest.fixture
async def pets(stores: Stores) -> str:
    """A dataset of three classes with ``a.jpg`` in train, not labelled."""
    await stores.dataset.create("pets", classes=["cat", "dog", "bird"])
    await stores.image.save_bytes("pets", "train", "a.jpg", jpeg(1))
    return "pets"
