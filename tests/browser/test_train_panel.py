"""The train panel in a real JupyterLab: one tiny run, from the form to the model store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import LabPage, keep_picture
from tests.helpers.training import make_shapes
from workbench.persistence import create_stores
from workbench.training.runner import TrainingRunner

pytestmark = pytest.mark.browser

CELL = """
from workbench import TrainPanel, create_stores
stores = create_stores(data_dir={data!r}, models_dir={models!r})
panel = TrainPanel(stores=stores, runs_dir={runs!r})
panel
"""
SECONDS = 1000
PATIENCE = 120 * SECONDS


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Folders with the dataset ``shapes``, of which there is one frozen version."""
    stores = create_stores(tmp_path / "data", tmp_path / "models")

    async def arrange() -> None:
        await make_shapes(stores)
        await stores.dataset.freeze("shapes", "v1")

    async def end_runs() -> None:
        for run in await TrainingRunner(stores, tmp_path / "runs").list_runs():
            await run.cancel()

    with ThreadPoolExecutor(1) as thread:  # Playwright has an event loop of its own in this one
        thread.submit(lambda: asyncio.run(arrange())).result()
        yield tmp_path
        thread.submit(lambda: asyncio.run(end_runs())).result()


def open_panel(lab_page: LabPage) -> Locator:
    """Open the notebook and run its cell; return the panel."""
    lab_page.open_notebook("train.ipynb")
    lab_page.run_all()
    return lab_page.page.locator(".jp-OutputArea .wb-panel").first


def epochs(home: Path) -> int:
    """Return how many epochs the only run has told of."""
    [file] = (home / "runs").glob("*/events.jsonl")
    whole, _, _ = file.read_text().rpartition("\n")  # the last line may be half written
    told = [json.loads(line)["event"] for line in whole.splitlines()]
    assert "Failed" not in told
    return told.count("EpochFinished")


def wait_for_more_than(before: int, home: Path, page: Page) -> None:
    """Wait until the run has told of another epoch."""
    for _ in range(PATIENCE // 50):
        if epochs(home) > before:
            return
        page.wait_for_timeout(50)
    pytest.fail(f"no epoch came after {before}")


def fill_form(page: Page, panel: Locator) -> None:
    """Choose settings with the mouse and with keys."""
    expect(panel.get_by_label("Dataset")).to_have_value("shapes")
    expect(panel.get_by_text("Suggested: 64")).to_be_visible(timeout=PATIENCE)
    panel.get_by_label("Start from").fill("yolo11n.yaml")
    page.keyboard.press("Tab")
    expect(panel.get_by_text("random weights of the architecture")).to_be_visible()
    panel.get_by_label("Version").select_option(index=1)
    panel.get_by_label("Epochs").fill("5000")
    page.keyboard.press("Tab")
    more = panel.get_by_role("button", name="More settings")
    more.focus()
    page.keyboard.press("Space")
    panel.get_by_label("Model name").fill("tiny")
    page.keyboard.press("Tab")
    panel.get_by_label("Patience").fill("0")  # it shall not end before somebody stops it
    page.keyboard.press("Tab")
    arguments = panel.get_by_label("More arguments")
    arguments.fill("mosiac=0")
    page.keyboard.press("Tab")
    expect(panel.get_by_text("did you mean mosaic")).to_be_visible()
    keep_picture(page, "train_form")
    arguments.fill("mosaic=0")
    page.keyboard.press("Tab")
    expect(panel.get_by_text("did you mean mosaic")).to_have_count(0)
    more.click()
    expect(arguments).to_be_hidden()


def test_a_run_is_started_lost_from_sight_found_paused_resumed_and_stopped(
    lab_page: LabPage, home: Path
) -> None:
    page = lab_page.page
    folders = {name: str(home / name) for name in ("data", "models", "runs")}
    lab_page.lab.write_notebook("train.ipynb", CELL.format(**folders))
    panel = open_panel(lab_page)
    fill_form(page, panel)
    panel.get_by_role("button", name="Start").click()
    expect(panel.get_by_text("Training …")).to_be_visible(timeout=PATIENCE)
    expect(panel.get_by_text("version v1 of the dataset")).to_be_visible()
    curves = panel.locator(".wb-plot .main-svg").first
    expect(curves).to_be_visible(timeout=PATIENCE)
    panel.get_by_role("button", name="What it finds").click()
    expect(panel.get_by_role("img", name="after epoch").first).to_be_visible(timeout=PATIENCE)
    panel.get_by_role("button", name="Stop").scroll_into_view_if_needed()
    keep_picture(page, "train_running")
    lab_page.set_theme("JupyterLab Dark")
    keep_picture(page, "train_running_dark")
    lab_page.set_theme("JupyterLab Light")

    # The page is loaded anew: a new view of the same kernel.
    panel = open_panel(lab_page)
    expect(panel.get_by_text("Training …")).to_be_visible(timeout=PATIENCE)

    # Tab and kernel are closed: the run goes on, and a panel in a new kernel finds it.
    page.goto("about:blank")
    lab_page.lab.shut_down_kernels()
    before = epochs(home)
    panel = open_panel(lab_page)
    expect(panel.get_by_text("Training …")).to_be_visible(timeout=PATIENCE)
    expect(curves).to_be_visible(timeout=PATIENCE)
    wait_for_more_than(before, home, page)

    pause = panel.get_by_role("button", name="Pause")
    pause.focus()
    page.keyboard.press("Enter")
    expect(panel.get_by_text("Paused; it can be resumed")).to_be_visible(timeout=PATIENCE)
    before = epochs(home)
    panel.get_by_role("button", name="Resume").click()
    expect(panel.get_by_text("Training …")).to_be_visible(timeout=PATIENCE)
    wait_for_more_than(before, home, page)

    panel.get_by_role("button", name="Stop").click()
    expect(panel.get_by_text("is in the store")).to_be_visible(timeout=PATIENCE)
    panel.get_by_role("button", name="Log").click()
    expect(panel.get_by_role("region", name="Log")).to_contain_text("Resuming training")
    panel.get_by_role("button", name="Runs (1)").click()
    panel.get_by_label("Runs", exact=True).scroll_into_view_if_needed()
    keep_picture(page, "train_stopped")
    lab_page.set_theme("JupyterLab Dark")
    keep_picture(page, "train_stopped_dark")
    lab_page.set_theme("JupyterLab Light")
    assert (home / "models" / "tiny" / "weights.pt").is_file()
    assert page.locator(".jp-Notebook .jp-Cell").count() == 1, "a key reached JupyterLab"
