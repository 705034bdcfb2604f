"""What more images are likely to be worth, on curves that are known."""

from __future__ import annotations

import pytest

from workbench.labelling.lessons import Lesson
from workbench.labelling.outlook import outlook


def lesson(taught: int, map50: float, *, held_out: int = 20) -> Lesson:
    return Lesson(f"m-{taught}", taught, held_out, map50, 50, 0.5, 0.3, False, True)


def test_few_points_tell_nothing() -> None:
    assert outlook([]) is None
    assert outlook([lesson(40, 0.5), lesson(80, 0.6)]) is None
    # Nor do those that were measured on next to nothing.
    assert outlook([lesson(8, 0.3, held_out=2), lesson(40, 0.5), lesson(80, 0.6)]) is None


@pytest.mark.parametrize(("best", "loss", "speed"), [(0.9, 2.0, 0.5), (0.95, 4.0, 0.8)])
def test_a_curve_that_is_there_is_found(best: float, loss: float, speed: float) -> None:
    def truth(images: int) -> float:
        return best - loss * images**-speed

    found = outlook([lesson(n, truth(n)) for n in (160, 40, 80, 320)])
    assert found is not None
    assert found.images == [40, 80, 160, 320]
    for images in (200, 370, 640):
        assert found.at(images) == pytest.approx(truth(images), abs=0.01)
    assert found.gain(50) == pytest.approx(truth(370) - truth(320), abs=0.004)


def test_it_is_said_in_a_sentence() -> None:
    rising = outlook([lesson(40, 0.5), lesson(80, 0.65), lesson(160, 0.76)])
    assert rising is not None
    assert str(rising).startswith("the next 50 images are worth about +")
    flat = outlook([lesson(40, 0.9), lesson(80, 0.91), lesson(160, 0.91)])
    assert flat is not None
    assert "next to nothing" in str(flat)
    # Where more images made it worse, nobody is promised anything.
    falling = outlook([lesson(40, 0.9), lesson(80, 0.85), lesson(160, 0.8)])
    assert falling is not None
    assert falling.gain() == 0
    frame = rising.to_frame()
    assert frame["measured"].dropna().tolist() == [0.5, 0.65, 0.76]
    assert frame["images"].max() == 320
    assert frame["curve"].is_monotonic_increasing
