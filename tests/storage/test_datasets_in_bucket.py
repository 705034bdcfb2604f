"""Datasets in a bucket, side by side: made, renamed, deleted and found by others."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.helpers.pictures import jpeg
from tests.storage.s3_proxy import S3Proxy
from workbench.datasets.index import Indexer
from workbench.datasets.index_table import STATES
from workbench.errors import AlreadyExistsError, NotFoundError
from workbench.persistence import Stores, create_stores
from workbench.persistence.models import Annotation, NewImage
from workbench.persistence.storage import Write
from workbench.persistence.storage.bucket import open_bucket

BOX = Annotation(0, 0.5, 0.5, 0.25, 0.5)
NAME = "Käfer & Co #1"


@pytest.fixture
def stores(tmp_path: Path, address: str) -> Stores:
    return create_stores(address, tmp_path / "models")


async def test_the_whole_way(stores: Stores, address: str, tmp_path: Path) -> None:
    images = [NewImage("a.jpg", "train", jpeg(1), [BOX]), NewImage("b.jpg", "val", jpeg(2))]
    made = await stores.dataset.create_from(NAME, ["cat"], images)
    assert made.num_images == {"train": 1, "val": 1, "test": 0}
    elsewhere = create_stores(address, tmp_path / "other models")
    assert [info.name for info in await elsewhere.dataset.list()] == [NAME]
    assert await elsewhere.label.load(NAME, "train", "a.jpg") == [BOX]
    with pytest.raises(AlreadyExistsError):
        await elsewhere.dataset.create(NAME)

    await elsewhere.dataset.rename(NAME, "beetles")
    with pytest.raises(NotFoundError):
        await stores.image.list(NAME)
    await stores.dataset.create(NAME, ["dog"])
    assert await stores.image.read_bytes("beetles", "val", "b.jpg") == jpeg(2)
    archive = await stores.dataset.export_zip("beetles", tmp_path)
    again = await stores.dataset.import_zip(archive, "again")
    assert (again.classes, again.num_images) == (["cat"], made.num_images)

    entry = await stores.dataset.delete("beetles")
    assert [info.name for info in await elsewhere.dataset.list()] == [NAME, "again"]
    await elsewhere.dataset.restore(entry.id, name="bugs")
    await elsewhere.dataset.delete("bugs")
    assert await stores.dataset.purge() == 1
    # The first one's prefix is free of everything, what the storage keeps for itself included.
    top = open_bucket(address)
    assert len(top.list().folders) == 2
    assert [info.name for info in await stores.dataset.list()] == [NAME, "again"]


async def test_a_dataset_that_was_copied_there_is_found(stores: Stores, address: str) -> None:
    open_bucket(f"{address}/pets").commit(
        [Write("data.yaml", b"names: [cat]\n"), Write("images/train/a.jpg", jpeg(1))]
    )
    open_bucket(f"{address}/notes").commit([Write("a.txt", b"no dataset")])
    [info] = await stores.dataset.list()
    assert (info.name, info.classes, info.num_images["train"]) == ("pets", ["cat"], 1)
    with pytest.raises(AlreadyExistsError):
        await stores.dataset.create("pets")
    await stores.dataset.rename("pets", "cats")
    assert [i.filename for i in await stores.image.list("cats")] == ["a.jpg"]
    await stores.dataset.create("notes")
    assert open_bucket(f"{address}/notes").read("a.txt") == b"no dataset"
    await stores.dataset.create("pets")
    assert [i.name for i in await stores.dataset.list()] == ["cats", "notes", "pets"]


async def test_a_file_that_was_not_given_out_is_asked_for_again(
    stores: Stores, s3: S3Proxy
) -> None:
    """That one object may not be read for now says nothing of what it holds."""
    images = [NewImage(f"{name}.jpg", "train", jpeg(1), [BOX]) for name in "ab"]
    await stores.dataset.create_from("pets", ["cat"], images)
    s3.inject("AccessDenied", "GET", "/a.txt", times=sys.maxsize)
    index = await Indexer(stores).load("pets")
    assert [STATES[state] for state in index.state] == ["unreadable", "labelled"]
    table = await stores.label.load_all("pets")
    assert (table.unread.tolist(), len(table.problems)) == ([0], 1)
    s3.inject("AccessDenied", "GET", "/a.jpg", times=sys.maxsize)
    index = await Indexer(stores).measure("pets", index)
    assert index.measured
    assert [width > 0 for width in index.width] == [False, True]
    s3.heal()
    index = await Indexer(stores).measure("pets", await Indexer(stores).load("pets"))
    assert all(width > 0 for width in index.width)
    assert [STATES[state] for state in index.state] == ["labelled", "labelled"]
    assert not len((await stores.label.load_all("pets")).unread)
