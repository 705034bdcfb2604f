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
from workbench.training.defaults import DataFacts, Machine

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
    config = lesson_config(
        "cups",
        DataFacts(images, side, 0.2),
        Machine(False),
        num_taught=images,
        num_reviewed=images + 2,
        base_model=None,
        model_name="cups-taught-10",
    )
    seen = images * repeats(images)
    assert 64 <= seen < 64 + images
    seconds = config.epochs * (0.6 + seen * config.image_size**2 / (1.8 * 640**2))
    assert config.epochs == 10 or 30 < seconds <= 600
    assert (config.base_model, config.allow_download) == ("yolo11n.pt", False)
    assert config.teaching == images + 2
    assert 10 <= config.epochs <= 100


def test_a_lesson_says_what_it_is_worth() -> None:
    lesson = Lesson("cups-taught-80", 64, 16, 0.8123, 63, 0.4, False, True)
    assert str(lesson) == ("taught on 64 images: saves 63 of 100 boxes (mAP50 0.81 on 16 held out)")
    assert Lesson.from_json(lesson.to_json()) == lesson
    few = Lesson("cups-taught-10", 8, 2, 0.9, 90, 0.4, False, True)
    assert str(few) == "taught on 8 images; 2 held out, too few to tell how good"
