"""Where this machine and the nodes exchange what is to be done and what was found.

It is beside the dataset, among what can be derived again: nodes that see the pictures see it too,
in a shared folder as well as in a bucket, and no other way between here and there is needed.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

from workbench.errors import NotFoundError, StorageError
from workbench.labelling.cluster.task import Answer, ClusterTask, Stand
from workbench.persistence import DataStores
from workbench.training.environment import cache_dir


class Exchange:
    """What lies beside a dataset for one task.

    Parameters
    ----------
    stores : DataStores
    dataset : str
    task_id : str
        Of lower-case letters and digits.
    """

    def __init__(self, stores: DataStores, dataset: str, task_id: str) -> None:
        self._stores = stores
        self._dataset = dataset
        self._prefix = f"cluster-{task_id}"

    async def put_task(self, task: ClusterTask, weights: Path) -> None:
        """Write down what is to be done; the weights only if they are not there.

        Raises
        ------
        StorageError
            If nothing can be written beside the dataset.
        """
        name = _weights(task.weights)
        if await self._stores.dataset.load_cache(self._dataset, name) is None:
            await self._save(name, await asyncio.to_thread(weights.read_bytes))
        await self._save(f"{self._prefix}-task.json", task.to_bytes())

    async def task(self) -> ClusterTask:
        """Return what is to be done.

        Raises
        ------
        NotFoundError
            If it is not there (any more).
        """
        data = await self._load(f"{self._prefix}-task.json")
        if data is None:
            raise NotFoundError(f"the task {self._prefix} is not beside {self._dataset!r}")
        return ClusterTask.from_bytes(data)

    async def put_stand(self, stand: Stand) -> None:
        """Say how far it has come."""
        await self._save(f"{self._prefix}-stand.json", stand.to_bytes())

    async def stand(self) -> Stand:
        """Return how far it has come."""
        data = await self._load(f"{self._prefix}-stand.json")
        return Stand() if data is None else Stand.from_bytes(data)

    async def put_answer(self, number: int, answer: Answer) -> None:
        """Keep what was found on a share."""
        await self._save(self._answer(number), answer.to_bytes())

    async def answer(self, number: int) -> Answer | None:
        """Return what was found on a share; None if it cannot be seen (yet)."""
        data = await self._load(self._answer(number))
        return None if data is None else Answer.from_bytes(data)

    async def weights(self, digest: str) -> tuple[Path, int]:
        """Return the weights as a file of this machine, and how many bytes were fetched for it.

        Raises
        ------
        NotFoundError
            If they are not beside the dataset.
        StorageError
            If they are others than they should be.
        """
        path = cache_dir() / "cluster-weights" / f"{digest}.pt"
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest:
            return path, 0
        data = await self._load(_weights(digest))
        if data is None:
            raise NotFoundError(f"the weights {digest[:12]} are not beside {self._dataset!r}")
        if hashlib.sha256(data).hexdigest() != digest:
            raise StorageError(f"the weights beside {self._dataset!r} are not {digest[:12]}")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = path.with_name(f".{os.urandom(8).hex()}")
        unfinished.write_bytes(data)
        unfinished.replace(path)
        return path, len(data)

    async def remove(self, shares: int) -> None:
        """Remove all of it but the weights, which the next task may need."""
        keys = [f"{self._prefix}-{name}.json" for name in ("task", "stand")]
        keys += [self._answer(number) for number in range(shares)]
        await self._stores.dataset.drop_caches(self._dataset, keys)

    def _answer(self, number: int) -> str:
        return f"{self._prefix}-{number:06}.npz"

    async def _load(self, key: str) -> bytes | None:
        return await self._stores.dataset.load_cache(self._dataset, key)

    async def _save(self, key: str, data: bytes) -> None:
        await self._stores.dataset.save_cache(self._dataset, key, data)
        # A cache that cannot be kept is no error elsewhere; here somebody waits for it.
        if await self._load(key) != data:
            raise StorageError(
                f"nothing can be written beside the dataset {self._dataset!r} (read-only, or "
                "full?): the machines of a cluster exchange there what they find"
            )


def _weights(digest: str) -> str:
    return f"weights-{digest}.pt"
