"""What this machine does of a task on a cluster: sends it, takes its answers, and ends it."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import time
import uuid
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import workbench
from workbench.errors import NotFoundError, SetupError, TrainingError
from workbench.labelling.cluster.dispatcher import JOB
from workbench.labelling.cluster.exchange import Exchange
from workbench.labelling.cluster.task import Answer, ClusterTask, Stand
from workbench.persistence import DataStores
from workbench.persistence.addresses import place_of
from workbench.training.places.jobs import FAILED, ClusterJobs, ClusterUnreachableError, quiet
from workbench.training.places.ray import RayPlace
from workbench.training.problems import ERROR

_CODE = Path(workbench.__file__).resolve().parent
_POLL_SECONDS = 0.3
_SECONDS_BETWEEN_LOOKS = 1.0
_SECONDS_OF_SILENCE = 120.0
_MOST_TRIES = 3


@dataclass(slots=True)
class _Sent:
    """The job that was sent last."""

    job_id: str
    tries: int = 1
    looked_at: float = 0.0
    silent_since: float = 0.0


class ClusterClient:
    """Has a task done on a cluster.

    Parameters
    ----------
    stores : DataStores
    dataset : str
    place : RayPlace

    Attributes
    ----------
    stand : Stand
        How far it had come when it was last asked.
    """

    def __init__(self, stores: DataStores, dataset: str, place: RayPlace) -> None:
        self.stand = Stand()
        self._stores = stores
        self._dataset = dataset
        self._place = place
        self._task_id = uuid.uuid4().hex[:16]
        self._exchange = Exchange(stores, dataset, self._task_id)

    async def answers(
        self, task: ClusterTask, weights: Path
    ) -> AsyncGenerator[tuple[int, Answer], None]:
        """Send a task, and yield the number of each share with its answer, as they come.

        Close it to end the task on the cluster, too.

        Raises
        ------
        SetupError
            If Ray is not installed here.
        TrainingError
            If the cluster does not answer, or cannot do it.
        """
        if not task.shares:
            return
        data = await self._data()
        jobs = await asyncio.to_thread(self._connect)
        await self._exchange.put_task(task, weights)
        sent = _Sent(f"workbench-map-{uuid.uuid4().hex[:16]}")
        taken: set[int] = set()
        try:
            await self._submit(jobs, sent.job_id, data)
            while len(taken) < len(task.shares):
                self.stand = await self._exchange.stand()
                new = [number for number in self.stand.done if number not in taken]
                for number in new:
                    answer = await self._exchange.answer(number)
                    if answer is not None:  # else a shared folder needs a moment to show it
                        taken.add(number)
                        sent.tries = 0
                        yield number, answer
                if self.stand.problem:
                    raise TrainingError(self.stand.problem)
                if not new:
                    await self._look(jobs, sent, data)
                    await asyncio.sleep(_POLL_SECONDS)
        finally:
            is_over = len(taken) == len(task.shares)
            await asyncio.shield(self._clean(None if is_over else jobs, sent.job_id, task))

    async def _data(self) -> str:
        """Return where the datasets lie, as the nodes have to find them."""
        info = await self._stores.dataset.get(self._dataset)
        place = place_of(info.path)
        if isinstance(place, str):
            return place.rpartition("/")[0]
        if not await asyncio.to_thread(place.is_dir):
            raise SetupError(
                f"the dataset {self._dataset!r} is in no folder and no bucket, so that no other "
                "machine can see it: export it to one, to have it looked at on a cluster"
            )
        return str(place.absolute().parent)

    def _connect(self) -> ClusterJobs:
        for problem in self._place.check_cluster():
            if problem.severity == ERROR:
                text = f"{problem.text}: {problem.remedy}" if problem.remedy else problem.text
                raise TrainingError(text)
        self._place.name_as_own()
        return ClusterJobs(self._place.url)

    async def _submit(self, jobs: ClusterJobs, job_id: str, data: str) -> None:
        parts = shlex.join([data, self._dataset, self._task_id])
        await asyncio.to_thread(
            jobs.submit,
            job_id,
            f"python -m workbench.labelling.cluster.dispatcher {parts}",
            modules=[_CODE],
            environment={**quiet(), JOB: job_id},
            metadata={"dataset": self._dataset},
            cpus=0,
            gpus=0,
        )

    async def _look(self, jobs: ClusterJobs, sent: _Sent, data: str) -> None:
        """Send the task again where its job is gone."""
        if time.monotonic() - sent.looked_at < _SECONDS_BETWEEN_LOOKS:
            return
        sent.looked_at = time.monotonic()
        try:
            state = await asyncio.to_thread(jobs.state, sent.job_id)
            sent.silent_since = 0.0
            if state is not None and not state.is_over:
                return
            self.stand = await self._exchange.stand()  # its last words, told since
            if state is not None and state.status == FAILED and self.stand.job != sent.job_id:
                words = await asyncio.to_thread(jobs.last_words, sent.job_id)
                raise TrainingError(f"the cluster cannot begin: {words or state.message}")
            if self.stand.problem or (state is not None and state.status == "SUCCEEDED"):
                return
            reason = "the cluster does not know it any more" if state is None else state.message
            if sent.tries >= _MOST_TRIES:
                raise TrainingError(f"its job was lost {sent.tries} times: {reason}")
            sent.tries += 1
            sent.job_id = f"workbench-map-{uuid.uuid4().hex[:16]}"
            await self._submit(jobs, sent.job_id, data)
        except ClusterUnreachableError:
            now = time.monotonic()
            sent.silent_since = sent.silent_since or now
            if now - sent.silent_since > _SECONDS_OF_SILENCE:
                raise

    async def _clean(self, jobs: ClusterJobs | None, job_id: str, task: ClusterTask) -> None:
        if jobs is not None:
            with contextlib.suppress(TrainingError):  # it may not be there any more
                await asyncio.to_thread(jobs.stop, job_id)
        with contextlib.suppress(NotFoundError):  # the dataset may have been deleted meanwhile
            await self._exchange.remove(len(task.shares))
