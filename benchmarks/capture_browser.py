"""A browser's camera to files on disk, beside ipywebrtc's ImageRecorder in the same Chromium.

A JupyterLab is started over an empty folder, and a Chromium whose camera is a test picture
of 1280 x 720 at 30 frames a second. For both tools a file counts when it is on disk.
``--check`` exits with 1 if a bound is missed; a frame that is lost is an error in any case.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measure import Pair, Row, print_table, say
from tests.browser.conftest import Lab, LabPage, running_lab

FPS = 30
# What a camera that is not quite in step with the clock may cost.
BOUND_RATE = 1.03
BOUND_SHUTTER = 1.0
# Growth of the kernel's memory while it records, in MB: what a leak of one frame in ten shows.
BOUND_MEMORY = 60.0
SHOTS = 12
ARGUMENTS = (
    "--no-sandbox", "--disable-dev-shm-usage", "--use-fake-ui-for-media-stream",
    f"--use-fake-device-for-media-stream=fps={FPS}", "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip

MEMORY = """
import os, psutil, threading, time
def watch():
    me = psutil.Process()
    while True:
        with open("memory.txt", "a") as file:
            file.write(f"{me.memory_info().rss / 2**20:.1f}\\n")
        time.sleep(0.5)
threading.Thread(target=watch, daemon=True).start()
"""
PRODUCT = """
from workbench import CapturePanel, create_stores
from workbench.capture.settings import CaptureSettings
from workbench.panels.capture.options import CaptureOptions
stores = create_stores(data_dir="data", models_dir="models")
await stores.dataset.create("film", ["thing"])
panel = CapturePanel("film", stores, settings=CaptureSettings(min_difference=0),
                     options=CaptureOptions("burst", rate=0))
panel
"""
BASELINE = """
import pathlib, time
from ipywebrtc import CameraStream, ImageRecorder
folder = pathlib.Path("recorded"); folder.mkdir()
camera = CameraStream(constraints={"audio": False, "video": {"width": 1280, "height": 720}})
recorder = ImageRecorder(stream=camera, format="jpg")
begun, taken = [], []
def keep(change):
    if not change["new"]:
        return
    (folder / f"{len(taken):06d}.jpg").write_bytes(change["new"])
    taken.append(time.perf_counter() - begun[-1])
    pathlib.Path("latency.txt").write_text("\\n".join(map(str, taken)))
def again():
    begun.append(time.perf_counter())
    recorder.recording = True
def go_on(change):
    # The page takes the request back once the picture is there; before, asking is in vain.
    if not change["new"]:
        again()
recorder.image.observe(keep, "value")
recorder.observe(go_on, "recording")
import ipywidgets
button = ipywidgets.Button(description="Go")
button.on_click(lambda _: again())
ipywidgets.VBox([camera, recorder, button])
"""
SHUTTER = """async () => {
    const total = document.querySelector('.wbc-total');
    const before = total.textContent;
    const begun = performance.now();
    document.querySelector('.wbc-record').click();
    while (total.textContent === before) {
        await new Promise((done) => setTimeout(done, 2));
        if (performance.now() - begun > 10000) throw new Error('nothing was saved');
    }
    return (performance.now() - begun) / 1000;
}"""
# What the browser's camera has given, by the browser's own count, and what the page has seen.
GIVEN = """() => {
    const root = document.querySelector('.wb-capture');
    const { totalFrames } = root.querySelector('video').srcObject.getVideoTracks()[0].stats;
    return { given: totalFrames, seen: root.captureStats.camera.delivered() };
}"""
LAG = """() => new Promise((done) => {
    const video = document.querySelector('.wb-capture video');
    const lags = [];
    const note = (now, facts) => {
        lags.push((facts.expectedDisplayTime - (facts.captureTime ?? now)) / 1000);
        if (lags.length === 60) done(lags.sort((a, b) => a - b)[30]);
        else video.requestVideoFrameCallback(note);
    };
    video.requestVideoFrameCallback(note);
})"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="seconds instead of a minute")
    parser.add_argument("--check", action="store_true", help="exit 1 if a bound is missed")
    options = parser.parse_args()
    rows = measure(options.quick)
    print_table(rows)
    missed = [row for row in rows if row.missed]
    for row in missed:
        say(f"{row.work}: {row.cells()[4]} of {row.baseline}, expected {row.cells()[5]} or less")
    return 1 if missed and options.check else 0


def measure(quick: bool) -> list[Row]:
    """Return the rows of the table; raises `AssertionError` if a frame was lost."""
    seconds = 10.0 if quick else 60.0
    with tempfile.TemporaryDirectory() as place, browser() as chromium:
        say(f"capturing from the browser's camera for {seconds:.0f} s")
        own = record_own(Path(place) / "own", chromium, seconds)
        say("the same with ipywebrtc")
        other = record_other(Path(place) / "other", chromium, min(seconds, 15.0))
    say(
        f"the camera gave {own['given']:.1f} frames a second, the page took {own['seen']:.1f}, "
        f"{own['rate']:.1f} were saved; left "
        f"out: {own['left_out']}; preview lag {own['lag'] * 1e3:.0f} ms; the kernel grew by "
        f"{own['grown']:.0f} MB; ipywebrtc: {other['rate']:.1f} frames a second"
    )
    say(f"shutter: {own['shutter'] * 1e3:.0f} ms, ipywebrtc {other['shutter'] * 1e3:.0f} ms")
    if any(own["left_out"].values()):
        raise AssertionError(f"the page left out {own['left_out']} frames, expected none")
    if own["grown"] > BOUND_MEMORY:
        raise AssertionError(f"the kernel grew by {own['grown']:.0f} MB while it recorded")
    period = [1 / own["rate"]]
    return [
        Row("browser camera: one frame", f"1/{FPS} s", Pair(period, [1 / FPS]), BOUND_RATE),
        Row("browser camera: one frame", "ipywebrtc", Pair(period, [1 / other["rate"]]), 1.0),
        Row(
            "shutter to saved",
            "ipywebrtc",
            Pair([own["shutter"]], [other["shutter"]]),
            BOUND_SHUTTER,
        ),
    ]


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a Chromium with a camera."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield chromium
        chromium.close()


@contextmanager
def notebook(place: Path, chromium: Browser, *cells: str) -> Iterator[tuple[Lab, Page]]:
    """Run cells in a JupyterLab of their own."""
    home, folder = place / "home", place / "lab"
    home.mkdir(parents=True)
    folder.mkdir()
    with running_lab(home, folder) as lab:
        page = chromium.new_page(viewport={"width": 1300, "height": 1000})
        lab.write_notebook("bench.ipynb", *cells)
        lab_page = LabPage(page, lab)
        lab_page.open_notebook("bench.ipynb")
        lab_page.run_all()
        yield lab, page
        page.close()


def record_own(place: Path, chromium: Browser, seconds: float) -> dict[str, Any]:
    """Record with the capture panel; then press the shutter a few times."""
    with notebook(place, chromium, MEMORY, PRODUCT) as (lab, page):
        root = page.locator(".wb-capture")
        root.get_by_role("button", name="Start camera").click()
        page.wait_for_function("() => document.querySelector('.wb-capture video').videoWidth > 0")
        page.wait_for_timeout(2000)
        lag = page.evaluate(LAG)
        record = root.locator(".wbc-record")
        images = lab.folder / "data/film/images/train"
        record.click()
        _wait_for_files(images, FPS)  # a second, until everything is loaded
        grown_from = _memory(lab.folder)
        given = page.evaluate(GIVEN)
        first, begun = _count(images), time.perf_counter()
        page.wait_for_timeout(seconds * 1000)
        rate = (_count(images) - first) / (time.perf_counter() - begun)
        until = page.evaluate(GIVEN)
        span = time.perf_counter() - begun
        given, seen = ((until[name] - given[name]) / span for name in ("given", "seen"))
        grown = _memory(lab.folder) - grown_from
        left_out = page.evaluate("() => document.querySelector('.wb-capture').captureStats.left()")
        record.click()
        page.wait_for_timeout(1500)
        saved = int(root.locator(".wbc-total").inner_text().split()[0].replace(",", ""))
        if saved != _count(images):
            raise AssertionError(f"{saved} frames count as saved, {_count(images)} are on disk")
        root.get_by_role("radio", name="By hand").click()
        page.wait_for_timeout(500)
        shutter = median(page.evaluate(SHUTTER) for _ in range(SHOTS))
    return {
        "rate": rate,
        "lag": lag,
        "shutter": shutter,
        "grown": grown,
        "left_out": left_out,
        "given": given,
        "seen": seen,
    }


def record_other(place: Path, chromium: Browser, seconds: float) -> dict[str, Any]:
    """Record with ipywebrtc: a picture is asked for when the one before is on disk."""
    with notebook(place, chromium, BASELINE) as (lab, page):
        page.wait_for_timeout(3000)
        page.get_by_role("button", name="Go").click()
        folder = lab.folder / "recorded"
        _wait_for_files(folder, 3)
        first, begun = _count(folder), time.perf_counter()
        page.wait_for_timeout(seconds * 1000)
        rate = (_count(folder) - first) / (time.perf_counter() - begun)
        times = [float(line) for line in (lab.folder / "latency.txt").read_text().split()]
    return {"rate": rate, "shutter": median(times[1:])}


def _count(folder: Path) -> int:
    return sum(1 for file in folder.iterdir() if file.suffix == ".jpg")


def _memory(folder: Path) -> float:
    return float((folder / "memory.txt").read_text().split()[-1])


def _wait_for_files(folder: Path, count: int) -> None:
    until = time.monotonic() + 60
    while not folder.is_dir() or _count(folder) < count:
        if time.monotonic() > until:
            raise AssertionError(f"{folder}: not {count} files within a minute")
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
