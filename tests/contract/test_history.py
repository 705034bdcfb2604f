"""The history of labels, in both implementations."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.pictures import jpeg
from workbench.errors import ConflictError, NotFoundError
from workbench.persistence import Stores
from workbench.persistence.models import Annotation, ImageMove

ONE = Annotation(0, 0.5, 0.5, 0.25, 0.5)
TWO = Annotation(1, 0.25, 0.25, 0.125, 0.25)


@pytest.fixture
async def pets(stores: Stores) -> str:
    await stores.dataset.create("history", ["cat", "dog"])
    for name in ("a.jpg", "b.jpg"):
        await stores.image.save_bytes("history", "train", name, jpeg(1))
    return "history"


async def test_every_edit_says_what_was_and_what_is(stores: Stores, pets: str) -> None:
    lbl = stores.label
    await lbl.save(pets, "train", "a.jpg", [ONE])
    await lbl.save(pets, "train", "b.jpg", [])
    await lbl.save(pets, "train", "a.jpg", [ONE, TWO])
    await lbl.save(pets, "train", "a.jpg", [ONE, TWO])  # changes nothing
    entry = await lbl.delete(pets, "train", "a.jpg")
    await lbl.restore(pets, entry.id)

    edits = await lbl.history(pets, "train", "a.jpg")
    assert [(edit.before, edit.after) for edit in edits] == [
        (None, [ONE]),
        ([ONE], [ONE, TWO]),
        ([ONE, TWO], None),
        (None, [ONE, TWO]),
    ]
    assert [edit.at for edit in edits] == sorted(edit.at for edit in edits)
    assert {(edit.split, edit.filename) for edit in edits} == {("train", "a.jpg")}
    assert len({edit.id for edit in edits}) == 4
    assert [edit.filename for edit in await lbl.history(pets)] == ["a.jpg", "b.jpg"] + ["a.jpg"] * 3
    assert await lbl.history(pets, "val") == []
    assert [edit.id for edit in await lbl.history(pets, limit=2)] == [edit.id for edit in edits[2:]]
    assert await lbl.history(pets, limit=0) == []


async def test_the_history_follows_an_image_through_its_names(stores: Stores, pets: str) -> None:
    img, lbl = stores.image, stores.label
    await lbl.save(pets, "train", "a.jpg", [ONE])
    await img.move(pets, "a.jpg", "train", "val")
    await lbl.save_many(pets, {("val", "a.jpg"): [TWO]})
    await img.rename(pets, "val", "a.jpg", "c.jpg")
    await img.move_many(pets, [ImageMove("c.jpg", "val", "test")])
    # Another image takes the first name: its past is its own.
    await img.save_bytes(pets, "train", "a.jpg", jpeg(2))
    await lbl.save(pets, "train", "a.jpg", [])

    edits = await lbl.history(pets, "test", "c.jpg")
    assert [edit.after for edit in edits] == [[ONE], [TWO]]
    assert [edit.after for edit in await lbl.history(pets, "train", "a.jpg")] == [[]]

    await lbl.revert(pets, edits[1].id)
    assert await lbl.load(pets, "test", "c.jpg") == [ONE]


async def test_reverting_is_an_edit_that_can_be_reverted(stores: Stores, pets: str) -> None:
    lbl = stores.label
    await lbl.save(pets, "train", "a.jpg", [ONE])
    await lbl.save(pets, "train", "a.jpg", [ONE, TWO])
    first, second = await lbl.history(pets, "train", "a.jpg")

    reverted = await lbl.revert(pets, second.id)
    assert reverted.annotations == [ONE] == await lbl.load(pets, "train", "a.jpg")
    assert reverted.revision == (await lbl.get(pets, "train", "a.jpg")).revision
    third = (await lbl.history(pets, "train", "a.jpg"))[-1]
    await lbl.revert(pets, third.id)
    assert await lbl.load(pets, "train", "a.jpg") == [ONE, TWO]

    await lbl.revert(pets, first.id)
    assert not await lbl.exists(pets, "train", "a.jpg")
    await lbl.revert(pets, first.id)  # there is nothing left to take away
    assert (await lbl.get(pets, "train", "a.jpg")).revision == ""


async def test_an_edit_may_say_what_it_was(stores: Stores, pets: str, tmp_path: Path) -> None:
    lbl = stores.label
    await lbl.save(pets, "train", "a.jpg", [ONE], what="draw")
    await lbl.save(pets, "train", "a.jpg", [ONE, TWO])
    await lbl.delete(pets, "train", "a.jpg", what="undo")
    [_, second, _] = edits = await lbl.history(pets)
    assert [edit.what for edit in edits] == ["draw", "", "undo"]
    await lbl.revert(pets, second.id)
    archive = await stores.dataset.export_zip(pets, tmp_path)
    await stores.dataset.import_zip(archive, name="copy")
    assert [e.what for e in await lbl.history("copy")] == ["draw", "", "undo", "revert"]


async def test_deleting_labels_that_somebody_has_changed_is_a_conflict(
    stores: Stores, pets: str
) -> None:
    lbl = stores.label
    seen = await lbl.save(pets, "train", "a.jpg", [ONE])
    newer = await lbl.save(pets, "train", "a.jpg", [TWO])
    with pytest.raises(ConflictError):
        await lbl.delete(pets, "train", "a.jpg", expected_revision=seen.revision)
    assert await lbl.load(pets, "train", "a.jpg") == [TWO]
    await lbl.delete(pets, "train", "a.jpg", expected_revision=newer.revision)
    assert not await lbl.exists(pets, "train", "a.jpg")


async def test_an_edit_or_image_that_is_not_there_cannot_be_reverted(
    stores: Stores, pets: str
) -> None:
    await stores.label.save(pets, "train", "a.jpg", [ONE])
    [edit] = await stores.label.history(pets)
    with pytest.raises(NotFoundError, match="no-such-edit"):
        await stores.label.revert(pets, "no-such-edit")
    await stores.image.delete(pets, "train", "a.jpg")
    with pytest.raises(NotFoundError, match=r"a\.jpg"):
        await stores.label.revert(pets, edit.id)


async def test_the_history_travels_in_the_archive(
    stores: Stores, pets: str, tmp_path: Path
) -> None:
    await stores.label.save(pets, "train", "a.jpg", [ONE])
    archive = await stores.dataset.export_zip(pets, tmp_path)
    await stores.dataset.import_zip(archive, name="copy")
    assert await stores.label.history("copy") == await stores.label.history(pets)
