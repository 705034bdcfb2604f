"""Every kind of odd file, in every place where a dataset has files, under every operation.

Whatever lies there, each operation is done or raises an error of ours that names where; the
dataset beside it is as healthy as ever, and so are the images beside an odd one.
"""

from __future__ import annotations

import inspect
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path

import pytest

from tests.helpers.operations import BOX, DATASET, IMAGE, LABEL, NAMED, STEPS, Step
from tests.helpers.planted import Planted, limited
from workbench.errors import ArchiveError, InvalidDatasetError, WorkbenchError
from workbench.persistence import DatasetStore, Stores
from workbench.persistence.stores.images import ImageStore
from workbench.persistence.stores.labels import LabelStore

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes as POSIX has them")


def _socket(path: Path) -> None:
    # The path of a socket may have about 100 bytes only, so it is named from its folder.
    with chdir(path.parent), socket.socket(socket.AF_UNIX) as end:
        end.bind(path.name)


def _full_folder(path: Path) -> None:
    path.mkdir()
    (path / "within").write_bytes(b"x")


KINDS: dict[str, Callable[[Path], object]] = {
    "loop": lambda path: path.symlink_to(path.name),
    "dangling": lambda path: path.symlink_to("nowhere"),
    "through a file": lambda path: path.symlink_to("/etc/passwd/x"),
    "long": lambda path: path.symlink_to("x" * 300),
    "device": lambda path: path.symlink_to("/dev/zero"),
    "pipe": os.mkfifo,
    "socket": _socket,
    "folder": _full_folder,
    "unreadable": lambda path: (path.write_bytes(b"x"), path.chmod(0)),
}
FILES = [
    "images/train/a.jpg",
    "images/train/new.jpg",
    "labels/train/a.txt",
    "labels/train/new.txt",
    "labels/val/orphan.txt",
]
FOLDERS = ["images", "labels", "images/train", "labels/train", "images/test"]


@pytest.mark.parametrize(
    ("contract", "steps"), [(DatasetStore, DATASET), (ImageStore, IMAGE), (LabelStore, LABEL)]
)
def test_every_operation_is_in_the_table(contract: type, steps: dict[str, Step]) -> None:
    methods = inspect.getmembers(contract, inspect.iscoroutinefunction)
    assert set(steps) == {name for name, _ in methods if not name.startswith("_")}


@pytest.fixture
def planted(tmp_path: Path) -> Iterator[Planted]:
    made = Planted(tmp_path)
    yield made
    for path in tmp_path.rglob("*"):  # so that it can be removed
        if not path.is_symlink() and path.is_file():
            path.chmod(0o600)


def plant(planted: Planted, name: str, kind: str) -> Path:
    path = planted.pets / name
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    KINDS[kind](path)
    return path


async def try_all(planted: Planted, stores: Stores, name: str, path: Path) -> None:
    raw: dict[str, object] = {}
    for what, step in STEPS:
        try:
            found = await limited(step(stores, planted.folder, name), (path,))
        except WorkbenchError as error:
            if not any(word in str(error) for word in NAMED):
                raw[what] = error
            continue
        except Exception as error:  # noqa: BLE001 - all that is wrong is told at once
            raw[what] = error
            continue
        for item in found if isinstance(found, list) else ():
            if isinstance(item, Exception) and not isinstance(item, WorkbenchError):
                raw[what] = item
    assert not raw


async def assert_the_others_are_well(planted: Planted, stores: Stores, path: Path) -> None:
    listed = {info.name: info for info in await limited(stores.dataset.list(), (path,))}
    assert {"pets", "sound"} <= listed.keys()
    assert not listed["sound"].problem
    assert await limited(stores.label.load("sound", "train", "a.jpg"), (path,)) == [BOX]
    await limited(stores.label.save("sound", "train", "a.jpg", [BOX]), (path,))


@pytest.mark.parametrize("kind", ["folder", "pipe"])
async def test_what_is_no_label_file_is_not_taken_for_missing_labels(
    planted: Planted, kind: str
) -> None:
    path = plant(planted, "labels/train/a.txt", kind)
    stores = planted.stores()
    table = await limited(stores.image.scan("pets"), (path,))
    assert table.label_bytes[table.filenames.index("a.jpg")] == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FILES)
async def test_an_odd_file(planted: Planted, name: str, kind: str) -> None:
    path = plant(planted, name, kind)
    stores = planted.stores()
    await assert_the_others_are_well(planted, stores, path)
    # The dataset itself is none the worse, nor are the images beside this one.
    assert not (await limited(stores.dataset.get("pets"), (path,))).problem
    listed = await limited(stores.image.list("pets"), (path,))
    assert ("val", "b.jpg") in {(image.split, image.filename) for image in listed}
    assert len(await limited(stores.image.scan("pets"), (path,))) == len(listed)
    table = await limited(stores.label.load_all("pets"), (path,))
    assert "b.jpg" in table.filenames
    await limited(stores.label.inspect("pets"), (path,))
    assert (await limited(stores.image.load("pets", "val", "b.jpg"), (path,))).size
    await limited(stores.label.save("pets", "val", "b.jpg", [BOX]), (path,))
    assert await limited(stores.label.load("pets", "val", "b.jpg"), (path,)) == [BOX]
    await try_all(planted, stores, "pets", path)
    planted.assert_nothing_outside_changed()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FOLDERS)
async def test_something_odd_in_the_place_of_a_folder(
    planted: Planted, name: str, kind: str
) -> None:
    path = plant(planted, name, kind)
    stores = planted.stores()
    await assert_the_others_are_well(planted, stores, path)
    await try_all(planted, stores, "pets", path)
    planted.assert_nothing_outside_changed()


@pytest.mark.parametrize("kind", KINDS)
async def test_something_odd_in_the_place_of_data_yaml(planted: Planted, kind: str) -> None:
    path = plant(planted, "data.yaml", kind)
    stores = planted.stores()
    await assert_the_others_are_well(planted, stores, path)
    [pets] = [info for info in await stores.dataset.list() if info.name == "pets"]
    # Root may read whatever the permissions say.
    assert pets.problem or (kind == "unreadable" and os.geteuid() == 0)
    await try_all(planted, stores, "pets", path)


async def test_what_is_odd_is_named_with_what_to_do(planted: Planted) -> None:
    plant(planted, "images/train/a.jpg", "loop")
    plant(planted, "labels/val/b.txt", "loop")
    stores = planted.stores()
    with pytest.raises(WorkbenchError, match=r"train/a\.jpg.*a link that leads nowhere: delete it"):
        await stores.image.load("pets", "train", "a.jpg")
    with pytest.raises(WorkbenchError, match=r"val/b\.txt: expected a file, found a link that"):
        await stores.label.load("pets", "val", "b.jpg")


async def test_an_endless_label_file_fills_no_archive(planted: Planted, tmp_path: Path) -> None:
    """Five gigabytes of nothing, which take no room where they lie."""
    with (planted.pets / "labels/train/a.txt").open("wb") as file:
        file.truncate(5 * 2**30)
    out = tmp_path / "out"
    with pytest.raises(ArchiveError, match=r"train/a\.txt: expected a file of at most 8,388,608"):
        await planted.stores().dataset.export_zip("pets", out)
    assert [*out.iterdir()] == []


async def test_an_endless_picture_goes_into_no_version(planted: Planted) -> None:
    with (planted.pets / "images/train/a.jpg").open("wb") as file:
        file.truncate(5 * 2**30)
    with pytest.raises(
        InvalidDatasetError, match=r"a\.jpg: expected an image of at most 268,435,456"
    ):
        await planted.stores().dataset.freeze("pets", "v1")


async def test_a_link_that_leads_nowhere_is_not_to_be_trusted_but_deleted(
    planted: Planted, tmp_path: Path
) -> None:
    (planted.pets / "images/train/gone.jpg").symlink_to("/nowhere/a.jpg")
    with pytest.raises(InvalidDatasetError, match=r"not there: images/train/gone\.jpg") as refused:
        await planted.stores().dataset.export_zip("pets", tmp_path / "out")
    assert "Delete the links" in str(refused.value)
    assert "trust-links" not in str(refused.value)


async def test_a_damaged_dataset_comes_back_from_the_trash_as_it_was(planted: Planted) -> None:
    (planted.pets / "data.yaml").write_text("names: [a")
    stores = planted.stores()
    entry = await stores.dataset.delete("pets")
    back = await stores.dataset.restore(entry.id)
    assert (back.name, back.path) == ("pets", planted.pets)
    assert "not valid YAML" in back.problem
    assert (planted.pets / "data.yaml").read_text() == "names: [a"
