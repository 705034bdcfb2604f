"""What an actor does on its node, and what is said of a cluster before it; no cluster needed."""

from __future__ import annotations

import asyncio
from inspect import iscoroutinefunction
from pathlib import Path

import numpy as np
import pytest

from workbench.datasets.dataset import Dataset
from workbench.datasets.prelabelling import task_of
from workbench.errors import (
    InvalidConfigError,
    NotFoundError,
    StorageError,
    TrainingError,
    WorkbenchError,
)
from workbench.evaluation.evaluator import Evaluator
from workbench.labelling import ModelLabeller
from workbench.labelling.cluster.actor import NodeWorker
from workbench.labelling.cluster.exchange import Exchange
from workbench.labelling.cluster.labeller import ClusterLabeller
from workbench.labelling.cluster.task import Answer, ClusterTask, shares_of
from workbench.labelling.predictor import Predictor
from workbench.persistence import Stores, create_memory_stores, create_stores
from workbench.persistence.models import NewImage
from workbench.samples import DETECTOR, create_shapes
from workbench.training.places.trial import free_port
from workbench.training.places.versions import versions_here


@pytest.fixture
async def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stores:
    """Some shapes, and a model that knows them; nothing is kept on the node yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    stores = create_stores(tmp_path / "data", tmp_path / "models")
    await create_shapes(stores, "shapes", num_images=20, image_size=96)
    await stores.model.save("shapes", DETECTOR, "yolo11n.yaml", "shapes", 25, {})
    await stores.model.set_active("shapes")
    return stores


def answer_with(*rows: np.ndarray | str) -> Answer:
    return Answer([*rows], np.ones((len(rows), 2), np.int32))


def test_an_answer_comes_back_as_the_very_same_numbers() -> None:
    some, none = np.random.default_rng(1).random((3, 6)), np.zeros((0, 6))
    again = Answer.from_bytes(answer_with("damaged", some, none, some[:1], "gone").to_bytes())
    assert (again.rows[0], again.rows[4]) == ("damaged", "gone")
    for place, rows in ((1, some), (2, none), (3, some[:1])):
        np.testing.assert_array_equal(again.rows[place], rows)
    only = Answer.from_bytes(answer_with("damaged").to_bytes())
    assert only.rows == ["damaged"]
    with pytest.raises(TrainingError, match="cannot be read"):
        Answer.from_bytes(b"half of it")


async def test_an_actor_finds_what_this_machine_finds(stores: Stores, tmp_path: Path) -> None:
    predictor = Predictor(stores, device="cpu")
    keys = await Dataset(stores, "shapes").query("split:train")
    damaged = next(one for one in await stores.image.list("shapes") if one.filename == keys[2][1])
    damaged.path.write_bytes(b"no picture")
    labeller = ModelLabeller(predictor).at("http://127.0.0.1:1")
    assert isinstance(labeller, ClusterLabeller)
    await labeller.start(await task_of(stores, "shapes"))
    task = labeller._task_for(keys)
    exchange = Exchange(stores, "shapes", "abc")
    await exchange.put_task(task, DETECTOR)
    answers = []
    # As on a node: in a thread that has no event loop.
    worker = NodeWorker(str(tmp_path / "data"), "shapes", "abc")
    ready = await asyncio.to_thread(worker.get_ready)
    assert ready["fetched"] == DETECTOR.stat().st_size
    for number in range(len(task.shares)):
        await asyncio.to_thread(worker.do, number)
        answer = await exchange.answer(number)
        assert answer is not None
        answers += answer.rows
    [index] = [place for place, rows in enumerate(answers) if isinstance(rows, str)]
    assert index == 2
    await Dataset(stores, "shapes").prelabel("train", ModelLabeller(predictor))
    table = await stores.image.suggestions("shapes")
    found = np.concatenate([rows for rows in answers if not isinstance(rows, str)])
    assert len(found) > 10
    np.testing.assert_array_equal(found[:, 0], table.class_id)
    np.testing.assert_array_equal(found[:, 1:5].astype(np.float32), table.boxes)
    second = NodeWorker(str(tmp_path / "data"), "shapes", "abc")
    assert (await asyncio.to_thread(second.get_ready))["fetched"] == 0
    await exchange.remove(len(task.shares))
    left = [path.name for path in (tmp_path / "data/shapes/.workbench/cache").iterdir()]
    assert not [name for name in left if name.startswith("cluster-")]
    predictor.close()


def test_ray_calls_an_actor_outside_of_any_loop() -> None:
    assert not [name for name in dir(NodeWorker) if iscoroutinefunction(getattr(NodeWorker, name))]


async def test_a_node_with_other_versions_or_weights_refuses(
    stores: Stores, tmp_path: Path
) -> None:
    task = _task(versions={**versions_here(), "torch": "1.0"})
    exchange = Exchange(stores, "shapes", "abc")
    await exchange.put_task(task, DETECTOR)
    worker = NodeWorker(str(tmp_path / "data"), "shapes", "abc")
    with pytest.raises(TrainingError, match=r"instead of 1\.0: `pip install torch==1\.0` there"):
        await asyncio.to_thread(worker.get_ready)
    await exchange.put_task(_task(), DETECTOR)
    with pytest.raises(StorageError, match="are not 000000000000"):
        await asyncio.to_thread(worker.get_ready)
    with pytest.raises(NotFoundError, match="does not see the data folder"):
        NodeWorker(str(tmp_path / "elsewhere"), "shapes", "abc")
    assert not (tmp_path / "elsewhere").exists()


async def test_a_cluster_that_does_not_answer_is_said_at_once(
    stores: Stores, tmp_path: Path
) -> None:
    predictor = Predictor(stores, device="cpu")
    where = f"http://127.0.0.1:{free_port()}"
    dataset, labeller = Dataset(stores, "shapes"), ModelLabeller(predictor)
    with pytest.raises(TrainingError, match=f"no Ray cluster answers at {where}.*ray start"):
        await dataset.prelabel("train", labeller, where=where)
    with pytest.raises(TrainingError, match="no Ray cluster answers"):
        await Evaluator(stores, predictor).evaluate("shapes", "train", where=where)
    with pytest.raises(InvalidConfigError, match="where: expected 'local', 'ray'"):
        await dataset.prelabel("train", labeller, where="ftp://head")
    with pytest.raises(ValueError, match="FunctionLabeller labels on this machine only"):
        await dataset.prelabel("train", lambda frames: [[] for _ in frames], where=where)
    assert len(await dataset.suggestions()) == 0
    assert not [*(tmp_path / "data/shapes/.workbench").glob("cache/cluster-*")]
    predictor.close()


async def test_a_dataset_that_no_other_machine_sees_is_not_sent(
    stores: Stores,
) -> None:
    memory, predictor = create_memory_stores(), Predictor(stores, device="cpu")
    picture = np.zeros((64, 64, 3), np.uint8)
    await memory.dataset.create_from(
        "shapes", ["circle", "square", "triangle"], [NewImage("a.png", "train", picture, [])]
    )
    labeller = ModelLabeller(predictor)
    with pytest.raises(WorkbenchError, match="no other machine can see it"):
        await Dataset(memory, "shapes").prelabel("train", labeller, where="http://127.0.0.1:1")
    predictor.close()


async def test_what_cannot_be_exchanged_is_said(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def keep_nothing(*_: object) -> None:
        """As a disk that is full does."""

    monkeypatch.setattr(type(stores.dataset), "save_cache", keep_nothing)
    with pytest.raises(StorageError, match="nothing can be written beside the dataset 'shapes'"):
        await Exchange(stores, "shapes", "abc").put_task(_task(), DETECTOR)


def _task(versions: dict[str, str] | None = None) -> ClusterTask:
    return ClusterTask(
        kind="label",
        weights="0" * 64,
        keys=[],
        shares=shares_of(0, 1),
        options={},
        versions=versions or versions_here(),
    )
