"""A simulated person who labels: knows the true boxes, and pays 1 for each key, click and drag.

What a person does on an image, with what is shown of the suggestions:

- a suggestion that is right: nothing; the last `Enter` accepts all that are shown, and goes on;
- right but of another class: a click, and the key of the class;
- nearly right, so that one drag of an edge or a corner makes it right: a click and the drag;
- anything else that is suggested: `Backspace` with the pointer on it, before anything is selected;
- a label that is wrong: a click and `Backspace`;
- a true box without a suggestion: a drag, and a key before it if the class is another one.

Or, where that is less, `Shift+Backspace` rejects all that is shown, and everything is drawn.
An image with nothing on it is marked with `B`.

Suggestions of many images as crops are reviewed in bulk: a click on each wrong one, a click for
the rest. Who sees too many wrong ones on a page goes on image by image instead. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from workbench import geometry

Xyxy = tuple[float, float, float, float]
_WORTH_FIXING = 0.2
_MOST_WRONG = 0.3
"""Of a page of crops; with more of them image by image is less work."""
_FEW_WRONG = 0.1
"""With not more of them on a page a person looks at several before they accept the rest."""
_EDGES = [(0,), (1,), (2,), (3,), (0, 1), (2, 1), (0, 3), (2, 3)]
"""What one drag moves: an edge, or the two of a corner."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A box on the canvas, in pixels; `waits`: a suggestion that is not a label yet."""

    class_id: int
    xyxy: Xyxy
    waits: bool = False
    place: int = -1


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that a person does.

    Parameters
    ----------
    what : str
        ``"draw"``, ``"delete"``, ``"resize"``, ``"class"``, ``"reject all"``, ``"nothing here"``
        or ``"accept all"``.
    cost : int
        Keys, clicks and drags.
    boxes : list of Shown
        All that is on the canvas afterwards, and at or above the threshold.
    """

    what: str
    cost: int
    boxes: list[Shown]


@dataclass(frozen=True, slots=True)
class Person:
    """How a person works.

    Parameters
    ----------
    least_iou : float
        From which on a box is right.
    """

    least_iou: float

    def work(
        self, shown: Sequence[Shown], truth: Sequence[Shown], current_class: int
    ) -> list[Action]:
        """Return what the person does on an image, the cheaper way.

        Parameters
        ----------
        shown : sequence of Shown
            The suggestions at or above the threshold, and what is labelled already.
        truth : sequence of Shown
            The true boxes.
        current_class : int
            Of what would be drawn next.
        """
        way = [*self._review(shown, truth, current_class)]
        labels = [box for box in shown if not box.waits]
        if len(labels) == len(shown):
            return way
        anew = [Action("reject all", 1, labels), *self._review(labels, truth, current_class)]
        return min(way, anew, key=cost_of)

    def wrong_of(self, shown: Sequence[Shown], truth: Sequence[Shown]) -> list[int]:
        """Return the places of the boxes of an image that are not right as they are."""
        return self._matched(shown, truth)[0]

    def _matched(
        self, shown: Sequence[Shown], truth: Sequence[Shown]
    ) -> tuple[list[int], list[int]]:
        """Return the places of the wrong boxes, and of the true ones that no box is right for."""
        left = [*range(len(truth))]
        wrong = []
        for place, box in enumerate(shown):
            own = self._best(box, truth, left, same_class=True)
            if own is None:
                wrong.append(place)
            else:
                left.remove(own)
        return wrong, left

    def _review(
        self, shown: Sequence[Shown], truth: Sequence[Shown], current_class: int
    ) -> Iterator[Action]:
        plan = _Plan(list(shown), current_class)
        wrong, left = self._matched(shown, truth)
        fixes: list[tuple[int, str, Shown]] = []
        for place in wrong:
            box = shown[place]
            other = self._best(box, truth, left, same_class=False)
            if other is not None:
                left.remove(other)
                fixes.append((place, "class", Shown(truth[other].class_id, box.xyxy)))
                continue
            near = self._fixable(box, truth, left)
            if near is not None:
                left.remove(near[0])
                fixes.append((place, "resize", Shown(box.class_id, near[1])))
            else:
                yield plan.delete(place)
        for place, what, fixed in fixes:
            yield plan.change(place, what, fixed)
            if what == "class":
                plan.current_class = fixed.class_id
        for own in sorted(
            left, key=lambda i: (truth[i].class_id != plan.current_class, truth[i].class_id)
        ):
            yield plan.draw(truth[own])
        if plan.is_empty:
            yield Action("nothing here", 1, [])
        yield plan.accept()

    def _best(
        self, box: Shown, truth: Sequence[Shown], left: Sequence[int], *, same_class: bool
    ) -> int | None:
        chosen = [i for i in left if (truth[i].class_id == box.class_id) == same_class]
        if not chosen:
            return None
        overlap = geometry.iou([box.xyxy], [truth[i].xyxy for i in chosen])[0]
        best = int(np.argmax(overlap))
        return chosen[best] if overlap[best] >= self.least_iou else None

    def _fixable(
        self, box: Shown, truth: Sequence[Shown], left: Sequence[int]
    ) -> tuple[int, Xyxy] | None:
        """Return the true box that one drag leads to, and the box after it."""
        chosen = [i for i in left if truth[i].class_id == box.class_id]
        if not chosen:
            return None
        overlap = geometry.iou([box.xyxy], [truth[i].xyxy for i in chosen])[0]
        for place in np.argsort(-overlap):
            if overlap[place] < _WORTH_FIXING:
                return None
            true = truth[chosen[int(place)]]
            dragged = [_dragged(box.xyxy, true.xyxy, edges) for edges in _EDGES]
            after = geometry.iou(dragged, [true.xyxy])[:, 0]
            best = int(np.argmax(after))
            if after[best] >= self.least_iou:
                return chosen[int(place)], dragged[best]
        return None


@dataclass(slots=True)
class _Plan:
    """The canvas while a person works: suggestions by place, then what was drawn."""

    boxes: list[Shown | None]
    current_class: int
    drawn: list[Shown] = field(default_factory=list)

    @property
    def present(self) -> list[Shown]:
        return [*(box for box in self.boxes if box is not None), *self.drawn]

    @property
    def is_empty(self) -> bool:
        return not self.present

    def change(self, place: int, what: str, box: Shown) -> Action:
        self.boxes[place] = box
        return Action(what, 2, self.present)

    def delete(self, place: int) -> Action:
        box = self.boxes[place]
        assert box is not None
        self.boxes[place] = None
        return Action("delete", 1 if box.waits else 2, self.present)

    def draw(self, box: Shown) -> Action:
        cost = 1 + (box.class_id != self.current_class)
        self.current_class = box.class_id
        self.drawn.append(Shown(box.class_id, box.xyxy))
        return Action("draw", cost, self.present)

    def accept(self) -> Action:
        return Action("accept all", 1, [Shown(b.class_id, b.xyxy) for b in self.present])


def cost_of(actions: Sequence[Action]) -> int:
    """Return the keys, clicks and drags of some actions."""
    return sum(action.cost for action in actions)


def class_after(actions: Sequence[Action], before: int) -> int:
    """Return the class that is drawn next after some actions."""
    for action in reversed(actions):
        if action.what == "draw":
            return action.boxes[-1].class_id
    return before


def is_right(boxes: Sequence[Shown], truth: Sequence[Shown], least_iou: float) -> bool:
    """Whether every true box is there with its class, and nothing else."""
    return len(boxes) == len(truth) and not Person(least_iou).wrong_of(boxes, truth)


def is_worth_it(wrong: int, crops: int) -> bool:
    """Whether a person who sees a page of crops decides on them there."""
    return crops > 0 and wrong <= _MOST_WRONG * crops


def is_good(wrong: int, crops: int) -> bool:
    """Whether a person who saw a page of crops trusts the next ones."""
    return wrong <= _FEW_WRONG * crops


def _dragged(box: Xyxy, true: Xyxy, edges: Sequence[int]) -> Xyxy:
    moved = [true[i] if i in edges else box[i] for i in range(4)]
    left, top, right, bottom = moved
    return (min(left, right), min(top, bottom), max(left, right), max(top, bottom))
