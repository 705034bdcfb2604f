"""Suggested crops in a real JupyterLab: the wrong ones clicked, the rest accepted; on disk."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import expect

from tests.browser.annotating import CELL, HEIGHT, PLATELET, WIDTH, eventually
from tests.browser.browsing import show_gallery, write_images
from tests.browser.conftest import Lab, LabPage, keep_picture
from workbench.persistence.models import Prediction
from workbench.persistence.suggestion_blocks import SuggestionSource, format_block, new_block

pytestmark = pytest.mark.browser

MODEL = SuggestionSource("model", "cells-1", "ab" * 32)


def prediction(box: tuple[int, float, float, float, float], score: float) -> Prediction:
    cls, left, top, right, bottom = box
    x, y = (left + right) / 2 / WIDTH, (top + bottom) / 2 / HEIGHT
    return Prediction(cls, x, y, (right - left) / WIDTH, (bottom - top) / HEIGHT, score)


@pytest.fixture
def suggested(lab: Lab) -> Path:
    """Twelve images; on the five that are not labelled a cell and a platelet are suggested."""
    root = write_images(lab.folder, f"ds_{uuid4().hex[:8]}")
    found = {
        ("train", f"img_{index:02}.jpg"): [
            prediction(CELL, 0.95 - index / 100),
            prediction(PLATELET, 0.5 - index / 100),
        ]
        for index in (1, 5, 7, 9, 11)
    }
    block = new_block(MODEL, found)
    folder = root / ".workbench" / "suggestions"
    folder.mkdir(parents=True)
    (folder / block.file_name).write_bytes(format_block(block))
    return root


def new_labels(root: Path) -> dict[str, int]:
    """How many boxes there are on the images that had no labels."""
    found = {}
    for index in (1, 5, 7, 9, 11):
        file = root / "labels" / "train" / f"img_{index:02}.txt"
        if file.exists():
            found[file.stem] = len(file.read_text().splitlines())
    return found


@pytest.mark.smoke
def test_click_the_wrong_ones_accept_the_rest_and_undo(lab_page: LabPage, suggested: Path) -> None:
    gallery = show_gallery(lab_page, suggested)
    gallery.root.get_by_role("radio", name="Suggested", exact=True).click()
    gallery.wait_count("10 boxes")
    assert [
        box.get_attribute("aria-label")
        for box in gallery.root.get_by_role("combobox").all()
        if "order" in (box.get_attribute("aria-label") or "").lower()
    ] == ["Order of the suggestions"]
    gallery.wait_painted()
    gallery.root.get_by_label("Least score in percent").fill("60")
    gallery.root.get_by_label("Least score in percent").press("Tab")
    gallery.wait_count("5 boxes")
    gallery.wait_painted()
    assert gallery.names() == [f"img_{index:02}.jpg" for index in (1, 5, 7, 9, 11)]
    # One click after the other, without a key.
    gallery.cell("img_05").click()
    gallery.cell("img_09").click()
    gallery.wait_selected(2)
    keep_picture(lab_page.page, "browse-suggested")
    gallery.button("Accept the rest").click()
    gallery.root.get_by_role("menuitem", name="Of all 5 that are listed").click()
    gallery.wait_message("3 suggested boxes accepted on 3 images, 2 suggested boxes rejected.")
    eventually(lambda: new_labels(suggested), {"img_01": 1, "img_07": 1, "img_11": 1})
    gallery.wait_count("0 boxes")
    for name in ("Accept the rest", "Accept", "All"):
        expect(gallery.button(name)).to_have_attribute("title", "Nothing is listed here.")

    gallery.button("Undo").click()
    gallery.wait_count("5 boxes")
    eventually(lambda: new_labels(suggested), {})
    # The same with keys: what is in sight.
    gallery.grid.focus()
    gallery.grid.press("Shift+Enter")
    eventually(lambda: sum(new_labels(suggested).values()), 5)
    gallery.root.get_by_role("radio", name="Images", exact=True).click()
    gallery.wait_count("12 images")
