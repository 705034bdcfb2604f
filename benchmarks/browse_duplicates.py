"""The search for near-duplicates beside imagehash's perceptual hash, on one core.

    python benchmarks/browse_duplicates.py --check     # 20,000 images, some minutes
    python benchmarks/browse_duplicates.py --quick     # 1,000, for a look

``--check`` exits 1 if a bound is missed. Pictures are generated scenes; one in ten is
planted again as another version: resized, recompressed, brightened, or cropped a little.
Both sides find the files in the page cache, and run on one core and one thread; what counts
is processor time, so that other programs on that core disturb neither.

imagehash's hashes are grouped by our own search, whose time is not counted for it: only
reading the files and hashing them is.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from benchmarks.measure import Pair, Row, alternate, print_table, say, timed  # noqa: E402
from workbench.datasets import fact_cache  # noqa: E402
from workbench.datasets.duplicates import find_duplicates  # noqa: E402
from workbench.datasets.similarity import Positions, near_groups  # noqa: E402
from workbench.persistence import create_stores  # noqa: E402
from workbench.samples.scenes import scenes  # noqa: E402

DATASET = "many"
FULL, QUICK = 20_000, 1_000
SIZE = 512
TIMES_FASTER, AGAIN = 4.0, 1.5
ROUNDS = 5
_EVERY = 10

Frame = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Quality:
    """How many of the planted pairs were found, and how many of the found were planted."""

    recall: float
    precision: float


def measure(quick: bool) -> list[Row]:
    """Generate the images, search them, and return what `measure.print_table` prints."""
    return _measure(QUICK if quick else FULL)[0]


def _measure(images: int) -> tuple[list[Row], Quality, Quality]:
    with tempfile.TemporaryDirectory(prefix="duplicates-") as folder, asyncio.Runner() as runner:
        stores = create_stores(f"{folder}/data", f"{folder}/models")
        runner.run(stores.dataset.create(DATASET, ["thing"]))
        base = Path(folder) / "data" / DATASET / "images/train"
        say(f"generating {images:,} images of {SIZE} pixels")
        planted = _generate(base, images)
        paths = sorted(base.iterdir())
        for path in paths:
            path.read_bytes()
        say("searching")
        with _one_core():
            began = time.process_time()
            found = runner.run(find_duplicates(stores, DATASET))
            ours = time.process_time() - began
            began = time.process_time()
            hashes = _imagehash(paths)
            theirs = time.process_time() - began
            again = alternate(
                lambda: timed(lambda: runner.run(find_duplicates(stores, DATASET))),
                lambda: timed(lambda: runner.run(stores.image.list(DATASET))),
                ROUNDS,
            )
        names = [path.name for path in paths]
        mine = _quality(found.near, names, planted)
        other = _quality(near_groups(hashes), names, planted)
    say(
        f"ours: recall {mine.recall:.4f}, precision {mine.precision:.4f}; "
        f"imagehash: recall {other.recall:.4f}, precision {other.precision:.4f}"
    )
    rows = [
        Row(
            f"near-duplicates of {images:,} images",
            "imagehash.phash",
            Pair([ours], [theirs]),
            1 / TIMES_FASTER,
        ),
        # With few images, a few calls between threads take longer than listing them.
        Row(
            "the same, second time",
            "listing the images",
            again,
            AGAIN if images >= FULL else None,
        ),
    ]
    return rows, mine, other


def _generate(base: Path, images: int) -> set[frozenset[str]]:
    """Write the images; return the pairs of names that show the same."""
    planted = set()
    originals = images - images // (_EVERY + 1)
    # Drawn at half the size, in a quarter of the time, with fresh grain for the full size.
    grain = np.random.default_rng(7).normal(0, 3, (16, SIZE, SIZE, 3)).astype(np.int16)
    for index, scene in enumerate(scenes(originals, image_size=SIZE // 2, seed=77)):
        name = f"{index:06d}.jpg"
        large = cv2.resize(scene.frame, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
        noisy = large.astype(np.int16) + grain[index % len(grain)]
        picture: Frame = np.clip(noisy, 0, 255).astype(np.uint8)
        _write(base / name, picture, 92)
        if index % _EVERY == 0:
            change = _CHANGES[index // _EVERY % len(_CHANGES)]
            frame, quality = change(picture)
            other = f"{(index * 7919 + 13) % originals:06d}-again-{index}.jpg"
            _write(base / other, frame, quality)
            planted.add(frozenset((name, other)))
    return planted


_CHANGES: tuple[Callable[[Frame], tuple[Frame, int]], ...] = (
    lambda frame: (np.asarray(cv2.resize(frame, None, fx=0.6, fy=0.6), np.uint8), 90),
    lambda frame: (frame, 35),
    lambda frame: (np.clip(frame.astype(np.int16) + 14, 0, 255).astype(np.uint8), 90),
    lambda frame: (np.ascontiguousarray(frame[6:-6, 6:-6]), 90),
)


def _write(path: Path, frame: Frame, quality: int) -> None:
    path.write_bytes(bytes(cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]))


def _imagehash(paths: list[Path]) -> npt.NDArray[np.uint64]:
    import imagehash
    from PIL import Image

    hashes = np.zeros(len(paths), dtype=np.uint64)
    for position, path in enumerate(paths):
        with Image.open(path) as image:
            bits = imagehash.phash(image).hash
        hashes[position] = np.packbits(bits.reshape(-1)).view(">u8")[0]
    return hashes


def _quality(groups: list[Positions], names: list[str], planted: set[frozenset[str]]) -> Quality:
    pairs = {
        frozenset((names[a], names[b]))
        for group in groups
        for index, a in enumerate(group[:50].tolist())
        for b in group[index + 1 :].tolist()
    }
    good = len(pairs & planted)
    return Quality(good / len(planted), good / len(pairs) if pairs else 1.0)


@contextmanager
def _one_core() -> Iterator[None]:
    """Keep this process to one core, and both sides to one thread at a time."""
    affinity = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    if affinity is not None:
        os.sched_setaffinity(0, {min(affinity)})
    try:
        with patch.object(fact_cache, "_THREADS", 1):
            yield
    finally:
        cv2.setNumThreads(threads)
        if affinity is not None:
            os.sched_setaffinity(0, affinity)


def main() -> int:
    """Measure; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=None, help=f"how many; default {FULL:,}")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK:,} images")
    parser.add_argument("--check", action="store_true", help="exit 1 if a bound is missed")
    options = parser.parse_args()
    rows, mine, other = _measure(options.images or (QUICK if options.quick else FULL))
    print_table(rows)
    worse = mine.recall < other.recall or mine.precision < other.precision
    if worse:
        say("recall or precision is below imagehash's")
    return 1 if options.check and (worse or any(row.missed for row in rows)) else 0


if __name__ == "__main__":
    sys.exit(main())
