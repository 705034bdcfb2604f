"""A model that is really taught on what was reviewed, in a process of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.helpers.training import CLASSES, shapes
from workbench.labelling import teaching
from workbench.labelling.lessons import is_held_out, lesson_config, repeats
from workbench.labelling.predictor import Predictor
from workbench.labelling.teaching import Teacher, TeachingState
from workbench.persistence import Stores, create_stores
from workbench.persistence.models import ImageKey, NewImage
from workbench.training.base_models import START
from workbench.training.config import TrainingConfig
from workbench.training.run import Run
from workbench.training.runner import TrainingRunner

LIMIT_S = 800  # lessons have the lowest priority: other tests go first


@pytest.fixture
async def stores(tmp_path: Path) -> Stores:
    """Images of train without labels, and others of val and test with labels."""
    made = create_stores(tmp_path / "data", tmp_path / "models")
    await made.dataset.create_from("shapes", CLASSES, _images())
    return made


def _images() -> Iterator[NewImage]:
    for number, image in enumerate(shapes(60, 6)):
        if image.split == "train":
            yield replace(image, annotations=None)
        else:
            yield replace(image, split="test" if number % 2 else "val")


@pytest.fixture
async def runner(stores: Stores, tmp_path: Path) -> TrainingRunner:
    return TrainingRunner(stores, tmp_path / "runs")


@pytest.fixture
async def predictor(stores: Stores) -> AsyncIterator[Predictor]:
    made = Predictor(stores, device="cpu")
    yield made
    made.close()


async def review(stores: Stores, first: int, last: int) -> None:
    """Label images of train as a person would."""
    for image in [*shapes(60, 0)][first:last]:
        await stores.label.save("shapes", "train", image.filename, image.annotations or [])


async def under_way(runner: TrainingRunner) -> list[Run]:
    return [run for run in await runner.list_runs() if not (await run.refresh()).is_over]


async def until_judged(teacher: Teacher) -> TeachingState:
    async with asyncio.timeout(LIMIT_S):
        while (state := await teacher.step()).progress is not None:
            await asyncio.sleep(0.2)
    return state


async def test_nothing_is_taught_before_ten_are_reviewed(
    stores: Stores, runner: TrainingRunner, predictor: Predictor
) -> None:
    await review(stores, 0, 9)
    teacher = Teacher(stores, "shapes", runner, predictor)
    state = await teacher.step()
    assert (state.reviewed, state.due, state.progress) == (9, 10, None)
    assert str(state) == "Learns after 1 more image"
    assert await runner.list_runs() == []


async def test_while_nothing_is_held_out_it_says_so(
    stores: Stores, runner: TrainingRunner, predictor: Predictor
) -> None:
    images = [image for image in shapes(60, 0) if not is_held_out(image.filename)][:10]
    for image in images:
        await stores.label.save("shapes", "train", image.filename, image.annotations or [])
    state = await Teacher(stores, "shapes", runner, predictor).step()
    assert state.progress is None
    assert str(state).startswith("No lesson yet: every fifth image")
    assert await runner.list_runs() == []


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_two_that_begin_in_the_same_moment_give_one_lesson(
    stores: Stores, tmp_path: Path, predictor: Predictor
) -> None:
    await review(stores, 0, 12)
    runners = [TrainingRunner(stores, tmp_path / "runs") for _ in range(2)]
    teachers = [Teacher(stores, "shapes", runner, predictor) for runner in runners]
    states = await asyncio.gather(*(teacher.step() for teacher in teachers))
    assert all(state.progress is not None for state in states)
    [run] = await under_way(runners[0])
    for teacher in teachers:
        assert await teacher.is_under_way()
        assert (await teacher.step()).progress is not None
    assert len(await runners[0].list_runs()) <= 2  # one of them cancelled, if both had begun
    await teachers[1].stop()  # each has the same lesson
    assert (await run.wait()).state in ("stopped", "finished")


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_lesson_outlives_who_began_it_and_is_judged_once(
    stores: Stores,
    runner: TrainingRunner,
    predictor: Predictor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def short(*args: Any, base_model: str, **rest: Any) -> TrainingConfig:
        base = "yolo11n.yaml" if base_model == START.name else base_model
        return replace(lesson_config(*args, base_model=base, **rest), epochs=1, image_size=64)

    monkeypatch.setattr(teaching, "lesson_config", short)
    await review(stores, 0, 20)
    first = Teacher(stores, "shapes", runner, predictor)
    state = await first.step()
    assert state.progress is not None
    [run] = await runner.list_runs()
    # What it learns from: reviewed images of train; what is held out stands in for val.
    seen = {path.name for path in (run.path / "data/images/train").iterdir()}
    held = {path.name for path in (run.path / "data/images/val").iterdir()}
    expected = {f"train_{number:03d}.png" for number in range(20)}
    assert held == {name for name in expected if is_held_out(name)} != set()
    assert {name for name in seen if name.startswith("train")} == expected - held
    # Few images are there several times, so that an epoch is worth what it costs besides.
    assert len(seen) == len(expected - held) * repeats(len(expected - held))
    assert not list((run.path / "data/images/test").iterdir())
    assert not list((tmp_path / "runs").glob(".workbench-lesson-*"))
    assert await first.is_under_way()
    pid = await _pid(run.path / "process.json")
    assert await _niceness(pid) == 19

    # Another kernel finds the lesson and looks at what came of it.
    second = Teacher(stores, "shapes", TrainingRunner(stores, tmp_path / "runs"), predictor)
    state = await until_judged(second)
    assert (run.path / "verdict.json").is_file()
    assert state.last is not None
    assert state.last.taught == len(expected - held)
    assert state.due == 40
    # After one epoch it knows nothing: it does not take over, and is kept for the next one only.
    assert not state.last.takes_over
    assert state.lesson is None
    assert str(state).startswith("Not good enough yet: taught on")
    assert [model.name for model in await stores.model.list()] == [state.last.model]
    assert await stores.model.get_active() is None
    assert await second.suggest([("train", "train_050.png")]) == 0

    await review(stores, 20, 40)
    assert (await second.step()).progress is not None
    [newest, _] = await runner.list_runs()
    assert newest.config.base_model == state.last.model
    await second.stop()
    assert await newest.wait()

    noted = (run.path / "verdict.json").read_bytes()
    third = Teacher(stores, "shapes", runner, predictor)
    assert not await third.is_under_way()
    assert state.last in await third.lessons()
    assert (run.path / "verdict.json").read_bytes() == noted


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_better_model_takes_over_and_its_suggestions_replace_the_older(
    stores: Stores, runner: TrainingRunner, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        teaching,
        "lesson_config",
        lambda *args, **rest: replace(lesson_config(*args, **rest), epochs=4),
    )
    await review(stores, 0, 20)
    teacher = Teacher(stores, "shapes", runner, predictor)
    waiting = [("train", f"train_{number:03d}.png") for number in range(40, 60)]
    told = []
    for reviewed in (20, 40):
        await review(stores, 0, reviewed)
        state = await until_judged(teacher)
        assert state.last is not None
        told.append(state.last)
        await teacher.suggest(waiting)
    assert told[-1].takes_over
    table = await stores.image.suggestions("shapes")
    [source] = [one for one in table.sources if one.kind == "taught"]
    assert len(table) > 10
    assert set(table.images) == set(waiting)
    [model] = await stores.model.list()  # what was there before it is gone
    assert model.name == told[-1].model
    assert source.digest == await predictor.weights_digest(model)
    assert await stores.model.get_active() is None

    # Thresholds follow what is reviewed next, which that lesson has not seen.
    looked: list[ImageKey] = []
    look = Teacher._look

    async def noted(self: Teacher, labeller: Any, images: Any, *rest: Any) -> None:
        looked.extend(images)
        await look(self, labeller, images, *rest)

    monkeypatch.setattr(Teacher, "_look", noted)
    assert await teacher.tuned() is not None
    assert looked == []
    await review(stores, 40, 46)
    tuned = await teacher.tuned()
    assert looked == [("train", f"train_{number:03d}.png") for number in range(40, 46)]
    assert tuned is not None
    assert tuned.model == model.name
    # Another kernel knows from the run which images these are.
    looked.clear()
    other = Teacher(stores, "shapes", runner, predictor)
    await other.lessons()
    assert (await other.tuned()) == tuned
    seen = {f"train_{number:03d}.png" for number in range(40)}
    held_out = {name for name in seen if is_held_out(name)}
    assert {name for _, name in looked} == held_out | {key[1] for key in waiting[:6]}


async def _pid(path: Path) -> int:
    async with asyncio.timeout(30):
        while not path.is_file():
            await asyncio.sleep(0.05)
    return int(json.loads(path.read_text())["pid"])


async def _niceness(pid: int) -> int:
    """Return the priority of a process once it has set it."""
    async with asyncio.timeout(60):
        while (found := psutil.Process(pid).nice()) == psutil.Process().nice():
            await asyncio.sleep(0.02)
    return int(found)
