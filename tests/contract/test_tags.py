"""Tags of images, in both implementations."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.pictures import jpeg
from workbench.errors import ConflictError, InvalidDatasetError, NotFoundError
from workbench.persistence import DatasetStore, Stores


async def test_tags_are_kept_sorted_and_replaced_as_a_whole(ds: DatasetStore, pets: str) -> None:
    assert await ds.get_tags(pets) == {}
    await ds.save_tags(pets, {"night": ["b.jpg", "a.jpg", "b.jpg"], "blurred": {"a.jpg"}})
    assert await ds.get_tags(pets) == {"blurred": ["a.jpg"], "night": ["a.jpg", "b.jpg"]}
    await ds.save_tags(pets, {"night": [], "zürich bei nacht": ["a.jpg"]})
    assert await ds.get_tags(pets) == {"zürich bei nacht": ["a.jpg"]}
    with pytest.raises(NotFoundError):
        await ds.get_tags("none")
    with pytest.raises(NotFoundError):
        await ds.save_tags("none", {})


@pytest.mark.parametrize("tag", ["", " x", "x ", 'a"b', "a\nb", "x" * 101, 3])
async def test_tags_that_nobody_could_search_for_are_refused(
    ds: DatasetStore, pets: str, tag: str
) -> None:
    with pytest.raises(InvalidDatasetError, match="tag"):
        await ds.save_tags(pets, {tag: ["a.jpg"]})
    with pytest.raises(InvalidDatasetError, match="file names"):
        await ds.save_tags(pets, {"night": "a.jpg"})
    assert await ds.get_tags(pets) == {}


async def test_tags_changed_by_others_are_not_overwritten(ds: DatasetStore, pets: str) -> None:
    await ds.save_tags(pets, {"night": ["a.jpg"]}, expected={})
    with pytest.raises(ConflictError, match="meanwhile"):
        await ds.save_tags(pets, {"day": ["a.jpg"]}, expected={})
    await ds.save_tags(pets, {"day": ["a.jpg"]}, expected={"night": ["a.jpg"]})
    assert await ds.get_tags(pets) == {"day": ["a.jpg"]}


async def test_tags_follow_their_image(stores: Stores, pets: str) -> None:
    ds, img = stores.dataset, stores.image
    await ds.save_tags(pets, {"night": ["a.jpg", "other.jpg"]})
    await img.move(pets, "a.jpg", "train", "val")
    await img.rename(pets, "val", "a.jpg", "z.jpg")
    assert await ds.get_tags(pets) == {"night": ["other.jpg", "z.jpg"]}
    entry = await img.delete(pets, "val", "z.jpg")
    await img.restore(pets, entry.id)
    assert await ds.get_tags(pets) == {"night": ["other.jpg", "z.jpg"]}


async def test_images_of_one_name_share_their_tags(stores: Stores, pets: str) -> None:
    await stores.image.save_bytes(pets, "val", "a.jpg", jpeg(2))
    await stores.dataset.save_tags(pets, {"night": ["a.jpg"]})
    await stores.image.rename(pets, "val", "a.jpg", "b.jpg")
    assert await stores.dataset.get_tags(pets) == {"night": ["a.jpg", "b.jpg"]}


async def test_tags_travel_in_the_archive(ds: DatasetStore, pets: str, tmp_path: Path) -> None:
    await ds.save_tags(pets, {"night": ["a.jpg"]})
    await ds.import_zip(await ds.export_zip(pets, tmp_path), "copy")
    assert await ds.get_tags("copy") == {"night": ["a.jpg"]}


async def test_a_selection_travels_alone(stores: Stores, pets: str, tmp_path: Path) -> None:
    await stores.image.save_bytes(pets, "val", "b.jpg", jpeg(2))
    await stores.label.save(pets, "val", "b.jpg", [])
    archive = await stores.dataset.export_zip(pets, tmp_path, only=[("val", "b.jpg")])
    await stores.dataset.import_zip(archive, "copy")
    assert [i.filename for i in await stores.image.list("copy")] == ["b.jpg"]
    assert await stores.label.history("copy") == []
    with pytest.raises(NotFoundError):
        await stores.dataset.export_zip(pets, tmp_path, only=[("test", "b.jpg")])
