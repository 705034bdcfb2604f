"""Work that takes longer than a request may: started, watched, cancelled, and its result kept."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.api.problems import ProblemError, Scrubber, plain, problem_of
from workbench.api.settings import ApiLimits
from workbench.errors import NotFoundError
from workbench.owner_loop import OwnerLoop
from workbench.persistence.models import Progress

_log = logging.getLogger(__name__)

_KEPT = 500
"""Jobs that are over and can still be asked for; the oldest go first."""

_CANCEL_SECONDS, _CLOSE_SECONDS = 1.0, 5.0
_TOLD_EVERY = 0.1
"""Seconds between two tellings of progress."""

QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"
OVER = frozenset({DONE, FAILED, CANCELLED})


class JobCancelledError(Exception):
    """Raised by a job's `progress`, in the thread that works, so that it stops there."""


@dataclass(slots=True)
class Job:
    """One piece of work; changed in the event loop only.

    Parameters
    ----------
    id, kind, dataset : str
        `kind` says what it is: ``"import"``, ``"health"``; `dataset` may be empty.
    state : str
    done, total : int
        How far it is; `total` is 0 while nobody knows.
    result : Any
        JSON types. Whoever does the work has taken folders out of the words in it; names of
        classes and files are data, and stay as they are.
    problem : dict or None
        Why it failed, as `problems.Problem`.
    file : Path or None
        Something to download.
    revision : int
        Counts up with each change.
    cancelling : bool
        Somebody has asked for it to stop; it does so at its next step.
    """

    id: str
    kind: str
    dataset: str = ""
    state: str = QUEUED
    done: int = 0
    total: int = 0
    created_at: float = field(default_factory=time.time)
    ended_at: float | None = None
    result: Any = None
    problem: dict[str, Any] | None = None
    file: Path | None = None
    revision: int = 1
    cancelling: bool = False

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in OVER


Work = Callable[[Progress], Awaitable[Any]]
"""What a job does; its progress raises if the job was cancelled."""


class Jobs:
    """The jobs of one server.

    Parameters
    ----------
    limits : ApiLimits
    scrub : Scrubber
    """

    def __init__(self, limits: ApiLimits, scrub: Scrubber) -> None:
        self._limits = limits
        self._scrub = scrub
        self._jobs: dict[str, Job] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._running = asyncio.Semaphore(limits.max_jobs)
        self._changed = asyncio.Condition()

    def list(self) -> list[Job]:
        """Return all jobs that are known, oldest first."""
        return [*self._jobs.values()]

    def get(self, identity: str) -> Job:
        """Return a job.

        Raises
        ------
        NotFoundError
            If there is none of this id (any more).
        """
        if identity not in self._jobs:
            raise NotFoundError(
                f"there is no job {identity!r}; jobs are forgotten when the server stops"
            )
        return self._jobs[identity]

    def require_room(self) -> None:
        """Raise a problem if one more job would be too many."""
        if len(self._tasks) >= self._limits.max_jobs + self._limits.max_waiting_jobs:
            raise ProblemError(
                429,
                f"{len(self._tasks)} jobs are under way or waiting; try again when some are over",
                kind="too-many-jobs",
                headers={"Retry-After": "10"},
            )

    def start(self, kind: str, work: Work, *, dataset: str = "") -> Job:
        """Begin something, or let it wait for its turn.

        Raises
        ------
        ProblemError
            If too many are waiting already.
        """
        self.require_room()
        job = Job(secrets.token_hex(8), kind, dataset)
        self._jobs[job.id] = job
        self._tasks[job.id] = asyncio.create_task(self._run(job, work), name=f"job {kind}")
        self._forget_old()
        return job

    async def cancel(self, identity: str) -> Job:
        """Ask a job to stop, and wait a moment for it.

        It stops at its next step, where whoever does the work undoes what was begun. A job
        that is nearly done may still become done, and says so.
        """
        job = self.get(identity)
        task = self._tasks.get(identity)
        if task is not None:
            if not job.cancelling:
                await self._change(job, cancelling=True)
            if job.state == QUEUED:
                task.cancel()
            await asyncio.wait([task], timeout=_CANCEL_SECONDS)
        return job

    async def forget(self, identity: str) -> None:
        """Cancel a job, wait for its end, and remove it and its file.

        Work that cannot be interrupted right now goes on to its next step by itself; nobody
        hears of it any more.

        Raises
        ------
        NotFoundError
            If there is none of this id (any more).
        """
        self._remove(await self.cancel(identity))

    async def follow(self, identity: str, after: int = 0) -> AsyncIterator[Job]:
        """Yield a job now (unless its revision is `after`) and at each change, until it is over."""
        job = self.get(identity)
        seen = after
        while True:
            async with self._changed:
                while job.revision <= seen and not job.is_over:
                    await self._changed.wait()
            if job.revision > seen:
                seen = job.revision
                yield job
            if job.is_over:
                return

    async def close(self) -> None:
        """Stop everything that is under way, and wait for it a little."""
        tasks = [*self._tasks.values()]
        for job in self._jobs.values():  # those that were forgotten are cancelled already
            if job.id in self._tasks:
                job.cancelling = True
        for seconds in (_CLOSE_SECONDS, 1.0):
            if tasks:
                _, left = await asyncio.wait(tasks, timeout=seconds)
                tasks = [*left]
            for task in tasks:
                task.cancel()

    async def _run(self, job: Job, work: Work) -> None:
        owner = OwnerLoop()
        told = 0.0

        def progress(done: int, total: int) -> None:
            nonlocal told
            if job.cancelling:
                raise JobCancelledError
            now = time.monotonic()
            if now - told >= _TOLD_EVERY or done == total:
                told = now
                owner.call(self._note, job, done, total)

        try:
            async with self._running:
                await self._change(job, state=RUNNING)
                result = await work(progress)
            result, file = result if isinstance(result, _WithFile) else (result, None)
            await self._change(job, state=DONE, result=plain(result), file=file)
        except (asyncio.CancelledError, JobCancelledError):
            await asyncio.shield(self._change(job, state=CANCELLED))
        except Exception as error:  # noqa: BLE001  whatever it is, who watches the job is told
            await self._change(job, state=FAILED, problem=problem_of(error, self._scrub))
        finally:
            self._tasks.pop(job.id, None)
            if job.id not in self._jobs:  # forgotten meanwhile, and ended with a file all the same
                self._remove(job)

    def _note(self, job: Job, done: int, total: int) -> None:
        if not job.is_over:
            job.done, job.total = done, total
            job.revision += 1
            task = asyncio.ensure_future(self._tell())
            _ALIVE.add(task)
            task.add_done_callback(_ALIVE.discard)

    async def _change(self, job: Job, **changes: Any) -> None:
        for name, value in changes.items():
            setattr(job, name, value)
        if job.is_over:
            job.ended_at = time.time()
        job.revision += 1
        await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _forget_old(self) -> None:
        over = [job for job in self._jobs.values() if job.is_over]
        for job in over[: max(0, len(over) - _KEPT)]:
            self._remove(job)

    def _remove(self, job: Job) -> None:
        self._jobs.pop(job.id, None)
        if job.file is not None:
            job.file.unlink(missing_ok=True)


class _WithFile(tuple[Any, Path]):
    """A result with something to download."""

    __slots__ = ()


def with_file(result: Any, file: Path) -> Any:
    """Return what a job's work returns that has made a file to download."""
    return _WithFile((result, file))


_ALIVE: set[asyncio.Task[None]] = set()
"""Tasks that nobody waits for; the loop itself would let them be collected."""
