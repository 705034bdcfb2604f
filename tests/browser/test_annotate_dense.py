"""Drawing where boxes lie upon boxes, and keys pressed after a click beside the controls."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.browser.annotating import CELL, PLATELET, eventually, labels_of, show
from tests.browser.conftest import LabPage, keep_picture

pytestmark = pytest.mark.browser


def _crowd(count: int) -> list[tuple[int, int, int, int, int]]:
    """Boxes all over the picture, many of which begin inside others."""
    rng = random.Random(5)
    boxes = []
    for _ in range(count):
        left, top = rng.randrange(20, 560), rng.randrange(20, 400)
        boxes.append((0, left, top, left + rng.randrange(12, 70), top + rng.randrange(12, 70)))
    return boxes


def test_every_drag_draws_wherever_it_starts(lab_page: LabPage, dataset: Path) -> None:
    canvas, labels = show(lab_page, dataset), labels_of(dataset)
    crowd = _crowd(60)
    # One drag from the middle of the box that was just drawn, one from inside a chosen box.
    crowd += [(0, 300, 300, 400, 400), (0, 350, 350, 420, 420), (0, 130, 120, 180, 170)]
    for _, left, top, right, bottom in crowd[:-1]:
        canvas.drag((left, top), (right, bottom))
    canvas.click(110, 150)  # selects the cell, which then has handles
    canvas.drag(crowd[-1][1:3], crowd[-1][3:])
    eventually(labels, [CELL, PLATELET, *crowd])
    keep_picture(lab_page.page, "dense")


def test_a_drawn_box_takes_class_keys_and_has_handles_once_it_is_clicked(
    lab_page: LabPage, dataset: Path
) -> None:
    canvas, labels = show(lab_page, dataset), labels_of(dataset)
    canvas.drag((450, 300), (550, 400))
    canvas.press("2")
    eventually(labels, [CELL, PLATELET, (1, 450, 300, 550, 400)])
    canvas.drag((550, 400), (600, 450))  # from its corner: another box
    eventually(labels, [CELL, PLATELET, (1, 450, 300, 550, 400), (1, 550, 400, 600, 450)])
    canvas.click(500, 350)
    canvas.drag((450, 300), (440, 290))
    eventually(labels, [CELL, PLATELET, (1, 440, 290, 550, 400), (1, 550, 400, 600, 450)])


def test_boxes_are_selected_and_moved_by_dragging_when_asked_for(
    lab_page: LabPage, dataset: Path
) -> None:
    canvas, labels = show(lab_page, dataset), labels_of(dataset)
    toggle = canvas.root.get_by_role("button", name="Select by dragging")
    toggle.click()
    assert toggle.get_attribute("aria-pressed") == "true"
    canvas.drag((80, 80), (450, 270))  # around both
    canvas.drag((150, 140), (160, 150))  # and both move
    eventually(labels, [(0, 110, 110, 210, 190), (1, 310, 60, 430, 260)])
    canvas.press("v")
    canvas.drag((150, 140), (190, 180))
    eventually(labels, [(0, 110, 110, 210, 190), (1, 310, 60, 430, 260), (0, 150, 140, 190, 180)])


@pytest.mark.nightly
def test_redo_selects_what_it_brought_back(lab_page: LabPage, dataset: Path) -> None:
    canvas, labels = show(lab_page, dataset), labels_of(dataset)
    canvas.drag((450, 300), (550, 400))
    eventually(labels, [CELL, PLATELET, (0, 450, 300, 550, 400)])
    canvas.press("Control+z", "Escape", "Control+y", "3")
    eventually(labels, [CELL, PLATELET, (2, 450, 300, 550, 400)])


def test_a_key_that_has_nothing_to_do_says_why(lab_page: LabPage, dataset: Path) -> None:
    canvas = show(lab_page, dataset)
    canvas.stage.focus()
    hint = canvas.root.locator(".wb-hint")
    for key, text in [
        ("p", "The image shown before has no boxes to copy."),
        ("Delete", "No box is selected: click one first."),
        ("Control+v", "No box has been copied yet."),
        ("Control+y", "There is nothing to redo on this image."),
        ("b", "There are boxes on this image: delete them first."),
        ("a", "This is the first image."),
    ]:
        canvas.press(key)
        hint.get_by_text(text, exact=True).wait_for()
    keep_picture(lab_page.page, "hint")


@pytest.mark.nightly
def test_arrows_on_a_button_or_a_slider_leave_the_image(lab_page: LabPage, dataset: Path) -> None:
    canvas, labels = show(lab_page, dataset), labels_of(dataset)
    canvas.click(150, 140)
    canvas.root.get_by_role("button", name="Zoom in").focus()
    lab_page.page.keyboard.press("ArrowRight")
    eventually(labels, [(0, 101, 100, 201, 180), PLATELET])
    canvas.root.get_by_label("Brightness", exact=True).focus()
    lab_page.page.keyboard.press("ArrowRight")
    lab_page.page.keyboard.press("PageUp")
    canvas.wait_saved()
    assert canvas.stage.get_attribute("data-shown") == "img_0.jpg"
    assert labels() == [(0, 101, 100, 201, 180), PLATELET]


def test_any_click_in_it_takes_the_keyboard_from_the_notebook(
    lab_page: LabPage, dataset: Path
) -> None:
    canvas = show(lab_page, dataset)
    cells = lab_page.page.locator(".jp-Notebook .jp-Cell")
    for part in (".wb-name", ".wb-save", ".wb-total", ".wb-class-list", ".wb-light", ".wb-status"):
        area = canvas.root.locator(part).first.bounding_box()
        assert area is not None
        lab_page.page.mouse.click(area["x"] + area["width"] - 3, area["y"] + area["height"] - 3)
        assert lab_page.page.evaluate("document.activeElement.className") == "wb-stage", part
        for key in "ddyxbam":
            lab_page.page.keyboard.press(key)
        assert cells.count() == 1, part
        assert canvas.root.is_visible(), part
    canvas.root.locator(".wb-stage").click(button="right")
    assert lab_page.page.get_by_text("Delete Cell").count() == 0
