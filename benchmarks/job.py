"""The whole job by a scripted hand: from an empty folder and a zip of 40 pictures to a model.

Part of ``benchmarks/hand.py``. The hand opens a notebook with the workbench in it, in an empty
folder, and does what a person does who writes no code: it brings the zip in from the browser's
machine, names a class, draws a box on every picture, mends what the check finds, trains, and
downloads the dataset. Clicks and keys are counted as the page hears them; what belongs to the
drawing itself, the drags and the key that goes to the next picture, is counted apart. So is how
far anything in the panels moved by itself after it was first painted (layout shift).
"""

from __future__ import annotations

import re
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from playwright.sync_api import Browser, Error, Page, TimeoutError

from benchmarks.measure import say
from tests.browser.annotating import Canvas
from tests.browser.conftest import Lab, LabPage, keep_picture

PICTURES, MOST = 40, 20
EPOCHS = 3
SIDE = 160
LONGEST_MS = 600_000
COMES_MS = 5000
PAUSE_MS = 1000
"""What a person takes to go from the keyboard to the mouse."""
See = Callable[[Page, str], object]
"""Told of each step, by its name, when it is on the page."""
CELL = 'from workbench import Workbench\nwb = Workbench("data")\nwb'
# Counted before the page does anything with them. A shift that follows a click within half a
# second is what the click asked for; browsers mark these themselves.
COUNT = """() => {
    window.job = { clicks: 0, keys: 0, shift: 0, moved: [] };
    window.addEventListener("pointerdown", () => window.job.clicks++, true);
    window.addEventListener("keydown", (event) => {
        if (!["Shift", "Control", "Alt", "Meta"].includes(event.key)) window.job.keys++;
    }, true);
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) {
            const ours = entry.sources.map((one) => one.node).filter((node) =>
                (node?.nodeType === 1 ? node : node?.parentElement)?.closest(".wb-panel"));
            if (entry.hadRecentInput || !ours.length) continue;
            window.job.shift += entry.value;
            const when = (entry.startTime / 1000).toFixed(1);
            window.job.moved.push(...ours.map((node) =>
                `${when} s: ${node.nodeName}.${node.className}`));
        }
    }).observe({ type: "layout-shift" });
}"""


@dataclass
class Job:
    """What the job took, and what came of it."""

    clicks: int = 0
    keys: int = 0
    drags: int = 0
    next_keys: int = 0
    lost_keys: int = 0
    shift: float = 0.0
    moved: list[str] = field(default_factory=list)
    boxes: int = 0
    exported: int = 0
    models: int = 0
    seconds: float = 0.0

    @property
    def actions(self) -> int:
        """Clicks and keys beside drawing."""
        return self.clicks + self.keys - self.drags - self.next_keys

    @property
    def is_met(self) -> bool:
        """Whether all is there, with few enough actions, and nothing has moved by itself."""
        is_whole = (self.boxes, self.exported, self.models) == (PICTURES, PICTURES, 1)
        return is_whole and self.actions <= MOST and self.shift == 0

    def lines(self) -> list[str]:
        """Return the outcome as text."""
        verdict = "met" if self.is_met else "MISSED"
        return [
            f"the whole job: {self.actions} clicks and keys beside drawing (at most {MOST}), "
            f"{self.drags} drags, {self.next_keys} keys to the next picture "
            f"and {self.lost_keys} that did nothing, {self.seconds:.0f} s",
            f"  on disk: {self.boxes} boxes, {self.models} model; in the download: "
            f"{self.exported} pictures with their boxes",
            f"  layout shift after the first paint: {self.shift:.4f}"
            + (f" ({', '.join(sorted(set(self.moved)))})" if self.moved else ""),
            f"  {verdict}",
        ]


def pictures_zip() -> bytes:
    """Return a zip of pictures, each with one disc in its middle, which is to be boxed."""
    rng = np.random.default_rng(15)
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(PICTURES):
            coarse = rng.integers((196, 190, 215), (222, 214, 238), (7, 7, 3), dtype=np.uint8)
            picture = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
            middle = (SIDE // 2, SIDE // 2)
            cv2.circle(picture, middle, SIDE // 4, (150, 110, 190), -1, cv2.LINE_AA)
            cv2.circle(picture, middle, SIDE // 9, (120, 50, 110), -1, cv2.LINE_AA)
            done, data = cv2.imencode(".jpg", picture)
            if not done:
                raise RuntimeError(f"picture {number} could not be encoded")
            archive.writestr(f"cell_{number:02}.jpg", data.tobytes())
    return buffer.getvalue()


def do_job(browser: Browser, lab: Lab, home: Path, see: See = lambda _page, _name: None) -> Job:
    """Do the whole job in a page of its own; see the head of this file."""
    archive = home / "cells.zip"
    archive.write_bytes(pictures_zip())
    lab.write_notebook("job.ipynb", CELL)
    context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    lab_page = LabPage(context.new_page(), lab)
    lab_page.open_notebook("job.ipynb")
    lab_page.execute("application:toggle-left-area")
    lab_page.run_all()
    page, job = lab_page.page, Job()
    region = page.get_by_role("region", name="Datasets")
    region.get_by_text("There is no dataset yet").wait_for()
    page.evaluate(COUNT)
    begin = time.perf_counter()
    say("the whole job ...")
    try:
        see(page, "empty")
        _bring_in(page, archive, see)
        _annotate(page, job, see)
        _train(page, see)
        taken = _take_out(page, see)
    except Error:
        keep_picture(page, "job-failed")
        raise
    job.seconds = time.perf_counter() - begin
    _count(page, job)
    job.boxes = _num_boxes(lab.folder / "data" / "cells" / "labels")
    with zipfile.ZipFile(taken) as found:
        names = found.namelist()
        stems = {Path(name).stem for name in names if name.endswith(".txt")}
        job.exported = sum(name.endswith(".jpg") and Path(name).stem in stems for name in names)
    job.models = len(list((lab.folder / "models").glob("*/weights.pt")))
    context.close()
    return job


def _bring_in(page: Page, archive: Path, see: See) -> None:
    page.get_by_role("button", name="Bring in …").click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose pictures, a zip or a video …").click()
    chooser.value.set_files(archive)
    page.get_by_role("button", name=f"Import {PICTURES} pictures").wait_for()
    see(page, "bring-in")
    page.keyboard.press("Control+Enter")
    page.get_by_role("button", name="Open cells").click()
    page.locator(".wb-gallery:visible").get_by_text(f"{PICTURES} images").first.wait_for()
    see(page, "pictures")


def _annotate(page: Page, job: Job, see: See) -> None:
    page.get_by_role("tab", name="Annotate", exact=True).click()
    canvas = Canvas(page)
    canvas.wait_for("cell_00.jpg")
    search = page.get_by_role("combobox", name="Find or add a class")
    search.click()
    page.keyboard.type("cell")
    page.get_by_role("button", name="Add class “cell”").wait_for()
    see(page, "class")
    page.keyboard.press("Enter")
    page.locator(".wb-class", has_text="cell").wait_for()
    page.wait_for_timeout(PAUSE_MS)
    edge, end = SIDE // 4, 3 * SIDE // 4
    for number in range(PICTURES):
        name = f"cell_{number:02}.jpg"
        if number:
            page.keyboard.press("d")
            job.next_keys += 1
            if not _has_come(page, name):
                page.keyboard.press("d")  # counted beside drawing: nobody wants to do it twice
                job.lost_keys += 1
        canvas.wait_for(name)
        canvas.drag((edge, edge), (end, end))
        job.drags += 1
    canvas.wait_saved()
    see(page, "boxes")


def _has_come(page: Page, name: str) -> bool:
    """Whether a picture is shown before a person would press the key again."""
    try:
        page.wait_for_selector(f'.wb-stage[data-shown="{name}"]', timeout=COMES_MS)
    except TimeoutError:
        return False
    return True


def _train(page: Page, see: See) -> None:
    page.get_by_role("tab", name="Train", exact=True).click()
    panel = page.locator(".wb-panel .train-main")
    panel.get_by_text("Suggested:").first.wait_for()
    panel.get_by_label("Epochs").click()  # which selects what is in it
    page.keyboard.type(str(EPOCHS))
    see(page, "settings")
    # By its words: the letter that draws its icon is part of its name for Playwright.
    start = panel.locator("button", has_text=re.compile(r"^\s*Start\s*$"))
    start.click()
    split = panel.get_by_role("button", name="Split now")
    split.wait_for(timeout=LONGEST_MS)
    see(page, "mend")
    split.click()
    panel.get_by_text("press Start").wait_for(timeout=LONGEST_MS)
    start.click()
    panel.get_by_text("is in the store").wait_for(timeout=LONGEST_MS)
    see(page, "trained")


def _take_out(page: Page, see: See) -> Path:
    page.get_by_role("tab", name="Home", exact=True).click()
    card = page.get_by_role("listitem", name="cells")
    card.wait_for()
    see(page, "take-out")
    with page.expect_download() as download:
        card.get_by_role("button", name="Download").click()
    return Path(download.value.path())


def _count(page: Page, job: Job) -> None:
    counted: dict[str, Any] = page.evaluate("() => window.job")
    job.clicks, job.keys = counted["clicks"], counted["keys"]
    job.shift, job.moved = counted["shift"], counted["moved"]


def _num_boxes(labels: Path) -> int:
    return sum(len(file.read_text().splitlines()) for file in labels.rglob("*.txt"))
