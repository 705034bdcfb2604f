"""Plots: the numbers in them, and that they need nothing from elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest

from tests.helpers.pictures import jpeg
from workbench.datasets import plots
from workbench.datasets.dataset import Dataset
from workbench.datasets.statistics import Statistics
from workbench.persistence import create_memory_stores
from workbench.persistence.models import Annotation

BOXES = {
    ("train", "a.jpg"): [Annotation(0, 0.1, 0.9, 0.2, 0.1), Annotation(1, 0.5, 0.5, 0.5, 0.5)],
    ("train", "b.jpg"): [Annotation(0, 0.1, 0.9, 0.2, 0.1)],
    ("val", "c.jpg"): [],
}


@pytest.fixture
async def stats() -> Statistics:
    stores = create_memory_stores()
    await stores.dataset.create("pets", ["cat", "dog", "bird"])
    for (split, name), boxes in BOXES.items():
        await stores.image.save_bytes("pets", split, name, jpeg(1))
        await stores.label.save("pets", split, name, boxes)
    return await Dataset(stores, "pets").statistics()


def test_class_balance(stats: Statistics) -> None:
    (train,) = plots.class_balance(stats).data
    assert (train.name, list(train.x), list(train.y)) == (
        "train",
        ["cat", "dog", "bird"],
        [2, 1, 0],
    )
    (images,) = plots.class_balance(stats, images=True).data
    assert list(images.y) == [2, 1, 0]


def test_boxes_per_image(stats: Statistics) -> None:
    train, val = plots.boxes_per_image(stats).data
    assert list(train.y) == [0, 1, 1]
    assert list(val.y) == [1, 0, 0]


def test_box_sizes_count_every_box(stats: Statistics) -> None:
    cat, dog = plots.box_sizes(stats).data
    assert (sum(cat.y), sum(dog.y)) == (2, 1)
    assert cat.x[int(np.argmax(cat.y))] == pytest.approx(0.02, rel=0.4)
    assert dog.x[int(np.argmax(dog.y))] == pytest.approx(0.25, rel=0.4)


async def test_of_very_many_classes_the_frequent_ones_are_told_apart() -> None:
    stores = create_memory_stores()
    await stores.dataset.create("many", [f"class {number}" for number in range(30)])
    boxes = [Annotation(n, 0.5, 0.5, 0.2, 0.2) for n in range(30) for _ in range(1 + (n == 29))]
    await stores.image.save_bytes("many", "train", "a.jpg", jpeg(1))
    await stores.label.save("many", "train", "a.jpg", boxes)
    stats = await Dataset(stores, "many").statistics()
    for figure in (plots.box_sizes(stats), plots.box_shapes(stats)):
        names = [line.name for line in figure.data]
        assert len(names) == 12
        assert names[-2:] == ["class 29", "19 other classes"]
        assert figure.layout.legend.orientation == "v"  # above the plot it would hide the title
    assert sum(sum(line.y) for line in plots.box_sizes(stats).data) == 31
    assert sum(len(line.y) for line in plots.box_shapes(stats).data) == 31


def test_box_shapes_name_the_image(stats: Statistics) -> None:
    cat, dog = plots.box_shapes(stats).data
    assert list(cat.customdata) == ["a.jpg", "b.jpg"]
    assert (list(dog.x), list(dog.y)) == ([0.5], [0.5])


def test_of_very_many_boxes_a_sample_is_drawn(
    stats: Statistics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "MOST_POINTS", 2)
    figure = plots.box_shapes(stats)
    assert sum(len(trace.x) for trace in figure.data) == 2
    assert "2 of them" in figure.layout.title.text


def test_the_centre_map_is_upright(stats: Statistics) -> None:
    figure = plots.centre_map(stats, 0, cells=10)
    assert figure.data[0].z[9][1] + figure.data[0].z[8][1] + figure.data[0].z[9][0] == 2
    assert figure.layout.yaxis.autorange == "reversed"
    assert "cat" in figure.layout.title.text


def test_co_occurrence(stats: Statistics) -> None:
    (heat,) = plots.co_occurrence(stats).data
    assert np.asarray(heat.z)[0].tolist() == [1, 0.5, 0]
    assert np.asarray(heat.customdata)[0].tolist() == [2, 1, 0]


def test_image_sizes(stats: Statistics) -> None:
    (sizes,) = plots.image_sizes(stats).data
    assert (list(sizes.x), list(sizes.y), list(sizes.customdata)) == ([32], [24], [3])


async def test_unknown_image_sizes_are_said() -> None:
    stores = create_memory_stores()
    await stores.dataset.create("pets", ["cat"])
    await stores.image.save_bytes("pets", "train", "a.jpg", jpeg(1))
    stats = await Dataset(stores, "pets").statistics(measured=False)
    assert "unknown size: 1" in plots.image_sizes(stats).layout.annotations[0].text


async def test_an_empty_dataset_has_plots() -> None:
    stores = create_memory_stores()
    await stores.dataset.create("none", [])
    assert len(plots.all_plots(await Dataset(stores, "none").statistics())) == 7


def test_a_page_of_plots_loads_nothing(stats: Statistics) -> None:
    page = plots.to_html(list(plots.all_plots(stats).values()))
    assert not re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=", page)
    assert page.count("Plotly.newPlot(") >= 7


def test_neither_pandas_nor_plotly_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys, workbench.datasets.plots, workbench.datasets.dataset; "
        "assert not {'pandas', 'plotly'} & sys.modules.keys(), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
