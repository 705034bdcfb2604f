"""Take the documentation's pictures of panels anew, on generated data.

``python -m tests.browser.pictures``, in the project's folder, trains a small model first (about
two minutes on two cores), then opens each panel in a real JupyterLab and writes a picture of it
into ``docs/images``. ``python -m tests.browser.pictures home`` takes that one only. The pictures in
``notebooks/images`` show other people's data and are not touched.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.conftest import LabPage, find_chromium, running_lab
from workbench import samples
from workbench.persistence import create_stores
from workbench.training.config import TrainingConfig
from workbench.training.runner import TrainingRunner

TARGET = Path(__file__).parents[2] / "docs" / "images"
START = """
from workbench import CapturePanel, EvaluatePanel, ModelsPanel, TrainPanel, Workbench
from workbench.capture.video_feed import VideoFeed
wb = Workbench("data")
"""
CELLS = {
    "home": """
wb.home()
""",
    "capture": """
panel = CapturePanel("shapes", feed=VideoFeed("shapes.avi"))
panel
""",
    "train": """
panel = TrainPanel("shapes")
panel
""",
    "evaluate": """
panel = EvaluatePanel("shapes")
await panel.evaluate(split="val")
panel
""",
    "models": """
panel = ModelsPanel()
panel
""",
}
NEED_A_MODEL = {"train", "evaluate", "models"}
PATIENCE_MS = 120_000


async def arrange(folder: Path, names: Sequence[str]) -> None:
    """Put datasets, a video and, for panels that show one, a trained model into a folder."""
    samples.write_video(folder / "shapes.avi", seconds=20)
    stores = create_stores(folder / "data", folder / "models")
    await samples.create_shapes(stores, "shapes", num_images=240, image_size=192, seed=3)
    if "home" in names:
        await samples.create_shapes(stores, "toys", num_images=60, image_size=256, seed=8)
        images = await stores.image.list("toys")
        await stores.label.delete_many("toys", [(i.split, i.filename) for i in images[::3]])
        await stores.dataset.create("cups", ["cup", "saucer"])
    if not NEED_A_MODEL & set(names):
        return
    runner = TrainingRunner(stores, folder / "runs")
    config = TrainingConfig(
        dataset="shapes", base_model="yolo11n.yaml", epochs=14, image_size=128, workers=0
    )
    run = await runner.start(config)
    await run.wait()


def main(names: Sequence[str]) -> None:
    """Take these pictures, by the names of their panels."""
    TARGET.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="workbench-pictures-") as home:
        folder = Path(home, "lab")
        folder.mkdir()
        asyncio.run(arrange(folder, names))
        with running_lab(Path(home, "jupyter"), folder) as lab, sync_playwright() as playwright:
            chromium = playwright.chromium.launch(
                executable_path=find_chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"]
            )
            for name in names:
                lab.write_notebook(f"{name}.ipynb", START, CELLS[name])
                page = chromium.new_page(viewport={"width": 1400, "height": 1900})
                lab_page = LabPage(page, lab)
                lab_page.open_notebook(f"{name}.ipynb")
                lab_page.run_all()
                show(name, page)
                output = page.locator(".jp-Cell").nth(1).locator(".jp-OutputArea-output").last
                output.screenshot(path=TARGET / f"{name}.png")
                page.close()
                lab.shut_down_kernels()
            chromium.close()


def show(name: str, page: Page) -> None:
    """Bring a panel into the state that its picture shows."""
    page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
    if name == "capture":
        panel = page.locator(".wb-camera").first
        panel.get_by_placeholder("path on the kernel's machine").fill("shapes.avi")
        panel.get_by_role("button", name="Start", exact=True).click()
        expect(panel.get_by_role("button", name="Stop", exact=True)).to_be_visible(
            timeout=PATIENCE_MS
        )
        page.wait_for_timeout(1500)
        for _ in range(4):
            panel.locator(".wbc-record").click()
            page.wait_for_timeout(900)
    elif name == "train":
        page.locator(".widget-select select").first.select_option(index=0)
        expect(page.locator(".main-svg").first).to_be_visible(timeout=PATIENCE_MS)
    elif name == "models":
        page.locator(".wb-panel").first.get_by_role("row").nth(1).click()
    page.wait_for_timeout(4000)  # plots and thumbnails are drawn when they are in sight


if __name__ == "__main__":
    main(sys.argv[1:] or list(CELLS))
