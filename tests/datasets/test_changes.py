"""What operations return: a description, and a way back that says when it is closed."""

from __future__ import annotations

import pytest

from workbench.datasets.changes import BoxRef, counted, undoing
from workbench.errors import AlreadyExistsError, ConflictError, InvalidBoxError, NotFoundError


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 boxes"), (1, "1 box"), (2, "2 boxes"), (1234567, "1,234,567 boxes")],
)
def test_things_are_counted_in_words(number: int, text: str) -> None:
    assert counted(number, "box", "boxes") == text


def test_a_plural_is_made_where_none_is_given() -> None:
    assert counted(1, "image") == "1 image"
    assert counted(3, "image") == "3 images"


@pytest.mark.parametrize("error", [NotFoundError("a.jpg is gone"), AlreadyExistsError("taken")])
def test_an_undo_that_meets_newer_work_is_a_conflict(error: Exception) -> None:
    with (
        pytest.raises(ConflictError, match=r"cannot undo \(3 images moved\).*nothing was undone"),
        undoing("3 images moved"),
    ):
        raise error


def test_other_errors_of_an_undo_are_not_hidden() -> None:
    with pytest.raises(InvalidBoxError), undoing("3 images moved"):
        raise InvalidBoxError("of another kind")


def test_a_box_knows_its_image() -> None:
    assert BoxRef("val", "a.jpg", 2).image == ("val", "a.jpg")
