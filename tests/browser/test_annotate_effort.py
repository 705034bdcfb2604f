"""What the simulated person of ``benchmarks/effort.py`` counts is what the page takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.effort_person import Action, Person, Shown, class_after, cost_of
from tests.browser.annotating import Canvas, eventually, labels_of, show, write_dataset
from tests.browser.conftest import LabPage
from tests.browser.test_annotate_review import MODEL, prediction, write_block
from workbench.persistence.suggestion_blocks import new_block

pytestmark = pytest.mark.browser

Box = tuple[int, int, int, int, int]
PERSON = Person(0.75)
LEFT, RIGHT = (0, 80, 80, 160, 160), (1, 320, 80, 400, 200)
WITHIN_LEFT, NOWHERE = (2, 100, 100, 130, 140), (2, 480, 320, 560, 400)
WIDE = (1, 320, 80, 460, 200)
IMAGES: list[tuple[list[Box], list[Box]]] = [
    ([LEFT, RIGHT], [LEFT, WITHIN_LEFT, RIGHT, NOWHERE]),  # two that are wrong, one in another
    ([LEFT, RIGHT, WITHIN_LEFT], [LEFT, (0, *RIGHT[1:])]),  # of another class, and one missing
    ([LEFT, RIGHT], [LEFT, WIDE, NOWHERE]),  # an edge is wrong
    ([LEFT], [NOWHERE, WITHIN_LEFT, RIGHT]),  # all are
    ([], [NOWHERE]),
]
"""True boxes, and what is suggested."""


class Hand:
    """Does what the simulated person has decided on, and counts keys, clicks and drags."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        self.count = 0
        self.current_class = 0

    def press(self, key: str) -> None:
        self.canvas.press(key)
        self.count += 1

    def click(self, box: Shown, among: Sequence[Shown]) -> None:
        self.canvas.click(*point_of(box, among))
        self.count += 1

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.canvas.drag(start, end)
        self.count += 1

    def do(self, action: Action, before: Sequence[Shown]) -> None:
        """Do one action on what is on the canvas before it."""
        gone = [box for box in before if box not in action.boxes]
        new = [box for box in action.boxes if box not in before]
        if action.what == "delete":
            self.canvas.page.mouse.move(*self.canvas.at(*point_of(gone[0], before)))
            self.press("Backspace")
        elif action.what == "class":
            self.click(gone[0], before)
            self.press(str(new[0].class_id + 1))
        elif action.what == "resize":
            self.click(gone[0], before)
            self.drag(*edge_between(gone[0].xyxy, new[0].xyxy))
        elif action.what == "draw":
            left, top, right, bottom = new[0].xyxy
            self.drag((left, top), (right, bottom))
            if new[0].class_id != self.current_class:
                self.press(str(new[0].class_id + 1))  # a box just drawn takes it
                self.current_class = new[0].class_id
        else:
            keys = {"reject all": "Shift+Backspace", "nothing here": "b", "accept all": "Enter"}
            self.press(keys[action.what])


def point_of(box: Shown, among: Sequence[Shown]) -> tuple[float, float]:
    """A point of a box where no smaller one lies, which a click would take."""
    left, top, right, bottom = box.xyxy
    others = [o.xyxy for o in among if o != box and area(o.xyxy) <= area(box.xyxy)]
    for part in (0.5, 0.2, 0.8, 0.1, 0.9):
        x, y = left + part * (right - left), top + part * (bottom - top)
        if not any(o[0] <= x <= o[2] and o[1] <= y <= o[3] for o in others):
            return x, y
    raise AssertionError(f"{box} is hidden")


def area(xyxy: Sequence[float]) -> float:
    return (xyxy[2] - xyxy[0]) * (xyxy[3] - xyxy[1])


def edge_between(
    old: Sequence[float], new: Sequence[float]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """From where to where the edge or corner goes that differs."""
    middle = (old[0] + old[2]) / 2, (old[1] + old[3]) / 2
    start, end = [*middle], [*middle]
    for place in range(4):
        if old[place] != new[place]:
            start[place % 2], end[place % 2] = old[place], new[place]
    return (start[0], start[1]), (end[0], end[1])


def shown(boxes: Sequence[Box], *, waits: bool = False) -> list[Shown]:
    return [Shown(c, (*map(float, xyxy),), waits, n) for n, (c, *xyxy) in enumerate(boxes)]  # type: ignore[arg-type]


def test_five_images_take_as_many_keys_clicks_and_drags_as_are_counted(
    lab_page: LabPage, tmp_path: Path
) -> None:
    dataset = write_dataset(tmp_path, "effort", images=1 + len(IMAGES))
    found = {
        ("train", f"img_{n}.jpg"): [prediction(box, 0.9) for box in suggested]
        for n, (_, suggested) in enumerate(IMAGES, start=1)
    }
    write_block(dataset, new_block(MODEL, found))
    canvas = show(lab_page, dataset)
    canvas.stage.focus()
    canvas.press("d")
    hand, counted, current = Hand(canvas), 0, 0
    seen: set[str] = set()
    for number, (truth, suggested) in enumerate(IMAGES, start=1):
        canvas.wait_for(f"img_{number}.jpg")
        before = shown(suggested, waits=True)
        canvas.root.get_by_text(f"{len(before)} to review", exact=True).first.wait_for()
        actions = PERSON.work(before, shown(truth), current)
        counted += cost_of(actions)
        current = class_after(actions, current)
        for action in actions:
            hand.do(action, before)
            before = action.boxes
            seen.add(action.what)
        eventually(lambda n=number: sorted(labels_of(dataset, n)()), sorted(truth))  # type: ignore[misc]
    assert seen == {
        *("delete", "class", "resize", "draw", "reject all", "nothing here", "accept all")
    }
    assert hand.count == counted
