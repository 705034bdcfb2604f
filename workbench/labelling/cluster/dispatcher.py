"""The job that hands out a task's shares: ``python -m workbench.labelling.cluster.dispatcher``.

It takes where the data lie, the dataset and the task's id. It runs on the cluster, and may be lost
with its node: another one goes on with the shares whose answers are not there yet.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter, deque
from collections.abc import Coroutine
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar

from workbench.errors import WorkbenchError
from workbench.labelling.cluster.actor import NodeWorker, open_stores
from workbench.labelling.cluster.exchange import Exchange
from workbench.labelling.cluster.task import Stand

T = TypeVar("T")

REFUSED = 3
"""Exit status of a job that cannot do this task on any node."""
JOB = "WORKBENCH_JOB"
"""Environment variable of the job: what the cluster calls it."""
_MOST_TRIES = 3
_LOOK_SECONDS = 1.0


@dataclass(slots=True)
class _Hired:
    """An actor, and what it is doing."""

    actor: Any
    node: str = ""
    share: int | None = None
    """None while it gets ready."""


class Dispatcher:
    """Hands out the shares of a task, and says how far it has come.

    Parameters
    ----------
    exchange : Exchange
    data, dataset, task_id : str
        See `workbench.labelling.cluster.actor.NodeWorker`.
    """

    def __init__(self, exchange: Exchange, data: str, dataset: str, task_id: str) -> None:
        self._ray: Any = import_module("ray")
        self._lost_errors: Any = import_module("ray.exceptions")
        self._exchange = exchange
        self._place = data, dataset, task_id
        self._task = _run(exchange.task())
        before = _run(exchange.stand())
        self._job = os.environ.get(JOB, "")
        self._done = list(before.done)
        self._nodes = Counter(before.nodes)
        self._fetched, self._lost = before.fetched, before.lost
        known = set(self._done)
        self._todo = deque(n for n in range(len(self._task.shares)) if n not in known)
        self._tries: Counter[int | None] = Counter()
        self._busy: dict[Any, _Hired] = {}

    def run(self) -> None:
        """Have all shares done, or say why that cannot be."""
        self._say()
        for _ in range(min(self._room(), len(self._todo))):
            self._hire()
        while len(self._done) < len(self._task.shares):
            ready, _ = self._ray.wait([*self._busy], num_returns=1, timeout=_LOOK_SECONDS)
            for answer in ready:
                problem = self._take(answer, self._busy.pop(answer))
                if problem:
                    self._say(problem)
                    return
                self._say()

    def _room(self) -> int:
        """Return how many actors the cluster has room for, at least one."""
        there, task = self._ray.cluster_resources(), self._task
        wanted = (("CPU", task.cpus), ("GPU", task.gpus))
        room = [int(there.get(name, 0.0) // amount) for name, amount in wanted if amount > 0]
        return max(min(room, default=1), 1)

    def _hire(self) -> None:
        remote = self._ray.remote(
            num_cpus=self._task.cpus, num_gpus=self._task.gpus, scheduling_strategy="SPREAD"
        )
        actor = remote(NodeWorker).remote(*self._place)
        self._busy[actor.get_ready.remote()] = _Hired(actor)

    def _take(self, answer: Any, hired: _Hired) -> str:
        """Take what an actor has done, and give it more; return why the task cannot go on."""
        errors = self._lost_errors
        try:
            found = self._ray.get(answer)
        except errors.RayTaskError as error:
            return str(error.cause) or type(error.cause).__name__
        except errors.RayError as error:
            return self._replace(hired, error)
        if hired.share is None:
            hired.node = found["host"]
            self._fetched += found["fetched"]
        else:
            self._done.append(found)
            self._nodes[hired.node] += 1
        self._give(hired)
        return ""

    def _give(self, hired: _Hired) -> None:
        if self._todo:
            hired.share = self._todo.popleft()
            self._busy[hired.actor.do.remote(hired.share)] = hired
        else:
            self._ray.kill(hired.actor)

    def _replace(self, hired: _Hired, error: Exception) -> str:
        """Let another actor do the share of one that is lost."""
        self._tries[hired.share] += 1
        if self._tries[hired.share] >= _MOST_TRIES:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            return (
                f"the process that looks at the pictures was lost {_MOST_TRIES} times "
                f"({reason}): too little memory, most likely; ask for more processors for each "
                "with ?cpus= behind the address, so that fewer are on a node"
            )
        if hired.share is not None:
            self._lost += 1
            self._todo.appendleft(hired.share)
        if self._todo:
            self._hire()
        return ""

    def _say(self, problem: str = "") -> None:
        stand = Stand(self._job, self._done, dict(self._nodes), self._fetched, self._lost, problem)
        _run(self._exchange.put_stand(stand))


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def main(data: str, dataset: str, task_id: str) -> int:
    """Do a task; return the exit status."""
    try:
        exchange = Exchange(open_stores(data), dataset, task_id)
        asyncio.run(exchange.task())
    except WorkbenchError as error:
        print(error, flush=True)
        return REFUSED
    ray: Any = import_module("ray")
    ray.init(log_to_driver=False, configure_logging=False)
    try:
        Dispatcher(exchange, data, dataset, task_id).run()
    finally:
        ray.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
