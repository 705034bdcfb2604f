"""What every store does for those who look at whole datasets: columns, bulk reads, caches."""

from __future__ import annotations

import zipfile
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.backends import Backend, make_backend
from tests.helpers.pictures import encoded, jpeg, rotated_jpeg
from workbench.errors import InvalidNameError, NotFoundError
from workbench.persistence import Stores
from workbench.persistence.models import SPLITS, Annotation, ImageMove

BOX = Annotation(1, 0.5, 0.5, 0.25, 0.5)


@pytest.fixture
async def zoo(backend: Backend) -> str:
    """Five images, named so that order by split and order by name differ."""
    files = {
        "data.yaml": b"names: [cat, dog]\n",
        "images/train/b.jpg": jpeg(1),
        "images/train/a.png": encoded(".png", 2),
        "images/val/a.jpg": jpeg(3, 30, 40),
        "images/test/0.jpg": jpeg(4),
        "images/test/1.jpg": jpeg(5),
        "labels/train/b.txt": b"1 0.5 0.5 0.25 0.5\n0 0.5 0.5 0.125 0.5\n",
        "labels/val/a.txt": b"",
        "labels/test/1.txt": b"7 0.5 0.5 0.25 0.5\n",
    }
    await backend.arrange("zoo", files)
    return "zoo"


# --- scan ------------------------------------------------------------------------------


async def test_a_scan_has_the_images_of_the_list_in_its_order(
    backend: Backend, stores: Stores, zoo: str
) -> None:
    table = await stores.image.scan(zoo)
    images = await stores.image.list(zoo)
    splits = [SPLITS[number] for number in table.split]
    assert list(zip(splits, table.filenames, strict=True)) == [
        ("train", "a.png"),
        ("train", "b.jpg"),
        ("val", "a.jpg"),
        ("test", "0.jpg"),
        ("test", "1.jpg"),
    ]
    assert [(i.split, i.filename) for i in images] == list(
        zip(splits, table.filenames, strict=True)
    )
    assert table.size_bytes.tolist() == [i.size_bytes for i in images]
    if backend.tells_times:
        assert np.allclose(table.modified_ns / 1e9, [i.modified_at for i in images])
    assert len(table) == 5
    assert table.classes == ["cat", "dog"]


async def test_a_scan_tells_label_files_from_none(stores: Stores, zoo: str) -> None:
    table = await stores.image.scan(zoo)
    assert table.label_bytes.tolist() == [-1, 39, 0, -1, 19]
    assert (table.label_modified_ns > 0).tolist() == [False, True, True, False, True]


async def test_the_columns_are_of_the_promised_types(stores: Stores, zoo: str) -> None:
    table = await stores.image.scan(zoo)
    assert table.split.dtype == np.int8
    columns = [f.name for f in fields(table) if f.name.endswith(("_ns", "_bytes"))]
    assert len(columns) == 4
    for name in columns:
        column = getattr(table, name)
        assert (column.dtype, column.shape, column.flags["C_CONTIGUOUS"]) == (np.int64, (5,), True)


async def test_a_scan_of_an_empty_dataset(stores: Stores) -> None:
    await stores.dataset.create("empty", ["cat"])
    table = await stores.image.scan("empty")
    assert (len(table), table.split.shape, table.label_bytes.shape) == (0, (0,), (0,))


async def test_a_scan_shows_every_change_of_a_label_file(stores: Stores, zoo: str) -> None:
    before = await stores.image.scan(zoo)
    await stores.label.save(zoo, "train", "b.jpg", [BOX, BOX])
    await stores.label.save(zoo, "test", "0.jpg", [])
    await stores.label.delete(zoo, "val", "a.jpg")
    after = await stores.image.scan(zoo)
    changed = (before.label_bytes != after.label_bytes) | (
        before.label_modified_ns != after.label_modified_ns
    )
    assert changed.tolist() == [False, True, True, True, False]
    assert after.label_bytes[[2, 3]].tolist() == [-1, 0]
    assert before.modified_ns.tolist() == after.modified_ns.tolist()


async def test_moved_and_deleted_images_are_where_they_went(stores: Stores, zoo: str) -> None:
    await stores.image.move_many(zoo, [ImageMove("b.jpg", "train", "val")])
    await stores.image.delete(zoo, "test", "0.jpg")
    table = await stores.image.scan(zoo)
    assert table.filenames == ["a.png", "a.jpg", "b.jpg", "1.jpg"]
    assert table.split.tolist() == [0, 1, 1, 2]
    assert table.label_bytes.tolist() == [-1, 0, 39, 19]


async def test_the_settings_revision_changes_with_the_classes_only(
    stores: Stores, zoo: str
) -> None:
    first = (await stores.image.scan(zoo)).settings_revision
    await stores.label.save(zoo, "test", "0.jpg", [BOX])
    assert (await stores.image.scan(zoo)).settings_revision == first
    await stores.dataset.update_classes(zoo, ["cat", "hound"])
    table = await stores.image.scan(zoo)
    assert table.settings_revision != first
    assert table.classes == ["cat", "hound"]


async def test_a_scan_of_a_dataset_that_is_not_there(stores: Stores) -> None:
    with pytest.raises(NotFoundError, match="nobody"):
        await stores.image.scan("nobody")


# --- read_many, measure_many, load_many --------------------------------------------------


async def test_many_images_are_read_in_the_given_order(stores: Stores, zoo: str) -> None:
    keys = [("val", "a.jpg"), ("train", "a.png"), ("val", "a.jpg")]
    assert await stores.image.read_many(zoo, keys) == [
        jpeg(3, 30, 40),
        encoded(".png", 2),
        jpeg(3, 30, 40),
    ]


async def test_an_image_that_cannot_be_read_is_an_error_in_its_place(
    stores: Stores, zoo: str
) -> None:
    keys = [("val", "gone.jpg"), ("train", "b.jpg"), ("val", "../a.jpg"), ("nowhere", "a.jpg")]
    gone, found, *bad = await stores.image.read_many(zoo, keys)
    assert isinstance(gone, NotFoundError)
    assert "gone.jpg" in str(gone)
    assert found == jpeg(1)
    assert [type(error) for error in bad] == [InvalidNameError, InvalidNameError]


async def test_bulk_reads_of_a_dataset_that_is_not_there(stores: Stores) -> None:
    with pytest.raises(NotFoundError, match="nobody"):
        await stores.image.read_many("nobody", [])
    with pytest.raises(NotFoundError, match="nobody"):
        await stores.image.measure_many("nobody", [])
    with pytest.raises(NotFoundError, match="nobody"):
        await stores.label.load_many("nobody", [])


async def test_sizes_are_those_of_get(backend: Backend) -> None:
    pictures = {
        f"x{number}{extension}": encoded(extension, number, 20 + number, 50)
        for number, extension in enumerate([".jpg", ".png", ".bmp", ".webp", ".tif", ".jpeg"])
    }
    pictures["turned.jpg"] = rotated_jpeg(9, 24, 32)
    files = {f"images/val/{name}": data for name, data in pictures.items()}
    await backend.arrange("sizes", {"data.yaml": b"names: [cat]\n", **files})
    keys = [("val", name) for name in pictures]
    reported: list[tuple[int, int]] = []
    sizes = await backend.stores.image.measure_many(
        "sizes", keys, progress=lambda done, total: reported.append((done, total))
    )
    infos = [await backend.stores.image.get("sizes", *key) for key in keys]
    assert (sizes.dtype, sizes.shape) == (np.int32, (7, 2))
    assert sizes.tolist() == [[info.width, info.height] for info in infos]
    assert sizes[-1].tolist() == [24, 32]
    assert reported[-1] == (7, 7)


async def test_what_has_no_size_has_size_zero(stores: Stores, backend: Backend, zoo: str) -> None:
    damaged = [jpeg(1)[:12], b"\x89PNG\r\n\x1a\n", b"no image"]
    backend.put(zoo, {f"images/val/bad{n}.jpg": data for n, data in enumerate(damaged)})
    keys = [("val", f"bad{number}.jpg") for number in range(3)]
    sizes = await stores.image.measure_many(zoo, [*keys, ("val", "gone.jpg"), ("val", "a.jpg")])
    assert sizes.tolist() == [[0, 0], [0, 0], [0, 0], [0, 0], [40, 30]]


async def test_some_images_labels_in_columns(stores: Stores, zoo: str) -> None:
    keys = [
        ("val", "a.jpg"),
        ("test", "1.jpg"),
        ("train", "b.jpg"),
        ("train", "a.png"),
        ("val", "gone.jpg"),
    ]
    table = await stores.label.load_many(zoo, keys)
    assert list(zip(table.splits, table.filenames, strict=True)) == keys
    assert table.labelled.tolist() == [True, True, True, False, False]
    assert table.image_index.tolist() == [2, 2]
    assert table.class_id.tolist() == [1, 0]
    assert table.boxes.tolist() == [[0.5, 0.5, 0.25, 0.5], [0.5, 0.5, 0.125, 0.5]]
    (problem,) = table.problems
    assert "test/1.txt" in str(problem)


async def test_all_images_labels_are_what_load_all_says(stores: Stores, zoo: str) -> None:
    everything = await stores.label.load_all(zoo)
    keys = list(zip(everything.splits, everything.filenames, strict=True))
    backwards = await stores.label.load_many(zoo, keys[::-1])
    last = len(keys) - 1
    assert sorted((last - backwards.image_index).tolist()) == everything.image_index.tolist()
    assert sorted(backwards.class_id.tolist()) == sorted(everything.class_id.tolist())
    assert (np.diff(backwards.image_index) >= 0).all()


# --- caches ------------------------------------------------------------------------------


async def test_a_cache_gives_back_what_was_kept(stores: Stores, zoo: str) -> None:
    assert await stores.dataset.load_cache(zoo, "index.v1") is None
    await stores.dataset.save_cache(zoo, "index.v1", b"\0one")
    await stores.dataset.save_cache(zoo, "other", b"")
    await stores.dataset.save_cache(zoo, "index.v1", b"\0two")
    assert await stores.dataset.load_cache(zoo, "index.v1") == b"\0two"
    assert await stores.dataset.load_cache(zoo, "other") == b""


async def test_a_cache_is_no_edit(stores: Stores, zoo: str) -> None:
    before = await stores.dataset.get(zoo)
    table = await stores.image.scan(zoo)
    await stores.dataset.save_cache(zoo, "index", b"data")
    assert await stores.dataset.get(zoo) == before
    assert (await stores.image.scan(zoo)).settings_revision == table.settings_revision


async def test_a_cache_does_not_travel(backend: Backend, zoo: str) -> None:
    stores = backend.stores
    await stores.dataset.save_cache(zoo, "index", b"data")
    archive = await stores.dataset.export_zip(zoo, backend.scratch / "zoo.zip")
    with zipfile.ZipFile(archive) as packed:
        assert not [name for name in packed.namelist() if "cache" in name]
    await stores.dataset.import_zip(archive, name="copy")
    assert await stores.dataset.load_cache("copy", "index") is None
    snapshot = await stores.dataset.snapshot(zoo, backend.scratch / "frozen")
    assert not list(snapshot.path.rglob("*cache*"))


async def test_a_cache_goes_with_a_renamed_dataset(stores: Stores, zoo: str) -> None:
    await stores.dataset.save_cache(zoo, "index", b"data")
    await stores.dataset.rename(zoo, "park")
    assert await stores.dataset.load_cache("park", "index") == b"data"


@pytest.mark.parametrize("key", ["", "../x", "a/b", "A", ".x", "x" * 81, "a b", "x.", "é"])
async def test_keys_of_caches_are_checked(stores: Stores, zoo: str, key: str) -> None:
    with pytest.raises(InvalidNameError, match="cache key"):
        await stores.dataset.save_cache(zoo, key, b"")
    with pytest.raises(InvalidNameError, match="cache key"):
        await stores.dataset.load_cache(zoo, key)


async def test_caches_of_a_dataset_that_is_not_there(backend: Backend) -> None:
    with pytest.raises(NotFoundError, match="nobody"):
        await backend.stores.dataset.save_cache("nobody", "index", b"")
    with pytest.raises(NotFoundError, match="nobody"):
        await backend.stores.dataset.load_cache("nobody", "index")
    assert backend.files() == set()


async def test_a_disk_that_takes_no_cache_is_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stores = make_backend("filesystem", tmp_path).stores
    info = await stores.dataset.create("pets", ["cat"])
    (info.path / ".workbench" / "cache").write_bytes(b"a file where the folder would be")
    await stores.dataset.save_cache("pets", "index", b"data")
    assert "is not kept" in caplog.text
    assert await stores.dataset.load_cache("pets", "index") is None
