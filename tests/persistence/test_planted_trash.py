"""A folder from a stranger holds things that nobody deleted, from places that are not its own."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.pictures import jpeg
from tests.helpers.planted import Planted, limited
from workbench.errors import InvalidDatasetError, NotFoundError, WorkbenchError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes as POSIX has them")

ID = "20260101T000000.000000-00000000"
ENTRY = f".workbench/trash/{ID}"


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    return Planted(tmp_path)


def entry(*files: list[Any], **changes: Any) -> dict[str, Any]:
    content = {
        "kind": "image",
        "name": "c.jpg",
        "split": "train",
        "deleted_at": "2026-01-01T00:00:00+00:00",
        "files": list(files),
        "has_twin": False,
    }
    return content | changes


async def assert_nothing_comes_back(planted: Planted) -> None:
    """Neither listing nor reading, restoring nor purging leads anywhere else."""
    stores = planted.stores()
    assert [info.name for info in await limited(stores.dataset.list())] == ["pets", "sound"]
    assert await limited(stores.image.list_trash("pets")) == []
    [content] = await limited(stores.image.read_deleted("pets", [ID]))
    assert isinstance(content, WorkbenchError)
    for way in (
        stores.image.restore("pets", ID),
        stores.label.restore("pets", ID),
        stores.image.restore_many("pets", [ID]),
        stores.image.undo_replace("pets", [ID]),
        stores.image.purge("pets", ID),
    ):
        with pytest.raises((InvalidDatasetError, NotFoundError)):
            await limited(way)
    assert await limited(stores.image.purge("pets")) == 0
    await limited(stores.dataset.rewrite_classes("pets", ["dog", "cat"], {0: 1, 1: 0}))
    version = await limited(stores.dataset.freeze("pets", "v1"))
    await limited(stores.dataset.restore_version("pets", version.name))
    assert len(await limited(stores.label.load("pets", "train", "a.jpg"))) == 1
    planted.assert_nothing_outside_changed()
    planted.assert_no_secret_inside()


ENTRIES = {
    "restore writes outside": entry(["0-c.jpg", "../../home/.bashrc"]),
    "absolute target": entry(["0-c.jpg", "/tmp/c.jpg"]),
    "reads outside": entry(["../../../../../home/tmp/holiday.jpg", "images/train/c.jpg"]),
    "reads a key as labels": entry(["../../../../../home/.ssh/id_rsa", "labels/train/c.txt"]),
    "reads in the dataset": entry(["../../../data.yaml", "labels/train/c.txt"]),
    "the entry itself": entry(["entry.json", "labels/train/c.txt"]),
    "no image": entry(["0-c.jpg", "images/train/run.sh"]),
    "not a split": entry(["0-c.jpg", "images/other/c.jpg"]),
    "the hidden folder": entry(["0-c.jpg", ".workbench/tags.json"]),
    "data.yaml": entry(["0-c.jpg", "data.yaml"]),
    "dots": entry(["..", "images/train/c.jpg"]),
    "a name that leads out": entry(["0-c.jpg", "images/train/c.jpg"], name="../../x.jpg"),
    "a split that leads out": entry(["0-c.jpg", "images/train/c.jpg"], split="../.."),
    "no files": entry(),
    "no pair": entry(["0-c.jpg"]),
    "numbers": entry([1, 2]),
    "no list": entry(files=7),
    "no time": entry(["0-c.jpg", "images/train/c.jpg"], deleted_at="yesterday"),
    "no zone": entry(["0-c.jpg", "images/train/c.jpg"], deleted_at="2026-01-01T00:00:00"),
    "kind is none": entry(["0-c.jpg", "images/train/c.jpg"], kind=None),
    "a list": [],
    "a number": 7,
    "null": None,
    "no JSON": b"{",
    "no text": b"\xff\xfe\0",
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("name", ENTRIES)
async def test_an_implausible_entry_is_left_alone(planted: Planted, name: str) -> None:
    planted.plant(f"{ENTRY}/0-c.jpg", jpeg(5))
    planted.plant(f"{ENTRY}/entry.json", ENTRIES[name])
    await assert_nothing_comes_back(planted)
    # A purge of all destroys only what we know to be ours.
    assert (planted.pets / ENTRY / "entry.json").exists()


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
async def test_an_entry_that_is_no_file(planted: Planted, kind: str) -> None:
    planted.plant(f"{ENTRY}/0-c.jpg", jpeg(5))
    path = planted.pets / ENTRY / "entry.json"
    if kind == "link":
        (planted.home / "entry.json").write_text(
            json.dumps(entry(["0-c.jpg", "images/train/c.jpg"]))
        )
        planted.remember()
        path.symlink_to(planted.home / "entry.json")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    await assert_nothing_comes_back(planted)


async def test_an_entry_whose_folder_is_a_link(planted: Planted) -> None:
    (planted.home / "0-c.jpg").write_bytes(jpeg(7))
    (planted.home / "entry.json").write_text(json.dumps(entry(["0-c.jpg", "images/train/c.jpg"])))
    planted.remember()
    (planted.pets / ENTRY).parent.mkdir(parents=True)
    (planted.pets / ENTRY).symlink_to(planted.home)
    await assert_nothing_comes_back(planted)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
async def test_labels_in_the_trash_that_are_no_file(planted: Planted, kind: str) -> None:
    """What is restored stands in the history, which travels in archives."""
    planted.plant(
        f"{ENTRY}/entry.json",
        entry(["0-b.txt", "labels/val/b.txt"], kind="label", name="b.jpg", split="val"),
    )
    path = planted.pets / ENTRY / "0-b.txt"
    if kind == "link":
        path.symlink_to(planted.home / "notes.txt")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    await assert_nothing_comes_back(planted)


async def test_an_image_in_the_trash_that_is_a_link_is_not_read(planted: Planted) -> None:
    """Users may have links among their images; one comes back as what it was, unread."""
    planted.plant(f"{ENTRY}/entry.json", entry(["0-c.jpg", "images/train/c.jpg"]))
    (planted.pets / ENTRY / "0-c.jpg").symlink_to(planted.home / "tmp/holiday.jpg")
    stores = planted.stores()
    [content] = await limited(stores.image.read_deleted("pets", [ID]))
    assert isinstance(content, InvalidDatasetError)
    await limited(stores.image.restore("pets", ID))
    assert (planted.pets / "images/train/c.jpg").is_symlink()
    planted.assert_nothing_outside_changed()


async def test_the_whole_trash_as_a_link_is_set_aside(planted: Planted) -> None:
    outside = planted.home / ID
    outside.mkdir()
    (outside / "0-c.jpg").write_bytes(jpeg(7))
    (outside / "entry.json").write_text(json.dumps(entry(["0-c.jpg", "images/train/c.jpg"])))
    planted.remember()
    (planted.pets / ".workbench").mkdir()
    (planted.pets / ".workbench/trash").symlink_to(planted.home)
    await assert_nothing_comes_back(planted)
    await limited(planted.stores().image.delete("pets", "val", "b.jpg"))
    planted.assert_nothing_outside_changed()
    assert not (planted.pets / ".workbench/trash").is_symlink()


async def test_a_plausible_entry_comes_back(planted: Planted) -> None:
    planted.plant(f"{ENTRY}/0-c.jpg", jpeg(5))
    planted.plant(f"{ENTRY}/entry.json", entry(["0-c.jpg", "images/train/c.jpg"]))
    stores = planted.stores()
    assert [found.id for found in await stores.image.list_trash("pets")] == [ID]
    assert await stores.image.read_deleted("pets", [ID]) == [jpeg(5)]
    await stores.image.restore("pets", ID)
    assert (planted.pets / "images/train/c.jpg").read_bytes() == jpeg(5)


async def test_a_replacement_without_its_half_is_not_undone(planted: Planted) -> None:
    planted.plant(f"{ENTRY}/0-c.jpg", jpeg(5))
    planted.plant(f"{ENTRY}/entry.json", entry(["0-c.jpg", "images/train/c.jpg"], kind="replaced"))
    with pytest.raises(InvalidDatasetError, match="what replaced it"):
        await planted.stores().image.undo_replace("pets", [ID])


@pytest.mark.parametrize("entry_id", ["..", "../trash", ".", "", "a/b", "/etc"])
async def test_an_id_leads_nowhere(planted: Planted, entry_id: str) -> None:
    planted.plant(".workbench/entry.json", entry(["tags.json", "images/train/c.jpg"]))
    planted.plant(".workbench/tags.json", {})
    with pytest.raises(NotFoundError):
        await planted.stores().image.restore("pets", entry_id)
    with pytest.raises(NotFoundError):
        await planted.stores().image.purge("pets", entry_id)
    assert (planted.pets / ".workbench/tags.json").is_file()


# --- whole datasets, and models -----------------------------------------------------------


@pytest.mark.parametrize("kind", ["dataset", "model"])
@pytest.mark.parametrize(
    "files",
    [
        [["../../../../home", "net2"]],
        [["0-net2", "../home/net2"]],
        [["..", "net2"]],
        [["0-net2", "/tmp/net2"]],
        [["0-net2", "a/b"]],
    ],
)
async def test_neither_a_dataset_nor_a_model_comes_from_elsewhere(
    planted: Planted, kind: str, files: list[list[str]]
) -> None:
    root = planted.models if kind == "model" else planted.folder / "data"
    folder = root / ENTRY
    folder.mkdir(parents=True)
    (folder / "0-net2").mkdir()
    (folder / "entry.json").write_text(
        json.dumps(entry(kind=kind, name="net2", split="", files=files))
    )
    stores = planted.stores()
    store = stores.model if kind == "model" else stores.dataset
    assert await limited(store.list_trash()) == []
    with pytest.raises(InvalidDatasetError, match="remove the file"):
        await limited(store.restore(ID))
    with pytest.raises(InvalidDatasetError, match="remove the file"):
        await limited(store.purge(ID))
    assert await limited(store.purge()) == 0
    assert len(await limited(store.list())) == 2
    planted.assert_nothing_outside_changed()
