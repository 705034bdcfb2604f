"""What an actor on a node does: it loads a model once, and looks at one share after the other.

Nothing here knows Ray: an actor of Ray's is made of `NodeWorker` by the dispatcher.
"""

from __future__ import annotations

import asyncio
import socket
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from workbench.datasets.prelabelling import Task, read_frames
from workbench.errors import NotFoundError, TrainingError
from workbench.labelling.cluster.exchange import Exchange
from workbench.labelling.cluster.task import Answer, ClusterTask, in_columns
from workbench.labelling.labellers import ModelLabeller
from workbench.labelling.predictor import Predictor
from workbench.persistence import Stores, create_stores
from workbench.persistence.addresses import place_of
from workbench.training.places.versions import mismatch, versions_here

KINDS = {
    "label": "workbench.labelling.cluster.actor:LabelWork",
    "evaluate": "workbench.evaluation.on_cluster:EvaluateWork",
}
"""What can be done with a share, by the name that a task gives it."""
_AT_ONCE = 16  # as `prelabel` does here, so that the answers are the same


class Work(Protocol):
    """What is done with the shares of a task."""

    async def start(self) -> None:
        """Load the model."""

    async def do(self, number: int) -> Answer:
        """Look at the pictures of a share."""


class LabelWork:
    """Proposes boxes as a `ModelLabeller` does: rows of ``(class, x, y, width, height, score)``."""

    def __init__(self, stores: Stores, dataset: str, task: ClusterTask, weights: Path) -> None:
        self._stores, self._dataset, self._task = stores, dataset, task
        self._labeller = ModelLabeller(Predictor(stores), weights, **task.options["labeller"])

    async def start(self) -> None:
        """See `Work.start`."""
        known = self._task.options["task"]
        prompts = {int(class_id): texts for class_id, texts in known["prompts"].items()}
        await self._labeller.start(
            Task(known["classes"], prompts, known["object_size"], self._dataset)
        )

    async def do(self, number: int) -> Answer:
        """See `Work.do`."""
        keys = self._task.keys_of(number)
        rows: list[Any] = []
        sizes = np.zeros((len(keys), 2), np.int32)
        for start in range(0, len(keys), _AT_ONCE):
            chosen = keys[start : start + _AT_ONCE]
            frames, failed = await read_frames(self._stores, self._dataset, chosen)
            found = await self._labeller.label([*frames.values()])
            of_key = dict(zip(frames, found, strict=True))
            for place, key in enumerate(chosen, start):
                if key in failed:
                    rows.append(failed[key])
                    continue
                height, width = frames[key].shape[:2]
                sizes[place] = width, height
                rows.append(in_columns((p.class_id, *p.xywh, p.confidence) for p in of_key[key]))
        return Answer(rows, sizes)


class NodeWorker:
    """An actor's work. No method is a coroutine: Ray would run all of them in a loop of its own.

    Parameters
    ----------
    data : str
        Where the datasets lie: a folder that all nodes see, or the address of a bucket.
    dataset : str
    task_id : str
    """

    def __init__(self, data: str, dataset: str, task_id: str) -> None:
        self._stores = open_stores(data)
        self._dataset = dataset
        self._exchange = Exchange(self._stores, dataset, task_id)
        self._work: Work | None = None

    def get_ready(self) -> dict[str, Any]:
        """Load the model; return the name of the node, and the bytes that were fetched."""
        task, host = asyncio.run(self._exchange.task()), socket.gethostname()
        wrong = mismatch(task.versions, versions_here(), host)
        if wrong is not None:
            raise TrainingError(": ".join(wrong))
        import torch

        torch.set_num_threads(max(int(task.cpus), 1))
        weights, fetched = asyncio.run(self._exchange.weights(task.weights))
        module, _, name = KINDS[task.kind].partition(":")
        kind = getattr(import_module(module), name)
        work: Work = kind(self._stores, self._dataset, task, weights)
        asyncio.run(work.start())
        self._work = work
        return {"host": host, "fetched": fetched}

    def do(self, number: int) -> int:
        """Look at a share, write down what was found, and return its number."""
        if self._work is None:
            raise RuntimeError("get_ready() has to be called before do(number)")
        answer = asyncio.run(self._work.do(number))
        asyncio.run(self._exchange.put_answer(number, answer))
        return number


def open_stores(data: str) -> Stores:
    """Return the stores over what all nodes see; there is no model store that anybody needs.

    Raises
    ------
    NotFoundError
        If this node does not see it.
    """
    place = place_of(data)
    if isinstance(place, Path) and not place.is_dir():
        raise NotFoundError(
            f"the node {socket.gethostname()} does not see the data folder {place}: put it where "
            "all nodes see it under the same path, or into a bucket that they reach"
        )
    return create_stores(place, place)
