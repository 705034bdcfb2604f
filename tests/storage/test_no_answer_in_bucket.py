"""A bucket that answers to some requests only: nothing of it is taken for damaged."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.helpers.pictures import jpeg
from tests.storage.s3_proxy import S3Proxy
from workbench.datasets.fact_cache import gather_facts
from workbench.datasets.index import UNREADABLE, Indexer
from workbench.errors import BusyError, InvalidFrameError, StorageError, UnreachableError
from workbench.persistence import Stores, create_stores
from workbench.persistence.models import Annotation, NewImage
from workbench.persistence.storage.bucket import open_bucket

BOX = Annotation(0, 0.5, 0.5, 0.25, 0.5)
NAMES = [f"{number}.jpg" for number in range(12)]


@pytest.fixture
async def stores(tmp_path: Path, address: str) -> Stores:
    stores = create_stores(address, tmp_path / "models")
    images = [NewImage(name, "train", jpeg(at), [BOX]) for at, name in enumerate(NAMES)]
    await stores.dataset.create_from("cups", ["cup"], images)
    return stores


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("InternalError", UnreachableError),
        pytest.param("SlowDown", BusyError, marks=pytest.mark.long),
        pytest.param("cut", UnreachableError, marks=pytest.mark.long),
        pytest.param("RequestTimeTooSkewed", StorageError, marks=pytest.mark.long),
        pytest.param("InvalidAccessKeyId", StorageError, marks=pytest.mark.long),
    ],
)
async def test_labels_that_do_not_come_are_not_damaged(
    fault: str, error: type[Exception], stores: Stores, s3: S3Proxy
) -> None:
    s3.inject(fault, "GET", "7.txt", times=sys.maxsize)
    with pytest.raises(error, match=r"7\.txt"):
        await stores.label.load_all("cups")
    with pytest.raises(error):
        await Indexer(stores).load("cups")
    with pytest.raises(error):
        await stores.label.inspect("cups")
    with pytest.raises(error):
        await stores.dataset.rewrite_classes("cups", ["mug", "cup"], {0: 1})
    s3.heal()
    index = await Indexer(stores).load("cups")  # which remembers what it has read
    assert len(index.class_id) == len(NAMES)
    assert UNREADABLE not in index.state
    assert (await stores.dataset.get("cups")).classes == ["cup"]


@pytest.mark.parametrize("fault", ["InternalError", pytest.param("cut", marks=pytest.mark.long)])
async def test_images_that_do_not_come_are_not_damaged(
    fault: str, stores: Stores, s3: S3Proxy
) -> None:
    keys = [("train", name) for name in NAMES]
    s3.inject(fault, "GET", "7.jpg", times=sys.maxsize)
    with pytest.raises(UnreachableError, match=r"7\.jpg"):
        await gather_facts(stores, "cups")
    with pytest.raises(UnreachableError):
        await stores.image.measure_many("cups", keys)
    with pytest.raises(UnreachableError):
        await stores.image.read_many("cups", keys)
    deleted = await stores.image.delete("cups", "train", "0.jpg")
    s3.inject(fault, "GET", ".jpg", times=sys.maxsize)
    with pytest.raises(UnreachableError):
        await stores.image.read_deleted("cups", [deleted.id])
    s3.heal()
    found = await gather_facts(stores, "cups")
    assert (found.facts["width"] > 0).all()


async def test_one_that_may_not_be_read_keeps_none_of_the_others(
    stores: Stores, s3: S3Proxy, address: str
) -> None:
    """Such as one that was moved to an archive; when it is back it is read."""
    s3.inject("AccessDenied", "GET", "/7.jpg", times=sys.maxsize)
    found = await gather_facts(stores, "cups")
    assert (found.facts["width"] > 0).sum() == len(NAMES) - 1
    contents = await stores.image.read_many("cups", [("train", "6.jpg"), ("train", "7.jpg")])
    assert contents[0] == jpeg(6)
    assert isinstance(contents[1], StorageError)
    assert not isinstance(contents[1], InvalidFrameError)
    assert "expected permission to read this" in str(contents[1])
    starts = open_bucket(f"{address}/cups").read_starts(["images/train/7.jpg"], 10)
    assert isinstance(starts[0], StorageError)
    s3.heal()
    assert ((await gather_facts(stores, "cups")).facts["width"] > 0).all()
