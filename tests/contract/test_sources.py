"""Many new images at once, and where they came from, in both implementations."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.helpers.backends import Backend
from tests.helpers.pictures import frame, jpeg
from workbench.errors import (
    AlreadyExistsError,
    InvalidBoxError,
    InvalidFrameError,
    InvalidNameError,
    NotFoundError,
)
from workbench.persistence import Stores
from workbench.persistence.models import Annotation, NewImage, Prediction
from workbench.persistence.sources import ImageSource

BOX = Annotation(1, 0.5, 0.5, 0.25, 0.5)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def source(filename: str, split: str = "train", **more: object) -> ImageSource:
    return ImageSource(filename, split, NOON, feed="camera 0", **more)  # type: ignore[arg-type]


async def test_new_images_are_stored_as_they_are_with_their_labels(
    stores: Stores, pets: str
) -> None:
    data = jpeg(2)
    infos = await stores.image.add_many(
        pets,
        [
            NewImage("b.jpg", "train", data),
            NewImage("c.png", "val", frame(3), [BOX]),
            NewImage("d.png", "val", frame(4), []),
        ],
    )
    assert [(i.filename, i.split, i.width, i.height, i.has_labels) for i in infos] == [
        ("b.jpg", "train", 32, 24, False),
        ("c.png", "val", 32, 24, True),
        ("d.png", "val", 32, 24, True),
    ]
    assert await stores.image.read_bytes(pets, "train", "b.jpg") == data
    assert (await stores.image.load(pets, "val", "c.png") == frame(3)).all()
    assert await stores.label.load(pets, "val", "c.png") == [BOX]
    assert await stores.label.load(pets, "val", "d.png") == []
    [edit] = await stores.label.history(pets, "val", "c.png")
    assert (edit.before, edit.after, edit.what) == (None, [BOX], "add")
    assert await stores.image.add_many(pets, []) == []


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (NewImage("a.jpg", "train", jpeg(5)), AlreadyExistsError),
        (NewImage("a.png", "train", frame(5)), AlreadyExistsError),
        (NewImage("good.png", "train", frame(5)), AlreadyExistsError),
        (NewImage("x.jpg", "train", b"no image"), InvalidFrameError),
        (NewImage("x.jpg", "train", jpeg(5), [Annotation(7, 0.5, 0.5, 0.1, 0.1)]), InvalidBoxError),
        (NewImage("x/y.jpg", "train", jpeg(5)), InvalidNameError),
        (NewImage("x.jpg", "holdout", jpeg(5)), InvalidNameError),
    ],
)
async def test_all_or_none(
    backend: Backend, pets: str, bad: NewImage, error: type[Exception]
) -> None:
    before = backend.files()
    with pytest.raises(error):
        await backend.stores.image.add_many(pets, [NewImage("good.jpg", "train", jpeg(1)), bad])
    assert [info.filename for info in await backend.stores.image.list(pets)] == ["a.jpg"]
    assert await backend.stores.label.history(pets) == []
    assert backend.files() == before


async def test_a_dataset_that_is_not_there(stores: Stores) -> None:
    with pytest.raises(NotFoundError):
        await stores.image.add_many("nobody", [NewImage("b.jpg", "train", jpeg(2))])
    with pytest.raises(NotFoundError):
        await stores.image.sources("nobody")


async def test_sources_come_back_as_they_were(stores: Stores, pets: str) -> None:
    known = source(
        "b.jpg",
        sequence=41,
        burst="cup_1",
        class_name="Tässe",
        predictions=[Prediction(0, 0.5, 0.25, 0.125, 0.5, 0.75)],
        details={"sharpness": 12.5},
    )
    images = [NewImage("b.jpg", "train", jpeg(2)), NewImage("c.jpg", "train", jpeg(3))]
    await stores.image.add_many(pets, images, sources=[known])
    assert await stores.image.sources(pets) == {("train", "b.jpg"): known}


async def test_sources_follow_their_images(stores: Stores, pets: str) -> None:
    img = stores.image
    names = ["b.jpg", "c.jpg"]
    await img.add_many(
        pets,
        [NewImage(name, "train", jpeg(2)) for name in names],
        sources=[source(name, burst=name) for name in names],
    )
    await img.move(pets, "b.jpg", "train", "val")
    await img.rename(pets, "val", "b.jpg", "e.jpg")
    deleted = await img.delete(pets, "train", "c.jpg")
    found = await img.sources(pets)
    assert list(found) == [("val", "e.jpg")]
    assert found["val", "e.jpg"] == source("e.jpg", "val", burst="b.jpg")
    await img.restore(pets, deleted.id)
    assert (await img.sources(pets))["train", "c.jpg"].burst == "c.jpg"


async def test_sources_travel_in_the_archive(stores: Stores, pets: str, tmp_path: Path) -> None:
    await stores.image.add_many(
        pets, [NewImage("b.jpg", "train", jpeg(2))], sources=[source("b.jpg", class_name="cat")]
    )
    archive = await stores.dataset.export_zip(pets, tmp_path)
    await stores.dataset.import_zip(archive, name="copy")
    assert await stores.image.sources("copy") == await stores.image.sources(pets)


async def test_a_source_needs_a_time_zone_and_json(stores: Stores, pets: str) -> None:
    image = NewImage("b.jpg", "train", jpeg(2))
    naive = ImageSource("b.jpg", "train", datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="time zone"):
        await stores.image.add_many(pets, [image], sources=[naive])
    with pytest.raises(ValueError, match=r"b\.jpg: details"):
        await stores.image.add_many(pets, [image], sources=[source("b.jpg", details={"x": {1}})])
    assert not await stores.image.exists(pets, "train", "b.jpg")


async def test_a_line_that_a_crash_cut_off_spoils_no_other(backend: Backend, pets: str) -> None:
    if backend.data_dir is None:
        return  # memory has no file to cut
    img = backend.stores.image
    await img.add_many(pets, [NewImage("b.jpg", "train", jpeg(2))], sources=[source("b.jpg")])
    [file] = (backend.data_dir / pets / ".workbench/sources").iterdir()
    assert json.loads(file.read_bytes())["image"] == "train/b.jpg"
    file.write_bytes(file.read_bytes() + b'\n{"at": "2026-01')
    await img.add_many(pets, [NewImage("c.jpg", "train", jpeg(3))], sources=[source("c.jpg")])
    assert {name for _, name in await img.sources(pets)} == {"b.jpg", "c.jpg"}


async def test_predictions_keep_their_classes(stores: Stores, pets: str) -> None:
    ds = stores.dataset
    await ds.update_classes(pets, ["cat", "dog", "owl"])

    async def capture(name: str, *class_ids: int) -> None:
        boxes = [Prediction(class_id, 0.5, 0.5, 0.25, 0.5, 0.9) for class_id in class_ids]
        new = NewImage(name, "train", jpeg(class_ids[0]))
        await stores.image.add_many(pets, [new], sources=[source(name, predictions=boxes)])

    async def classes() -> dict[str, list[int]]:
        found = await stores.image.sources(pets)
        return {name: [box.class_id for box in one.predictions] for (_, name), one in found.items()}

    await capture("old.jpg", 0, 1, 2, 7)
    rewrite = await ds.rewrite_classes(pets, ["owl", "cat"], {0: 1, 1: None, 2: 0})
    assert await classes() == {"old.jpg": [1, 0, 7]}
    await capture("new.jpg", 0, 1)
    assert await classes() == {"old.jpg": [1, 0, 7], "new.jpg": [0, 1]}
    labels = await stores.label.load(pets, "train", "old.jpg")
    assert labels == []
    await ds.undo_rewrite(pets, rewrite.id)
    assert await classes() == {"old.jpg": [0, 1, 2, 7], "new.jpg": [2, 0]}
