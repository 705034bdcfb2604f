"""What two nodes of a Ray cluster gain where a model looks at many pictures, and what they take.

    python benchmarks/cluster_labelling.py --check      # some minutes, on a machine that is idle
    python benchmarks/cluster_labelling.py --quick      # 200 pictures, one round, for a look

``--check`` exits 1 if a bound is missed. Both sides are clusters on this machine and on loopback
only: nodes of one processor each, on which a process computes in one thread. The pictures are as
large as those of a webcam, and the network looks at them in 320 pixels: with the 160 of the samples
the start of the processes, some 8 s, is most of it. One node is measured first, then a second one
joins. On either the pictures are looked at once before it counts: the weights are fetched then,
and the code is installed. What counts is `prelabel` from the call to the last suggestion, with the
start of the processes and the loading of the model.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from benchmarks.measure import print_columns, say, seconds  # noqa: E402
from tests.helpers.ray_cluster import RayCluster, ray_cluster  # noqa: E402
from workbench.datasets.dataset import Dataset  # noqa: E402
from workbench.labelling import ModelLabeller  # noqa: E402
from workbench.labelling.cluster.labeller import ClusterLabeller  # noqa: E402
from workbench.labelling.predictor import Predictor  # noqa: E402
from workbench.persistence import Stores, create_stores  # noqa: E402
from workbench.samples import DETECTOR, create_shapes  # noqa: E402

IMAGES, QUICK_IMAGES, ROUNDS = 2000, 200, 3
SIZE, NETWORK_SIZE = (640, 480), 320
LEAST_GAIN = 1.5
MEBIBYTE = 2**20
DRIVER, ACTOR = "labelling.cluster.dispatcher", "NodeWorker"


@dataclass
class Seen:
    """What was seen of the rounds on so many nodes, but for the first."""

    times: list[float] = field(default_factory=list)
    fetched: list[int] = field(default_factory=list)
    nodes: float = 0.0
    driver: float = 0.0
    actor: float = 0.0
    """Bytes of memory: of a node without work, of the job that hands out, of a process at work."""


def memory(cluster: RayCluster, words: str = "") -> list[int]:
    """Return the bytes that each process of a cluster has, of those whose command has the words."""
    return cluster.each(lambda one: one.memory_info().rss, words)


async def look(stores: Stores, predictor: Predictor, cluster: RayCluster, seen: Seen) -> float:
    """Have all pictures looked at; return the seconds that it took."""
    labeller = ModelLabeller(predictor).at(cluster.address)
    assert isinstance(labeller, ClusterLabeller)

    def weigh(done: int, total: int) -> None:
        if total // 3 < done < total:
            seen.driver = max([seen.driver, *memory(cluster, DRIVER)])
            seen.actor = max([seen.actor, *memory(cluster, ACTOR)])

    began = time.perf_counter()
    done = await Dataset(stores, "shapes").prelabel("", labeller, again=True, progress=weigh)
    took = time.perf_counter() - began
    say(f"{done.images} pictures in {took:.1f} s, in shares: {labeller.stand.nodes}")
    if done.failed or labeller.stand.lost:
        raise RuntimeError(f"{len(done.failed)} failed, {labeller.stand.lost} shares were lost")
    seen.fetched.append(labeller.stand.fetched)
    return took


def larger(weights: Path, to: Path) -> None:
    """Write a model again as one that looks at larger pictures, as those of real work do."""
    import torch

    checkpoint = torch.load(weights, weights_only=False)
    checkpoint["train_args"]["imgsz"] = NETWORK_SIZE
    torch.save(checkpoint, to)


async def measure(folder: Path, cluster: RayCluster, images: int, rounds: int) -> tuple[Seen, Seen]:
    """Return what was seen on one node and on two."""
    stores = create_stores(folder / "data", folder / "models")
    await create_shapes(stores, "shapes", num_images=images, image_size=SIZE)
    weights = folder / "shapes.pt"
    larger(DETECTOR, weights)
    await stores.model.save("shapes", weights, "yolo11n.yaml", "shapes", 25, {})
    await stores.model.set_active("shapes")
    predictor = Predictor(stores, device="cpu")
    one, two = Seen(), Seen()
    try:
        for seen in (one, two):
            if seen is two:
                before = sum(memory(cluster))
                cluster.tell("add")
                two.nodes = sum(memory(cluster)) - before
            await look(stores, predictor, cluster, seen)
            seen.times += [await look(stores, predictor, cluster, seen) for _ in range(rounds)]
    finally:
        predictor.close()
    return one, two


def report(one: Seen, two: Seen) -> bool:
    """Print what was measured; return whether all bounds are met."""
    # The rounds in which each side was disturbed least.
    gain = min(one.times) / min(two.times)
    again = sum(one.fetched[1:] + two.fetched[1:])
    met = gain >= LEAST_GAIN, again == 0
    rows = [
        (
            "one node, two nodes",
            f"{seconds(min(one.times))}, {seconds(min(two.times))}",
            f"{gain:.2f}x",
            f"at least {LEAST_GAIN}x",
            "met" if met[0] else "MISSED",
        ),
        (
            "fetched the first time, and after that",
            f"{one.fetched[0] / MEBIBYTE:.1f} MiB, {again} bytes",
            "",
            "then nothing",
            "met" if met[1] else "MISSED",
        ),
        ("memory of a node that joins", f"{two.nodes / MEBIBYTE:.0f} MiB", "", "", ""),
        ("memory of the job that hands out", f"{two.driver / MEBIBYTE:.0f} MiB", "", "", ""),
        ("memory of a process at work", f"{two.actor / MEBIBYTE:.0f} MiB", "", "", ""),
    ]
    print_columns(("work", "found", "result", "bound", ""), rows)
    return all(met)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit 1 if a bound is missed")
    parser.add_argument("--quick", action="store_true", help="fewer pictures, one round")
    options = parser.parse_args()
    images, rounds = (QUICK_IMAGES, 1) if options.quick else (IMAGES, ROUNDS)
    with (
        tempfile.TemporaryDirectory() as name,
        patch.dict(os.environ, XDG_CACHE_HOME=str(Path(name, "cache"))),  # nothing is there yet
        ray_cluster(cpus=1) as found,
    ):
        met = report(*asyncio.run(measure(Path(name), found, images, rounds)))
    return int(options.check and not met)


if __name__ == "__main__":
    sys.exit(main())
