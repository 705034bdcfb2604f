"""The gallery in a real JupyterLab: how soon it shows pictures, how smoothly it scrolls.

- **open**: from running the cell with ``BrowsePanel(...)`` until everything in sight is
  painted, with the dataset's index in its cache; the baseline is 1 second, so that the ratio
  is the time itself. Beside it the first opening, which has to build the index.
- **scrolling**: frames dropped while the grid moves by `SPEED` pixels a frame, beyond those
  that an empty page drops in the same way.
- **memory**: JavaScript heap, blobs and pictures that the page keeps after scrolling far, and
  again as far: what is bounded stays.

The images are hard links to a few JPEGs of 1080p, so that a million of them fit on a disk.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from benchmarks.measure import print_columns, say, seconds  # noqa: E402
from tests.browser.conftest import (  # noqa: E402
    VIEWPORT,
    Lab,
    LabPage,
    find_chromium,
    running_lab,
)

SIZES = (1_000, 100_000, 1_000_000)
CHECKED = 100_000
"""Number of images for which the bounds are."""
MAX_OPEN_S = 1.0
MAX_MORE_DROPPED = 0.02
"""Share of frames that may be dropped beyond an empty page's."""
MAX_GROWTH = 1.15
"""What the page's memory may be after scrolling twice as far, as a ratio."""
ORIGINALS = 16
SPEED = 24
FRAMES = 300
FAR_ROWS = 1500
SET_UP = """
from workbench import BrowsePanel, create_stores
import workbench.panels.browse
stores = create_stores(data_dir={data!r}, models_dir={models!r})
"""
OPEN = "panel = BrowsePanel({name!r}, stores)\npanel"
RUN_LAST = """() => new Promise((resolve) => {
    const { content } = window.jupyterapp.shell.currentWidget;
    content.activeCellIndex = content.widgets.length - 1;
    const begin = performance.now();
    const look = () => {
        const grid = document.querySelector(".wbg-scroll");
        if (grid?.dataset.ready === "true" && Number(grid.dataset.painted) > 0) {
            // What is ready now is on the screen with the next frame.
            requestAnimationFrame(() => resolve(performance.now() - begin));
        } else requestAnimationFrame(look);
    };
    window.jupyterapp.commands.execute("notebook:run-cell");
    look();
})"""
SCROLL = """([selector, speed, frames]) => new Promise((resolve) => {
    const element = document.querySelector(selector);
    const times = [];
    const step = (now) => {
        times.push(now);
        if (times.length > frames) resolve(times);
        else {
            element.scrollTop += speed;
            requestAnimationFrame(step);
        }
    };
    requestAnimationFrame(step);
})"""
IDLE = """() => new Promise((resolve) => {
    const ready = () => document.querySelector(".wbg-scroll").dataset.ready === "true";
    const look = () => (ready() ? resolve() : setTimeout(look, 50));
    setTimeout(look, 200);
})"""
EMPTY = """<div id="e" style="height: 560px; overflow-y: scroll">
<div style="height: 1000000px"></div></div>"""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table."""

    work: str
    found: str
    baseline: str
    bound: str = ""
    missed: bool = False

    def cells(self) -> tuple[str, ...]:
        """Return the line as text."""
        verdict = ("MISSED" if self.missed else "met") if self.bound else ""
        return (self.work, self.found, self.baseline, self.bound, verdict)


HEADINGS = ("work", "takes", "baseline", "at most", "")


def write_images(root: Path, count: int) -> None:
    """Write a dataset of hard links to a few JPEGs, one in ten with a label file."""
    for kind in ("images", "labels"):
        for split in ("train", "val", "test"):
            (root / kind / split).mkdir(parents=True)
    (root / "data.yaml").write_text(
        "train: images/train\nval: images/val\nnames:\n  0: car\n  1: bus\n"
    )
    originals = root / "originals"
    originals.mkdir()
    random = np.random.default_rng(0)
    for number in range(ORIGINALS):
        coarse = random.integers(0, 255, (27, 48, 3), dtype=np.uint8)
        frame = cv2.resize(coarse, (1920, 1080), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(originals / f"{number}.jpg"), frame)
    label = originals / "boxes.txt"
    label.write_text("0 0.3 0.4 0.2 0.3\n1 0.7 0.5 0.1 0.2\n")
    for number in range(count):
        # A new original now and then: file systems bound the links to one file (ext4: 65,000).
        source = originals / f"{number % ORIGINALS}.jpg"
        if number and number % (ORIGINALS * 50_000) < ORIGINALS:
            source.write_bytes(source.read_bytes())
        name = f"frame_{number:07}"
        (root / "images" / "train" / f"{name}.jpg").hardlink_to(source)
        if number % 10 == 0:
            if number % 500_000 == 0 and number:
                fresh = label.read_bytes()
                label.unlink()
                label.write_bytes(fresh)
            (root / "labels" / "train" / f"{name}.txt").hardlink_to(label)


def dropped(times: Sequence[float]) -> float:
    """Return the share of frames that came too late: after one and a half of the usual time."""
    gaps = np.diff(times)
    return float((gaps > 1.5 * 1000 / 60).sum() / len(gaps))


def empty_page(browser: Browser) -> float:
    """Return the share of frames that a page drops that only scrolls."""
    page = browser.new_page(viewport=VIEWPORT)
    page.set_content(EMPTY)
    found = median(dropped(page.evaluate(SCROLL, ["#e", SPEED, FRAMES])) for _ in range(3))
    page.close()
    return found


@dataclass
class Bench:
    """A browser and a JupyterLab."""

    browser: Browser
    lab: Lab
    rounds: int

    @contextmanager
    def notebook(self, root: Path) -> Iterator[Page]:
        """Open a notebook whose last cell shows a panel, and run all but that one."""
        name = f"{root.name}.ipynb"
        models = str(root.parent.parent / "models")
        cells = (
            SET_UP.format(data=str(root.parent), models=models),
            OPEN.format(name=root.name),
        )
        self.lab.write_notebook(name, *cells)
        context = self.browser.new_context(viewport=VIEWPORT)
        lab_page = LabPage(context.new_page(), self.lab)
        try:
            lab_page.open_notebook(name)
            page = lab_page.page
            page.evaluate(
                """async () => {
                const panel = window.jupyterapp.shell.currentWidget;
                panel.content.activeCellIndex = 0;
                await window.jupyterapp.commands.execute("notebook:run-cell");
            }"""
            )
            page.wait_for_timeout(1000)
            yield page
        finally:
            context.close()
            self.lab.shut_down_kernels()


def open_times(bench: Bench, root: Path) -> tuple[float, list[float]]:
    """Return seconds of the first opening, which builds the index, and of later ones."""
    times = []
    for _ in range(bench.rounds + 1):
        with bench.notebook(root) as page:
            times.append(page.evaluate(RUN_LAST) / 1000)
    return times[0], times[1:]


def memory(client: CDPSession, page: Page) -> float:
    """Return MiB of JavaScript heap and of the pictures that the page keeps, after collection."""
    client.send("HeapProfiler.collectGarbage")
    metrics = client.send("Performance.getMetrics")["metrics"]
    heap = {one["name"]: one["value"] for one in metrics}["JSHeapUsedSize"]
    kept = page.evaluate("() => document.querySelector('.wb-gallery').galleryStats().bytes")
    decoded = page.evaluate("() => document.querySelector('.wb-gallery').galleryStats().decoded")
    return float(heap + kept + decoded) / 2**20


def scroll_far(page: Page, rows: int) -> None:
    """Scroll through many rows, with every picture painted on the way."""
    for _ in range(rows // 3):
        page.evaluate("() => { document.querySelector('.wbg-scroll').scrollTop += 540; }")
        page.evaluate(IDLE)


def measure_size(bench: Bench, folder: Path, count: int, empty: float) -> list[Line]:
    """Measure with one number of images."""
    root = folder / "data" / f"n{count}"
    say(f"writing {count:,} images")
    write_images(root, count)
    say("opening")
    first, later = open_times(bench, root)
    is_checked = count == CHECKED
    opened = median(later)
    lines = [
        Line(f"{count:,} images: first opening, index built", seconds(first), ""),
        Line(
            f"{count:,} images: open to thumbnails painted",
            seconds(opened),
            f"{opened / MAX_OPEN_S:.2f}x of {seconds(MAX_OPEN_S)}",
            seconds(MAX_OPEN_S) if is_checked else "",
            is_checked and opened > MAX_OPEN_S,
        ),
    ]
    say("scrolling")
    with bench.notebook(root) as page:
        page.evaluate(RUN_LAST)
        shares = [dropped(_scroll(page)) for _ in range(3)]
        more = median(shares) - empty
        lines.append(
            Line(
                f"{count:,} images: frames dropped while scrolling",
                f"{median(shares):.1%}",
                f"empty page {empty:.1%}",
                f"{MAX_MORE_DROPPED:.0%} more" if is_checked else "",
                is_checked and more > MAX_MORE_DROPPED,
            )
        )
        if is_checked:
            lines.append(_memory_line(page, count, FAR_ROWS // (5 if bench.rounds < 3 else 1)))
    return lines


def _scroll(page: Page) -> Any:
    times = page.evaluate(SCROLL, [".wbg-scroll", SPEED, FRAMES])
    page.evaluate(IDLE)
    return times


def _memory_line(page: Page, count: int, rows: int) -> Line:
    client = page.context.new_cdp_session(page)
    client.send("Performance.enable")
    scroll_far(page, rows)
    once = memory(client, page)
    scroll_far(page, rows)
    twice = memory(client, page)
    return Line(
        f"{count:,} images: page memory after {2 * rows:,} rows",
        f"{twice:.0f} MiB",
        f"after {rows:,} rows {once:.0f} MiB",
        f"{MAX_GROWTH}x",
        twice > MAX_GROWTH * once,
    )


def measure(quick: bool = False, sizes: Sequence[int] = SIZES) -> list[Line]:
    """Measure everything; with `quick` not beyond `CHECKED` images, and fewer times."""
    with (
        tempfile.TemporaryDirectory(prefix="gallery-") as home,
        tempfile.TemporaryDirectory(prefix="gallery-lab-") as folder,
        running_lab(Path(home), Path(folder)) as lab,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        bench = Bench(browser, lab, rounds=2 if quick else 5)
        empty = empty_page(browser)
        lines = []
        for count in sizes:
            if not quick or count <= CHECKED:
                lines += measure_size(bench, Path(folder), count, empty)
        browser.close()
    return lines


def main() -> int:
    """Measure; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer images and repetitions")
    parser.add_argument("--check", action="store_true", help="exit 1 if a bound is missed")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    options = parser.parse_args()
    lines = measure(options.quick, options.sizes)
    print_columns(HEADINGS, [line.cells() for line in lines])
    missed = [line for line in lines if line.missed]
    for line in missed:
        say(f"{line.work}: {line.found}, expected {line.bound} or less")
    return 1 if missed and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
