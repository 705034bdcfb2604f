"""The states of one image's labels that undo goes back to, read from its history.

The history tells every change in the order in which it happened, also that something was
undone. Going back simply edit by edit would therefore undo the last undo, and the next
session would do it all again. Here an ``"undo"`` steps back along the trail instead of
making it longer, as it does on the page where it was pressed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from workbench import geometry
from workbench.persistence.models import Annotation, LabelEdit

LabelState = list[Annotation] | None
"""The boxes of an image; None: not labelled."""

TOLERANCE = 1e-6
"""Fractions of the image by which a box may differ after its way through a label file."""


@dataclass(frozen=True, slots=True)
class Trail:
    """The states before and after the present one.

    Parameters
    ----------
    past : list of LabelState
        What undo leads to, the nearest last.
    future : list of LabelState
        What redo leads to, the nearest first.
    """

    past: list[LabelState]
    future: list[LabelState]


def same_boxes(first: LabelState, second: LabelState) -> bool:
    """Whether two states hold the same boxes, but for the rounding of a label file."""
    if first is None or second is None:
        return first is second
    if [a.class_id for a in first] != [a.class_id for a in second]:
        return False
    boxes = [geometry.as_boxes([a.xywh for a in side]) for side in (first, second)]
    return bool(np.allclose(boxes[0], boxes[1], rtol=0, atol=TOLERANCE))


def read_trail(edits: Sequence[LabelEdit], present: LabelState) -> Trail:
    """Return the states around the present one.

    Parameters
    ----------
    edits : sequence of LabelEdit
        Of one image, oldest first, see `LabelStore.history`.
    present : LabelState
        What the label file holds now. Where this, or what an edit found, is not what the
        edit before had left, another program has written the file: a step like any other.
    """
    past: list[LabelState] = []
    future: list[LabelState] = []
    now = edits[0].before if edits else present
    for edit in edits:
        if not same_boxes(now, edit.before):
            past, future, now = [*past, now], [], edit.before
        back = _place(edit.after, reversed(past)) if edit.what == "undo" else None
        forth = _place(edit.after, future) if edit.what == "redo" else None
        if back is not None:
            kept = len(past) - 1 - back
            past, future = past[:kept], [*past[kept + 1 :], now, *future]
        elif forth is not None:
            past, future = [*past, now, *future[:forth]], future[forth + 1 :]
        elif not same_boxes(now, edit.after):
            past, future = [*past, now], []
        now = edit.after
    if not same_boxes(now, present):
        past, future = [*past, now], []
    return Trail(past, future)


def _place(wanted: LabelState, states: Iterable[LabelState]) -> int | None:
    """Return the position of the first state with the wanted boxes."""
    return next((i for i, state in enumerate(states) if same_boxes(state, wanted)), None)
