"""The simulated person of `benchmarks/effort.py` pays for what a page would take."""

from __future__ import annotations

import pytest

from benchmarks.effort_person import Action, Person, Shown, cost_of, is_right, is_worth_it

CUP, SPOON = Shown(0, (10, 10, 50, 50)), Shown(1, (60, 10, 90, 90))
PERSON = Person(0.75)


def waiting(box: Shown, place: int = 0, **changes: object) -> Shown:
    fields = {"class_id": box.class_id, "xyxy": box.xyxy, **changes}
    return Shown(waits=True, place=place, **fields)  # type: ignore[arg-type]


def whats(actions: list[Action]) -> list[str]:
    return [action.what for action in actions]


@pytest.mark.parametrize(
    ("shown", "truth", "expected", "cost"),
    [
        ([], [CUP, SPOON], ["draw", "draw", "accept all"], 4),  # with one key of a class
        ([], [], ["nothing here", "accept all"], 2),
        ([waiting(CUP), waiting(SPOON, 1)], [CUP, SPOON], ["accept all"], 1),
        ([waiting(CUP, class_id=1)], [CUP], ["class", "accept all"], 3),
        ([waiting(CUP, xyxy=(0, 0, 60, 70))], [CUP], ["delete", "draw", "accept all"], 3),
        ([waiting(SPOON, xyxy=(60, 10, 90, 60))], [SPOON], ["resize", "accept all"], 3),
        ([waiting(SPOON, xyxy=(0, 0, 5, 5)), waiting(CUP, 1)], [CUP], ["delete", "accept all"], 2),
        ([waiting(CUP), waiting(CUP, 1)], [CUP], ["delete", "accept all"], 2),
        ([CUP, SPOON], [CUP], ["delete", "accept all"], 3),  # a label is clicked first
        ([waiting(CUP)], [], ["delete", "nothing here", "accept all"], 3),
        ([waiting(CUP)] * 2, [], ["reject all", "nothing here", "accept all"], 3),
    ],
)
def test_what_a_person_does(
    shown: list[Shown], truth: list[Shown], expected: list[str], cost: int
) -> None:
    actions = PERSON.work(shown, truth, 0)
    assert (whats(actions), cost_of(actions)) == (expected, cost)
    assert is_right(actions[-1].boxes, truth, 0.75)
    assert not any(box.waits for box in actions[-1].boxes)


def test_what_is_right() -> None:
    assert is_right([SPOON, CUP], [CUP, SPOON], 0.75)
    assert not is_right([CUP], [CUP, SPOON], 0.75)
    assert not is_right([CUP, CUP], [CUP, SPOON], 0.75)
    assert not is_right([Shown(1, CUP.xyxy)], [CUP], 0.75)


def test_what_is_labelled_already_stays() -> None:
    actions = PERSON.work([CUP, waiting(CUP, xyxy=(0, 0, 5, 5))], [CUP, SPOON], 0)
    assert is_right(actions[-1].boxes, [CUP, SPOON], 0.75)
    assert cost_of(actions) == 4  # one for all that waits, key and drag, Enter
    assert all(CUP in action.boxes for action in actions)


def test_crops_that_a_person_clicks() -> None:
    loose, other = Shown(0, (0, 0, 60, 70)), Shown(1, CUP.xyxy)
    assert PERSON.wrong_of([CUP, SPOON], [SPOON, CUP]) == []
    assert PERSON.wrong_of([loose, CUP, CUP, other], [CUP]) == [0, 2, 3]


def test_a_page_with_much_wrong_is_left() -> None:
    assert is_worth_it(3, 10)
    assert not is_worth_it(4, 10)
    assert not is_worth_it(0, 0)
