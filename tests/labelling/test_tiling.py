from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from workbench.labelling.tiling import join, tile_side, tiles_of


@pytest.mark.parametrize(
    ("size", "object_size", "side"),
    [
        ((640, 480), 4.0, 320),  # two thirds of the object would still be lost
        ((640, 480), 40.0, None),
        ((4000, 3000), 20.0, 534),
        ((4000, 3000), 60.0, 640),
        ((4000, 3000), 200.0, None),
        ((300, 300), 3.0, None),
        ((1500, 1500), None, None),
        ((4000, 3000), None, 640),
    ],
)
def test_tiles_where_objects_are_small_for_the_network(
    size: tuple[int, int], object_size: float | None, side: int | None
) -> None:
    found = tile_side(*size, 640, object_size)
    if size == (640, 480) and side == 320:
        assert found is not None
        assert 160 <= found < 640
    else:
        assert found == side


@pytest.mark.parametrize("size", [(4000, 3000), (641, 640), (100, 2000), (640, 640), (5, 5)])
def test_tiles_cover_a_picture_and_overlap(size: tuple[int, int]) -> None:
    width, height = size
    covered = np.zeros((height, width), dtype=np.int32)
    tiles = tiles_of(width, height, 640)
    for left, top, right, bottom in tiles:
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        covered[top:bottom, left:right] += 1
    assert covered.min() == 1
    rows = sorted({left for left, *_ in tiles})
    assert all(after - before <= 480 for before, after in pairwise(rows))


def boxes(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


def test_halves_of_an_object_go_where_a_tile_has_all_of_it() -> None:
    tiles = [(0, 0, 100, 100), (75, 0, 175, 100)]
    whole, half, other = [80.0, 10, 120, 40], [80.0, 10, 100, 40], [20.0, 20, 50, 50]
    found, classes, scores = join(
        tiles,
        [boxes(half, other), boxes(whole)],
        [np.array([0, 0]), np.array([0])],
        [np.array([0.9, 0.5]), np.array([0.6])],
    )
    assert found.tolist() == [whole, other]
    assert classes.tolist() == [0, 0]
    assert scores.tolist() == [0.6, 0.5]


def test_of_one_object_in_two_tiles_the_surer_stays() -> None:
    tiles = [(0, 0, 100, 100), (50, 0, 150, 100)]
    found, _, scores = join(
        tiles,
        [boxes([60, 10, 90, 40]), boxes([61, 10, 91, 40])],
        [np.array([0]), np.array([0])],
        [np.array([0.5]), np.array([0.75])],
    )
    assert found.tolist() == [[61, 10, 91, 40]]
    assert scores.tolist() == [0.75]


def test_another_class_and_neighbours_of_one_tile_stay() -> None:
    tiles = [(0, 0, 100, 100), (50, 0, 150, 100)]
    found, classes, _ = join(
        tiles,
        [boxes([60, 10, 90, 40], [62, 12, 92, 42]), boxes([60, 10, 90, 40])],
        [np.array([0, 0]), np.array([1])],
        [np.array([0.9, 0.8]), np.array([0.7])],
    )
    assert len(found) == 3
    assert classes.tolist() == [0, 0, 1]


def test_nothing_found() -> None:
    found, classes, scores = join([(0, 0, 9, 9)], [boxes()], [np.zeros(0, np.int64)], [np.zeros(0)])
    assert (len(found), len(classes), len(scores)) == (0, 0, 0)
