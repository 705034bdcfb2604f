"""What Evaluate says where its numbers are none: no zero without its meaning."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from workbench.evaluation.evaluation import Evaluation, Settings
from workbench.evaluation.matching import Detections, Truth
from workbench.evaluation.suspects import suspicious_labels
from workbench.panels.evaluate.meaning import verdict, why_none
from workbench.panels.evaluate.model import Result
from workbench.panels.evaluate.tables import numbers

DISC, SQUARE = [10, 10, 50, 50], [60, 60, 90, 90]
FAR = [0, 90, 8, 98]

Rows = list[tuple[int, list[int]]]


def evaluation(labels: Rows, predictions: Rows) -> Evaluation:
    """One picture of 100 by 100 pixels, with classes and boxes."""

    def columns(rows: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        boxes = np.array([box for _, box in rows], dtype=np.float64).reshape(-1, 4)
        classes = np.array([class_id for class_id, _ in rows], dtype=np.int64)
        return np.zeros(len(rows), dtype=np.int64), classes, boxes

    confidence = np.linspace(0.9, 0.5, len(predictions))
    return Evaluation(
        "shapes",
        "val",
        "tiny",
        "",
        ("disc", "square"),
        ("a.png",),
        np.array([[100, 100]], dtype=np.int32),
        Truth(*columns(labels)),
        Detections(*columns(predictions), confidence),
        Settings(0.001, 0.7, 64),
        datetime.now(UTC),
    )


BLIND = evaluation([(0, DISC), (1, SQUARE)], [])
WRONG = evaluation([(0, DISC), (1, SQUARE)], [(0, FAR)])
HALF = evaluation([(0, DISC), (1, SQUARE)], [(0, DISC)])
GOOD = evaluation([(0, DISC), (1, SQUARE)], [(0, DISC), (1, SQUARE)])
BARE = evaluation([], [(0, DISC)])


@pytest.mark.parametrize(
    ("measured", "words"),
    [
        (BLIND, "finds nothing at all on 1 image with 2 labels"),
        (WRONG, "None of what it finds (1 box) meets one of 2 labels"),
        (HALF, "Nothing is found of square"),
        (BARE, "Nothing is labelled in shapes/val"),
    ],
)
def test_a_zero_is_said_in_words(measured: Evaluation, words: str) -> None:
    assert words in verdict(measured)
    shown = numbers(Result(measured, None, None))
    assert words in shown
    assert ("F1 are 0 at every confidence" in shown) == (measured is not HALF)


def test_good_numbers_speak_for_themselves() -> None:
    assert verdict(GOOD) == ""
    assert "wbe-verdict" not in numbers(Result(GOOD, None, None))


@pytest.mark.parametrize("weak", [BLIND, WRONG])
def test_no_label_mistakes_are_no_comfort_from_a_model_that_finds_nothing(
    weak: Evaluation,
) -> None:
    found = suspicious_labels(weak)
    assert found == ()
    assert "says nothing about the labels" in why_none("suspects", weak, found)
    assert why_none("suspects", GOOD, ()) == "✓ There is none."


def test_no_false_positives_of_a_model_that_predicts_nothing() -> None:
    assert "predicts nothing at all" in why_none("false_positives", BLIND, ())
    assert why_none("false_positives", GOOD, ()) == "✓ There is none."
