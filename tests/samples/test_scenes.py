"""Generated scenes: the same each time, with boxes that are exact."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from workbench.geometry import to_pixels
from workbench.samples import CLASSES, moving_scenes, scenes
from workbench.samples.shapes import SHAPES, Sprite, draw

BACKGROUND = np.zeros((60, 80, 3))
WHITE = (255.0, 255.0, 255.0)


def _sprite(kind: str = "square", **changes: float) -> Sprite:
    values = {"x": 40.0, "y": 30.0, "radius": 20.0, "angle": 0.0} | changes
    return Sprite(kind=kind, colour=WHITE, **values)


def test_the_same_seed_gives_the_same_scenes_however_many_are_asked_for() -> None:
    few, many = list(scenes(3, seed=5)), list(scenes(5, seed=5))

    for first, second in zip(few, many, strict=False):
        assert (first.frame == second.frame).all()
        assert first.annotations == second.annotations
    assert not (few[0].frame == next(scenes(1, seed=6)).frame).all()
    assert not (few[0].frame == few[1].frame).all()


@pytest.mark.parametrize(("size", "shape"), [(64, (64, 64, 3)), ((96, 48), (48, 96, 3))])
def test_frames_are_what_the_stores_take(
    size: int | tuple[int, int], shape: tuple[int, ...]
) -> None:
    for scene in (*scenes(2, image_size=size), *moving_scenes(2, image_size=size)):
        assert scene.frame.dtype == np.uint8
        assert scene.frame.shape == shape


def test_boxes_are_of_known_classes_whole_pixels_and_inside() -> None:
    seen = set()
    for scene in scenes(30, image_size=(160, 120)):
        pixels = to_pixels([item.xywh for item in scene.annotations], 160, 120)
        assert np.allclose(pixels, np.rint(pixels), atol=1e-9)
        assert (pixels >= -1e-9).all()
        assert (pixels <= np.array([160, 120, 160, 120]) + 1e-9).all()
        assert (pixels[:, 2:] > pixels[:, :2]).all()
        seen |= {item.class_id for item in scene.annotations}

    assert seen == set(range(len(CLASSES)))


def test_some_images_have_nothing_to_find() -> None:
    empty = [not scene.annotations for scene in scenes(50)]

    assert empty.count(True) >= 2
    assert empty.count(False) >= 45


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("angle", [0.0, 0.4, 2.0])
def test_the_box_is_that_of_the_pixels_that_are_lit(kind: str, angle: float) -> None:
    picture = draw([_sprite(kind, angle=angle)], BACKGROUND)

    rows, columns = np.nonzero(picture.colours.max(axis=2) > 127)
    left, top, right, bottom = picture.boxes[0]
    # Edges are soft: the outermost pixel may be lit by half or a little less.
    assert abs(left - columns.min()) <= 1
    assert abs(right - columns.max() - 1) <= 1
    assert abs(top - rows.min()) <= 1
    assert abs(bottom - rows.max() - 1) <= 1
    assert picture.visible == [1.0]


def test_a_square_has_the_box_that_it_should() -> None:
    # Half the side is 0.76 of the radius: 15.2 pixels to each side of 40, 30.
    assert draw([_sprite()], BACKGROUND).boxes == [(25, 15, 55, 45)]


def test_what_is_covered_is_not_in_the_box() -> None:
    picture = draw([_sprite(), _sprite(x=55.0)], BACKGROUND)

    assert picture.boxes == [(25, 15, 40, 45), (40, 15, 70, 45)]
    assert picture.visible == [0.5, 1.0]


def test_what_is_outside_is_not_in_the_box_and_counts_as_hidden() -> None:
    picture = draw([_sprite(x=0.0), _sprite(x=-100.0), _sprite(y=500.0)], BACKGROUND)

    assert picture.boxes == [(0, 15, 15, 45), (0, 0, 0, 0), (0, 0, 0, 0)]
    assert picture.visible == [0.5, 0.0, 0.0]


def test_a_shot_moves_smoothly() -> None:
    shot = list(moving_scenes(30, fps=15.0, seed=3))

    steps = [
        np.abs(after.frame.astype(float) - before.frame).mean() for before, after in pairwise(shot)
    ]
    whole = np.abs(shot[-1].frame.astype(float) - shot[0].frame).mean()
    assert max(steps) < whole


@pytest.mark.parametrize("seed", range(4))
def test_a_shot_begins_with_every_class(seed: int) -> None:
    [scene] = moving_scenes(1, seed=seed)

    assert {item.class_id for item in scene.annotations} == {0, 1, 2}


def test_a_shot_goes_the_same_way_at_every_frame_rate() -> None:
    slow = list(moving_scenes(3, fps=5.0, seed=1))
    fast = list(moving_scenes(5, fps=10.0, seed=1))

    assert [scene.annotations for scene in slow] == [scene.annotations for scene in fast[::2]]


def test_numbers_that_cannot_be_are_named() -> None:
    with pytest.raises(ValueError, match="at least 32 pixels, found 160 x 20"):
        next(scenes(1, image_size=(160, 20)))
    with pytest.raises(ValueError, match="fps"):
        next(moving_scenes(1, fps=0))
