"""Links that lead out of a dataset: what lies there is read, and nothing else.

It is shown and trained on, on this machine. It is not changed, moved or deleted, and its
contents do not go where they may be passed on, unless the user says that the links are his.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from tests.helpers.operations import BOX, STEPS
from tests.helpers.pictures import jpeg
from tests.helpers.planted import Planted, limited, state
from workbench.datasets.formats.exporting import plan_export
from workbench.datasets.formats.plan import plan_import
from workbench.datasets.formats.writers import WRITERS
from workbench.datasets.manager import DatasetManager
from workbench.errors import InvalidDatasetError, LabelFormatError, WorkbenchError
from workbench.persistence.links import distrust_links, trust_links, trusted_links
from workbench.persistence.models import Annotation

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links as POSIX has them")

OUTSIDE = jpeg(7)
FOLDERS = ["images", "labels", "images/train", "labels/train", "images/test", "labels/val"]
SENTENCE = "Put the files themselves there, or, if the links are your own, say so once"


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    return Planted(tmp_path)


@pytest.fixture
def linked(planted: Planted) -> Planted:
    """With a picture and a label file that are links to the user's own."""
    (planted.pets / "images/train/x.jpg").symlink_to(planted.home / "tmp/holiday.jpg")
    (planted.pets / "labels/train/x.txt").symlink_to(planted.home / "notes.txt")
    return planted


def plant(planted: Planted, name: str) -> Path:
    """Let a folder of the dataset be a link to one of the user's own, with the same in it."""
    elsewhere = planted.home / "elsewhere"
    path = planted.pets / name
    path.parent.mkdir(exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, elsewhere)
        shutil.rmtree(path)
    else:
        elsewhere.mkdir()
        (elsewhere / "lost.txt").write_bytes(b"0 0.5 0.5 0.1 0.1\n")
    path.symlink_to(elsewhere)
    planted.remember()
    return elsewhere


async def test_what_lies_outside_is_shown_and_trained_on(linked: Planted) -> None:
    stores = linked.stores()
    assert (await stores.image.load("pets", "train", "x.jpg")).size
    assert len(await stores.label.load("pets", "train", "x.jpg")) == 1
    assert [info.filename for info in await stores.image.list("pets", "train")] == [
        "a.jpg",
        "x.jpg",
    ]
    await stores.dataset.snapshot("pets", linked.folder / "snapshot")
    assert (linked.folder / "snapshot/images/train/x.jpg").read_bytes() == OUTSIDE


@pytest.mark.parametrize("name", FOLDERS)
async def test_no_operation_changes_what_a_linked_folder_leads_to(
    planted: Planted, name: str
) -> None:
    elsewhere = plant(planted, name)
    before = dict(state(elsewhere))
    stores = planted.stores()
    refused = []
    for what, step in STEPS:
        try:
            await limited(step(stores, planted.folder, "pets"))
        except WorkbenchError as error:
            refused += [what] if SENTENCE in str(error) else []
    assert dict(state(elsewhere)) == before
    planted.assert_nothing_outside_changed()
    assert refused


@pytest.mark.parametrize("kind", ["images", "labels"])
async def test_two_splits_that_are_one_folder_are_damage(planted: Planted, kind: str) -> None:
    link = planted.pets / kind / "test"
    if link.is_dir():
        shutil.rmtree(link)
    link.symlink_to("train")
    stores = planted.stores()
    pets, sound = await stores.dataset.list()
    assert f"{link}: expected a folder of its own for each split, found a link" in pets.problem
    assert not sound.problem
    before = list(state(planted.pets))
    with pytest.raises(InvalidDatasetError, match="Delete the link"):
        await stores.image.delete("pets", "test", "a.jpg")
    assert list(state(planted.pets)) == before
    link.unlink()
    assert [info.problem for info in await stores.dataset.list()] == ["", ""]


async def test_orphans_in_a_linked_folder_stay_where_they_are(planted: Planted) -> None:
    elsewhere = plant(planted, "labels/val")
    stores = planted.stores()
    assert (await stores.label.inspect("pets")).orphans == [("val", "lost.txt")]
    with pytest.raises(InvalidDatasetError, match=r"labels/val: expected a folder inside"):
        await stores.label.delete_orphans("pets", [("val", "lost.txt")])
    assert (elsewhere / "lost.txt").is_file()


async def test_a_link_in_the_place_of_a_file_is_moved_and_deleted_itself(linked: Planted) -> None:
    stores = linked.stores()
    await stores.label.save("pets", "train", "x.jpg", [BOX])
    await stores.image.move("pets", "x.jpg", "train", "val")
    await stores.image.delete("pets", "val", "x.jpg")
    await stores.image.purge("pets")
    linked.assert_nothing_outside_changed()
    assert not (linked.pets / "images/val/x.jpg").is_symlink()


@pytest.mark.parametrize("operation", ["save", "delete", "save_many"])
async def test_what_is_no_label_file_does_not_come_into_the_history(
    linked: Planted, operation: str
) -> None:
    label = linked.pets / "labels/train/x.txt"
    label.unlink()
    label.symlink_to(linked.home / ".ssh/id_rsa")
    stores = linked.stores()
    work = {
        "save": lambda: stores.label.save("pets", "train", "x.jpg", [BOX], discard_other_rows=True),
        "delete": lambda: stores.label.delete("pets", "train", "x.jpg"),
        "save_many": lambda: stores.label.save_many("pets", {("train", "x.jpg"): [BOX]}),
    }[operation]
    with pytest.raises(LabelFormatError, match="found a link to something else"):
        await work()
    linked.assert_no_secret_inside()


async def test_nothing_from_outside_is_copied_or_kept(linked: Planted) -> None:
    stores = linked.stores()
    with pytest.raises(InvalidDatasetError, match=r"images/train/x\.jpg.*; nothing was copied"):
        await stores.dataset.copy_images("pets", "copy", [("train", "a.jpg"), ("train", "x.jpg")])
    with pytest.raises(InvalidDatasetError, match=r"labels/train/x\.txt; no version was made"):
        await stores.dataset.freeze("pets", "v")
    assert not (linked.folder / "data/copy").exists()
    linked.assert_no_secret_inside(linked.folder / "data")
    await stores.dataset.copy_images("pets", "copy", [("train", "a.jpg")])


@pytest.mark.parametrize("to", ["out", "out.zip"])
@pytest.mark.parametrize("format", WRITERS)
async def test_no_format_exports_what_lies_outside(linked: Planted, format: str, to: str) -> None:
    (linked.pets / "images/val/c.jpg").symlink_to("../train/a.jpg")
    target = linked.folder / to
    plan = await plan_export(linked.stores(), "pets", format=format)
    with pytest.raises(InvalidDatasetError, match=rf"images/train/x\.jpg.*{SENTENCE}"):
        await plan.write(target)
    assert not target.exists()
    # Without it, the link that stays inside is exported as a file.
    inside = await plan_export(
        linked.stores(), "pets", format=format, only=[("train", "a.jpg"), ("val", "c.jpg")]
    )
    await inside.write(target)
    found = (
        [zipfile.ZipFile(target).read(name) for name in zipfile.ZipFile(target).namelist()]
        if to.endswith(".zip")
        else [path.read_bytes() for path in target.rglob("*") if path.is_file()]
    )
    assert found.count(jpeg(1)) == 2
    assert OUTSIDE not in found


async def test_an_import_leaves_out_what_lies_outside(linked: Planted) -> None:
    stores = linked.stores()
    info = await stores.dataset.import_folder(linked.pets, "again")
    assert any("links lead out of the folder" in note for note in info.notes)
    plan = await plan_import(stores, linked.pets, "once more")
    assert any("links that lead out of the folder" in note for note in plan.notes)
    await plan.apply()
    for name in ("again", "once more"):
        images = await stores.image.list(name)
        assert [image.filename for image in images] == ["a.jpg", "b.jpg"]
    linked.assert_no_secret_inside(linked.folder / "data")


async def test_a_data_yaml_that_is_a_link_to_outside_is_not_read(planted: Planted) -> None:
    (planted.home / "data.yaml").write_text("names: [cat, dog]\npassword: secret\n")
    (planted.pets / "data.yaml").unlink()
    (planted.pets / "data.yaml").symlink_to(planted.home / "data.yaml")
    pets, sound = await planted.stores().dataset.list()
    assert "found links that lead out of it" in pets.problem
    assert not sound.problem


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is kept on the machine of whoever is asked, for this test alone."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "workbench" / "trusted-links.jsonl"


async def test_whoever_trusts_the_links_of_a_dataset_can_do_all_with_it(
    linked: Planted, asked: Path
) -> None:
    elsewhere = plant(linked, "labels/val")
    stores = linked.stores()
    datasets = DatasetManager.on(stores)
    box = Annotation(0, 0.5, 0.5, 0.25, 0.5)
    with pytest.raises(InvalidDatasetError, match=r'trust-links .*/pets`.*trust_links\("pets"\)'):
        await stores.label.save("pets", "val", "b.jpg", [box])
    found = await datasets.trust_links("pets")
    assert found == sorted([elsewhere, linked.home, linked.home / "tmp"])
    await stores.label.save("pets", "val", "b.jpg", [box])
    assert (elsewhere / "b.txt").is_file()
    await stores.dataset.freeze("pets", "v")
    archive = await stores.dataset.export_zip("pets", linked.folder)
    assert zipfile.ZipFile(archive).read("images/train/x.jpg") == OUTSIDE
    plan = await plan_export(stores, "pets", format="coco")
    await plan.write(linked.folder / "coco")
    assert OUTSIDE in [p.read_bytes() for p in (linked.folder / "coco").rglob("*.jpg")]
    await datasets.distrust_links("pets")
    with pytest.raises(InvalidDatasetError, match=SENTENCE):
        await stores.dataset.export_zip("pets", linked.folder / "again.zip")
    assert not asked.stat().st_mode & 0o077


def test_taking_back_a_part_takes_no_more_wherever_it_is_cut_off(
    linked: Planted, asked: Path
) -> None:
    root = str(linked.pets)
    home, tmp = trust_links(root)
    before = asked.read_bytes()
    distrust_links(root, but=[tmp])
    after = asked.read_bytes()
    assert trusted_links(root) == [tmp]
    assert after.startswith(before)
    found = set()
    for length in range(len(before), len(after) + 1):  # killed there, or on a full disk
        asked.write_bytes(after[:length])
        found.add(tuple(trusted_links(root)))
    assert found == {(home, tmp), (tmp,)}
    trust_links(root)
    assert trusted_links(root) == [home, tmp]
    distrust_links(root)
    assert trusted_links(root) == []


@pytest.mark.parametrize("but", ["/", 7, [7, "relative"], {"/": 1}, None])
def test_what_somebody_else_wrote_there_is_trusted_nowhere(
    linked: Planted, asked: Path, but: object
) -> None:
    asked.parent.mkdir(parents=True)
    said = {"dataset": os.path.realpath(linked.pets), "folders": None, "but": but}
    asked.write_text(json.dumps(said) + "\n[]\n7\n")
    assert trusted_links(str(linked.pets)) == []


async def test_a_yes_is_for_this_folder_and_for_where_its_links_led(
    linked: Planted, asked: Path
) -> None:
    datasets = DatasetManager.on(linked.stores())
    await datasets.trust_links("pets")
    # What comes later was not meant.
    secret = linked.folder / "later"
    secret.mkdir()
    (secret / "key.jpg").write_bytes(jpeg(9))
    (linked.pets / "images/train/later.jpg").symlink_to(secret / "key.jpg")
    with pytest.raises(InvalidDatasetError, match=r"images/train/later\.jpg; nothing"):
        await linked.stores().dataset.export_zip("pets", linked.folder)
    # Nor is another dataset with the same links, such as a copy.
    (linked.pets / "images/train/later.jpg").unlink()
    shutil.copytree(linked.pets, linked.pets.with_name("copy"), symlinks=True)
    with pytest.raises(InvalidDatasetError, match=SENTENCE):
        await linked.stores().dataset.export_zip("copy", linked.folder)
    await linked.stores().dataset.export_zip("pets", linked.folder)
    assert "pets" in asked.read_text()


@pytest.mark.parametrize("what", ["pipe", "folder", "link", "noise", "other JSON", "relative"])
async def test_what_is_no_list_of_ours_says_no_and_hangs_nobody(
    linked: Planted, asked: Path, what: str
) -> None:
    asked.parent.mkdir(parents=True)
    line = json.dumps({"dataset": str(linked.pets), "folders": [str(linked.home)]})
    if what == "pipe":
        os.mkfifo(asked)
    elif what == "folder":
        asked.mkdir()
    elif what == "link":
        (linked.folder / "theirs").write_text(line)
        asked.symlink_to(linked.folder / "theirs")
    else:
        content = {
            "noise": "\0\xff" * 99,
            "other JSON": json.dumps([line]) + "\n7\nnull\n" + "[" * 9999,
            "relative": line.replace(str(linked.home), "."),
        }
        asked.write_text(content[what], encoding="latin-1")
    with pytest.raises(InvalidDatasetError, match=SENTENCE):
        await limited(linked.stores().dataset.export_zip("pets", linked.folder))


async def test_whoever_says_that_the_links_are_his_own_can_do_all(
    linked: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_FOLLOW_LINKS", "1")
    elsewhere = plant(linked, "labels/val")
    stores = linked.stores()
    await stores.dataset.freeze("pets", "v")
    await stores.dataset.copy_images("pets", "copy", [("train", "x.jpg")])
    assert (linked.folder / "data/copy/images/train/x.jpg").read_bytes() == OUTSIDE
    box = Annotation(0, 0.5, 0.5, 0.25, 0.5)
    await stores.label.save("pets", "val", "b.jpg", [box])
    assert (elsewhere / "b.txt").is_file()
    archive = await stores.dataset.export_zip("pets", linked.folder)
    assert zipfile.ZipFile(archive).read("images/train/x.jpg") == OUTSIDE
    plan = await plan_export(stores, "pets", format="coco")
    await plan.write(linked.folder / "coco")
    assert OUTSIDE in [p.read_bytes() for p in (linked.folder / "coco").rglob("*.jpg")]
