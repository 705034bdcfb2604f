"""Whatever is clicked in a panel, no key and no menu of the notebook is meant."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page

from tests.browser.conftest import LabPage, keep_picture

pytestmark = pytest.mark.browser

SETUP = """
from workbench import Workbench
wb = Workbench({data!r})
"""
PANELS = ("annotate", "browse", "capture", "curate", "train", "evaluate", "models", "home")
OF_ALL_DATASETS = {"models", "home"}
CONTROLS = (
    "button, input, select, textarea, a, label, summary, [role=tab], [role=option], [role=slider],"
    " [role=menuitem], [role=button], [contenteditable=true], .lm-TabBar-tab, .wbg-cell"
)
# Points of a grid over a panel at which there is no control, in pixels of the page.
POINTS = """([root, controls]) => {
    const box = root.getBoundingClientRect();
    const points = [];
    for (let row = 0; row < 6; row++) for (let column = 0; column < 6; column++) {
        const x = box.left + box.width * (column + 0.5) / 6;
        const y = Math.max(box.top, 0) + (Math.min(box.bottom, innerHeight) -
            Math.max(box.top, 0)) * (row + 0.5) / 6;
        const hit = document.elementFromPoint(x, y);
        if (hit && root.contains(hit) && !hit.closest(controls)) points.push([x, y]);
    }
    return points;
}"""
HAS_KEYBOARD = "root => root.contains(document.activeElement)"


def cells(page: Page) -> int:
    return page.evaluate("window.jupyterapp.shell.currentWidget.content.model.cells.length")


def press_letters(page: Page) -> None:
    """Press every letter that the notebook has a command for, twice the one that deletes."""
    for letter in string.ascii_lowercase:
        page.keyboard.press(letter)
    page.keyboard.press("d")
    page.keyboard.press("d")
    # The annotator's F: what lies below is out of reach while it lasts.
    page.evaluate("document.fullscreenElement && document.exitFullscreen()")


def shown_panel(page: Page, name: str) -> Locator:
    """Return the panel in its cell, scrolled into sight."""
    cell = page.locator(".jp-Notebook .jp-CodeCell").nth(1 + PANELS.index(name))
    cell.scroll_into_view_if_needed()
    root = cell.locator("[data-wb-keys]").first
    root.wait_for()
    root.evaluate("root => root.scrollIntoView({block: 'start'})")
    return root


@pytest.mark.nightly  # minutes: each key in each panel
def test_no_click_in_a_panel_leaves_the_keyboard_with_the_notebook(
    lab_page: LabPage, dataset: Path
) -> None:
    name = dataset.name
    made = [f"wb.{one}({'' if one in OF_ALL_DATASETS else repr(name)})" for one in PANELS]
    lab_page.lab.write_notebook("keys.ipynb", SETUP.format(data=str(dataset.parent)), *made)
    lab_page.open_notebook("keys.ipynb")
    lab_page.run_all()
    page = lab_page.page
    before = cells(page)
    for name in PANELS:
        root = shown_panel(page, name)
        handle = root.element_handle()
        points = page.evaluate(POINTS, [handle, CONTROLS])
        assert points, name
        for x, y in points:
            page.mouse.click(x, y)
            page.keyboard.press("Escape")  # what the click has opened, such as a list
            assert page.evaluate(HAS_KEYBOARD, handle), (name, x, y)
            press_letters(page)
            page.mouse.click(x, y, button="right")
            assert page.locator(".lm-Menu-content").count() == 0, (name, x, y)
            page.keyboard.press("Escape")
            assert cells(page) == before, (name, x, y)
        keep_picture(page, f"keys-{name}")


def test_a_key_pressed_while_the_pointer_is_over_a_panel_is_the_panels(
    lab_page: LabPage, dataset: Path
) -> None:
    lab_page.lab.write_notebook(
        "hover.ipynb", SETUP.format(data=str(dataset.parent)), f'wb.curate("{dataset.name}")', "1"
    )
    lab_page.open_notebook("hover.ipynb")
    lab_page.run_all()
    page = lab_page.page
    before = cells(page)
    root = page.locator("[data-wb-keys]").first
    root.wait_for()
    prompt = page.locator(".jp-Notebook .jp-InputPrompt").nth(2)
    prompt.click()  # the notebook's own keys are on
    handle = root.element_handle()
    assert not page.evaluate(HAS_KEYBOARD, handle)
    root.hover(position={"x": 5, "y": 5})
    press_letters(page)
    assert cells(page) == before
    assert page.evaluate(HAS_KEYBOARD, handle)

    prompt.click()
    page.keyboard.press("b")  # and away from the panel they are as ever
    page.wait_for_function(
        "before => window.jupyterapp.shell.currentWidget.content.model.cells.length > before",
        arg=before,
    )
