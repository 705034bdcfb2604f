"""A dataset as columns, and what of it is read again when it changed."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.helpers.backends import BACKENDS, make_backend
from tests.helpers.pictures import encoded, jpeg
from workbench.datasets.columns import pack, pack_names, unpack, unpack_names
from workbench.datasets.index import (
    BACKGROUND,
    LABELLED,
    UNLABELLED,
    UNREADABLE,
    DatasetIndex,
    Indexer,
)
from workbench.datasets.statistics import Statistics
from workbench.errors import NotFoundError
from workbench.persistence import Stores, create_memory_stores, create_stores
from workbench.persistence.models import (
    Annotation,
    ImageKey,
    ImageMove,
    LabelTable,
    NewImage,
    Prediction,
)
from workbench.persistence.sources import ImageSource

LONG_AGO = time.time() - 1000
FILES = {
    "data.yaml": b"names: [cat, dog]\n",
    "images/train/a.jpg": jpeg(1, 20, 30),
    "images/train/b.png": encoded(".png", 2, 40, 50),
    "images/train/c.jpg": jpeg(3),
    "images/val/a.jpg": jpeg(4),
    "images/val/d.jpg": b"no picture",
    "labels/train/a.txt": b"1 0.5 0.5 0.25 0.5\n0 0.25 0.5 0.125 0.5\n",
    "labels/train/c.txt": b"",
    "labels/val/a.txt": b"5 0.5 0.5 0.25 0.5\n",
    "labels/val/d.txt": b"0 0.5 0.5 0.25 0.5\n",
}


def _write(root: Path, files: dict[str, bytes], at: float = LONG_AGO) -> None:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (at, at))


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    _write(tmp_path / "data" / "zoo", FILES)
    return tmp_path / "data" / "zoo"


@pytest.fixture
def stores(zoo: Path, tmp_path: Path) -> Stores:
    return create_stores(zoo.parent, tmp_path / "models")


@pytest.fixture
def read(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> list[ImageKey]:
    """The images whose labels were read, as they are read."""
    seen: list[ImageKey] = []
    real = stores.label.load_many

    async def load_many(dataset: str, images: Sequence[ImageKey]) -> LabelTable:
        seen.extend(images)
        return await real(dataset, images)

    monkeypatch.setattr(stores.label, "load_many", load_many)
    return seen


def _equal(one: DatasetIndex, other: DatasetIndex) -> None:
    assert one.filenames == other.filenames
    assert one.classes == other.classes
    for name in ("split", "state", "num_boxes", "image_index", "class_id", "boxes", "width"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


async def test_an_index_has_images_states_and_boxes(stores: Stores) -> None:
    index = await Indexer(stores).load("zoo")
    assert index.keys() == [
        ("train", "a.jpg"),
        ("train", "b.png"),
        ("train", "c.jpg"),
        ("val", "a.jpg"),
        ("val", "d.jpg"),
    ]
    assert index.classes == ["cat", "dog"]
    assert index.state.tolist() == [LABELLED, UNLABELLED, BACKGROUND, UNREADABLE, LABELLED]
    assert index.num_boxes.tolist() == [2, 0, 0, 0, 1]
    assert index.image_index.tolist() == [0, 0, 4]
    assert index.class_id.tolist() == [1, 0, 0]
    assert index.boxes[1].tolist() == [0.25, 0.5, 0.125, 0.5]
    keys = index.keys()
    assert index.size_bytes.tolist() == [len(FILES[f"images/{s}/{n}"]) for s, n in keys]
    assert index.key(3) == ("val", "a.jpg")
    assert index.positions([("val", "a.jpg"), ("val", "gone.jpg")]).tolist() == [3]
    class_id, boxes = index.boxes_of(0)
    assert class_id.tolist() == [1, 0]
    assert boxes.shape == (2, 4)


async def test_an_unchanged_dataset_is_opened_without_reading_a_label(
    stores: Stores, read: list[ImageKey]
) -> None:
    first = await Indexer(stores).load("zoo")
    assert len(read) == 4
    read.clear()
    second = await Indexer(stores).load("zoo")
    assert read == []
    _equal(first, second)


async def test_only_changed_label_files_are_read(
    stores: Stores, zoo: Path, read: list[ImageKey]
) -> None:
    await Indexer(stores).load("zoo")
    read.clear()
    _write(zoo, {"labels/train/c.txt": b"1 0.5 0.5 0.5 0.5\n"}, LONG_AGO + 1)
    _write(zoo, {"labels/train/b.txt": b""})
    (zoo / "labels/val/d.txt").unlink()
    index = await Indexer(stores).load("zoo")
    assert read == [("train", "b.png"), ("train", "c.jpg")]
    assert index.state.tolist() == [LABELLED, BACKGROUND, LABELLED, UNREADABLE, UNLABELLED]
    assert index.image_index.tolist() == [0, 0, 2]
    assert index.class_id.tolist() == [1, 0, 1]


async def test_a_change_of_the_same_size_within_the_clocks_step_is_seen(
    stores: Stores, zoo: Path
) -> None:
    now = time.time()
    _write(zoo, {"labels/train/c.txt": b"1 0.5 0.5 0.5 0.5\n"}, now)
    await Indexer(stores).load("zoo")
    _write(zoo, {"labels/train/c.txt": b"0 0.5 0.5 0.5 0.5\n"}, now)
    index = await Indexer(stores).load("zoo")
    assert index.class_id.tolist() == [1, 0, 0, 0]


async def test_new_moved_and_deleted_images(stores: Stores, read: list[ImageKey]) -> None:
    await Indexer(stores).load("zoo")
    read.clear()
    await stores.image.move_many("zoo", [ImageMove("a.jpg", "train", "test")])
    await stores.image.save_bytes("zoo", "train", "0.jpg", jpeg(9))
    await stores.image.delete("zoo", "train", "c.jpg")
    index = await Indexer(stores).load("zoo")
    assert index.filenames == ["0.jpg", "b.png", "a.jpg", "d.jpg", "a.jpg"]
    assert index.num_boxes.tolist() == [0, 0, 0, 1, 2]
    assert index.class_id.tolist() == [0, 1, 0]
    assert read == [("test", "a.jpg")]


async def test_other_classes_mean_other_labels(
    stores: Stores, zoo: Path, read: list[ImageKey]
) -> None:
    await Indexer(stores).load("zoo")
    read.clear()
    _write(zoo, {"data.yaml": b"names: [cat, dog, c, d, e, fox]\n"}, LONG_AGO + 1)
    index = await Indexer(stores).load("zoo")
    assert len(read) == 4
    assert index.state[3] == LABELLED
    assert index.classes[-1] == "fox"


@pytest.mark.parametrize(
    "damage", [b"", b"\0\0", b"\xff" * 40, b'\x10\0\0\0\0\0\0\0{"kind": "x"}  ']
)
async def test_a_damaged_cache_is_none(stores: Stores, zoo: Path, damage: bytes) -> None:
    first = await Indexer(stores).load("zoo")
    cache = zoo / ".workbench" / "cache" / "index"
    assert cache.stat().st_size > 0
    cache.write_bytes(damage)
    _equal(first, await Indexer(stores).load("zoo"))
    cache.write_bytes(cache.read_bytes()[:-40])
    _equal(first, await Indexer(stores).load("zoo"))


async def test_sizes_in_pixels_are_read_once(
    stores: Stores, zoo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[ImageKey] = []
    real = stores.image.measure_many

    async def measure_many(dataset: str, images: Sequence[ImageKey], **more: Any) -> object:
        measured.extend(images)
        return await real(dataset, images, **more)

    monkeypatch.setattr(stores.image, "measure_many", measure_many)
    indexer = Indexer(stores)
    index = await indexer.load("zoo")
    assert not index.measured
    index = await indexer.measure("zoo", index)
    assert index.measured
    assert index.width.tolist() == [30, 50, 32, 32, -1]
    assert index.height.tolist() == [20, 40, 24, 24, -1]
    assert len(measured) == 5
    measured.clear()
    index = await indexer.measure("zoo", await indexer.load("zoo"))
    assert index.width.tolist() == [30, 50, 32, 32, -1]
    assert measured == []
    _write(zoo, {"images/train/a.jpg": jpeg(1, 21, 31)}, LONG_AGO + 1)
    _write(zoo, {"labels/train/c.txt": b"1 0.5 0.5 0.5 0.5\n"}, LONG_AGO + 1)
    index = await indexer.measure("zoo", await indexer.load("zoo"))
    assert index.width.tolist() == [31, 50, 32, 32, -1]
    assert measured == [("train", "a.jpg")]


async def test_tags_are_columns(stores: Stores) -> None:
    await stores.dataset.save_tags("zoo", {"odd": ["c.jpg", "b.png"]})
    index = await Indexer(stores).load("zoo")
    assert index.tags["odd"].tolist() == [False, True, True, False, False]


async def test_progress_counts_label_files_and_may_cancel(stores: Stores) -> None:
    reported: list[tuple[int, int]] = []
    await Indexer(stores).load("zoo", progress=lambda *p: reported.append(p))
    assert reported == [(0, 4), (4, 4)]

    def cancel(done: int, total: int) -> None:
        raise KeyboardInterrupt

    await stores.label.save("zoo", "val", "a.jpg", [], discard_other_rows=True)
    with pytest.raises(KeyboardInterrupt):
        await Indexer(stores).load("zoo", progress=cancel)


async def test_memory_is_indexed_alike() -> None:
    stores = create_memory_stores()
    await stores.dataset.create("pets", ["cat"])
    assert len(await Indexer(stores).load("pets")) == 0
    await stores.image.save_bytes("pets", "val", "a.jpg", jpeg())
    await stores.label.save("pets", "val", "a.jpg", [Annotation(0, 0.5, 0.5, 0.5, 0.5)])
    for _ in range(2):
        assert (await Indexer(stores).load("pets")).num_boxes.tolist() == [1]
    await stores.label.save("pets", "val", "a.jpg", [])
    assert (await Indexer(stores).load("pets")).state.tolist() == [BACKGROUND]


async def test_a_dataset_that_is_not_there(stores: Stores) -> None:
    with pytest.raises(NotFoundError, match="nobody"):
        await Indexer(stores).load("nobody")


# --- blocks ------------------------------------------------------------------------------


@given(
    array=hnp.arrays(
        st.sampled_from([np.int8, np.int64, np.float64, np.bool_]),
        hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5),
        elements=st.just(1),
    ),
    facts=st.dictionaries(st.text(), st.integers() | st.text()),
)
def test_a_block_gives_back_what_was_packed(
    array: np.ndarray[tuple[int, ...], np.dtype[np.float64]], facts: dict[str, object]
) -> None:
    found = unpack("k", pack("k", facts, {"one": array, "two": array[::-1]}))
    assert found is not None
    assert found[0] == facts
    for name, expected in (("one", array), ("two", array[::-1])):
        assert found[1][name].dtype == array.dtype
        assert np.array_equal(found[1][name], expected)
    assert unpack("other", pack("k", facts, {})) is None


@given(st.lists(st.text(st.characters(exclude_characters="\0"), min_size=1)))
def test_names_survive(names: list[str]) -> None:
    assert unpack_names(pack_names(names)) == names


@pytest.mark.parametrize("kind", sorted(BACKENDS))
async def test_predictions_of_a_capture_wait_until_somebody_labels_the_image(
    kind: str, tmp_path: Path
) -> None:
    stores, names = (
        make_backend(kind, tmp_path).stores,
        ("both.jpg", "none.jpg", "other.jpg", "unknown.jpg"),
    )
    await stores.dataset.create("seen", ["cat", "dog"])
    boxes = {"both.jpg": (1, 5), "other.jpg": (0,), "unknown.jpg": (5,)}

    async def capture(*taken: str) -> None:
        await stores.image.add_many(
            "seen",
            [NewImage(name, "train", jpeg(number)) for number, name in enumerate(taken)],
            sources=[
                ImageSource(
                    filename=name,
                    split="train",
                    captured_at=datetime.now(UTC),
                    predictions=[
                        Prediction(class_id, 0.5, 0.5, 0.2, 0.2, 0.9)
                        for class_id in boxes.get(name, ())
                    ],
                )
                for name in taken
            ],
        )

    async def predicted() -> set[ImageKey]:
        # A fresh indexer each time: what is not in the cache is not known.
        index = await Indexer(stores).load("seen")
        return {key for key, waits in zip(index.keys(), index.predicted, strict=True) if waits}

    await capture(*names[:2])
    assert await predicted() == {("train", "both.jpg")}
    await capture(*names[2:])
    assert await predicted() == {("train", "both.jpg"), ("train", "other.jpg")}
    await stores.image.move_many("seen", [ImageMove("both.jpg", "train", "val")])
    await stores.image.rename("seen", "train", "other.jpg", "another.jpg")
    assert await predicted() == {("val", "both.jpg"), ("train", "another.jpg")}
    await stores.label.save("seen", "val", "both.jpg", [])
    assert await predicted() == {("train", "another.jpg")}
    (entry,) = await stores.label.delete_many("seen", [("val", "both.jpg")])
    await stores.image.delete("seen", "train", "another.jpg")
    assert await predicted() == {("val", "both.jpg")}
    assert entry.kind == "label"
    await stores.dataset.update_classes("seen", ["cat", "dog", "c", "d", "e", "f"])
    assert await predicted() == {("val", "both.jpg"), ("train", "unknown.jpg")}
    frame = Statistics(await Indexer(stores).load("seen")).summary_frame()
    assert frame["predicted"].tolist() == [1, 1, 0, 2]


async def test_sources_are_looked_up_only_where_they_may_have_changed(
    stores: Stores, zoo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    sources = stores.image.sources

    async def counting(dataset: str) -> dict[ImageKey, ImageSource]:
        asked.append(dataset)
        return await sources(dataset)

    monkeypatch.setattr(stores.image, "sources", counting)
    assert not (await Indexer(stores).load("zoo")).predicted.any()
    assert asked == []
    proposed = [Prediction(0, 0.5, 0.5, 0.2, 0.2, 0.9)]
    source = ImageSource("new.jpg", "val", datetime.now(UTC), predictions=proposed)
    new = NewImage("new.jpg", "val", jpeg(2))
    await stores.image.add_many("zoo", [new], sources=[source])
    os.utime(zoo / "images/val/new.jpg", (LONG_AGO, LONG_AGO))
    wanted = [("val", "new.jpg")]
    for split, name in (("train", "b.png"), ("train", "a.jpg"), ("train", "c.jpg")):
        index = await Indexer(stores).load("zoo")
        assert index.keys(np.flatnonzero(index.predicted)) == wanted
        await stores.label.save("zoo", split, name, [])
    assert asked == ["zoo"]
