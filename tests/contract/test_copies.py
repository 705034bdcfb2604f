"""A new dataset of some images of another: all of them, or nothing at all."""

from __future__ import annotations

import pytest

from tests.helpers.backends import Backend
from tests.helpers.pictures import jpeg
from workbench.errors import AlreadyExistsError, InvalidNameError, NotFoundError

ODD = b"0 0.1 0.1 0.4 0.1 0.4 0.3\r\n"  # a polygon, which only a copy of the bytes keeps


@pytest.fixture
async def pets(backend: Backend) -> str:
    await backend.arrange(
        "pets",
        {
            "data.yaml": b"train: images/train\nval: images/val\nnames: [cat, dog]\n",
            "images/train/a.jpg": jpeg(1),
            "labels/train/a.txt": ODD,
            "images/train/b.jpg": jpeg(2),
            "images/val/c.jpg": jpeg(3),
            "labels/val/c.txt": b"",
        },
    )
    await backend.stores.dataset.save_prompts("pets", {1: ["a dog"]})
    await backend.stores.dataset.save_tags("pets", {"blurry": ["a.jpg", "b.jpg"], "b": ["b.jpg"]})
    return "pets"


async def test_a_copy_has_what_belongs_to_its_images(backend: Backend, pets: str) -> None:
    ds, img = backend.stores.dataset, backend.stores.image
    told: list[tuple[int, int]] = []
    chosen = [("train", "a.jpg"), ("val", "c.jpg")]
    info = await ds.copy_images(pets, "few", chosen, progress=lambda *at: told.append(at))
    assert (info.name, info.classes) == ("few", ["cat", "dog"])
    assert info.num_images == {"train": 1, "val": 1, "test": 0}
    assert await img.read_bytes("few", "train", "a.jpg") == jpeg(1)
    assert backend.label_bytes("few", "train", "a") == ODD
    assert backend.label_bytes("few", "val", "c") == b""
    assert await ds.get_prompts("few") == {1: ["a dog"]}
    assert await ds.get_tags("few") == {"blurry": ["a.jpg"]}
    assert told[-1] == (2, 2)
    await img.delete("few", "train", "a.jpg")
    assert await img.read_bytes(pets, "train", "a.jpg") == jpeg(1)


async def test_no_copy_is_made_where_an_image_is_missing(backend: Backend, pets: str) -> None:
    ds = backend.stores.dataset
    before = backend.files()
    with pytest.raises(NotFoundError, match=r"gone\.jpg"):
        await ds.copy_images(pets, "few", [("train", "a.jpg"), ("val", "gone.jpg")])
    assert [info.name for info in await ds.list()] == [pets]
    assert backend.files() == before


@pytest.mark.parametrize(
    ("name", "error"), [("pets", AlreadyExistsError), ("../few", InvalidNameError)]
)
async def test_a_copy_needs_a_free_and_good_name(
    backend: Backend, pets: str, name: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await backend.stores.dataset.copy_images(pets, name, [("train", "a.jpg")])
    assert [info.name for info in await backend.stores.dataset.list()] == [pets]
