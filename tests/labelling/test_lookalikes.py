"""Things of the same look are found where they were put."""

from __future__ import annotations

import numpy as np
import pytest

from workbench import geometry
from workbench.datasets.prelabelling import Task
from workbench.geometry import to_pixels
from workbench.labelling import Example, LookAlikeLabeller

TASK = Task(["screw", "nut"])


def symbol(side: int, seed: int = 3) -> np.ndarray:
    import cv2

    coarse = np.random.default_rng(seed).integers(0, 255, (5, 5, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_LINEAR))


def picture(places: dict[tuple[int, int], np.ndarray]) -> np.ndarray:
    frame = np.random.default_rng(0).integers(90, 110, (300, 400, 3), dtype=np.uint8)
    for (x, y), look in places.items():
        frame[y : y + look.shape[0], x : x + look.shape[1]] = look
    return frame


async def test_the_same_thing_is_found_at_other_places_and_sizes() -> None:
    other, larger = symbol(40, seed=9), symbol(45)
    shown = picture({(20, 30): symbol(40), (200, 30): other})
    looked_at = picture({(100, 50): symbol(40), (300, 200): larger, (20, 200): other})
    example = Example(shown, np.array([[20.0, 30, 60, 70], [200, 30, 240, 70]]), [0, 1])
    labeller = LookAlikeLabeller([example], likeness=0.8)
    source = await labeller.start(TASK)
    assert (source.kind, source.details["like"]) == ("pixels", ["screw", "nut"])
    [found, nothing] = await labeller.label([looked_at, picture({})])
    assert nothing == []
    truth = {(0, (100, 50, 140, 90)), (0, (300, 200, 345, 245)), (1, (20, 200, 60, 240))}
    assert len(found) == 3
    for prediction in found:
        xywh = [[prediction.x, prediction.y, prediction.width, prediction.height]]
        [box] = to_pixels(xywh, 400, 300)
        best = max(
            float(geometry.iou([box], [true])[0, 0])
            for class_id, true in truth
            if class_id == prediction.class_id
        )
        assert best > 0.8
        assert prediction.confidence >= 0.8


async def test_another_example_is_another_source() -> None:
    frame = picture({(20, 30): symbol(40), (200, 30): symbol(40, seed=9)})
    sources = []
    for box in ([20.0, 30, 60, 70], [200.0, 30, 240, 70]):
        labeller = LookAlikeLabeller([Example(frame, np.array([box]), [0])])
        sources.append((await labeller.start(TASK)).id)
    assert sources[0] != sources[1]


@pytest.mark.parametrize(
    ("box", "message"),
    [([20.0, 30, 24, 70], "at least 6 by 6 pixels"), ([0.0, 0, 50, 50], "of one colour")],
)
def test_what_everything_would_be_like_is_refused(box: list[float], message: str) -> None:
    frame = np.full((100, 100, 3), 90, np.uint8)
    with pytest.raises(ValueError, match=message):
        LookAlikeLabeller([Example(frame, np.array([box]), [0])])


def test_no_box_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one box"):
        LookAlikeLabeller([])
    with pytest.raises(ValueError, match="likeness"):
        LookAlikeLabeller([], likeness=0)
