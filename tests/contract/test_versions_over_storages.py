"""Versions, and classes that get other ids, need nothing but the storage contract."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.helpers.pictures import jpeg
from tests.helpers.storages import STORAGES
from workbench.errors import ConflictError, InvalidDatasetError, NotFoundError
from workbench.persistence.class_rewrite import Request
from workbench.persistence.models import ImageMove, no_progress
from workbench.persistence.storage import Move, Remove, Storage, Write
from workbench.persistence.stores import class_files, snapshots
from workbench.persistence.stores.dataset import Dataset
from workbench.persistence.stores.places import DatasetPlaces
from workbench.persistence.stores.versions import VersionStore
from workbench.testing.contract import contents

YAML = b"train: images/train\nval: images/val\ntest: images/test\nnames: [cat, dog]\n"
OBJECTS = ".workbench/versions/objects"


class _Versions(VersionStore, DatasetPlaces):
    """The versions of a single dataset, wherever it lies."""

    def __init__(self, storage: Storage) -> None:
        self._places = self
        self._storage = storage

    def open(self, name: str) -> Dataset:
        return Dataset(name, self._storage)


@pytest.fixture(params=sorted(STORAGES))
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    storage = STORAGES[request.param](tmp_path)
    storage.commit(
        [
            Write("data.yaml", YAML),
            Write("images/train/a.jpg", jpeg(1)),
            Write("images/train/b.jpg", jpeg(2)),
            Write("labels/train/a.txt", b"1 0.5 0.5 0.25 0.5\n"),
        ]
    )
    return storage


@pytest.fixture
def versions(storage: Storage) -> _Versions:
    return _Versions(storage)


def kept(storage: Storage) -> list[str]:
    return sorted(
        name
        for part in storage.list(OBJECTS).folders
        for name in storage.list(f"{OBJECTS}/{part}").names
    )


def sha(number: int) -> str:
    return hashlib.sha256(jpeg(number)).hexdigest()


async def test_a_version_is_restored_as_it_was(versions: _Versions, storage: Storage) -> None:
    before = contents(storage)
    info = await versions.freeze("pets", "v1", "as it came")
    assert kept(storage) == sorted([sha(1), sha(2)])
    storage.commit(
        [
            Write("images/train/a.jpg", jpeg(3)),
            Remove("labels/train/a.txt"),
            Move("images/train/b.jpg", "images/val/b.jpg"),
            Write("labels/val/b.txt", b""),
            Write("images/val/new.jpg", jpeg(4)),
            Write("data.yaml", YAML.replace(b"cat, ", b"")),
        ]
    )
    after = contents(storage)
    found = await versions.compare_versions("pets", "v1", None)
    assert (found.added, found.changed) == ([("val", "new.jpg")], [("train", "a.jpg")])
    assert found.moved == [ImageMove("b.jpg", "train", "val")]
    automatic = await versions.restore_version("pets", "v1")
    assert contents(storage) == before
    assert await versions.list_versions("pets") == [info, automatic]
    await versions.restore_version("pets", automatic.name)
    assert versions.open("pets").read().classes == ["dog"]
    assert {**contents(storage), "data.yaml": b""} == {**after, "data.yaml": b""}


async def test_images_that_no_version_has_go_with_the_last(
    versions: _Versions, storage: Storage
) -> None:
    await versions.freeze("pets", "v1")
    storage.commit([Write("images/train/b.jpg", jpeg(5))])
    await versions.freeze("pets", "v2")
    await versions.delete_version("pets", "v1")
    assert kept(storage) == sorted([sha(1), sha(5)])
    with pytest.raises(NotFoundError, match="v1"):
        await versions.restore_version("pets", "v1")
    await versions.delete_version("pets", "v2")
    assert kept(storage) == []


async def test_an_image_that_is_lost_is_told_before_anything_changes(
    versions: _Versions, storage: Storage
) -> None:
    await versions.freeze("pets", "v1")
    storage.commit(
        [Remove(f"{OBJECTS}/{sha(2)[:2]}/{sha(2)}"), Write("images/train/b.jpg", jpeg(7))]
    )
    before = contents(storage)
    with pytest.raises(InvalidDatasetError, match=r"train/b\.jpg is lost"):
        await versions.restore_version("pets", "v1")
    assert contents(storage) == before
    assert len(await versions.list_versions("pets")) == 1
    # The dataset has the same bytes somewhere: they are kept again, and put in place.
    storage.commit([Write("images/val/c.jpg", jpeg(2))])
    await versions.restore_version("pets", "v1")
    assert storage.read("images/train/b.jpg") == jpeg(2)
    assert sha(2) in kept(storage)


async def test_a_snapshot_is_files(versions: _Versions, storage: Storage, tmp_path: Path) -> None:
    await versions.freeze("pets", "v1")
    dataset = versions.open("pets")
    shots = [
        snapshots.take(
            dataset,
            tmp_path / f"shot {version}",
            version=version,
            labelled_only=False,
            progress=no_progress,
        )
        for version in (None, "v1")
    ]
    assert shots[0].digest == shots[1].digest
    for shot in shots:
        assert (shot.path / "images/train/a.jpg").read_bytes() == jpeg(1)
        assert (shot.path / "labels/train/a.txt").read_bytes() == b"1 0.5 0.5 0.25 0.5\n"
        assert not (shot.path / "labels/train/b.txt").exists()
    (shots[0].path / "images/train/a.jpg").write_bytes(b"scribbled")
    assert storage.read("images/train/a.jpg") == jpeg(1)


async def test_classes_change_places_and_back(versions: _Versions, storage: Storage) -> None:
    before, dataset = contents(storage), versions.open("pets")
    request = Request(["dog", "cat"], {0: 1, 1: 0}, {}, None, None)
    done = class_files.rewrite(dataset, request, {})
    assert storage.read("labels/train/a.txt") == b"0 0.5 0.5 0.25 0.5\n"
    class_files.undo(dataset, done.id)
    assert contents(storage) == before
    with pytest.raises(NotFoundError, match=done.id):
        class_files.undo(dataset, done.id)
    done = class_files.rewrite(dataset, request, {})
    storage.commit([Write("labels/train/a.txt", b"1 0.1 0.1 0.1 0.1\n")])
    with pytest.raises(ConflictError):
        class_files.undo(dataset, done.id)
