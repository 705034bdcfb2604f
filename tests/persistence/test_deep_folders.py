"""Folders in one another, more of them than Python may call functions in one another."""

from __future__ import annotations

import io
import os
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.pictures import jpeg
from tests.helpers.planted import Planted
from workbench.datasets.formats import tar
from workbench.errors import ArchiveError
from workbench.persistence.archive.format import MOST_LEVELS
from workbench.persistence.models import Annotation, ArchiveLimits
from workbench.persistence.plain_files import files_below
from workbench.persistence.storage.local.removing import remove_tree
from workbench.training import run_data

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="descriptors as POSIX has them")

DEPTH = 1500
BOX = Annotation(0, 0.5, 0.5, 0.2, 0.2)


def go_down(top: Path, depth: int = DEPTH) -> None:
    """Make folders in one another, with a file in the last one."""
    top.mkdir(parents=True)
    folder = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("a", dir_fd=folder)
        folder, above = os.open("a", os.O_RDONLY, dir_fd=folder), folder
        os.close(above)
    os.close(os.open("x.txt", os.O_WRONLY | os.O_CREAT, dir_fd=folder))
    os.close(folder)


@pytest.fixture
def planted(tmp_path: Path) -> Iterator[Planted]:
    (tmp_path / "in").mkdir()
    yield Planted(tmp_path / "in")
    remove_tree(str(tmp_path / "in"))  # pytest could not


@pytest.mark.parametrize("place", ["tmp/x", "tx/1-0-dead.tmp", "versions/objects/aa"])
async def test_in_the_hidden_folder_they_keep_nobody_from_working(
    planted: Planted, place: str
) -> None:
    go_down(planted.pets / ".workbench" / place)
    stores = planted.stores()
    assert [(i.name, i.problem) for i in await stores.dataset.list()] == [
        ("pets", ""),
        ("sound", ""),
    ]
    await stores.label.save("pets", "train", "a.jpg", [BOX])
    assert await stores.label.load("pets", "train", "a.jpg") == [BOX]
    assert not (planted.pets / ".workbench/tx").exists()
    with planted.stores().label._places.open("pets").leased():
        pass  # a save answers before what it replaced is freed, which is done under its lock
    assert list((planted.pets / ".workbench/tmp").iterdir()) == []


async def test_a_deleted_dataset_that_holds_them_can_be_purged(planted: Planted) -> None:
    go_down(planted.pets / "notes")
    stores = planted.stores()
    await stores.dataset.delete("pets")
    assert await stores.dataset.purge() == 1
    assert list((planted.folder / "data/.workbench/trash").iterdir()) == []


async def test_what_was_half_built_is_swept_away(planted: Planted) -> None:
    staging = planted.folder / "data/.workbench/staging"
    go_down(staging / "1-0-dead.tmp")
    (staging / "1-0-dead.tmp.lock").touch()
    await planted.stores().dataset.create("cups")
    assert list(staging.iterdir()) == []


async def test_a_folder_that_is_imported_may_not_be_so_deep(planted: Planted) -> None:
    go_down(planted.pets / "images/train/more")
    with pytest.raises(ArchiveError, match=f"at most {MOST_LEVELS} folders in one another"):
        await planted.stores().dataset.import_folder(planted.pets, "copy")
    assert not (planted.folder / "data/copy").exists()


async def test_an_archive_may_not_be_so_deep(planted: Planted) -> None:
    path = planted.folder / "deep.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.yaml", "names: [cup]\n")
        archive.writestr("a/" * DEPTH + "x.jpg", jpeg(1))
    with pytest.raises(ArchiveError, match=f"at most {MOST_LEVELS} folders") as caught:
        await planted.stores().dataset.import_zip(path, "copy")
    assert len(str(caught.value)) < 1000
    assert not (planted.folder / "data/copy").exists()


@pytest.mark.parametrize("depth", [MOST_LEVELS, MOST_LEVELS + 1])
def test_the_same_for_a_tar(tmp_path: Path, depth: int) -> None:
    path = tmp_path / "deep.tar"
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("a/" * depth + "x.jpg")
        member.size = 4
        archive.addfile(member, io.BytesIO(b"jpeg"))
    (tmp_path / "out").mkdir()
    if depth > MOST_LEVELS:
        with pytest.raises(ArchiveError, match=f"at most {MOST_LEVELS} folders"):
            tar.unpack(path, str(tmp_path / "out"), ArchiveLimits())
    else:
        tar.unpack(path, str(tmp_path / "out"), ArchiveLimits())
        assert [found.name for found in files_below(tmp_path / "out")] == ["x.jpg"]


def test_what_lies_above_is_found(planted: Planted) -> None:
    top = planted.folder / "run"
    go_down(top)
    (top / "a/labels.cache").touch()
    assert top / "a/labels.cache" in set(files_below(top))
    run_data._remove_caches(top)
    assert not (top / "a/labels.cache").exists()


def test_whatever_it_is_called_and_holds_it_is_removed(tmp_path: Path) -> None:
    top, outside = tmp_path / "top", tmp_path / "outside"
    outside.mkdir()
    (outside / "letter").touch()
    for way in ("0.removed/0.removed/1.removed", "1.removed/x", "b/0.removed/c", "d"):
        (top / way).mkdir(parents=True)
        (top / way / "file").touch()
    (top / "b/link").symlink_to(outside)
    (top / "empty/empty").mkdir(parents=True)
    os.mkfifo(top / "b/pipe")
    remove_tree(str(top))
    assert [path.name for path in files_below(tmp_path)] == ["letter"]
    assert list(tmp_path.iterdir()) == [outside]


@pytest.mark.parametrize("number", [2**64 - 1, 2**64 - 2, 2**64 - 4])
async def test_a_counter_at_its_end_begins_anew(planted: Planted, number: int) -> None:
    """Its last number raised after a change had happened, and at every look at all datasets."""
    planted.plant(".workbench/generation", number.to_bytes(8, "little"))
    stores = planted.stores()
    assert len(await stores.dataset.list()) == 2
    for name in ("cup", "mug", "glass"):
        await stores.dataset.save_prompts("pets", {0: [name]})
        await stores.label.save("pets", "train", "a.jpg", [BOX])
        classes = [name, *(await stores.dataset.get("pets")).classes[1:]]
        await stores.dataset.update_classes("pets", classes)
        assert (await stores.dataset.get("pets")).classes == classes
    assert (planted.pets / ".workbench/generation").read_bytes()[0] % 2 == 0
