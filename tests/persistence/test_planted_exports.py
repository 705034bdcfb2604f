"""A folder from a stranger holds links: what they lead to is not handed on in an archive."""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from tests.helpers.pictures import jpeg
from tests.helpers.planted import Planted, limited
from workbench.errors import ArchiveError, InvalidDatasetError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes as POSIX has them")


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    return Planted(tmp_path)


def members(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


async def assert_refused(planted: Planted, named: str) -> None:
    output = planted.folder / "out"
    output.mkdir()
    with pytest.raises(InvalidDatasetError, match="lead out of it") as refusal:
        await limited(planted.stores().dataset.export_zip("pets", output))
    assert named in str(refusal.value)
    assert list(output.iterdir()) == []


@pytest.mark.parametrize("target", ["../../../../home/tmp/holiday.jpg", "absolute"])
async def test_an_image_that_is_a_link_to_outside(planted: Planted, target: str) -> None:
    path = str(planted.home / "tmp/holiday.jpg") if target == "absolute" else target
    (planted.pets / "images/train/x.jpg").symlink_to(path)
    await assert_refused(planted, "images/train/x.jpg")


async def test_a_chain_of_links(planted: Planted) -> None:
    (planted.pets / "images/val/y.jpg").symlink_to("../../z.jpg")
    (planted.pets / "z.jpg").symlink_to(planted.home / "tmp/holiday.jpg")
    await assert_refused(planted, "images/val/y.jpg")


async def test_labels_that_are_a_link_to_outside(planted: Planted) -> None:
    (planted.pets / "labels/train/a.txt").unlink()
    (planted.pets / "labels/train/a.txt").symlink_to(planted.home / ".ssh/id_rsa")
    await assert_refused(planted, "labels/train/a.txt")


@pytest.mark.parametrize("folder", ["images", "images/train", "labels/train"])
async def test_a_folder_that_is_a_link_to_outside(planted: Planted, folder: str) -> None:
    shutil.rmtree(planted.pets / folder)
    (planted.home / "tmp/train").mkdir()
    (planted.home / "tmp/train/holiday.jpg").write_bytes(jpeg(7))
    (planted.pets / folder).symlink_to(planted.home / "tmp")
    await assert_refused(planted, folder)


async def test_a_data_yaml_that_is_a_link_to_outside(planted: Planted) -> None:
    (planted.home / "data.yaml").write_text("names: [cat, dog]\npassword: secret\n")
    (planted.pets / "data.yaml").unlink()
    (planted.pets / "data.yaml").symlink_to(planted.home / "data.yaml")
    await assert_refused(planted, "data.yaml")


@pytest.mark.parametrize("file", ["dataset.json", "prompts.json", "tags.json"])
async def test_hidden_files_that_are_links_are_left_out(planted: Planted, file: str) -> None:
    (planted.pets / ".workbench").mkdir()
    (planted.pets / ".workbench" / file).symlink_to(planted.home / ".ssh/id_rsa")
    archive = await limited(planted.stores().dataset.export_zip("pets", planted.folder))
    assert f".workbench/{file}" not in members(archive)
    assert b"PRIVATE KEY\n" not in members(archive).values()


@pytest.mark.parametrize("folder", ["history", "sources"])
@pytest.mark.parametrize("is_file", [True, False])
async def test_logs_that_are_links_are_left_out(
    planted: Planted, folder: str, is_file: bool
) -> None:
    (planted.home / "2026-01.jsonl").write_bytes(b"PRIVATE KEY\n")
    path = planted.pets / ".workbench" / folder
    if is_file:
        path.mkdir(parents=True)
        (path / "2026-01.jsonl").symlink_to(planted.home / "2026-01.jsonl")
    else:
        path.parent.mkdir()
        path.symlink_to(planted.home)
    archive = await limited(planted.stores().dataset.export_zip("pets", planted.folder))
    assert b"PRIVATE KEY\n" not in members(archive).values()


async def test_links_that_stay_inside_are_packed_as_files(planted: Planted) -> None:
    (planted.pets / "images/val/c.jpg").symlink_to("../train/a.jpg")
    archive = await limited(planted.stores().dataset.export_zip("pets", planted.folder))
    assert members(archive)["images/val/c.jpg"] == jpeg(1)


async def test_links_are_followed_for_whoever_asks(planted: Planted) -> None:
    (planted.pets / "images/train/x.jpg").symlink_to(planted.home / "tmp/holiday.jpg")
    archive = await planted.stores().dataset.export_zip("pets", planted.folder, follow_links=True)
    assert members(archive)["images/train/x.jpg"] == jpeg(7)


async def test_a_dataset_that_is_a_link_itself_is_exported(planted: Planted) -> None:
    elsewhere = planted.folder / "elsewhere"
    planted.pets.rename(elsewhere)
    planted.pets.symlink_to(elsewhere)
    archive = await limited(planted.stores().dataset.export_zip("pets", planted.folder))
    assert members(archive)["images/train/a.jpg"] == jpeg(1)


async def test_some_images_alone_are_no_way_round(planted: Planted) -> None:
    (planted.pets / "images/train/x.jpg").symlink_to(planted.home / "tmp/holiday.jpg")
    stores = planted.stores()
    with pytest.raises(InvalidDatasetError, match=r"images/train/x\.jpg"):
        await stores.dataset.export_zip("pets", planted.folder, only=[("train", "x.jpg")])
    archive = await stores.dataset.export_zip("pets", planted.folder, only=[("train", "a.jpg")])
    assert members(archive)["images/train/a.jpg"] == jpeg(1)


async def test_a_pipe_among_the_images_hangs_nobody(planted: Planted) -> None:
    pipe = planted.pets / "images/train/p.jpg"
    os.mkfifo(pipe)
    with pytest.raises(ArchiveError, match=r"p\.jpg: expected a file"):
        await limited(planted.stores().dataset.export_zip("pets", planted.folder), (pipe,))
