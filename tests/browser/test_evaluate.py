"""The evaluate panel in a real JupyterLab, with a tiny real model."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Lab, LabPage, keep_picture
from tests.helpers.models import add_model, make_found, spread_weights
from tests.helpers.training import Trained, trained_once
from workbench.persistence import create_stores

pytestmark = pytest.mark.browser

CELL = """
from workbench import EvaluatePanel, create_stores
stores = create_stores(data_dir={data!r}, models_dir={models!r})
panel = EvaluatePanel(stores=stores)
panel
"""
SECONDS = 1000


@pytest.fixture(scope="module")
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders with the dataset ``found``, and two models of which one sees discs only."""
    home = tmp_path_factory.mktemp("evaluate")
    base = tmp_path_factory.mktemp("trained")

    async def arrange(trained: Trained) -> None:
        stores = create_stores(home / "data", home / "models")
        await add_model(stores, "blind", spread_weights(trained, home / "blind.pt", blind_to=0))
        await add_model(stores, "sees", spread_weights(trained, home / "sees.pt"))
        await make_found(stores)

    # Playwright has an event loop of its own in this thread.
    with ThreadPoolExecutor(1) as thread:
        trained = thread.submit(trained_once, request.config, base).result()
        thread.submit(lambda: asyncio.run(arrange(trained))).result()
    return home


def show(lab_page: LabPage, home: Path) -> Page:
    """Open a notebook that shows the panel; requests to other machines are noted as errors."""
    lab: Lab = lab_page.lab
    name = "evaluate.ipynb"
    data, models = str(home / "data"), str(home / "models")
    lab.write_notebook(name, CELL.format(data=data, models=models))
    lab_page.page.on("request", lambda request: _refuse_far(lab_page, request.url))
    lab_page.open_notebook(name)
    lab_page.run_all()
    return lab_page.page


def _refuse_far(lab_page: LabPage, url: str) -> None:
    if not url.startswith((lab_page.lab.url, "blob:", "data:")):
        lab_page.errors.append(f"the page asked for {url}")


def test_a_model_is_evaluated_and_a_click_on_a_mistake_opens_the_annotator(
    lab_page: LabPage, home: Path
) -> None:
    page = show(lab_page, home)
    panel = page.locator(".jp-OutputArea .wb-panel").first
    panel.get_by_label("Compare with").select_option(label="blind")
    panel.get_by_role("button", name="Evaluate").click()
    status = page.locator(".wb-panel .wb-status-line")
    expect(status).to_contain_text("16 images of found/val", timeout=90 * SECONDS)
    expect(panel.get_by_role("row", name="square").first).to_be_visible()
    keep_picture(page, "evaluate_numbers")

    panel.get_by_role("tab", name="Plots", exact=True).click()
    expect(page.locator(".wb-plot .main-svg").first).to_be_visible(timeout=60 * SECONDS)
    plot = panel.get_by_role("figure", name="F1 by confidence")
    plot.locator(".scatterlayer .points path").first.hover(force=True)  # a best threshold
    expect(plot.locator(".hoverlayer .hovertext").first).to_contain_text("best at")
    keep_picture(page, "evaluate_plots")

    panel.get_by_role("tab", name="Mistakes", exact=True).click()
    tiles = panel.get_by_role("group", name="Likely label mistakes").get_by_role("button")
    expect(tiles).to_have_count(24)
    panel.get_by_label("Show", exact=True).select_option(label="False negatives (1)")
    missed = panel.get_by_role("group", name="False negatives").get_by_role("button")
    expect(missed).to_have_count(1)
    expect(missed.locator("path.wbe-label")).to_have_count(1)
    expect(missed.locator("path.wbe-prediction")).to_have_count(0)
    panel.get_by_label("Show", exact=True).select_option(index=0)
    expect(tiles).to_have_count(24)
    tiles.first.focus()
    page.keyboard.press("ArrowRight")
    expect(tiles.nth(1)).to_be_focused()
    keep_picture(page, "evaluate_mistakes")
    name = tiles.nth(1).get_attribute("aria-label") or ""
    page.keyboard.press("Enter")
    annotator = page.locator(".wb-annotate")
    expect(annotator).to_contain_text("to review", timeout=30 * SECONDS)
    filename = name.rsplit("in ", 1)[1]
    expect(annotator).to_contain_text(filename)
    keep_picture(page, "evaluate_annotator")

    panel.get_by_role("button", name="Back to the findings").click()
    expect(annotator).to_have_count(0)
    expect(tiles).to_have_count(24)
    assert page.locator(".jp-Notebook .jp-Cell").count() == 1, "a key reached JupyterLab"
