"""Pictures of a dataset looked at on a real Ray cluster of two nodes, on this machine."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.helpers.ray_cluster import RayCluster, ray_cluster
from tests.helpers.training import install_network_guard
from workbench.datasets.dataset import Dataset
from workbench.datasets.prelabelling import task_of
from workbench.evaluation.evaluator import Evaluator
from workbench.labelling import ModelLabeller
from workbench.labelling.cluster.labeller import ClusterLabeller
from workbench.labelling.predictor import Predictor
from workbench.persistence import Stores, create_stores
from workbench.samples import DETECTOR, create_shapes

# Six minutes on two cores, and on cores that others keep busy its processes come too late.
pytestmark = pytest.mark.nightly

IMAGES, PICTURES = 300, 210  # of all, and of those for training


@pytest.fixture(scope="module")
def network_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where each use of the network by anything that the tests start is written to."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("guard")
        patch.setenv("XDG_CACHE_HOME", str(folder / "node-cache"))
        yield install_network_guard(folder, patch)


@pytest.fixture(scope="module")
def cluster(network_log: Path) -> Iterator[RayCluster]:
    """A cluster of two nodes with one processor each."""
    with ray_cluster(cpus=1) as found:
        found.tell("add")
        yield found


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Stores:
    """Many shapes, one of them damaged, and a model that knows them."""
    folder = tmp_path_factory.mktemp("many")
    found = create_stores(folder / "data", folder / "models")
    asyncio.run(_fill(found))
    return found


async def _fill(stores: Stores) -> None:
    info = await create_shapes(stores, "shapes", num_images=IMAGES, image_size=96)
    assert info.num_images["train"] == PICTURES
    await stores.model.save("shapes", DETECTOR, "yolo11n.yaml", "shapes", 25, {})
    await stores.model.set_active("shapes")
    [first, *_] = await stores.image.list("shapes", split="train")
    first.path.write_bytes(b"no picture")


@pytest.fixture
async def predictor(stores: Stores) -> AsyncIterator[Predictor]:
    predictor = Predictor(stores, device="cpu")
    yield predictor
    predictor.close()


async def suggested(stores: Stores) -> tuple[object, ...]:
    """What waits for review."""
    table = await stores.image.suggestions("shapes")
    columns = (table.first, table.class_id, table.boxes, table.score)
    return (table.images, *(column.tolist() for column in columns))


def actors_of(cluster: RayCluster, doing: str = "NodeWorker") -> list[psutil.Process]:
    return cluster.each(lambda one: one, doing)


async def test_two_nodes_find_what_this_machine_finds(
    cluster: RayCluster, stores: Stores, predictor: Predictor, network_log: Path
) -> None:
    dataset = Dataset(stores, "shapes")
    here = await dataset.prelabel("train", ModelLabeller(predictor))
    expected = await suggested(stores)
    await stores.image.drop_suggestions("shapes", here.source.id)
    told: list[tuple[int, int]] = []
    labeller = ModelLabeller(predictor).at(cluster.address)
    assert isinstance(labeller, ClusterLabeller)
    there = await dataset.prelabel(
        "train", labeller, progress=lambda done, total: told.append((done, total))
    )
    assert (there.source.id, there.images) == (here.source.id, PICTURES - 1)
    assert there.failed == here.failed
    assert len(there.failed) == 1
    assert await suggested(stores) == expected
    assert told == sorted(told)
    assert told[-1] == (PICTURES, PICTURES)
    assert len(told) > 3
    assert sum(labeller.stand.nodes.values()) == 7
    assert not network_log.exists(), network_log.read_text()
    folder = (await dataset.info()).path / ".workbench" / "cache"
    assert [path.name for path in folder.glob("cluster-*")] == []


async def test_an_evaluation_on_two_nodes_is_that_of_this_machine(
    cluster: RayCluster, stores: Stores, predictor: Predictor
) -> None:
    evaluator = Evaluator(stores, predictor)
    told: list[tuple[int, int]] = []
    there = await evaluator.evaluate(
        "shapes",
        "train",
        where=cluster.address,
        progress=lambda done, total: told.append((done, total)),
    )
    here = await evaluator.evaluate("shapes", "train", refresh=True)
    assert told[-1] == (PICTURES - 1, PICTURES - 1)
    assert len(here.detections.confidence) > PICTURES
    assert here.filenames == there.filenames
    for column in ("image_index", "class_id", "boxes", "confidence"):
        np.testing.assert_array_equal(
            getattr(there.detections, column), getattr(here.detections, column)
        )
    np.testing.assert_array_equal(there.sizes, here.sizes)
    assert there.notes == here.notes


async def test_a_share_whose_actor_is_killed_is_done_by_another(
    cluster: RayCluster, stores: Stores, predictor: Predictor
) -> None:
    dataset = Dataset(stores, "shapes")
    labeller = ModelLabeller(predictor, tighten=True).at(cluster.address)
    assert isinstance(labeller, ClusterLabeller)
    killed: list[int] = []

    def kill(done: int, total: int) -> None:
        if done and not killed:
            for victim in actors_of(cluster, "NodeWorker.do")[:1]:  # else at the next call
                os.kill(victim.pid, signal.SIGKILL)
                killed.append(victim.pid)

    done = await dataset.prelabel("train", labeller, progress=kill)
    assert killed
    assert labeller.stand.lost == 1
    assert done.images == PICTURES - 1
    assert labeller.stand.fetched == 0  # by these nodes, for the test before


async def test_what_is_cancelled_ends_on_the_cluster_and_is_kept_here(
    cluster: RayCluster, stores: Stores, predictor: Predictor
) -> None:
    dataset = Dataset(stores, "shapes")
    labeller = ModelLabeller(predictor, confidence=0.2).at(cluster.address)
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tell(done: int, total: int) -> None:
        if done:
            loop.call_soon_threadsafe(begun.set)

    task = asyncio.create_task(dataset.prelabel("train", labeller, progress=tell))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    source = (await labeller.start(await task_of(stores, "shapes"))).id
    looked_at = (await dataset.suggestions()).looked_at[source]
    assert 0 < len(looked_at) < PICTURES
    async with asyncio.timeout(60):
        while actors_of(cluster):
            await asyncio.sleep(0.2)
    again = await dataset.prelabel("train", labeller)
    assert (again.known, again.images) == (len(looked_at), PICTURES - 1 - len(looked_at))
