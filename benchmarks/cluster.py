"""What a training run on a Ray cluster costs, beside the same run on this machine.

    python benchmarks/cluster.py --check            # some minutes
    python benchmarks/cluster.py --quick            # one round, for a look

``--check`` exits 1 if a bound is missed. Product: a run on a cluster of one node of one
processor, on this machine and on loopback only. Baseline: the same run as a child process. The two
alternate, after a first run on the cluster that counts for nothing: it installs the code on the
node. Start-up is the time from `TrainingRunner.start` to the first epoch. Latency is the time from
an event to whoever follows the run with `Run.events`. The node has the data on its own disk after
the first run, and has to fetch nothing for the others.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from benchmarks.measure import print_columns, say, seconds  # noqa: E402
from tests.helpers.ray_cluster import ray_cluster  # noqa: E402
from workbench.persistence import create_stores  # noqa: E402
from workbench.persistence.run_folder import RunFolder  # noqa: E402
from workbench.samples import create_shapes  # noqa: E402
from workbench.training.config import LOCAL, TrainingConfig  # noqa: E402
from workbench.training.events import DataFetched, EpochStarted  # noqa: E402
from workbench.training.runner import TrainingRunner  # noqa: E402

IMAGES, EPOCHS, ROUNDS = 40, 2, 3
MOST_START_UP, MOST_LATENCY = 6.0, 1.5
MEBIBYTE = 2**20
CONFIG = TrainingConfig(
    dataset="shapes",
    base_model="yolo11n.yaml",
    epochs=EPOCHS,
    image_size=96,
    batch=8,
    workers=0,
    patience=0,
    device="cpu",
)


class Measured:
    """What was seen of the runs of one place."""

    def __init__(self) -> None:
        self.starts: list[float] = []
        self.latencies: list[float] = []
        self.memory = 0.0
        self.fetched: list[int] = []

    async def run(self, runner: TrainingRunner, where: str) -> None:
        """Start a run, follow it to its end, and note how late everything was."""
        began, called = time.time(), time.perf_counter()
        run = await runner.start(CONFIG, where=where)
        say(f"started at {where} after {time.perf_counter() - called:.1f} s")
        first = True
        async for event in run.events():
            self.latencies.append(time.time() - event.time)
            if isinstance(event, DataFetched):
                self.fetched.append(event.bytes)
            if isinstance(event, EpochStarted) and first:
                first = False
                self.starts.append(event.time - began)
                kept = RunFolder(run.path).read_keeper()
                process = kept[0].find() if kept is not None else None
                self.memory = process.memory_info().rss if process is not None else 0.0
        progress = run.read_progress()
        if progress.state != "finished":
            raise RuntimeError(f"the run ended as {progress.state}: {progress.message}")


async def measure(folder: Path, address: str, rounds: int) -> tuple[Measured, Measured]:
    """Return what was seen on the cluster and on this machine."""
    stores = create_stores(folder / "data", folder / "models")
    await create_shapes(stores, "shapes", num_images=IMAGES)
    runner = TrainingRunner(stores, folder / "runs")
    cluster, local = Measured(), Measured()
    await cluster.run(runner, address)
    cluster.starts.clear()
    cluster.latencies.clear()
    for number in range(rounds):
        order = ((cluster, address), (local, LOCAL))
        for measured, where in order if number % 2 else order[::-1]:
            await measured.run(runner, where)
    return cluster, local


def report(cluster: Measured, local: Measured) -> bool:
    """Print what was measured; return whether all bounds are met."""
    # The round in which each side was disturbed least.
    more = min(cluster.starts) - min(local.starts)
    late = quantiles(cluster.latencies, n=20)[-1]
    again = sum(cluster.fetched[1:])
    late_here = quantiles(local.latencies, n=20)[-1]
    rows = [
        (
            "start to the first epoch",
            seconds(min(cluster.starts)),
            seconds(min(local.starts)),
            f"{more:+.1f} s",
            f"{MOST_START_UP:+.0f} s",
            "met" if more <= MOST_START_UP else "MISSED",
        ),
        (
            f"event to whoever follows, 95 of 100 ({len(cluster.latencies)} events)",
            seconds(late),
            seconds(late_here),
            f"median {seconds(median(cluster.latencies))}",
            seconds(MOST_LATENCY),
            "met" if late <= MOST_LATENCY else "MISSED",
        ),
        (
            "data that the node fetched, the first time and after that",
            f"{cluster.fetched[0] / MEBIBYTE:.2f} MiB, {again} bytes",
            "none",
            "",
            "then nothing",
            "met" if again == 0 else "MISSED",
        ),
        ("memory of the keeper", f"{cluster.memory / MEBIBYTE:.0f} MiB", "none", "", "", ""),
    ]
    print_columns(("work", "cluster", "this machine", "result", "at most", ""), rows)
    return more <= MOST_START_UP and late <= MOST_LATENCY and again == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit 1 if a bound is missed")
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    rounds = 1 if options.quick else options.rounds
    with tempfile.TemporaryDirectory() as name, ray_cluster(cpus=1) as found:
        met = report(*asyncio.run(measure(Path(name), found.address, rounds)))
    return int(options.check and not met)


if __name__ == "__main__":
    sys.exit(main())
