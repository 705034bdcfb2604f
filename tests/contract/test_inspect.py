"""A close look at label files, bad rows replaced, orphans and images put aside, and back again."""

from __future__ import annotations

import pytest

from tests.helpers.backends import Backend
from tests.helpers.pictures import encoded, jpeg
from workbench.errors import AlreadyExistsError, ConflictError, InvalidBoxError, NotFoundError
from workbench.persistence import Stores
from workbench.persistence.inspection import ImageReplacement, LabelRepair
from workbench.persistence.models import Annotation

GOOD = b"0 0.5 0.5 0.2 0.2\n"
BAD = b"\xef\xbb\xbf0 0.5 0.5 0.2 0.2\r\n\r\n1 0.9 0.5 0.4 0.2\r\n7 0.1 0.1 0.1 0.1\r\nrubbish"
YAML = b"train: images/train\nval: images/val\nnames: [cat, dog]\n"
BOX = Annotation(1, 0.85, 0.5, 0.3, 0.2)


@pytest.fixture
async def messy(backend: Backend) -> str:
    files = {"data.yaml": YAML}
    for name, labels in (("good", GOOD), ("bad", BAD), ("empty", b"")):
        files[f"images/train/{name}.jpg"] = jpeg(1)
        files[f"labels/train/{name}.txt"] = labels
    await backend.arrange("messy", files)
    return "messy"


async def test_rows_are_reported_as_they_stand(stores: Stores, messy: str) -> None:
    inspection = await stores.label.inspect(messy)
    (report,) = inspection.files
    assert (report.split, report.filename) == ("train", "bad.jpg")
    assert [(row.line, row.position, row.values) for row in report.rows] == [
        (1, 0, (0, 0.5, 0.5, 0.2, 0.2)),
        (3, 1, (1, 0.9, 0.5, 0.4, 0.2)),
        (4, 2, (7, 0.1, 0.1, 0.1, 0.1)),
        (5, 3, ()),
    ]
    assert "class id 7" in report.problem
    assert inspection.orphans == []


async def test_a_table_tells_which_files_hold_more_than_boxes(backend: Backend) -> None:
    polygon = b"0 0.1 0.1 0.5 0.1 0.5 0.5\n"
    files = {"data.yaml": YAML, "labels/train/lonely.txt": GOOD}
    contents = {"a": GOOD, "b": polygon, "c": b"rubbish\n", "d": GOOD, "e": polygon}
    for name, labels in contents.items():
        files[f"images/train/{name}.jpg"] = jpeg(1)
        files[f"labels/train/{name}.txt"] = labels
    files["images/val/v.jpg"], files["labels/val/v.txt"] = jpeg(1), polygon
    await backend.arrange("some", files)
    label = backend.stores.label
    whole = await label.load_all("some")
    assert [whole.filenames[place] for place in whole.irregular] == [
        "b.jpg", "c.jpg", "e.jpg", "v.jpg",
    ]  # fmt: skip
    keys = [("val", "v.jpg"), ("train", "d.jpg"), ("train", "c.jpg"), ("train", "b.jpg")]
    some = await label.load_many("some", keys)
    assert some.irregular.tolist() == [0, 2, 3]
    inspection = await label.inspect("some", only=keys)
    assert {(r.split, r.filename) for r in inspection.files} == {keys[0], keys[2], keys[3]}
    assert inspection.orphans == []
    assert (await label.inspect("some")).orphans == [("train", "lonely.txt")]


async def test_a_file_in_utf_16_has_no_rows(backend: Backend) -> None:
    data = GOOD.decode().encode("utf-16")
    files = {"data.yaml": YAML, "images/val/a.jpg": jpeg(1), "labels/val/a.txt": data}
    await backend.arrange("wide", files)
    (report,) = (await backend.stores.label.inspect("wide")).files
    assert report.rows == []
    assert "UTF-16" in report.problem


async def test_rows_are_replaced_and_the_others_stay(stores: Stores, messy: str) -> None:
    (report,) = (await stores.label.inspect(messy)).files
    repair = LabelRepair(report.revision, {1: BOX, 2: None, 3: None})
    edits = await stores.label.repair_many(messy, {("train", "bad.jpg"): repair}, what="repair")
    assert await stores.label.load(messy, "train", "bad.jpg") == [
        Annotation(0, 0.5, 0.5, 0.2, 0.2),
        BOX,
    ]
    assert (await stores.label.history(messy))[-1].what == "repair"
    await stores.label.revert_many(messy, edits)
    assert (await stores.label.inspect(messy)).files == [report]


async def test_untouched_rows_stay_byte_for_byte(backend: Backend, messy: str) -> None:
    if backend.data_dir is None:
        pytest.skip("asserts on the file itself")
    (report,) = (await backend.stores.label.inspect(messy)).files
    repair = LabelRepair(report.revision, {1: None})
    await backend.stores.label.repair_many(messy, {("train", "bad.jpg"): repair})
    data = (backend.data_dir / "messy/labels/train/bad.txt").read_bytes()
    assert data == BAD.replace(b"1 0.9 0.5 0.4 0.2\r\n", b"")


async def test_a_repair_of_a_changed_file_is_refused(stores: Stores, messy: str) -> None:
    (report,) = (await stores.label.inspect(messy)).files
    await stores.label.save(messy, "train", "bad.jpg", [], discard_other_rows=True)
    repairs = {
        ("train", "good.jpg"): LabelRepair("other", {0: None}),
        ("train", "bad.jpg"): LabelRepair(report.revision, {1: None}),
    }
    with pytest.raises(ConflictError, match="changed since it was inspected"):
        await stores.label.repair_many(messy, repairs)
    assert len(await stores.label.load(messy, "train", "good.jpg")) == 1


async def test_a_repair_with_an_impossible_box_is_refused(stores: Stores, messy: str) -> None:
    (report,) = (await stores.label.inspect(messy)).files
    repair = LabelRepair(report.revision, {1: Annotation(1, 0.5, 0.5, 0.0, 0.1)})
    with pytest.raises(InvalidBoxError):
        await stores.label.repair_many(messy, {("train", "bad.jpg"): repair})
    assert (await stores.label.inspect(messy)).files == [report]


@pytest.fixture
async def orphaned(backend: Backend, messy: str) -> str:
    backend.put(messy, {"labels/val/lost.txt": GOOD, "labels/train/classes.txt": b"cat\n"})
    return messy


async def test_orphans_go_to_the_trash_and_come_back(stores: Stores, orphaned: str) -> None:
    assert (await stores.label.inspect(orphaned)).orphans == [("val", "lost.txt")]
    (entry,) = await stores.label.delete_orphans(orphaned, [("val", "lost.txt")])
    assert (entry.kind, entry.name, entry.split) == ("orphan", "lost.txt", "val")
    assert (await stores.label.inspect(orphaned)).orphans == []
    await stores.image.restore_many(orphaned, [entry.id])
    assert (await stores.label.inspect(orphaned)).orphans == [("val", "lost.txt")]
    assert await stores.image.list_trash(orphaned) == []


async def test_labels_of_an_image_are_no_orphans(stores: Stores, orphaned: str) -> None:
    with pytest.raises(ConflictError, match="belongs to an image"):
        await stores.label.delete_orphans(orphaned, [("val", "lost.txt"), ("train", "good.txt")])
    for name in ("gone.txt", "../data.yaml", "good"):
        with pytest.raises(NotFoundError):
            await stores.label.delete_orphans(orphaned, [("train", name)])
    assert (await stores.label.inspect(orphaned)).orphans == [("val", "lost.txt")]


async def test_an_image_is_replaced_under_its_labels_and_put_back(
    stores: Stores, messy: str
) -> None:
    new = encoded(".png", 4)
    old = await stores.image.read_bytes(messy, "train", "good.jpg")
    way = ImageReplacement("train", "good.jpg", "good.png", new, old)
    (entry,) = await stores.image.replace_many(messy, [way])
    assert await stores.image.read_bytes(messy, "train", "good.png") == new
    assert not await stores.image.exists(messy, "train", "good.jpg")
    assert len(await stores.label.load(messy, "train", "good.png")) == 1
    assert [e.kind for e in await stores.image.list_trash(messy)] == ["replaced"]
    await stores.image.undo_replace(messy, [entry.id])
    assert await stores.image.read_bytes(messy, "train", "good.jpg") == old
    assert not await stores.image.exists(messy, "train", "good.png")
    assert await stores.image.list_trash(messy) == []


async def test_undoing_does_not_destroy_newer_pixels(stores: Stores, messy: str) -> None:
    old = await stores.image.read_bytes(messy, "train", "good.jpg")
    way = ImageReplacement("train", "good.jpg", "good.jpg", jpeg(5), old)
    (entry,) = await stores.image.replace_many(messy, [way])
    await stores.image.save_bytes(messy, "train", "good.jpg", jpeg(6))
    with pytest.raises(ConflictError, match="changed since"):
        await stores.image.undo_replace(messy, [entry.id])
    assert await stores.image.read_bytes(messy, "train", "good.jpg") == jpeg(6)
    with pytest.raises(AlreadyExistsError):
        await stores.image.restore_many(messy, [entry.id])


async def test_only_replacements_are_undone_as_such(stores: Stores, messy: str) -> None:
    old = await stores.image.read_bytes(messy, "train", "good.jpg")
    way = ImageReplacement("train", "good.jpg", "good.jpg", jpeg(5), old)
    (entry,) = await stores.image.replace_many(messy, [way])
    (deleted,) = await stores.image.delete_many(messy, [("train", "empty.jpg")])
    for wrong in (deleted.id, "20260101-000000-000000-0000"):
        with pytest.raises(NotFoundError):
            await stores.image.undo_replace(messy, [entry.id, wrong])
        assert await stores.image.read_bytes(messy, "train", "good.jpg") == jpeg(5)
    await stores.image.delete(messy, "train", "good.jpg")
    with pytest.raises(ConflictError, match="changed since"):
        await stores.image.undo_replace(messy, [entry.id])
    assert len(await stores.image.list_trash(messy)) == 3


async def test_all_images_are_replaced_or_none(stores: Stores, messy: str) -> None:
    old = await stores.image.read_bytes(messy, "train", "good.jpg")
    ways = [
        ImageReplacement("train", "good.jpg", "good.jpg", jpeg(5), old),
        ImageReplacement("train", "empty.jpg", "empty.jpg", jpeg(5), b"something else"),
    ]
    with pytest.raises(ConflictError):
        await stores.image.replace_many(messy, ways)
    assert await stores.image.read_bytes(messy, "train", "good.jpg") == old
    assert await stores.image.list_trash(messy) == []


async def test_replacing_does_not_rename(stores: Stores, messy: str) -> None:
    old = await stores.image.read_bytes(messy, "train", "good.jpg")
    ways = [ImageReplacement("train", "good.jpg", "better.jpg", jpeg(5), old)]
    with pytest.raises(ValueError, match="does not rename"):
        await stores.image.replace_many(messy, ways)
    ways = [ImageReplacement("train", "good.jpg", "good.png", b"no image", old)]
    with pytest.raises(ValueError, match="expected an image"):
        await stores.image.replace_many(messy, ways)
