"""Matching, on cases small enough to work out by hand, and its properties on random ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.detections import detections_of, random_case, truth_of
from workbench.evaluation.matching import (
    IOU_THRESHOLDS,
    Convention,
    Detections,
    Truth,
    match,
    overlapping,
)
from workbench.geometry import iou

CONVENTIONS: tuple[Convention, ...] = ("coco", "ultralytics")


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_surest_prediction_takes_the_label(convention: Convention) -> None:
    truth = truth_of((0, 0, 0, 0, 10, 10))
    better_but_less_sure = detections_of(
        (0, 0, 0.9, 0, 0, 10, 8),  # IoU 0.8
        (0, 0, 0.5, 0, 0, 10, 10),  # IoU 1
    )
    found = match(better_but_less_sure, truth, convention).label
    # The first takes the label up to 0.8; from 0.85 on only the second fits.
    assert found[0].tolist() == [0] * 7 + [-1] * 3
    assert found[1].tolist() == [-1] * 7 + [0] * 3


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_prediction_takes_the_best_label_that_is_free(convention: Convention) -> None:
    truth = truth_of((0, 0, 0, 0, 10, 10), (0, 0, 0, 0, 10, 9))
    found = match(
        detections_of((0, 0, 0.9, 0, 0, 10, 9), (0, 0, 0.8, 0, 0, 10, 9)), truth, convention
    ).label
    assert found[0].tolist() == [1] * 10
    # IoU 0.9 with the label that is left. Exactly 0.9 in pixels, so up to that threshold.
    assert found[1].tolist() == [0] * 9 + [-1]


def test_of_equal_ious_coco_takes_the_last_label_and_ultralytics_the_first() -> None:
    twice = truth_of((0, 0, 0, 0, 10, 10), (0, 0, 0, 0, 10, 10))
    one = detections_of((0, 0, 0.9, 0, 0, 10, 10))
    assert match(one, twice, "coco").label[0].tolist() == [1] * 10
    assert match(one, twice, "ultralytics").label[0].tolist() == [0] * 10


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_other_images_and_other_classes_are_never_found(convention: Convention) -> None:
    truth = truth_of((0, 0, 0, 0, 10, 10), (1, 1, 0, 0, 10, 10))
    crossed = detections_of((0, 1, 0.9, 0, 0, 10, 10), (1, 0, 0.9, 0, 0, 10, 10))
    assert (match(crossed, truth, convention).label == -1).all()
    assert match(crossed, truth, convention, same_class=False).label[:, 0].tolist() == [0, 1]


def test_a_label_that_is_ignored_is_found_only_where_no_other_fits() -> None:
    truth = truth_of((0, 0, 0, 0, 10, 10), (0, 0, 0, 0, 10, 8))
    ignored = np.array([True, False])
    found = match(
        detections_of((0, 0, 0.9, 0, 0, 10, 10), (0, 0, 0.8, 0, 0, 10, 10)),
        truth,
        "coco",
        ignored=ignored,
    )
    assert found.label[0].tolist() == [1] * 7 + [0] * 3  # IoU 0.8 with the one that counts
    assert found.ignored[0].tolist() == [False] * 7 + [True] * 3
    assert found.correct[0].tolist() == [True] * 7 + [False] * 3
    assert found.label[1].tolist() == [0] * 7 + [-1] * 3


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_nothing_matches_nothing(convention: Convention) -> None:
    box = (0, 0, 0.9, 0, 0, 10, 10)
    assert match(detections_of(), truth_of(), convention).label.shape == (0, 10)
    assert (match(detections_of(box), truth_of(), convention).label == -1).all()
    assert match(detections_of(), truth_of((0, 0, 0, 0, 9, 9)), convention).label.shape == (0, 10)


def _one_by_one(detections: Detections, truth: Truth, convention: Convention) -> np.ndarray:
    """The plain loop that the module's description says in words."""
    found = np.full((len(detections), 10), -1)
    for column, threshold in enumerate(IOU_THRESHOLDS):
        taken: set[int] = set()
        for row in np.argsort(-detections.confidence, kind="stable"):
            best, label = threshold, -1
            for place in range(len(truth)):
                same = (
                    truth.image_index[place] == detections.image_index[row]
                    and truth.class_id[place] == detections.class_id[row]
                )
                if not same or place in taken:
                    continue
                [[overlap]] = iou(detections.boxes[row], truth.boxes[place])
                later = overlap >= best if convention == "coco" or label < 0 else overlap > best
                if later:
                    best, label = overlap, place
            if label >= 0:
                taken.add(label)
                found[row, column] = label
    return found


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("ties", [False, True])
def test_all_at_once_gives_what_a_loop_gives(convention: Convention, ties: bool) -> None:
    case = random_case(3, num_images=8, ties=ties)
    together = match(case.detections, case.truth, convention).label
    assert (together >= 0).any()
    np.testing.assert_array_equal(together, _one_by_one(case.detections, case.truth, convention))


@given(seed=st.integers(0, 10_000), convention=st.sampled_from(CONVENTIONS), ties=st.booleans())
def test_matches_are_one_to_one_and_reach_their_threshold(
    seed: int, convention: Convention, ties: bool
) -> None:
    case = random_case(seed, num_images=5, ties=ties)
    found = match(case.detections, case.truth, convention).label
    for column, threshold in enumerate(IOU_THRESHOLDS):
        rows = np.flatnonzero(found[:, column] >= 0)
        labels = found[rows, column]
        assert len(set(labels.tolist())) == len(labels)
        for row, label in zip(rows, labels, strict=True):
            [[overlap]] = iou(case.detections.boxes[row], case.truth.boxes[label])
            assert overlap >= threshold - 1e-6
            assert case.detections.class_id[row] == case.truth.class_id[label]
            assert case.detections.image_index[row] == case.truth.image_index[label]


@given(seed=st.integers(0, 10_000))
def test_images_do_not_touch_each_other(seed: int) -> None:
    case = random_case(seed, num_images=4)
    together = match(case.detections, case.truth, "coco").label
    for image in range(4):
        mine = case.detections.image_index == image
        labels = np.flatnonzero(case.truth.image_index == image)
        alone = match(
            case.detections.keep(mine),
            Truth(
                case.truth.image_index[labels],
                case.truth.class_id[labels],
                case.truth.boxes[labels],
            ),
            "coco",
        ).label
        expected = np.where(alone >= 0, np.append(labels, -1)[alone], -1)
        np.testing.assert_array_equal(together[mine], expected)


def test_pairs_are_found_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.evaluation import matching

    case = random_case(11, num_images=20)
    whole = overlapping(case.detections, case.truth)
    monkeypatch.setattr(matching, "PAIRS_AT_ONCE", 3)
    pieces = overlapping(case.detections, case.truth)
    assert len(whole.iou) > 20
    np.testing.assert_array_equal(whole.detection, pieces.detection)
    np.testing.assert_array_equal(whole.label, pieces.label)
    np.testing.assert_array_equal(whole.iou, pieces.iou)


def test_boxes_are_cut_off_at_the_border_of_their_image() -> None:
    found = detections_of((0, 0, 0.9, -5, -5, 30, 30), (1, 0, 0.9, 5, 5, 30, 30))
    clipped = found.clipped(np.array([[20, 10], [40, 25]]))
    assert clipped.boxes.tolist() == [[0, 0, 20, 10], [5, 5, 30, 25]]
