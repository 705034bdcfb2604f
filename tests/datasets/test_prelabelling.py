"""Suggestions for many images, by labellers that are written here."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.pictures import frame, jpeg
from workbench.datasets import prelabelling
from workbench.datasets.dataset import Dataset
from workbench.datasets.prelabelling import Frame, FunctionLabeller, Labeller, Task, task_of
from workbench.persistence import Stores, create_stores
from workbench.persistence.models import Annotation, NewImage, Prediction
from workbench.persistence.suggestion_blocks import SuggestionSource

BOX = Prediction(1, 0.5, 0.5, 0.5, 0.5, 0.75)


@pytest.fixture
async def pets(tmp_path: Path) -> Dataset:
    stores = create_stores(tmp_path / "data", tmp_path / "models")
    await stores.dataset.create("pets", classes=["cat", "dog"])
    await stores.image.add_many(
        "pets", [NewImage(f"{n:02}.png", "train", frame(n)) for n in range(40)]
    )
    await stores.label.save("pets", "train", "00.png", [Annotation(0, 0.5, 0.5, 0.5, 0.5)])
    return Dataset(stores, "pets")


def stores_of(dataset: Dataset) -> Stores:
    assert isinstance(dataset._stores, Stores)
    return dataset._stores


class Counting(Labeller):
    """Finds one box on each picture, and notes the sizes of its batches."""

    def __init__(self, stop_after: int = 1_000_000) -> None:
        self.batches: list[int] = []
        self.task: Task | None = None
        self._stop_after = stop_after

    async def start(self, task: Task) -> SuggestionSource:
        self.task = task
        return SuggestionSource("test", "counting")

    async def label(self, frames: Sequence[Frame]) -> list[list[Prediction]]:
        if sum(self.batches) >= self._stop_after:
            await asyncio.Event().wait()
        self.batches.append(len(frames))
        return [[BOX] for _ in frames]


async def test_a_function_is_a_labeller(pets: Dataset) -> None:
    def bright(frames: list[Frame]) -> list[list[tuple[object, ...]]]:
        return [[(8, 6, 24, 18, 0.5, "dog"), (-9, 0, 16, 24, 1, 0)] for _ in frames]

    done = await pets.prelabel("unlabelled", labeller=bright)
    assert (done.images, done.known, done.boxes, done.failed) == (39, 0, 78, {})
    table = await pets.suggestions()
    assert str(table.source(done.source.id)) == "function bright"
    assert table.of("train", "00.png") == []
    [dog, cat] = table.of("train", "01.png")
    assert (dog.class_id, dog.xywh, dog.confidence) == (1, (0.5, 0.5, 0.5, 0.5), 0.5)
    assert (cat.class_id, cat.xywh) == (0, (0.25, 0.5, 0.5, 1.0))  # cut off at the border
    assert not (await stores_of(pets).label.get("pets", "train", "01.png")).revision


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([], "expected boxes for each of 1 pictures, found 0 lists"),
        ([[(1, 2, 3, 4, 0.5)]], r"expected rows of \(left, top, right, bottom, score, class\)"),
        ([[(1, 2, 3, 4, 0.5, "horse")]], "one of the classes cat, dog"),
        ([[(1, 2, 3, 4, 7, "cat")]], r"with a score in 0\.\.1.*found \(1, 2, 3, 4, 7, 'cat'\)"),
        ([[(1, 2, 3, 4, float("nan"), "cat")]], r"with a score in 0\.\.1"),
        ([[(1, 2, float("nan"), 4, 1, "cat")]], r"^train/01\.png: mine: expected rows of .*nan"),
        ([[(1, 2, float("inf"), 4, 1, "cat")]], "expected rows of .*inf"),
        ([[(3, 4, 1, 2, 1, "cat")]], r"expected rows of \(left, top, right, bottom"),
        ([[(1, 2, 3, 4, 1, 2)]], "one of the classes cat, dog"),
        ([[(1, 2, 3, 4, 1, 10**12)]], "one of the classes cat, dog"),
        ([[(1, 2, 3, 4, 1, 0.5)]], "one of the classes cat, dog"),
        ([[(1, 2, 10**400, 4, 1, "cat")]], r"^train/01\.png: mine: expected rows of"),
        (None, "mine: expected a list of boxes for each picture, found None"),
        ([None], r"train/01\.png: mine: expected a list of rows, found None"),
    ],
)
async def test_what_a_function_gets_wrong_is_said(
    pets: Dataset, answer: object, message: str
) -> None:
    labeller = FunctionLabeller(lambda _: answer, "mine")  # type: ignore[arg-type,return-value]
    with pytest.raises(ValueError, match=message):
        await pets.prelabel([("train", "01.png")], labeller)


async def test_a_box_beside_the_picture_is_left_out(pets: Dataset) -> None:
    rows = [(90, 90, 99, 99, 1, "cat"), (-9, -9, -1, -1, 1, "cat"), (4, 4, 4, 8, 1, "cat")]
    done = await pets.prelabel([("train", "01.png")], lambda _: [[*rows, (4, 4, 8, 8, 1, "cat")]])
    assert done.boxes == 1
    assert len((await pets.suggestions()).of("train", "01.png")) == 1


class Failing(Counting):
    """Its third batch begins with two good pictures, and then one with what is no box."""

    async def label(self, frames: Sequence[Frame]) -> list[list[Prediction]]:
        found = await super().label(frames)
        if len(self.batches) == 3:
            found[2] = [Prediction(1, 0.5, 0.5, float("nan"), 0.5, 0.75)]
        return found


async def test_what_is_no_box_costs_nothing_that_was_found_before(pets: Dataset) -> None:
    labeller = Failing()
    with pytest.raises(ValueError, match=r"^train/34\.png: suggestions of test counting: a box"):
        await pets.prelabel("split:train", labeller)
    assert labeller.batches == [16, 16, 8]
    assert len((await pets.suggestions()).looked_at[SuggestionSource("test", "counting").id]) == 34


async def test_what_hangs_can_be_stopped(pets: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prelabelling, "_LOOKS_EVERY_S", 0.01)
    hangs, let_go, stops = threading.Event(), threading.Event(), threading.Event()

    def function(frames: list[Frame]) -> list[list[tuple[object, ...]]]:
        if len(frames) < 16:
            hangs.set()
            let_go.wait(60)
        return [[(4, 4, 8, 8, 1, "cat")] for _ in frames]

    class StoppedByHandError(Exception):
        pass

    def progress(done: int, total: int) -> None:
        if hangs.is_set():
            stops.set()
            raise StoppedByHandError

    try:
        async with asyncio.timeout(30):
            with pytest.raises(StoppedByHandError):
                await pets.prelabel("split:train", labeller=function, progress=progress)
    finally:
        let_go.set()
    assert stops.is_set()
    [source] = (await pets.suggestions()).sources
    assert len((await pets.suggestions()).looked_at[source.id]) == 32  # what was found stays


async def test_a_labeller_is_told_of_the_dataset(pets: Dataset) -> None:
    await stores_of(pets).dataset.save_prompts("pets", {1: ["a dog", "a puppy"]})
    labeller = Counting()
    await pets.prelabel("split:val", labeller)
    # The labelled box is 16 by 12 pixels of a picture of 32 by 24.
    prompts = {1: ["a dog", "a puppy"]}
    assert labeller.task == Task(["cat", "dog"], prompts, np.sqrt(16 * 12), "pets")
    assert (await task_of(stores_of(pets), "pets")).object_size == np.sqrt(16 * 12)


async def test_what_was_looked_at_is_not_looked_at_again(pets: Dataset) -> None:
    first = await pets.prelabel([("train", "01.png"), ("train", "02.png")], Counting())
    labeller = Counting()
    told: list[tuple[int, int]] = []
    done = await pets.prelabel(
        "train", labeller, progress=lambda done, total: told.append((done, total))
    )
    assert (first.images, done.images, done.known) == (2, 38, 2)
    assert labeller.batches == [16, 16, 6]
    assert told == [(0, 40), (0, 38), (16, 38), (32, 38), (38, 38)], "once before it is loaded"
    again = await pets.prelabel([("train", "01.png")], Counting(), again=True)
    assert (again.images, again.known) == (1, 0)


async def test_what_was_found_before_it_was_broken_off_stays(pets: Dataset) -> None:
    labeller = Counting(stop_after=32)
    task = asyncio.create_task(pets.prelabel("train", labeller))
    while sum(labeller.batches) < 32:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(await pets.suggestions()) == 32
    done = await pets.prelabel("train", Counting())
    assert (done.images, done.known) == (8, 32)


async def test_an_image_that_cannot_be_read_does_not_stop_the_rest(
    pets: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "data/pets/images/train/03.png").write_bytes(b"no image")
    (tmp_path / "data/pets/images/train/04.jpg").write_bytes(jpeg(1)[:200])
    keys = [("train", name) for name in ("02.png", "03.png", "gone.png", "05.png")]
    done = await pets.prelabel(keys, Counting())
    assert (done.images, done.boxes) == (2, 2)
    assert set(done.failed) == {("train", "03.png"), ("train", "gone.png")}
    assert "03.png" in done.failed["train", "03.png"]
