"""Versions of a dataset as people use them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.backends import BACKENDS, make_backend
from tests.helpers.pictures import jpeg
from workbench.datasets.dataset import Dataset
from workbench.datasets.versions import Versions, to_frame
from workbench.errors import ConflictError, NotFoundError
from workbench.persistence import Stores
from workbench.persistence.models import Annotation

BOX = Annotation(0, 0.5, 0.5, 0.25, 0.5)


@pytest.fixture(params=sorted(BACKENDS))
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Stores:
    stores = make_backend(request.param, tmp_path).stores
    await stores.dataset.create("set", ["cat"])
    for number, name in enumerate(("a.jpg", "b.jpg")):
        await stores.image.save_bytes("set", "train", name, jpeg(number))
    await stores.label.save("set", "train", "a.jpg", [BOX])
    return stores


async def test_freeze_compare_restore_undo(stores: Stores) -> None:
    versions = Versions(stores, "set")
    await versions.freeze("v1", "by hand")
    await stores.label.save("set", "train", "a.jpg", [])
    await stores.image.move("set", "b.jpg", "train", "val")
    await stores.image.save_bytes("set", "val", "c.jpg", jpeg(3))
    frame = to_frame(await versions.compare("v1"))
    assert frame["change"].tolist() == ["image added", "moved", "boxes"]
    assert frame["filename"].tolist() == ["c.jpg", "b.jpg", "a.jpg"]
    assert frame["boxes_removed"].tolist() == [0, 0, 1]

    change = await versions.restore("v1")
    assert change.description == "version 'v1' restored"
    assert not await versions.compare("v1")
    await change.undo()
    assert (await stores.dataset.get("set")).num_images == {"train": 1, "val": 2, "test": 0}
    assert await stores.label.load("set", "train", "a.jpg") == []
    assert [info.automatic for info in await versions.list()] == [False, True, True]


async def test_undo_refuses_after_newer_work(stores: Stores) -> None:
    versions = Versions(stores, "set")
    await versions.freeze("v1")
    await stores.label.save("set", "train", "a.jpg", [])
    change = await versions.restore("v1")
    await stores.label.save("set", "train", "b.jpg", [])
    with pytest.raises(ConflictError, match="before restoring"):
        await change.undo()
    assert await stores.label.exists("set", "train", "b.jpg")
    await versions.delete("v1")
    with pytest.raises(ConflictError, match="no version 'v1'"):
        await change.undo()
    with pytest.raises(NotFoundError):
        await versions.restore("v1")


async def test_everything_hangs_on_the_dataset(stores: Stores) -> None:
    dataset = Dataset(stores, "set")
    await dataset.versions.freeze("v1")
    await (await dataset.classes.rename("cat", "lion")).apply()
    await (await dataset.splits({"val": 1})).apply()
    await dataset.actions.tag([("val", "a.jpg")], "roars")
    assert (await dataset.info()).num_images == {"train": 0, "val": 2, "test": 0}
    assert await dataset.query("class:lion") == [("val", "a.jpg")]
    assert len((await dataset.versions.compare("v1")).moved) == 2
