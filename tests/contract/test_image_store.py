"""What every image store does."""

from __future__ import annotations

import unicodedata
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from tests.helpers.backends import Backend
from tests.helpers.names import BAD_FILENAMES, BAD_SPLITS
from tests.helpers.pictures import encoded, frame, jpeg, rotated_jpeg
from workbench.errors import (
    AlreadyExistsError,
    InvalidFrameError,
    InvalidNameError,
    NotFoundError,
)
from workbench.persistence import IMAGE_EXTENSIONS, ImageStore, LabelStore
from workbench.persistence.models import Annotation, ImageInfo, ImageMove

BOX = Annotation(0, 0.5, 0.5, 0.25, 0.5)
Call = Callable[[ImageStore, str, str, str], Awaitable[object]]

READS: list[tuple[str, Call]] = [
    ("load", lambda img, d, s, f: img.load(d, s, f)),
    ("read_bytes", lambda img, d, s, f: img.read_bytes(d, s, f)),
    ("get", lambda img, d, s, f: img.get(d, s, f)),
    ("move", lambda img, d, s, f: img.move(d, f, s, "test")),
    ("move_many", lambda img, d, s, f: img.move_many(d, [ImageMove(f, s, "test")])),
    ("rename", lambda img, d, s, f: img.rename(d, s, f, "new.jpg")),
    ("delete", lambda img, d, s, f: img.delete(d, s, f)),
    ("delete_many", lambda img, d, s, f: img.delete_many(d, [(s, f)])),
]
WRITES: list[tuple[str, Call]] = [
    ("save", lambda img, d, s, f: img.save(d, s, f, frame())),
    ("save_bytes", lambda img, d, s, f: img.save_bytes(d, s, f, jpeg())),
]
EXISTS: list[tuple[str, Call]] = [("exists", lambda img, d, s, f: img.exists(d, s, f))]
ids = [name for name, _ in READS + WRITES + EXISTS]


async def _state(img: ImageStore, lbl: LabelStore, dataset: str) -> list[tuple[Any, ...]]:
    """Everything that a failed call must have left alone."""
    return [
        (
            i.split,
            i.filename,
            await img.read_bytes(dataset, i.split, i.filename),
            (await lbl.get(dataset, i.split, i.filename)).revision,
            await lbl.load(dataset, i.split, i.filename),
        )
        for i in await img.list(dataset)
    ]


@pytest.mark.parametrize(("method", "call"), READS, ids=[name for name, _ in READS])
async def test_every_method_says_that_an_image_is_not_there(
    img: ImageStore, pets: str, method: str, call: Call
) -> None:
    with pytest.raises(NotFoundError, match=r"gone\.jpg"):
        await call(img, pets, "train", "gone.jpg")
    with pytest.raises(NotFoundError, match=r"a\.jpg"):
        await call(img, pets, "val", "a.jpg")


@pytest.mark.parametrize(("method", "call"), READS + WRITES + EXISTS, ids=ids)
async def test_every_method_says_that_a_dataset_is_not_there(
    img: ImageStore, pets: str, method: str, call: Call
) -> None:
    with pytest.raises(NotFoundError, match="nobody"):
        await call(img, "nobody", "train", "a.jpg")


async def test_methods_on_a_whole_dataset_that_is_not_there(img: ImageStore) -> None:
    with pytest.raises(NotFoundError):
        await img.list("nobody")
    with pytest.raises(NotFoundError):
        await img.list_trash("nobody")
    with pytest.raises(NotFoundError):
        await img.restore("nobody", "x")
    with pytest.raises(NotFoundError):
        await img.purge("nobody")


@pytest.mark.parametrize(("method", "call"), READS + WRITES + EXISTS, ids=ids)
async def test_every_method_checks_names(
    img: ImageStore, pets: str, method: str, call: Call
) -> None:
    for where in (
        ("../pets", "train", "a.jpg"),
        (pets, "../train", "a.jpg"),
        (pets, "training", "a.jpg"),
        (pets, "train", "../a.jpg"),
        (pets, "train", "a.txt"),
    ):
        with pytest.raises(InvalidNameError):
            await call(img, *where)


@pytest.mark.parametrize("filename", BAD_FILENAMES, ids=ascii)
async def test_file_names_that_some_system_could_not_hold(
    img: ImageStore, pets: str, filename: str
) -> None:
    with pytest.raises(InvalidNameError):
        await img.save_bytes(pets, "train", filename, jpeg())
    with pytest.raises(InvalidNameError):
        await img.rename(pets, "train", "a.jpg", filename)
    assert [i.filename for i in await img.list(pets)] == ["a.jpg"]


@pytest.mark.parametrize("split", BAD_SPLITS, ids=ascii)
async def test_splits_are_train_val_and_test(img: ImageStore, pets: str, split: str) -> None:
    with pytest.raises(InvalidNameError, match="train, val, test"):
        await img.save_bytes(pets, split, "b.jpg", jpeg())
    with pytest.raises(InvalidNameError):
        await img.list(pets, split=split)
    with pytest.raises(InvalidNameError):
        await img.move(pets, "a.jpg", "train", split)


@pytest.mark.parametrize("extension", [".png", ".bmp", ".tif", ".tiff"])
async def test_lossless_codecs_keep_every_pixel(img: ImageStore, pets: str, extension: str) -> None:
    picture = frame(5)
    info = await img.save(pets, "val", f"x{extension}", picture)
    assert (info.width, info.height) == (32, 24)
    assert info.size_bytes == len(await img.read_bytes(pets, "val", f"x{extension}"))
    assert np.array_equal(await img.load(pets, "val", f"x{extension}"), picture)


@pytest.mark.parametrize("extension", [*sorted(IMAGE_EXTENSIONS), ".JPG", ".Png"])
async def test_the_extension_picks_the_codec(img: ImageStore, pets: str, extension: str) -> None:
    starts = {
        "jpg": b"\xff\xd8",
        "jpeg": b"\xff\xd8",
        "png": b"\x89PNG",
        "bmp": b"BM",
        "webp": b"RIFF",
        "tif": b"II*\0",
        "tiff": b"II*\0",
    }
    picture = frame(6)
    await img.save(pets, "val", f"x{extension}", picture)
    data = await img.read_bytes(pets, "val", f"x{extension}")
    assert data.startswith(starts[extension[1:].lower()])
    loaded = await img.load(pets, "val", f"x{extension}")
    assert (loaded.shape, loaded.dtype) == (picture.shape, np.dtype(np.uint8))
    assert np.abs(loaded.astype(int) - picture.astype(int)).mean() < 10


async def test_views_of_arrays_are_frames_too(img: ImageStore, pets: str) -> None:
    picture = frame(7, 40, 40)[::-2, ::2]
    assert not picture.flags["C_CONTIGUOUS"]
    await img.save(pets, "val", "x.png", picture)
    assert np.array_equal(await img.load(pets, "val", "x.png"), picture)


@pytest.mark.parametrize(
    "bad",
    [
        frame().astype(np.float32),
        frame().astype(np.uint16),
        frame().astype(np.int8),
        frame()[:, :, 0],
        frame()[:, :, :1],
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
        np.zeros((8, 0, 3), np.uint8),
        np.zeros((1, 8, 8, 3), np.uint8),
        np.zeros((2, 70_000, 3), np.uint8),  # JPEG holds at most 65,500
        frame().tolist(),
        None,
    ],
    ids=[
        "float",
        "uint16",
        "int8",
        "gray",
        "one channel",
        "alpha",
        "no rows",
        "no columns",
        "batch",
        "too wide",
        "list",
        "none",
    ],
)
async def test_what_is_no_frame_is_refused(img: ImageStore, pets: str, bad: Any) -> None:
    with pytest.raises(InvalidFrameError):
        await img.save(pets, "train", "a.jpg", bad)
    assert await img.read_bytes(pets, "train", "a.jpg") == jpeg(1)
    assert [i.filename for i in await img.list(pets)] == ["a.jpg"]


async def test_bytes_are_stored_as_they_are(img: ImageStore, pets: str) -> None:
    data = rotated_jpeg(2) + b"trailing"
    info = await img.save_bytes(pets, "test", "phone.jpg", data)
    assert info.size_bytes == len(data)
    assert await img.read_bytes(pets, "test", "phone.jpg") == data


@pytest.mark.parametrize(
    "bad",
    [b"", b"no image", jpeg()[:40], encoded(".png")[:60], encoded(".png")[:8]],
    ids=["empty", "text", "jpeg cut", "png cut", "png signature"],
)
async def test_bytes_that_are_no_image_are_refused(img: ImageStore, pets: str, bad: bytes) -> None:
    with pytest.raises(InvalidFrameError):
        await img.save_bytes(pets, "train", "a.jpg", bad)
    assert await img.read_bytes(pets, "train", "a.jpg") == jpeg(1)
    with pytest.raises(InvalidFrameError):
        await img.save_bytes(pets, "train", "b.jpg", bad)
    assert not await img.exists(pets, "train", "b.jpg")


async def test_sizes_are_of_the_picture_as_it_is_shown(img: ImageStore, pets: str) -> None:
    saved = await img.save_bytes(pets, "test", "phone.jpg", rotated_jpeg(2, height=24, width=32))
    assert (saved.width, saved.height) == (24, 32)
    info = await img.get(pets, "test", "phone.jpg")
    assert (info.width, info.height) == (24, 32)
    assert (await img.load(pets, "test", "phone.jpg")).shape == (32, 24, 3)


@pytest.mark.parametrize("extension", sorted(IMAGE_EXTENSIONS))
async def test_get_knows_the_size_of_every_format(
    backend: Backend, img: ImageStore, pets: str, extension: str
) -> None:
    data = encoded(extension, height=30, width=17)
    await img.save_bytes(pets, "val", f"x{extension}", data)
    info = await img.get(pets, "val", f"x{extension}")
    assert (info.width, info.height, info.size_bytes) == (17, 30, len(data))
    assert (info.filename, info.split, info.has_labels) == (f"x{extension}", "val", False)
    assert (info.modified_at > 0) == backend.tells_times


async def test_save_replaces_and_keeps_the_labels(
    img: ImageStore, lbl: LabelStore, pets: str
) -> None:
    await lbl.save(pets, "train", "a.jpg", [BOX])
    info = await img.save_bytes(pets, "train", "a.jpg", jpeg(9))
    assert info.has_labels
    assert await img.read_bytes(pets, "train", "a.jpg") == jpeg(9)
    assert await lbl.load(pets, "train", "a.jpg") == [BOX]


async def test_save_without_overwrite_keeps_what_is_there(img: ImageStore, pets: str) -> None:
    with pytest.raises(AlreadyExistsError, match=r"a\.jpg"):
        await img.save(pets, "train", "a.jpg", frame(9), overwrite=False)
    with pytest.raises(AlreadyExistsError, match=r"a\.jpg"):
        await img.save_bytes(pets, "train", "a.jpg", jpeg(9), overwrite=False)
    assert await img.read_bytes(pets, "train", "a.jpg") == jpeg(1)
    await img.save(pets, "val", "a.jpg", frame(9), overwrite=False)
    assert await img.exists(pets, "val", "a.jpg")


@pytest.mark.parametrize("other", ["a.png", "a.JPG", "a.jpeg"])
@pytest.mark.parametrize("overwrite", [True, False])
async def test_two_images_never_share_a_label_file(
    img: ImageStore, lbl: LabelStore, pets: str, other: str, overwrite: bool
) -> None:
    with pytest.raises(AlreadyExistsError, match=r"a\.jpg"):
        await img.save(pets, "train", other, frame(2), overwrite=overwrite)
    data = encoded(other[1:].lower(), 2)
    with pytest.raises(AlreadyExistsError, match=r"a\.jpg"):
        await img.save_bytes(pets, "train", other, data, overwrite=overwrite)
    await img.save_bytes(pets, "val", other, data)
    before = await _state(img, lbl, pets)
    with pytest.raises(AlreadyExistsError):
        await img.move(pets, other, "val", "train")
    with pytest.raises(AlreadyExistsError):
        await img.move_many(pets, [ImageMove(other, "val", "train")])
    assert await _state(img, lbl, pets) == before


async def test_names_that_only_look_alike_are_different(img: ImageStore, pets: str) -> None:
    for name in ("a.b.jpg", "a.1.jpg", "a..jpg", "aa.jpg", "a b.jpg"):
        await img.save_bytes(pets, "train", name, jpeg(3))
    assert len(await img.list(pets)) == 6


async def test_composed_and_decomposed_unicode_is_one_image(
    img: ImageStore, lbl: LabelStore, pets: str
) -> None:
    composed = unicodedata.normalize("NFC", "Käfer é.jpg")
    decomposed = unicodedata.normalize("NFD", composed)
    info = await img.save_bytes(pets, "val", decomposed, jpeg(2))
    assert info.filename == composed
    await lbl.save(pets, "val", composed, [BOX])
    assert await lbl.load(pets, "val", decomposed) == [BOX]
    assert await img.read_bytes(pets, "val", decomposed) == jpeg(2)
    assert [i.filename for i in await img.list(pets, split="val")] == [composed]
    with pytest.raises(AlreadyExistsError):
        await img.save_bytes(pets, "val", composed, jpeg(2), overwrite=False)


async def test_list_has_split_name_size_and_label_state(
    backend: Backend, img: ImageStore, lbl: LabelStore, pets: str
) -> None:
    await img.save_bytes(pets, "val", "z.jpg", jpeg(2))
    await img.save_bytes(pets, "val", "b.jpg", jpeg(3))
    await img.save_bytes(pets, "test", "c.jpg", jpeg(4))
    await lbl.save(pets, "val", "z.jpg", [])
    await lbl.save(pets, "train", "a.jpg", [BOX])

    def facts(infos: list[ImageInfo]) -> list[tuple[str, str, int, bool]]:
        return [(i.split, i.filename, i.size_bytes, i.has_labels) for i in infos]

    everything = await img.list(pets)
    assert facts(everything) == [
        ("train", "a.jpg", len(jpeg(1)), True),
        ("val", "b.jpg", len(jpeg(3)), False),
        ("val", "z.jpg", len(jpeg(2)), True),
        ("test", "c.jpg", len(jpeg(4)), False),
    ]
    assert {(i.width, i.height) for i in everything} == {(0, 0)}
    assert all(i.path.name == i.filename for i in everything)
    assert {i.modified_at > 0 for i in everything} == {backend.tells_times}
    assert await img.list(pets, split="val") == everything[1:3]


async def test_list_of_an_empty_dataset(img: ImageStore, ds: Any) -> None:
    await ds.create("empty")
    assert await img.list("empty") == []
    assert await img.list("empty", split="test") == []


async def test_exists(img: ImageStore, pets: str) -> None:
    assert await img.exists(pets, "train", "a.jpg")
    assert not await img.exists(pets, "val", "a.jpg")
    assert not await img.exists(pets, "train", "b.jpg")


async def test_move_takes_the_labels_along(img: ImageStore, lbl: LabelStore, pets: str) -> None:
    await lbl.save(pets, "train", "a.jpg", [BOX])
    info = await img.move(pets, "a.jpg", "train", "val")
    assert (info.filename, info.split, info.has_labels) == ("a.jpg", "val", True)
    assert [(i.split, i.filename, i.has_labels) for i in await img.list(pets)] == [
        ("val", "a.jpg", True)
    ]
    assert await img.read_bytes(pets, "val", "a.jpg") == jpeg(1)
    assert await lbl.load(pets, "val", "a.jpg") == [BOX]
    assert len(await lbl.load_all(pets)) == 1


async def test_move_refuses_a_name_that_is_taken(
    img: ImageStore, lbl: LabelStore, pets: str
) -> None:
    await img.save_bytes(pets, "val", "a.jpg", jpeg(2))
    await lbl.save(pets, "train", "a.jpg", [BOX])
    before = await _state(img, lbl, pets)
    with pytest.raises(AlreadyExistsError, match=r"a\.jpg"):
        await img.move(pets, "a.jpg", "train", "val")
    assert await _state(img, lbl, pets) == before


async def _ten(img: ImageStore, lbl: LabelStore, dataset: str) -> None:
    for i in range(10):
        await img.save_bytes(dataset, "train", f"{i}.jpg", jpeg(i))
        if i % 2:
            await lbl.save(dataset, "train", f"{i}.jpg", [Annotation(i % 3, 0.5, 0.5, 0.1, 0.1)])


async def test_move_many(img: ImageStore, lbl: LabelStore, pets: str) -> None:
    await _ten(img, lbl, pets)
    moves = [ImageMove(f"{i}.jpg", "train", "val" if i < 5 else "test") for i in range(10)]
    await img.move_many(pets, moves)
    assert [i.filename for i in await img.list(pets, split="train")] == ["a.jpg"]
    for i in range(10):
        split = "val" if i < 5 else "test"
        expected = [Annotation(i % 3, 0.5, 0.5, 0.1, 0.1)] if i % 2 else []
        assert await lbl.load(pets, split, f"{i}.jpg") == expected
        assert await lbl.exists(pets, split, f"{i}.jpg") == bool(i % 2)
        assert await img.read_bytes(pets, split, f"{i}.jpg") == jpeg(i)
    await img.move_many(pets, [])


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (ImageMove("gone.jpg", "train", "val"), NotFoundError),
        (ImageMove("a.jpg", "train", "nowhere"), InvalidNameError),
        (ImageMove("../a.jpg", "train", "val"), InvalidNameError),
        (ImageMove("a.jpg", "train", "test"), AlreadyExistsError),
        (ImageMove("3.jpg", "train", "test"), (NotFoundError, AlreadyExistsError, ValueError)),
        (ImageMove("4.jpg", "val", "test"), AlreadyExistsError),
    ],
    ids=["gone", "split", "name", "taken", "moved twice", "two to one place"],
)
@pytest.mark.parametrize("at", [0, 5])
async def test_move_many_is_all_or_none(
    img: ImageStore, lbl: LabelStore, pets: str, bad: ImageMove, error: Any, at: int
) -> None:
    await _ten(img, lbl, pets)
    await img.save_bytes(pets, "test", "a.jpg", jpeg(20))
    await img.save_bytes(pets, "val", "4.jpg", jpeg(21))
    before = await _state(img, lbl, pets)
    moves = [ImageMove(f"{i}.jpg", "train", "test") for i in range(10)]
    moves.insert(at, bad)
    with pytest.raises(error):
        await img.move_many(pets, moves)
    assert await _state(img, lbl, pets) == before


async def test_rename_takes_the_labels_along(img: ImageStore, lbl: LabelStore, pets: str) -> None:
    await lbl.save(pets, "train", "a.jpg", [BOX])
    info = await img.rename(pets, "train", "a.jpg", "cat 1.jpg")
    assert (info.filename, info.split, info.has_labels) == ("cat 1.jpg", "train", True)
    assert [(i.filename, i.has_labels) for i in await img.list(pets)] == [("cat 1.jpg", True)]
    assert await lbl.load(pets, "train", "cat 1.jpg") == [BOX]
    assert await img.read_bytes(pets, "train", "cat 1.jpg") == jpeg(1)


async def test_rename_keeps_the_extension(img: ImageStore, pets: str) -> None:
    with pytest.raises(InvalidNameError, match=r"\.jpg"):
        await img.rename(pets, "train", "a.jpg", "a.png")
    assert await img.exists(pets, "train", "a.jpg")


@pytest.mark.parametrize("taken", ["b.jpg", "b.png"])
async def test_rename_refuses_a_name_that_is_taken(
    img: ImageStore, lbl: LabelStore, pets: str, taken: str
) -> None:
    await img.save_bytes(pets, "train", taken, encoded(taken[1:], 2))
    await lbl.save(pets, "train", taken, [BOX])
    before = await _state(img, lbl, pets)
    with pytest.raises(AlreadyExistsError, match="b"):
        await img.rename(pets, "train", "a.jpg", "b.jpg")
    assert await _state(img, lbl, pets) == before


async def test_a_deleted_image_comes_back_with_its_labels(
    img: ImageStore, lbl: LabelStore, pets: str
) -> None:
    await lbl.save(pets, "train", "a.jpg", [BOX])
    before = await _state(img, lbl, pets)
    entry = await img.delete(pets, "train", "a.jpg")
    assert (entry.kind, entry.name, entry.split) == ("image", "a.jpg", "train")
    assert entry.deleted_at.utcoffset() is not None
    assert await img.list(pets) == []
    assert not await img.exists(pets, "train", "a.jpg")
    with pytest.raises(NotFoundError):
        await lbl.load(pets, "train", "a.jpg")
    assert len(await lbl.load_all(pets)) == 0
    assert await img.list_trash(pets) == [entry]

    info = await img.restore(pets, entry.id)
    assert (info.filename, info.split, info.has_labels) == ("a.jpg", "train", True)
    assert await _state(img, lbl, pets) == before
    assert await img.list_trash(pets) == []


async def test_a_deleted_image_without_labels_comes_back_without(
    img: ImageStore, lbl: LabelStore, pets: str
) -> None:
    entry = await img.delete(pets, "train", "a.jpg")
    assert not (await img.restore(pets, entry.id)).has_labels
    assert not await lbl.exists(pets, "train", "a.jpg")


@pytest.mark.parametrize("again", ["a.jpg", "a.png"])
async def test_restore_refuses_a_place_that_is_taken_again(
    img: ImageStore, lbl: LabelStore, pets: str, again: str
) -> None:
    await lbl.save(pets, "train", "a.jpg", [BOX])
    entry = await img.delete(pets, "train", "a.jpg")
    await img.save_bytes(pets, "train", again, encoded(again[1:], 5))
    before = await _state(img, lbl, pets)
    with pytest.raises(AlreadyExistsError, match=r"a\."):
        await img.restore(pets, entry.id)
    assert await _state(img, lbl, pets) == before
    assert await img.list_trash(pets) == [entry]
    await img.delete(pets, "train", again)
    await img.restore(pets, entry.id)
    assert await lbl.load(pets, "train", "a.jpg") == [BOX]


async def test_the_same_name_can_be_deleted_again_and_again(img: ImageStore, pets: str) -> None:
    entries = []
    for seed in (1, 2, 3):
        await img.save_bytes(pets, "train", "a.jpg", jpeg(seed))
        entries.append(await img.delete(pets, "train", "a.jpg"))
    assert await img.list_trash(pets) == entries
    assert sorted(e.id for e in entries) == [e.id for e in entries]
    await img.restore(pets, entries[1].id)
    assert await img.read_bytes(pets, "train", "a.jpg") == jpeg(2)
    assert await img.list_trash(pets) == [entries[0], entries[2]]


async def test_deleted_images_can_be_looked_at(img: ImageStore, lbl: LabelStore, pets: str) -> None:
    await img.save_bytes(pets, "train", "b.jpg", jpeg(2))
    await lbl.save(pets, "train", "b.jpg", [BOX])
    labels = await lbl.delete_many(pets, [("train", "b.jpg")])
    first = await img.delete(pets, "train", "b.jpg")
    await img.save_bytes(pets, "train", "b.jpg", jpeg(3))
    second = await img.delete(pets, "train", "b.jpg")
    ids = [second.id, "nothing", labels[0].id, first.id]
    found = await img.read_deleted(pets, ids)
    assert (found[0], found[3]) == (jpeg(3), jpeg(2))
    assert [type(one) for one in found[1:3]] == [NotFoundError, NotFoundError]
    await img.purge(pets, second.id)
    (gone,) = await img.read_deleted(pets, [second.id])
    assert isinstance(gone, NotFoundError)
    with pytest.raises(NotFoundError):
        await img.read_deleted("nobody", ids)


async def test_purge_one_and_all(img: ImageStore, lbl: LabelStore, pets: str) -> None:
    await _ten(img, lbl, pets)
    entries = await img.delete_many(pets, [("train", f"{i}.jpg") for i in range(4)])
    assert [e.name for e in entries] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    assert await img.purge(pets, entries[0].id) == 1
    with pytest.raises(NotFoundError):
        await img.restore(pets, entries[0].id)
    with pytest.raises(NotFoundError):
        await img.purge(pets, entries[0].id)
    assert await img.purge(pets) == 3
    assert await img.list_trash(pets) == []
    assert await img.purge(pets) == 0
    assert len(await img.list(pets)) == 7


@pytest.mark.parametrize("entry_id", ["nothing", "../../images", "", "."])
async def test_trash_entries_that_are_not_there(img: ImageStore, pets: str, entry_id: str) -> None:
    with pytest.raises((NotFoundError, InvalidNameError)):
        await img.restore(pets, entry_id)
    with pytest.raises((NotFoundError, InvalidNameError)):
        await img.purge(pets, entry_id)
    assert await img.exists(pets, "train", "a.jpg")


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (("train", "gone.jpg"), NotFoundError),
        (("nowhere", "1.jpg"), InvalidNameError),
        (("train", "../1.jpg"), InvalidNameError),
    ],
)
async def test_delete_many_is_all_or_none(
    img: ImageStore, lbl: LabelStore, pets: str, bad: tuple[str, str], error: type[Exception]
) -> None:
    await _ten(img, lbl, pets)
    before = await _state(img, lbl, pets)
    with pytest.raises(error):
        await img.delete_many(pets, [("train", "1.jpg"), bad, ("train", "2.jpg")])
    assert await _state(img, lbl, pets) == before
    assert await img.list_trash(pets) == []


async def test_what_load_returns_belongs_to_the_caller(img: ImageStore, pets: str) -> None:
    first = await img.load(pets, "train", "a.jpg")
    expected = first.copy()
    first[:] = 0
    assert np.array_equal(await img.load(pets, "train", "a.jpg"), expected)


async def test_what_save_was_given_stays_the_caller_s(img: ImageStore, pets: str) -> None:
    picture = frame(4)
    await img.save(pets, "val", "x.png", picture)
    picture[:] = 0
    assert np.array_equal(await img.load(pets, "val", "x.png"), frame(4))
