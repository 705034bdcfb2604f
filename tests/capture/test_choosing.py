"""Names, triggers, splits and the cheap looks at a frame."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import cv2
import numpy as np
import pytest

from tests.capture.scripted import jpeg, picture
from workbench.capture.detection import as_classes_of
from workbench.capture.frames import Frame
from workbench.capture.names import burst_of, clean_prefix, image_name, new_burst
from workbench.capture.settings import CaptureSettings, choose_split
from workbench.capture.similarity import difference, sharpness, thumbnail
from workbench.capture.triggers import Every, Motion, Trigger
from workbench.datasets.grouping import group_of_name
from workbench.persistence.models import Prediction
from workbench.persistence.yolo.names import check_filename


def test_names_are_unique_and_sort_by_time_also_across_processes() -> None:
    script = (
        "from workbench.capture.names import new_burst\n"
        "for _ in range(300): print(new_burst('cup'))"
    )
    others = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    here = [new_burst("cup") for _ in range(300)]
    there = [other.communicate(timeout=60)[0].split() for other in others]
    for names in (here, *there):
        assert names == sorted(names)
    assert len({*here, *there[0], *there[1]}) == 900


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("cup", "cup"),
        ("", "image"),
        ("a/b\\c:*?", "a-b-c"),
        ("../..", "image"),
        ("CON", "CON"),
        ("Tässe 2", "Tässe-2"),
        ("长" * 100, "长" * 20),
        (".hidden", "hidden"),
    ],
)
def test_names_can_be_stored_and_keep_bursts_together(prefix: str, expected: str) -> None:
    assert clean_prefix(prefix) == expected
    first, second = new_burst(prefix), new_burst(prefix)
    names = [image_name(first, i) for i in (1, 2, 10, 1000)]
    assert [check_filename(name) for name in names] == names == sorted(names)
    assert {burst_of(name) for name in names} == {first}
    groups = {group_of_name(name) for name in names}
    assert len(groups) == 1
    assert group_of_name(image_name(second, 1)) not in groups
    assert burst_of("holiday_0001.jpg") is None


def taken(trigger: Trigger, times: list[float], greys: list[int] | None = None) -> list[float]:
    wants = trigger.begin()
    greys = greys or [0] * len(times)
    frames = [Frame(picture(grey), t, i) for i, (t, grey) in enumerate(zip(times, greys))]  # noqa: B905
    return [frame.time for frame in frames if wants(frame, thumbnail(frame))]


def test_a_rate_is_met_in_the_long_run() -> None:
    camera = [100 + i / 30 for i in range(300)]
    assert len(taken(Every(), camera)) == 300
    assert len(taken(Every.rate(5), camera)) == 50
    assert len(taken(Every.rate(7), camera)) == 70
    jittered = [t + 0.004 * (-1) ** i for i, t in enumerate(camera)]
    assert len(taken(Every.rate(30), jittered)) == 300
    assert taken(Every(60), [0, 30, 59, 61, 90, 120, 500, 510, 560]) == [0, 59, 120, 500, 560]
    assert taken(Every(1), [10, 10.5, 3, 3.5, 4]) == [10, 3, 4]  # wound back


def test_motion_is_a_change_but_not_of_the_light() -> None:
    times = [float(i) for i in range(40)]
    still = [0] * 10 + [60] + [0] * 29
    moved = taken(Motion(threshold=20), times, still)
    assert moved == [10.0]
    assert taken(Motion(threshold=20), times, list(range(40))) == []
    flicker = [0, 60] * 20
    assert len(taken(Motion(threshold=20, seconds=5), times, flicker)) in (7, 8)


@pytest.mark.parametrize("bad", [lambda: Every(-1), lambda: Every.rate(0), lambda: Motion(0)])
def test_triggers_that_cannot_be(bad: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        bad()  # type: ignore[operator]


def test_noise_is_no_difference_and_a_jpeg_is_no_other_picture() -> None:
    rng = np.random.default_rng(1)
    image = cv2.resize(rng.integers(0, 255, (9, 16, 3), dtype=np.uint8), (1280, 720))
    noisy = np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)
    frames = [Frame(image, 0, 0), Frame(noisy, 0, 1), Frame(None, 0, 2, encoded=jpeg(image))]
    small = [thumbnail(frame) for frame in frames]
    assert frames[2].pixels is None  # never decoded in full
    assert difference(small[0], small[1]) < 1
    assert difference(small[0], small[2]) < 1.5
    moved = Frame(np.roll(image, 40, axis=1), 0, 3)
    assert difference(small[0], thumbnail(moved)) > 3


def test_blurred_is_less_sharp() -> None:
    rng = np.random.default_rng(1)
    image = cv2.resize(rng.integers(0, 255, (90, 160, 3), dtype=np.uint8), (1280, 720))
    blurred = cv2.GaussianBlur(image, (0, 0), 12)
    limit = CaptureSettings().min_sharpness
    assert sharpness(Frame(image, 0, 0)) > 4 * limit
    assert sharpness(Frame(None, 0, 0, encoded=jpeg(image))) > 4 * limit
    assert sharpness(Frame(blurred, 0, 0)) < limit


def test_bursts_keep_the_ratio() -> None:
    counts: Counter[str] = Counter(train=3)
    for size in [5, 1, 9, 3] * 40:
        counts[choose_split({"train": 0.7, "val": 0.2, "test": 0.1}, counts)] += size
    total = counts.total()
    assert counts["train"] / total == pytest.approx(0.7, abs=0.02)
    assert counts["val"] / total == pytest.approx(0.2, abs=0.02)
    assert choose_split("val", counts) == "val"


@pytest.mark.parametrize(
    "bad",
    [
        {"split": "holdout"},
        {"split": {"train": -1}},
        {"split": {"train": 0}},
        {"extension": ".gif"},
        {"min_difference": -1},
        {"detections": "maybe"},
    ],
)
def test_settings_that_cannot_be(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        CaptureSettings(**bad)  # type: ignore[arg-type]


def test_classes_are_matched_by_name() -> None:
    found = [Prediction(i, 0.5, 0.5, 0.1, 0.1, 0.9) for i in range(3)]
    matched = as_classes_of(["cup", "spoon"], ["spoon", "fork", "cup"], found)
    assert [p.class_id for p in matched] == [1, 0]
    assert [p.class_id for p in as_classes_of(["cup"], [], found)] == [0]
