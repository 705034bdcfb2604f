"""The weights that a first lesson starts from, and the drawn things that they were taught on."""

from __future__ import annotations

import cv2
import numpy as np

from tests.helpers.shipped_weights import facts_of
from tools.start_scenes import FAMILIES, scenes
from workbench.training.base_models import START


def test_it_is_small_and_holds_no_code_and_no_folder_of_who_made_it() -> None:
    facts = facts_of(START)
    assert facts["class_names"] == list(FAMILIES)
    assert facts["base_model"] == "yolo11n.yaml"
    assert facts["metrics"]["metrics/mAP50(B)"] > 0.3


def test_the_same_seed_draws_the_same_things_of_every_kind() -> None:
    drawn, again = [*scenes(40, seed=5)], [*scenes(40, seed=5)]
    for (frame, boxes), (other, others) in zip(drawn, again, strict=True):
        assert np.array_equal(frame, other)
        assert boxes == others
    assert {box.class_id for _, boxes in drawn for box in boxes} == set(range(len(FAMILIES)))


def test_boxes_lie_in_their_picture_and_around_something() -> None:
    for frame, boxes in scenes(20, seed=6):
        height, width = frame.shape[:2]
        assert 160 <= width <= 256 >= height
        for box in boxes:
            assert 0 < box.width <= 1
            assert 0 < box.height <= 1
            assert box.x - box.width / 2 >= -1e-9
            assert box.y + box.height / 2 <= 1 + 1e-9
        assert cv2.Laplacian(frame, cv2.CV_64F).std() > 0
