"""Thresholds follow what was reviewed last."""

from __future__ import annotations

from workbench.labelling.lessons import Lesson
from workbench.labelling.tuning import EVERY, NEWEST, Tuning
from workbench.persistence.models import Annotation, ImageKey, Prediction

LESSON = Lesson("cups-taught-10", 8, 2, 0.5, 40, 0.6, 0.3, False, True, {0: 0.45})
THERE = Annotation(0, 0.5, 0.5, 0.2, 0.2)


def found(score: float) -> list[Prediction]:
    return [Prediction(0, 0.5, 0.5, 0.2, 0.2, confidence=score)]


def keys(first: int, last: int) -> list[ImageKey]:
    return [("train", f"{number:03}.jpg") for number in range(first, last)]


def test_what_was_taught_says_nothing() -> None:
    tuning = Tuning(LESSON, keys(0, 8))
    assert tuning.wanted(keys(0, 8)) == []
    assert tuning.lesson == LESSON


def test_it_looks_again_when_some_have_been_reviewed() -> None:
    tuning = Tuning(LESSON, keys(0, 8))
    assert tuning.wanted(keys(0, 10)) == keys(8, 10)  # held out
    tuning.learn([found(0.9)] * 2, [[THERE]] * 2)
    assert tuning.wanted(keys(0, 9 + EVERY)) == []
    assert tuning.wanted(keys(0, 10 + EVERY)) == keys(10, 10 + EVERY)
    assert tuning.wanted(keys(0, 10 + EVERY)) == []


def test_of_many_the_newest_are_looked_at() -> None:
    tuning = Tuning(LESSON, [])
    assert tuning.wanted(keys(0, 1000)) == keys(1000 - NEWEST, 1000)


def test_thresholds_rise_when_unsure_suggestions_become_wrong() -> None:
    tuning = Tuning(LESSON, [])
    tuning.learn([found(0.35)] * NEWEST, [[THERE]] * NEWEST)
    assert tuning.lesson.threshold == 0.35
    assert tuning.lesson.class_thresholds == {0: 0.35}
    unsure, sure = [found(0.35)] * 20, [found(0.8)] * 20
    tuning.learn([*unsure, *sure], [*[[]] * 20, *[[THERE]] * 20])
    assert tuning.lesson.threshold == 0.8
    assert tuning.lesson.class_thresholds == {0: 0.8}
    assert tuning.lesson.crops_from == 0.8
    assert tuning.is_of(LESSON)
    assert (tuning.lesson.model, tuning.lesson.saved) == (LESSON.model, LESSON.saved)


def test_images_without_objects_alone_tell_nothing() -> None:
    tuning = Tuning(LESSON, [])
    assert tuning.learn([[]] * 9, [[]] * 9) == LESSON
