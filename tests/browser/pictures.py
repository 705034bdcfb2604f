"""Take the documentation's pictures of panels anew.

``python -m tests.browser.pictures``, in the project's folder, trains a small model first (about
two minutes on two cores), then opens each panel in a real JupyterLab on generated data and writes
a picture of it into ``docs/images``. ``python -m tests.browser.pictures home`` takes that one only,
and ``job`` the ten pictures of the whole job, with the hand of ``benchmarks/job.py``.

``python -m tests.browser.pictures --data path/to/bccd`` takes those of ``notebooks/images``, which
show other people's data: the BCCD dataset of blood cells, or whatever Workbench imports.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmarks.job import do_job
from tests.browser.conftest import Lab, LabPage, find_chromium, running_lab
from workbench import import_dataset, samples
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
SHOWN = Path(__file__).parents[2] / "notebooks" / "images"
"""Pictures of somebody's data."""
SHOWN_CELLS = {
    "annotate": "wb.annotate('cells')",
    "annotate-dark": "wb.annotate('cells')",
    "browse": "wb.browse('cells')",
    "curate": "wb.curate('cells')",
    "tabs": "wb.open('cells', 'Annotate')",
}
NEED_A_MODEL = {"train", "evaluate", "models"}
PATIENCE_MS = 120_000
SETTLES_MS = 3000
FOLDED = ".jp-SideBar, #jp-bottom-panel { visibility: hidden }"
"""What is not ours is left out of the pictures of the job."""


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


def _run(work: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine in a thread: Playwright has an event loop of its own in this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


def main(names: Sequence[str]) -> None:
    """Take pictures of generated data, by the names of their panels."""
    TARGET.mkdir(exist_ok=True)
    panels = [name for name in names if name != "job"]
    if panels:
        with _opened() as (folder, lab, chromium):
            _run(arrange(folder, panels))
            for name in panels:
                _take(chromium, lab, name, CELLS[name], TARGET / f"{name}.png")
    if "job" in names:
        with _opened() as (folder, lab, chromium):  # empty: that is where the job begins
            take_job(chromium, lab, folder.parent)


def main_of_data(source: Path) -> None:
    """Take pictures of a dataset that somebody has."""
    with _opened() as (folder, lab, chromium):
        stores = create_stores(folder / "data", folder / "models")
        _run(import_dataset(stores, source, name="cells"))
        for name, cell in SHOWN_CELLS.items():
            _take(chromium, lab, name, cell, SHOWN / f"{name}.png")


@contextmanager
def _opened() -> Iterator[tuple[Path, Lab, Browser]]:
    with tempfile.TemporaryDirectory(prefix="workbench-pictures-") as home:
        folder = Path(home, "lab")
        folder.mkdir()
        with running_lab(Path(home, "jupyter"), folder) as lab, sync_playwright() as playwright:
            chromium = playwright.chromium.launch(
                executable_path=find_chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"]
            )
            yield folder, lab, chromium
            chromium.close()


def _take(chromium: Browser, lab: Lab, name: str, cell: str, target: Path) -> None:
    lab.write_notebook(f"{name}.ipynb", START, cell)
    width, height = (1280, 900) if target.parent == SHOWN else (1400, 1900)
    page = chromium.new_page(viewport={"width": width, "height": height})
    lab_page = LabPage(page, lab)
    lab_page.open_notebook(f"{name}.ipynb")
    lab_page.run_all()
    if name.endswith("-dark"):
        lab_page.set_theme("JupyterLab Dark")
    show(name, page)
    output = page.locator(".jp-Cell").nth(1).locator(".jp-OutputArea-output").last
    output.screenshot(path=target)
    page.close()
    lab.shut_down_kernels()


def take_job(chromium: Browser, lab: Lab, home: Path) -> None:
    """Take the ten pictures of the whole job while the hand of the benchmark does it."""
    taken: list[str] = []

    def see(page: Page, name: str) -> None:
        if name == "trained":
            page.wait_for_timeout(SETTLES_MS)  # the curves are drawn once an epoch
        elif name == "pictures":
            painted = page.locator('.wbg-scroll[data-ready="true"]:visible')
            painted.wait_for(timeout=PATIENCE_MS)
        taken.append(name)
        page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollTop = 0")
        page.screenshot(path=TARGET / f"job-{len(taken):02}-{name}.png", style=FOLDED)
        if name == "trained":
            page.get_by_role("tab", name="Evaluate", exact=True).click()
            page.get_by_role("button", name="Evaluate").click()
            page.get_by_role("row", name="cell").first.wait_for(timeout=PATIENCE_MS)
            see(page, "measured")

    for line in do_job(chromium, lab, home, see).lines():
        print(line)


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
        expect(page.locator(".main-svg").first).to_be_visible(timeout=PATIENCE_MS)
    elif name == "curate":
        page.get_by_role("button", name="Check").click()
        page.locator(".curate-finding").first.wait_for(timeout=PATIENCE_MS)
    elif name.startswith(("annotate", "tabs")):
        page.locator(".wb-stage").first.focus()
    elif name == "models":
        page.locator(".wb-panel").first.get_by_role("row").nth(1).click()
    page.wait_for_timeout(4000)  # plots and thumbnails are drawn when they are in sight


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="of panels, or job; default: all")
    parser.add_argument("--data", type=Path, help="take the pictures of this dataset instead")
    options = parser.parse_args()
    if options.data is not None:
        main_of_data(options.data)
    else:
        main(options.names or [*CELLS, "job"])
