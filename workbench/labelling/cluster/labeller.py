"""A model that proposes boxes on a cluster, for pictures that it reads there."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from workbench.datasets.prelabelling import Frame, StoredLabeller, Task
from workbench.labelling.cluster.client import ClusterClient
from workbench.labelling.cluster.task import Answer, ClusterTask, Stand, shares_of
from workbench.persistence import DataStores
from workbench.persistence.models import ImageKey, Prediction
from workbench.persistence.suggestion_blocks import SuggestionSource
from workbench.training.places.ray import RayPlace
from workbench.training.places.versions import versions_here

if TYPE_CHECKING:
    from workbench.labelling.labellers import ModelLabeller

_SHARE = 32
"""Pictures of a share: some seconds of a processor, and two batches of what a model takes."""


class ClusterLabeller(StoredLabeller):
    """What a `ModelLabeller` proposes, found on a cluster; made by `ModelLabeller.at`.

    Parameters
    ----------
    labeller : ModelLabeller
    where : str
        See `workbench.training.places.place_at`.

    Attributes
    ----------
    stand : Stand
        Which nodes have done how much, and what was lost, of the last `label_stored`.

    Raises
    ------
    InvalidConfigError
        If `where` is no address of a cluster.
    """

    def __init__(self, labeller: ModelLabeller, where: str) -> None:
        self.stand = Stand()
        self._labeller = labeller
        self._place = RayPlace.at(where)
        self._task: Task | None = None
        self._source: SuggestionSource | None = None

    async def start(self, task: Task) -> SuggestionSource:
        """See `Labeller.start`; the model is asked for its classes on this machine."""
        self._task = task
        self._source = await self._labeller.start(task)
        return self._source

    async def label(self, frames: Sequence[Frame]) -> list[list[Prediction]]:
        """Label pictures that are at hand here, on this machine."""
        return await self._labeller.label(frames)

    async def label_stored(
        self, stores: DataStores, dataset: str, keys: Sequence[ImageKey]
    ) -> AsyncGenerator[dict[ImageKey, list[Prediction] | str], None]:
        """See `StoredLabeller.label_stored`.

        What comes early is kept until all before it is there. When it is broken off, that is
        lost; the next time looks at these pictures again.
        """
        task = self._task_for(keys)
        client = ClusterClient(stores, dataset, self._place)
        waiting: dict[int, Answer] = {}
        following = 0
        answers = client.answers(task, await self._labeller.weights())
        async with aclosing(answers):
            async for number, answer in answers:
                waiting[number] = answer
                self.stand = client.stand
                while following in waiting:
                    found = waiting.pop(following).rows
                    chosen = task.keys_of(following)
                    following += 1
                    yield {
                        key: one if isinstance(one, str) else _predictions(one.tolist())
                        for key, one in zip(chosen, found, strict=True)
                    }

    def _task_for(self, keys: Sequence[ImageKey]) -> ClusterTask:
        if self._task is None or self._source is None:
            raise RuntimeError("start(task) has to be called before label_stored(...)")
        known: dict[str, Any] = {
            "classes": self._task.classes,
            "prompts": {key: [*texts] for key, texts in self._task.prompts.items()},
            "object_size": self._task.object_size,
        }
        return ClusterTask(
            kind="label",
            weights=self._source.digest,
            keys=[*keys],
            shares=shares_of(len(keys), _SHARE),
            options={"labeller": self._labeller.options, "task": known},
            versions=versions_here(),
            cpus=self._place.cpus,
            gpus=self._place.gpus or 0.0,
        )


def _predictions(rows: list[list[float]]) -> list[Prediction]:
    return [
        Prediction(int(class_id), x, y, width, height, score)
        for class_id, x, y, width, height, score in rows
    ]
