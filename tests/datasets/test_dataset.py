"""The front door: one dataset by its name."""

from __future__ import annotations

import pytest

from tests.helpers.pictures import jpeg
from workbench.datasets.dataset import Dataset
from workbench.datasets.query import QueryError
from workbench.errors import NotFoundError
from workbench.persistence import Stores, create_memory_stores
from workbench.persistence.models import Annotation


@pytest.fixture
async def stores() -> Stores:
    stores = create_memory_stores()
    await stores.dataset.create("pets", ["cat", "dog"])
    for split, name, boxes in (("train", "a.jpg", 2), ("val", "b.jpg", 1), ("val", "c.jpg", 0)):
        await stores.image.save_bytes("pets", split, name, jpeg(boxes, 24, 32 + boxes))
        await stores.label.save(
            "pets", split, name, [Annotation(boxes - 1, 0.5, 0.5, 0.2, 0.2)] * boxes
        )
    return stores


async def test_a_query_returns_images_in_its_order(stores: Stores) -> None:
    pets = Dataset(stores, "pets")
    assert await pets.query("sort:-boxes") == [
        ("train", "a.jpg"),
        ("val", "b.jpg"),
        ("val", "c.jpg"),
    ]
    assert await pets.query("class:cat") == [("val", "b.jpg")]
    assert await pets.query("background") == [("val", "c.jpg")]


async def test_a_query_by_pixels_measures_the_images(stores: Stores) -> None:
    assert await Dataset(stores, "pets").query("width>32 -width>33") == [("val", "b.jpg")]


async def test_a_change_shows_in_the_next_query(stores: Stores) -> None:
    pets = Dataset(stores, "pets")
    assert await pets.query("class:dog") == [("train", "a.jpg")]
    await stores.label.save("pets", "val", "c.jpg", [Annotation(1, 0.5, 0.5, 0.2, 0.2)])
    await stores.image.delete("pets", "train", "a.jpg")
    assert await pets.query("class:dog") == [("val", "c.jpg")]


async def test_what_is_wrong_is_said(stores: Stores) -> None:
    with pytest.raises(QueryError, match="class:dog"):
        await Dataset(stores, "pets").query("class:dgo")
    with pytest.raises(NotFoundError, match="nobody"):
        await Dataset(stores, "nobody").query("")


async def test_index_statistics_and_info(stores: Stores) -> None:
    pets = Dataset(stores, "pets")
    assert (await pets.index()).width.tolist() == [0, 0, 0]
    assert (await pets.index(measured=True)).width.tolist() == [34, 33, 32]
    assert (await pets.statistics()).boxes_by_class.sum(axis=1).tolist() == [1, 2]
    assert (await pets.info()).num_images == {"train": 1, "val": 2, "test": 0}
    assert repr(pets) == "Dataset('pets')"
