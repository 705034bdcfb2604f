"""Actions on a selection, each done, looked at through the stores, and undone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.backends import BACKENDS, Backend, make_backend
from tests.helpers.pictures import jpeg
from workbench.datasets.actions import Actions, BoxRef, Change
from workbench.errors import ConflictError, InvalidBoxError, InvalidNameError, NotFoundError
from workbench.persistence import Stores
from workbench.persistence.models import Annotation

CAT = Annotation(0, 0.5, 0.5, 0.25, 0.5)
DOG = Annotation(1, 0.25, 0.25, 0.125, 0.25)
A, B, C = ("train", "a.jpg"), ("train", "b.jpg"), ("val", "c.jpg")
POLYGON = b"1 0.1 0.1 0.4 0.1 0.4 0.3\n0 0.5 0.5 0.2 0.2\n"


@pytest.fixture(params=sorted(BACKENDS))
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    return make_backend(request.param, tmp_path)


@pytest.fixture
async def stores(backend: Backend) -> Stores:
    stores = backend.stores
    await stores.dataset.create("pets", ["cat", "dog"])
    for number, (split, name) in enumerate((A, B, C)):
        await stores.image.save_bytes("pets", split, name, jpeg(number))
    await stores.label.save("pets", *A, [CAT, DOG])
    await stores.label.save("pets", *C, [DOG])
    return stores


async def contents(stores: Stores) -> dict[Any, Any]:
    """Everything of the dataset that an undo must bring back."""
    found: dict[Any, Any] = {"tags": await stores.dataset.get_tags("pets")}
    for image in await stores.image.list("pets"):
        key = image.split, image.filename
        data = await stores.label.get("pets", *key)
        found[key] = (await stores.image.read_bytes("pets", *key), image.has_labels, data)
    return found


ACTIONS: dict[str, Callable[[Actions], Awaitable[Change]]] = {
    "move": lambda a: a.move([A, B, C], "test"),
    "delete": lambda a: a.delete([A, C]),
    "mark_background": lambda a: a.mark_background([A, B]),
    "clear_labels": lambda a: a.clear_labels([A, B, C]),
    "tag": lambda a: a.tag([A, C], "check again"),
    "reclassify": lambda a: a.reclassify([BoxRef(*A, 0, CAT), BoxRef(*C, 0)], 0),
    "delete_boxes": lambda a: a.delete_boxes([BoxRef(*A, 0, CAT), BoxRef(*C, 0)]),
}


@pytest.mark.parametrize("name", ACTIONS)
async def test_undo_brings_back_what_was(stores: Stores, name: str) -> None:
    before = await contents(stores)
    change = await ACTIONS[name](Actions(stores, "pets"))
    assert await contents(stores) != before
    await change.undo()
    assert await contents(stores) == before


CHANGE_NOTHING: dict[str, Callable[[Actions], Awaitable[Change]]] = {
    "move to where it is": lambda a: a.move([C], "val"),
    "clear no labels": lambda a: a.clear_labels([B]),
    "keep the class": lambda a: a.reclassify([BoxRef(*A, 0, CAT)], 0),
    "delete no box": lambda a: a.delete_boxes([]),
}


@pytest.mark.parametrize("name", CHANGE_NOTHING)
async def test_undoing_what_changed_nothing_changes_nothing(stores: Stores, name: str) -> None:
    before = await contents(stores)
    change = await CHANGE_NOTHING[name](Actions(stores, "pets"))
    assert await contents(stores) == before
    await change.undo()
    assert await contents(stores) == before


async def test_restoring_from_the_trash_is_undone_by_way_of_the_trash(backend: Backend) -> None:
    stores = backend.stores
    yaml = b"train: images/train\nval: images/val\nnames: [cat, dog]\n"
    own = {"images/train/a.jpg": jpeg(1), "labels/train/a.txt": POLYGON}
    await backend.arrange("pets", own | {"data.yaml": yaml})
    backend.put("pets", {"labels/train/lone.txt": POLYGON})
    await stores.image.save_bytes("pets", *B, jpeg(2))
    await stores.label.save("pets", *B, [CAT])
    actions = Actions(stores, "pets")
    await stores.label.delete_orphans("pets", [("train", "lone.txt")])
    await actions.clear_labels([B])
    await actions.delete([A])
    before, files = await contents(stores), _visible(backend)
    trash = await stores.image.list_trash("pets")
    change = await actions.restore([entry.id for entry in trash])
    assert change.description == "3 items restored"
    assert await stores.image.list_trash("pets") == []
    restored = {*own, "labels/train/b.txt", "labels/train/lone.txt"}
    if backend.data_dir is not None:
        assert _visible(backend) - files == {f"pets/{file}" for file in restored}
    await change.undo()
    assert await contents(stores) == before
    assert _visible(backend) == files
    again = await stores.image.list_trash("pets")
    assert {(e.kind, e.name) for e in again} == {(e.kind, e.name) for e in trash}
    await actions.restore([entry.id for entry in again if entry.kind == "image"])
    await stores.image.delete("pets", *A)
    with pytest.raises(NotFoundError):
        await actions.restore([entry.id for entry in again if entry.kind == "image"])


def _visible(backend: Backend) -> set[str]:
    return {file for file in backend.files() if ".workbench" not in file}


async def test_what_actions_do(stores: Stores) -> None:
    actions = Actions(stores, "pets")
    moved = await actions.move([A, B, C], "val")
    assert moved.description == "2 images moved to val"
    assert (await stores.dataset.get("pets")).num_images == {"train": 0, "val": 3, "test": 0}
    assert await stores.label.load("pets", "val", "a.jpg") == [CAT, DOG]

    await actions.delete_boxes([BoxRef("val", "a.jpg", 0, CAT)])
    assert await stores.label.load("pets", "val", "a.jpg") == [DOG]
    await actions.reclassify([BoxRef("val", "a.jpg", 0)], 0)
    assert [box.class_id for box in await stores.label.load("pets", "val", "a.jpg")] == [0]
    await actions.mark_background([("val", "b.jpg")])
    assert await stores.label.load("pets", "val", "b.jpg") == []
    assert await stores.label.exists("pets", "val", "b.jpg")
    await actions.clear_labels([("val", "b.jpg")])
    assert not await stores.label.exists("pets", "val", "b.jpg")


async def test_rows_that_are_no_boxes_keep_their_columns(backend: Backend) -> None:
    await backend.arrange(
        "shapes",
        {
            "data.yaml": b"train: images/train\nval: images/val\nnames: [cat, dog, bird]\n",
            "images/train/a.jpg": jpeg(1),
            "labels/train/a.txt": POLYGON,
        },
    )
    actions = Actions(backend.stores, "shapes")
    change = await actions.reclassify([BoxRef(*A, 0)], 2)
    if backend.data_dir is not None:
        label = backend.data_dir / "shapes/labels/train/a.txt"
        assert label.read_bytes() == POLYGON.replace(b"1 0.1", b"2 0.1", 1)
        await change.undo()
        assert label.read_bytes() == POLYGON
    else:
        assert (await backend.stores.label.get("shapes", *A)).other_rows == 1


async def test_undo_refuses_where_somebody_worked_since(stores: Stores) -> None:
    actions = Actions(stores, "pets")
    change = await actions.reclassify([BoxRef(*A, 1), BoxRef(*C, 0)], 0)
    await stores.label.save("pets", *C, [CAT, CAT])
    before = await contents(stores)
    with pytest.raises(ConflictError, match=r"val/c\.jpg have been changed since"):
        await change.undo()
    assert await contents(stores) == before

    deleted = await actions.delete([B, A])
    await stores.image.save_bytes("pets", *A, jpeg(9))
    with pytest.raises(ConflictError, match="nothing was undone"):
        await deleted.undo()
    assert not await stores.image.exists("pets", *B)

    moved = await actions.move([A, C], "test")
    await stores.image.delete("pets", "test", "c.jpg")
    with pytest.raises(ConflictError, match="moved to test"):
        await moved.undo()
    assert await stores.image.exists("pets", "test", "a.jpg")


async def test_an_undo_follows_images_that_moved_meanwhile(stores: Stores) -> None:
    actions = Actions(stores, "pets")
    change = await actions.delete_boxes([BoxRef(*A, 1)])
    await actions.move([A], "val")
    await change.undo()
    assert await stores.label.load("pets", "val", "a.jpg") == [CAT, DOG]


async def test_a_box_that_is_not_what_was_chosen_is_left_alone(stores: Stores) -> None:
    actions = Actions(stores, "pets")
    before = await contents(stores)
    with pytest.raises(ConflictError, match="another one than was chosen"):
        await actions.delete_boxes([BoxRef(*C, 0, DOG), BoxRef(*A, 0, DOG)])
    with pytest.raises(ConflictError, match="found 1 box;"):
        await actions.reclassify([BoxRef(*A, 0), BoxRef(*C, 1)], 0)
    with pytest.raises(InvalidBoxError, match="class id 2"):
        await actions.reclassify([BoxRef(*A, 0)], 2)
    with pytest.raises(NotFoundError):
        await actions.mark_background([A, ("train", "none.jpg")])
    assert await contents(stores) == before


async def test_tags_of_one_image_leave_the_others_alone(stores: Stores) -> None:
    actions = Actions(stores, "pets")
    await actions.tag([A], "blurred")
    again = await actions.tag([A, B], "blurred")
    taken = await actions.untag([A], "blurred")
    assert await stores.dataset.get_tags("pets") == {"blurred": ["b.jpg"]}
    assert taken.description == "tag 'blurred' taken off 1 image"
    await taken.undo()
    await again.undo()
    assert await stores.dataset.get_tags("pets") == {"blurred": ["a.jpg"]}


async def test_a_selection_becomes_a_dataset_of_its_own(stores: Stores, tmp_path: Path) -> None:
    actions = Actions(stores, "pets")
    await actions.tag([A, B], "good")
    change = await actions.copy_into([A, C], "some")
    made = await stores.dataset.get("some")
    assert made.classes == ["cat", "dog"]
    assert made.num_images == {"train": 1, "val": 1, "test": 0}
    assert await stores.label.load("some", *A) == [CAT, DOG]
    assert await stores.dataset.get_tags("some") == {"good": ["a.jpg"]}
    await change.undo()
    assert not await stores.dataset.exists("some")

    change = await actions.copy_into([A], "some")
    await stores.label.save("some", *A, [])
    with pytest.raises(ConflictError, match="has been changed"):
        await change.undo()
    with pytest.raises(NotFoundError):
        await actions.copy_into([A, ("val", "none.jpg")], "others")
    assert not await stores.dataset.exists("others")

    await stores.dataset.import_zip(await actions.export([C], tmp_path / "c.zip"), "exported")
    assert [i.filename for i in await stores.image.list("exported")] == ["c.jpg"]
    assert await stores.label.load("exported", *C) == [DOG]


async def test_files_are_added_and_the_bad_ones_named(stores: Stores, tmp_path: Path) -> None:
    folder = tmp_path / "incoming" / "deep"
    folder.mkdir(parents=True)
    (folder / "x.jpg").write_bytes(jpeg(5))
    (folder / "notes.txt").write_text("no image")
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    seen: list[tuple[int, int]] = []
    files = [
        tmp_path / "incoming",
        tmp_path / "broken.jpg",
        ("y.jpg", jpeg(6)),
        ("c.jpg", jpeg(7)),
        ("../z.jpg", jpeg(8)),
        tmp_path / "missing.jpg",
    ]
    upload = await Actions(stores, "pets").add_files(
        files, "test", progress=lambda done, total: seen.append((done, total))
    )
    assert upload.added == [("test", "x.jpg"), ("test", "y.jpg")]
    assert await stores.image.read_bytes("pets", "test", "x.jpg") == jpeg(5)
    reasons = dict(upload.refused)
    assert "expected an image" in reasons[str(tmp_path / "broken.jpg")]
    assert "already" in reasons["c.jpg"]
    assert "holds a slash" in reasons["../z.jpg"]
    assert "No such file" in reasons[str(tmp_path / "missing.jpg")]
    assert seen[-1] == (6, 6)
    await upload.change.undo()
    assert (await stores.dataset.get("pets")).num_images["test"] == 0
    with pytest.raises(InvalidNameError, match="split"):
        await Actions(stores, "pets").add_files(files, "training")


async def test_added_files_that_were_labelled_stay(stores: Stores) -> None:
    upload = await Actions(stores, "pets").add_files([("y.jpg", jpeg(6))])
    await stores.label.save("pets", "train", "y.jpg", [CAT])
    with pytest.raises(ConflictError, match="labelled since"):
        await upload.change.undo()
    assert await stores.image.exists("pets", "train", "y.jpg")
