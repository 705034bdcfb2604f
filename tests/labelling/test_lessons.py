"""When lessons are due, on what they are taught, and with which settings."""

from __future__ import annotations

import pytest

from workbench.labelling import lessons
from workbench.labelling.lessons import (
    Lesson,
    divided,
    due_at,
    is_held_out,
    lesson_config,
    repeats,
)
from workbench.training.config import TrainingConfig
from workbench.training.defaults import DataFacts, Machine

CPU = Machine(False)
NAMES = [f"frame_{number:05d}.jpg" for number in range(1_000)]


def test_a_fifth_is_held_out_whatever_else_there_is() -> None:
    held_out = [name for name in NAMES if is_held_out(name)]
    assert 150 < len(held_out) < 250
    taught, kept = divided([("train", name) for name in NAMES[:100]])
    assert [name for _, name in kept] == [name for name in NAMES[:100] if is_held_out(name)]
    assert sorted([*taught, *kept]) == [("train", name) for name in NAMES[:100]]
    # Names need not be UTF-8.
    assert is_held_out("caf\udce9.jpg") in (True, False)


def test_of_very_many_images_a_fixed_share_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lessons, "MOST_IMAGES", 50)
    keys = [("train", name) for name in NAMES]
    taught, held_out = divided(keys)
    assert len(taught) + len(held_out) == 50
    assert divided(keys[::-1]) == (taught, held_out)


def test_lessons_come_after_10_20_40_80_images_and_then_every_200() -> None:
    due, reviewed = [], 0
    for _ in range(7):
        reviewed = due_at(reviewed)
        due.append(reviewed)
    assert due == [10, 20, 40, 80, 160, 320, 520]
    # A dataset that was labelled before has one at once, and the next one after 200 more.
    assert due_at(700) == 900


@pytest.mark.parametrize(("images", "side"), [(8, 160), (64, 160), (64, 320), (800, 640)])
def test_a_lesson_ends_while_the_person_still_works(images: int, side: int) -> None:
    config = config_of(DataFacts(images, side, 0.2), images)
    seen = images * repeats(images)
    assert 256 <= seen < 256 + images
    steps = config.epochs * seen / config.batch
    seconds = steps * (0.04 + config.batch * config.image_size**2 / 1.1e6)
    assert config.epochs == 3 or 30 < seconds <= 630
    assert (config.base_model, config.allow_download) == ("yolo11n.pt", False)
    assert config.teaching == images + 2
    assert config.patience == 0


def test_each_batch_of_a_lesson_is_a_step() -> None:
    # Ultralytics would gather 64 images for one, so that few images made hardly any.
    few, more = (config_of(DataFacts(count, 160, 0.25), count) for count in (8, 64))
    assert few.extra["nbs"] == few.batch == 8
    steps = [config.epochs * 256 / config.batch for config in (few, more)]
    assert 250 <= steps[0] < steps[1] <= 500


@pytest.mark.parametrize(
    ("longest", "small", "size"),
    [
        (160, 0.25, 128),
        (160, 0.01, 160),
        (640, 0.133, 256),
        (64, 0.5, 64),
        (640, 0.9, 96),
        (64, 0, 64),
    ],
)
def test_a_lesson_takes_pictures_as_small_as_their_boxes_allow(
    longest: int, small: float, size: int
) -> None:
    facts = DataFacts(64, longest, small)
    assert config_of(facts, 64).image_size == size
    assert config_of(facts, 64, Machine(True, 1)).image_size == max(min(longest, 640), 64)


def test_large_files_are_not_copied_as_often() -> None:
    assert repeats(8) == 32
    assert repeats(8, 8 * 5 * 2**20) == 6
    assert repeats(1_000) == repeats(8, 2**40) == 1


def test_a_lesson_that_starts_from_what_comes_along_is_half_as_long() -> None:
    facts = DataFacts(8, 160, 0.25)
    start, pretrained = (config_of(facts, 8, base=base) for base in ("things.pt", "yolo11n.pt"))
    assert start.epochs * 1.5 < pretrained.epochs < start.epochs * 2.5


def config_of(
    facts: DataFacts, images: int, machine: Machine = CPU, base: str = "yolo11n.pt"
) -> TrainingConfig:
    return lesson_config(
        "cups",
        facts,
        machine,
        num_taught=images,
        num_reviewed=images + 2,
        base_model=base,
        model_name="cups-taught-10",
        copies=repeats(images),
    )


def test_a_lesson_says_what_it_is_worth() -> None:
    lesson = Lesson("cups-taught-80", 64, 16, 0.8123, 63, 0.4, 0.3, False, True, {2: 0.6})
    assert str(lesson) == (
        "taught on 64 images: saves 63 of 100 boxes (mAP50 0.81 on 16 held out); "
        "as crops in Browse from 30%"
    )
    assert Lesson.from_json(lesson.to_json()) == lesson
    few = Lesson("cups-taught-10", 8, 2, 0.9, 90, 0.4, 0.3, False, True)
    assert str(few) == "taught on 8 images; 2 held out, too few to tell how good"
