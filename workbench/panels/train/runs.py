"""All runs, as the train panel lists them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from workbench.errors import NotFoundError, WorkbenchError
from workbench.owner_loop import OwnerLoop
from workbench.training.progress import OVER, WAITING, RunProgress
from workbench.training.run import Run

_SECONDS_BETWEEN_WORDS = 0.2


@dataclass(frozen=True, slots=True)
class RunRow:
    """What the list says of a run.

    Parameters
    ----------
    id : str
    state : str
        `RunProgress.state`.
    epochs_completed, epochs : int
    map50_95 : float or None
        On val, 0..1: of the best weights once it is over, the best so far before.
    place : int
        In the queue, counted from 1; 0 if it does not wait.
    """

    id: str
    state: str
    epochs_completed: int = 0
    epochs: int = 0
    map50_95: float | None = None
    place: int = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen, unless somebody resumes the run."""
        return self.state in OVER


class RunBook:
    """The runs that are known, each followed by one object for as long as the panel lives."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._rows: dict[str, RunRow] = {}

    def put(self, runs: Iterable[Run]) -> None:
        """Take up runs that are not known yet."""
        for run in runs:
            self._runs.setdefault(run.id, run)

    def get(self, run_id: str) -> Run:
        """Return a run; NotFoundError if it is not known."""
        if run_id not in self._runs:
            raise NotFoundError(f"training run {run_id!r} is not known: refresh the list of runs")
        return self._runs[run_id]

    async def rows(
        self, waiting: Sequence[str], known: Mapping[str, RunProgress], *, every: bool = False
    ) -> tuple[RunRow, ...]:
        """Return a row for each run, the newest first.

        Parameters
        ----------
        waiting : sequence of str
            Ids of the runs that wait for their turn, the next one first.
        known : mapping of str to RunProgress
            Where runs stand that were looked at just now, by id.
        every : bool
            Look also at runs that were over the last time: somebody may have resumed them.
        """
        for run_id, run in list(self._runs.items()):
            row = self._rows.get(run_id)
            if every or row is None or not row.is_over or run_id in known:
                progress = known.get(run_id) or await self._look(run)
                self._rows[run_id] = _row(run_id, progress, waiting)
        return tuple(self._rows[run_id] for run_id in sorted(self._rows, reverse=True))

    @staticmethod
    async def _look(run: Run) -> RunProgress:
        try:
            return await run.refresh()
        except WorkbenchError:
            # Its weights could not be kept; the message is shown when the run is chosen.
            return await asyncio.to_thread(run.read_progress)

    @staticmethod
    def teller(tell: Callable[[int, int], None]) -> Callable[[int, int], None]:
        """Return a progress callback for any thread, which tells now and then on this loop."""
        owner = OwnerLoop()
        last = 0.0

        def heard(done: int, total: int) -> None:
            nonlocal last
            now = time.monotonic()
            if done == total or now - last >= _SECONDS_BETWEEN_WORDS:
                last = now
                owner.call(tell, done, total)

        return heard


def _row(run_id: str, progress: RunProgress, waiting: Sequence[str]) -> RunRow:
    place = waiting.index(run_id) + 1 if progress.state == WAITING and run_id in waiting else 0
    return RunRow(
        run_id,
        progress.state,
        progress.epochs_completed,
        progress.epochs,
        progress.best(),
        place,
    )
