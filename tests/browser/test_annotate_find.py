"""What is like a box, and the offer of files that are missing, in a real JupyterLab."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.browser.annotating import PANEL, Canvas, eventually, labels_of, scene
from tests.browser.conftest import LabPage, keep_picture

pytestmark = pytest.mark.browser

SIDE = 40
PLACES = [(80, 80), (300, 60), (480, 320)]
"""Where the same symbol stands on the second image."""


def symbol() -> np.ndarray:
    coarse = np.random.default_rng(3).integers(0, 255, (5, 5, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR))


@pytest.fixture
def plan(dataset: Path) -> Path:
    picture = scene(1)
    for x, y in PLACES:
        picture[y : y + SIDE, x : x + SIDE] = symbol()
    cv2.imwrite(str(dataset / "images/train/img_1.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 98])
    return dataset


def test_one_box_finds_its_like_and_words_ask_for_their_files(
    lab_page: LabPage, plan: Path
) -> None:
    data = str(plan.parent)
    cache = f"import os\nos.environ['XDG_CACHE_HOME'] = {f'{data}-cache'!r}\n"
    cell = PANEL.format(data=data, models=f"{data}-models", name=plan.name)
    lab_page.lab.write_notebook(f"{plan.name}.ipynb", cache + cell)
    lab_page.open_notebook(f"{plan.name}.ipynb")
    lab_page.run_all()
    canvas = Canvas(lab_page.page)
    canvas.wait_for_any()
    canvas.stage.focus()
    canvas.press("d")
    canvas.wait_for("img_1.jpg")

    (x, y), *others = PLACES
    canvas.press("3")
    canvas.drag((x, y), (x + SIDE, y + SIDE))
    drawn = (2, x, y, x + SIDE, y + SIDE)
    eventually(labels_of(plan, 1), [drawn])
    canvas.press("s")
    menu = canvas.root.get_by_role("menu", name="Look for")
    menu.wait_for()
    keep_picture(lab_page.page, "find-menu")
    menu.get_by_role("menuitem", name="The same pixels, on this image").click()
    canvas.root.get_by_text("2 to review", exact=True).wait_for()
    keep_picture(lab_page.page, "find-found")
    canvas.press("Shift+Enter")

    def near() -> bool:
        found = sorted(row[:3] for row in labels_of(plan, 1)())
        expected = sorted([drawn[:3], *((2, *place) for place in others)])
        return len(found) == len(expected) and bool(
            np.abs(np.array(found) - np.array(expected)).max() <= 2
        )

    eventually(near, True)

    # Without the weights nothing is looked for, and nothing fetched: the page asks.
    canvas.root.get_by_role("button", name="Suggest boxes").click()
    menu.get_by_role("menuitem", name="The classes in words").click()
    offer = canvas.root.get_by_role("alert").filter(has_text="yoloe-11s-seg.pt")
    offer.wait_for()
    offer.get_by_role("button", name="Fetch 3 files (629 MB)").wait_for()
    offer.evaluate("found => Promise.all(found.getAnimations().map((one) => one.finished))")
    keep_picture(lab_page.page, "find-offer")
    offer.get_by_role("button", name="Not now").click()
    offer.wait_for(state="hidden")
    assert not list(Path(f"{data}-cache").rglob("*.pt"))
