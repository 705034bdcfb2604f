"""A whole dataset copied to another place."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.pictures import jpeg
from tests.storage.s3_proxy import S3Proxy
from workbench import copy_dataset, create_stores
from workbench.cli import main
from workbench.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidDatasetError,
    InvalidNameError,
    NotFoundError,
    UnreachableError,
)
from workbench.persistence import Stores
from workbench.persistence.models import Annotation, NewImage
from workbench.persistence.storage.local import LocalStorage
from workbench.persistence.storage.local.removing import remove_tree
from workbench.persistence.stores import copying

BOX = Annotation(0, 0.5, 0.5, 0.25, 0.5)
OTHER = Annotation(0, 0.25, 0.25, 0.25, 0.5)


def files_of(folder: Path) -> dict[str, bytes]:
    """All that belongs to a dataset, but for what is derived and for the locks."""
    left_out = tuple(f".workbench/{name}" for name in ("cache", "generation", "lock", "tmp", "tx"))
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    return {
        name: path.read_bytes()
        for name, path in found.items()
        if path.is_file() and not name.startswith(left_out)
    }


@pytest.fixture(autouse=True)
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is noted of copies is in a folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return create_stores(tmp_path / "data", tmp_path / "models")


@pytest.fixture
async def cups(stores: Stores, tmp_path: Path) -> Path:
    """A dataset with a history, a version, a trash and a file of another tool."""
    images = [NewImage(f"{n}.jpg", "train", jpeg(n), [BOX]) for n in range(3)]
    await stores.dataset.create_from("cups", ["cup"], images)
    await stores.dataset.freeze("cups", "first")
    await stores.label.save("cups", "train", "0.jpg", [BOX, OTHER])
    await stores.image.delete("cups", "train", "2.jpg")
    await stores.dataset.save_cache("cups", "thing", b"derived")
    folder = tmp_path / "data" / "cups"
    (folder / "notes").mkdir()
    (folder / "notes" / "of us.txt").write_text("taken in May")
    assert {".workbench/history", ".workbench/trash", ".workbench/versions"} <= {
        "/".join(name.split("/")[:2]) for name in files_of(folder)
    }
    return folder


async def test_a_copy_is_the_same_byte_for_byte(cups: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    target = tmp_path / "elsewhere" / "mugs"
    made = await copy_dataset(cups, target, progress=lambda *steps: seen.append(steps))
    assert (made.name, made.path, made.classes) == ("mugs", target, ["cup"])
    assert files_of(target) == files_of(cups)
    assert not (target / ".workbench" / "cache").exists()
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1]


async def test_what_training_would_run_does_not_come_along(cups: Path, tmp_path: Path) -> None:
    text = (cups / "data.yaml").read_text()
    (cups / "data.yaml").write_text(f"{text}licence: MIT\ndownload: import os\n")
    await copy_dataset(cups, tmp_path / "copy" / "cups")
    copied = (tmp_path / "copy" / "cups" / "data.yaml").read_text()
    assert "import os" not in copied
    assert "# 'download' was left out" in copied
    assert "licence: MIT" in copied


@pytest.mark.skipif(sys.platform == "win32", reason="long paths as POSIX has them")
async def test_files_of_other_tools_are_copied_piece_by_piece(cups: Path, tmp_path: Path) -> None:
    """However large they are, and however deep the folder that they lie in is."""
    copied = tmp_path / "copy" / "cups"
    for part in (400, 800, 1200):
        cups.joinpath(*["d"] * part).mkdir(parents=True)
    deep = "/".join([*["d"] * 1200, "note.txt"])
    (cups / deep).write_text("found")
    with (cups / "yolo11x.pt").open("wb") as file:
        file.truncate(64 << 20)  # takes no room on the disk
    tracemalloc.start()
    try:
        await copy_dataset(cups, copied)
        assert tracemalloc.get_traced_memory()[1] < 24 << 20
        assert (copied / "yolo11x.pt").stat().st_size == 64 << 20
        assert (copied / deep).read_text() == "found"
    finally:
        tracemalloc.stop()
        for folder in (cups, tmp_path / "copy"):  # pytest could not
            remove_tree(str(folder))


async def test_a_copy_can_be_worked_on(cups: Path, tmp_path: Path) -> None:
    await copy_dataset(cups, tmp_path / "elsewhere" / "cups")
    before = files_of(cups)
    other = create_stores(tmp_path / "elsewhere", tmp_path / "models")
    [deleted] = await other.image.list_trash("cups")
    await other.image.restore("cups", deleted.id)
    [version] = await other.dataset.list_versions("cups")
    assert version.name == "first"
    await other.dataset.restore_version("cups", "first")
    assert len(await other.image.list("cups")) == 3
    assert await other.label.load("cups", "train", "0.jpg") == [BOX]
    assert files_of(cups) == before


async def test_to_a_bucket_and_back(cups: Path, tmp_path: Path, address: str) -> None:
    assert await asyncio.to_thread(main, ["copy", str(cups), f"{address}/my cups"]) == 0
    assert (
        await asyncio.to_thread(
            main, ["copy", f"{address}/my cups", str(tmp_path / "back" / "cups")]
        )
        == 0
    )
    assert files_of(tmp_path / "back" / "cups") == files_of(cups)


async def test_what_changes_meanwhile_gives_the_copy_up(
    cups: Path, stores: Stores, tmp_path: Path
) -> None:
    def meanwhile(done: int, total: int) -> None:
        (cups / "images" / "train" / "0.jpg").write_bytes(jpeg(7))

    target = tmp_path / "elsewhere"
    with pytest.raises(ConflictError, match=r"images/train/0\.jpg changed"):
        await copy_dataset(cups, target / "cups", progress=meanwhile)
    assert not (target / "cups").exists()
    made = await copy_dataset(cups, target / "cups")
    assert made.num_images["train"] == 2
    assert (target / "cups" / "images" / "train" / "0.jpg").read_bytes() == jpeg(7)


async def test_labels_drawn_meanwhile_come_along_or_not(cups: Path, tmp_path: Path) -> None:
    label = cups / "labels" / "train" / "1.txt"

    def meanwhile(done: int, total: int) -> None:
        if done == 1:
            label.write_text("0 0.5 0.5 0.125 0.125\n")

    await copy_dataset(cups, tmp_path / "elsewhere" / "cups", progress=meanwhile)
    assert files_of(tmp_path / "elsewhere" / "cups") == files_of(cups)


async def test_bytes_that_come_out_otherwise_are_found(
    cups: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last file that was written changes on the disk before it is compared."""
    target = tmp_path / "elsewhere"

    def spoil(done: int, total: int) -> None:
        for written in target.rglob("labels/train/1.txt"):
            written.write_text("0 0.5 0.5 0.125 0.125\n")

    with pytest.raises(InvalidDatasetError, match=r"labels/train/1\.txt: expected the bytes"):
        await copy_dataset(cups, target / "cups", progress=spoil)
    assert not (target / "cups").exists()


async def test_a_killed_copy_goes_on_where_it_was(
    cups: Path, stores: Stores, tmp_path: Path
) -> None:
    """What it had copied is not read again, unless the source or the copy has changed since."""
    for n in range(3, 7):
        await stores.image.save("cups", "train", f"{n}.jpg", np.full((20, 20, 3), n * 9, np.uint8))
    target = tmp_path / "elsewhere" / "cups"
    kill = (
        "import asyncio, os, pathlib, sys\n"
        "from workbench.persistence.copying import copy_dataset\n"
        "from workbench.persistence.stores import copying\n"
        "copying._MOST_TOGETHER = 1\n"
        "around = pathlib.Path(sys.argv[2]).parent\n"
        "def die(done, total):\n"
        "    if len([*around.rglob('images/train/*.jpg')]) == 4:\n"
        "        os._exit(9)\n"
        "asyncio.run(copy_dataset(sys.argv[1], sys.argv[2], progress=die))\n"
    )
    killed = [sys.executable, "-c", kill, str(cups), str(target)]
    assert await asyncio.to_thread(subprocess.call, killed) == 9
    assert not target.exists()
    left = sorted((target.parent / ".workbench" / "staging").rglob("images/train/*.jpg"))
    assert len(left) == 4
    spoilt, changed, *_ = (path.name for path in left)
    left[0].write_bytes(b"damaged")
    (cups / "images" / "train" / changed).write_bytes(jpeg(40))
    there = {path.name: path.stat().st_mtime_ns for path in left}
    # Who makes another dataset there leaves it alone.
    await create_stores(target.parent, tmp_path / "models").dataset.create("other", ["cup"])
    await copy_dataset(cups, target)
    assert files_of(target) == files_of(cups)
    same = {
        name
        for name, written in there.items()
        if (target / "images/train" / name).stat().st_mtime_ns == written
    }
    assert same == there.keys() - {spoilt, changed}
    assert not [*(tmp_path / "cache" / "workbench" / "copies").iterdir()]
    assert not [*(target.parent / ".workbench" / "staging").iterdir()]


async def test_a_copy_to_a_bucket_goes_on_where_it_was(
    cups: Path, tmp_path: Path, s3: S3Proxy, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "_MOST_TOGETHER", 1)

    def break_off(done: int, total: int) -> None:
        if len(written()) == 2:
            raise UnreachableError("the network is gone")

    def written() -> list[str]:
        return [path for method, path in s3.log if method == "PUT" and "/images/" in path]

    s3.log.clear()
    with pytest.raises(UnreachableError):
        await copy_dataset(cups, f"{address}/cups", progress=break_off)
    assert len(written()) == 2
    await copy_dataset(cups, f"{address}/cups")
    assert len(written()) == len(set(written())), "none twice"
    await copy_dataset(f"{address}/cups", tmp_path / "back" / "cups")
    assert files_of(tmp_path / "back" / "cups") == files_of(cups)


async def test_links_that_lead_out_are_not_followed(cups: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(jpeg(9))
    (cups / "images" / "train" / "x.jpg").symlink_to(secret)
    with pytest.raises(InvalidDatasetError, match="nothing was copied"):
        await copy_dataset(cups, tmp_path / "elsewhere" / "cups")
    assert not (tmp_path / "elsewhere" / "cups").exists()


async def test_what_is_there_already_stays(cups: Path, stores: Stores) -> None:
    await stores.dataset.create("mugs", ["mug"])
    with pytest.raises(AlreadyExistsError):
        await copy_dataset(cups, cups.parent / "mugs")
    assert (await stores.dataset.get("mugs")).classes == ["mug"]


@pytest.mark.parametrize("target", ["cups/images/inner", "cups/inner", "../data/cups/cups"])
async def test_not_into_itself(target: str, cups: Path) -> None:
    before = files_of(cups)
    with pytest.raises(InvalidNameError, match="outside of the dataset that is copied"):
        await copy_dataset(cups, cups.parent / target)
    with pytest.raises(InvalidNameError, match="outside of the dataset that is copied"):
        await copy_dataset("s3://bucket/data/cups", "s3://bucket/data/cups/images/inner")
    assert files_of(cups) == before


@pytest.mark.parametrize("bucket", [False, True])
async def test_a_mistyped_dataset_is_said_with_the_one_that_is_meant(
    cups: Path, tmp_path: Path, address: str, capsys: pytest.CaptureFixture[str], bucket: bool
) -> None:
    place = f"{address}/data" if bucket else str(cups.parent)
    if bucket:
        await copy_dataset(cups, f"{place}/cups")
    for wrong, said in (
        ("cusp", f"did you mean {place}/cups?"),
        ("kangaroo", "it holds 'cups'"),
    ):
        arguments = ["copy", f"{place}/{wrong}", str(tmp_path / "to" / "x")]
        assert await asyncio.to_thread(main, arguments) == 1
        told = capsys.readouterr().err
        assert said in told
        assert "list()" not in told
    assert not (tmp_path / "to" / "x").exists()


async def test_what_is_not_there_is_said(
    tmp_path: Path, cups: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NotFoundError, match="missing"):
        await copy_dataset(cups.parent / "missing", tmp_path / "x")
    assert (
        await asyncio.to_thread(
            main, ["copy", str(tmp_path / "nowhere" / "cups"), str(tmp_path / "x")]
        )
        == 1
    )
    assert "nowhere is not there; expected a dataset" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(InvalidNameError, match="expected a dataset in the place"):
        await copy_dataset(cups, "s3://bucket")


async def test_a_dataset_that_may_only_be_read_is_copied(
    cups: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: LocalStorage) -> None:
        raise AssertionError(f"{self.where}: no lease is needed to read")

    build = LocalStorage.lease
    monkeypatch.setattr(LocalStorage, "lease", refuse)
    await copy_dataset(cups, tmp_path / "elsewhere" / "cups")
    monkeypatch.setattr(LocalStorage, "lease", build)
    assert files_of(tmp_path / "elsewhere" / "cups") == files_of(cups)
