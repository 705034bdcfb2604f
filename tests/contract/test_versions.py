"""Frozen versions of datasets, in both implementations."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, tzinfo
from pathlib import Path

import pytest
import yaml

from tests.helpers.backends import Backend
from tests.helpers.names import BAD_NAMES
from tests.helpers.pictures import jpeg
from tests.helpers.small_set import CAT, DOG, A, B, C, contents, make_set
from workbench.errors import (
    AlreadyExistsError,
    InvalidNameError,
    NotFoundError,
)
from workbench.persistence import Stores, versions
from workbench.persistence.models import Annotation, ImageMove
from workbench.persistence.version_models import KEPT_AUTOMATIC, LabelDifference


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


async def test_a_snapshot_of_a_version_is_the_dataset_as_it_was(
    stores: Stores, set_: str, tmp_path: Path
) -> None:
    ds = stores.dataset
    await ds.freeze(set_, "v1")
    then = await ds.snapshot(set_, tmp_path / "then")
    await change_everything(stores)
    seen: list[tuple[int, int]] = []
    shot = await ds.snapshot(
        set_, tmp_path / "v1", version="v1", progress=lambda *step: seen.append(step)
    )
    assert [done for done, _ in seen] == list(range(1, len(seen) + 1))
    assert {total for _, total in seen} == {len(seen)}
    assert shot.digest == then.digest
    assert (shot.num_images, shot.num_labelled) == (then.num_images, then.num_labelled)
    assert shot.num_labelled == {"train": 1, "val": 1, "test": 0}
    assert yaml.safe_load(shot.data_yaml.read_text())["names"] == {0: "cat", 1: "dog"}
    for number, name in enumerate(("train/a", "train/b", "val/c")):
        assert (shot.path / f"images/{name}.jpg").read_bytes() == jpeg(number)
    assert len((shot.path / "labels/train/a.txt").read_text().splitlines()) == 2
    assert not (shot.path / "labels/train/b.txt").exists()
    assert (shot.path / "labels/val/c.txt").read_bytes() == b""

    labelled = await ds.snapshot(set_, tmp_path / "some", version="v1", labelled_only=True)
    assert labelled.num_images == labelled.num_labelled == shot.num_labelled
    now = await ds.snapshot(set_, tmp_path / "now")
    assert now.digest != shot.digest
    with pytest.raises(NotFoundError, match="v2"):
        await ds.snapshot(set_, tmp_path / "v2", version="v2")
    assert not (tmp_path / "v2").exists()


async def test_a_snapshot_of_a_version_may_be_written_to(
    stores: Stores, set_: str, tmp_path: Path
) -> None:
    # Ultralytics rewrites a JPEG with bytes after its end marker in place.
    await stores.image.save_bytes(set_, *A, jpeg(9) + b"trailing bytes")
    await stores.dataset.freeze(set_, "v1")
    before = await contents(stores)
    shot = await stores.dataset.snapshot(set_, tmp_path / "v1", version="v1")
    with (shot.path / "images/train/a.jpg").open("r+b") as file:
        file.write(b"scribbled by training")
    await change_everything(stores)
    await stores.dataset.restore_version(set_, "v1")
    assert await contents(stores) == before


async def test_a_class_that_is_renamed_or_moved_changes_no_boxes(stores: Stores, set_: str) -> None:
    ds = stores.dataset
    await ds.update_classes(set_, ["cat", "dog", "owl", "fox"])  # nobody has boxes of the last two
    await ds.freeze(set_, "v1")
    await ds.rewrite_classes(set_, ["dog", "cat", "owl", "fox"], {0: 1, 1: 0})
    found = await ds.compare_versions(set_, "v1", None)
    assert (found.labels, found.renamed) == ([], {})
    assert found.classes[0] != found.classes[1]
    await ds.rewrite_classes(set_, ["hound", "cat", "owl", "vixen"], {})
    found = await ds.compare_versions(set_, "v1", None)
    assert (found.labels, found.renamed) == ([], {"dog": "hound", "fox": "vixen"})
    assert found  # the classes differ still
    back = await ds.compare_versions(set_, None, "v1")
    assert (back.labels, back.renamed) == ([], {"hound": "dog", "vixen": "fox"})


async def test_boxes_that_change_with_a_renamed_class_are_told(stores: Stores, set_: str) -> None:
    ds = stores.dataset
    await stores.label.save(set_, *B, [CAT])
    await stores.label.save(set_, *C, [CAT])
    await ds.freeze(set_, "v1")
    await ds.update_classes(set_, ["lion", "dog"])
    await stores.label.save(set_, *C, [Annotation(0, 0.125, 0.125, 0.25, 0.25)])
    found = await ds.compare_versions(set_, "v1", None)
    assert found.renamed == {"cat": "lion"}
    assert found.labels == [LabelDifference(*C, 1, 1)]


async def test_a_class_merged_into_another_is_not_renamed(stores: Stores, set_: str) -> None:
    ds = stores.dataset
    await ds.freeze(set_, "v1")
    await ds.rewrite_classes(set_, ["dog", "owl"], {0: 0, 1: 0})
    found = await ds.compare_versions(set_, "v1", None)
    assert found.renamed == {}
    assert found.labels == [LabelDifference(*A, 1, 1)]


class _Back(datetime):
    """A clock that was put back by a year, and stands still."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return datetime(2001, 1, 1, tzinfo=tz)


async def test_a_clock_that_goes_back_drops_no_state_that_was_just_kept(
    stores: Stores, set_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ds = stores.dataset
    await ds.freeze(set_, "mine")
    for _ in range(KEPT_AUTOMATIC):
        await ds.restore_version(set_, "mine")
    await stores.image.save_bytes(set_, *A, jpeg(9))
    monkeypatch.setattr(versions, "datetime", _Back)
    kept = await ds.restore_version(set_, "mine")
    again = await ds.restore_version(set_, "mine")
    assert kept.name != again.name
    names = [info.name for info in await ds.list_versions(set_)]
    assert names[-2:] == [kept.name, again.name]
    await ds.restore_version(set_, kept.name)
    assert await stores.image.read_bytes(set_, *A) == jpeg(9)


async def test_automatic_versions_are_bounded_and_others_stay(stores: Stores, set_: str) -> None:
    ds = stores.dataset
    await ds.freeze(set_, "mine")
    await stores.image.save_bytes(set_, *A, jpeg(9))
    first = await ds.restore_version(set_, "mine")  # has picture 9, as no other
    second = await ds.restore_version(set_, "mine")
    named = await ds.keep_version(set_, second.name)
    assert named == replace(second, automatic=False)
    for _ in range(KEPT_AUTOMATIC - 1):
        await ds.restore_version(set_, "mine")
    names = [info.name for info in await ds.list_versions(set_)]
    assert names[:3] == ["mine", first.name, second.name]
    assert len(names) == 2 + KEPT_AUTOMATIC
    # One that is restored is not removed by that, though it is the oldest.
    await ds.restore_version(set_, first.name)
    assert await stores.image.read_bytes(set_, *A) == jpeg(9)
    assert not await ds.compare_versions(set_, first.name, None)
    await ds.restore_version(set_, "mine")
    infos = await ds.list_versions(set_)
    assert sum(info.automatic for info in infos) == KEPT_AUTOMATIC
    assert [info for info in infos if not info.automatic][1:] == [named]
    with pytest.raises(NotFoundError):
        await ds.compare_versions(set_, first.name, None)
    await ds.restore_version(set_, second.name)
    with pytest.raises(NotFoundError, match="v9"):
        await ds.keep_version(set_, "v9")
