"""How fast the stores over plain files are, each task beside a baseline of the same run.

    python benchmarks/stores.py --check                # 100,000 images, some minutes
    python benchmarks/stores.py --quick                # 5,000, for a look

``--check`` exits 1 if a bound is missed. The images are generated: small JPEGs in three
splits, of which nine in ten have a label file with 0 to 12 boxes.

Both sides of a comparison find the files in the page cache. Before each export, import
and their baselines everything unwritten is forced to disk, so that neither pays for the
other's leftovers.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from benchmarks.measure import Pair, Row, alternate, print_table, say, timed  # noqa: E402
from workbench.persistence import Stores, create_stores  # noqa: E402
from workbench.persistence.models import SPLITS, Annotation  # noqa: E402
from workbench.persistence.yolo.label_text import format_labels  # noqa: E402

DATASET = "many"
CLASSES = [f"class {number}" for number in range(20)]
FULL, QUICK = 100_000, 5_000
CHEAP_ROUNDS, ZIP_ROUNDS, SAVES, STARTS = 7, 3, 300, 15
PAUSE_S = 0.003

# The quickest plain way to read or write a small file: no file object, no buffer.
READ = os.O_RDONLY
WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


@dataclass(frozen=True, slots=True)
class Bench:
    """What every measurement needs: the stores, an event loop, and folders on one disk."""

    stores: Stores
    runner: asyncio.Runner
    folder: Path

    @property
    def dataset(self) -> Path:
        """The generated dataset."""
        return self.folder / "data" / DATASET

    @property
    def archive(self) -> Path:
        """The dataset as an archive, once it has been exported."""
        return self.folder / f"{DATASET}.zip"


# --- what is measured on ---------------------------------------------------------------


def generate(bench: Bench, images: int) -> int:
    """Make the dataset; return the number of label files."""
    chance = random.Random(20240229)
    bench.runner.run(bench.stores.dataset.create(DATASET, CLASSES))
    pictures = [_picture(seed) for seed in range(16)]
    texts = [_label_text(chance) for _ in range(4096)]
    labelled = 0
    for number in range(images):
        split = chance.choices(SPLITS, weights=(8, 1, 1))[0]
        name = f"frame_{number:06d}"
        _write(f"{bench.dataset}/images/{split}/{name}.jpg", chance.choice(pictures))
        if chance.random() < 0.9:
            _write(f"{bench.dataset}/labels/{split}/{name}.txt", chance.choice(texts))
            labelled += 1
    os.sync()
    return labelled


def _picture(seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    good, data = cv2.imencode(".jpg", cv2.GaussianBlur(noise, (0, 0), 1.0 + seed / 16))
    assert good
    return data.tobytes()


def _label_text(chance: random.Random) -> bytes:
    boxes = []
    for _ in range(chance.randint(0, 12)):
        width, height = chance.uniform(0.02, 0.5), chance.uniform(0.02, 0.5)
        x, y = chance.uniform(width / 2, 1 - width / 2), chance.uniform(height / 2, 1 - height / 2)
        boxes.append(Annotation(chance.randrange(len(CLASSES)), x, y, width, height))
    return format_labels(boxes)


def _write(path: str, data: bytes) -> None:
    descriptor = os.open(path, WRITE, 0o644)
    os.write(descriptor, data)
    os.close(descriptor)


def _files(dataset: Path, kinds: tuple[str, ...] = ("images", "labels")) -> Iterator[str]:
    for split in SPLITS:
        for kind in kinds:
            folder = f"{dataset}/{kind}/{split}"
            for name in os.listdir(folder):  # noqa: PTH208 - quicker
                yield f"{folder}/{name}"


# --- the six tasks ---------------------------------------------------------------------


def listing(bench: Bench) -> list[Row]:
    """List all images with their size and whether they have labels."""

    def product() -> object:
        return bench.runner.run(bench.stores.image.list(DATASET))

    def scan(stat_labels: bool) -> None:
        for split in SPLITS:
            for kind in ("images", "labels"):
                with os.scandir(bench.dataset / kind / split) as entries:
                    for entry in entries:
                        if stat_labels or kind == "images":
                            entry.stat()

    def columns() -> object:
        return bench.runner.run(bench.stores.image.scan(DATASET))

    timed(columns)
    in_columns = alternate(
        lambda: timed(columns), lambda: timed(lambda: scan(stat_labels=True)), CHEAP_ROUNDS
    )
    timed(product)
    both = alternate(
        lambda: timed(product), lambda: timed(lambda: scan(stat_labels=True)), CHEAP_ROUNDS
    )
    lean = alternate(
        lambda: timed(product), lambda: timed(lambda: scan(stat_labels=False)), CHEAP_ROUNDS
    )
    work = "list all images"
    by_hand = "scandir + stat of images and labels"
    return [
        Row("list all images, as columns", by_hand, in_columns, 1.3),
        Row(work, by_hand, both, 2.0),
        Row(work, "scandir of both, stat of images only", lean),
    ]


def loading(bench: Bench) -> list[Row]:
    """Load every box of a split in columns and count them by class."""

    def product() -> object:
        table = bench.runner.run(bench.stores.label.load_all(DATASET, "train"))
        return table, table.class_counts(len(CLASSES))

    def read_all() -> int:
        folder = f"{bench.dataset}/labels/train"
        total = 0
        for name in os.listdir(folder):  # noqa: PTH208 - the baseline is to be quick
            descriptor = os.open(f"{folder}/{name}", READ)
            total += len(os.read(descriptor, 65536))
            os.close(descriptor)
        return total

    timed(product)
    pair = alternate(lambda: timed(product), lambda: timed(read_all), CHEAP_ROUNDS)
    return [Row("load all boxes of train, count classes", "read the label files", pair, 1.7)]


def exporting(bench: Bench) -> list[Row]:
    """Write the dataset as an archive.

    Ours forces the archive to disk before it gets its name, and the ratio includes that;
    `zipfile` leaves it in the page cache. The second row lets both do it.
    """
    plain = bench.folder / "plain.zip"
    syncs: list[float] = []

    def product() -> float:
        os.sync()
        return timed(
            lambda: bench.runner.run(bench.stores.dataset.export_zip(DATASET, bench.archive))
        )

    def baseline() -> float:
        plain.unlink(missing_ok=True)
        os.sync()
        taken = timed(write)
        syncs.append(timed(lambda: _fsync(plain)))
        return taken

    def write() -> None:
        with zipfile.ZipFile(plain, "w", zipfile.ZIP_STORED) as archive:
            archive.write(bench.dataset / "data.yaml", "data.yaml")
            prefix = len(str(bench.dataset)) + 1
            for path in _files(bench.dataset):
                archive.write(path, path[prefix:])

    pair = alternate(product, baseline, ZIP_ROUNDS)
    plain.unlink()
    return [
        Row("export_zip", "zipfile, stored", pair, 0.7),
        Row("export_zip", "zipfile, stored, and fsync", _with(pair, syncs)),
    ]


def importing(bench: Bench) -> list[Row]:
    """Make a dataset of an archive, with every check.

    Ours forces all files to disk before the dataset gets its name, and the ratio includes
    that; `extractall` leaves them in the page cache. The second row lets both do it.
    """
    targets = [bench.folder / f"plain_{number}" for number in range(ZIP_ROUNDS)]
    copies = [f"copy_{number}" for number in range(ZIP_ROUNDS)]
    syncs: list[float] = []

    def product(name: str) -> float:
        os.sync()
        return timed(lambda: bench.runner.run(bench.stores.dataset.import_zip(bench.archive, name)))

    def baseline(target: Path) -> float:
        os.sync()
        taken = timed(lambda: extract(target))
        syncs.append(timed(os.sync))
        return taken

    def extract(target: Path) -> None:
        with zipfile.ZipFile(bench.archive) as archive:
            archive.extractall(target)

    # Nothing is removed until the end: for minutes, ext4 keeps from using the inodes of
    # removed files again, and searching for others would slow whoever comes next.
    left, names = iter(targets), iter(copies)
    pair = alternate(lambda: product(next(names)), lambda: baseline(next(left)), ZIP_ROUNDS)
    for folder in [*targets, *(bench.folder / "data" / name for name in copies)]:
        shutil.rmtree(folder)
    return [
        Row("import_zip", "zipfile.extractall", pair, 0.7),
        Row("import_zip", "zipfile.extractall, and sync", _with(pair, syncs)),
    ]


def saving(bench: Bench) -> list[Row]:
    """Replace one label file, durable when the call returns.

    By hand, too, another label file of the same folder is replaced: how long a file system
    takes depends on the folder's size and on whether something must be freed. Ours frees what it
    has replaced after it has answered: a pause keeps that out of the time of the baseline.

    A save may not stop the event loop while the disk works, so it runs in a thread, and whoever
    awaits it is woken afterwards. The second row tells what that alone costs: the same writing,
    awaited in a thread.
    """
    chance = random.Random(7)
    folder = bench.dataset / "labels" / "train"
    stems = chance.sample(sorted(path.stem for path in folder.iterdir()), 3 * SAVES)
    product, threaded, plain = list[float](), list[float](), list[float]()

    async def alternating() -> None:
        for number in range(SAVES):
            boxes = [
                Annotation(number % len(CLASSES), 0.5, chance.uniform(0.3, 0.7), 0.2, 0.2)
                for _ in range(5)
            ]
            text = format_labels(boxes)
            for turn in chance.sample((product, threaded, plain), 3):
                stem = stems.pop()
                await asyncio.sleep(PAUSE_S)
                begin = time.perf_counter()
                if turn is product:
                    await bench.stores.label.save(DATASET, "train", f"{stem}.jpg", boxes)
                elif turn is threaded:
                    await asyncio.to_thread(_replace, str(folder), f"{stem}.txt", text)
                else:
                    _replace(str(folder), f"{stem}.txt", text)
                turn.append(time.perf_counter() - begin)

    os.sync()
    bench.runner.run(alternating())
    work, by_hand = "save one label file", "write, fsync, rename, fsync folder"
    return [
        Row(work, by_hand, Pair(product, plain), 1.3),
        Row(work, f"{by_hand}, in a thread", Pair(product, threaded)),
    ]


def _replace(folder: str, name: str, data: bytes) -> None:
    descriptor = os.open(f"{folder}/{name}.tmp", WRITE, 0o644)
    os.write(descriptor, data)
    os.fsync(descriptor)
    os.close(descriptor)
    Path(f"{folder}/{name}.tmp").replace(f"{folder}/{name}")
    _fsync(folder)


def _fsync(path: str | Path) -> None:
    descriptor = os.open(path, READ)
    os.fsync(descriptor)
    os.close(descriptor)


def _with(pair: Pair, more: list[float]) -> Pair:
    return Pair(pair.product, [b + m for b, m in zip(pair.baseline, more, strict=True)])


def starting() -> list[Row]:
    """Import the package in a new interpreter."""

    def start(code: str) -> float:
        return timed(lambda: subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT))

    def against_nothing(code: str) -> Pair:
        return alternate(lambda: start(code), lambda: start("pass"), STARTS)

    start("import workbench.persistence")
    bare, stores = "import workbench", "import workbench.persistence"
    return [
        Row(bare, "start Python", against_nothing(bare), 0.150, is_difference=True),
        Row(stores, "start Python", against_nothing(stores), is_difference=True),
    ]


# --- memory ----------------------------------------------------------------------------


def memory(bench: Bench, files: int) -> None:
    """Print by how much a process of its own grows while it exports and imports."""
    for task in ("export", "import"):
        command = [sys.executable, __file__, "--folder", str(bench.folder), "--grow", task]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        grown = int(output)
        print(
            f"{task}_zip of {files:,} files: peak memory grows by {grown / 2**20:.0f} MiB, "
            f"{grown / files:.0f} bytes for each file"
        )
    shutil.rmtree(bench.folder / "data" / "copy")


def grow(bench: Bench, task: str) -> None:
    """Export or import in this process, and print by how many bytes its peak grew."""
    small = bench.folder / "small"
    # What is loaded and made on first use is no growth.
    warm = create_stores(small / "data", small / "models")
    bench.runner.run(warm.dataset.create("warm"))
    bench.runner.run(warm.dataset.export_zip("warm", small))
    shutil.rmtree(small)
    before = _peak_bytes()
    if task == "export":
        bench.runner.run(bench.stores.dataset.export_zip(DATASET, bench.folder / "grown.zip"))
        (bench.folder / "grown.zip").unlink()
    else:
        bench.runner.run(bench.stores.dataset.import_zip(bench.archive, "copy"))
    print(_peak_bytes() - before)


def _peak_bytes() -> int:
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    except FileNotFoundError:
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


# --- the run ---------------------------------------------------------------------------

TASKS = {
    "list": listing,
    "load": loading,
    "export": exporting,
    "save": saving,
    "import": importing,  # last, because of what it removes
}


def main() -> int:
    """Measure; return the exit status."""
    options = _options()
    with (
        tempfile.TemporaryDirectory(dir=options.folder, prefix="stores-") as folder,
        asyncio.Runner() as runner,
    ):
        if options.grow:
            grow(_bench(Path(options.folder), runner), options.grow)
            return 0
        bench = _bench(Path(folder), runner)
        rows = measure(bench, options.images, set(options.only))
    print_table(rows)
    missed = [row for row in rows if row.missed]
    for row in missed:
        say(f"{row.work}: {row.cells()[4]} of {row.baseline}, expected {row.cells()[5]} or less")
    return 1 if missed and options.check else 0


def measure(bench: Bench, images: int, only: set[str]) -> list[Row]:
    """Generate the dataset and run the tasks of which the names are in `only`, or all."""
    say(f"generating {images:,} images in {bench.folder}")
    files = images + generate(bench, images)
    rows = []
    for name, task in TASKS.items():
        if not only or name in only:
            say(f"measuring {name}")
            rows += task(bench)
        elif name == "export":
            bench.runner.run(bench.stores.dataset.export_zip(DATASET, bench.archive))
    if not only or "start" in only:
        say("measuring start")
        rows += starting()
    if not only or "memory" in only:
        say("measuring memory")
        memory(bench, files)
    return rows


def _bench(folder: Path, runner: asyncio.Runner) -> Bench:
    return Bench(create_stores(folder / "data", folder / "models"), runner, folder)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=None, help=f"how many; default {FULL:,}")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK:,} images")
    parser.add_argument("--check", action="store_true", help="exit 1 if a bound is missed")
    parser.add_argument("--folder", help="where to generate; default: the system's folder")
    parser.add_argument("--only", nargs="*", default=[], choices=[*TASKS, "start", "memory"])
    parser.add_argument("--grow", choices=("export", "import"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.images is None:
        options.images = QUICK if options.quick else FULL
    return options


if __name__ == "__main__":
    sys.exit(main())
