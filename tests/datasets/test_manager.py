"""All datasets through one object that gets its stores by constructor."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import AsyncMock

import pytest

from tests.helpers.pictures import jpeg
from workbench.datasets.manager import DatasetManager
from workbench.errors import AlreadyExistsError, LabelFormatError, NotFoundError
from workbench.persistence import (
    DatasetStore,
    ImageStore,
    LabelStore,
    Stores,
    create_memory_stores,
)
from workbench.persistence.models import Annotation, DatasetInfo

BOX = Annotation(1, 0.5, 0.5, 0.2, 0.2)


def manager_of(stores: Stores) -> DatasetManager:
    return DatasetManager(stores.dataset, stores.image, stores.label)


@pytest.fixture(params=["memory", "files"])
async def stores(request: pytest.FixtureRequest, persistence_stores: Stores) -> Stores:
    stores = create_memory_stores() if request.param == "memory" else persistence_stores
    await stores.dataset.create("pets", ["cat", "dog"])
    for split, name, boxes in (("train", "a.jpg", 2), ("val", "b.jpg", 0)):
        await stores.image.save_bytes("pets", split, name, jpeg(boxes))
        await stores.label.save("pets", split, name, [BOX] * boxes)
    await stores.image.save_bytes("pets", "train", "c.jpg", jpeg(3))
    return stores


async def test_facts_say_how_far_the_labelling_is(stores: Stores) -> None:
    facts = await manager_of(stores).facts("pets")
    assert facts.info.num_images == {"train": 2, "val": 1, "test": 0}
    assert facts.num_labelled == {"train": 1, "val": 1, "test": 0}
    assert (facts.boxes, facts.num_boxes) == ({"cat": 0, "dog": 2}, 2)
    assert facts.size_bytes == len(jpeg(2)) + len(jpeg(0)) + len(jpeg(3))
    assert (facts.num_unreadable, facts.problem) == (0, "")


async def test_unreadable_labels_are_counted(persistence_stores: Stores, tmp_path: Path) -> None:
    await persistence_stores.dataset.create("odd", ["cat"])
    for name in ("a.jpg", "b.jpg"):
        await persistence_stores.image.save_bytes("odd", "train", name, jpeg(1))
    labels = tmp_path / "data" / "odd" / "labels" / "train"
    (labels / "a.txt").write_text("0 .5 .5 .2 .2\n2 .5 .5 .2 .2\n")
    (labels / "b.txt").write_text("no box\n")
    facts = await manager_of(persistence_stores).facts("odd")
    assert facts.boxes == {"cat": 0}
    assert facts.num_unreadable == 2


async def test_one_dataset_that_cannot_be_read_does_not_hide_the_others() -> None:
    dataset, image = AsyncMock(spec=DatasetStore), AsyncMock(spec=ImageStore)
    dataset.list.return_value = [
        DatasetInfo("broken", Path("/broken"), []),
        DatasetInfo("gone", Path("/gone"), []),
    ]
    image.scan.side_effect = [
        LabelFormatError("labels/train/a.txt", 3, "expected numbers"),
        NotFoundError("there is no dataset 'gone'"),
    ]
    steps: list[tuple[int, int]] = []
    manager = DatasetManager(dataset, image, AsyncMock(spec=LabelStore))
    found = await manager.list_facts(progress=lambda *step: steps.append(step))
    assert [(f.info.name, f.problem) for f in found] == [
        ("broken", "labels/train/a.txt, line 3: expected numbers"),
        ("gone", "there is no dataset 'gone'"),
    ]
    assert steps == [(0, 2), (1, 2), (2, 2)]


async def test_whole_datasets_go_through_the_dataset_store() -> None:
    store = AsyncMock(spec=DatasetStore)
    manager = DatasetManager(store, AsyncMock(spec=ImageStore), AsyncMock(spec=LabelStore))
    assert await manager.create("pets", ["cat"]) is store.create.return_value
    store.create.assert_awaited_once_with("pets", ["cat"])
    assert await manager.list() is store.list.return_value
    assert await manager.rename("pets", "animals") is store.rename.return_value
    store.rename.assert_awaited_once_with("pets", "animals")
    assert await manager.delete("animals") is store.delete.return_value
    assert await manager.restore("entry", name="back") is store.restore.return_value
    store.restore.assert_awaited_once_with("entry", name="back")
    assert await manager.export_zip("pets", Path("x.zip")) is store.export_zip.return_value
    store.get.side_effect = NotFoundError("there is no dataset 'x'")
    for refused in (manager.open("x"), manager.health("x"), manager.split("x"), manager.facts("x")):
        with pytest.raises(NotFoundError):
            await refused


async def test_a_taken_name_is_refused(stores: Stores) -> None:
    manager = manager_of(stores)
    with pytest.raises(AlreadyExistsError):
        await manager.create("pets")
    with pytest.raises(AlreadyExistsError):
        await manager.duplicate("pets", "pets")
    assert [info.name for info in await manager.list()] == ["pets"]


async def test_a_duplicate_is_on_its_own(stores: Stores) -> None:
    manager = manager_of(stores)
    await stores.dataset.save_tags("pets", {"best": ["a.jpg"]})
    await stores.dataset.save_prompts("pets", {1: ["a dog"]})
    copy = await manager.duplicate("pets", "pets copy")
    assert (copy.classes, copy.num_images) == (["cat", "dog"], {"train": 2, "val": 1, "test": 0})
    await stores.label.save("pets", "train", "a.jpg", [])
    await stores.image.delete("pets", "val", "b.jpg")
    assert await stores.label.load("pets copy", "train", "a.jpg") == [BOX, BOX]
    assert await stores.image.read_bytes("pets copy", "val", "b.jpg") == jpeg(0)
    assert await stores.dataset.get_tags("pets copy") == {"best": ["a.jpg"]}
    assert await stores.dataset.get_prompts("pets copy") == {1: ["a dog"]}


async def test_a_duplicate_of_some(stores: Stores) -> None:
    copy = await manager_of(stores).duplicate("pets", "dogs", query="class:dog")
    assert copy.num_images == {"train": 1, "val": 0, "test": 0}


async def test_out_as_a_zip_and_in_again_under_a_free_name(stores: Stores, tmp_path: Path) -> None:
    manager = manager_of(stores)
    archive = await manager.export_zip("pets", tmp_path)
    with pytest.raises(AlreadyExistsError):
        await manager.import_from(archive)
    names = [(await manager.import_from(archive, number=True)).name for _ in range(2)]
    assert names == ["pets-2", "pets-3"]
    assert await stores.label.load("pets-3", "train", "a.jpg") == [BOX, BOX]


async def test_out_in_the_format_of_another_tool(stores: Stores, tmp_path: Path) -> None:
    made = await manager_of(stores).export(
        "pets", format="csv", to=tmp_path / "pets", where="class:dog"
    )
    assert (made.num_images, made.num_boxes) == (1, 2)
    assert made.path == tmp_path / "pets"
    assert [*(tmp_path / "pets").rglob("*.csv")]


async def test_a_dataset_is_handed_out_to_work_with(stores: Stores) -> None:
    manager = manager_of(stores)
    pets = await manager.open("pets")
    assert (pets.name, await pets.query("unlabelled")) == ("pets", [("train", "c.jpg")])
    plan = await manager.split("pets", {"test": 1.0})
    assert len(plan.moves) == 3
    report = await manager.health("pets", only=["unlabelled", "class-unused"])
    assert [finding.kind for finding in report] == ["unlabelled", "class-unused"]


async def test_deleted_datasets_wait_in_the_trash(stores: Stores) -> None:
    manager = manager_of(stores)
    entry = await manager.delete("pets")
    assert await manager.list() == []
    assert [one.id for one in await manager.list_trash()] == [entry.id]
    assert (await manager.restore(entry.id, name="again")).name == "again"
    await manager.delete("again")
    assert await manager.purge() == 1
    assert await manager.list_trash() == []


async def test_damaged_datasets_are_not_among_the_usable(
    persistence_stores: Stores, tmp_path: Path
) -> None:
    for name in ("pets", "broken"):
        await persistence_stores.dataset.create(name, ["cat"])
    (tmp_path / "data" / "broken" / "data.yaml").write_text("names: 5\n")
    datasets = DatasetManager.on(persistence_stores)
    assert await datasets.list_usable() == ["pets"]
    assert [info.name for info in await datasets.list()] == ["broken", "pets"]
    assert (await datasets.exists("pets"), await datasets.exists("dogs")) == (True, False)
