"""Sweeps in the train panel in a real JupyterLab; their runs are written here, nothing trains."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import LabPage, keep_picture
from tests.helpers.sweeps import run_of, sweep_of
from tests.helpers.training import make_shapes
from workbench.persistence import create_stores
from workbench.persistence.process_record import ProcessRecord

pytestmark = [pytest.mark.browser, pytest.mark.long]

CELL = """
from workbench import TrainPanel, create_stores
stores = create_stores(data_dir={data!r}, models_dir={models!r})
panel = TrainPanel("shapes", stores=stores, runs_dir={runs!r})
panel
"""
PATIENCE = 60_000


def test_a_sweep_is_shown_with_its_best_trial_and_what_cannot_be_is_said(
    lab_page: LabPage, tmp_path: Path
) -> None:
    folders = {name: str(tmp_path / name) for name in ("data", "models", "runs")}
    stores = create_stores(folders["data"], folders["models"])
    with ThreadPoolExecutor(1) as thread:  # Playwright has an event loop of its own in this one
        thread.submit(lambda: asyncio.run(make_shapes(stores))).result()
    runs = tmp_path / "runs"
    sweep = sweep_of(runs, "a", "b", "c", "d")
    for name, value in (("a", 0.31), ("b", 0.62), ("c", 0.48)):
        run_of(runs, name, value / 2, value)
    run_of(runs, "d", 0.2, is_over=False)
    sweep.write_driver(ProcessRecord.of_this_process())  # it is carried on by somebody
    page = lab_page.page
    lab_page.lab.write_notebook("sweeps.ipynb", CELL.format(**folders))
    lab_page.open_notebook("sweeps.ipynb")
    lab_page.run_all()
    panel = page.locator(".jp-OutputArea .wb-panel").first
    panel.get_by_role("button", name="Sweep and cross-validation").click()
    expect(panel.get_by_text("3 of 4 trials are over")).to_be_visible(timeout=PATIENCE)
    expect(panel.get_by_role("row").filter(has_text="★ best")).to_contain_text("0.620")
    plot = panel.locator(".wb-plot .main-svg").filter(has_text="mAP50-95").last
    plot.scroll_into_view_if_needed(timeout=PATIENCE)
    expect(plot).to_be_visible()
    keep_picture(page, "train_sweep")
    panel.get_by_label("What is tried").fill("lr0: 0.1 to 0.2")
    page.keyboard.press("Tab")
    panel.get_by_role("button", name="Start sweep").click()
    expect(panel.get_by_text("say how many trials")).to_be_visible(timeout=PATIENCE)
    panel.get_by_label("What is tried").scroll_into_view_if_needed()
    keep_picture(page, "train_sweep_form")
