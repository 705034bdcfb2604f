"""Suggestions for settings, by dataset and device."""

from __future__ import annotations

import platform

import numpy as np
import pytest

from tests.helpers.training import make_shapes
from workbench.errors import NotFoundError
from workbench.persistence import Stores
from workbench.training import defaults
from workbench.training.defaults import DataFacts, Machine, data_facts, suggest
from workbench.training.devices import Gpu, device_choices

GIB = 2**30
CPU = Machine(False, 0, 16 * GIB)
GPU = Machine(True, 1, 24 * GIB)


def values(facts: DataFacts, machine: Machine, scale: str = "n", **size: int) -> dict[str, object]:
    return {name: item.value for name, item in suggest(facts, machine, scale, **size).items()}


@pytest.mark.parametrize(
    ("machine", "count", "epochs"),
    [
        (GPU, 200, 300),
        (GPU, 1_000, 300),
        (GPU, 1_001, 100),
        (GPU, 50_000, 50),
        (CPU, 0, 100),
        (CPU, 255, 100),
        (CPU, 1_000, 80),
        (CPU, 100_000, 10),
    ],
)
def test_epochs_follow_the_number_of_images_and_the_device(
    machine: Machine, count: int, epochs: int
) -> None:
    assert values(DataFacts(count, 1920, 0.1), machine)["epochs"] == epochs


@pytest.mark.parametrize(
    ("machine", "longest", "small", "size"),
    [
        (GPU, 1920, 0.1, 640),
        (CPU, 1920, 0.1, 320),
        (GPU, 1920, 0.02, 960),  # 0.02 * 960 = 19 pixels, and of 640 less than 16
        (GPU, 4000, 0.001, 1280),
        (CPU, 1920, 0.001, 640),
        (GPU, 300, 0.1, 320),
        (GPU, 800, 0.015, 800),
        (CPU, 40, 0.5, 64),
        (GPU, 0, 0.0, 640),
        (CPU, 1920, 0.0, 320),
    ],
)
def test_image_size_follows_the_images_their_boxes_and_the_device(
    machine: Machine, longest: int, small: float, size: int
) -> None:
    assert values(DataFacts(100, longest, small), machine)["image_size"] == size


def test_a_larger_size_costs_a_processor_epochs() -> None:
    facts = DataFacts(1_000, 1920, 0.1)
    assert values(facts, CPU, image_size=640)["epochs"] == 20
    assert values(facts, GPU, image_size=1280)["epochs"] == 300


@pytest.mark.parametrize(
    ("machine", "count", "scale", "batch"),
    [
        (CPU, 1_000, "n", 16),
        (CPU, 70, "n", 8),
        (CPU, 5, "n", 4),
        (Machine(False, 0, 3 * GIB), 1_000, "x", 1),
        (Machine(False, 0, 4 * GIB), 1_000, "n", 16),
        (GPU, 100, "n", 8),
        (GPU, 1_000, "n", -1),
        (Machine(True, 2, 24 * GIB), 1_000, "n", 32),
        (Machine(True, 2, 4 * GIB), 1_000, "x", 4),
        (Machine(True), 1_000, "n", 16),  # of a kind that does not tell its memory
    ],
)
def test_batch_follows_the_number_of_images_and_the_memory(
    machine: Machine, count: int, scale: str, batch: int
) -> None:
    assert values(DataFacts(count, 1920, 0.1), machine, scale)["batch"] == batch


def test_every_suggestion_has_a_reason() -> None:
    for machine in (CPU, GPU, Machine(True, 4, 8 * GIB)):
        for item in suggest(DataFacts(300, 640, 0.01), machine, "s").values():
            assert len(item.why) > 4


def test_a_device_means_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    two = [Gpu(0, "A", 24 * GIB, 20 * GIB), Gpu(1, "B", 24 * GIB, 10 * GIB)]
    assert Machine.of("", two) == Machine(True, 1, 20 * GIB)
    assert Machine.of("0,1", two) == Machine(True, 2, 10 * GIB)
    assert Machine.of("mps", []) == Machine(True)
    monkeypatch.setattr(defaults, "may_have_gpu", lambda: True)
    assert Machine.of("", []).on_gpu
    cpu = Machine.of("cpu", two)
    assert not cpu.on_gpu
    assert cpu.memory_free > 0


def test_devices_are_offered_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    two = [Gpu(0, "A", 24 * GIB, 20 * GIB), Gpu(1, "B", 24 * GIB, 10 * GIB)]
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    choices = device_choices(two)
    assert [value for _, value in choices] == ["", "0", "1", "0,1", "cpu"]
    assert choices[0][0] == "Automatic: GPU 0"
    assert choices[1][0] == "GPU 0: A, 24 GiB"
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert [value for _, value in device_choices([])] == ["", "mps", "cpu"]


async def test_facts_come_from_labels_and_images(persistence_stores: Stores) -> None:
    stores = persistence_stores
    await make_shapes(stores, num_train=6, num_val=3)
    table = await stores.label.load_all("shapes")
    facts = await data_facts(stores, "shapes")
    assert (facts.num_train, facts.longest_side) == (6, 64)
    assert facts.small_side == pytest.approx(np.quantile(table.boxes[:, 2:].min(axis=1), 0.25))
    await stores.dataset.freeze("shapes", "v1")
    await stores.image.delete("shapes", "train", "train_000.png")
    assert (await data_facts(stores, "shapes")).num_train == 5
    assert (await data_facts(stores, "shapes", "v1")).num_train == 6
    with pytest.raises(NotFoundError):
        await data_facts(stores, "nothing")


async def test_facts_of_an_empty_dataset(persistence_stores: Stores) -> None:
    await persistence_stores.dataset.create("empty", ["cat"])
    facts = await data_facts(persistence_stores, "empty")
    assert facts == DataFacts(0, 0, 0.0)
    assert values(facts, CPU) == {"epochs": 100, "image_size": 320, "batch": 4}
