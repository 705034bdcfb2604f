"""What every dataset store does."""

from __future__ import annotations

import unicodedata
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.helpers.backends import Backend
from tests.helpers.names import BAD_NAMES
from tests.helpers.pictures import frame, jpeg
from workbench.errors import (
    AlreadyExistsError,
    ClassesInUseError,
    InvalidBoxError,
    InvalidDatasetError,
    InvalidFrameError,
    InvalidNameError,
    NotFoundError,
)
from workbench.persistence import DatasetStore, ImageStore, LabelStore, Stores
from workbench.persistence.models import Annotation, NewImage

BOX = Annotation(0, 0.5, 0.5, 0.25, 0.5)
EMPTY = {"train": 0, "val": 0, "test": 0}


class StoppedError(Exception):
    """What a progress callback raises to cancel."""


async def test_create_says_what_it_made(ds: DatasetStore) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    info = await ds.create("pets", classes=["cat", "dog"])
    assert (info.name, info.classes, info.num_images) == ("pets", ["cat", "dog"], EMPTY)
    assert info.path.name == "pets"
    assert info.created_at is not None
    assert info.modified_at is not None
    assert info.created_at.utcoffset() is not None
    assert before <= info.created_at <= datetime.now(UTC) + timedelta(seconds=2)
    assert await ds.get("pets") == info


async def test_a_dataset_may_start_without_classes(ds: DatasetStore) -> None:
    await ds.create("later")
    assert (await ds.get("later")).classes == []
    assert (await ds.update_classes("later", ["cat"])).classes == ["cat"]


async def test_create_refuses_a_name_that_is_taken(ds: DatasetStore) -> None:
    await ds.create("pets", classes=["cat"])
    with pytest.raises(AlreadyExistsError, match="pets"):
        await ds.create("pets", classes=["dog"])
    assert (await ds.get("pets")).classes == ["cat"]


async def test_composed_and_decomposed_unicode_is_one_name(ds: DatasetStore) -> None:
    composed = unicodedata.normalize("NFC", "Käfer 虫 é")
    decomposed = unicodedata.normalize("NFD", composed)
    assert composed != decomposed
    assert (await ds.create(decomposed)).name == composed
    assert await ds.exists(composed)
    assert await ds.exists(decomposed)
    assert (await ds.get(decomposed)).name == composed
    with pytest.raises(AlreadyExistsError):
        await ds.create(composed)


CALLS: list[tuple[str, Callable[[DatasetStore, str], Awaitable[object]]]] = [
    ("get", lambda ds, name: ds.get(name)),
    ("rename", lambda ds, name: ds.rename(name, "other")),
    ("update_classes", lambda ds, name: ds.update_classes(name, ["x"])),
    ("save_prompts", lambda ds, name: ds.save_prompts(name, {})),
    ("get_prompts", lambda ds, name: ds.get_prompts(name)),
    ("delete", lambda ds, name: ds.delete(name)),
    ("export_zip", lambda ds, name: ds.export_zip(name)),
    ("snapshot", lambda ds, name: ds.snapshot(name, "never_made")),
]


@pytest.mark.parametrize(("method", "call"), CALLS, ids=[name for name, _ in CALLS])
async def test_every_method_says_that_a_dataset_is_not_there(
    ds: DatasetStore, method: str, call: Callable[[DatasetStore, str], Awaitable[object]]
) -> None:
    await ds.create("somebody_else")
    with pytest.raises(NotFoundError, match="nobody"):
        await call(ds, "nobody")
    assert not Path("never_made").exists()


NAMED = [
    *CALLS,
    ("create", lambda ds, name: ds.create(name)),
    ("create_from", lambda ds, name: ds.create_from(name, [], [])),
    ("exists", lambda ds, name: ds.exists(name)),
    ("rename_to", lambda ds, name: ds.rename("pets", name)),
]


@pytest.mark.parametrize(("method", "call"), NAMED, ids=[name for name, _ in NAMED])
async def test_every_method_checks_the_name(
    ds: DatasetStore, pets: str, method: str, call: Callable[[DatasetStore, str], Awaitable[object]]
) -> None:
    with pytest.raises(InvalidNameError):
        await call(ds, "../pets")
    assert [d.name for d in await ds.list()] == ["pets"]


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
async def test_names_that_some_system_could_not_hold_are_refused(
    backend: Backend, name: str
) -> None:
    before = backend.files()
    with pytest.raises(InvalidNameError):
        await backend.stores.dataset.create(name)
    assert await backend.stores.dataset.list() == []
    assert backend.files() == before


@pytest.mark.parametrize(
    "classes",
    [[""], ["cat", "cat"], ["cat", 3], ["cat", None], ["  "]],
    ids=["empty", "twice", "number", "none", "blank"],
)
async def test_class_lists_that_make_no_sense_are_refused(
    ds: DatasetStore, pets: str, classes: list[str]
) -> None:
    with pytest.raises(InvalidDatasetError):
        await ds.create("new", classes=classes)
    with pytest.raises(InvalidDatasetError):
        await ds.create_from("new", classes, [])
    with pytest.raises(InvalidDatasetError):
        await ds.update_classes(pets, classes)
    assert not await ds.exists("new")
    assert (await ds.get(pets)).classes == ["cat", "dog", "bird"]


async def test_a_string_is_no_class_list(ds: DatasetStore) -> None:
    with pytest.raises(ValueError, match="cat"):
        await ds.create("new", classes="cat")
    assert not await ds.exists("new")


async def test_class_names_that_yaml_would_bend_survive(ds: DatasetStore) -> None:
    classes = ["yes", "no", "null", "1", "1e3", "a: b", "# x", "'q\"", "- d", "Käfer", "{a}", "~"]
    await ds.create("odd", classes=classes)
    assert (await ds.get("odd")).classes == classes
    classes = [*reversed(classes), "@", "2024-01-01"]
    await ds.update_classes("odd", classes)
    assert [d.classes for d in await ds.list()] == [classes]


async def test_list_is_sorted_and_complete(ds: DatasetStore) -> None:
    for name in ("b", "c", "a"):
        await ds.create(name, classes=[name])
    assert [(d.name, d.classes) for d in await ds.list()] == [
        ("a", ["a"]),
        ("b", ["b"]),
        ("c", ["c"]),
    ]


async def test_counts_follow_the_images(stores: Stores, pets: str) -> None:
    await stores.image.save_bytes(pets, "val", "b.jpg", jpeg(2))
    await stores.image.save_bytes(pets, "val", "c.jpg", jpeg(3))
    counts = {"train": 1, "val": 2, "test": 0}
    assert (await stores.dataset.get(pets)).num_images == counts
    assert [d.num_images for d in await stores.dataset.list()] == [counts]


async def test_modified_at_never_goes_back(backend: Backend, stores: Stores, pets: str) -> None:
    first = await stores.dataset.get(pets)
    await stores.label.save(pets, "train", "a.jpg", [BOX])
    second = await stores.dataset.get(pets)
    assert first.modified_at is not None
    assert second.modified_at is not None
    assert second.modified_at >= first.modified_at
    assert (second.modified_at > first.modified_at) == backend.tells_times
    assert second.created_at == first.created_at


async def test_rename_takes_everything_along(stores: Stores, pets: str) -> None:
    await stores.label.save(pets, "train", "a.jpg", [BOX])
    await stores.dataset.save_prompts(pets, {1: ["a dog"]})
    deleted = await stores.image.delete(pets, "train", "a.jpg")
    await stores.image.restore(pets, deleted.id)
    info = await stores.dataset.rename(pets, "animals")
    assert (info.name, info.path.name) == ("animals", "animals")
    assert not await stores.dataset.exists(pets)
    assert await stores.label.load("animals", "train", "a.jpg") == [BOX]
    assert await stores.dataset.get_prompts("animals") == {1: ["a dog"]}


async def test_rename_refuses_a_name_that_is_taken(ds: DatasetStore, pets: str) -> None:
    await ds.create("other", classes=["x"])
    with pytest.raises(AlreadyExistsError, match="other"):
        await ds.rename(pets, "other")
    assert {d.name for d in await ds.list()} == {"pets", "other"}
    assert (await ds.get("other")).classes == ["x"]


async def test_classes_may_be_renamed_and_appended(stores: Stores, pets: str) -> None:
    await stores.label.save(pets, "train", "a.jpg", [BOX])
    info = await stores.dataset.update_classes(pets, ["kitten", "dog", "bird", "fish"])
    assert info.classes == ["kitten", "dog", "bird", "fish"]
    assert await stores.label.load(pets, "train", "a.jpg") == [BOX]


async def test_classes_that_no_label_uses_may_go(stores: Stores, pets: str) -> None:
    await stores.label.save(pets, "train", "a.jpg", [BOX])
    assert (await stores.dataset.update_classes(pets, ["cat"])).classes == ["cat"]


async def test_classes_that_labels_use_may_not_go(stores: Stores, pets: str) -> None:
    bird = Annotation(2, 0.5, 0.5, 0.2, 0.2)
    await stores.image.save_bytes(pets, "test", "b.jpg", jpeg(2))
    await stores.label.save(pets, "train", "a.jpg", [bird, BOX, bird])
    await stores.label.save(pets, "test", "b.jpg", [bird])
    with pytest.raises(ClassesInUseError, match=r"2\b.*\b3\b"):  # id 2, used by 3 boxes
        await stores.dataset.update_classes(pets, ["cat", "dog"])
    assert (await stores.dataset.get(pets)).classes == ["cat", "dog", "bird"]


async def test_prompts_come_back_with_the_keys_they_had(ds: DatasetStore, pets: str) -> None:
    assert await ds.get_prompts(pets) == {}
    await ds.save_prompts(pets, {0: ["a cat", "ein Kätzchen"], 2: ["a bird"]})
    prompts = await ds.get_prompts(pets)
    assert prompts == {0: ["a cat", "ein Kätzchen"], 2: ["a bird"]}
    assert all(type(key) is int for key in prompts)
    prompts[0].append("changed by the caller")
    await ds.save_prompts(pets, {1: ("a dog",)})
    assert await ds.get_prompts(pets) == {1: ["a dog"]}
    await ds.save_prompts(pets, {})
    assert await ds.get_prompts(pets) == {}


@pytest.mark.parametrize("prompts", [{3: ["x"]}, {-1: ["x"]}, {0: [""]}, {0: ["ok", "  "]}])
async def test_prompts_that_make_no_sense_are_refused(
    ds: DatasetStore, pets: str, prompts: dict[int, list[str]]
) -> None:
    await ds.save_prompts(pets, {0: ["kept"]})
    with pytest.raises(InvalidDatasetError):
        await ds.save_prompts(pets, prompts)
    assert await ds.get_prompts(pets) == {0: ["kept"]}


async def test_a_deleted_dataset_can_be_brought_back(stores: Stores, pets: str) -> None:
    await stores.label.save(pets, "train", "a.jpg", [BOX])
    await stores.dataset.save_prompts(pets, {0: ["a cat"]})
    entry = await stores.dataset.delete(pets)
    assert (entry.kind, entry.name, entry.split) == ("dataset", pets, "")
    assert entry.deleted_at.utcoffset() is not None
    assert not await stores.dataset.exists(pets)
    assert await stores.dataset.list() == []
    with pytest.raises(NotFoundError):
        await stores.image.load(pets, "train", "a.jpg")
    assert await stores.dataset.list_trash() == [entry]

    info = await stores.dataset.restore(entry.id)
    assert (info.name, info.num_images["train"]) == (pets, 1)
    assert await stores.label.load(pets, "train", "a.jpg") == [BOX]
    assert await stores.dataset.get_prompts(pets) == {0: ["a cat"]}
    assert await stores.dataset.list_trash() == []


async def test_restore_refuses_a_name_that_is_taken_again(ds: DatasetStore, pets: str) -> None:
    entry = await ds.delete(pets)
    await ds.create(pets, classes=["new"])
    with pytest.raises(AlreadyExistsError, match=pets):
        await ds.restore(entry.id)
    assert (await ds.get(pets)).classes == ["new"]
    info = await ds.restore(entry.id, name="old_pets")
    assert (info.name, info.classes) == ("old_pets", ["cat", "dog", "bird"])
    with pytest.raises(NotFoundError):
        await ds.restore(entry.id)


async def test_restore_checks_the_new_name(ds: DatasetStore, pets: str) -> None:
    entry = await ds.delete(pets)
    with pytest.raises(InvalidNameError):
        await ds.restore(entry.id, name="../escaped")
    assert [e.id for e in await ds.list_trash()] == [entry.id]


async def test_the_trash_is_in_order_and_can_be_emptied(ds: DatasetStore) -> None:
    entries = []
    for classes in (["one"], ["two"], ["three"]):
        await ds.create("same", classes=classes)
        entries.append(await ds.delete("same"))
    assert await ds.list_trash() == entries
    assert sorted(e.id for e in entries) == [e.id for e in entries]
    assert await ds.purge(entries[1].id) == 1
    assert await ds.list_trash() == [entries[0], entries[2]]
    assert await ds.purge() == 2
    assert await ds.list_trash() == []
    assert await ds.purge() == 0


@pytest.mark.parametrize("entry_id", ["nothing", "../pets", "", "."])
async def test_trash_entries_that_are_not_there(ds: DatasetStore, pets: str, entry_id: str) -> None:
    with pytest.raises((NotFoundError, InvalidNameError)):
        await ds.restore(entry_id)
    with pytest.raises((NotFoundError, InvalidNameError)):
        await ds.purge(entry_id)
    assert await ds.exists(pets)


def _three_images(folder: Path) -> Iterator[NewImage]:
    file = folder / "given.jpg"
    file.write_bytes(jpeg(1))
    yield NewImage("a.jpg", "train", file, [BOX])
    yield NewImage("b.jpg", "train", jpeg(2), [])
    yield NewImage("c.png", "val", frame(3))


async def test_create_from_takes_files_bytes_and_frames(stores: Stores, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    info = await stores.dataset.create_from(
        "made",
        ["cat"],
        _three_images(tmp_path),
        progress=lambda done, total: seen.append((done, total)),
        total=3,
    )
    assert (info.classes, info.num_images) == (["cat"], {"train": 2, "val": 1, "test": 0})
    assert await stores.image.read_bytes("made", "train", "a.jpg") == jpeg(1)
    assert await stores.image.read_bytes("made", "train", "b.jpg") == jpeg(2)
    assert (await stores.image.load("made", "val", "c.png") == frame(3)).all()
    assert await stores.label.load("made", "train", "a.jpg") == [BOX]
    assert await stores.label.exists("made", "train", "b.jpg")
    assert await stores.label.load("made", "train", "b.jpg") == []
    assert not await stores.label.exists("made", "val", "c.png")
    assert (tmp_path / "given.jpg").read_bytes() == jpeg(1)
    assert [total for _, total in seen] == [3] * len(seen)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (3, 3)


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (NewImage("b.jpg", "train", b"no image"), InvalidFrameError),
        (NewImage("b.jpg", "train", frame(2).astype(float)), InvalidFrameError),
        (NewImage("b.jpg", "train", Path("gone.jpg")), NotFoundError),
        (NewImage("b.jpg", "nowhere", jpeg(2)), InvalidNameError),
        (NewImage("../b.jpg", "train", jpeg(2)), InvalidNameError),
        (NewImage("b.jpg", "train", jpeg(2), [Annotation(1, 0.5, 0.5, 0.1, 0.1)]), InvalidBoxError),
        (NewImage("a.jpg", "train", jpeg(2)), AlreadyExistsError),
        (NewImage("a.png", "train", frame(2)), AlreadyExistsError),
    ],
    ids=["bytes", "dtype", "file", "split", "name", "class", "twice", "stem"],
)
async def test_create_from_makes_all_or_nothing(
    backend: Backend, bad: NewImage, error: type[Exception]
) -> None:
    before = backend.files()
    images = [NewImage("a.jpg", "train", jpeg(1), [BOX]), bad, NewImage("c.jpg", "val", jpeg(3))]
    with pytest.raises(error):
        await backend.stores.dataset.create_from("made", ["cat"], images)
    assert not await backend.stores.dataset.exists("made")
    assert await backend.stores.dataset.list() == []
    assert backend.files() == before


async def test_create_from_can_be_cancelled(backend: Backend) -> None:
    before = backend.files()

    def stop(done: int, total: int) -> None:
        if done >= 2:
            raise StoppedError

    images = [NewImage(f"{i}.jpg", "train", jpeg(i)) for i in range(5)]
    with pytest.raises(StoppedError):
        await backend.stores.dataset.create_from("made", ["cat"], images, progress=stop, total=5)
    assert not await backend.stores.dataset.exists("made")
    assert backend.files() == before


async def test_create_from_reports_the_error_of_the_generator(backend: Backend) -> None:
    def broken() -> Iterator[NewImage]:
        yield NewImage("a.jpg", "train", jpeg(1))
        raise StoppedError

    with pytest.raises(StoppedError):
        await backend.stores.dataset.create_from("made", ["cat"], broken())
    assert not await backend.stores.dataset.exists("made")


async def test_create_from_refuses_a_name_that_is_taken(stores: Stores, pets: str) -> None:
    with pytest.raises(AlreadyExistsError):
        await stores.dataset.create_from(pets, ["x"], [NewImage("z.jpg", "train", jpeg(1))])
    assert [i.filename for i in await stores.image.list(pets)] == ["a.jpg"]


async def test_a_snapshot_holds_the_dataset_as_yolo_reads_it(
    stores: Stores, pets: str, tmp_path: Path
) -> None:
    await stores.image.save_bytes(pets, "val", "b.jpg", jpeg(2))
    await stores.image.save_bytes(pets, "val", "c.jpg", jpeg(3))
    await stores.label.save(pets, "train", "a.jpg", [BOX])
    await stores.label.save(pets, "val", "c.jpg", [])
    seen: list[tuple[int, int]] = []
    shot = await stores.dataset.snapshot(
        pets, tmp_path / "run" / "data", progress=lambda done, total: seen.append((done, total))
    )
    assert shot.path == tmp_path / "run" / "data"
    assert shot.data_yaml == shot.path / "data.yaml"
    assert shot.num_images == {"train": 1, "val": 2, "test": 0}
    assert shot.num_labelled == {"train": 1, "val": 1, "test": 0}
    assert (shot.path / "images/train/a.jpg").read_bytes() == jpeg(1)
    assert (shot.path / "labels/train/a.txt").read_bytes() == (
        b"0 0.50000000 0.50000000 0.25000000 0.50000000\n"
    )
    assert (shot.path / "labels/val/c.txt").read_bytes() == b""
    assert not (shot.path / "labels/val/b.txt").exists()
    assert seen
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == seen[-1][1]


async def test_a_snapshot_may_leave_out_what_is_not_labelled_yet(
    stores: Stores, pets: str, tmp_path: Path
) -> None:
    await stores.image.save_bytes(pets, "train", "b.jpg", jpeg(2))
    await stores.image.save_bytes(pets, "val", "c.jpg", jpeg(3))
    await stores.label.save(pets, "train", "a.jpg", [BOX])
    await stores.label.save(pets, "val", "c.jpg", [])
    shot = await stores.dataset.snapshot(pets, tmp_path / "frozen", labelled_only=True)
    assert shot.num_images == shot.num_labelled == {"train": 1, "val": 1, "test": 0}
    images = sorted(path.name for path in (shot.path / "images").rglob("*.jpg"))
    assert images == ["a.jpg", "c.jpg"]


async def test_a_snapshot_and_its_dataset_do_not_meet(
    stores: Stores, img: ImageStore, lbl: LabelStore, pets: str, tmp_path: Path
) -> None:
    # Ultralytics rewrites a JPEG with bytes after its end marker in place.
    rewritten = jpeg(2) + b"trailing bytes"
    await img.save_bytes(pets, "train", "b.jpg", rewritten)
    await lbl.save(pets, "train", "a.jpg", [BOX])
    shot = await stores.dataset.snapshot(pets, tmp_path / "frozen")

    await lbl.save(pets, "train", "a.jpg", [])
    await img.save_bytes(pets, "train", "a.jpg", jpeg(7))
    assert (shot.path / "images/train/a.jpg").read_bytes() == jpeg(1)
    assert (shot.path / "labels/train/a.txt").read_bytes().startswith(b"0 0.5")

    with (shot.path / "images/train/b.jpg").open("r+b") as file:
        file.write(b"scribbled by training")
    with (shot.path / "labels/train/a.txt").open("r+b") as file:
        file.write(b"1 ")
    assert await img.read_bytes(pets, "train", "b.jpg") == rewritten
    assert await lbl.load(pets, "train", "a.jpg") == []

    await stores.dataset.delete(pets)
    await stores.dataset.purge()
    assert (shot.path / "images/train/a.jpg").read_bytes() == jpeg(1)


async def test_what_a_script_does_to_an_image_does_not_reach_a_snapshot(
    backend: Backend, stores: Stores, pets: str, tmp_path: Path
) -> None:
    """``cv2.imwrite`` writes into the file that is there."""
    shot = await stores.dataset.snapshot(pets, tmp_path / "frozen")
    if backend.data_dir is not None:
        cv2.imwrite(str(backend.data_dir / pets / "images/train/a.jpg"), np.zeros((9, 9, 3)))
        assert await stores.image.read_bytes(pets, "train", "a.jpg") != jpeg(1)
    assert (shot.path / "images/train/a.jpg").read_bytes() == jpeg(1)


async def test_the_digest_of_a_snapshot_tells_what_was_trained_on(
    stores: Stores, lbl: LabelStore, pets: str, tmp_path: Path
) -> None:
    await lbl.save(pets, "train", "a.jpg", [BOX])
    digests = [(await stores.dataset.snapshot(pets, tmp_path / "1")).digest]
    again = (await stores.dataset.snapshot(pets, tmp_path / "2")).digest
    assert again == digests[0]

    await lbl.save(pets, "train", "a.jpg", [])
    digests.append((await stores.dataset.snapshot(pets, tmp_path / "3")).digest)
    await stores.dataset.update_classes(pets, ["cat", "dog", "bat"])
    digests.append((await stores.dataset.snapshot(pets, tmp_path / "5")).digest)
    await stores.image.move(pets, "a.jpg", "train", "val")
    digests.append((await stores.dataset.snapshot(pets, tmp_path / "6")).digest)
    await stores.image.save_bytes(pets, "val", "b.jpg", jpeg(2))
    digests.append((await stores.dataset.snapshot(pets, tmp_path / "7")).digest)
    assert len(set(digests)) == len(digests) == 5


async def test_a_snapshot_never_goes_into_a_folder_that_holds_something(
    ds: DatasetStore, pets: str, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(AlreadyExistsError):
        await ds.snapshot(pets, tmp_path / "mine")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


async def test_a_cancelled_snapshot_leaves_no_trace(
    ds: DatasetStore, pets: str, tmp_path: Path
) -> None:
    def stop(done: int, total: int) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        await ds.snapshot(pets, tmp_path / "frozen", progress=stop)
    assert not (tmp_path / "frozen").exists()
