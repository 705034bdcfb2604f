"""Measure capturing beside the shortest loop that does the same.

A video file goes through a feed and the capture controller into a dataset, every frame of
it, durably and in order; the baseline is ``VideoCapture.read`` and ``imwrite`` in a loop,
which promises neither. ``--check`` exits with 1 if a bound is missed.

The browser's camera is measured by ``benchmarks/capture_browser.py``, where that is there.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measure import Row, alternate, print_table, say
from workbench.capture.controller import CaptureController
from workbench.capture.settings import CaptureSettings
from workbench.capture.video_feed import VideoFeed
from workbench.persistence import create_stores
from workbench.samples.scenes import moving_scenes

BOUND = 1.2
SIZE = (1280, 720)
FULL, QUICK = 600, 120
ROUNDS_FULL, ROUNDS_QUICK = 7, 3


def main() -> int:
    options = _options()
    frames = QUICK if options.quick else FULL
    rounds = ROUNDS_QUICK if options.quick else ROUNDS_FULL
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        rows = [video_row(Path(folder), frames, rounds)]
    if not options.no_browser and find_spec("benchmarks.capture_browser") is not None:
        rows += import_module("benchmarks.capture_browser").measure(options.quick)
    print_table(rows)
    missed = [row for row in rows if row.missed]
    for row in missed:
        say(f"{row.work}: {row.cells()[4]} of {row.baseline}, expected {row.cells()[5]} or less")
    return 1 if missed and options.check else 0


def video_row(folder: Path, frames: int, rounds: int) -> Row:
    """Measure a video file to image files."""
    say(f"making a video of {frames} frames, {SIZE[0]} x {SIZE[1]}")
    video = make_video(folder / "video.avi", frames)

    def product() -> float:
        say("capturing")
        return capture(video, folder / "product", frames)

    def baseline() -> float:
        say("plain loop")
        return plain_loop(video, folder / "plain", frames)

    pair = alternate(product, baseline, rounds)
    return Row(f"video to {frames} images", "VideoCapture + imwrite", pair, BOUND)


def capture(video: Path, folder: Path, frames: int) -> float:
    """Return the seconds from opening the file until the last image is acknowledged."""
    stores = create_stores(data_dir=folder, models_dir=folder / "models")
    asyncio.run(stores.dataset.create("captured"))
    begin = time.perf_counter()
    feed = VideoFeed(video, realtime=False)
    settings = CaptureSettings(min_difference=0)
    with CaptureController(stores, feed, "captured", settings=settings) as controller:
        controller.record(until=frames)
        with feed:
            controller.flush()
        status = controller.status
    taken = time.perf_counter() - begin
    _require(folder / "captured/images/train", frames)
    if (status.saved, status.dropped, status.failure) != (frames, 0, ""):
        raise AssertionError(f"expected {frames} saved, found {status}")
    shutil.rmtree(folder)
    return taken


def plain_loop(video: Path, folder: Path, frames: int) -> float:
    """Return the seconds that reading and writing take with nothing else."""
    folder.mkdir()
    begin = time.perf_counter()
    reader = cv2.VideoCapture(str(video))
    number = 0
    while True:
        good, image = reader.read()
        if not good:
            break
        cv2.imwrite(f"{folder}/{number:06d}.jpg", image)
        number += 1
    reader.release()
    taken = time.perf_counter() - begin
    _require(folder, frames)
    shutil.rmtree(folder)
    return taken


def make_video(path: Path, frames: int) -> Path:
    """Write a Motion JPEG video of drifting shapes with the noise of a sensor."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 12, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, SIZE)
    for scene in moving_scenes(frames, fps=30, image_size=(320, 180)):
        writer.write(cv2.add(cv2.resize(scene.frame, SIZE), noise))
    writer.release()
    return path


def _require(folder: Path, frames: int) -> None:
    found = len(list(folder.iterdir()))
    if found != frames:
        raise AssertionError(f"{folder}: expected {frames} images, found {found}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer frames and rounds")
    parser.add_argument("--check", action="store_true", help="exit 1 if a bound is missed")
    parser.add_argument("--no-browser", action="store_true", help="leave out the browser's camera")
    parser.add_argument("--folder", help="where to write; default: the system's folder")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
