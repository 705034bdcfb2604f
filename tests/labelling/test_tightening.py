"""Boxes drawn in to edges: on pictures whose true boxes are known, and where there is no edge."""

from __future__ import annotations

import numpy as np
import pytest

from workbench import geometry
from workbench.geometry import to_pixels
from workbench.labelling.tightening import tightened
from workbench.samples import scenes

SIDE = 160


def test_boxes_that_are_nearly_right_become_right() -> None:
    rng = np.random.default_rng(3)
    before, after = [], []
    for frame, boxes in scenes(12, image_size=SIDE):
        if not boxes:
            continue
        true = to_pixels([box.xywh for box in boxes], SIDE, SIDE)
        sides = np.tile(true[:, 2:] - true[:, :2], 2)
        loose = np.clip(true + rng.normal(0, 0.08, true.shape) * sides, 0, SIDE)
        tight = tightened(frame, loose)
        before += np.diag(geometry.iou(loose, true)).tolist()
        after += np.diag(geometry.iou(tight, true)).tolist()
    assert np.mean(before) < 0.85
    assert np.mean(after) > 0.9
    assert np.mean(np.array(after) >= 0.75) > np.mean(np.array(before) >= 0.75)


@pytest.mark.parametrize(
    "box", [(10, 10, 60, 60), (0, 0, SIDE, SIDE), (-5, -5, 3, 3), (158, 158, 170, 170)]
)
def test_without_an_edge_or_room_a_box_stays(box: tuple[float, ...]) -> None:
    frame = np.full((SIDE, SIDE, 3), 90, np.uint8)
    assert tightened(frame, [box]).tolist() == [list(box)]


def test_what_is_elsewhere_is_not_taken_for_it() -> None:
    """A box on plain ground does not jump to a thing beside it."""
    frame = np.full((SIDE, SIDE, 3), 90, np.uint8)
    frame[20:60, 62:100] = (0, 0, 250)
    [box] = tightened(frame, [(20, 20, 60, 60)])
    assert geometry.iou([box], [(20, 20, 60, 60)])[0, 0] >= 0.45


def test_nothing_is_nothing() -> None:
    assert tightened(np.zeros((8, 8, 3), np.uint8), []).shape == (0, 4)
