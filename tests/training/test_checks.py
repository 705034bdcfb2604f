"""A dataset is judged before training starts on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from workbench.errors import LabelFormatError
from workbench.persistence.models import DatasetInfo, LabelTable
from workbench.training.checks import find_errors, find_warnings

INFO = DatasetInfo("cells", Path("/cells"), ["red", "white"])


def table(
    *images: tuple[str, list[int] | None], problems: list[Exception] | None = None
) -> LabelTable:
    """A table of images: the split, and the class ids of their boxes (None: not labelled)."""
    boxes = [(i, class_id) for i, (_, ids) in enumerate(images) for class_id in ids or []]
    return LabelTable(
        filenames=[f"{i}.jpg" for i in range(len(images))],
        splits=[split for split, _ in images],
        labelled=np.array([ids is not None for _, ids in images], dtype=bool),
        image_index=np.array([i for i, _ in boxes], dtype=np.int64),
        class_id=np.array([class_id for _, class_id in boxes], dtype=np.int64),
        boxes=np.full((len(boxes), 4), 0.5),
        problems=problems or [],
    )


def test_a_sound_dataset_has_nothing_to_complain_about() -> None:
    sound = table(("train", [0, 1]), ("train", []), ("val", [0, 1]))
    assert find_errors(INFO, sound) == []
    assert find_warnings(INFO, sound) == []


@pytest.mark.parametrize(
    ("images", "problem", "remedy"),
    [
        ([("val", [0])], "no images in train", "capture or import"),
        ([("train", None), ("val", [0])], "none of its 1 images in train has a box", "label some"),
        ([("train", []), ("val", [0])], "none of its 1 images in train has a box", "label some"),
        ([("train", [0])], "no images in val", "move some images to val"),
        ([("train", [0]), ("val", None)], "none of its 1 images in val has a box", "label some"),
        ([("train", [0, 7]), ("val", [0])], "class ids 7", "append the missing names"),
    ],
)
def test_what_makes_training_pointless_is_an_error_with_a_remedy(
    images: list[tuple[str, list[int] | None]], problem: str, remedy: str
) -> None:
    [error] = find_errors(INFO, table(*images))
    assert problem in error
    assert remedy in error


def test_an_empty_dataset_names_both_splits() -> None:
    assert len(find_errors(INFO, table())) == 2


def test_a_class_without_boxes_is_a_warning_for_each_split() -> None:
    train, val = find_warnings(INFO, table(("train", [0]), ("val", [1])))
    assert "No box in train for white" in train
    assert "No box in val for red" in val


@pytest.mark.parametrize(
    ("as_background", "fate"), [(False, "are left out"), (True, "count as background")]
)
def test_unlabelled_images_are_a_warning(as_background: bool, fate: str) -> None:
    images = [("train", [0, 1]), ("val", [0, 1]), *[("train", None)] * 7]
    [warning] = find_warnings(INFO, table(*images), as_background)
    assert warning.startswith(f"7 images of train have no labels yet and {fate}")
    assert "2.jpg, 3.jpg, 4.jpg, 5.jpg, 6.jpg and 2 more" in warning


def test_unreadable_labels_are_named() -> None:
    problem = LabelFormatError("labels/train/1.txt", 3, "expected 5 numbers")
    sound = table(("train", [0, 1]), ("val", [0, 1]), problems=[problem])
    [warning] = find_warnings(INFO, sound)
    assert "labels/train/1.txt, line 3: expected 5 numbers" in warning
