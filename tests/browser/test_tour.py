"""The tour in a real JupyterLab: run from top to bottom, and a box drawn in it by hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.browser.annotating import Canvas, eventually
from tests.browser.conftest import ROOT, RUN_ALL_CELLS, Lab, LabPage

pytestmark = pytest.mark.browser

SIDE = 160
TRAINING_MS = 240_000
SETTINGS = """
import os
os.environ["WORKBENCH_QUICK"] = "1"
os.environ["WORKBENCH_TOUR"] = {folder!r}
"""


def copy_tour(lab: Lab, folder: Path) -> str:
    """Put the tour into the lab's folder, told to be quick and where to work."""
    notebook = nbformat.read(ROOT / "notebooks" / "00_tour.ipynb", as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(SETTINGS.format(folder=str(folder))))
    nbformat.write(notebook, lab.folder / "tour.ipynb")
    return "tour.ipynb"


def rows(labels: Path) -> Callable[[], Any]:
    """Read pixel corners and classes of the only label file that was not there before."""
    known = set(labels.iterdir())

    def read() -> Any:
        new = sorted(set(labels.iterdir()) - known)
        return [_pixels(line) for file in new for line in file.read_text().splitlines()]

    return read


def _pixels(line: str) -> tuple[int, ...]:
    class_id, x, y, width, height = (float(field) for field in line.split())
    corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return int(class_id), *(round(corner * SIDE) for corner in corners)


def shoot(lab_page: LabPage, name: str) -> None:
    """Keep a picture where WORKBENCH_SHOTS names a folder: for a person to look at."""
    folder = os.environ.get("WORKBENCH_SHOTS")
    if folder:
        lab_page.page.screenshot(path=Path(folder) / f"{name}.png")


def test_the_tour_runs_and_a_box_drawn_in_it_is_on_disk(lab_page: LabPage, tmp_path: Path) -> None:
    folder = tmp_path / "tour"
    lab_page.open_notebook(copy_tour(lab_page.lab, folder))
    lab_page.page.evaluate(RUN_ALL_CELLS)
    # The last cell shows the tabs: everything before it has run by then.
    lab_page.page.get_by_role("tab", name="Train", exact=True).wait_for(timeout=TRAINING_MS)
    assert lab_page.page.locator(".jp-RenderedText[data-mime-type*=error]").count() == 0

    canvas = Canvas(lab_page.page)
    canvas.root.scroll_into_view_if_needed()
    canvas.wait_for_any()
    drawn = rows(folder / "data" / "shapes" / "labels" / "train")
    canvas.stage.focus()
    canvas.press("2")
    canvas.drag((20, 30), (90, 110))
    eventually(drawn, [(1, 20, 30, 90, 110)])
    canvas.wait_saved()
    shoot(lab_page, "tour")
    train = lab_page.page.get_by_role("button", name="Start").first
    train.scroll_into_view_if_needed()
    shoot(lab_page, "tour-train")

    tabs = lab_page.page.locator(".jp-OutputArea-output", has=lab_page.page.get_by_role("tab"))
    tabs.scroll_into_view_if_needed()
    tabs.locator("option", has_text="shapes (24 images)").wait_for(state="attached")
    tabs.get_by_role("tab", name="Browse", exact=True).click()
    tabs.locator('.wbg-scroll[data-ready="true"]').wait_for()
    tabs.get_by_role("tab", name="Annotate", exact=True).click()
    tabs.locator('.wb-stage[data-shown$=".jpg"]').wait_for()
    shoot(lab_page, "tour-tabs")
    # `workbench lab` fetches no news, so it does not ask whether to either.
    assert lab_page.page.get_by_text("official Jupyter news").count() == 0
    assert lab_page.errors == []
