"""What versions are on disk, and what becomes of them when other programs write there."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from tests.helpers.backends import Backend, make_backend
from tests.helpers.pictures import jpeg
from tests.helpers.small_set import A, B, contents, make_set
from workbench.errors import AlreadyExistsError, InvalidDatasetError, StorageError
from workbench.persistence import Stores


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    return make_backend("filesystem", tmp_path)


@pytest.fixture
def stores(backend: Backend) -> Stores:
    return backend.stores


@pytest.fixture
async def set_(stores: Stores) -> str:
    return await make_set(stores)


def folder_of(backend: Backend) -> Path:
    assert backend.data_dir is not None
    return backend.data_dir / "set"


def objects(folder: Path) -> list[Path]:
    return sorted(p for p in (folder / ".workbench/versions/objects").rglob("*") if p.is_file())


async def test_versions_share_their_images(backend: Backend, set_: str) -> None:
    folder = folder_of(backend)
    await backend.stores.dataset.freeze(set_, "v1")
    kept = objects(folder)
    assert sorted(p.read_bytes() for p in kept) == sorted(jpeg(number) for number in range(3))
    await backend.stores.dataset.freeze(set_, "v2")
    assert objects(folder) == kept
    await backend.stores.dataset.delete_version(set_, "v1")
    assert objects(folder) == kept
    await backend.stores.dataset.delete_version(set_, "v2")
    assert objects(folder) == []


async def test_what_others_write_into_images_reaches_no_version(
    backend: Backend, set_: str
) -> None:
    folder = folder_of(backend)
    images = sorted((folder / "images").rglob("*.jpg"))
    before = [image.read_bytes() for image in images]
    await backend.stores.dataset.freeze(set_, "v1")
    for _ in range(2):  # also after a restore, which puts the version's images in place
        for image in images:
            image.write_bytes(b"overwritten in place, as cv2.imwrite does")
        await backend.stores.dataset.restore_version(set_, "v1")
        assert [image.read_bytes() for image in images] == before


async def test_a_damaged_version_is_not_restored(backend: Backend, set_: str) -> None:
    folder = folder_of(backend)
    image = folder / "images/train/a.jpg"
    await backend.stores.dataset.freeze(set_, "v1")
    kept = next(p for p in objects(folder) if p.read_bytes() == jpeg(0))
    with kept.open("r+b") as file:
        file.write(b"overwritten")
    await backend.stores.image.save_bytes(set_, *A, jpeg(5))
    await backend.stores.label.save(set_, *A, [])
    before = await contents(backend.stores)
    with pytest.raises(InvalidDatasetError, match=r"train/a\.jpg is lost.*Nothing was changed"):
        await backend.stores.dataset.restore_version(set_, "v1")
    assert await contents(backend.stores) == before
    # Another copy of the same bytes will do.
    await backend.stores.image.save_bytes(set_, "val", "again.jpg", jpeg(0))
    await backend.stores.dataset.restore_version(set_, "v1")
    assert image.read_bytes() == jpeg(0)
    assert list((folder / ".workbench/tmp").iterdir()) == []


async def test_unchanged_images_are_not_read_again(
    backend: Backend, set_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.persistence.stores import image_hashes, version_files

    folder = folder_of(backend)
    for image in (folder / "images").rglob("*.jpg"):
        os.utime(image, (1_000_000_000, 1_000_000_000))
    await backend.stores.dataset.freeze(set_, "v1")
    read: list[str] = []
    real = image_hashes.sha256_of
    for module in (image_hashes, version_files):
        monkeypatch.setattr(module, "sha256_of", lambda s, key: read.append(key) or real(s, key))
    await backend.stores.dataset.freeze(set_, "v2")
    assert read == []
    with (folder / "images/train/b.jpg").open("r+b") as file:  # same size, in place
        file.write(b"\xff\xd8changed")
    await backend.stores.dataset.freeze(set_, "v3")
    assert read == ["images/train/b.jpg"]
    # Two files of one size and one time that change places are other images.
    read.clear()
    for name in ("a", "b"):
        image = folder / f"images/train/{name}.bmp"
        image.write_bytes(b"BM" + name.encode())
        os.utime(image, (1_000_000_000, 1_000_000_000))
    first = await backend.stores.dataset.freeze(set_, "v4")
    a, b = folder / "images/train/a.bmp", folder / "images/train/b.bmp"
    a.rename(folder / "other")
    b.rename(a)
    (folder / "other").rename(b)
    assert (await backend.stores.dataset.freeze(set_, "v5")).digest != first.digest


async def test_an_image_that_was_damaged_in_a_version_is_mended(
    backend: Backend, set_: str
) -> None:
    await backend.stores.dataset.freeze(set_, "v1")
    kept = next(p for p in objects(folder_of(backend)) if p.read_bytes() == jpeg(0))
    kept.write_bytes(b"overwritten")
    await backend.stores.image.move(set_, "a.jpg", "train", "test")
    await backend.stores.image.save_bytes(set_, *A, jpeg(7))
    await backend.stores.dataset.restore_version(set_, "v1")
    assert await backend.stores.image.read_bytes(set_, *A) == jpeg(0)
    assert kept.read_bytes() == jpeg(0)


async def test_more_images_than_one_commit_keeps(
    backend: Backend, set_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.persistence.stores import version_files

    monkeypatch.setattr(version_files, "_AT_ONCE", 2)
    folder, ds = folder_of(backend), backend.stores.dataset
    await ds.freeze(set_, "v1")
    assert sorted(p.read_bytes() for p in objects(folder)) == sorted(jpeg(n) for n in range(3))
    before = await contents(backend.stores)
    for number, key in enumerate((A, B)):
        await backend.stores.image.save_bytes(set_, *key, jpeg(10 + number))
    await ds.restore_version(set_, "v1")
    assert await contents(backend.stores) == before
    assert len(objects(folder)) == 5
    for info in await ds.list_versions(set_):
        await ds.delete_version(set_, info.name)
    assert objects(folder) == []


async def test_a_version_that_cannot_be_kept_leaves_no_images(
    backend: Backend, set_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.persistence.stores import version_files

    monkeypatch.setattr(version_files, "_AT_ONCE", 1)
    folder, sha256 = folder_of(backend), hashlib.sha256(jpeg(2)).hexdigest()
    in_the_way = folder / f".workbench/versions/objects/{sha256[:2]}/{sha256}"
    in_the_way.mkdir(parents=True)
    with pytest.raises(StorageError):
        await backend.stores.dataset.freeze(set_, "v1")
    assert objects(folder) == []
    assert await backend.stores.dataset.list_versions(set_) == []
    in_the_way.rmdir()
    await backend.stores.dataset.freeze(set_, "v1")
    assert len(objects(folder)) == 3


async def test_a_damaged_version_file_says_so(backend: Backend, set_: str) -> None:
    await backend.stores.dataset.freeze(set_, "v1")
    file = folder_of(backend) / ".workbench/versions/v1.version"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(InvalidDatasetError, match=r"v1\.version: expected a version"):
        await backend.stores.dataset.restore_version(set_, "v1")


async def test_a_stray_label_file_is_in_the_way(backend: Backend, set_: str) -> None:
    stray = folder_of(backend) / "labels/train/b.txt"
    await backend.stores.dataset.freeze(set_, "v1")
    await backend.stores.image.delete(set_, *B)
    stray.write_bytes(b"0 0.5 0.5 0.5 0.5\n")
    with pytest.raises(AlreadyExistsError, match=r"b\.txt has labels without an image"):
        await backend.stores.dataset.restore_version(set_, "v1")
    assert stray.read_bytes() == b"0 0.5 0.5 0.5 0.5\n"


async def test_a_snapshot_of_a_damaged_version_is_refused(
    backend: Backend, set_: str, tmp_path: Path
) -> None:
    folder = folder_of(backend)
    await backend.stores.dataset.freeze(set_, "v1")
    await backend.stores.image.save_bytes(set_, *A, jpeg(5))
    kept = next(p for p in objects(folder) if p.read_bytes() == jpeg(0))
    kept.write_bytes(b"overwritten")
    target = tmp_path / "run" / "data"
    with pytest.raises(InvalidDatasetError, match=r"train/a\.jpg is lost"):
        await backend.stores.dataset.snapshot(set_, target, version="v1")
    assert not target.exists()
    # The dataset still has the same bytes, perhaps.
    await backend.stores.image.save_bytes(set_, *A, jpeg(0))
    shot = await backend.stores.dataset.snapshot(set_, target, version="v1")
    assert (shot.path / "images/train/a.jpg").read_bytes() == jpeg(0)


async def test_a_version_of_labels_that_pack_to_nothing_can_be_restored(
    backend: Backend, set_: str
) -> None:
    label = folder_of(backend) / f"labels/{A[0]}/{A[1].rpartition('.')[0]}.txt"
    odd = b"\0" * 4_000_000
    label.write_bytes(odd)
    for copy in range(4):  # more than a small file may hold
        label.with_name(f"other{copy}.txt").write_bytes(odd)
        (label.parents[2] / f"images/{A[0]}/other{copy}.jpg").write_bytes(jpeg(copy))
    await backend.stores.dataset.freeze(set_, "odd")
    label.write_bytes(b"")
    await backend.stores.dataset.restore_version(set_, "odd")
    assert label.read_bytes() == odd
