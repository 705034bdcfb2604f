"""What suggestions would have saved, counted on small cases by hand."""

from __future__ import annotations

from workbench.labelling.savings import Savings, crops_from, savings, thresholds_by_class
from workbench.persistence.models import Annotation, Prediction

LEFT, RIGHT = Annotation(0, 0.2, 0.5, 0.2, 0.2), Annotation(1, 0.7, 0.5, 0.2, 0.2)


def seen(label: Annotation, score: float, *, class_id: int | None = None) -> Prediction:
    known = label.class_id if class_id is None else class_id
    return Prediction(known, *label.xywh, score)


def test_nothing_is_saved_without_suggestions() -> None:
    assert savings([[]], [[LEFT, RIGHT]]).percent == 0
    assert savings([], []).percent == 0


def test_the_threshold_is_where_most_is_saved() -> None:
    nowhere = Prediction(0, 0.5, 0.1, 0.1, 0.1, 0.4)
    suggested = [[seen(LEFT, 0.9), seen(RIGHT, 0.62), nowhere]]
    found = savings(suggested, [[LEFT, RIGHT]])
    assert found == Savings(2, 0, 0.6)
    assert found.percent == 100


def test_a_wrong_class_and_a_second_box_are_wrong() -> None:
    # The class costs a click and a key, which is more than drawing one box.
    assert savings([[seen(LEFT, 0.9, class_id=1)]], [[LEFT]]).percent == 0
    twice = savings([[seen(LEFT, 0.9), seen(LEFT, 0.9), seen(RIGHT, 0.9)]], [[LEFT, RIGHT]])
    assert twice.reviewed == 1  # one of the two has to be rejected


def test_rejecting_all_bounds_what_bad_suggestions_cost() -> None:
    bad = [Prediction(0, 0.1 * n, 0.1, 0.05, 0.05, 0.99) for n in range(1, 9)]
    good = [[seen(LEFT, 0.99)]] * 4
    found = savings([bad, *good], [[RIGHT], *[[LEFT]] * 4])
    # One key rejects the eight, one drag draws the one that is missing.
    assert found == Savings(5, 2, 0.95)


def test_as_crops_less_likely_ones_are_worth_to_be_seen() -> None:
    # Twice something is suspected where nothing is, once rightly: in the annotator two keys for one
    # drag, as crops two clicks, and one image less to be opened.
    doubtful = seen(RIGHT, 0.3)
    wrong = [Prediction(1, 0.5, 0.1, 0.1, 0.1, 0.3)]
    suggested = [[seen(LEFT, 0.9), doubtful], *[[seen(LEFT, 0.9), *wrong]] * 2]
    labels = [[LEFT, RIGHT], [LEFT], [LEFT]]
    assert savings(suggested, labels).threshold == 0.9
    assert crops_from(suggested, labels) == 0.3


def test_crops_that_are_mostly_wrong_are_left_out() -> None:
    wrong = [Prediction(1, 0.5, 0.1, 0.1, 0.1, 0.3)]
    suggested = [[seen(LEFT, 0.9), *wrong * 4]]
    assert crops_from(suggested, [[LEFT]]) == 0.9
    # Boxes that lie loosely are right to some, and wrong to others.
    loose = Prediction(0, 0.25, 0.5, 0.2, 0.2, 0.5)  # an IoU of 0.6
    assert crops_from([[loose]], [[LEFT]]) == 0.5
    assert crops_from([[loose]], [[LEFT]], rights=(0.75,)) == 0.95


def test_each_class_has_a_threshold_where_there_are_enough_boxes() -> None:
    nowhere = Prediction(0, 0.5, 0.1, 0.1, 0.1, 0.4)
    rare = Annotation(2, 0.2, 0.2, 0.1, 0.1)
    suggested = [[seen(LEFT, 0.9), nowhere, seen(RIGHT, 0.3), seen(rare, 0.2)]] * 9
    labels = [[LEFT, RIGHT, rare]] * 9
    assert thresholds_by_class(suggested, labels) == {}
    suggested, labels = [*suggested, suggested[0][:3]], [*labels, labels[0][:2]]
    assert thresholds_by_class(suggested, labels) == {0: 0.9, 1: 0.3}
