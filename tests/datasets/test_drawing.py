"""Boxes drawn on an image."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from workbench.datasets.drawing import class_colour, draw_boxes, to_png
from workbench.persistence.models import Annotation, Prediction

ROOT = Path(__file__).parents[2]
COLOURS = ROOT / "workbench" / "panels" / "shared" / "static" / "colours.mjs"
GREY = np.full((240, 320, 3), 127, dtype=np.uint8)


def _has(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (picture == np.array(colour, dtype=np.uint8)).all(axis=2)


def test_the_frame_stays_as_it_is_and_the_box_is_where_it_belongs() -> None:
    frame = GREY.copy()

    picture = draw_boxes(frame, [Annotation(1, x=0.5, y=0.5, width=0.5, height=0.5)], min_side=1)

    assert (frame == GREY).all()
    assert picture.shape == frame.shape
    line = _has(picture, class_colour(1))
    # 80, 60 to 240, 180: the last pixels inside are 239 and 179.
    assert line[60, 80:240].any()
    assert line[100, [80, 239]].all()
    assert line[179, 80:240].all()
    assert (picture[120, 100:220] == 127).all()
    assert (picture[200:, :] == 127).all()


def test_a_small_picture_is_enlarged_by_a_whole_factor() -> None:
    small = np.zeros((60, 80, 3), dtype=np.uint8)

    assert draw_boxes(small, [], min_side=200).shape == (180, 240, 3)
    assert draw_boxes(small, [], min_side=80).shape == small.shape


def test_names_stay_inside_the_picture() -> None:
    corners = [
        Annotation(0, x=x, y=y, width=0.1, height=0.1) for x in (0.05, 0.95) for y in (0.05, 0.95)
    ]

    picture = draw_boxes(GREY, corners, ["a long name"], min_side=1)
    labels = [draw_boxes(GREY, [corner], ["a long name"], min_side=1) for corner in corners]

    assert picture.shape == GREY.shape
    areas = [np.count_nonzero(_has(label, class_colour(0))) for label in labels]
    assert min(areas) > 0.9 * max(areas)


def test_a_prediction_shows_its_confidence_and_an_unknown_class_its_number() -> None:
    box = {"x": 0.5, "y": 0.5, "width": 0.2, "height": 0.2}
    seen = [
        draw_boxes(GREY, [annotation], ["cup"]).tobytes()
        for annotation in (
            Annotation(0, **box),
            Prediction(0, **box, confidence=0.5),
            Prediction(0, **box, confidence=0.9),
            Annotation(7, **box),
            Annotation(-1, **box),
        )
    ]

    assert len(set(seen)) == len(seen)


def test_colours_are_those_of_the_annotation_canvas() -> None:
    node = shutil.which("node")
    if node is None:
        if os.environ.get("CI"):
            pytest.fail("no node: install Node.js 20 or newer")
        pytest.skip("no node: install Node.js 20 or newer to compare with the front end")
    script = (
        f"const {{ classColour }} = await import({COLOURS.as_uri()!r}); "
        "console.log(JSON.stringify([...Array(60).keys()].map((id) => classColour(id).fill)))"
    )
    done = subprocess.run(
        [node, "--input-type=module", "-e", script], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr

    ours = [bytes(reversed(class_colour(class_id))).hex() for class_id in range(60)]

    assert [f"#{colour}" for colour in ours] == json.loads(done.stdout)
    assert len(set(ours)) == len(ours)


def test_png_holds_the_same_pixels() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (9, 13, 3), dtype=np.uint8)

    decoded = cv2.imdecode(np.frombuffer(to_png(picture), np.uint8), cv2.IMREAD_COLOR)

    assert (decoded == picture).all()
