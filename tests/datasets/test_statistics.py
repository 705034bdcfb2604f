"""Numbers about a dataset, beside the same counted one by one."""

from __future__ import annotations

from collections import Counter
from itertools import combinations_with_replacement

import numpy as np
import pytest

from tests.helpers.pictures import jpeg
from workbench.datasets import statistics as module
from workbench.datasets.dataset import Dataset
from workbench.datasets.index import DatasetIndex, Indexer
from workbench.datasets.statistics import Statistics
from workbench.persistence import Stores, create_memory_stores
from workbench.persistence.models import SPLITS, Annotation

CLASSES = ["cat", "dog", "bird", "fish"]


@pytest.fixture
async def stores() -> Stores:
    """Thirty images; every third unlabelled, one background; no fish anywhere."""
    stores = create_memory_stores()
    await stores.dataset.create("pets", CLASSES)
    chance = np.random.default_rng(7)
    for number in range(30):
        split, name = SPLITS[number % 7 % 3], f"{number:02}.jpg"
        picture = jpeg(number, 24, 32 if number % 2 else 48)
        await stores.image.save_bytes("pets", split, name, picture)
        if number % 3:
            count = int(chance.integers(0 if number == 4 else 1, 1 if number == 4 else 6))
            boxes = [
                Annotation(int(chance.integers(3)), *(0.3 + chance.random(4) * 0.3).tolist())
                for _ in range(count)
            ]
            await stores.label.save("pets", split, name, boxes)
    return stores


@pytest.fixture
async def index(stores: Stores) -> DatasetIndex:
    indexer = Indexer(stores)
    return await indexer.measure("pets", await indexer.load("pets"))


@pytest.fixture
def stats(index: DatasetIndex) -> Statistics:
    return Statistics(index)


def _classes_of_images(index: DatasetIndex) -> list[list[int]]:
    return [index.boxes_of(place)[0].tolist() for place in range(len(index))]


def test_totals(stats: Statistics, index: DatasetIndex) -> None:
    frame = stats.summary_frame()
    assert list(frame.index) == ["train", "val", "test", "all"]
    assert frame.loc["all", ["images", "unlabelled", "background"]].tolist() == [30, 10, 1]
    assert frame.loc["all", "labelled"] == 19
    assert frame["images"].iloc[:3].tolist() == np.bincount(index.split, minlength=3).tolist()
    assert frame.loc["all", "boxes"] == frame["boxes"].iloc[:3].sum() == len(index.class_id)
    assert frame.loc["all", "boxes_per_image"] == len(index.class_id) / 20


def test_classes_are_counted_by_split(stats: Statistics, index: DatasetIndex) -> None:
    boxes: Counter[tuple[int, int]] = Counter()
    images: Counter[tuple[int, int]] = Counter()
    for split, own in zip(index.split.tolist(), _classes_of_images(index), strict=True):
        boxes.update((class_id, split) for class_id in own)
        images.update((class_id, split) for class_id in set(own))
    for class_id in range(4):
        for split in range(3):
            assert stats.boxes_by_class[class_id, split] == boxes[class_id, split]
            assert stats.images_by_class[class_id, split] == images[class_id, split]
    frame = stats.classes_frame()
    assert frame["class"].tolist() == CLASSES
    assert frame["boxes"].sum() == stats.num_boxes
    assert frame["share"].sum() == pytest.approx(1)
    assert frame["val_boxes"].tolist() == stats.boxes_by_class[:, 1].tolist()
    dogs = stats.areas[index.class_id == 1]
    assert frame.loc[1, "median_area"] == pytest.approx(np.median(dogs))
    assert np.isnan(frame["median_area"].iloc[3])


@pytest.mark.parametrize("largest", [0, 2**24])
def test_co_occurrence(index: DatasetIndex, largest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_TABLE", largest)  # either way of finding pairs
    counts = Statistics(index).co_occurrence
    expected: Counter[tuple[int, int]] = Counter()
    for own in _classes_of_images(index):
        expected.update(combinations_with_replacement(sorted(set(own)), 2))
    for first in range(4):
        for second in range(first, 4):
            assert counts[first, second] == counts[second, first] == expected[first, second]
    assert Statistics(index).co_occurrence_frame().loc["cat", "dog"] == counts[0, 1]


def test_boxes_per_image_leaves_unlabelled_images_out(
    stats: Statistics, index: DatasetIndex
) -> None:
    counts = stats.boxes_per_image
    assert counts.sum() == 20
    assert counts[0].sum() == 1
    assert (counts.sum(axis=1) * np.arange(len(counts))).sum() == stats.num_boxes


def test_centres(stats: Statistics, index: DatasetIndex) -> None:
    whole = stats.centres(cells=4)
    assert whole.sum() == stats.num_boxes
    assert sum(stats.centres(i, cells=4) for i in range(4)).tolist() == whole.tolist()
    assert sum(stats.centres(split=s, cells=4) for s in SPLITS).tolist() == whole.tolist()
    lower_left = (index.boxes[:, 1] >= 0.5) & (index.boxes[:, 0] < 0.5)
    assert whole[2:, :2].sum() == lower_left.sum()


def test_aspects_are_of_pixels_where_they_are_known(index: DatasetIndex) -> None:
    stats = Statistics(index)
    width, height = (getattr(index, side)[index.image_index] for side in ("width", "height"))
    expected = index.boxes[:, 2] * width / (index.boxes[:, 3] * height)
    assert np.allclose(stats.aspects, expected)
    assert stats.boxes_frame()["aspect"].tolist() == stats.aspects.tolist()


async def test_aspects_without_sizes_are_of_the_normalised_boxes(stores: Stores) -> None:
    index = await Indexer(stores).load("pets")
    assert np.allclose(Statistics(index).aspects, index.boxes[:, 2] / index.boxes[:, 3])


def test_frames_of_images_and_boxes(stats: Statistics, index: DatasetIndex) -> None:
    images, boxes = stats.images_frame(), stats.boxes_frame()
    assert images["filename"].tolist() == index.filenames
    assert images.groupby("state", observed=True)["boxes"].sum()["labelled"] == len(boxes)
    assert boxes.groupby("filename")["class"].count().to_dict() == {
        index.filenames[place]: int(count) for place, count in enumerate(index.num_boxes) if count
    }
    sizes = stats.image_sizes_frame()
    assert sorted(sizes.itertuples(index=False, name=None)) == [(32, 24, 15), (48, 24, 15)]


async def test_statistics_of_labels_alone_agree(stores: Stores, stats: Statistics) -> None:
    table = await stores.label.load_all("pets")
    alone = Statistics.of_labels(table, CLASSES)
    for name in (
        "images_by_state",
        "boxes_by_class",
        "images_by_class",
        "boxes_per_image",
        "co_occurrence",
    ):
        assert getattr(alone, name).tolist() == getattr(stats, name).tolist(), name
    assert alone.image_sizes_frame().empty


async def test_statistics_of_an_empty_dataset() -> None:
    stores = create_memory_stores()
    await stores.dataset.create("none")
    stats = await Dataset(stores, "none").statistics()
    assert stats.summary_frame().loc["all", "images"] == 0
    assert stats.classes_frame().empty
    assert stats.boxes_frame().empty
    assert stats.images_frame().empty
    assert stats.co_occurrence.shape == (0, 0)
    assert stats.centres().sum() == 0
