"""How fast a dataset is browsed, each task beside a baseline of the same run.

    python benchmarks/browse.py --check                      # 100,000 images, some minutes
    python benchmarks/browse.py --quick                      # 5,000, for a look
    python benchmarks/browse.py --images 1000 100000 1000000 # the curve
    python benchmarks/browse.py --only statistics query

``--check`` exits 1 if a bound is missed. The dataset is that of ``benchmarks/stores.py``:
small JPEGs in three splits, of which nine in ten have a label file with 0 to 12 boxes.
Files are found in the page cache by both sides of a comparison.

``duplicates`` and ``gallery`` are measured by ``browse_duplicates.py`` and
``browse_gallery.py``, which run by themselves too.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from benchmarks.measure import (  # noqa: E402
    Pair,
    Row,
    alternate,
    print_columns,
    print_table,
    say,
    timed,
)
from benchmarks.stores import CLASSES, DATASET, READ, Bench, generate  # noqa: E402
from workbench.datasets.index import Indexer  # noqa: E402
from workbench.datasets.query import parse_query  # noqa: E402
from workbench.datasets.statistics import Statistics  # noqa: E402
from workbench.datasets.thumbnails import Thumbnails  # noqa: E402
from workbench.persistence import create_stores  # noqa: E402
from workbench.persistence.models import SPLITS, NewImage  # noqa: E402

FULL, QUICK = 100_000, 5_000
ROUNDS = 7
PAGE, SIDE = 60, 240  # thumbnails of a page, pixels of their longer side
QUERIES = (
    'class:"class 3" boxes>3',
    "00012 or 00034 -split:val",
    "area<0.01 sort:-area",
    'modified:week -class:"class 1" -class:2 area>0.2 frame_0 sort:-boxes',
)
_SETTLE_S = 2.5  # what changed just before a listing is read again: see `index._UNSETTLED_NS`


def statistics(bench: Bench) -> list[Row]:
    """Read all label files and compute every statistic of boxes; nothing is cached."""

    def product() -> object:
        table = bench.runner.run(bench.stores.label.load_all(DATASET))
        return _compute(Statistics.of_labels(table, CLASSES))

    def first_opening() -> object:
        (bench.dataset / ".workbench" / "cache" / "index").unlink(missing_ok=True)
        index = bench.runner.run(Indexer(bench.stores).load(DATASET))
        return _compute(Statistics(index))

    def read_all() -> int:
        total = 0
        for split in SPLITS:
            folder = f"{bench.dataset}/labels/{split}"
            for name in os.listdir(folder):  # noqa: PTH208 - the baseline is to be quick
                descriptor = os.open(f"{folder}/{name}", READ)
                total += len(os.read(descriptor, 65536))
                os.close(descriptor)
        return total

    timed(product)
    labels = alternate(lambda: timed(product), lambda: timed(read_all), ROUNDS)
    opening = alternate(lambda: timed(first_opening), lambda: timed(read_all), 3)
    return [
        Row("statistics of all label files", "read their bytes", labels, 2.5),
        Row("first opening (list, index, cache) and statistics", "read label bytes", opening),
    ]


def _compute(found: Statistics) -> object:
    return (
        found.images_by_state,
        found.boxes_by_class,
        found.images_by_class,
        found.boxes_per_image,
        found.co_occurrence,
        found.areas,
        found.aspects,
        found.centres(),
    )


def opening(bench: Bench) -> list[Row]:
    """Open an unchanged dataset for the second time, as a new process would."""

    def product() -> object:
        return bench.runner.run(Indexer(bench.stores).load(DATASET))

    def listing() -> None:
        for split in SPLITS:
            for kind in ("images", "labels"):
                with os.scandir(bench.dataset / kind / split) as entries:
                    for entry in entries:
                        entry.stat()

    timed(product)
    pair = alternate(lambda: timed(product), lambda: timed(listing), ROUNDS)
    return [Row("second opening, unchanged", "scandir + stat of the folders", pair, 1.3)]


def querying(bench: Bench) -> list[Row]:
    """Run queries over an index at hand."""
    index = bench.runner.run(Indexer(bench.stores).load(DATASET))
    rows = []
    for text in QUERIES:
        times = [timed(lambda text=text: parse_query(text).run(index)) for _ in range(ROUNDS)]
        pair = Pair(times, [0.0] * ROUNDS)
        rows.append(Row(f"query {text}", "nothing", pair, 0.1, is_difference=True))
    return rows


def thumbnails(bench: Bench) -> list[Row]:
    """Make the first page of thumbnails, from bytes on disk to JPEGs for the browser."""
    name = "hd"
    pictures = (
        NewImage(f"{number:02}.jpg", "train", _hd_picture(number)) for number in range(PAGE)
    )
    info = bench.runner.run(bench.stores.dataset.create_from(name, ["thing"], pictures))
    keys = [("train", f"{number:02}.jpg") for number in range(PAGE)]
    paths = [str(info.path / "images" / "train" / filename) for _, filename in keys]
    maker = Thumbnails(bench.stores)

    def product() -> object:
        found = bench.runner.run(maker.get(name, keys, size=SIDE))
        failed = [picture for picture in found if isinstance(picture, Exception)]
        if failed:
            raise failed[0]
        return found

    def decode(path: str) -> object:
        return cv2.imread(path, cv2.IMREAD_REDUCED_COLOR_8)

    with ThreadPoolExecutor(2) as pool:

        def baseline() -> object:
            return list(pool.map(decode, paths))

        timed(product)
        timed(baseline)
        pair = alternate(lambda: timed(product), lambda: timed(baseline), ROUNDS)
    maker.close()
    return [Row(f"{PAGE} thumbnails of 1080p", "IMREAD_REDUCED_COLOR_8, 2 threads", pair, 1.3)]


def _hd_picture(seed: int) -> bytes:
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 240, (27, 48, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, (1920, 1080), interpolation=cv2.INTER_CUBIC)
    noise = random.integers(0, 16, smooth.shape, dtype=np.uint8)
    good, data = cv2.imencode(".jpg", cv2.add(smooth, noise), [cv2.IMWRITE_JPEG_QUALITY, 90])
    assert good
    return data.tobytes()


TASKS = {
    "statistics": statistics,
    "opening": opening,
    "query": querying,
    "thumbnails": thumbnails,
}


def measure(images: int, only: Sequence[str]) -> list[Row]:
    """Generate a dataset of so many images and run the tasks of which the names are given."""
    with tempfile.TemporaryDirectory(prefix="browse-") as folder, asyncio.Runner() as runner:
        path = Path(folder)
        bench = Bench(create_stores(path / "data", path / "models"), runner, path)
        say(f"generating {images:,} images in {path}")
        generate(bench, images)
        time.sleep(_SETTLE_S)
        rows = []
        for name, task in TASKS.items():
            if name in only:
                say(f"measuring {name}")
                rows += task(bench)
    return rows


def main() -> int:
    """Measure; return the exit status."""
    options = _options()
    missed = False
    if set(options.only) & TASKS.keys():
        for images in options.images:
            rows = measure(images, options.only)
            print(f"\n{images:,} images")
            print_table(rows)
            missed |= any(row.missed for row in rows)
    if "duplicates" in options.only:
        from benchmarks import browse_duplicates

        rows = browse_duplicates.measure(options.quick)
        print("\nnear-duplicates")
        print_table(rows)
        missed |= any(row.missed for row in rows)
    if "gallery" in options.only:
        from benchmarks import browse_gallery

        lines = browse_gallery.measure(options.quick)
        print("\ngallery")
        print_columns(browse_gallery.HEADINGS, [line.cells() for line in lines])
        missed |= any(line.missed for line in lines)
    return 1 if missed and options.check else 0


def _options() -> argparse.Namespace:
    everything = [*TASKS, "duplicates", "gallery"]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, nargs="+", help=f"how many; default {FULL:,}")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK:,} images")
    parser.add_argument("--check", action="store_true", help="exit 1 if a bound is missed")
    parser.add_argument("--only", nargs="+", default=everything, choices=everything)
    options = parser.parse_args()
    if options.images is None:
        options.images = [QUICK if options.quick else FULL]
    return options


if __name__ == "__main__":
    sys.exit(main())
