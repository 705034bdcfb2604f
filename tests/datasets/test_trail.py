"""Where undo leads after a new start, from a history alone."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from workbench.datasets.trail import LabelState, Trail, read_trail, same_boxes
from workbench.persistence.models import Annotation, LabelEdit

A = Annotation(0, 0.5, 0.5, 0.25, 0.5)
B = Annotation(1, 0.25, 0.25, 0.125, 0.25)
C = Annotation(0, 0.75, 0.25, 0.125, 0.25)


def edits(*steps: tuple[str, LabelState], start: LabelState = None) -> list[LabelEdit]:
    """A history of what was done and what the file held then."""
    found, before = [], start
    for number, (what, after) in enumerate(steps):
        found.append(
            LabelEdit(str(number), datetime.now(UTC), "a.jpg", "train", before, after, what)
        )
        before = after
    return found


def test_an_image_without_history_leads_nowhere() -> None:
    assert read_trail([], [A]) == Trail([], [])
    assert read_trail([], None) == Trail([], [])


def test_undo_goes_back_in_time_to_unlabelled() -> None:
    history = edits(("draw", [A]), ("draw", [A, B]), ("delete", [B]))
    assert read_trail(history, [B]) == Trail([None, [A], [A, B]], [])


def test_what_was_undone_lies_ahead_and_not_behind() -> None:
    history = edits(("draw", [A]), ("draw", [A, B]), ("undo", [A]))
    assert read_trail(history, [A]) == Trail([None], [[A, B]])
    assert read_trail([*history, *edits(("undo", None), start=[A])], None) == Trail(
        [], [[A], [A, B]]
    )
    assert read_trail([*history, *edits(("redo", [A, B]), start=[A])], [A, B]) == Trail(
        [None, [A]], []
    )


def test_several_steps_that_were_saved_as_one() -> None:
    history = edits(("draw", [A]), ("draw", [A, B]), ("draw", [A, B, C]), ("undo", [A]))
    assert read_trail(history, [A]) == Trail([None], [[A, B], [A, B, C]])
    further = edits(("redo", [A, B, C]), start=[A])
    assert read_trail([*history, *further], [A, B, C]) == Trail([None, [A], [A, B]], [])


def test_an_edit_after_undo_ends_what_could_be_redone() -> None:
    history = edits(("draw", [A]), ("draw", [A, B]), ("undo", [A]), ("draw", [A, C]))
    assert read_trail(history, [A, C]) == Trail([None, [A]], [])


def test_deleting_by_hand_what_was_drawn_last_is_no_undo() -> None:
    history = edits(("draw", [A]), ("draw", [A, B]), ("delete", [A]))
    assert read_trail(history, [A]).past[-1] == [A, B]


def test_an_undo_to_a_state_that_was_never_saved_is_a_step() -> None:
    history = edits(("draw", [A, B]), ("undo", [A]))
    assert read_trail(history, [A]) == Trail([None, [A, B]], [])


def test_what_other_programs_wrote_is_a_step_too() -> None:
    history = edits(("draw", [A])) + edits(("draw", [B, C]), start=[B])
    assert read_trail(history, [C]) == Trail([None, [A], [B], [B, C]], [])


def test_background_and_unlabelled_differ_and_rounding_does_not() -> None:
    assert not same_boxes(None, [])
    assert same_boxes([A], [Annotation(0, 0.5 + 1e-8, 0.5, 0.25, 0.5)])
    assert not same_boxes([A], [Annotation(1, 0.5, 0.5, 0.25, 0.5)])
    assert not same_boxes([A], [A, B])
    assert read_trail(edits(("nothing here", [])), []) == Trail([None], [])


states = st.one_of(st.none(), st.lists(st.sampled_from([A, B, C]), max_size=3))


class Page:
    """Undo and redo as a page does them, each step saved."""

    def __init__(self) -> None:
        self.past: list[LabelState] = []
        self.present: LabelState = None
        self.future: list[LabelState] = []
        self.steps: list[tuple[str, LabelState]] = []

    def do(self, what: str, state: LabelState) -> None:
        if what == "undo" and self.past:
            self.future.insert(0, self.present)
            self.present = self.past.pop()
        elif what == "redo" and self.future:
            self.past.append(self.present)
            self.present = self.future.pop(0)
        elif what == "draw" and state != self.present:
            self.past.append(self.present)
            self.present, self.future = state, []
        else:
            return
        self.steps.append((what, self.present))


@given(st.lists(st.tuples(st.sampled_from(["draw", "undo", "redo"]), states), max_size=12))
def test_the_history_leads_where_the_page_would_have_gone(
    actions: list[tuple[str, LabelState]],
) -> None:
    page = Page()
    for what, state in actions:
        page.do(what, state)
    trail = read_trail(edits(*page.steps), page.present)
    assert (trail.past, trail.future) == (page.past, page.future)
