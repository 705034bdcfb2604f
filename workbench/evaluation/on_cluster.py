"""The batches of an evaluation as shares of a task on a cluster."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workbench.evaluation.batches import (
    Seen,
    detect_batch,
    load_batch,
    readers,
    sizes_of,
)
from workbench.labelling.cluster.client import ClusterClient
from workbench.labelling.cluster.task import Answer, ClusterTask
from workbench.labelling.network import Found, Size, Thresholds
from workbench.labelling.predictor import Predictor
from workbench.persistence import DataStores, Stores
from workbench.persistence.models import ImageKey, ModelInfo
from workbench.training.places.ray import RayPlace
from workbench.training.places.versions import versions_here

_DAMAGED = "damaged or gone"


async def detect_on_cluster(
    stores: DataStores,
    dataset: str,
    keys: Sequence[ImageKey],
    batches: Sequence[tuple[npt.NDArray[np.int64], Size]],
    *,
    where: str,
    weights: Path,
    digest: str,
    image_size: int,
    thresholds: Thresholds,
) -> AsyncGenerator[Seen, None]:
    """Have a cluster look at batches, and yield what was found on each, as it comes.

    Raises
    ------
    InvalidConfigError
        If `where` is no address of a cluster.
    TrainingError
        If the cluster does not answer, or cannot do it.
    """
    place = RayPlace.at(where)
    task = ClusterTask(
        kind="evaluate",
        weights=digest,
        keys=[*keys],
        shares=[{"places": places.tolist(), "canvas": canvas} for places, canvas in batches],
        options={"image_size": image_size, "thresholds": asdict(thresholds)},
        versions=versions_here(),
        cpus=place.cpus,
        gpus=place.gpus or 0.0,
    )
    answers = ClusterClient(stores, dataset, place).answers(task, weights)
    async with aclosing(answers):
        async for number, answer in answers:
            found = [None if isinstance(rows, str) else _found(rows) for rows in answer.rows]
            yield Seen(batches[number][0], found, answer.sizes)


class EvaluateWork:
    """Looks at batches; see `workbench.labelling.cluster.actor.Work`.

    Its rows are ``(left, top, right, bottom, confidence, class)`` in pixels, class of the model.
    """

    def __init__(self, stores: Stores, dataset: str, task: ClusterTask, weights: Path) -> None:
        self._stores, self._dataset, self._task, self._weights = stores, dataset, task, weights
        self._predictor = Predictor(stores)
        self._thresholds = Thresholds(**task.options["thresholds"])
        self._info = ModelInfo(weights.stem, weights)

    async def start(self) -> None:
        """See `Work.start`."""
        await self._predictor.run(self._info, lambda _: None, weights=self._weights)

    async def do(self, number: int) -> Answer:
        """See `Work.do`."""
        height, width = self._task.shares[number]["canvas"]
        with readers() as pool:
            pictures = await load_batch(
                self._stores,
                self._dataset,
                self._task.keys_of(number),
                self._task.options["image_size"],
                (height, width),
                pool,
            )
        found = await self._predictor.run(
            self._info,
            lambda network: detect_batch(network, pictures, self._thresholds),
            weights=self._weights,
        )
        rows: list[npt.NDArray[np.float64] | str] = [
            _DAMAGED if one is None else _rows(one) for one in found
        ]
        return Answer(rows, sizes_of(pictures))


def _rows(found: Found) -> npt.NDArray[np.float64]:
    return np.column_stack((found.boxes, found.confidence, found.class_id)).astype(np.float64)


def _found(rows: npt.NDArray[np.float64]) -> Found:
    return Found(rows[:, :4], rows[:, 5].astype(np.int64), rows[:, 4])
