"""Galleries of mistakes, comparisons, suspected labels and figures, on cases made by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.detections import detections_of, random_case, truth_of
from workbench.evaluation import plots
from workbench.evaluation.evaluation import Evaluation, Settings
from workbench.evaluation.findings import Finding, to_frame
from workbench.evaluation.matching import Detections, Truth
from workbench.evaluation.mistakes import compare, galleries
from workbench.evaluation.suspects import suspicious_labels
from workbench.evaluation.thresholds import keep_thresholds, kept_thresholds
from workbench.persistence import create_stores

CLASSES = ("cat", "dog")
A, B = (0, 0, 100, 100), (300, 300, 400, 400)
A_SHIFTED = (40, 0, 140, 100)  # IoU 60/140 with A


def evaluation_of(
    detections: Detections,
    truth: Truth,
    *,
    images: int = 2,
    model: str = "m",
    classes: tuple[str, ...] = CLASSES,
    size: tuple[int, int] = (500, 400),
) -> Evaluation:
    return Evaluation(
        dataset="pets",
        split="val",
        model=model,
        weights_digest="0" * 64,
        classes=classes,
        filenames=tuple(f"{number}.jpg" for number in range(images)),
        sizes=np.tile(np.array(size, dtype=np.int32), (images, 1)),
        truth=truth,
        detections=detections,
        settings=Settings(0.001, 0.7, 640),
        created_at=datetime.now(UTC),
    )


def test_the_best_thresholds_are_those_of_classes_that_something_finds() -> None:
    truth = truth_of((0, 0, *A), (0, 1, *B), (1, 0, *A), (1, 1, *B))
    found = detections_of((0, 0, 0.8, *A), (1, 0, 0.6, *A), (0, 0, 0.3, *B))
    assert evaluation_of(found, truth).best_thresholds == {"cat": 0.6}


async def test_best_thresholds_are_kept_by_weights_but_not_those_of_a_training_split(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stores = create_stores(tmp_path / "data", tmp_path / "models")
    await stores.dataset.create("pets", CLASSES)
    truth = truth_of((0, 0, *A), (0, 1, *B), (1, 0, *A), (1, 1, *B))
    evaluation = evaluation_of(detections_of((0, 0, 0.75, *A), (1, 0, 0.5, *A)), truth)
    digest = evaluation.weights_digest
    await keep_thresholds(stores, replace(evaluation, split="train"))
    assert await kept_thresholds(stores, "pets", digest) is None
    await keep_thresholds(stores, evaluation)
    kept = await kept_thresholds(stores, "pets", digest)
    assert kept is not None
    assert (str(kept), kept.scores) == ("m on val, 2 images", {"cat": 0.5})
    assert await kept_thresholds(stores, "pets", "1" * 64) is None
    await stores.dataset.save_cache(
        "pets",
        f"thresholds-{digest[:40]}.json",
        b'{"model": "m", "split": "val", "images": 2, "scores": {"cat": 7}}',
    )
    assert await kept_thresholds(stores, "pets", digest) is None
    assert "kept thresholds are not used: no score in 0..1 of 'cat'" in caplog.text


def test_each_prediction_and_each_missed_label_stands_in_its_gallery() -> None:
    truth = truth_of((0, 0, *A), (0, 1, *B), (1, 0, *A), (1, 1, *B))
    found = detections_of(
        (0, 0, 0.9, *A),  # right
        (0, 0, 0.8, 0, 0, 100, 96),  # again
        (0, 0, 0.7, *B),  # a dog taken for a cat
        (0, 1, 0.6, 0, 300, 80, 390),  # nothing there
        (1, 0, 0.5, *A_SHIFTED),  # badly placed
        (1, 1, 0.05, *B),  # right, but not sure enough
    )
    result = galleries(evaluation_of(found, truth), confidence=0.1)
    [right] = result.correct
    assert (right.filename, right.class_name, right.score, right.iou) == ("0.jpg", "cat", 0.9, 1)
    assert right.box == pytest.approx((0.1, 0.125, 0.2, 0.25))
    [twice] = result.duplicates
    assert (twice.score, twice.iou) == (0.8, pytest.approx(0.96))
    [wrong] = result.wrong_class
    assert (wrong.class_name, wrong.label_class_id, wrong.iou) == ("cat", 1, 1)
    assert wrong.label_box == wrong.box
    [stray] = result.false_positives
    assert (stray.class_id, stray.iou, stray.label_box) == (1, 0, None)
    [crooked] = result.badly_placed
    assert (crooked.filename, crooked.iou) == ("1.jpg", pytest.approx(60 / 140))
    [missed] = result.false_negatives
    assert (missed.filename, missed.class_name) == ("1.jpg", "dog")
    assert missed.score == pytest.approx(0.05)  # what the model thought of it
    assert [one.score for one in result.most_confident(2)] == [0.9, 0.8]
    assert [one.score for one in result.least_confident(2)] == [0.5, 0.6]


def test_thresholds_may_differ_by_class() -> None:
    truth = truth_of((0, 0, *A), (0, 1, *B))
    found = detections_of((0, 0, 0.6, *A), (0, 1, 0.5, *B))
    result = galleries(evaluation_of(found, truth), confidence={0: 0.7, 1: 0.4})
    assert [one.class_name for one in result.correct] == ["dog"]
    assert [one.class_name for one in result.false_negatives] == ["cat"]
    by_default = galleries(evaluation_of(found, truth))  # at each class's own best
    assert len(by_default.correct) == 2


@given(seed=st.integers(0, 5000), confidence=st.sampled_from([None, 0.0, 0.4]))
def test_every_box_stands_in_exactly_one_gallery(seed: int, confidence: float | None) -> None:
    case = random_case(seed, num_images=4)
    evaluation = evaluation_of(case.detections, case.truth, images=4, classes=case.names)
    result = galleries(evaluation, confidence)
    predictions = (
        result.correct,
        result.false_positives,
        result.wrong_class,
        result.badly_placed,
        result.duplicates,
    )
    if confidence == 0.0:
        assert sum(map(len, predictions)) == len(case.detections)
    # A correct prediction has a label of its own; the missed ones have none.
    assert len(result.correct) + len(result.false_negatives) <= len(case.truth)
    for one in result.correct:
        assert one.iou >= 0.5 - 1e-6
        assert one.label_class_id == one.class_id
    for one in result.wrong_class:
        assert one.label_class_id not in (one.class_id, None)
    for one in result.badly_placed:
        assert 0.1 <= one.iou < 0.5


def test_two_models_are_told_apart_by_what_they_find() -> None:
    truth = truth_of((0, 0, *A), (0, 1, *B), (1, 0, *A))
    first = evaluation_of(
        detections_of((0, 0, 0.9, *A), (0, 1, 0.8, *B), (1, 0, 0.7, *B)), truth, model="old"
    )
    second = evaluation_of(
        detections_of((0, 0, 0.9, *A), (1, 0, 0.8, *A), (1, 0, 0.7, *B)), truth, model="new"
    )
    result = compare(first, second, confidence=0.1)
    assert [(one.filename, one.class_name) for one in result.only_first] == [("0.jpg", "dog")]
    assert [(one.filename, one.class_name) for one in result.only_second] == [("1.jpg", "cat")]
    assert (result.both, result.neither) == (1, 0)
    assert result.false_positives_first == result.false_positives_second == ()  # the same one
    frame = result.to_frame()
    assert list(frame.columns) == ["old", "new", "difference"]
    assert frame.loc["map50", "new"] == second.metrics.map50
    assert frame.loc["ap50 dog", "difference"] == pytest.approx(-0.995)
    assert compare(first, first).models == ("old (1)", "old (2)")


def test_only_evaluations_of_the_same_labels_are_compared() -> None:
    found = detections_of((0, 0, 0.9, *A))
    first = evaluation_of(found, truth_of((0, 0, *A)))
    second = evaluation_of(found, truth_of((0, 0, *B)))
    with pytest.raises(ValueError, match="same labels"):
        compare(first, second)


def grid_case() -> tuple[list[tuple[float, ...]], list[tuple[float, ...]]]:
    """Twelve cats that are labelled and found well, one in each image."""
    labels = [(image, 0, *A) for image in range(12)]
    found = [(image, 0, 0.9, 2, 2, 100, 100) for image in range(12)]
    return labels, found


def suspects(labels: list, found: list) -> tuple[Finding, ...]:
    rows = sorted(found, key=lambda row: (row[0], -row[2]))
    labels = sorted(labels)
    return suspicious_labels(evaluation_of(detections_of(*rows), truth_of(*labels), images=14))


def test_labels_that_a_good_model_agrees_with_are_not_suspicious() -> None:
    assert suspects(*grid_case()) == ()


def test_a_label_that_was_forgotten_is_suspicious() -> None:
    labels, found = grid_case()
    [suspect] = suspects(labels[:-1], found)
    assert (suspect.kind, suspect.filename, suspect.label_box) == ("missing_label", "11.jpg", None)
    assert suspect.score == pytest.approx(0.9)


def test_a_label_of_nothing_is_suspicious() -> None:
    labels, found = grid_case()
    [suspect] = suspects([*labels, (12, 0, *B)], found)
    assert (suspect.kind, suspect.filename) == ("spurious_label", "12.jpg")
    assert suspect.score == pytest.approx(12 / 13)  # the share of cats that it finds
    assert suspect.box == suspect.label_box


def test_a_label_of_the_wrong_class_is_suspicious() -> None:
    labels, found = grid_case()
    labels += [(12, 1, *B), (13, 1, *B)]
    found += [(12, 1, 0.9, *B), (13, 1, 0.9, *B)]
    labels[5] = (5, 1, *A)  # a cat that was labelled as a dog
    first, *others = suspects(labels, found)
    assert (first.kind, first.filename, first.class_name) == ("wrong_class", "5.jpg", "cat")
    assert first.label_class_id == 1
    assert others == []


def test_a_label_that_is_off_is_suspicious() -> None:
    labels, found = grid_case()
    labels[3] = (3, 0, *A_SHIFTED)
    [suspect] = suspects(labels, found)
    assert (suspect.kind, suspect.filename) == ("badly_located", "3.jpg")
    assert suspect.iou < 0.5 < suspect.label_box[0] + 0.5
    assert suspect.box != suspect.label_box


def test_the_most_blatant_comes_first() -> None:
    labels, found = grid_case()
    labels[3] = (3, 0, 20, 0, 120, 100)  # a little off
    ranked = suspects(labels[:-1], found)
    assert [one.kind for one in ranked] == ["missing_label", "badly_located"]
    scores = [one.score for one in ranked]
    assert scores == sorted(scores, reverse=True)


@given(seed=st.integers(0, 5000))
def test_suspicion_is_a_number_and_each_label_is_named_once(seed: int) -> None:
    case = random_case(seed, num_images=4)
    distinct = np.unique(
        np.column_stack([case.truth.image_index, case.truth.class_id, case.truth.boxes]), axis=0
    )
    truth = truth_of(*distinct)
    found = suspicious_labels(
        evaluation_of(case.detections, truth, images=4, classes=case.names, size=(700, 700))
    )
    assert all(0 <= one.score <= 1 for one in found)
    labels = [(one.filename, one.label_class_id, one.label_box) for one in found if one.label_box]
    assert len(set(labels)) == len(labels)


def test_there_may_be_nothing_to_find() -> None:
    empty = evaluation_of(detections_of(), truth_of())
    assert suspicious_labels(empty) == ()
    result = galleries(empty)
    assert result.most_confident() == result.false_negatives == ()
    assert len(to_frame(result.correct)) == 0


def test_findings_become_a_table() -> None:
    labels, found = grid_case()
    frame = to_frame(suspects(labels[:-1], found))
    assert frame["filename"].tolist() == ["11.jpg"]


def test_figures_hold_the_numbers_and_fetch_nothing() -> None:
    case = random_case(2, num_images=20)
    evaluation = evaluation_of(case.detections, case.truth, images=20, classes=case.names)
    metrics = evaluation.metrics
    curves = plots.precision_recall(evaluation)
    assert curves.data[0].name.startswith("class 0 (AP50 ")
    assert len(curves.data) == 4
    np.testing.assert_allclose(
        np.asarray(curves.data[0].y)[[0, -1]], metrics.curves.precision_at_recall[0, [0, -1]]
    )
    f1 = plots.f1_by_confidence(evaluation)
    assert list(f1.data[-1].x) == [row.best_confidence for row in metrics.classes]
    bars = plots.average_precision(evaluation)
    assert sorted(bars.data[0].y) == sorted(row.ap50 for row in metrics.classes)
    heat = plots.confusion(evaluation, confidence=0.3)
    np.testing.assert_array_equal(heat.data[0].customdata, evaluation.confusion_matrix(0.3).counts)
    for figure in (curves, f1, bars, heat):
        assert "http" not in figure.to_json()
        assert figure.layout.paper_bgcolor == "rgba(0, 0, 0, 0)"


def test_figures_of_nothing_are_empty_not_errors() -> None:
    empty = evaluation_of(detections_of(), truth_of())
    for draw in (
        plots.precision_recall,
        plots.f1_by_confidence,
        plots.average_precision,
        plots.confusion,
    ):
        assert draw(empty).to_json()
