"""The annotate panel in a real JupyterLab, worked with mouse and keys; asserted on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser.annotating import CELL, PLATELET, eventually, labels_of, show, yolo_row
from tests.browser.conftest import LabPage, keep_picture

pytestmark = pytest.mark.browser


@pytest.mark.smoke
def test_draw_move_resize_delete_undo_redo(lab_page: LabPage, dataset: Path) -> None:
    canvas, labels = show(lab_page, dataset), labels_of(dataset)
    keep_picture(lab_page.page, "light")

    canvas.drag((450, 300), (550, 400))
    eventually(labels, [CELL, PLATELET, (0, 450, 300, 550, 400)])
    canvas.wait_saved()
    keep_picture(lab_page.page, "drawn")

    canvas.move_box((500, 350), (480, 340))
    eventually(labels, [CELL, PLATELET, (0, 430, 290, 530, 390)])

    canvas.drag((530, 390), (600, 450))
    eventually(labels, [CELL, PLATELET, (0, 430, 290, 600, 450)])
    canvas.drag((430, 370), (400, 370))
    eventually(labels, [CELL, PLATELET, (0, 400, 290, 600, 450)])

    canvas.press("Delete")
    eventually(labels, [CELL, PLATELET])

    for expected in [(0, 400, 290, 600, 450), (0, 430, 290, 600, 450), (0, 430, 290, 530, 390)]:
        canvas.press("Control+z")
        eventually(labels, [CELL, PLATELET, expected])
    canvas.press("Control+y")
    eventually(labels, [CELL, PLATELET, (0, 430, 290, 600, 450)])
    canvas.press("Control+Shift+Z")
    eventually(labels, [CELL, PLATELET, (0, 400, 290, 600, 450)])


def test_classes_by_key_by_click_and_by_typing(lab_page: LabPage, dataset: Path) -> None:
    canvas, labels = show(lab_page, dataset), labels_of(dataset)
    canvas.click(150, 140)
    canvas.press("3")
    eventually(labels, [(2, *CELL[1:]), PLATELET])
    canvas.press("/")
    lab_page.page.keyboard.type("plat")
    canvas.press("Enter")
    eventually(labels, [(1, *CELL[1:]), PLATELET])
    canvas.root.get_by_role("option", name="cell").click()
    eventually(labels, [CELL, PLATELET])
    # The class of the selection is also what is drawn next; the focus is back on the stage.
    canvas.press("Escape", "2")
    canvas.drag((450, 300), (550, 400))
    eventually(labels, [CELL, PLATELET, (1, 450, 300, 550, 400)])


def test_walks_images_and_keeps_each_ones_boxes(lab_page: LabPage, dataset: Path) -> None:
    canvas = show(lab_page, dataset)
    canvas.stage.focus()
    canvas.press("d")
    canvas.wait_for("img_1.jpg")
    canvas.drag((10, 10), (60, 70))
    eventually(labels_of(dataset, 1), [(0, 10, 10, 60, 70)])
    canvas.press("Escape", "d")
    canvas.wait_for("img_2.jpg")
    canvas.press("b")
    eventually(labels_of(dataset, 2), [])
    canvas.root.get_by_text("nothing here", exact=True).wait_for()
    canvas.press("a", "a")
    canvas.wait_for("img_0.jpg")
    assert labels_of(dataset, 0)() == [CELL, PLATELET]
    canvas.root.get_by_text("3 of 3 labelled").wait_for()
    # The history of an image waits there for whoever comes back.
    canvas.press("d")
    canvas.wait_for("img_1.jpg")
    canvas.press("Control+z")
    eventually(labels_of(dataset, 1), ["no file"])


def test_a_box_drawn_while_zoomed_in_is_pixel_exact(lab_page: LabPage, dataset: Path) -> None:
    canvas, labels = show(lab_page, dataset), labels_of(dataset)
    canvas.stage.focus()
    lab_page.page.mouse.move(*canvas.at(500, 350))
    for _ in range(6):
        lab_page.page.mouse.wheel(0, -300)
    lab_page.page.wait_for_function(
        "() => JSON.parse(document.querySelector('.wb-stage').dataset.viewport).scale > 10"
    )
    canvas.drag((493, 341), (507, 356))
    eventually(labels, [CELL, PLATELET, (0, 493, 341, 507, 356)])
    before = canvas.at(500, 350)
    lab_page.page.keyboard.down("Space")
    canvas.drag((500, 350), (495, 350))
    lab_page.page.keyboard.up("Space")
    assert canvas.at(500, 350)[0] < before[0] - 20
    canvas.press("z")
    lab_page.page.wait_for_function(
        "() => JSON.parse(document.querySelector('.wb-stage').dataset.viewport).scale < 5"
    )
    canvas.drag((20, 300), (60, 360))
    eventually(labels, [CELL, PLATELET, (0, 493, 341, 507, 356), (0, 20, 300, 60, 360)])


@pytest.mark.nightly
def test_releasing_outside_finishes_the_box_inside_the_image(
    lab_page: LabPage, dataset: Path
) -> None:
    canvas, labels = show(lab_page, dataset), labels_of(dataset)
    stage = canvas.stage.bounding_box()
    assert stage is not None
    lab_page.page.mouse.move(*canvas.at(500, 400))
    lab_page.page.mouse.down()
    lab_page.page.mouse.move(stage["x"] + stage["width"] + 60, stage["y"] + stage["height"] + 30)
    lab_page.page.mouse.up()
    eventually(labels, [CELL, PLATELET, (0, 500, 400, 640, 480)])


def test_clicks_make_no_box_and_reach_the_box_inside_a_box(
    lab_page: LabPage, dataset: Path
) -> None:
    canvas, labels = show(lab_page, dataset), labels_of(dataset)
    canvas.click(600, 440)
    canvas.drag((600, 440), (601, 441))
    canvas.drag((330, 80), (360, 110))  # inside the platelet
    eventually(labels, [CELL, PLATELET, (0, 330, 80, 360, 110)])
    canvas.press("Escape")
    canvas.click(345, 95)
    canvas.press("3")
    eventually(labels, [CELL, PLATELET, (2, 330, 80, 360, 110)])
    canvas.click(345, 95)  # again: the box below
    canvas.press("3")
    eventually(labels, [CELL, (2, *PLATELET[1:]), (2, 330, 80, 360, 110)])


def test_everything_from_the_keyboard_and_no_key_reaches_the_notebook(
    lab_page: LabPage, dataset: Path
) -> None:
    canvas, labels = show(lab_page, dataset), labels_of(dataset)
    cells = lab_page.page.locator(".jp-Notebook .jp-Cell")
    canvas.stage.focus()
    canvas.press("Tab")  # reading order: the platelet is higher up
    canvas.press("ArrowRight", "Shift+ArrowDown", "Alt+ArrowRight")
    eventually(labels, [CELL, (1, 301, 60, 422, 260)])
    canvas.press("Tab", "Delete")
    eventually(labels, [(1, 301, 60, 422, 260)])
    canvas.press("w")
    eventually(lambda: len(labels()), 2)
    canvas.press("Control+a", "Delete")
    eventually(labels, [])
    canvas.press("x", "d", "d", "a", "a", "b", "m", "Escape", "y", "z", "Shift+M", "0", "0")
    canvas.press("Enter")
    canvas.wait_saved()
    assert cells.count() == 1
    assert cells.first.locator(".wb-annotate").count() == 1
    # Without boxes to walk, Tab leaves the stage.
    canvas.press("Escape", "Tab")
    assert lab_page.page.evaluate("document.activeElement.className") != "wb-stage"


def test_duplicate_copy_paste_and_copy_from_the_image_before(
    lab_page: LabPage, dataset: Path
) -> None:
    canvas, labels = show(lab_page, dataset), labels_of(dataset)
    canvas.click(150, 140)
    canvas.press("Control+d")
    eventually(labels, [CELL, PLATELET, (0, 110, 110, 210, 190)])
    canvas.press("Control+c", "d")
    canvas.wait_for("img_1.jpg")
    canvas.press("Control+v")
    eventually(labels_of(dataset, 1), [(0, 110, 110, 210, 190)])
    canvas.press("Control+z", "p")
    eventually(labels_of(dataset, 1), [CELL, PLATELET, (0, 110, 110, 210, 190)])


def test_several_boxes_move_together_and_locked_ones_stay(lab_page: LabPage, dataset: Path) -> None:
    canvas, labels = show(lab_page, dataset), labels_of(dataset)
    canvas.click(150, 140)
    lab_page.page.keyboard.down("Shift")
    canvas.drag((280, 40), (310, 60))
    lab_page.page.keyboard.up("Shift")
    canvas.move_box((350, 150), (360, 170))
    eventually(labels, [(0, 110, 120, 210, 200), (1, 310, 70, 430, 270)])
    canvas.press("l", "Delete", "ArrowRight")
    canvas.drag((450, 300), (550, 400))
    eventually(labels, [(0, 110, 120, 210, 200), (1, 310, 70, 430, 270), (0, 450, 300, 550, 400)])


def test_touch_draws_and_two_fingers_zoom(
    open_lab_page: Callable[..., LabPage], dataset: Path
) -> None:
    lab_page = open_lab_page(has_touch=True)
    canvas, labels = show(lab_page, dataset), labels_of(dataset)
    client = lab_page.page.context.new_cdp_session(lab_page.page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        found = [
            dict(zip("xy", canvas.at(*p), strict=True)) | {"id": i} for i, p in enumerate(points)
        ]
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": found})

    touch("touchStart", (450, 300))
    touch("touchMove", (500, 350))
    touch("touchMove", (550, 400))
    touch("touchEnd")
    eventually(labels, [CELL, PLATELET, (0, 450, 300, 550, 400)])

    def scale() -> float:
        return canvas.at(1, 0)[0] - canvas.at(0, 0)[0]

    before = scale()
    touch("touchStart", (300, 200), (340, 200))
    touch("touchMove", (260, 200), (380, 200))
    touch("touchEnd")
    lab_page.page.wait_for_timeout(100)
    assert scale() > before * 1.5
    assert len(labels()) == 3


def test_two_pages_follow_each_other_and_show_both_in_a_conflict(
    open_lab_page: Callable[..., LabPage], dataset: Path
) -> None:
    first, second = open_lab_page(), open_lab_page()
    mine = show(first, dataset, f"{dataset.name}-1.ipynb")
    theirs = show(second, dataset, f"{dataset.name}-2.ipynb")
    labels = labels_of(dataset)
    theirs.drag((450, 300), (550, 400))
    drawn = (0, 450, 300, 550, 400)
    eventually(labels, [CELL, PLATELET, drawn])
    mine.root.get_by_text("3 boxes", exact=True).wait_for()
    # What a program writes into a file as it is, nobody is told of.
    with (dataset / "labels/train/img_0.txt").open("r+") as file:
        file.truncate()
        file.write(yolo_row(*CELL))
    mine.drag((10, 10), (60, 60))
    mine.root.get_by_role("button", name="Keep mine").wait_for()
    keep_picture(first.page, "conflict")
    assert labels() == [CELL]
    mine.root.get_by_role("button", name="Take the file's").click()
    mine.wait_saved()
    mine.press("Control+z")  # taking theirs is a step like any other
    eventually(labels, [CELL, PLATELET, drawn, (0, 10, 10, 60, 60)])
    theirs.root.get_by_text("4 boxes", exact=True).wait_for()
    with (dataset / "labels/train/img_0.txt").open("r+") as file:
        file.truncate()
        file.write(yolo_row(*PLATELET))
    theirs.drag((200, 20), (260, 80))
    theirs.root.get_by_role("button", name="Keep mine").click()
    eventually(labels, [CELL, PLATELET, drawn, (0, 10, 10, 60, 60), (0, 200, 20, 260, 80)])


def test_nothing_is_lost_when_the_kernel_dies_and_the_page_is_reloaded(
    lab_page: LabPage, dataset: Path
) -> None:
    canvas, labels = show(lab_page, dataset), labels_of(dataset)
    lab_page.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.shutdown()"
    )
    canvas.drag((450, 300), (550, 400))
    canvas.root.locator('.wb-save[data-state="not saved"]').wait_for(timeout=20_000)
    keep_picture(lab_page.page, "kernel-gone")
    assert labels() == [CELL, PLATELET]
    canvas = show(lab_page, dataset)
    eventually(labels, [CELL, PLATELET, (0, 450, 300, 550, 400)])
    canvas.wait_saved()
    canvas.root.get_by_text("3 boxes", exact=True).wait_for()


PREDICTIONS = """
from workbench import Prediction
await panel.propose("img_1.jpg", [
    Prediction(0, .25, .25, .125, .125, confidence=.9),
    Prediction(1, .75, .75, .125, .125, confidence=.4),
])
await panel.show(1)
None
"""


def test_predictions_are_accepted_or_rejected_one_by_one(lab_page: LabPage, dataset: Path) -> None:
    canvas, labels = show(lab_page, dataset, more=(PREDICTIONS,)), labels_of(dataset, 1)
    canvas.wait_for("img_1.jpg")
    canvas.root.get_by_text("2 to review", exact=True).wait_for()
    keep_picture(lab_page.page, "predictions")
    assert labels() == ["no file"]
    canvas.stage.focus()
    canvas.press("Tab", "Enter")
    eventually(labels, [(0, 120, 90, 200, 150)])
    canvas.press("Tab", "Backspace")
    canvas.root.locator(".wb-review").wait_for(state="hidden")
    canvas.press("Control+z", "Shift+Enter")
    eventually(labels, [(0, 120, 90, 200, 150), (1, 440, 330, 520, 390)])


@pytest.mark.nightly
def test_an_image_that_cannot_be_shown_does_not_end_the_walk(
    lab_page: LabPage, dataset: Path
) -> None:
    (dataset / "images" / "train" / "img_1.jpg").write_bytes(b"no picture")
    canvas = show(lab_page, dataset)
    canvas.stage.focus()
    canvas.press("d")
    canvas.root.locator('.wb-notice[data-tone="problem"]').wait_for()
    keep_picture(lab_page.page, "corrupt")
    assert "img_1.jpg cannot be shown" in canvas.root.locator(".wb-notice").inner_text()
    canvas.press("d")
    canvas.wait_for("img_2.jpg")
    assert not canvas.root.locator(".wb-notice").is_visible()


def test_themes_narrow_cells_and_the_list_of_keys(lab_page: LabPage, dataset: Path) -> None:
    canvas = show(lab_page, dataset)
    canvas.click(150, 140)
    keep_picture(lab_page.page, "light")
    canvas.press("?")
    assert canvas.root.get_by_role("dialog", name="Keys").is_visible()
    keep_picture(lab_page.page, "help")
    canvas.press("Escape")
    assert not canvas.root.get_by_role("dialog", name="Keys").is_visible()
    lab_page.set_theme("JupyterLab Dark")
    canvas.press("g")
    lab_page.page.mouse.move(*canvas.at(400, 300))
    keep_picture(lab_page.page, "dark")
    lab_page.set_theme("JupyterLab Light")
    lab_page.page.set_viewport_size({"width": 760, "height": 950})
    lab_page.page.wait_for_timeout(300)
    keep_picture(lab_page.page, "narrow")
    canvas.drag((450, 300), (550, 400))
    eventually(labels_of(dataset), [CELL, PLATELET, (0, 450, 300, 550, 400)])


@pytest.mark.nightly
def test_every_control_has_a_name(lab_page: LabPage, dataset: Path) -> None:
    canvas = show(lab_page, dataset)
    nameless = canvas.root.evaluate(
        """(root) => [...root.querySelectorAll("button, input, [role=application], [role=listbox]")]
            .filter((e) => !e.getAttribute("aria-label") && !e.textContent.trim())
            .map((e) => e.outerHTML)"""
    )
    assert nameless == []
