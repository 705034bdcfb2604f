"""One sweep, as seen from any process: follow it, cancel it, let it go on."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from workbench.errors import TrainingError, WorkbenchError
from workbench.persistence import ModelStore
from workbench.persistence.disk_errors import speaks_plainly
from workbench.persistence.models import ModelInfo
from workbench.persistence.run_folder import RunFolder
from workbench.persistence.stores.runs import RunStore
from workbench.persistence.sweep_folder import SweepFolder
from workbench.persistence.work_folder import WorkFolder
from workbench.training.places.jobs import quiet
from workbench.training.places.local import record_of
from workbench.training.processes import spawn_module
from workbench.training.progress import RunProgress
from workbench.training.reading import RunReader
from workbench.training.registering import register_once
from workbench.training.sweeps.plan import (
    CANCELLED,
    FAILED,
    FINISHED,
    RUNNING,
    SweepNotes,
    SweepPlan,
    TrialNotes,
)

if TYPE_CHECKING:
    import pandas as pd

_log = logging.getLogger(__name__)
_DRIVER = "workbench.training.sweeps.driver"
_POLL_SECONDS = 0.5
_FROM_ELSEWHERE = "its folder came from elsewhere: it goes on here once you resume it"
NOT_STARTED, ENDED_EARLY = "not started", "ended early"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Where one trial of a sweep stands.

    Parameters
    ----------
    number : int
        Counted from 1.
    settings : dict
        What is special to it.
    run_id : str
        Of its run; empty before it has one.
    state : str
        That of its run; ``"not started"`` before, ``"ended early"`` where it was behind, and
        ``"failed"`` where it could not be started.
    epochs_completed, epochs : int
    map50, map50_95 : float or None
        The best on val so far, 0..1; None before anything was measured.
    message : str
        Why it failed.
    node_hours : float
        Of a cluster's machines.
    """

    number: int
    settings: dict[str, Any]
    run_id: str = ""
    state: str = NOT_STARTED
    epochs_completed: int = 0
    epochs: int = 0
    map50: float | None = None
    map50_95: float | None = None
    message: str = ""
    node_hours: float = 0.0

    def value(self, metric: str) -> float | None:
        """Return one of the two metrics."""
        return self.map50 if metric == "map50" else self.map50_95


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepProgress:
    """Where a sweep stands.

    Parameters
    ----------
    state : str
        ``"running"``, ``"finished"``, ``"cancelled"`` or ``"failed"``.
    trials : tuple of Trial
    metric : str
        By which they are compared.
    is_cross_validation : bool
        Whether the trials are folds of the data.
    message : str
        Why it failed.
    """

    state: str
    trials: tuple[Trial, ...]
    metric: str
    is_cross_validation: bool = False
    message: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen, unless somebody resumes it."""
        return self.state != RUNNING

    @property
    def best(self) -> Trial | None:
        """The best trial so far; None before one has measured anything."""
        measured = [trial for trial in self.trials if trial.value(self.metric) is not None]
        return max(measured, key=lambda trial: trial.value(self.metric) or 0.0, default=None)

    def spread(self, metric: str = "map50_95") -> tuple[float, float]:
        """Return mean and standard deviation over the trials that have measured something.

        Parameters
        ----------
        metric : str
            ``"map50_95"`` or ``"map50"``.

        Returns
        -------
        float, float
            NaN where there are too few: the spread needs two.
        """
        values = [value for trial in self.trials if (value := trial.value(metric)) is not None]
        mean = statistics.fmean(values) if values else math.nan
        return mean, statistics.stdev(values) if len(values) > 1 else math.nan


@speaks_plainly
class Sweep:
    """A sweep.

    Made by `TrainingRunner.sweep`, `TrainingRunner.cross_validate` and
    `TrainingRunner.list_sweeps`.

    Parameters
    ----------
    folder : SweepFolder
    models : ModelStore
        Where the best weights go at the end.
    store : RunStore, optional
        Where its record is kept; default: in its folder.
    """

    def __init__(
        self, folder: SweepFolder, models: ModelStore, store: RunStore | None = None
    ) -> None:
        self._folder = folder
        self._store = store or RunStore(folder.runs_dir)
        self._models = models
        self._plan = SweepPlan.read(folder)
        self._readers: dict[str, RunReader] = {}  # each event is read once

    def __repr__(self) -> str:
        return f"<Sweep {self.id}: {self.read_progress().state}, {len(self._plan.jobs)} trials>"

    @property
    def id(self) -> str:
        """Name of the sweep's folder; ids sort by time."""
        return self._folder.id

    @property
    def plan(self) -> SweepPlan:
        """What is tried."""
        return self._plan

    def read_progress(self) -> SweepProgress:
        """Read from the disk where the sweep stands; `refresh` does not hold up an event loop."""
        notes = SweepNotes.read(self._folder, self._plan)
        if notes.state == RUNNING and not self._goes_on():
            notes = replace(notes, state=CANCELLED, message=_FROM_ELSEWHERE)
        return SweepProgress(
            state=notes.state,
            trials=tuple(self._trial(number, trial) for number, trial in enumerate(notes.trials)),
            metric=self._plan.metric,
            is_cross_validation=self._plan.is_cross_validation,
            message=notes.message,
        )

    def read_table(self) -> pd.DataFrame:
        """Read the trials as a table, the best first.

        Returns
        -------
        DataFrame
            A row for each trial: ``trial``, what is special to it, ``state``, ``epochs``,
            ``map50``, ``map50_95`` and ``run``.
        """
        import pandas as pd

        progress = self.read_progress()
        rows = [
            {
                "trial": trial.number,
                **trial.settings,
                "state": trial.state,
                "epochs": trial.epochs_completed,
                "map50": trial.map50,
                "map50_95": trial.map50_95,
                "run": trial.run_id,
            }
            for trial in progress.trials
        ]
        table = pd.DataFrame(rows).set_index("trial")
        numbers = {"map50": float, "map50_95": float}
        return table.astype(numbers).sort_values(progress.metric, ascending=False)

    def read_model_name(self) -> str | None:
        """Read the name that the best trial's model got in the store; None if there is none."""
        best = self.read_progress().best
        if best is None or not best.run_id:
            return None
        registered = self._run_folder(best.run_id).read_registered()
        return None if registered is None else registered[0]

    async def refresh(self) -> SweepProgress:
        """Return where the sweep stands, and see that it goes on.

        Where the process that carries it on is gone, another is started; once it is over, the
        best weights go to the model store.
        """
        host = await asyncio.to_thread(self._store.host_of, self._folder)
        if host:
            await asyncio.to_thread(self._exchange, self._store.fetch)
        progress = await asyncio.to_thread(self.read_progress)
        if progress.is_over:
            await self.settle()
        elif not host:
            await asyncio.to_thread(self._tend)
        if not host:
            keep = partial(self._store.keep, grown=progress.is_over)
            await asyncio.to_thread(self._exchange, keep)
        return progress

    async def wait(self) -> SweepProgress:
        """Wait until the sweep is over.

        Raises
        ------
        TrainingError
            If it failed; says why.
        """
        while True:
            progress = await self.refresh()
            if progress.is_over:
                break
            await asyncio.sleep(_POLL_SECONDS)
        if progress.state == FAILED:
            raise TrainingError(f"sweep {self.id} failed: {progress.message}")
        return progress

    async def cancel(self) -> None:
        """End the sweep with all its runs that go on; `resume` lets it go on from there."""
        if (await asyncio.to_thread(self.read_progress)).is_over:
            return
        await self._require_here()
        await asyncio.to_thread(self._folder.request_cancel)
        await self.wait()

    async def resume(self) -> None:
        """Let a cancelled or failed sweep go on with the trials that were not over.

        Raises
        ------
        TrainingError
            If it goes on, or has finished.
        """
        state = (await asyncio.to_thread(self.read_progress)).state
        if state not in {CANCELLED, FAILED}:
            raise TrainingError(f"sweep {self.id} is {state}: there is nothing to resume")
        await self._require_here()
        await asyncio.to_thread(self._start_again)

    async def settle(self) -> ModelInfo | None:
        """Put the best weights of a sweep that has finished into the model store, once.

        Of a cross-validation none is better than the others: nothing goes there.
        """
        progress = await asyncio.to_thread(self.read_progress)
        best = progress.best
        if progress.state != FINISHED or progress.is_cross_validation or best is None:
            return None
        run = await asyncio.to_thread(self._reader(best.run_id).read)
        if not run.is_over or not run.epochs_completed:
            return None
        job = self._reader(best.run_id).job
        return await register_once(self._run_folder(best.run_id), job, run, self._models)

    # Inside

    def start(self) -> None:
        """Start the process that carries the sweep on, unless one does."""
        driver = self._folder.read_driver()
        if driver is not None and (not driver.is_here() or driver.find() is not None):
            return
        child = spawn_module(_DRIVER, self._folder, os.environ | quiet())
        self._folder.write_driver(record_of(child.pid))

    def _goes_on(self) -> bool:
        """Whether somebody here has started the sweep, or another machine carries it on."""
        driver = self._folder.read_driver()
        is_elsewhere = driver is not None and not driver.is_here()
        return is_elsewhere or self._folder.is_own() or bool(self._store.host_of(self._folder))

    async def _require_here(self) -> None:
        host = await asyncio.to_thread(self._store.host_of, self._folder)
        if host:
            raise TrainingError(
                f"sweep {self.id} is carried on on {host}: cancel or resume it there"
            )

    def _exchange(self, exchange: Callable[[WorkFolder], None]) -> None:
        """Keep, or fetch, the sweep and its runs; where that cannot be, it is done later."""
        try:
            exchange(self._folder)
            for trial in SweepNotes.read(self._folder, self._plan).trials:
                if trial.run:
                    exchange(self._run_folder(trial.run))
        except (WorkbenchError, OSError) as error:
            _log.warning("sweep %s is not kept or found as it is now: %s", self.id, error)

    def _tend(self) -> None:
        with self._folder.lock_in_thread(".starting"):
            self.start()

    def _start_again(self) -> None:
        notes = SweepNotes.read(self._folder, self._plan)
        with self._folder.lock_in_thread(".starting"):
            self._folder.clear_requests()
            # Before the new driver is there: nobody is to see the end of before.
            SweepNotes(trials=notes.trials).write(self._folder)
            self._folder.mark_own()
            self.start()

    def _run_folder(self, run_id: str) -> RunFolder:
        return RunFolder(self._folder.runs_dir / run_id)

    def _reader(self, run_id: str) -> RunReader:
        if run_id not in self._readers:
            self._readers[run_id] = RunReader(self._run_folder(run_id))
        return self._readers[run_id]

    def _trial(self, number: int, notes: TrialNotes) -> Trial:
        known = Trial(
            number=number + 1,
            settings=self._plan.settings[number],
            epochs=self._plan.jobs[number].config.epochs,
            run_id=notes.run,
            state="failed" if notes.problem else NOT_STARTED,
            message=notes.problem,
        )
        if notes.problem or not notes.run or not self._run_folder(notes.run).job_path.is_file():
            return known
        progress: RunProgress = self._reader(notes.run).read()
        is_behind = notes.ended_at and progress.is_over and progress.state != "failed"
        return Trial(
            number=number + 1,
            settings=self._plan.settings[number],
            run_id=notes.run,
            state=ENDED_EARLY if is_behind else progress.state,
            epochs_completed=progress.epochs_completed,
            epochs=progress.epochs,
            map50=progress.best("map50"),
            map50_95=progress.best("map50_95"),
            message=progress.message,
            node_hours=progress.node_hours,
        )
