"""What every label store does."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from tests.helpers.archives import YAML
from tests.helpers.backends import Backend
from tests.helpers.pictures import jpeg
from workbench.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidBoxError,
    InvalidNameError,
    LabelFormatError,
    LossySaveError,
    NotFoundError,
)
from workbench.persistence import ImageStore, LabelStore, Stores
from workbench.persistence.models import Annotation

BOX = Annotation(0, 0.5, 0.5, 0.25, 0.5)
BIRD = Annotation(2, 0.25, 0.75, 0.125, 0.25)
Call = Callable[[LabelStore, str, str, str], Awaitable[object]]

CALLS: list[tuple[str, Call]] = [
    ("save", lambda lbl, d, s, f: lbl.save(d, s, f, [BOX])),
    ("save_many", lambda lbl, d, s, f: lbl.save_many(d, {(s, f): [BOX]})),
    ("load", lambda lbl, d, s, f: lbl.load(d, s, f)),
    ("get", lambda lbl, d, s, f: lbl.get(d, s, f)),
    ("delete", lambda lbl, d, s, f: lbl.delete(d, s, f)),
    ("move", lambda lbl, d, s, f: lbl.move(d, f, s, "test")),
]
EXISTS: list[tuple[str, Call]] = [("exists", lambda lbl, d, s, f: lbl.exists(d, s, f))]


@pytest.mark.parametrize(("method", "call"), CALLS, ids=[name for name, _ in CALLS])
async def test_every_method_says_that_an_image_is_not_there(
    lbl: LabelStore, pets: str, method: str, call: Call
) -> None:
    with pytest.raises(NotFoundError, match=r"gone\.jpg"):
        await call(lbl, pets, "train", "gone.jpg")
    with pytest.raises(NotFoundError, match="nobody"):
        await call(lbl, "nobody", "train", "a.jpg")
    assert len(await lbl.load_all(pets)) == 0


@pytest.mark.parametrize(
    ("method", "call"), CALLS + EXISTS, ids=[name for name, _ in CALLS + EXISTS]
)
async def test_every_method_checks_names(
    lbl: LabelStore, pets: str, method: str, call: Call
) -> None:
    for where in (
        ("../pets", "train", "a.jpg"),
        (pets, "../train", "a.jpg"),
        (pets, "valid", "a.jpg"),
        (pets, "train", "../a.jpg"),
        (pets, "train", "a\n.jpg"),
        (pets, "train", ""),
    ):
        with pytest.raises(InvalidNameError):
            await call(lbl, *where)


async def test_methods_on_a_whole_dataset_that_is_not_there(lbl: LabelStore) -> None:
    with pytest.raises(NotFoundError):
        await lbl.load_all("nobody")
    with pytest.raises(NotFoundError):
        await lbl.restore("nobody", "x")


async def test_an_image_starts_without_labels(lbl: LabelStore, img: ImageStore, pets: str) -> None:
    assert await lbl.load(pets, "train", "a.jpg") == []
    assert not await lbl.exists(pets, "train", "a.jpg")
    data = await lbl.get(pets, "train", "a.jpg")
    assert (data.filename, data.split, data.annotations) == ("a.jpg", "train", [])
    assert (data.revision, data.other_rows) == ("", 0)
    assert not (await img.get(pets, "train", "a.jpg")).has_labels


async def test_save_returns_what_the_file_holds_now(lbl: LabelStore, pets: str) -> None:
    saved = await lbl.save(pets, "train", "a.jpg", [BIRD, BOX])
    assert (saved.filename, saved.split, saved.other_rows) == ("a.jpg", "train", 0)
    assert saved.annotations == [BIRD, BOX]
    assert saved.revision
    assert await lbl.get(pets, "train", "a.jpg") == saved
    assert await lbl.load(pets, "train", "a.jpg") == [BIRD, BOX]
    assert await lbl.exists(pets, "train", "a.jpg")


async def test_saving_nothing_means_reviewed(lbl: LabelStore, img: ImageStore, pets: str) -> None:
    await lbl.save(pets, "train", "a.jpg", [BOX])
    saved = await lbl.save(pets, "train", "a.jpg", [])
    assert saved.annotations == []
    assert saved.revision
    assert await lbl.load(pets, "train", "a.jpg") == []
    assert await lbl.exists(pets, "train", "a.jpg")
    assert (await img.list(pets))[0].has_labels


async def test_numbers_of_numpy_are_numbers(lbl: LabelStore, pets: str) -> None:
    box = Annotation(np.int64(1), *np.array([0.5, 0.5, 0.25, 0.25]))  # type: ignore[arg-type]
    await lbl.save(pets, "train", "a.jpg", (box,))
    (loaded,) = await lbl.load(pets, "train", "a.jpg")
    assert loaded == Annotation(1, 0.5, 0.5, 0.25, 0.25)
    assert type(loaded.class_id) is int
    assert all(type(value) is float for value in loaded.xywh)


async def test_a_pixel_of_an_8k_picture_survives(lbl: LabelStore, pets: str) -> None:
    boxes = [
        Annotation(0, (x + 0.5) / 7680, (y + 0.5) / 4320, 1 / 7680, 1 / 4320)
        for x, y in ((0, 0), (1, 1), (3333, 2221), (7679, 4319))
    ]
    await lbl.save(pets, "train", "a.jpg", boxes)
    for before, after in zip(boxes, await lbl.load(pets, "train", "a.jpg"), strict=True):
        assert np.allclose(before.xywh, after.xywh, rtol=0, atol=1e-7)


async def test_a_box_partly_outside_is_clipped(lbl: LabelStore, pets: str) -> None:
    over = Annotation(1, 0.0, 0.9, 0.5, 0.4)
    saved = await lbl.save(pets, "train", "a.jpg", [over])
    expected = Annotation(1, 0.125, 0.85, 0.25, 0.3)
    assert np.allclose(saved.annotations[0].xywh, expected.xywh, rtol=0, atol=1e-8)
    assert await lbl.load(pets, "train", "a.jpg") == saved.annotations


@pytest.mark.parametrize(
    "bad",
    [
        Annotation(0, math.nan, 0.5, 0.1, 0.1),
        Annotation(0, 0.5, 0.5, 0.1, math.nan),
        Annotation(0, 0.5, math.inf, 0.1, 0.1),
        Annotation(0, 0.5, 0.5, math.inf, 0.1),
        Annotation(0, 0.5, 0.5, 0.0, 0.1),
        Annotation(0, 0.5, 0.5, 0.1, -0.1),
        Annotation(0, 1.5, 0.5, 0.2, 0.2),
        Annotation(0, 0.5, -1.0, 0.2, 0.2),
        Annotation(3, 0.5, 0.5, 0.2, 0.2),
        Annotation(-1, 0.5, 0.5, 0.2, 0.2),
        Annotation(0.5, 0.5, 0.5, 0.2, 0.2),  # type: ignore[arg-type]
    ],
    ids=[
        "nan",
        "nan size",
        "inf",
        "inf size",
        "flat",
        "inside out",
        "right of it",
        "above it",
        "unknown class",
        "negative class",
        "half a class",
    ],
)
async def test_boxes_that_no_file_may_hold(lbl: LabelStore, pets: str, bad: Annotation) -> None:
    before = await lbl.save(pets, "train", "a.jpg", [BIRD])
    with pytest.raises(InvalidBoxError, match=r"a\.jpg.*box 1") as caught:
        await lbl.save(pets, "train", "a.jpg", [BOX, bad])
    assert str(bad.class_id) in str(caught.value)
    with pytest.raises(InvalidBoxError):
        await lbl.save_many(pets, {("train", "a.jpg"): [BOX, bad]})
    assert await lbl.get(pets, "train", "a.jpg") == before


async def test_the_revision_follows_the_contents(lbl: LabelStore, pets: str) -> None:
    revisions = [(await lbl.get(pets, "train", "a.jpg")).revision]
    revisions += [
        (await lbl.save(pets, "train", "a.jpg", boxes)).revision
        for boxes in ([BOX], [BIRD], [BOX, BIRD], [])
    ]
    assert len(set(revisions)) == 5
    assert (await lbl.get(pets, "train", "a.jpg")).revision == revisions[-1]


async def test_a_change_by_others_is_a_conflict(lbl: LabelStore, pets: str) -> None:
    first = await lbl.save(pets, "train", "a.jpg", [BOX], expected_revision="")
    second = await lbl.save(pets, "train", "a.jpg", [BIRD], expected_revision=first.revision)
    for stale in (first.revision, "", "made up"):
        with pytest.raises(ConflictError, match=r"train/a\."):
            await lbl.save(pets, "train", "a.jpg", [], expected_revision=stale)
    assert await lbl.get(pets, "train", "a.jpg") == second
    await lbl.delete(pets, "train", "a.jpg")
    with pytest.raises(ConflictError):
        await lbl.save(pets, "train", "a.jpg", [], expected_revision=second.revision)
    assert not await lbl.exists(pets, "train", "a.jpg")


async def test_a_revision_holds_across_moves(lbl: LabelStore, img: ImageStore, pets: str) -> None:
    saved = await lbl.save(pets, "train", "a.jpg", [BOX])
    await img.move(pets, "a.jpg", "train", "val")
    await lbl.save(pets, "val", "a.jpg", [BIRD], expected_revision=saved.revision)
    assert await lbl.load(pets, "val", "a.jpg") == [BIRD]


async def test_save_many(lbl: LabelStore, img: ImageStore, pets: str) -> None:
    await img.save_bytes(pets, "val", "b.jpg", jpeg(2))
    await img.save_bytes(pets, "val", "c.jpg", jpeg(3))
    await lbl.save(pets, "val", "c.jpg", [BOX])
    await lbl.save_many(pets, {("train", "a.jpg"): [BOX, BIRD], ("val", "b.jpg"): []})
    assert await lbl.load(pets, "train", "a.jpg") == [BOX, BIRD]
    assert await lbl.exists(pets, "val", "b.jpg")
    assert await lbl.load(pets, "val", "c.jpg") == [BOX]
    assert await lbl.save_many(pets, {}) == []


async def test_save_many_is_decided_on_what_was_seen(
    lbl: LabelStore, img: ImageStore, pets: str
) -> None:
    await img.save_bytes(pets, "val", "b.jpg", jpeg(2))
    key, other = ("train", "a.jpg"), ("val", "b.jpg")
    seen = (await lbl.save(pets, *key, [BOX])).revision
    edits = await lbl.save_many(
        pets, {key: [BIRD], other: [BOX]}, expected={key: seen, other: ""}, what="both"
    )
    assert [edit.what for edit in await lbl.history(pets)][-2:] == ["both", "both"]
    assert [edit.id for edit in await lbl.history(pets)][-2:] == edits
    with pytest.raises(ConflictError):
        await lbl.save_many(pets, {other: [], key: [BOX]}, expected={key: seen})
    assert await lbl.load(pets, *key) == [BIRD]
    assert await lbl.load(pets, *other) == [BOX]
    await lbl.revert_many(pets, edits)
    assert await lbl.load(pets, *key) == [BOX]
    assert not await lbl.exists(pets, *other)


@pytest.mark.parametrize(
    ("key", "boxes", "error"),
    [
        (("train", "gone.jpg"), [BOX], NotFoundError),
        (("nowhere", "a.jpg"), [BOX], InvalidNameError),
        (("val", "../b.jpg"), [BOX], InvalidNameError),
        (("val", "c.jpg"), [Annotation(7, 0.5, 0.5, 0.1, 0.1)], InvalidBoxError),
    ],
    ids=["gone", "split", "name", "class"],
)
async def test_save_many_is_all_or_none(
    lbl: LabelStore,
    img: ImageStore,
    pets: str,
    key: tuple[str, str],
    boxes: list[Annotation],
    error: type[Exception],
) -> None:
    await img.save_bytes(pets, "val", "b.jpg", jpeg(2))
    await img.save_bytes(pets, "val", "c.jpg", jpeg(3))
    before = await lbl.save(pets, "train", "a.jpg", [BIRD])
    with pytest.raises(error):
        await lbl.save_many(pets, {("train", "a.jpg"): [BOX], key: boxes, ("val", "b.jpg"): [BOX]})
    assert await lbl.get(pets, "train", "a.jpg") == before
    assert not await lbl.exists(pets, "val", "b.jpg")


async def test_load_all_is_every_box_in_columns(
    lbl: LabelStore, img: ImageStore, pets: str
) -> None:
    await img.save_bytes(pets, "train", "b.jpg", jpeg(2))
    await img.save_bytes(pets, "train", "c.jpg", jpeg(3))
    await img.save_bytes(pets, "val", "a.jpg", jpeg(4))
    await lbl.save(pets, "train", "a.jpg", [BOX, BIRD])
    await lbl.save(pets, "train", "c.jpg", [])
    await lbl.save(pets, "val", "a.jpg", [BIRD])

    table = await lbl.load_all(pets)
    images = list(zip(table.splits, table.filenames, strict=True))
    assert images == [("train", "a.jpg"), ("train", "b.jpg"), ("train", "c.jpg"), ("val", "a.jpg")]
    assert images == [(i.split, i.filename) for i in await img.list(pets)]
    assert table.labelled.tolist() == [True, False, True, True]
    assert table.image_index.tolist() == [0, 0, 3]
    assert table.class_id.tolist() == [0, 2, 2]
    assert table.boxes.tolist() == [list(BOX.xywh), list(BIRD.xywh), list(BIRD.xywh)]
    assert table.problems == []
    assert len(table) == 3
    assert table.class_counts(3).tolist() == [1, 0, 2]
    assert table.boxes_per_image().tolist() == [2, 0, 0, 1]
    assert (table.image_index.dtype, table.class_id.dtype) == (np.int64, np.int64)
    assert (table.boxes.dtype, table.labelled.dtype) == (np.float64, np.bool_)
    assert repr(table) == "<LabelTable: 3 boxes of 4 images>"
    assert repr(await img.scan(pets)) == "<ImageTable: 4 images>"

    val = await lbl.load_all(pets, "val")
    assert (val.filenames, val.splits) == (["a.jpg"], ["val"])
    assert (val.image_index.tolist(), val.class_id.tolist()) == ([0], [2])
    with pytest.raises(InvalidNameError):
        await lbl.load_all(pets, "valid")


async def test_load_all_of_nothing_has_the_same_shapes(stores: Stores) -> None:
    await stores.dataset.create("empty")
    table = await stores.label.load_all("empty")
    assert len(table) == 0
    assert (table.boxes.shape, table.image_index.shape) == ((0, 4), (0,))
    assert table.labelled.shape == (0,)
    assert table.class_counts(2).tolist() == [0, 0]


async def test_deleted_labels_come_back(lbl: LabelStore, img: ImageStore, pets: str) -> None:
    saved = await lbl.save(pets, "train", "a.jpg", [BOX])
    entry = await lbl.delete(pets, "train", "a.jpg")
    assert (entry.kind, entry.name, entry.split) == ("label", "a.jpg", "train")
    assert not await lbl.exists(pets, "train", "a.jpg")
    assert await lbl.load(pets, "train", "a.jpg") == []
    assert await img.list_trash(pets) == [entry]
    assert await lbl.restore(pets, entry.id) == saved
    assert await lbl.load(pets, "train", "a.jpg") == [BOX]
    assert await img.list_trash(pets) == []


async def test_delete_without_labels(lbl: LabelStore, pets: str) -> None:
    with pytest.raises(NotFoundError, match=r"a\.jpg"):
        await lbl.delete(pets, "train", "a.jpg")


async def test_restore_refuses_an_image_that_is_labelled_again(
    lbl: LabelStore, img: ImageStore, pets: str
) -> None:
    await lbl.save(pets, "train", "a.jpg", [BOX])
    entry = await lbl.delete(pets, "train", "a.jpg")
    await lbl.save(pets, "train", "a.jpg", [BIRD])
    with pytest.raises(AlreadyExistsError, match=r"a\."):
        await lbl.restore(pets, entry.id)
    assert await lbl.load(pets, "train", "a.jpg") == [BIRD]
    assert await img.list_trash(pets) == [entry]


@pytest.mark.parametrize("entry_id", ["nothing", "../../labels", "", "."])
async def test_trash_entries_that_are_not_there(lbl: LabelStore, pets: str, entry_id: str) -> None:
    with pytest.raises((NotFoundError, InvalidNameError)):
        await lbl.restore(pets, entry_id)


async def test_image_and_label_entries_do_not_mix(
    lbl: LabelStore, img: ImageStore, pets: str
) -> None:
    await lbl.save(pets, "train", "a.jpg", [BOX])
    label = await lbl.delete(pets, "train", "a.jpg")
    image = await img.delete(pets, "train", "a.jpg")
    assert await img.list_trash(pets) == [label, image]
    with pytest.raises(NotFoundError):
        await lbl.restore(pets, label.id)  # its image is gone
    with pytest.raises(NotFoundError):
        await lbl.restore(pets, image.id)
    with pytest.raises(NotFoundError):
        await img.restore(pets, label.id)
    await img.restore(pets, image.id)
    await lbl.restore(pets, label.id)
    assert await lbl.load(pets, "train", "a.jpg") == [BOX]


async def test_move_after_the_image_finds_nothing_to_do(
    lbl: LabelStore, img: ImageStore, pets: str
) -> None:
    await lbl.save(pets, "train", "a.jpg", [BOX])
    await img.move(pets, "a.jpg", "train", "val")
    await lbl.move(pets, "a.jpg", "train", "val")
    await lbl.move(pets, "a.jpg", "train", "val")
    assert await lbl.load(pets, "val", "a.jpg") == [BOX]


async def test_move_of_an_unlabelled_image_does_nothing(
    lbl: LabelStore, img: ImageStore, pets: str
) -> None:
    await lbl.move(pets, "a.jpg", "train", "val")
    await img.move(pets, "a.jpg", "train", "val")
    await lbl.move(pets, "a.jpg", "train", "val")
    assert not await lbl.exists(pets, "val", "a.jpg")


async def test_move_refuses_labels_that_are_taken(
    lbl: LabelStore, img: ImageStore, pets: str
) -> None:
    await img.save_bytes(pets, "val", "a.jpg", jpeg(2))
    await lbl.save(pets, "val", "a.jpg", [BIRD])
    await lbl.save(pets, "train", "a.jpg", [BOX])
    with pytest.raises(AlreadyExistsError):
        await lbl.move(pets, "a.jpg", "train", "val")
    assert await lbl.load(pets, "val", "a.jpg") == [BIRD]
    assert await lbl.load(pets, "train", "a.jpg") == [BOX]


# --- what other tools left in label files -------------------------------------------------

OTHER = {
    "data.yaml": YAML,
    "images/train/poly.jpg": jpeg(1),
    "images/train/conf.jpg": jpeg(2),
    "images/train/plain.jpg": jpeg(3),
    "images/val/odd.jpg": jpeg(4),
    "labels/train/poly.txt": b"1 0.1 0.2 0.5 0.2 0.5 0.8 0.1 0.8\n0 0.5 0.5 0.2 0.2\n",
    "labels/train/conf.txt": b"0 0.5 0.5 0.2 0.2 0.91\n",
    "labels/train/plain.txt": b"\xef\xbb\xbf1.0\t0.5  0.5 0.25 0.25\r\n\r\n0 1e-1 .5 0.1 .5",
    "labels/val/odd.txt": b"0 0.5 0.5 1.5 0.5\n",
}


async def test_rows_that_are_more_than_boxes_give_their_box(backend: Backend) -> None:
    await backend.arrange("other", OTHER)
    lbl = backend.stores.label
    data = await lbl.get("other", "train", "poly.jpg")
    assert data.other_rows == 1
    assert [a.class_id for a in data.annotations] == [1, 0]
    assert np.allclose(data.annotations[0].xywh, (0.3, 0.5, 0.4, 0.6), rtol=0, atol=1e-9)
    data = await lbl.get("other", "train", "conf.jpg")
    assert (data.other_rows, data.annotations) == (1, [Annotation(0, 0.5, 0.5, 0.2, 0.2)])
    data = await lbl.get("other", "train", "plain.jpg")
    assert data.other_rows == 0
    assert data.annotations == [
        Annotation(1, 0.5, 0.5, 0.25, 0.25),
        Annotation(0, 0.1, 0.5, 0.1, 0.5),
    ]
    data = await lbl.get("other", "val", "odd.jpg")
    assert np.allclose(data.annotations[0].xywh, (0.5, 0.5, 1.0, 0.5), rtol=0, atol=1e-9)
    table = await lbl.load_all("other")
    assert table.class_counts(2).tolist() == [4, 2]
    assert table.problems == []


@pytest.mark.parametrize("filename", ["poly.jpg", "conf.jpg"])
async def test_rows_that_are_more_than_boxes_are_not_destroyed_unasked(
    backend: Backend, filename: str
) -> None:
    await backend.arrange("other", OTHER)
    lbl = backend.stores.label
    before = await lbl.get("other", "train", filename)
    with pytest.raises(LossySaveError, match=filename.split(".")[0]):
        await lbl.save("other", "train", filename, before.annotations)
    with pytest.raises(LossySaveError):
        await lbl.save_many("other", {("train", filename): [], ("train", "plain.jpg"): []})
    assert await lbl.get("other", "train", filename) == before
    assert len(await lbl.load("other", "train", "plain.jpg")) == 2

    saved = await lbl.save("other", "train", filename, before.annotations, discard_other_rows=True)
    assert (saved.other_rows, len(saved.annotations)) == (0, len(before.annotations))
    await lbl.save("other", "train", filename, [])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"0 0.5 0.5 0.2 0.2\n0 0.5 0.5 0.2\n", 2),
        (b"0,0.5,0.5,0.2,0.2\n", 1),
        (b"\n\nseven 0.5 0.5 0.2 0.2", 3),
        (b"2 0.5 0.5 0.2 0.2\n", 1),
        (b"-1 0.5 0.5 0.2 0.2\n", 1),
        (b"0.5 0.5 0.5 0.2 0.2\n", 1),
        (b"0 nan 0.5 0.2 0.2\n", 1),
        (b"0 0.5 0.5 0 0.2\n", 1),
        (b"0 320 240 100 100\n", 1),
        (b"0 0.5 0.5 0.2 0.2\n0 0.5 0.5 0.2 0.2\n\xff\xfe\x00", 3),
    ],
)
async def test_label_files_that_cannot_be_read_name_the_line(
    backend: Backend, text: bytes, line: int
) -> None:
    files: dict[str, bytes] = {**OTHER, "labels/val/odd.txt": text}
    await backend.arrange("other", files)
    lbl = backend.stores.label
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: lbl.load("other", "val", "odd.jpg"),
        lambda: lbl.get("other", "val", "odd.jpg"),
    ]
    for call in calls:
        with pytest.raises(LabelFormatError, match=rf"odd\.txt, line {line}: "):
            await call()
    table = await lbl.load_all("other")
    assert [str(p) for p in table.problems] == [
        str(await _error_of(lbl.load("other", "val", "odd.jpg")))
    ]
    position = table.filenames.index("odd.jpg")
    assert table.labelled[position]
    assert position not in table.image_index.tolist()

    with pytest.raises(LossySaveError, match="odd"):
        await lbl.save("other", "val", "odd.jpg", [BOX])
    await lbl.save("other", "val", "odd.jpg", [BOX], discard_other_rows=True)
    assert await lbl.load("other", "val", "odd.jpg") == [BOX]


async def _error_of(awaitable: Awaitable[Any]) -> Exception:
    try:
        await awaitable
    except LabelFormatError as error:
        return error
    raise AssertionError("no error")
