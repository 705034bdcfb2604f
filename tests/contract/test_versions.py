"""Frozen versions of datasets, in both implementations."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.backends import Backend
from tests.helpers.names import BAD_NAMES
from tests.helpers.pictures import jpeg
from tests.helpers.small_set import CAT, DOG, A, B, C, contents, make_set
from workbench.errors import (
    AlreadyExistsError,
    InvalidNameError,
    NotFoundError,
)
from workbench.persistence import Stores
from workbench.persistence.models import ImageMove
from workbench.persistence.version_models import LabelDifference


@pytest.fixture
async def set_(stores: Stores) -> str:
    return await make_set(stores)


async def change_everything(stores: Stores) -> None:
    """Other bytes, other boxes, other places, other classes; one image gone, one new."""
    await stores.image.save_bytes("set", *A, jpeg(9))
    await stores.label.save("set", *A, [DOG])
    await stores.image.move("set", "b.jpg", "train", "test")
    await stores.label.save("set", "test", "b.jpg", [CAT])
    await stores.image.delete("set", *C)
    await stores.image.save_bytes("set", "val", "new.jpg", jpeg(8))
    await stores.label.save("set", "val", "new.jpg", [DOG])
    await stores.dataset.rewrite_classes("set", ["dog", "cat", "owl"], {0: 1, 1: 0})
    await stores.dataset.save_prompts("set", {})
    await stores.dataset.save_tags("set", {"night": ["new.jpg"]})


async def test_a_version_says_what_it_holds(stores: Stores, set_: str) -> None:
    ds = stores.dataset
    assert await ds.list_versions(set_) == []
    info = await ds.freeze(set_, "first try", "as it came")
    assert (info.name, info.note, info.automatic) == ("first try", "as it came", False)
    assert info.num_images == {"train": 2, "val": 1, "test": 0}
    assert info.num_labelled == {"train": 1, "val": 1, "test": 0}
    assert info.classes == ["cat", "dog"]
    same = await ds.freeze(set_, "same")
    assert same.digest == info.digest
    await stores.label.save(set_, *B, [])
    other = await ds.freeze(set_, "other")
    assert other.digest != info.digest
    assert await ds.list_versions(set_) == [info, same, other]


async def test_a_version_never_changes(stores: Stores, set_: str) -> None:
    await stores.dataset.freeze(set_, "v1")
    with pytest.raises(AlreadyExistsError, match="v1"):
        await stores.dataset.freeze(set_, "v1")
    await change_everything(stores)
    before = await contents(stores)
    await stores.dataset.restore_version(set_, "v1")
    await change_everything(stores)
    await stores.dataset.restore_version(set_, "v1")
    assert not await stores.dataset.compare_versions(set_, "v1", None)
    assert before != await contents(stores)


async def test_restoring_brings_everything_back_and_can_be_undone(
    stores: Stores, set_: str
) -> None:
    ds = stores.dataset
    before = await contents(stores)
    await ds.freeze(set_, "v1")
    await change_everything(stores)
    after = await contents(stores)
    kept = await ds.restore_version(set_, "v1")
    assert await contents(stores) == before
    assert kept.automatic
    assert kept.name in [info.name for info in await ds.list_versions(set_)]
    await ds.restore_version(set_, kept.name)
    assert await contents(stores) == after


async def test_two_versions_are_compared(stores: Stores, set_: str) -> None:
    ds = stores.dataset
    await ds.freeze(set_, "v1")
    assert not await ds.compare_versions(set_, "v1", None)
    await change_everything(stores)
    await ds.freeze(set_, "v2")
    found = await ds.compare_versions(set_, "v1", "v2")
    assert found.classes == (["cat", "dog"], ["dog", "cat", "owl"])
    assert found.added == [("val", "new.jpg")]
    assert found.removed == [C]
    assert found.changed == [A]
    assert found.moved == [ImageMove("b.jpg", "train", "test")]
    assert found.labels == [
        LabelDifference("test", "b.jpg", 1, 0),
        LabelDifference("train", "a.jpg", 0, 1),
    ]
    assert (found.boxes_added, found.boxes_removed) == (1, 1)
    back = await ds.compare_versions(set_, "v2", "v1")
    assert (back.added, back.removed) == (found.removed, found.added)
    assert not await ds.compare_versions(set_, "v2", None)


async def test_polygons_that_change_within_their_box_are_a_difference(backend: Backend) -> None:
    yaml = b"train: images/train\nval: images/val\nnames: [cat]\n"
    shape = b"0 0.1 0.1 0.4 0.1 0.4 0.3 0.1 0.3\n"
    for name, data in (("one", shape), ("two", shape.replace(b"0.4 0.3 0.1", b"0.4 0.3 0.2"))):
        await backend.arrange(
            name,
            {"data.yaml": yaml, "images/train/a.jpg": jpeg(1), "labels/train/a.txt": data},
        )
    ds = backend.stores.dataset
    first, second = await ds.freeze("one", "v"), await ds.freeze("two", "v")
    assert first.digest != second.digest
    assert not await ds.compare_versions("one", "v", None)


async def test_history_and_trash_follow_the_classes(stores: Stores, set_: str) -> None:
    await stores.label.save(set_, *B, [DOG])
    await stores.dataset.freeze(set_, "v1")
    await stores.dataset.rewrite_classes(set_, ["dog", "cat"], {0: 1, 1: 0})
    entry = await stores.image.delete(set_, *A)
    await stores.label.save(set_, *B, [])
    await stores.dataset.restore_version(set_, "v1")
    edits = await stores.label.history(set_, *B)
    assert edits[-1].what == "restore version"
    assert edits[-1].after == [DOG] == edits[-2].before
    await stores.image.delete(set_, *A)
    await stores.image.restore(set_, entry.id)
    assert await stores.label.load(set_, *A) == [CAT, DOG]


async def test_history_survives_going_back_and_forth(stores: Stores, set_: str) -> None:
    ds = stores.dataset
    before = await stores.label.history(set_)
    await ds.freeze(set_, "v1")
    done = await ds.rewrite_classes(set_, ["dog", "cat"], {0: 1, 1: 0})
    kept = await ds.restore_version(set_, "v1")
    await ds.restore_version(set_, kept.name)
    await ds.undo_rewrite(set_, done.id)
    assert await stores.label.load(set_, *A) == [CAT, DOG]
    assert await stores.label.history(set_) == before


async def test_deleting_a_version_leaves_the_others_whole(stores: Stores, set_: str) -> None:
    ds = stores.dataset
    await ds.freeze(set_, "v1")
    await change_everything(stores)
    await ds.freeze(set_, "v2")
    await ds.delete_version(set_, "v1")
    assert [info.name for info in await ds.list_versions(set_)] == ["v2"]
    with pytest.raises(NotFoundError, match="v1"):
        await ds.restore_version(set_, "v1")
    with pytest.raises(NotFoundError):
        await ds.delete_version(set_, "v1")
    with pytest.raises(NotFoundError):
        await ds.compare_versions(set_, "v1", None)
    after = await contents(stores)
    for split, name in (A, ("test", "b.jpg"), ("val", "new.jpg")):
        await stores.image.delete(set_, split, name)
    await stores.image.purge(set_)
    await ds.restore_version(set_, "v2")
    assert await contents(stores) == after


@pytest.mark.parametrize("name", BAD_NAMES)
async def test_names_that_cannot_be(stores: Stores, set_: str, name: str) -> None:
    with pytest.raises(InvalidNameError):
        await stores.dataset.freeze(set_, name)
    with pytest.raises(InvalidNameError):
        await stores.dataset.restore_version(set_, name)


async def test_versions_need_a_dataset(stores: Stores, tmp_path: Path, set_: str) -> None:
    ds = stores.dataset
    for call in (ds.freeze("none", "v"), ds.list_versions("none"), ds.restore_version("none", "v")):
        with pytest.raises(NotFoundError):
            await call
    await ds.freeze(set_, "v1")
    archive = await ds.export_zip(set_, tmp_path)
    await ds.import_zip(archive, "copy")
    assert await ds.list_versions("copy") == []
    await ds.rename(set_, "renamed")
    assert [info.name for info in await ds.list_versions("renamed")] == ["v1"]


async def test_progress_can_cancel(stores: Stores, set_: str) -> None:
    def stop(done: int, total: int) -> None:
        assert total == 3
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await stores.dataset.freeze(set_, "v1", progress=stop)
    assert await stores.dataset.list_versions(set_) == []
