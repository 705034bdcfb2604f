"""The switch in the annotator behind which a model is taught; the lessons: `test_teaching`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from workbench.labelling.lessons import Lesson
from workbench.labelling.teaching import Teacher, TeachingState
from workbench.panels.annotate import AnnotatePanel
from workbench.persistence import Stores, create_stores
from workbench.persistence.models import Annotation, NewImage
from workbench.training.runner import TrainingRunner

BOX = Annotation(0, 0.5, 0.5, 0.25, 0.25)


@pytest.fixture
async def stores(tmp_path: Path) -> Stores:
    made = create_stores(tmp_path / "data", tmp_path / "models")
    await made.dataset.create("cups", ["cup"])
    pixels = np.full((64, 64, 3), 90, np.uint8)
    names = [f"{letter}.png" for letter in "abcd"]
    await made.image.add_many("cups", [NewImage(name, "train", pixels) for name in names])
    return made


@pytest.fixture
async def panel(stores: Stores, tmp_path: Path) -> AsyncIterator[AnnotatePanel]:
    made = AnnotatePanel("cups", stores=stores, runner=TrainingRunner(stores, tmp_path / "runs"))
    yield made
    made.close()


async def until_told(panel: AnnotatePanel, text: str) -> None:
    async with asyncio.timeout(30):
        while panel.canvas.taught != text:
            await asyncio.sleep(0.01)


async def test_the_switch_says_when_it_will_learn(panel: AnnotatePanel, tmp_path: Path) -> None:
    assert panel.canvas.can_teach
    assert not panel.canvas.teaches
    await panel.show(0)
    panel.canvas._receive(panel.canvas, {"kind": "teach", "session": "page"}, [])
    await until_told(panel, "Learns after 10 more images")
    assert panel.canvas.teaches
    await panel.save([BOX])
    await until_told(panel, "Learns after 9 more images")
    await panel.next()
    await panel.mark_background()
    await until_told(panel, "Learns after 8 more images")
    panel.canvas._receive(panel.canvas, {"kind": "teach", "session": "page"}, [])
    await until_told(panel, "")
    assert not panel.canvas.teaches
    assert not (tmp_path / "runs").exists()


async def test_python_turns_it_too(panel: AnnotatePanel) -> None:
    await panel.teach()
    await panel.teach()  # it is on already
    await until_told(panel, "Learns after 10 more images")
    await panel.teach(False)
    await until_told(panel, "")


async def test_a_lesson_sets_thresholds_until_a_person_has_chosen_some(
    panel: AnnotatePanel,
) -> None:
    await panel.show(0)
    first = Lesson("cups-taught-10", 8, 2, 0.5, 40, 0.6, 0.3, False, True, {0: 0.45, 7: 0.2})
    panel._teaching._set_thresholds(first)
    assert panel.canvas.threshold == 0.6
    assert panel.canvas.class_thresholds == {"cup": 0.45}  # there is no class 7 any more
    panel._teaching._set_thresholds(replace(first, threshold=0.5, class_thresholds={}))
    assert (panel.canvas.threshold, panel.canvas.class_thresholds) == (0.5, {})
    panel.canvas.class_thresholds = {"cup": 0.9}
    panel._teaching._set_thresholds(first)
    assert (panel.canvas.threshold, panel.canvas.class_thresholds) == (0.5, {"cup": 0.9})


async def test_thresholds_of_the_same_lesson_change_with_the_next_image(
    panel: AnnotatePanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    await panel.show(0)
    lesson = Lesson("cups-taught-10", 8, 2, 0.5, 40, 0.6, 0.3, False, True)
    told = [lesson, replace(lesson, threshold=0.8), replace(lesson, model="cups-taught-20")]

    async def step(self: Teacher) -> TeachingState:
        return TeachingState(12, 20, lesson=told[0])

    monkeypatch.setattr(Teacher, "step", step)
    runner = panel._teaching._runner
    assert runner is not None
    panel.canvas.teaches = True
    await panel._teaching._look(runner)
    assert panel.canvas.threshold == 0.6
    del told[0]
    await panel._teaching._look(runner)
    assert panel.canvas.threshold == 0.6, "boxes would come and go under the hand"
    await panel.show(0)
    assert panel.canvas.threshold == 0.6
    await panel.show(1)
    assert panel.canvas.threshold == 0.8
    del told[0]
    await panel._teaching._look(runner)
    assert panel.canvas.threshold == 0.6, "another model suggests other boxes anyway"
    panel.canvas.teaches = False


async def test_thresholds_of_one_dataset_are_not_those_of_another(
    panel: AnnotatePanel, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stores.dataset.create("mugs", ["mug"])
    await stores.image.add_many(
        "mugs", [NewImage("m.png", "train", np.zeros((64, 64, 3), np.uint8))]
    )
    lesson = Lesson("cups-taught-10", 8, 2, 0.5, 40, 0.6, 0.3, False, True, {0: 0.9})

    async def step(self: Teacher) -> TeachingState:
        return TeachingState(12, 20, lesson=lesson if self._dataset == "cups" else None)

    monkeypatch.setattr(Teacher, "step", step)
    await panel.show(0)
    await panel.teach()
    async with asyncio.timeout(30):
        while panel.canvas.threshold != 0.6:
            await asyncio.sleep(0.01)
    await panel.open("mugs")
    async with asyncio.timeout(30):
        while panel.canvas.threshold != 0.25:
            await asyncio.sleep(0.01)
    assert panel.canvas.class_thresholds == {}


async def test_what_was_looked_for_is_forgotten_with_the_switch(panel: AnnotatePanel) -> None:
    await panel.show(0)
    lesson = Lesson("cups-taught-10", 8, 2, 0.5, 40, 0.6, 0.3, False, True)
    await panel.teach()
    await until_told(panel, "Learns after 10 more images")
    panel._teaching._set_thresholds(lesson)
    panel._teaching._next = replace(lesson, threshold=0.8)
    await panel.teach(False)
    await panel.show(1)
    assert panel.canvas.threshold == 0.6


async def test_labels_from_elsewhere_count_at_once(panel: AnnotatePanel, stores: Stores) -> None:
    await panel.show(0)
    await panel.teach()
    await until_told(panel, "Learns after 10 more images")
    await stores.label.save("cups", "train", "d.png", [BOX])  # as Browse does
    await until_told(panel, "Learns after 9 more images")


async def test_without_a_runner_there_is_no_switch(stores: Stores) -> None:
    panel = AnnotatePanel("cups", stores=stores)
    try:
        assert not panel.canvas.can_teach
        with pytest.raises(RuntimeError, match=r"wb\.annotate"):
            await panel.teach()
    finally:
        panel.close()
