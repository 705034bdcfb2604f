"""The image store needs nothing but the storage contract: over a bucket, and over a stranger's."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.pictures import encoded, jpeg
from tests.helpers.storages import STORAGES
from workbench.errors import AlreadyExistsError, ConflictError, NotFoundError
from workbench.persistence import ImageStore, LabelStore
from workbench.persistence.inspection import ImageReplacement
from workbench.persistence.models import Annotation, ImageMove, NewImage
from workbench.persistence.storage import Storage, Write
from workbench.persistence.stores.dataset import Dataset
from workbench.persistence.stores.places import DatasetPlaces
from workbench.testing.contract import contents

BOX = Annotation(0, 0.5, 0.5, 0.25, 0.5)
ROW = b"0 0.50000000 0.50000000 0.25000000 0.50000000\n"


class _OnePlace(DatasetPlaces):
    """A single dataset, wherever it lies."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def open(self, name: str) -> Dataset:
        return Dataset(name, self._storage)


@pytest.fixture(params=sorted(STORAGES))
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    storage = STORAGES[request.param](tmp_path)
    storage.commit([Write("data.yaml", b"names: [cat, dog]\n")])
    return storage


@pytest.fixture
def img(storage: Storage) -> ImageStore:
    return ImageStore(_OnePlace(storage))


@pytest.fixture
async def three(img: ImageStore, storage: Storage) -> dict[str, bytes]:
    """Three images in train, of which the first two have labels; what the storage holds."""
    await img.add_many(
        "pets",
        [
            NewImage("a.jpg", "train", jpeg(1), [BOX]),
            NewImage("b.jpg", "train", jpeg(2), []),
            NewImage("c.png", "train", encoded(".png", 3)),
        ],
    )
    return contents(storage)


async def test_what_is_added_lies_under_its_keys(
    img: ImageStore, storage: Storage, three: dict[str, bytes]
) -> None:
    assert three == {
        "data.yaml": b"names: [cat, dog]\n",
        "images/train/a.jpg": jpeg(1),
        "images/train/b.jpg": jpeg(2),
        "images/train/c.png": encoded(".png", 3),
        "labels/train/a.txt": ROW,
        "labels/train/b.txt": b"",
    }
    with pytest.raises(AlreadyExistsError, match=r"c\.png, which differs only in its extension"):
        await img.add_many(
            "pets", [NewImage("d.jpg", "train", jpeg(4)), NewImage("c.jpg", "train", jpeg(5))]
        )
    assert contents(storage) == three


@pytest.mark.usefixtures("three")
async def test_images_are_listed_read_and_measured(img: ImageStore, storage: Storage) -> None:
    infos = await img.list("pets")
    assert [(i.filename, i.size_bytes, i.has_labels) for i in infos] == [
        ("a.jpg", len(jpeg(1)), True),
        ("b.jpg", len(jpeg(2)), True),
        ("c.png", len(encoded(".png", 3)), False),
    ]
    table = await img.scan("pets")
    assert table.filenames == ["a.jpg", "b.jpg", "c.png"]
    assert table.label_bytes.tolist() == [len(ROW), 0, -1]
    storage.commit([Write("images/train/b.jpg", jpeg(1)), Write("labels/train/b.txt", ROW)])
    after = await img.scan("pets")
    assert (after.modified_ns != table.modified_ns).tolist() == [False, True, False]
    keys = [("train", "c.png"), ("val", "a.jpg"), ("train", "a.jpg")]
    first, missing, last = await img.read_many("pets", keys)
    assert (first, last) == (encoded(".png", 3), jpeg(1))
    assert isinstance(missing, NotFoundError)
    sizes = await img.measure_many("pets", keys)
    assert sizes.tolist() == [[32, 24], [0, 0], [32, 24]]
    assert np.array_equal((await img.load("pets", "train", "a.jpg")).shape, (24, 32, 3))


async def test_images_move_and_are_renamed_with_their_labels(
    img: ImageStore, storage: Storage, three: dict[str, bytes]
) -> None:
    ways = [ImageMove(name, "train", "val") for name in ("a.jpg", "c.png")]
    with pytest.raises(NotFoundError):
        await img.move_many("pets", [*ways, ImageMove("x.jpg", "train", "val")])
    assert contents(storage) == three
    await img.move_many("pets", ways)
    await img.rename("pets", "val", "a.jpg", "z.jpg")
    found = contents(storage)
    assert found["images/val/z.jpg"] == jpeg(1)
    assert found["labels/val/z.txt"] == ROW
    assert sorted(key for key in found if "/train/" in key) == [
        "images/train/b.jpg",
        "labels/train/b.txt",
    ]
    history = await LabelStore(_OnePlace(storage)).history("pets", "val", "z.jpg")
    assert [edit.what for edit in history] == ["add"]


async def test_what_is_deleted_comes_back_or_is_purged(
    img: ImageStore, storage: Storage, three: dict[str, bytes]
) -> None:
    keys = [("train", "a.jpg"), ("train", "c.png")]
    entries = await img.delete_many("pets", keys)
    assert [i.filename for i in await img.list("pets")] == ["b.jpg"]
    assert await img.read_deleted("pets", [entries[0].id]) == [jpeg(1)]
    await img.restore_many("pets", [entry.id for entry in entries])
    assert contents(storage) == three
    again = await img.discard_many("pets", entries)
    await img.restore("pets", again[0].id)
    assert await img.purge("pets") == 1
    assert await img.list_trash("pets") == []
    assert storage.list(".workbench/trash").folders == []
    assert [i.filename for i in await img.list("pets")] == ["a.jpg", "b.jpg"]


async def test_images_get_other_bytes_and_their_own_again(
    img: ImageStore, storage: Storage, three: dict[str, bytes]
) -> None:
    wanted = ImageReplacement("train", "a.jpg", "a.png", encoded(".png", 7), jpeg(1))
    with pytest.raises(ConflictError):
        await img.replace_many(
            "pets", [wanted, ImageReplacement("train", "b.jpg", "b.jpg", jpeg(8), jpeg(9))]
        )
    assert contents(storage) == three
    entries = await img.replace_many("pets", [wanted])
    assert storage.read("images/train/a.png") == encoded(".png", 7)
    assert not storage.exists("images/train/a.jpg")
    await img.undo_replace("pets", [entries[0].id])
    assert contents(storage) == three


async def test_a_decomposed_name_is_found_by_either_form(img: ImageStore, storage: Storage) -> None:
    there = unicodedata.normalize("NFD", "Käfer.jpg")
    storage.commit([Write(f"images/train/{there}", jpeg(1))])
    for form in ("NFC", "NFD"):
        asked = unicodedata.normalize(form, "Käfer.jpg")
        assert await img.read_bytes("pets", "train", asked) == jpeg(1)
        assert await img.exists("pets", "train", asked)
    await img.delete("pets", "train", "Käfer.jpg")
    assert await img.list("pets") == []
