"""Import of folders as other tools leave them, the same for every dataset store."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from tests.helpers.archives import BOX, YAML, small_dataset
from tests.helpers.backends import Backend
from tests.helpers.pictures import jpeg
from workbench.errors import AlreadyExistsError, ArchiveError, InvalidNameError, NotFoundError
from workbench.persistence import DatasetStore, Stores
from workbench.persistence.archive import ArchiveContents, Sink


def _arrange(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def _roboflow() -> dict[str, bytes]:
    return {
        "data.yaml": b"train: ../train/images\nval: ../valid/images\nnc: 2\nnames: [cat, dog]\n",
        "README.roboflow.txt": b"cats v3\n",
        "train/images/a_jpg.rf.0123.jpg": jpeg(1),
        "train/labels/a_jpg.rf.0123.txt": BOX,
        "valid/images/b.jpg": jpeg(2),
        "valid/labels/b.txt": b"1 0.5 0.5 0.25 0.5",
        ".git/config": b"[core]",
    }


async def test_a_folder_becomes_a_dataset_and_stays_as_it_is(
    stores: Stores, tmp_path: Path
) -> None:
    files = _roboflow()
    folder = _arrange(tmp_path / "cats v3", files)
    told: list[tuple[int, int]] = []
    info = await stores.dataset.import_folder(
        folder, progress=lambda done, total: told.append((done, total))
    )
    assert (info.name, info.classes) == ("cats v3", ["cat", "dog"])
    assert info.num_images == {"train": 1, "val": 1, "test": 0}
    assert await stores.image.read_bytes("cats v3", "train", "a_jpg.rf.0123.jpg") == jpeg(1)
    [box] = await stores.label.load("cats v3", "val", "b.jpg")
    assert (box.class_id, box.height) == (1, 0.5)
    assert any("README.roboflow.txt" in note for note in info.notes)
    assert told[-1][0] == told[-1][1]
    assert {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} == set(files)
    assert all((folder / name).read_bytes() == data for name, data in files.items())


@pytest.mark.parametrize("followed", [True, False])
async def test_links_that_lead_out_are_followed_for_whoever_says_so(
    ds: DatasetStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, followed: bool
) -> None:
    if followed:
        monkeypatch.setenv("WORKBENCH_FOLLOW_LINKS", "1")
    store = _arrange(tmp_path / "store", {"a.jpg": jpeg(1), "more/b.jpg": jpeg(2)})
    folder = _arrange(tmp_path / "linked", {"data.yaml": YAML, "labels/train/a.txt": BOX})
    (folder / "images/train").mkdir(parents=True)
    (folder / "images/train/a.jpg").symlink_to(store / "a.jpg")
    (folder / "images/train/gone.jpg").symlink_to(store / "gone.jpg")
    (folder / "images/train/round").symlink_to(folder / "images")
    (folder / "images/val").symlink_to(store / "more")
    (folder / "images/test").mkdir()
    (folder / "images/test/c.jpg").symlink_to("../train/inside.jpg")
    (folder / "images/train/inside.jpg").write_bytes(jpeg(3))
    info = await ds.import_folder(folder)
    there = {"train": 2, "val": 1, "test": 1} if followed else {"train": 1, "val": 0, "test": 1}
    assert info.num_images == there
    assert any("'images/train/gone.jpg'" in note for note in info.notes)
    told = "2 links lead out of the folder and were left out, such as 'images/train/a.jpg'"
    assert any(told in note for note in info.notes) is not followed


@pytest.mark.skipif(os.name == "nt", reason="Windows allows no such names")
async def test_names_that_no_other_system_has(stores: Stores, tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "Käfer")
    names = ["10:30.jpg", "what?.jpg", " b.jpg", f"{decomposed}.jpg", "-x.jpg", "100%.jpg"]
    files = {f"images/train/{name}": jpeg(n) for n, name in enumerate(names)}
    files |= {f"labels/train/{name[:-4]}.txt": BOX for name in names}
    folder = _arrange(tmp_path / "odd", {"data.yaml": YAML, **files})
    bare = os.fsencode(folder / "images/train") + b"/caf\xe9.jpg"
    Path(os.fsdecode(bare)).write_bytes(jpeg(9))
    await stores.dataset.import_folder(folder)
    found = {image.filename: image.has_labels for image in await stores.image.list("odd")}
    assert found == {
        "10_30.jpg": True,
        "what_.jpg": True,
        "b.jpg": True,
        "Käfer.jpg": True,
        "-x.jpg": True,
        "100%.jpg": True,
        "caf_.jpg": False,
    }


async def test_our_own_folder_keeps_prompts_and_leaves_the_trash(
    backend: Backend, tmp_path: Path
) -> None:
    files = small_dataset() | {
        ".workbench/prompts.json": b'{"0": ["a cat"]}',
        ".workbench/trash/1/0-gone.jpg": jpeg(3),
        ".workbench/versions/objects/ab/abcd": jpeg(4),
    }
    folder = _arrange(tmp_path / "in" / "pets", files)
    info = await backend.stores.dataset.import_folder(folder, "again")
    assert await backend.stores.dataset.get_prompts("again") == {0: ["a cat"]}
    assert await backend.stores.image.list_trash("again") == []
    assert info.notes == []


async def test_what_is_refused_leaves_no_trace(backend: Backend, tmp_path: Path) -> None:
    ds = backend.stores.dataset
    before = backend.files()
    empty = _arrange(tmp_path / "empty", {"obj.names": b"cat\n", "obj_train_data/a.txt": BOX})
    with pytest.raises(ArchiveError, match=r"empty.*expected images.*with its images"):
        await ds.import_folder(empty)
    with pytest.raises(NotFoundError, match=r"gone.*found nothing"):
        await ds.import_folder(tmp_path / "gone")
    with pytest.raises(NotFoundError, match=r"found a file"):
        await ds.import_folder(empty / "obj.names")
    with pytest.raises(InvalidNameError):
        await ds.import_folder(_arrange(tmp_path / "pets", small_dataset()), "../pets")
    assert await ds.list() == []
    assert backend.files() == before
    await ds.import_folder(tmp_path / "pets")
    with pytest.raises(AlreadyExistsError, match="pets"):
        await ds.import_folder(tmp_path / "pets")


async def test_one_that_is_cancelled_leaves_no_trace(backend: Backend, tmp_path: Path) -> None:
    before = backend.files()

    def stop(done: int, total: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        await backend.stores.dataset.import_folder(
            _arrange(tmp_path / "pets", small_dataset()), progress=stop
        )
    assert backend.files() == before


async def test_files_in_our_layout_come_in_wholly_or_not_at_all(backend: Backend) -> None:
    ds, before = backend.stores.dataset, backend.files()

    def fill(sink: Sink) -> ArchiveContents:
        sink.write("images/train/a.jpg", jpeg(1))
        sink.write_chunks("labels/train/a.txt", iter([BOX[:5], BOX[5:]]))
        return ArchiveContents(["cat"], {"author": "Ann"}, ["a note"], {}, {})

    def fail(sink: Sink) -> ArchiveContents:
        fill(sink)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        await ds.create_with("pets", fail)
    assert await ds.list() == []
    assert backend.files() == before
    info = await ds.create_with("pets", fill)
    assert (info.classes, info.notes, info.num_images["train"]) == (["cat"], ["a note"], 1)
    [box] = await backend.stores.label.load("pets", "train", "a.jpg")
    assert (box.class_id, box.width) == (0, 0.25)
    with pytest.raises(AlreadyExistsError, match="pets"):
        await ds.create_with("pets", fill)
