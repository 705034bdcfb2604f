"""What suggestions would have saved, counted on small cases by hand."""

from __future__ import annotations

from workbench.labelling.savings import Savings, savings
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
    assert twice.reviewed == 2  # one of the two has to be rejected


def test_rejecting_all_bounds_what_bad_suggestions_cost() -> None:
    bad = [Prediction(0, 0.1 * n, 0.1, 0.05, 0.05, 0.99) for n in range(1, 9)]
    good = [[seen(LEFT, 0.99)]] * 4
    found = savings([bad, *good], [[RIGHT], *[[LEFT]] * 4])
    # One key rejects the eight, one drag draws the one that is missing.
    assert found == Savings(5, 2, 0.95)
