"""Metrics, on cases small enough to work out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.detections import detections_of, random_case, truth_of
from workbench.evaluation.coco import measure_by_size, to_frame
from workbench.evaluation.confusion import confusion_matrix
from workbench.evaluation.metrics import average_precision, best_threshold, measure

BOX = (0, 0, 100, 100)
ELSEWHERE = (300, 300, 400, 400)


def test_a_perfect_model_has_ones_everywhere() -> None:
    truth = truth_of((0, 0, *BOX), (1, 1, *BOX))
    found = detections_of((0, 0, 0.9, *BOX), (1, 1, 0.8, *BOX))
    metrics = measure(found, truth, ("cat", "dog"), 2)
    # 0.995, not 1: Ultralytics interpolates between recall 1 and its end point.
    assert (metrics.map50, metrics.map) == (pytest.approx(0.995), pytest.approx(0.995))
    assert metrics.precision == pytest.approx(1)
    assert metrics.recall == pytest.approx(1)
    assert [row.best_confidence for row in metrics.classes] == [0.9, 0.8]
    whole = measure_by_size(found, truth, 2)[0]
    assert (whole.ap, whole.recall) == (pytest.approx(1), 1)


def test_half_found_with_one_stray() -> None:
    truth = truth_of((0, 0, *BOX), (1, 0, *BOX))
    found = detections_of((0, 0, 0.6, *BOX), (1, 0, 0.9, *ELSEWHERE))
    [row] = measure(found, truth, ("cat",), 2).classes
    # At 0.6: one right of two predictions, one found of two labels.
    assert (row.best_confidence, row.best_precision, row.best_recall, row.best_f1) == (
        0.6,
        0.5,
        0.5,
        0.5,
    )
    coco = measure_by_size(found, truth, 1)[0]
    # Precision 1/2 at the recalls 0 ... 0.5, which are 51 of 101.
    assert coco.ap50 == pytest.approx(0.5 * 51 / 101)
    assert coco.recall == 0.5


def test_average_precision_is_the_area_below_the_envelope() -> None:
    recall, precision = np.array([0.5, 0.5, 1.0]), np.array([1.0, 0.5, 2 / 3])
    area, _, envelope = average_precision(recall, precision)
    assert envelope.tolist() == pytest.approx([1, 1, 2 / 3, 2 / 3, 0, 0])
    # 1 up to 0.5, 2/3 up to 1, less the last hundredth that falls to 0.
    assert area == pytest.approx(0.5 + 0.5 * 2 / 3, abs=0.01)


def test_a_class_that_nothing_finds_counts_as_zero() -> None:
    truth = truth_of((0, 0, *BOX), (0, 1, *BOX))
    metrics = measure(detections_of((0, 0, 0.9, *BOX)), truth, ("cat", "dog", "bird"), 1)
    assert [row.name for row in metrics.classes] == ["cat", "dog"]  # nobody labelled a bird
    assert metrics.classes[1].ap50 == 0
    assert math.isnan(metrics.classes[1].best_confidence)
    assert metrics.map50 == pytest.approx(0.995 / 2)


def test_nothing_to_measure() -> None:
    nothing = measure(detections_of(), truth_of(), ("cat",), 3)
    assert (nothing.map, nothing.classes, nothing.images) == (0.0, (), 3)
    assert all(math.isnan(row.ap) for row in measure_by_size(detections_of(), truth_of(), 1))
    only_labels = measure(detections_of(), truth_of((0, 0, *BOX)), ("cat",), 1)
    assert only_labels.map == 0
    only_strays = measure(detections_of((0, 0, 0.5, *BOX)), truth_of(), ("cat",), 1)
    assert (only_strays.map, only_strays.detections) == (0, 1)


def test_predictions_of_one_confidence_are_kept_or_dropped_together() -> None:
    point = best_threshold(np.array([True, False, True]), np.array([0.5, 0.5, 0.5]), 2)
    assert (point.confidence, point.recall, point.precision) == (0.5, 1, pytest.approx(2 / 3))


@given(
    rows=st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=30),
    missed=st.integers(0, 10),
)
def test_no_threshold_is_better_than_the_best(rows: list[tuple[bool, int]], missed: int) -> None:
    rows = sorted(rows, key=lambda row: -row[1])
    correct = np.array([row[0] for row in rows])
    confidence = np.array([row[1] / 5 for row in rows])
    labels = int(correct.sum()) + missed
    point = best_threshold(correct, confidence, max(labels, 1))
    for threshold in set(confidence.tolist()):
        kept = confidence >= threshold
        true = int((correct & kept).sum())
        f1 = 2 * true / (int(kept.sum()) + max(labels, 1))
        assert f1 <= point.f1 + 1e-12
        if threshold == point.confidence:
            assert f1 == pytest.approx(point.f1)


def test_sizes_are_areas_in_pixels_with_both_ends() -> None:
    truth = truth_of(
        (0, 0, 0, 0, 32, 32),  # 32^2 exactly: small and medium
        (0, 0, 100, 0, 196, 95),
        (0, 0, 0, 100, 97, 197),
    )
    counts = to_frame(measure_by_size(detections_of(), truth, 1))["labels"].to_dict()
    assert counts == {"all": 3, "small": 1, "medium": 2, "large": 1}


def test_the_confusion_matrix_counts_what_is_taken_for_what() -> None:
    truth = truth_of((0, 0, *BOX), (0, 1, *ELSEWHERE), (1, 1, *BOX))
    found = detections_of(
        (0, 1, 0.9, *BOX),  # a cat taken for a dog
        (0, 1, 0.8, *ELSEWHERE),
        (1, 0, 0.7, *ELSEWHERE),  # a cat where nothing is
        (1, 1, 0.25, *BOX),  # at, not above, the confidence
    )
    matrix = confusion_matrix(found, truth, ("cat", "dog"))
    frame = matrix.to_frame()
    assert frame.loc["dog", "cat"] == 1
    assert frame.loc["dog", "dog"] == 1
    assert frame.loc["cat", "background"] == 1
    assert frame.loc["background", "dog"] == 1
    assert matrix.counts.sum() == 4
    shares = matrix.shares()
    assert shares[:, 1].tolist() == [0, 0.5, 0.5]
    assert confusion_matrix(found, truth, ("cat", "dog"), confidence=0.2).counts.sum() == 4


@given(seed=st.integers(0, 5000), ties=st.booleans())
def test_every_box_stands_once_in_the_confusion_matrix(seed: int, ties: bool) -> None:
    case = random_case(seed, num_images=4, ties=ties)
    counts = confusion_matrix(case.detections, case.truth, case.names, confidence=0.0).counts
    labels = np.bincount(case.truth.class_id, minlength=3)
    assert counts[:, :-1].sum(axis=0).tolist() == labels.tolist()
    kept = case.detections.class_id[case.detections.confidence > 0]
    assert counts[:-1].sum(axis=1).tolist() == np.bincount(kept, minlength=3).tolist()


@given(seed=st.integers(0, 5000))
def test_metrics_stay_within_bounds_and_a_looser_threshold_is_no_worse(seed: int) -> None:
    case = random_case(seed, num_images=4)
    metrics = measure(case.detections, case.truth, case.names, 4)
    ap = metrics.average_precision
    assert ((ap >= 0) & (ap <= 1)).all()
    for curve in (metrics.curves.precision, metrics.curves.recall, metrics.curves.f1):
        assert ((curve >= 0) & (curve <= 1 + 1e-9)).all()
    recall = metrics.curves.recall
    assert (np.diff(recall, axis=1) <= 1e-12).all()  # falls as the confidence rises


def test_metrics_become_a_table() -> None:
    case = random_case(1, num_images=10)
    metrics = measure(case.detections, case.truth, case.names, 10)
    frame = metrics.to_frame()
    assert list(frame.index) == list(case.names)
    assert frame["ap"].mean() == pytest.approx(metrics.map)
    assert metrics.summary()["map50"] == metrics.map50
