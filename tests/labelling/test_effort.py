"""A page of crops, as the simulated person of `benchmarks/effort.py` reviews it in Browse."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from benchmarks.effort import Desk, Picture, Scores
from benchmarks.effort_person import Person, Shown
from workbench.persistence import create_stores
from workbench.persistence.models import NewImage, Prediction
from workbench.persistence.suggestion_blocks import new_block
from workbench.persistence.suggestions import SuggestionSource

CUP, SPOON = Shown(0, (10, 10, 50, 50)), Shown(1, (60, 10, 90, 90))
NOWHERE = Shown(1, (0, 90, 10, 100))
PAGE = 1 + 6 + 1 + 2
"""The tab, order and threshold; the rest accepted; the images and a scroll."""


def proposed(box: Shown, score: float) -> Prediction:
    left, top, right, bottom = (value / 100 for value in box.xyxy)
    centre = (left + right) / 2, (top + bottom) / 2
    return Prediction(box.class_id, *centre, right - left, bottom - top, score)


async def desk_with(
    folder: Path, images: dict[str, tuple[list[Shown], list[Prediction]]]
) -> tuple[Desk, list[Picture]]:
    stores = create_stores(folder / "data", folder / "models")
    await stores.dataset.create("table", classes=["cup", "spoon"])
    pixels = cv2.imencode(".png", np.zeros((100, 100, 3), np.uint8))[1].tobytes()
    await stores.image.add_many("table", [NewImage(name, "train", pixels) for name in images])
    found = {("train", name): boxes for name, (_, boxes) in images.items()}
    source = SuggestionSource("one", "model", "one")
    await stores.image.add_suggestions("table", [new_block(source, found)])
    pictures = [
        Picture(("train", name), pixels, (100, 100), truth) for name, (truth, _) in images.items()
    ]
    return Desk(stores, "table", Person(0.75)), pictures


async def test_a_page_is_paid_for_and_right_at_its_end(tmp_path: Path) -> None:
    right = [proposed(CUP, 0.9), proposed(SPOON, 0.8)]
    images = {
        "a.png": ([CUP, SPOON], right),
        "b.png": ([CUP, SPOON], [*right, proposed(NOWHERE, 0.6)]),
        "c.png": ([], [proposed(NOWHERE, 0.2)]),
        "d.png": ([CUP, SPOON], right[:1]),
        "e.png": ([CUP], [*right[:1], proposed(NOWHERE, 0.2)]),
        "f.png": ([CUP], []),
    }
    desk, pictures = await desk_with(tmp_path, images)
    done, beside = await desk.label_pages(pictures, 0.5, Scores(0.5), is_new=True)
    # f.png has no crop, so the page says nothing of it. On d.png the spoon is drawn, with its key.
    assert done == [(0, True), (0, True), (1, True), (1 + 3, True), (0, True)]
    assert beside == PAGE + 1 + 1 + 2  # the wrong crop; background; to the annotator and back
    files = tmp_path / "data/table/labels/train"
    lines = {path.stem: len(path.read_text().splitlines()) for path in files.glob("*.txt")}
    assert lines == {"a": 2, "b": 2, "c": 0, "d": 2, "e": 1}


async def test_after_a_good_page_several_are_reviewed_at_once(tmp_path: Path) -> None:
    right = [proposed(CUP, 0.9)]
    images = {f"{number:03}.png": ([CUP], right) for number in range(100)}
    desk, pictures = await desk_with(tmp_path, images)
    done, beside = await desk.label_pages(pictures, 0.5, Scores(0.5), is_new=True)
    assert done == [(0, True)] * 40
    assert beside == PAGE
    done, beside = await desk.label_pages(pictures[40:], 0.5, Scores(0.5), is_new=False)
    assert done == [(0, True)] * 60
    # The tab, a scroll and two clicks for the rest; the images and two scrolls.
    assert beside == 1 + 1 + 2 + 3


async def test_a_page_with_much_wrong_costs_the_look_and_changes_nothing(tmp_path: Path) -> None:
    images = {"a.png": ([CUP], [proposed(CUP, 0.9), proposed(NOWHERE, 0.9)])}
    desk, pictures = await desk_with(tmp_path, images)
    assert await desk.label_pages(pictures, 0.5, Scores(0.5), is_new=False) == ([], 2)
    assert not [*(tmp_path / "data/table/labels").rglob("*.txt")]
