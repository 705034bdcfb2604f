"""A folder from a stranger: every file and folder that we read there, as something else.

Whatever is planted, nothing outside is touched or read, nothing hangs, the healthy dataset
stands beside in the list, and the labels can be read and written.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.pictures import jpeg
from tests.helpers.planted import Planted, limited
from workbench.errors import InvalidDatasetError, WorkbenchError
from workbench.persistence import Stores
from workbench.persistence.models import Annotation, ImageMove
from workbench.persistence.yolo.names import HIDDEN_FILES, HIDDEN_FOLDERS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes as POSIX has them")

BOX = Annotation(0, 0.5, 0.5, 0.25, 0.5)
OTHER = Annotation(1, 0.25, 0.25, 0.125, 0.125)

FILES = [
    *sorted(HIDDEN_FILES),
    "history/2026-01.jsonl",
    "imports/account.json",
    "sources/2026-01.jsonl",
    "suggestions/decisions.bin",
    "cache/scan-order-1",
    "cache/image-hashes-1",
    "tx/1/plan.json",
    "trash/1/entry.json",
    "versions/v.version",
    "rewrites/abc.json.z",
]
FOLDERS = [*sorted(HIDDEN_FOLDERS), "tx/1", "trash/1", "versions/objects", "versions/objects/ab"]


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    return Planted(tmp_path)


def _link(path: Path, home: Path) -> None:
    path.symlink_to(home / "tmp" if "." not in path.name else home / ".ssh/id_rsa")


def _link_to_folder(path: Path, home: Path) -> None:
    path.symlink_to(home)


def _dangling(path: Path, home: Path) -> None:
    path.symlink_to(home / "nothing")


def _pipe(path: Path, _: Path) -> None:
    os.mkfifo(path)


def _device(path: Path, _: Path) -> None:
    path.symlink_to("/dev/zero")


def _folder(path: Path, _: Path) -> None:
    path.mkdir()
    (path / "full").write_bytes(b"x")


def _bytes(data: bytes) -> Callable[[Path, Path], object]:
    return lambda path, _: path.write_bytes(data)


KINDS: dict[str, Callable[[Path, Path], object]] = {
    "link": _link,
    "dangling link": _dangling,
    "pipe": _pipe,
    "endless device": _device,
    "folder": _folder,
    "empty": _bytes(b""),
    "garbage": _bytes(bytes(range(256)) * 9),
    "deep": _bytes(b"[" * 100_000),
    "list": _bytes(b"[]"),
    "null": _bytes(b"null"),
    "long number": _bytes(b'{"a": ' + b"9" * 5000 + b"}"),
}


async def work(planted: Planted, stores: Stores, pipes: tuple[Path, ...]) -> None:
    """Do a bit of everything; what is refused is refused with an error of ours."""
    dataset, image, label = stores.dataset, stores.image, stores.label
    target = planted.folder / "out"
    target.mkdir()
    for step in (
        lambda: dataset.get("pets"),
        lambda: dataset.get_tags("pets"),
        lambda: dataset.get_prompts("pets"),
        lambda: dataset.load_imports("pets"),
        lambda: image.scan("pets"),
        lambda: image.sources("pets"),
        lambda: image.list_trash("pets"),
        lambda: label.history("pets"),
        lambda: label.history("pets", "train", "a.jpg"),
        lambda: dataset.list_versions("pets"),
        lambda: image.save_bytes("pets", "train", "n.jpg", jpeg(3)),
        lambda: image.move_many("pets", [ImageMove("n.jpg", "train", "test")]),
        lambda: image.delete("pets", "test", "n.jpg"),
        lambda: dataset.save_tags("pets", {"good": ["a.jpg"]}),
        lambda: dataset.save_prompts("pets", {0: ["a cat"]}),
        lambda: dataset.freeze("pets", "frozen"),
        lambda: dataset.rewrite_classes("pets", ["dog", "cat"], {0: 1, 1: 0}),
        lambda: dataset.restore_version("pets", "frozen"),
        lambda: dataset.delete_version("pets", "frozen"),
        lambda: image.purge("pets"),
        lambda: dataset.export_zip("pets", target),
        lambda: dataset.copy_images("pets", "copy", [("train", "a.jpg")]),
        lambda: dataset.snapshot("pets", planted.folder / "snapshot"),
    ):
        try:
            await limited(step(), pipes)
        except WorkbenchError:
            continue


async def assert_harmless(planted: Planted, path: Path) -> None:
    stores = planted.stores()
    label, pipes = stores.label, (path,)
    assert [info.name for info in await limited(stores.dataset.list(), pipes)] == ["pets", "sound"]
    assert not [info.problem for info in await stores.dataset.list() if info.problem]
    assert await limited(label.load("pets", "train", "a.jpg"), pipes) == [BOX]
    assert len((await limited(label.load_all("pets"), pipes)).boxes) == 1
    await limited(label.save("pets", "train", "a.jpg", [OTHER]), pipes)
    assert await limited(label.load("pets", "train", "a.jpg"), pipes) == [OTHER]
    await limited(label.save("pets", "train", "a.jpg", [BOX]), pipes)
    planted.assert_nothing_outside_changed()
    await work(planted, stores, pipes)
    assert await limited(label.load("pets", "train", "a.jpg"), pipes) == [BOX]
    planted.assert_nothing_outside_changed()
    planted.assert_no_secret_inside(planted.folder / "out", planted.folder / "snapshot")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FILES)
async def test_a_file(planted: Planted, name: str, kind: str) -> None:
    path = planted.pets / ".workbench" / name
    path.parent.mkdir(parents=True)
    KINDS[kind](path, planted.home)
    await assert_harmless(planted, path)


@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "endless device", "garbage"])
@pytest.mark.parametrize("name", FOLDERS)
async def test_a_folder(planted: Planted, name: str, kind: str) -> None:
    path = planted.pets / ".workbench" / name
    path.parent.mkdir(parents=True)
    KINDS[kind](path, planted.home)
    await assert_harmless(planted, path)


@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "endless device", "garbage"])
async def test_the_hidden_folder_itself(planted: Planted, kind: str) -> None:
    """Reading goes on; whoever writes is told what to remove."""
    path = planted.pets / ".workbench"
    KINDS[kind](path, planted.home)
    stores = planted.stores()
    assert [info.name for info in await limited(stores.dataset.list(), (path,))] == [
        "pets",
        "sound",
    ]
    assert await limited(stores.label.load("pets", "train", "a.jpg"), (path,)) == [BOX]
    with pytest.raises(InvalidDatasetError, match=r"\.workbench: expected a folder of our own"):
        await limited(stores.label.save("pets", "train", "a.jpg", []), (path,))
    await work(planted, stores, (path,))
    planted.assert_nothing_outside_changed()
    planted.assert_no_secret_inside(planted.folder / "out", planted.folder / "snapshot")


@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "endless device", "folder"])
async def test_the_lock(planted: Planted, kind: str) -> None:
    """Nobody can be kept out by it, so nothing is changed before it is gone."""
    path = planted.pets / ".workbench/lock"
    path.parent.mkdir()
    KINDS[kind](path, planted.home)
    stores = planted.stores()
    assert len(await limited(stores.dataset.list(), (path,))) == 2
    assert await limited(stores.label.load("pets", "train", "a.jpg"), (path,)) == [BOX]
    with pytest.raises(InvalidDatasetError, match="lock file of our own"):
        await limited(stores.label.save("pets", "train", "a.jpg", []), (path,))
    await work(planted, stores, (path,))
    planted.assert_nothing_outside_changed()


@pytest.mark.parametrize("where", [".workbench", ".workbench/tmp"])
async def test_the_first_write_empties_no_target_of_a_link(planted: Planted, where: str) -> None:
    path = planted.pets / where
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(planted.home)
    stores = planted.stores()
    if where == ".workbench":
        with pytest.raises(InvalidDatasetError, match="found a link"):
            await stores.label.save("pets", "train", "a.jpg", [OTHER])
    else:
        await stores.label.save("pets", "train", "a.jpg", [OTHER])
        assert (planted.pets / ".workbench/refused-1").is_symlink()
    planted.assert_nothing_outside_changed()


@pytest.mark.parametrize("name", ["staging", "trash", "lock", ""])
@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "garbage"])
async def test_the_hidden_folder_beside_the_datasets(
    planted: Planted, name: str, kind: str
) -> None:
    (planted.home / "x").mkdir()
    (planted.home / "x.lock").write_bytes(b"")
    planted.remember()
    path = planted.folder / "data/.workbench" / name
    path.parent.mkdir(exist_ok=True)
    (_link_to_folder if kind == "link" else KINDS[kind])(path, planted.home)
    stores = planted.stores()
    assert len(await limited(stores.dataset.list(), (path,))) == 2
    if name in ("staging", "trash") or (name, kind) == ("lock", "garbage"):
        await limited(stores.dataset.create("new", ["cat"]), (path,))
        entry = await limited(stores.dataset.delete("new"), (path,))
        await limited(stores.dataset.restore(entry.id), (path,))
        assert await limited(stores.dataset.purge(), (path,)) == 0
    else:
        with pytest.raises(InvalidDatasetError):
            await limited(stores.dataset.create("new", ["cat"]), (path,))
    planted.assert_nothing_outside_changed()


# --- a damaged dataset beside healthy ones ------------------------------------------------


def _replace(path: Path, kind: str, home: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    KINDS[kind](path, home)


@pytest.mark.parametrize("kind", ["pipe", "garbage", "dangling link"])
@pytest.mark.parametrize("name", ["images/train", "labels/train", "images"])
async def test_a_split_that_is_no_folder(planted: Planted, name: str, kind: str) -> None:
    _replace(planted.pets / name, kind, planted.home)
    stores = planted.stores()
    pets, sound = await limited(stores.dataset.list(), (planted.pets / name,))
    assert (pets.name, sound.name, sound.problem) == ("pets", "sound", "")
    if kind != "dangling link" and name != "labels/train":
        assert str(planted.pets / name) in pets.problem
        assert "expected a folder" in pets.problem
        with pytest.raises(InvalidDatasetError, match="expected a folder"):
            await limited(stores.dataset.get("pets"))
        with pytest.raises(WorkbenchError):
            await limited(stores.image.list("pets"))
    if name != "images":
        assert await limited(stores.label.load("pets", "val", "b.jpg")) == []
    with pytest.raises(WorkbenchError):
        await limited(stores.label.load("pets", "train", "x.jpg"))


@pytest.mark.parametrize("kind", ["pipe", "garbage", "empty", "folder", "dangling link", "deep"])
async def test_a_data_yaml_that_is_none(planted: Planted, kind: str) -> None:
    _replace(planted.pets / "data.yaml", kind, planted.home)
    stores = planted.stores()
    pets, sound = await limited(stores.dataset.list(), (planted.pets / "data.yaml",))
    assert (pets.name, sound.name, sound.problem) == ("pets", "sound", "")
    assert str(planted.pets / "data.yaml") in pets.problem
    with pytest.raises(InvalidDatasetError):
        await limited(stores.dataset.get("pets"), (planted.pets / "data.yaml",))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_a_dataset_that_may_not_be_read(planted: Planted) -> None:
    (planted.pets / "images/train").chmod(0)
    try:
        pets, sound = await limited(planted.stores().dataset.list())
        assert (pets.name, sound.problem) == ("pets", "")
        assert "Permission denied" in pets.problem
    finally:
        (planted.pets / "images/train").chmod(0o755)


@pytest.mark.parametrize("kind", ["pipe", "folder", "endless device"])
async def test_labels_that_are_no_file_are_one_problem(planted: Planted, kind: str) -> None:
    path = planted.pets / "labels/val/b.txt"
    path.parent.mkdir()
    KINDS[kind](path, planted.home)
    stores = planted.stores()
    table = await limited(stores.label.load_all("pets"), (path,))
    assert len(table.boxes) == 1
    [problem] = table.problems
    assert str(path) in str(problem)
    some = await limited(
        stores.label.load_many("pets", [("val", "b.jpg"), ("train", "a.jpg")]), (path,)
    )
    assert (len(some.boxes), len(some.problems)) == (1, 1)
    with pytest.raises(WorkbenchError, match=r"b\.txt"):
        await limited(stores.label.load("pets", "val", "b.jpg"), (path,))
    report = await limited(stores.label.inspect("pets"), (path,))
    assert [file.filename for file in report.files] == ["b.jpg"]


@pytest.mark.parametrize("kind", ["pipe", "folder", "endless device"])
async def test_images_that_are_no_file_hang_nobody(planted: Planted, kind: str) -> None:
    path = planted.pets / "images/val/p.jpg"
    KINDS[kind](path, planted.home)
    stores = planted.stores()
    names = [info.filename for info in await limited(stores.image.list("pets"), (path,))]
    assert names == ["a.jpg", "b.jpg"]
    with pytest.raises(WorkbenchError):
        await limited(stores.image.load("pets", "val", "p.jpg"), (path,))
    [content] = await limited(stores.image.read_many("pets", [("val", "p.jpg")]), (path,))
    assert isinstance(content, Exception)
    [size] = (
        await limited(stores.image.measure_many("pets", [("val", "p.jpg")]), (path,))
    ).tolist()
    assert size == [0, 0]
    await limited(stores.label.save("pets", "train", "a.jpg", [OTHER]), (path,))
    for way in (
        stores.dataset.freeze("pets", "v"),
        stores.dataset.snapshot("pets", planted.folder / "out"),
        stores.dataset.export_zip("pets", planted.folder),
    ):
        with pytest.raises(WorkbenchError):
            await limited(way, (path,))


async def test_a_name_that_no_dataset_can_have_is_listed_with_what_to_do(planted: Planted) -> None:
    shutil.copytree(planted.pets, planted.folder / "data" / "a:b")
    found = await planted.stores().dataset.list()
    [odd] = [info for info in found if info.problem]
    assert odd.name == "a:b"
    assert "choose another name" in odd.problem


async def test_facts_that_are_damaged_hide_no_dataset(planted: Planted) -> None:
    planted.plant(".workbench/dataset.json", json.dumps({"created_at": "2026-01-01T00:00:00"}))
    [pets, _] = await planted.stores().dataset.list()
    assert (pets.problem, pets.num_images["train"]) == ("", 1)
    assert pets.created_at is not None
    assert pets.created_at.tzinfo is not None
