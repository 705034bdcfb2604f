"""A version can be looked at with the stores, whatever it lies in, and nothing is copied."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.helpers.pictures import jpeg
from tests.helpers.storages import STORAGES
from workbench.errors import InvalidDatasetError, NotFoundError, ReadOnlyError
from workbench.persistence import ModelStore, Stores
from workbench.persistence.frozen_view import frozen_view
from workbench.persistence.models import Annotation
from workbench.persistence.opening import stores_over
from workbench.persistence.storage import Remove, Roots, Storage, Write
from workbench.persistence.storage.memory import MemoryRoots, MemoryStorage
from workbench.persistence.stores.catalogue import StoredCatalogue

YAML = b"train: images/train\nval: images/val\ntest: images/test\nnames: [cat, dog]\n"
OBJECTS = ".workbench/versions/objects"
LABEL = "labels/train/a.txt"


@pytest.fixture(params=sorted(STORAGES))
def roots(request: pytest.FixtureRequest, tmp_path: Path) -> Roots:
    def make(where: str) -> Storage:
        folder = tmp_path / where
        folder.mkdir(parents=True)
        return STORAGES[request.param](folder)

    return MemoryRoots("roots", make)


@pytest.fixture
async def stores(roots: Roots) -> Stores:
    """The dataset ``pets``, with a version ``v1``, after which everything was changed."""
    storage = roots.at("pets")
    storage.commit(
        [
            Write("data.yaml", YAML),
            Write("images/train/a.jpg", jpeg(1)),
            Write("images/val/b.jpg", jpeg(2)),
            Write(LABEL, b"1 0.5 0.5 0.25 0.5\n"),
        ]
    )
    stores = stores_over(StoredCatalogue(roots), ModelStore(MemoryStorage()))
    await stores.dataset.freeze("pets", "v1")
    storage.commit(
        [
            Write(LABEL, b""),
            Write("images/val/b.jpg", jpeg(3)),
            Remove("images/train/a.jpg"),
            Write("images/test/c.jpg", jpeg(4)),
        ]
    )
    return stores


async def test_the_dataset_is_as_it_was(stores: Stores, roots: Roots) -> None:
    """Its images, labels and classes; it alone is there, and its origin stays as it is."""
    view = await frozen_view(stores, "pets", "v1")
    info = await view.dataset.get("pets")
    assert (info.classes, info.num_images) == (["cat", "dog"], {"train": 1, "val": 1, "test": 0})
    assert [one.name for one in await view.dataset.list()] == ["pets"]
    keys = [("train", "a.jpg"), ("val", "b.jpg")]
    assert await view.image.read_many("pets", keys) == [jpeg(1), jpeg(2)]
    found = {(one.split, one.filename): one.size_bytes for one in await view.image.list("pets")}
    assert found == {keys[0]: len(jpeg(1)), keys[1]: len(jpeg(2))}
    [box] = await view.label.load("pets", "train", "a.jpg")
    assert box == Annotation(class_id=1, x=0.5, y=0.5, width=0.25, height=0.5)
    assert (await view.image.load("pets", "val", "b.jpg")).ndim == 3
    assert roots.at("pets").read(LABEL) == b""


async def test_nothing_can_be_changed_in_it(stores: Stores) -> None:
    """A version stays what it is."""
    view = await frozen_view(stores, "pets", "v1")
    with pytest.raises(ReadOnlyError, match="v1"):
        await view.label.save("pets", "train", "a.jpg", [])
    with pytest.raises(ReadOnlyError, match="v1"):
        await view.image.delete("pets", "train", "a.jpg")
    assert len(await view.label.load("pets", "train", "a.jpg")) == 1


async def test_what_is_not_there_or_lost_is_said(stores: Stores, roots: Roots) -> None:
    """Before anybody works with half a version."""
    with pytest.raises(NotFoundError, match="no version 'v2'; it has v1"):
        await frozen_view(stores, "pets", "v2")
    storage = roots.at("pets")
    part = storage.list(OBJECTS).folders[0]
    [name, *_] = storage.list(f"{OBJECTS}/{part}").names
    await asyncio.to_thread(storage.commit, [Write(f"{OBJECTS}/{part}/{name}", b"damaged")])
    with pytest.raises(InvalidDatasetError, match="is lost"):
        await frozen_view(stores, "pets", "v1")
