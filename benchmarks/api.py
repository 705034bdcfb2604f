"""How fast ``workbench serve`` is on loopback, each task beside a baseline of the same run.

    python benchmarks/api.py --check                # 100,000 images, some minutes
    python benchmarks/api.py --quick                # 2,000, for a look

``--check`` exits 1 if a bound is missed. The server is a process of its own, as users start it,
with its limits on rate lifted: the clients here are faster than any bound meant for people.

- *list*: all images of a dataset, in pages of 1,000.
- *image*: the bytes of images, against uvicorn with Starlette's own static files, the same
  clients and the same files.
- *labels*: 50 clients save labels at once, each acknowledged when it is on disk, against a bare
  server of the same kind that writes and fsyncs a file for each request of the same 50 clients:
  the same load. Shown beside it, without a bound: 50 threads that write and fsync with no server
  between. Afterwards the disk is read: none may be missing.
- *upload*: 1,000 frames over HTTP, against the same frames through the store.
- *memory*: of the server after all of it, above what it took when idle.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import httpx
import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from workbench.persistence import Stores, create_stores  # noqa: E402
from workbench.persistence.models import NewImage  # noqa: E402

TOKEN = "token-of-the-benchmark-0123456789"
FULL, QUICK = 100_000, 2_000
FRAMES = {FULL: 1_000, QUICK: 100}
CLIENTS = 50
MOST_MEMORY = 300 * 2**20

_SERVER = """
import sys, uvicorn
from workbench.api import ApiLimits, create_app
limits = ApiLimits(requests_per_second=1e9, burst=1e9)
app = create_app(data_dir=sys.argv[1], token=sys.argv[3], limits=limits)
uvicorn.run(app, port=int(sys.argv[2]), access_log=False, log_level="warning")
"""
_STATIC = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.staticfiles import StaticFiles
app = Starlette()
app.mount("/", StaticFiles(directory=sys.argv[1]))
uvicorn.run(app, port=int(sys.argv[2]), access_log=False, log_level="warning")
"""
_BARE = """
import asyncio, os, sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

def write(path, data):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.write(descriptor, data)
    os.fsync(descriptor)
    os.close(descriptor)

async def put(request):
    name = request.path_params["name"]
    await asyncio.to_thread(write, f"{sys.argv[1]}/{name}.txt", await request.body())
    return Response(status_code=204)

async def status(request):
    return Response(status_code=204)

routes = [Route("/v1/status", status), Route("/{name:path}", put, methods=["PUT"])]
uvicorn.run(
    Starlette(routes=routes), port=int(sys.argv[2]), access_log=False, log_level="warning"
)
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A measurement, and its bound."""

    task: str
    ours: float
    baseline: float
    unit: str
    bound: float | None
    higher_is_better: bool = False

    @property
    def ratio(self) -> float:
        """Ours over the baseline."""
        return self.ours / self.baseline if self.baseline else float("nan")

    @property
    def holds(self) -> bool:
        """Whether the bound is kept."""
        if self.bound is None:
            return True
        return self.ratio >= self.bound if self.higher_is_better else self.ratio <= self.bound


@contextmanager
def running(script: str, folder: Path, path: str) -> Iterator[tuple[str, psutil.Process]]:
    """Run a server until it answers; yield its address and its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", script, str(folder), str(port), TOKEN]
    process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)})
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(1200):
            try:
                httpx.get(address + path, headers=_HEADERS)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield address, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


_HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def picture(number: int) -> bytes:
    """Return a JPEG of some 12 KB that no other number has."""
    noise = np.random.default_rng(number % 97).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    frame = cv2.resize(noise, (320, 240))
    frame[:8, :8] = np.frombuffer(number.to_bytes(4, "big") * 48, np.uint8).reshape(8, 8, 3)
    return cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def fill(stores: Stores, images: int) -> None:
    """Make the dataset."""
    kept = [picture(number) for number in range(32)]
    new = (
        NewImage(f"frame_{number:06}.jpg", "train", kept[number % 32]) for number in range(images)
    )
    asyncio.run(stores.dataset.create_from("many", ["cat", "dog"], new, total=images))


def seconds(work: Callable[[], object]) -> float:
    """Return how long something takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def list_all(client: httpx.Client) -> int:
    """Read a whole listing, page by page; return the number of images."""
    found, cursor = 0, None
    while True:
        params = {"limit": "1000"} | ({} if cursor is None else {"cursor": cursor})
        page = client.get("/v1/datasets/many/images", params=params).json()
        found += len(page["items"])
        cursor = page["next"]
        if cursor is None:
            return found


def fetch(address: str, names: list[str], clients: int = 4) -> float:
    """Return how many files a second some clients get."""

    def some(part: list[str]) -> None:
        with httpx.Client(base_url=address, headers=_HEADERS) as client:
            for name in part:
                client.get(name).raise_for_status()

    parts = [names[place::clients] for place in range(clients)]
    with ThreadPoolExecutor(clients) as pool:
        took = seconds(lambda: list(pool.map(some, parts)))
    return len(names) / took


def save_labels(address: str, place: str, turns: int) -> tuple[list[float], dict[str, float]]:
    """Let all clients save labels; return how long each took, and what was acknowledged."""
    taken: list[float] = []
    saved: dict[str, float] = {}
    together = threading.Barrier(CLIENTS)

    def work(number: int) -> None:
        name = f"frame_{number:06}.jpg"
        with httpx.Client(base_url=address, headers=_HEADERS, timeout=60) as client:
            client.get("/v1/status")
            together.wait(60)
            for turn in range(turns):
                x = round(0.3 + turn / 1000, 6)
                box = {"class_id": 0, "x": x, "y": 0.5, "width": 0.1, "height": 0.1}
                begin = time.perf_counter()
                client.put(f"{place}{name}", json={"boxes": [box]}).raise_for_status()
                taken.append(time.perf_counter() - begin)
                saved[name] = x

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(work, range(CLIENTS)))
    return taken, saved


def bare_writes(folder: Path, turns: int) -> list[float]:
    """Let as many threads write and fsync; return how long each took."""
    folder.mkdir()
    taken: list[float] = []
    together = threading.Barrier(CLIENTS)

    def work(number: int) -> None:
        together.wait(60)
        for turn in range(turns):
            begin = time.perf_counter()
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            descriptor = os.open(folder / f"{number}_{turn}.txt", flags)
            os.write(descriptor, b"0 0.3 0.5 0.1 0.1\n")
            os.fsync(descriptor)
            os.close(descriptor)
            taken.append(time.perf_counter() - begin)

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(work, range(CLIENTS)))
    return taken


def p99(values: list[float]) -> float:
    """Return the 99th percentile."""
    return statistics.quantiles(values, n=100)[98] if len(values) > 1 else values[0]


def upload(client: httpx.Client, frames: list[bytes]) -> None:
    """Send frames, 100 in each request."""
    for begin in range(0, len(frames), 100):
        part = enumerate(frames[begin : begin + 100], begin)
        files = [("files", (f"up_{number:06}.jpg", frame)) for number, frame in part]
        answer = client.post("/v1/datasets/uploaded/images", files=files).json()
        if len(answer["added"]) != len(files):
            raise SystemExit(f"an upload was refused: {answer['refused'][:1]}")


def store_all(stores: Stores, frames: list[bytes]) -> None:
    """Write the same frames through the store, one call for each."""

    async def work() -> None:
        for number, frame in enumerate(frames):
            await stores.image.save_bytes("stored", "train", f"up_{number:06}.jpg", frame)

    asyncio.run(work())


def measure(folder: Path, images: int) -> list[Row]:
    """Return all measurements."""
    data = folder / "data"
    stores = create_stores(data, folder / "models")
    print(f"making {images:,} images", flush=True)
    fill(stores, images)
    for name in ("uploaded", "stored"):
        asyncio.run(stores.dataset.create(name))
    frames = [picture(number) for number in range(FRAMES[images])]
    names = [f"frame_{number:06}.jpg" for number in range(min(images, 2_000))]
    turns = 20 if images == FULL else 4
    rows = []
    with running(_SERVER, data, "/v1/status") as (address, process):
        idle = process.memory_info().rss
        with httpx.Client(base_url=address, headers=_HEADERS, timeout=120) as client:
            took = seconds(lambda: list_all(client))
            if list_all(client) != images:
                raise SystemExit("the pages are not the whole dataset")
            rows.append(Row("list, in pages", took, 0, "s", None))
            with running(_STATIC, data / "many/images/train", "/") as (static, _):
                base = [fetch(static, [f"/{name}" for name in names]) for _ in range(3)]
                paths = [f"/v1/datasets/many/images/train/{name}" for name in names]
                ours = [fetch(address, paths) for _ in range(3)]
            rows.append(Row("image bytes", max(ours), max(base), "/s", 0.5, higher_is_better=True))
            threads = bare_writes(folder / "bare", turns)
            with running(_BARE, folder / "bare", "/v1/status") as (bare_server, _):
                bare, _ = save_labels(bare_server, "/", turns)
            taken, saved = save_labels(address, "/v1/datasets/many/labels/train/", turns)
            rows.append(Row("label saved, p99", p99(taken) * 1e3, p99(bare) * 1e3, "ms", 3.0))
            rows.append(Row("  to bare threads", p99(taken) * 1e3, p99(threads) * 1e3, "ms", None))
            for name, x in saved.items():
                text = (data / "many/labels/train" / f"{Path(name).stem}.txt").read_text()
                if float(text.split()[1]) != x:
                    raise SystemExit(f"an acknowledged label of {name} is not on disk")
            stored = seconds(lambda: store_all(stores, frames))
            sent = seconds(lambda: upload(client, frames))
            rows.append(Row(f"upload of {len(frames):,}", sent, stored, "s", 1.5))
        grown = process.memory_info().rss - idle
    rows.append(Row("memory above idle", grown / 2**20, MOST_MEMORY / 2**20, "MiB", 1.0))
    return rows


def main() -> int:
    """Measure, print, and check if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK:,} images only")
    parser.add_argument("--check", action="store_true", help="exit 1 if a bound is missed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="workbench-bench-api-") as folder:
        rows = measure(Path(folder), QUICK if options.quick else FULL)
    print(f"{'task':24}{'ours':>12}{'baseline':>12}{'ratio':>8}  bound")
    for row in rows:
        bound = "" if row.bound is None else f"{'>=' if row.higher_is_better else '<='} {row.bound}"
        missed = "" if row.holds else "  MISSED"
        print(
            f"{row.task:24}{row.ours:10.2f} {row.unit:2}{row.baseline:10.2f} {row.unit:2}"
            f"{row.ratio:7.2f}  {bound}{missed}"
        )
    return int(options.check and not all(row.holds for row in rows))


if __name__ == "__main__":
    sys.exit(main())
