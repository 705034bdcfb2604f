"""What a dataset in a bucket costs: requests and bytes, with 20 ms added to each request.

    python benchmarks/object_storage.py --check        # 20,000 images, many minutes
    python benchmarks/object_storage.py --quick        # 400, for a look

``--check`` exits 1 if a bound is missed. The bucket is a real S3 server on this machine; the proxy
of the tests stands before it, which counts and delays. Both share the processors with what is
measured, so requests are what counts; times stand beside those of obstore, which fetches the same
objects through the same proxy, as many at once.

Each work begins with stores of its own, as in a new process. What is kept on this machine is empty
at the beginning only.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from benchmarks.measure import print_columns, say, seconds  # noqa: E402
from tests.storage.s3_proxy import BUCKET, S3Proxy, environment, s3_server  # noqa: E402
from workbench.persistence import Stores, create_stores  # noqa: E402
from workbench.persistence.models import Annotation  # noqa: E402

FULL, QUICK = 20_000, 400
LATENCY_S = 0.02
AT_ONCE = 16
TRIES = 3
NAME = "many"
ADDRESS = f"s3://{BUCKET}/data"
BACKEND = ROOT / "workbench" / "persistence" / "storage" / "bucket"
MB = 1e6


@dataclass
class Cost:
    """What some work has cost."""

    lists: int = 0
    gets: int = 0
    others: int = 0
    rounds: int = 0
    down: int = 0
    up: int = 0
    taken_s: float = 0.0
    paths: list[tuple[str, str]] = field(default_factory=list)

    def of(self, method: str, part: str) -> int:
        """Return how many requests of a method were for keys with a part."""
        return sum(one == method and part in path for one, path in self.paths)


@dataclass(frozen=True)
class Row:
    """One line of the table; a bound of None is for information."""

    work: str
    cost: Cost | None
    result: str
    value: float
    bound: float | None
    shown: str

    @property
    def missed(self) -> bool:
        """Whether the bound is missed."""
        return self.bound is not None and self.value > self.bound

    def cells(self) -> tuple[str, ...]:
        """Return the line as text."""
        cost = self.cost
        spent = ("", "", "", "")
        if cost is not None:
            requests = f"{cost.lists} + {cost.gets} + {cost.others}"
            spent = (
                requests,
                f"{cost.down / MB:.2f}",
                f"{cost.up / MB:.2f}",
                seconds(cost.taken_s),
            )
        told = "" if self.bound is None else "MISSED" if self.missed else "met"
        return (self.work, *spent, self.result, self.shown, told)


class Bench:
    """The bucket, and what is asked of it.

    Parameters
    ----------
    s3 : S3Proxy
    folder : Path
    images : int
    """

    def __init__(self, s3: S3Proxy, folder: Path, images: int) -> None:
        self.s3 = s3
        self.folder = folder
        self.images = images
        self.labels = [number for number in range(images) if number % 10]
        self.rows: list[Row] = []
        self._pool = ThreadPoolExecutor(AT_ONCE)

    def stores(self) -> Stores:
        """Return stores that know nothing yet."""
        return create_stores(ADDRESS, self.folder / "models")

    def each(self, call: Callable[[Any], object], items: Any) -> None:
        """Call with each, some at once."""
        for _ in self._pool.map(call, items):
            pass

    @contextmanager
    def counted(self) -> Iterator[Cost]:
        """Count what a block costs."""
        cost, s3 = Cost(), self.s3
        start, down, up = len(s3.log), s3.bytes["down"], s3.bytes["up"]
        s3.spans.clear()
        began = time.perf_counter()
        yield cost
        cost.taken_s = time.perf_counter() - began
        with s3.guard:
            cost.rounds = s3.rounds(list(s3.spans))
            cost.down, cost.up = s3.bytes["down"] - down, s3.bytes["up"] - up
            cost.paths = s3.log[start:]
        cost.lists = sum("list-type" in path for _, path in cost.paths)
        cost.gets = sum(m == "GET" for m, _ in cost.paths) - cost.lists
        cost.others = len(cost.paths) - cost.lists - cost.gets

    def add(
        self, work: str, cost: Cost | None, result: str, value: float, bound: float | None, at: str
    ) -> None:
        """Note a line."""
        self.rows.append(Row(work, cost, result, value, bound, at))
        say(f"{work}: {result}")


def plain(s3: S3Proxy) -> Any:
    """Return the bucket as obstore gives it."""
    from obstore.store import from_url

    return from_url(f"s3://{BUCKET}/data/{NAME}", client_options={"allow_http": True})


def fill(bench: Bench) -> None:
    """Put a dataset there as another tool does, without the delay."""
    import obstore

    store, chance = plain(bench.s3), np.random.default_rng(7)
    pictures = []
    for _ in range(8):
        coarse = chance.integers(0, 255, (15, 20, 3), dtype=np.uint8)
        frame = cv2.resize(coarse, (320, 240), interpolation=cv2.INTER_CUBIC)
        pictures.append(bytes(cv2.imencode(".jpg", frame)[1]))
    obstore.put(store, "data.yaml", b"train: images/train\nval: images/val\nnames: [cup]\n")

    def put(number: int) -> None:
        split = "val" if number % 5 == 0 else "train"
        obstore.put(store, f"images/{split}/{number:06}.jpg", pictures[number % 8])
        if number % 10:
            obstore.put(store, f"labels/{split}/{number:06}.txt", b"0 0.5 0.5 0.25 0.25\n")

    bench.each(put, range(bench.images))


def keys(bench: Bench, kind: str) -> list[str]:
    """Return the keys of all images or labels."""
    numbers = range(bench.images) if kind == "images" else bench.labels
    ending = "jpg" if kind == "images" else "txt"
    split = {True: "val", False: "train"}
    return [f"{kind}/{split[n % 5 == 0]}/{n:06}.{ending}" for n in numbers]


# --- what is measured --------------------------------------------------------------------


async def open_and_list(bench: Bench) -> None:
    """List the images of a dataset."""
    with bench.counted() as cost:
        found = await bench.stores().image.list(NAME)
    assert len(found) == bench.images
    pages = sum(
        ceil(max(1, sum(key.startswith(f"{kind}/{split}/") for key in keys(bench, kind))) / 1000)
        for kind in ("images", "labels")
        for split in ("train", "val", "test")
    )
    at_most = pages + 5
    bench.add("open and list", cost, f"{cost.lists} lists", cost.lists, at_most, f"{at_most} lists")


async def all_labels(bench: Bench) -> None:
    """Read all labels twice; beside obstore, and beside a folder with the same."""
    import obstore

    store, names = plain(bench.s3), keys(bench, "labels")
    with bench.counted() as bare:
        bench.each(lambda key: obstore.get(store, key).bytes(), names)
    with bench.counted() as cost:
        table = await bench.stores().label.load_all(NAME)
    assert len(table.class_id) == len(names)
    once = cost.of("GET", f"/{NAME}/labels/")
    bench.add(
        "all labels, first time", cost, f"{once} GETs of labels", once, len(names),
        f"{len(names)} GETs",
    )  # fmt: skip
    ratio = cost.taken_s / bare.taken_s
    bench.add("  beside obstore", bare, f"{ratio:.2f}x its time", ratio, 1.5, "1.5x")
    await fill_folder(bench, names)
    tries = [await listed_and_again(bench, store) for _ in range(TRIES)]
    # The server shares the processors with all else: of each the fastest counts.
    listings, costs, locally = zip(*tries, strict=True)
    listing, cost = (min(some, key=lambda one: one.taken_s) for some in (listings, costs))
    local_s = min(locally)
    again = max(one.of("GET", f"/{NAME}/labels/") for one in costs)
    bench.add("the same again", cost, f"{again} GETs of labels", again, 0, "0 GETs")
    most = listing.taken_s + 2 * local_s
    bench.add(
        "  beside a bare listing and a folder", listing, seconds(cost.taken_s), cost.taken_s, most,
        seconds(most),
    )  # fmt: skip


async def fill_folder(bench: Bench, names: list[str]) -> None:
    """Put the same labels into a folder."""
    local = create_stores(bench.folder / "local", bench.folder / "models")
    await local.dataset.create(NAME, ["cup"])
    for key in names:
        image = key.replace("labels", "images").replace("txt", "jpg")
        for path, data in ((image, b""), (key, b"0 0.5 0.5 0.25 0.25\n")):
            (bench.folder / "local" / NAME / path).write_bytes(data)


async def listed_and_again(bench: Bench, store: Any) -> tuple[Cost, Cost, float]:
    """Return what a bare listing costs, reading all labels again, and the seconds of a folder."""
    import obstore

    with bench.counted() as listing:
        for split in ("train", "val", "test"):
            for kind in ("images", "labels"):
                obstore.list(store, f"{kind}/{split}").collect()
    with bench.counted() as again:
        await bench.stores().label.load_all(NAME)
    local = create_stores(bench.folder / "local", bench.folder / "models")
    began = time.perf_counter()
    await local.label.load_all(NAME)
    return listing, again, time.perf_counter() - began


async def one_save(bench: Bench) -> None:
    """Save the labels of one image, with stores that have been at work."""
    stores = bench.stores()
    for number in range(6):
        box = Annotation(0, 0.5, 0.5, 0.1 + number / 50, 0.25)
        await asyncio.sleep(0.5)  # the lease of the save before has ended
        with bench.counted() as cost:
            await stores.label.save(NAME, "train", "000001.jpg", [box])
    bench.add("one label saved", cost, f"{cost.rounds} round trips", cost.rounds, 3, "3")


async def export(bench: Bench) -> None:
    """Write a zip of all of it."""
    idle, most, done = psutil.Process().memory_info().rss, 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.05):
            most = max(most, psutil.Process().memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with bench.counted() as cost:
            await bench.stores().dataset.export_zip(NAME, bench.folder / "out.zip")
    finally:
        done.set()
        watcher.join()
    objects = bench.images + len(bench.labels)
    gets = cost.of("GET", f"/{NAME}/images/") + cost.of("GET", f"/{NAME}/labels/")
    value = gets / objects
    bench.add("export to zip", cost, f"{value:.2f} GETs for each", value, 1, "1 for each object")
    above = (most - idle) / MB
    bench.add("  memory above idle", None, f"{above:.0f} MB", above, 300, "300 MB")


async def materialise(bench: Bench) -> None:
    """Make files of all of it for training, and again after ten images were changed."""
    import obstore

    store, names = plain(bench.s3), keys(bench, "images") + keys(bench, "labels")
    bare_folder = bench.folder / "bare"

    def fetch(key: str) -> None:
        path = bare_folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(obstore.get(store, key).bytes())

    with bench.counted() as bare:
        bench.each(fetch, names)
    os.environ["XDG_CACHE_HOME"] = str(bench.folder / "another cache")
    with bench.counted() as cost:
        await bench.stores().dataset.snapshot(NAME, bench.folder / "first")
    ratio = cost.taken_s / bare.taken_s
    bench.add("materialise for training", cost, f"{ratio:.2f}x of obstore", ratio, 1.2, "1.2x")
    for key in keys(bench, "images")[:10]:
        data = bytes(obstore.get(store, key).bytes())
        obstore.put(store, key, data + b"changed")
    with bench.counted() as cost:
        await bench.stores().dataset.snapshot(NAME, bench.folder / "second")
    gets = cost.of("GET", f"/{NAME}/images/") + cost.of("GET", f"/{NAME}/labels/")
    bench.add("  again after 10 edits", cost, f"{gets} objects", gets, 10, "10 objects")


async def size(bench: Bench) -> None:
    """Count the lines of the backend."""
    lines = sum(len(path.read_text().splitlines()) for path in BACKEND.glob("*.py"))
    bench.add("lines of the backend", None, f"{lines}", lines, 600, "600")


WORKS: tuple[Callable[[Bench], Coroutine[Any, Any, None]], ...] = (
    open_and_list, all_labels, one_save, export, materialise, size,
)  # fmt: skip


def main() -> int:
    """Measure; return 1 if a bound is missed and that was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail if a bound is missed")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} images")
    parser.add_argument("--images", type=int)
    options = parser.parse_args()
    images = options.images or (QUICK if options.quick else FULL)
    with tempfile.TemporaryDirectory(prefix="workbench-bucket-") as scratch, s3_server() as s3:
        os.environ |= environment(s3) | {"XDG_CACHE_HOME": str(Path(scratch) / "cache")}
        bench = Bench(s3, Path(scratch), images)
        fill(bench)
        s3.latency_s = LATENCY_S
        for work in WORKS:
            asyncio.run(work(bench))
    headings = ("work", "lists + gets + others", "MB down", "up", "takes", "result", "at most", "")
    print_columns(headings, [row.cells() for row in bench.rows])
    return int(options.check and any(row.missed for row in bench.rows))


if __name__ == "__main__":
    sys.exit(main())
