"""One training run, as seen from any process: follow it, stop it, pause it, resume it, cancel it.

Nothing here is bound to the process or the event loop that started the run. What is known
comes from the run's folder, and what has to be done once (noting that the process is gone,
putting the weights into the model store) is done under the folder's lock by whoever sees
the need first.
"""

from __future__ import annotations

import asyncio
import logging
import time
import warnings
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import TrainingError, WorkbenchError
from workbench.persistence import DatasetStore, ModelStore
from workbench.persistence.disk_errors import speaks_plainly
from workbench.persistence.models import ModelInfo
from workbench.persistence.run_folder import RunFolder
from workbench.persistence.stores.runs import RunStore
from workbench.training.config import TrainingConfig, TrainingJob
from workbench.training.curves import curves_of
from workbench.training.events import (
    Cancelled,
    Event,
    Paused,
    Queued,
    Stopped,
)
from workbench.training.failures import Failure
from workbench.training.lost import as_shown, explain_lost, failed
from workbench.training.places import Place, place_at
from workbench.training.progress import (
    CANCELLING,
    FAILED,
    FINISHED,
    PAUSING,
    RUNNING,
    STARTING,
    STOPPED,
    STOPPING,
    WAITING,
    RunProgress,
    advance,
)
from workbench.training.queueing import enqueue, start_due, take_off
from workbench.training.reading import RunReader, parse_events
from workbench.training.registering import register_once
from workbench.training.resuming import (
    changed_job,
    is_resumable,
    require_data,
    waits_for_somebody,
)
from workbench.training.telling import tell

if TYPE_CHECKING:
    import pandas as pd

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.2
_SECONDS_BETWEEN_TURNS = 2.0


@speaks_plainly
class Run:
    """A training run.

    Made by `TrainingRunner.start` and `TrainingRunner.list_runs`.

    Parameters
    ----------
    folder : RunFolder
    models : ModelStore, optional
        Where the weights go at the end; without it they stay where they are, until somebody
        who has one looks at the run.
    store : RunStore, optional
        Where its record is kept; default: in its folder.
    datasets : DatasetStore, optional
        Where the data come from again that a run is to be resumed with, if they are gone.
    """

    def __init__(
        self,
        folder: RunFolder,
        models: ModelStore | None,
        store: RunStore | None = None,
        datasets: DatasetStore | None = None,
    ) -> None:
        self._folder = folder
        self._models = models
        self._store = store or RunStore(folder.runs_dir)
        self._datasets = datasets
        self._reader = RunReader(folder)
        self._place: Place = place_at(self._reader.job.where)
        self._looked_for_turn = 0.0

    def __repr__(self) -> str:
        return f"<Run {self.id}: {self.read_progress().state}>"

    @property
    def id(self) -> str:
        """Name of the run's folder; ids sort by time."""
        return self._folder.id

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self._folder.path

    @property
    def job(self) -> TrainingJob:
        """What is trained, from what, on which data."""
        return self._reader.job

    @property
    def config(self) -> TrainingConfig:
        """The settings."""
        return self.job.config

    def read_progress(self) -> RunProgress:
        """Read from the run's folder where the run stands at this moment.

        This waits for the disk; `refresh` does not hold up an event loop.
        """
        progress = self._reader.read()
        if progress.is_over or self._store.host_of(self._folder):
            return progress
        if self._place.hands_over and self._folder.cancel_requested():
            return replace(progress, state=CANCELLING)
        if progress.state == WAITING:
            if self._place.hands_over or self._folder.read_queued() is not None:
                return progress
            progress = replace(progress, state=STARTING)
        lost = self._lost()
        if lost is not None:
            return advance(progress, failed(lost))
        if progress.state in {STARTING, RUNNING}:
            if self._folder.stop_requested():
                return replace(progress, state=STOPPING)
            if self._folder.pause_requested():
                return replace(progress, state=PAUSING)
        return progress

    def read_log(self) -> str:
        """Read the end of what the process printed, as a terminal would show it."""
        return as_shown(self._folder.log_tail())

    def read_curves(self) -> pd.DataFrame:
        """Read what happened, epoch by epoch; see `workbench.training.curves.curves_of`."""
        return curves_of(self.read_progress())

    def read_model_name(self) -> str | None:
        """Read the name that the model got in the store; None if there is none (yet)."""
        registered = self._folder.read_registered()
        return None if registered is None else registered[0]

    def is_resumable(self, progress: RunProgress | None = None) -> bool:
        """Say whether `resume` may be called: the run is over, but not finished.

        Or it waits for its turn since it was somewhere else: nobody here has started it.

        Parameters
        ----------
        progress : RunProgress, optional
            What `read_progress` or `refresh` returned; default: it is read now.
        """
        known = self.read_progress() if progress is None else progress
        if is_resumable(known, self.config.epochs):
            return True
        return waits_for_somebody(self._folder, known) and not self._store.host_of(self._folder)

    def samples(self, epoch: int | None = None) -> list[Path]:
        """Return pictures of what the model found on a few images of val.

        Parameters
        ----------
        epoch : int, optional
            Counted from 1; default: the last of which there are pictures.

        Returns
        -------
        list of Path
            Small JPEGs: what was found in colours, with class and confidence; what is
            labelled in white. Empty if there are none.
        """
        return self._folder.samples(self.read_progress().samples_epoch if epoch is None else epoch)

    async def refresh(self) -> RunProgress:
        """Return where the run stands.

        Once it is over, what remains to be done is done first; while it waits, it is
        started when its turn has come.
        """
        progress = await asyncio.to_thread(self.read_progress)
        if not progress.is_over:
            await self._see_to_it()
            return progress
        await self.settle()
        # A process that was gone a moment ago may have been cancelled: who did it says so now.
        return await asyncio.to_thread(self.read_progress)

    async def events(self) -> AsyncIterator[Event]:
        """Yield every event from the first on, wait for more, and end after the last.

        When the last event comes, the weights of a run that succeeded are in the model
        store.
        """
        offset = 0
        while True:
            lines, offset = await asyncio.to_thread(self._folder.read_events, offset)
            events = parse_events(lines)
            for event in events[:-1]:
                yield event
            if events:
                last = events[-1]
                over = last.final and await asyncio.to_thread(self._ends_at, offset)
                if over:
                    await self.settle()
                yield last
                if over:
                    return
            elif not await self._declare_lost():
                await self._see_to_it()
                await asyncio.sleep(_POLL_SECONDS)
            elif not await asyncio.to_thread(self._folder.path.is_dir):
                return  # nobody will tell anything more: `read_progress` says why

    async def wait(self) -> RunProgress:
        """Wait until the run is over.

        Returns
        -------
        RunProgress
            Its state is ``"finished"``, ``"stopped"``, ``"paused"`` or ``"cancelled"``.

        Raises
        ------
        TrainingError
            If it failed; says why.
        """
        async for _ in self.events():
            pass
        progress = await asyncio.to_thread(self.read_progress)
        if progress.state == FAILED:
            raise TrainingError(f"training run {self.id} failed: {progress.message}")
        return progress

    async def stop(self) -> None:
        """Ask the run to stop after the batch it is at; the best weights so far are kept.

        A run that still waits for its turn is taken off the queue.
        """
        await self._require_here()
        completed = (await asyncio.to_thread(self.read_progress)).epochs_completed
        last = Stopped(time=time.time(), epochs_completed=completed)
        if not await asyncio.to_thread(take_off, self._folder, last):
            await asyncio.to_thread(self._folder.request_stop)

    async def pause(self, *, now: bool = False) -> None:
        """Ask the run to pause after the epoch it is at; `resume` lets it go on from there.

        A run that still waits for its turn is taken off the queue until then.

        Parameters
        ----------
        now : bool
            Do not wait for the end of the epoch; what it has learned in it is lost.
        """
        await self._require_here()
        completed = (await asyncio.to_thread(self.read_progress)).epochs_completed
        last = Paused(time=time.time(), epochs_completed=completed)
        if not await asyncio.to_thread(take_off, self._folder, last):
            await asyncio.to_thread(self._folder.request_pause, now=now)

    async def resume(self, **changes: Any) -> None:
        """Put a run that is over, but not finished, into the queue again.

        It goes on from its newest good checkpoint, with optimizer and learning rate as they
        were; from the beginning if there is none. A file that was cut off when the process
        was killed is passed over for the copy that was kept.

        A run of another machine goes on here, from what that has kept in the storage of the
        runs. Where the data that it trains on are gone, or were never here, they are taken from
        the dataset or its version again, if that is still what it was.

        Parameters
        ----------
        **changes
            Settings of `TrainingConfig` that shall be other than before: ``batch``,
            ``cache``, ``device``, ``image_size``, ``patience``, ``workers``.

        Raises
        ------
        TrainingError
            If the run goes on, has finished, or has lost the data it trains on.
        ConflictError
            If another machine has done more of it than is known here.
        InvalidConfigError
            If a setting cannot be, or cannot be changed.
        """
        await self._require_here()
        async with self._folder.lock():
            await asyncio.to_thread(self._note_if_lost)
            progress = await asyncio.to_thread(self.read_progress)
            job = await asyncio.to_thread(changed_job, self._folder, progress, changes)
            await require_data(self._datasets, self._folder, job)
            if await asyncio.to_thread(self._store.host_of, self._folder):
                await asyncio.to_thread(self._store.take_over, self._folder)
            if job != self.job:
                await asyncio.to_thread(self._folder.write_job, job.to_json())
            event = Queued(time=time.time(), changes=changes)
            await asyncio.to_thread(enqueue, self._folder, event)
            await self.keep()
        await asyncio.to_thread(start_due, self._folder.runs_dir)

    async def give_way(self, seconds: float) -> None:
        """Ask a run for teaching to leave the processor to a person for so long."""
        await asyncio.to_thread(self._folder.request_way, time.time() + seconds)

    async def image_names(self, split: str) -> set[str]:
        """Return the names of the images of a split that it trains on; empty if they are gone."""
        return await asyncio.to_thread(self._folder.image_names, split)

    async def read_verdict(self) -> dict[str, Any] | None:
        """Return what `write_verdict` noted, or None."""
        return await asyncio.to_thread(self._folder.read_verdict)

    async def write_verdict(self, verdict: Mapping[str, Any]) -> None:
        """Note how good what came of a run for teaching was found."""
        await asyncio.to_thread(self._folder.write_verdict, verdict)
        await self.keep()

    async def cancel(self) -> None:
        """Kill the run with all its processes; nothing of it goes to the model store.

        Where its cluster does not answer, the run is ``"cancelling"`` until it does, also if
        nobody is left here by then: whoever looks at the run next sees to it.

        Raises
        ------
        TrainingError
            If it runs on another machine.
        """
        last = Cancelled(time=time.time())
        await self._require_here()
        async with self._folder.lock():
            progress = await asyncio.to_thread(self.read_progress)
            if progress.is_over or await asyncio.to_thread(take_off, self._folder, last):
                return
            if not await asyncio.to_thread(self._place.end, self._folder):
                return
            if not self._reader.read().is_over:  # it may have been faster
                await asyncio.to_thread(tell, self._folder, last)
        await self.keep()
        await asyncio.to_thread(start_due, self._folder.runs_dir)

    async def keep(self, *, grown: bool = True) -> None:
        """Write what has changed of the run's record to where runs are kept.

        Whoever follows a run does it at each epoch's end; in a folder there is nothing to do.
        Where it cannot be done, that is logged, and done with the next call.

        Parameters
        ----------
        grown : bool
            Also if only events and log have grown; else these go along with the rest.
        """
        try:
            await asyncio.to_thread(self._store.keep, self._folder, grown=grown)
        except (WorkbenchError, OSError) as error:
            _log.warning("training run %s is not kept yet: %s", self.id, error)

    async def settle(self) -> ModelInfo | None:
        """Do what remains to be done once a run is over, exactly once over all processes.

        Notes a process that is gone as failed; puts the best weights of a run that
        finished, or was stopped after at least one epoch, into the model store and makes
        them active. Those of a trial are left to its sweep, and those of a run that nobody on
        this machine has started are left where they are.

        Returns
        -------
        ModelInfo or None
            The model if this call put it there.
        """
        await self._declare_lost()
        progress = await asyncio.to_thread(self.read_progress)
        try:
            if not await asyncio.to_thread(self._folder.is_own):
                return None  # who made it has had its weights; here somebody may import them
            return await self._register(progress)
        finally:
            await self.keep(grown=progress.is_over)

    async def _register(self, progress: RunProgress) -> ModelInfo | None:
        worth_keeping = progress.state == FINISHED or (
            progress.state == STOPPED and progress.epochs_completed > 0
        )
        if not worth_keeping or self._models is None or self.job.sweep:
            return None
        return await register_once(self._folder, self.job, progress, self._models)

    # Names of 0.1, which look as if nothing were read; they go with the next release.

    @property
    def progress(self) -> RunProgress:
        """Deprecated name of what `read_progress` returns."""
        _warn("progress", "read_progress()")
        return self.read_progress()

    @property
    def state(self) -> str:
        """Deprecated name of what ``read_progress().state`` is."""
        _warn("state", "read_progress().state")
        return self.read_progress().state

    @property
    def log(self) -> str:
        """Deprecated name of what `read_log` returns."""
        _warn("log", "read_log()")
        return self.read_log()

    @property
    def curves(self) -> pd.DataFrame:
        """Deprecated name of what `read_curves` returns."""
        _warn("curves", "read_curves()")
        return self.read_curves()

    @property
    def can_resume(self) -> bool:
        """Deprecated name of what `is_resumable` returns."""
        _warn("can_resume", "is_resumable()")
        return self.is_resumable()

    @property
    def model_name(self) -> str | None:
        """Deprecated name of what `read_model_name` returns."""
        _warn("model_name", "read_model_name()")
        return self.read_model_name()

    # Behind the public names

    def _ends_at(self, offset: int) -> bool:
        """Whether no event comes after `offset`: a run that was resumed goes on."""
        lines, _ = self._folder.read_events(offset)
        return not lines

    async def _see_to_it(self) -> None:
        """Now and then, start the run if its turn has come, and do what its place wants done."""
        now = time.monotonic()
        if now - self._looked_for_turn < _SECONDS_BETWEEN_TURNS:
            return
        self._looked_for_turn = now
        if await asyncio.to_thread(self._store.host_of, self._folder):
            await asyncio.to_thread(self._fetch)
            return
        await self.keep(grown=False)
        if await asyncio.to_thread(self._folder.read_queued) is not None:
            await asyncio.to_thread(start_due, self._folder.runs_dir)
        else:
            await asyncio.to_thread(self._place.tend, self._folder)

    def _fetch(self) -> None:
        try:
            self._store.fetch(self._folder)
        except (WorkbenchError, OSError) as error:
            _log.warning("training run %s is shown as it was: %s", self.id, error)

    async def _require_here(self) -> None:
        host = await asyncio.to_thread(self._store.host_of, self._folder)
        if host and not (await asyncio.to_thread(self.read_progress)).is_over:
            raise TrainingError(
                f"training run {self.id} runs on {host}: end it, or let it go on, there"
            )

    async def _declare_lost(self) -> bool:
        """Write a last event if the process is gone without one; return whether it is over."""
        if await asyncio.to_thread(self._is_over):
            return True
        if await asyncio.to_thread(self._lost) is None:
            return False
        async with self._folder.lock():
            await asyncio.to_thread(self._note_if_lost)
        return True

    def _note_if_lost(self) -> None:
        lost = None if self._reader.read().is_over else self._lost()
        if lost is not None:  # else somebody else was here before
            tell(self._folder, failed(lost))

    def _is_over(self) -> bool:
        return self._reader.read().is_over

    def _lost(self) -> Failure | None:
        """Say that the process is gone; None if it is alive, or nobody here can tell."""
        if self._store.host_of(self._folder) or not self._place.is_lost(self._folder):
            return None
        # It may have written its last event after the events were read above.
        progress = self._reader.read()
        return None if progress.is_over else explain_lost(self._folder, self.config, progress)


def _warn(old: str, new: str) -> None:
    """Say that a property, which reads the disk unseen, has become a method that says so."""
    warnings.warn(f"Run.{old} is now Run.{new}", DeprecationWarning, stacklevel=3)
