"""Single rows of many label files changed together, and edits of many images undone together."""

from __future__ import annotations

import pytest

from tests.helpers.backends import Backend
from tests.helpers.pictures import jpeg
from workbench.errors import ConflictError, InvalidBoxError, LabelFormatError, NotFoundError
from workbench.persistence import LabelStore
from workbench.persistence.models import Annotation, RowPatch

A, B, C = ("train", "a.jpg"), ("train", "b.jpg"), ("val", "c.jpg")
TWO = b"0 0.1 0.1 0.4 0.1 0.4 0.3\r\n1 0.50 0.5 0.2 0.2\r\n"  # a polygon, then a box
ONE = b"2 0.5 0.5 0.25 0.25\n"
BOX = Annotation(2, 0.5, 0.5, 0.25, 0.25)


@pytest.fixture
async def pets(backend: Backend) -> str:
    await backend.arrange(
        "pets",
        {
            "data.yaml": b"train: images/train\nval: images/val\nnames: [cat, dog, bird]\n",
            "images/train/a.jpg": jpeg(1),
            "labels/train/a.txt": TWO,
            "images/train/b.jpg": jpeg(2),
            "labels/train/b.txt": ONE,
            "images/val/c.jpg": jpeg(3),
        },
    )
    return "pets"


def files(backend: Backend) -> list[bytes | None]:
    """Return the label files of A, B and C."""
    return [backend.label_bytes("pets", split, name[0]) for split, name in (A, B, C)]


async def test_only_the_rows_that_are_named_change(backend: Backend, pets: str) -> None:
    patches = {A: [RowPatch(1, 2), RowPatch(0, 1)], B: [RowPatch(0, None, expected=BOX)]}
    edits = await backend.stores.label.patch_many(pets, patches, what="reviewed")
    changed = [b"1" + TWO[1:].replace(b"\n1 ", b"\n2 "), b"", None]
    assert files(backend) == changed
    history = await backend.stores.label.history(pets)
    assert [(edit.id, edit.what) for edit in history] == [(edit, "reviewed") for edit in edits]
    await backend.stores.label.revert_many(pets, edits)
    assert files(backend) == [TWO, ONE, None]


async def test_none_for_patches_marks_an_image_as_background(backend: Backend, pets: str) -> None:
    edits = await backend.stores.label.patch_many(pets, {B: None, C: None})
    assert files(backend) == [TWO, b"", b""]
    await backend.stores.label.revert_many(pets, edits)
    assert files(backend) == [TWO, ONE, None]


async def test_what_stays_as_it_is_makes_no_edit(lbl: LabelStore, pets: str) -> None:
    assert await lbl.patch_many(pets, {A: [RowPatch(1, 1)], B: []}) == []
    assert await lbl.history(pets) == []


@pytest.mark.parametrize(
    ("key", "patches", "error", "match"),
    [
        (A, [RowPatch(2, 0)], ConflictError, "expected a box at position 2, found 2 boxes"),
        (C, [RowPatch(0, 0)], ConflictError, "found 0 boxes"),
        (A, [RowPatch(1, 0, expected=BOX)], ConflictError, "another one than was chosen"),
        (A, [RowPatch(0, 0), RowPatch(0, 1)], ConflictError, "two classes at once"),
        (A, [RowPatch(0, 3)], InvalidBoxError, "expected one from 0 to 2"),
        (("val", "gone.jpg"), [RowPatch(0, 0)], NotFoundError, "gone.jpg"),
    ],
    ids=["no such row", "no label file", "another box", "two classes", "no class", "no image"],
)
async def test_one_patch_that_cannot_be_keeps_all_files_as_they_are(
    backend: Backend,
    pets: str,
    key: tuple[str, str],
    patches: list[RowPatch],
    error: type[Exception],
    match: str,
) -> None:
    with pytest.raises(error, match=match):
        await backend.stores.label.patch_many(pets, {B: [RowPatch(0, 0)], key: patches})
    assert files(backend) == [TWO, ONE, None]


async def test_rows_of_a_file_that_cannot_be_read_are_not_changed(backend: Backend) -> None:
    await backend.arrange(
        "bad",
        {
            "data.yaml": b"train: images/train\nval: images/val\nnames: [cat]\n",
            "images/train/a.jpg": jpeg(1),
            "labels/train/a.txt": b"0 0.5 0.5 0.2 0.2\nrubbish\n",
        },
    )
    with pytest.raises(LabelFormatError):
        await backend.stores.label.patch_many("bad", {A: [RowPatch(0, None)]})
    assert backend.label_bytes("bad", "train", "a") == b"0 0.5 0.5 0.2 0.2\nrubbish\n"


async def test_edits_are_undone_all_or_none(backend: Backend, pets: str) -> None:
    lbl = backend.stores.label
    edits = await lbl.patch_many(pets, {A: [RowPatch(0, 2)], B: [RowPatch(0, 0)]})
    await lbl.save(pets, *B, [])  # somebody has gone on with one of them
    before = files(backend)
    with pytest.raises(ConflictError, match=r"b\.jpg"):
        await lbl.revert_many(pets, edits)
    assert files(backend) == before
    with pytest.raises(NotFoundError):
        await lbl.revert_many(pets, [edits[0], "0123456789abcdef"])
    assert files(backend) == before
