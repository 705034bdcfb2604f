"""Suggestions in bulk: made as fast as Ultralytics predicts, read and listed at once.

    python benchmarks/suggestions.py --check             # some minutes
    python benchmarks/suggestions.py --quick             # 64 images, 100,000 suggestions

- Pre-labelling images into the store, beside ``YOLO.predict(stream=True)`` on the same files at the
  best of some batch sizes. The weights are random and the confidence is 0.25, so that both find
  nothing: what is compared is reading, scaling and the network.
- A million suggestions on 100,000 images, read from disk into columns.
- Ten thousand suggested crops of 1,000 images, listed in Browse, with the first page's items.

What the page adds to the last one is measured by `benchmarks/hand.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from benchmarks.measure import Row, alternate, print_table, say, timed  # noqa: E402
from workbench import samples  # noqa: E402
from workbench.datasets.prelabelling import prelabel  # noqa: E402
from workbench.labelling import ModelLabeller  # noqa: E402
from workbench.labelling.predictor import Predictor  # noqa: E402
from workbench.panels.browse.model import BrowseModel  # noqa: E402
from workbench.persistence import Stores, create_stores  # noqa: E402
from workbench.persistence.models import NewImage  # noqa: E402
from workbench.persistence.suggestion_blocks import (  # noqa: E402
    SuggestionBlock,
    SuggestionSource,
)
from workbench.training.environment import import_ultralytics  # noqa: E402

SIZE, CONFIDENCE = 320, 0.25
BATCHES = (1, 8, 16, 32)
PRELABEL_BOUND, LOAD_BOUND_S, LIST_BOUND_S = 1.05, 0.5, 1.0
ON_IMAGE, IN_BLOCK = 10, 512
FIRST_PAGE = 100
ROUNDS = 5
MODEL = SuggestionSource("model", "bench", "ab" * 32)


def prelabelled(folder: Path, count: int, rounds: int) -> Row:
    """Measure the making of suggestions."""
    stores = create_stores(folder / "data", folder / "models")
    images = [
        NewImage(f"scene_{number:04}.jpg", "train", scene.frame)
        for number, scene in enumerate(samples.scenes(count, image_size=SIZE))
    ]
    asyncio.run(_create(stores, "shapes", images))
    ultralytics = import_ultralytics(folder / "settings")
    weights = folder / "random.pt"
    network = ultralytics.YOLO("yolo11n.yaml")
    network.model.names = dict(enumerate(samples.CLASSES)) | {
        number: f"other {number}" for number in range(len(samples.CLASSES), 80)
    }
    # Without it, nothing tells for which size they are, and a model is shown 640 pixels.
    network.model.args = {**dict(network.model.args), "imgsz": SIZE}
    network.save(str(weights))
    model = ultralytics.YOLO(str(weights))
    source = str(folder / "data/shapes/images/train")

    def predicted(batch: int) -> float:
        def work() -> int:
            found = model.predict(
                source, stream=True, batch=batch, imgsz=SIZE, conf=CONFIDENCE, verbose=False
            )
            return sum(len(one.boxes) for one in found)

        return timed(work)

    predicted(1)  # loads it
    taken = {batch: predicted(batch) for batch in BATCHES}
    best = min(taken, key=lambda batch: taken[batch])
    say("  " + ", ".join(f"batch {batch}: {taken[batch]:.2f} s" for batch in BATCHES))
    predictor = Predictor(stores, device="cpu")
    labeller = ModelLabeller(predictor, weights, confidence=CONFIDENCE, tiles=False)
    whole: Any = None

    def ours() -> float:
        nonlocal whole
        begin = time.perf_counter()
        whole = asyncio.run(prelabel(stores, "shapes", "train", labeller, again=True))
        return time.perf_counter() - begin

    ours()
    pair = alternate(ours, lambda: predicted(best), rounds)
    predictor.close()
    if whole.images != count:
        raise SystemExit(f"expected {count} images to be looked at, found {whole.images}")
    name = f"predict(stream=True, batch={best})"
    return Row(f"pre-label {count:,} images", name, pair, PRELABEL_BOUND)


async def _create(stores: Stores, name: str, images: list[NewImage]) -> None:
    await stores.dataset.create(name, list(samples.CLASSES))
    await stores.image.add_many(name, images)


async def suggest(stores: Stores, name: str, images: list[str]) -> None:
    """Write ten suggestions for each image."""
    random = np.random.default_rng(0)
    for start in range(0, len(images), IN_BLOCK):
        some = [f"train/{image}" for image in images[start : start + IN_BLOCK]]
        rows = ON_IMAGE * len(some)
        block = SuggestionBlock(
            datetime.now(UTC),
            "suggested",
            MODEL,
            some,
            np.full(len(some), ON_IMAGE, np.int32),
            random.integers(0, len(samples.CLASSES), rows).astype(np.int32),
            (0.3 + random.random((rows, 4), dtype=np.float32) / 5),
            random.random(rows, dtype=np.float32),
        )
        await stores.image.add_suggestions(name, [block])


async def loaded(folder: Path, count: int) -> tuple[float, float]:
    """Return how long it takes to read suggestions into columns."""
    stores = create_stores(folder / "data", folder / "models")
    await stores.dataset.create("many", list(samples.CLASSES))
    names = [f"frame_{number:06}.jpg" for number in range(count // ON_IMAGE)]
    for name in names:  # an image is what has the name of one; nobody opens these
        (folder / "data/many/images/train" / name).touch()
    await suggest(stores, "many", names)

    async def read() -> int:
        return len(await stores.image.suggestions("many"))

    return await _usual(read, count)


async def listed(folder: Path, count: int) -> tuple[float, float]:
    """Return how long Browse takes to list suggested crops."""
    stores = create_stores(folder / "data", folder / "models")
    frame = np.full((64, 64, 3), 90, np.uint8)
    names = [f"frame_{number:05}.jpg" for number in range(count // ON_IMAGE)]
    await _create(stores, "crops", [NewImage(name, "train", frame) for name in names])
    await suggest(stores, "crops", names)

    async def show() -> int:
        browse = BrowseModel(stores)
        try:
            await browse.open("crops")
            listing = await browse.show("suggested")
            for place in range(FIRST_PAGE):
                listing.item(place)
            return len(listing)
        finally:
            browse.close()

    return await _usual(show, count)


async def _usual(work: Callable[[], Awaitable[int]], expected: int) -> tuple[float, float]:
    """Return the median of how long some work takes, and of its processor time.

    What it gives is checked. Where others use the machine, the processor time says more.
    """
    times, busy = [], []
    for _ in range(ROUNDS):
        begin, cpu = time.perf_counter(), time.process_time()
        found = await work()
        times.append(time.perf_counter() - begin)
        busy.append(time.process_time() - cpu)
        if found != expected:
            raise SystemExit(f"expected {expected:,} suggestions, found {found:,}")
    return median(times), median(busy)


def main(args: argparse.Namespace) -> int:
    failures = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, bound, measure, count in (
            ("suggestions in columns", LOAD_BOUND_S, loaded, args.suggestions),
            ("suggested crops listed", LIST_BOUND_S, listed, args.crops),
        ):
            taken, busy = asyncio.run(measure(folder / measure.__name__, count))
            say(f"{count:,} {name}: {taken:.3f} s ({busy:.3f} s busy), at most {bound} s")
            if taken > bound:
                failures.append(f"{name}: {taken:.3f} s, expected {bound} s")
        if args.images:
            row = prelabelled(folder / "c", args.images, args.rounds)
            print_table([row])
            if row.missed:
                failures.append(f"{row.work}: {row.value:.2f}x, expected {row.bound}x")
    for failure in failures:
        say(f"FAIL {failure}")
    return bool(failures) and args.check


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit 1 where a bound is missed")
    parser.add_argument("--quick", action="store_true", help="fewer of everything")
    parser.add_argument("--images", type=int, default=1_000, help="0: no pre-labelling")
    parser.add_argument("--suggestions", type=int, default=1_000_000)
    parser.add_argument("--crops", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    if args.quick:
        args.images, args.suggestions, args.rounds = min(args.images, 64), 100_000, 1
    return args


if __name__ == "__main__":
    sys.exit(main(parsed()))
