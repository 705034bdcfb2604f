"""A folder from a stranger holds versions, and ways back, that lead elsewhere."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.pictures import jpeg
from tests.helpers.planted import Planted, limited
from workbench.errors import InvalidDatasetError, WorkbenchError
from workbench.persistence.models import Annotation

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes as POSIX has them")

SHA256 = hashlib.sha256(jpeg(1)).hexdigest()
SECRET = hashlib.sha256(b"PRIVATE KEY\n").hexdigest()
VERSION = ".workbench/versions/v1.version"


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    return Planted(tmp_path)


def version(head: dict[str, Any] | None = None, **changes: Any) -> bytes:
    """A version as we write it: a.jpg of ``small_dataset``, unless told otherwise."""
    counts = {"train": 1, "val": 0, "test": 0}
    first = {
        "format": 1,
        "name": "v1",
        "created_at": "2026-01-01T00:00:00+00:00",
        "note": "",
        "automatic": False,
        "classes": ["cat", "dog"],
        "num_images": counts,
        "num_labelled": counts,
        "digest": "0" * 64,
    }
    body = {
        "extra": {},
        "prompts": {},
        "tags": {},
        "trash": {},
        "images": [["train", "a.jpg", SHA256, len(jpeg(1)), "1 0.5 0.5 0.5 0.5\n"]],
    }
    packed = zlib.compress(json.dumps(body | changes).encode())
    return json.dumps(first | (head or {})).encode() + b"\n" + packed


async def assert_refused(planted: Planted) -> None:
    """The version is not restored nor looked at; everything else works."""
    stores = planted.stores()
    assert [info.name for info in await limited(stores.dataset.list())] == ["pets", "sound"]
    target = planted.folder / "snapshot"
    for way in (
        stores.dataset.restore_version("pets", "v1"),
        stores.dataset.compare_versions("pets", "v1", None),
        stores.dataset.snapshot("pets", target, version="v1"),
        stores.dataset.keep_version("pets", "v1"),
    ):
        with pytest.raises(WorkbenchError):
            await limited(way)
    assert not target.exists()
    await limited(stores.dataset.list_versions("pets"))
    await limited(stores.dataset.freeze("pets", "v2"))
    await limited(stores.dataset.delete_version("pets", "v2"))
    assert await limited(stores.label.load("pets", "train", "a.jpg")) == [
        Annotation(0, 0.5, 0.5, 0.25, 0.5)
    ]
    planted.assert_nothing_outside_changed()
    planted.assert_no_secret_inside()


def images(*entries: list[Any]) -> bytes:
    return version(images=list(entries))


def _behind_head(content: bytes) -> bytes:
    return version().partition(b"\n")[0] + b"\n" + zlib.compress(content)


VERSIONS = {
    "an image outside": images(["train", "../../../../home/x.jpg", SHA256, 1, None]),
    "labels outside": images(["train", "../../../home/notes.jpg", SHA256, 1, "0 1 1 1 1\n"]),
    "a split that leads out": images(["../../../home", "a.jpg", SHA256, 1, None]),
    "absolute": images(["train", "/tmp/x.jpg", SHA256, 1, None]),
    "no image": images(["train", "run.sh", SHA256, 1, None]),
    "hidden": images(["train", ".a.jpg", SHA256, 1, None]),
    "an object outside": images(["train", "k.jpg", "../../../../home/.ssh/id_rsa", 12, None]),
    "a number for a name": images(["train", 7, SHA256, 1, None]),
    "no sha": images(["train", "a.jpg", None, 1, None]),
    "half an entry": images(["train", "a.jpg"]),
    "labels of a number": images(["train", "a.jpg", SHA256, 1, 7]),
    "images are text": version(images="train"),
    "tags of a number": version(tags={"x": 7}),
    "prompts of text": version(prompts={"0": "cat"}),
    "other folders": version(extra={"train": "../../home"}),
    "a path": version(extra={"path": "/"}),
    "trash of numbers": version(trash={"x": 1}),
    "another name": version({"name": "../../x"}),
    "no zone": version({"created_at": "2026-01-01T00:00:00"}),
    "classes are text": version({"classes": "cat"}),
    "no counts": version({"num_images": {}}),
    "a list": b"[]\n",
    "empty": b"",
    "no JSON": b"{\n",
    "deep": b"[" * 100_000,
    "deep behind": _behind_head(b"[" * 100_000),
    "a bomb": _behind_head(bytes(1 << 28)),
    "cut off": version()[:-9],
}


@pytest.mark.parametrize("name", VERSIONS)
async def test_a_version_that_cannot_be(planted: Planted, name: str) -> None:
    planted.plant(VERSION, VERSIONS[name])
    planted.plant(f".workbench/versions/objects/{SHA256[:2]}/{SHA256}", jpeg(1))
    await assert_refused(planted)


@pytest.mark.parametrize("kind", ["link", "dangling", "pipe", "folder"])
async def test_a_version_that_is_no_file(planted: Planted, kind: str) -> None:
    path = planted.plant(VERSION, b"")
    path.unlink()
    if kind == "link":
        (planted.home / "v1").write_bytes(version())
        planted.remember()
        path.symlink_to(planted.home / "v1")
    elif kind == "dangling":
        path.symlink_to(planted.home / "nothing")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    await assert_refused(planted)


@pytest.mark.parametrize("part", ["versions", "objects", "part", "object"])
async def test_images_of_versions_that_are_links(planted: Planted, part: str) -> None:
    """Freezing, deleting and restoring neither read nor write nor remove what is elsewhere."""
    planted.plant(VERSION, images(["val", "key.jpg", SECRET, 12, None]))
    base = planted.pets / ".workbench/versions"
    place = {
        "versions": base,
        "objects": base / "objects",
        "part": base / "objects" / SECRET[:2],
        "object": base / "objects" / SECRET[:2] / SECRET,
    }[part]
    outside = planted.home / "objects" / place.relative_to(base)
    secret = planted.home / "objects/objects" / SECRET[:2] / SECRET
    secret.parent.mkdir(parents=True)
    secret.write_bytes(b"PRIVATE KEY\n")
    if part == "versions":
        (base / "v1.version").rename(planted.home / "objects/v1.version")
        base.rmdir()
    planted.remember()
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(outside)
    stores = planted.stores()
    with pytest.raises(WorkbenchError):
        await limited(stores.dataset.restore_version("pets", "v1"))
    await limited(stores.dataset.freeze("pets", "v2"))
    await limited(stores.dataset.freeze("pets", "v3"))
    await limited(stores.dataset.delete_version("pets", "v2"))
    await limited(stores.dataset.restore_version("pets", "v3"))
    planted.assert_nothing_outside_changed()
    planted.assert_no_secret_inside()


async def test_a_plausible_version_is_restored(planted: Planted) -> None:
    planted.plant(VERSION, version())
    planted.plant(f".workbench/versions/objects/{SHA256[:2]}/{SHA256}", jpeg(1))
    stores = planted.stores()
    [info] = await stores.dataset.list_versions("pets")
    assert info.name == "v1"
    await stores.dataset.restore_version("pets", "v1")
    assert await stores.label.load("pets", "train", "a.jpg") == [Annotation(1, 0.5, 0.5, 0.5, 0.5)]
    assert not (planted.pets / "images/val/b.jpg").exists()


async def test_a_version_that_cannot_be_read_keeps_all_images(planted: Planted) -> None:
    planted.plant(VERSION, version()[:-9])
    kept = planted.plant(f".workbench/versions/objects/{SECRET[:2]}/{SECRET}", b"the last copy")
    stores = planted.stores()
    await stores.dataset.freeze("pets", "v2")
    await stores.dataset.delete_version("pets", "v2")
    assert kept.read_bytes() == b"the last copy"


# --- the way back from a change of classes ------------------------------------------------

MEMORY = ".workbench/rewrites/abc.json.z"


def memory(**changes: Any) -> bytes:
    content = {
        "classes": [["dog", "cat"], ["cat", "dog"]],
        "prompts": [{}, {}],
        "files": {},
        "labels": {"labels/train/a.txt": _revision(b"0 0.50000000 0.50000000 0.25000000 0.5\n")},
    }
    return zlib.compress(json.dumps(content | changes).encode())


def _revision(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=12).hexdigest()


@pytest.mark.parametrize(
    "path", ["../../home/.bashrc", "/tmp/x", "labels/train/../../../../home/x.txt", "setup.py"]
)
async def test_a_way_back_writes_no_other_file(planted: Planted, path: str) -> None:
    label = (planted.pets / "labels/train/a.txt").read_bytes()
    planted.plant(
        MEMORY,
        memory(files={path: ["evil", ""]}, labels={"labels/train/a.txt": _revision(label)}),
    )
    before = (planted.pets / "data.yaml").read_bytes()
    await limited(planted.stores().dataset.undo_rewrite("pets", "abc"))
    assert (planted.pets / "data.yaml").read_bytes() != before
    assert not (planted.pets / "setup.py").exists()
    planted.assert_nothing_outside_changed()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no zlib",
        zlib.compress(b"{"),
        zlib.compress(b"[" * 100_000),
        zlib.compress(b"[]"),
        zlib.compress(b"7"),
        zlib.compress(bytes(1 << 28)),
        memory(classes="x"),
        memory(classes=[[1, 2], ["cat", "dog"]]),
        memory(prompts=[{"x": 1}, {}]),
        memory(files=3),
        memory(files={"labels/train/a.txt": 7}),
        memory(labels=None),
    ],
)
async def test_a_way_back_that_cannot_be(planted: Planted, content: bytes) -> None:
    planted.plant(MEMORY, content)
    with pytest.raises(WorkbenchError):
        await limited(planted.stores().dataset.undo_rewrite("pets", "abc"))
    await limited(planted.stores().dataset.rewrite_classes("pets", ["dog", "cat"], {0: 1, 1: 0}))


@pytest.mark.parametrize("name", ["abc.json.z", "abc.yaml"])
@pytest.mark.parametrize("kind", ["link", "dangling", "pipe", "folder"])
async def test_a_way_back_that_is_no_file(planted: Planted, name: str, kind: str) -> None:
    label = (planted.pets / "labels/train/a.txt").read_bytes()
    planted.plant(MEMORY, memory(labels={"labels/train/a.txt": _revision(label)}))
    path = planted.pets / ".workbench/rewrites" / name
    content = path.read_bytes() if path.exists() else b"0" * 16 + b"names: [x]\n"
    path.unlink(missing_ok=True)
    if kind == "link":
        (planted.home / name).write_bytes(content)
        planted.remember()
        path.symlink_to(planted.home / name)
    elif kind == "dangling":
        path.symlink_to(planted.home / "nothing")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(InvalidDatasetError, match="ordinary file"):
        await limited(planted.stores().dataset.undo_rewrite("pets", "abc"), (path,))
    planted.assert_nothing_outside_changed()
