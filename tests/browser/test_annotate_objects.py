"""The menu of boxes, the list of objects, full screen, and an annotator that is in sight wholly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.annotating import CELL, PLATELET, Canvas, eventually, labels_of, show
from tests.browser.conftest import LabPage, keep_picture

pytestmark = pytest.mark.browser

INSIDE = (0, 320, 70, 380, 130)


def _menu_item(canvas: Canvas, name: str) -> None:
    canvas.root.locator(".wb-menu").get_by_text(name, exact=True).click()


def test_the_menu_of_a_box_changes_it_and_undo_takes_it_back(
    lab_page: LabPage, dataset: Path
) -> None:
    canvas, labels = show(lab_page, dataset), labels_of(dataset)
    menu = canvas.root.get_by_role("menu")
    canvas.click(150, 140, button="right")
    expect(menu).to_have_attribute("aria-label", "cell, 100 × 80")
    expect(menu.get_by_role("menuitemradio", name="cell")).to_be_focused()
    keep_picture(lab_page.page, "box_menu")
    _menu_item(canvas, "crystal")
    eventually(labels, [(2, *CELL[1:]), PLATELET])
    expect(menu).to_be_hidden()
    expect(canvas.stage).to_be_focused()
    canvas.press("m", "1")  # the key of the class, in the menu
    eventually(labels, [CELL, PLATELET])
    canvas.press("Shift+F")
    eventually(labels, [PLATELET, CELL])
    canvas.click(150, 140, button="right")
    _menu_item(canvas, "Duplicate")
    eventually(labels, [PLATELET, CELL, (0, 110, 110, 210, 190)])
    canvas.press("m")
    for letter in "del":
        lab_page.page.keyboard.press(letter)
    expect(menu.get_by_role("menuitem", name="Delete")).to_be_focused()
    canvas.press("Enter")
    eventually(labels, [PLATELET, CELL])
    for expected in ([PLATELET, CELL, (0, 110, 110, 210, 190)], [PLATELET, CELL], [CELL, PLATELET]):
        canvas.press("Control+z")
        eventually(labels, expected)
    canvas.press("m", "Escape")
    expect(canvas.stage).to_be_focused()
    assert lab_page.page.locator(".jp-Notebook .jp-Cell").count() == 1


def test_a_locked_box_is_drawn_upon_and_its_menu_unlocks_it(
    lab_page: LabPage, dataset: Path
) -> None:
    canvas, labels = show(lab_page, dataset), labels_of(dataset)
    canvas.click(350, 150, button="right")
    _menu_item(canvas, "Lock")
    canvas.click(350, 150, button="right")
    delete = canvas.root.get_by_role("menuitem", name="Delete")
    assert delete.get_attribute("title") == "Locked: unlock it first."
    delete.click(force=True)
    eventually(labels, [CELL, PLATELET])
    _menu_item(canvas, "Unlock")
    canvas.press("Delete")
    eventually(labels, [CELL])
    canvas.press("Escape")
    canvas.click(600, 450, button="right")  # no box there: the picture's menu
    expect(canvas.root.get_by_role("menu")).to_have_attribute("aria-label", "This image")
    _menu_item(canvas, "Select all")
    canvas.press("Delete")
    eventually(labels, [])


def test_the_list_of_objects_selects_locks_and_hides(lab_page: LabPage, dataset: Path) -> None:
    canvas, labels = show(lab_page, dataset), labels_of(dataset)
    canvas.drag(INSIDE[1:3], INSIDE[3:])
    eventually(labels, [CELL, PLATELET, INSIDE])
    listed = canvas.root.get_by_role("grid", name="Objects of this image")
    rows = listed.get_by_role("row")
    order = canvas.root.get_by_label("Order of the objects")

    def sizes() -> list[str]:
        cells = rows.locator(".wb-object-size").all_inner_texts()
        places = [int(row.get_attribute("aria-rowindex") or 0) for row in rows.all()]
        return [text for _, text in sorted(zip(places, cells, strict=True))]

    assert sizes() == ["100 × 80", "120 × 200", "60 × 60"]
    order.select_option("Largest first")
    assert sizes() == ["120 × 200", "100 × 80", "60 × 60"]
    keep_picture(lab_page.page, "objects")

    # By keys: into the list, to the second, locked; the picture is left as it is.
    listed.get_by_role("button", name="platelet").click()
    expect(rows.nth(1)).to_have_attribute("aria-selected", "true")
    canvas.press("ArrowDown", "ArrowRight", "Enter")
    expect(listed.get_by_role("button", name="Lock").nth(0)).to_have_attribute(
        "aria-pressed", "true"
    )
    canvas.press("ArrowRight", "Space", "Escape")
    expect(canvas.stage).to_be_focused()
    canvas.press("Control+a", "Delete")  # neither the locked nor the hidden one
    eventually(labels, [CELL])
    canvas.press("o")
    expect(listed).to_be_hidden()
    assert (
        canvas.root.get_by_role("button", name="List of the objects").get_attribute("aria-pressed")
        == "false"
    )


def test_full_screen_shows_all_of_it_and_comes_back(lab_page: LabPage, dataset: Path) -> None:
    canvas = show(lab_page, dataset)
    before = canvas.stage.bounding_box()
    canvas.stage.focus()
    canvas.press("f")
    lab_page.page.wait_for_function("document.fullscreenElement?.matches('.wb-annotate')")
    lab_page.page.wait_for_function(
        "innerHeight - document.querySelector('.wb-status').getBoundingClientRect().bottom < 2"
    )
    keep_picture(lab_page.page, "full_screen")
    canvas.press("f")
    lab_page.page.wait_for_function("document.fullscreenElement === null")
    eventually(canvas.stage.bounding_box, before)


def test_the_filmstrip_leads_to_images_and_shows_which_are_labelled(
    lab_page: LabPage, dataset: Path
) -> None:
    canvas = show(lab_page, dataset)
    canvas.stage.focus()
    canvas.press("i")
    strip = canvas.root.get_by_role("group", name="Images around this one")
    first, second = strip.get_by_role("button").nth(0), strip.get_by_role("button").nth(1)
    expect(first).to_have_attribute("aria-label", "Image 1, img_0.jpg, labelled")
    expect(second).to_have_attribute("aria-label", "Image 2, img_1.jpg, not labelled")
    lab_page.page.wait_for_function(
        "[...document.querySelectorAll('.wb-strip img')].every((image) => image.naturalWidth > 99)"
    )
    second.click()
    canvas.wait_for("img_1.jpg")
    expect(second).to_have_attribute("aria-current", "true")
    expect(canvas.stage).to_be_focused()
    canvas.drag((10, 10), (60, 70))
    expect(second).to_have_attribute("aria-label", "Image 2, img_1.jpg, labelled")
    second.focus()
    canvas.press("ArrowRight", "Enter")
    canvas.wait_for("img_2.jpg")
    keep_picture(lab_page.page, "filmstrip")
    lab_page.set_theme("JupyterLab Dark")
    canvas.click(30, 30, button="right")
    keep_picture(lab_page.page, "filmstrip_dark")
    lab_page.set_theme("JupyterLab Light")


def test_in_tabs_the_annotator_is_in_sight_below_three_lines_without_scrolling(
    open_lab_page: Callable[..., LabPage], dataset: Path
) -> None:
    lab_page = open_lab_page(viewport={"width": 1440, "height": 900})
    data = str(dataset.parent)
    name = f"tabs_{dataset.name}.ipynb"
    lab_page.lab.write_notebook(
        name,
        f"from workbench import Workbench\nwb = Workbench({data!r})\n"
        f"wb.open({dataset.name!r}, 'Annotate')",
    )
    lab_page.open_notebook(name)
    lab_page.run_all()
    canvas = Canvas(lab_page.page)
    canvas.wait_for_any()
    lab_page.page.locator(".jp-WindowedPanel-outer").first.evaluate(
        "element => { element.scrollTop = 0; }"
    )
    status = canvas.root.locator(".wb-status")
    eventually(lambda: _is_wholly_in_sight(lab_page, status), True)
    keep_picture(lab_page.page, "tabs_annotate")


def _is_wholly_in_sight(lab_page: LabPage, part: Locator) -> bool:
    area = part.bounding_box()
    sight = lab_page.page.locator(".jp-WindowedPanel-outer").first.bounding_box()
    assert area is not None
    assert sight is not None
    return bool(area["y"] + area["height"] <= sight["y"] + sight["height"])
