"""Boxes as arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench import geometry

size = st.floats(1, 8192)
unit = st.floats(0, 1)
box = st.tuples(unit, unit, st.floats(1e-6, 1), st.floats(1e-6, 1))
corners = st.tuples(unit, unit, unit, unit).map(
    lambda c: (min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3]))
)


@pytest.mark.parametrize("empty", [[], np.empty((0, 4)), ()])
def test_no_boxes_have_four_columns_all_the_same(empty: object) -> None:
    for function in (
        geometry.as_boxes,
        geometry.xywh_to_xyxy,
        geometry.xyxy_to_xywh,
        geometry.clip_xywh,
        geometry.clip_xyxy,
    ):
        assert function(empty).shape == (0, 4)
    assert geometry.area(empty).shape == (0,)
    assert geometry.iou(empty, [0, 0, 1, 1]).shape == (0, 1)


@pytest.mark.parametrize("shape", [(3,), (2, 5), (1, 1, 4)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(n, 4\)"):
        geometry.as_boxes(np.zeros(shape))


def test_pixels_by_hand() -> None:
    # A box over the right half of a picture of 640 x 480.
    assert geometry.to_pixels([0.75, 0.5, 0.5, 1.0], 640, 480).tolist() == [[320, 0, 640, 480]]
    assert geometry.to_normalised([320, 0, 640, 480], 640, 480).tolist() == [[0.75, 0.5, 0.5, 1.0]]


@given(st.lists(box, max_size=5), size, size)
def test_pixels_and_back(boxes: list[tuple[float, ...]], width: float, height: float) -> None:
    there = geometry.to_pixels(boxes, width, height)
    back = geometry.to_normalised(there, width, height)
    assert np.allclose(back, geometry.as_boxes(boxes), rtol=0, atol=1e-12)


@given(st.lists(corners, max_size=5))
def test_corners_and_back(boxes: list[tuple[float, ...]]) -> None:
    back = geometry.xywh_to_xyxy(geometry.xyxy_to_xywh(boxes))
    assert np.allclose(back, geometry.as_boxes(boxes), rtol=0, atol=1e-15)


@given(st.lists(st.tuples(*[st.floats(-3, 3)] * 2, *[st.floats(0.001, 3)] * 2), max_size=5))
def test_clipping_keeps_what_is_inside(boxes: list[tuple[float, ...]]) -> None:
    clipped = geometry.clip_xywh(boxes)
    assert [list(geometry.clip_box(*one)) for one in boxes] == clipped.tolist()
    before = geometry.xywh_to_xyxy(boxes)
    after = geometry.xywh_to_xyxy(clipped)
    assert ((after >= -1e-12) & (after <= 1 + 1e-12)).all()
    inside = ((before >= 0) & (before <= 1)).all(axis=1)
    assert np.array_equal(clipped[inside], geometry.as_boxes(boxes)[inside])
    unit_square = np.array([[0.0, 0.0, 1.0, 1.0]])
    overlap = [
        max(0.0, min(r, 1) - max(x, 0)) * max(0.0, min(b, 1) - max(y, 0)) for x, y, r, b in before
    ]
    assert np.allclose(geometry.area(after), overlap, atol=1e-9)
    assert geometry.iou(after, unit_square).shape == (len(boxes), 1)


def test_clipping_does_not_change_its_input() -> None:
    boxes = np.array([[0.0, 0.5, 0.5, 0.5]])
    geometry.clip_xywh(boxes)
    assert boxes.tolist() == [[0.0, 0.5, 0.5, 0.5]]


def test_iou_by_hand() -> None:
    overlap = geometry.iou([[0, 0, 2, 2]], [[1, 1, 3, 3], [0, 0, 2, 2], [2, 0, 4, 2], [5, 5, 5, 5]])
    assert overlap.tolist() == [[1 / 7, 1.0, 0.0, 0.0]]
    assert geometry.iou([[1, 1, 1, 1]], [[1, 1, 1, 1]]).tolist() == [[0.0]]


@given(st.lists(corners, min_size=1, max_size=4), st.lists(corners, min_size=1, max_size=4))
def test_iou_is_symmetric_and_a_fraction(
    first: list[tuple[float, ...]], second: list[tuple[float, ...]]
) -> None:
    overlap = geometry.iou(first, second)
    assert np.array_equal(overlap, geometry.iou(second, first).T)
    assert ((overlap >= 0) & (overlap <= 1 + 1e-12)).all()


def test_area_of_a_box_that_is_inside_out() -> None:
    assert geometry.area([[2, 2, 1, 3], [0, 0, 2, 3]]).tolist() == [0.0, 6.0]


def test_overlapping_pairs_are_those_of_iou(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geometry, "_PAIRS_AT_ONCE", 50)  # some rows at a time
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 0.6, (40, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(0.1, 0.4, (40, 2))], axis=1)
    rows, columns, overlap = geometry.overlapping(boxes, boxes[:17], 0.3)
    every = geometry.iou(boxes, boxes[:17])
    assert list(zip(rows, columns, strict=True)) == [*map(tuple, np.argwhere(every >= 0.3))]
    assert np.array_equal(overlap, every[rows, columns])
    assert [len(part) for part in geometry.overlapping([], boxes, 0.3)] == [0, 0, 0]
