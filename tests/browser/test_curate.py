"""The curate panel in a real JupyterLab, worked with mouse and keys; asserted on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Locator, Page

from tests.browser.annotating import CELL, eventually, yolo_row
from tests.browser.browsing import Gallery, write_images
from tests.browser.conftest import Lab, LabPage, keep_picture

pytestmark = pytest.mark.browser

PANEL = """
from workbench import CuratePanel, create_stores
stores = create_stores(data_dir={data!r}, models_dir={models!r})
panel = CuratePanel({name!r}, stores)
panel
"""


class Curate:
    """The curate panel of a page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.root: Locator = page.locator(".wb-panel").first

    def turn_to(self, title: str) -> None:
        """Open a page of the panel."""
        self.root.get_by_role("tab", name=title).click()

    def button(self, name: str) -> Locator:
        """A button that is in sight, by the words on it."""
        return self.root.locator("button:visible", has_text=name).first

    def finding(self, text: str) -> Locator:
        """An entry of the list of findings."""
        return self.root.locator(".curate-finding", has_text=text)

    def wait_status(self, text: str) -> None:
        """Wait until the status line says this."""
        self.root.locator(".wb-status-line", has_text=text).wait_for()


@pytest.fixture
def images(lab: Lab) -> Path:
    """A dataset of twelve images; the labels of img_02 and img_06 have their box twice."""
    root = write_images(lab.folder, f"ds_{uuid4().hex[:8]}")
    for name in ("img_02", "img_06"):
        (root / "labels" / "train" / f"{name}.txt").write_text(yolo_row(*CELL) * 2)
    return root


def show_panel(lab_page: LabPage, root: Path) -> Curate:
    """Open a notebook with a panel on a dataset."""
    lab = lab_page.lab
    cell = PANEL.format(data=str(root.parent), models=str(lab.folder / "models"), name=root.name)
    lab.write_notebook(f"{root.name}.ipynb", cell)
    lab_page.open_notebook(f"{root.name}.ipynb")
    lab_page.run_all()
    curate = Curate(lab_page.page)
    curate.root.get_by_role("tab", name="Health").wait_for()
    return curate


def rows_of(root: Path, name: str) -> Callable[[], int]:
    """Count the rows of a label file, whenever it is called."""
    return lambda: len((root / "labels" / "train" / f"{name}.txt").read_text().splitlines())


def test_a_finding_is_looked_at_repaired_and_undone(lab_page: LabPage, images: Path) -> None:
    curate = show_panel(lab_page, images)
    curate.button("Check").click()
    twice = curate.finding("written twice in a label file")
    twice.click()
    curate.root.locator('.curate-finding[aria-pressed="true"]', has_text="twice").wait_for()
    keep_picture(lab_page.page, "curate-health-light")

    curate.button("Show 2 images").click()
    gallery = Gallery(lab_page.page)
    gallery.wait_painted()
    gallery.wait_count("2 of 12 images")
    assert gallery.names() == ["img_02.jpg", "img_06.jpg"]
    keep_picture(lab_page.page, "curate-gallery")
    curate.button("Back").click()

    curate.button("Preview").click()
    curate.root.get_by_role("region", name="Preview of the repair").wait_for()
    assert rows_of(images, "img_02")() == 2
    curate.button("Apply").click()
    eventually(rows_of(images, "img_02"), 1)
    eventually(rows_of(images, "img_06"), 1)
    twice.wait_for(state="detached")
    curate.wait_status("2 boxes deleted.")

    curate.button("Undo: 2 boxes deleted").click()
    eventually(rows_of(images, "img_02"), 2)
    twice.wait_for()
    curate.wait_status("Undone: 2 boxes deleted.")


@pytest.mark.nightly
def test_plots_have_numbers_on_hover_without_any_network(lab_page: LabPage, images: Path) -> None:
    page = lab_page.page
    asked: list[str] = []
    page.context.route(lambda url: not url.startswith(lab_page.lab.url), lambda way: way.abort())
    page.on("request", lambda request: asked.append(request.url))
    curate = show_panel(lab_page, images)
    curate.turn_to("Statistics")
    plots = curate.root.locator(".wb-plot.js-plotly-plot")
    plots.nth(6).wait_for()
    curate.root.get_by_text("640 × 480").wait_for()
    keep_picture(page, "curate-plots-light")
    first = plots.first
    first.scroll_into_view_if_needed()
    bar = first.locator(".bars path").first.bounding_box()
    assert bar is not None
    page.mouse.move(bar["x"] + bar["width"] / 2, bar["y"] + bar["height"] / 2)
    first.locator(".hoverlayer", has_text="cell").wait_for()
    assert "train: 8 boxes" in (first.locator(".hoverlayer").text_content() or "")

    lab_page.set_theme("JupyterLab Dark")
    page.mouse.move(bar["x"] + bar["width"] / 2 + 2, bar["y"] + bar["height"] / 2)
    keep_picture(page, "curate-plots-dark")
    lab_page.set_theme("JupyterLab Light")
    page.context.unroute_all()
    here = ("blob:", "data:", lab_page.lab.url, lab_page.lab.url.replace("http", "ws", 1))
    assert [url for url in asked if not url.startswith(here)] == []


def test_a_class_is_renamed_from_the_keyboard_and_no_key_reaches_the_notebook(
    lab_page: LabPage, images: Path
) -> None:
    curate = show_panel(lab_page, images)
    cells = lab_page.page.locator(".jp-Notebook .jp-Cell")
    number = cells.count()
    press = lab_page.page.keyboard.press
    curate.turn_to("Classes")
    curate.root.get_by_label("Class", exact=True).select_option("platelet (1)")
    curate.root.get_by_label("New name").fill("thrombocyte")
    press("Tab")
    press("Enter")
    curate.root.get_by_text("thrombocyte (1)").wait_for()
    assert "platelet" in (images / "data.yaml").read_text()
    press("Tab")
    press("Enter")
    eventually(lambda: "thrombocyte" in (images / "data.yaml").read_text(), True)
    curate.root.locator(".wb-table", has_text="thrombocyte").first.wait_for()
    for key in ("d", "d", "b", "a", "x"):
        press(key)
    keep_picture(lab_page.page, "curate-classes")
    assert cells.count() == number
    undo = curate.button("Undo: class 'platelet' renamed")
    begins, cut = undo.evaluate(
        """(button) => {
            const words = document.createRange();
            words.selectNode(button.lastChild);
            const { left } = words.getBoundingClientRect();
            return [left - button.getBoundingClientRect().left, button.scrollWidth];
        }"""
    )
    assert begins > 0, "what is too long for the button is cut off at its end only"
    assert cut > undo.evaluate("(button) => button.clientWidth"), "these words are too long"


def test_a_class_is_given_a_colour(lab_page: LabPage, images: Path) -> None:
    curate = show_panel(lab_page, images)
    curate.turn_to("Classes")
    curate.root.get_by_label("Change").select_option("Choose a class's colour")
    curate.root.get_by_label("Class", exact=True).select_option("platelet (1)")
    field = curate.root.get_by_label("Colour", exact=True).first
    field.fill("#12ab34")
    field.press("Enter")
    curate.button("Preview").click()
    curate.root.get_by_text("drawn in #12ab34").first.wait_for()
    curate.button("Apply").click()
    swatch = curate.root.locator("tr", has_text="platelet").locator(".wb-colour").first
    eventually(
        lambda: swatch.evaluate("(one) => getComputedStyle(one).backgroundColor"),
        "rgb(18, 171, 52)",
    )
    assert "platelet: '#12ab34'" in (images / "data.yaml").read_text()
    keep_picture(lab_page.page, "curate-colour")


@pytest.mark.nightly
def test_versions_on_a_narrow_page(open_lab_page: Callable[..., LabPage], images: Path) -> None:
    lab_page = open_lab_page(viewport={"width": 700, "height": 1000}, color_scheme="dark")
    curate = show_panel(lab_page, images)
    curate.turn_to("Versions")
    curate.root.get_by_label("Name", exact=True).fill("v1")
    curate.root.get_by_label("Note").fill("as it came")
    curate.button("Freeze").click()
    curate.root.locator(".wb-table", has_text="as it came").wait_for()
    (images / "labels" / "train" / "img_00.txt").write_text("")
    curate.button("Restore").click()
    question = curate.root.get_by_role("alert").filter(has_text="2 boxes added")
    question.wait_for()
    keep_picture(lab_page.page, "curate-restore-narrow")
    curate.root.locator(".wb-confirm button", has_text="Restore").click()
    eventually(rows_of(images, "img_00"), 2)
    curate.button("Undo: version 'v1' restored").click()
    eventually(rows_of(images, "img_00"), 0)
