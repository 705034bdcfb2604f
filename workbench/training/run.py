"""One training run, as seen from any process: follow it, stop it, cancel it.

Nothing here is bound to the process or the event loop that started the run. What is known
comes from the run's folder, and what has to be done once (noting that the process is gone,
putting the weights into the model store) is done under the folder's lock by whoever sees
the need first.
"""

from __future__ import annotations

import asyncio
import logging
import re
import subprocess
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from threading import Lock

import psutil

from workbench.errors import AlreadyExistsError, TrainingError
from workbench.persistence import ModelStore
from workbench.persistence.models import ModelInfo
from workbench.persistence.run_folder import ProcessRecord, RunFolder, numbered
from workbench.training.config import TrainingConfig, TrainingJob
from workbench.training.events import Cancelled, Event, Failed, format_event, parse_event
from workbench.training.progress import (
    FAILED,
    FINISHED,
    RUNNING,
    STARTING,
    STOPPED,
    STOPPING,
    RunProgress,
    advance,
)

_POLL_SECONDS = 0.2
_SECONDS_TO_START = 60.0
_LOG_LINES_IN_MESSAGE = 5
_REPAINT = re.compile(r"\r|\x1b\[K")
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_log = logging.getLogger(__name__)


class Run:
    """A training run.

    Made by `TrainingRunner.start` and `TrainingRunner.list_runs`.

    Parameters
    ----------
    folder : RunFolder
    models : ModelStore
        Where the weights go at the end.
    child : Popen, optional
        The process, if it was started by this one.
    """

    def __init__(
        self, folder: RunFolder, models: ModelStore, child: subprocess.Popen[bytes] | None = None
    ) -> None:
        self._folder = folder
        self._models = models
        self._child = child
        self._job = TrainingJob.from_json(folder.read_job())
        self._progress = RunProgress(
            epochs=self._job.config.epochs, warnings=tuple(self._job.warnings)
        )
        self._offset = 0
        self._reading = Lock()

    def __repr__(self) -> str:
        return f"<Run {self.id}: {self.state}>"

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
        return self._job

    @property
    def config(self) -> TrainingConfig:
        """The settings."""
        return self._job.config

    @property
    def progress(self) -> RunProgress:
        """Where the run stands at this moment."""
        progress = self._refresh()
        if progress.is_over:
            return progress
        lost = self._lost()
        if lost:
            return replace(progress, state=FAILED, message=lost)
        stopping = progress.state in {STARTING, RUNNING} and self._folder.stop_requested()
        return replace(progress, state=STOPPING) if stopping else progress

    @property
    def state(self) -> str:
        """`RunProgress.state` at this moment."""
        return self.progress.state

    @property
    def log(self) -> str:
        """The end of what the process printed, as a terminal would show it."""
        return _as_shown(self._folder.log_tail())

    async def refresh(self) -> RunProgress:
        """Return where the run stands; once it is over, do what remains to be done first."""
        progress = await asyncio.to_thread(lambda: self.progress)
        if progress.is_over:
            await self.settle()
        return progress

    async def events(self) -> AsyncIterator[Event]:
        """Yield every event from the first on, wait for more, and end after the last.

        When the last event comes, the weights of a run that succeeded are in the model
        store.
        """
        offset = 0
        while True:
            lines, offset = await asyncio.to_thread(self._folder.read_events, offset)
            for event in _parse(lines):
                if event.final:
                    await self.settle()
                yield event
                if event.final:
                    return
            if not lines and not await self._declare_lost():
                await asyncio.sleep(_POLL_SECONDS)

    async def wait(self) -> RunProgress:
        """Wait until the run is over.

        Returns
        -------
        RunProgress
            Its state is ``"finished"``, ``"stopped"`` or ``"cancelled"``.

        Raises
        ------
        TrainingError
            If it failed; says why.
        """
        async for _ in self.events():
            pass
        progress = self.progress
        if progress.state == FAILED:
            raise TrainingError(f"training run {self.id} failed: {progress.message}")
        return progress

    async def stop(self) -> None:
        """Ask the run to stop after the batch it is at; the best weights so far are kept."""
        await asyncio.to_thread(self._folder.request_stop)

    async def cancel(self) -> None:
        """Kill the run with all its processes; nothing of it goes to the model store.

        Raises
        ------
        TrainingError
            If it runs on another machine.
        """
        async with self._folder.lock():
            if self.progress.is_over:
                return
            record = self._folder.read_process()
            if record is not None and not record.is_here():
                raise TrainingError(
                    f"training run {self.id} runs on {record.host}: cancel it there, or stop it"
                )
            await asyncio.to_thread(_kill_tree, record, self._child)
            if not self._refresh().is_over:  # it may have been faster
                await asyncio.to_thread(self._end, Cancelled(time=time.time()))

    async def settle(self) -> ModelInfo | None:
        """Do what remains to be done once a run is over, exactly once over all processes.

        Notes a process that is gone as failed; puts the best weights of a run that
        finished, or was stopped after at least one epoch, into the model store and makes
        them active.

        Returns
        -------
        ModelInfo or None
            The model if this call put it there.
        """
        await self._declare_lost()
        progress = self.progress
        worth_keeping = progress.state == FINISHED or (
            progress.state == STOPPED and progress.epochs_completed > 0
        )
        if not worth_keeping or self._folder.read_registered():
            return None
        async with self._folder.lock():
            if self._folder.read_registered():
                return None
            model = await self._register(progress)
            await asyncio.to_thread(self._folder.write_registered, model.name)
            return model

    @property
    def model_name(self) -> str | None:
        """The name that the model got in the store, or None if there is none (yet)."""
        return self._folder.read_registered()

    async def _register(self, progress: RunProgress) -> ModelInfo:
        for info in await self._models.list():
            if info.details.get("run_id") == self.id:
                # Somebody died between saving the model and noting that he had.
                await self._models.set_active(info.name)
                return info
        weights = self._folder.weights()
        if weights is None:
            raise TrainingError(
                f"{self._folder.weights_dir}: expected best.pt, the weights of a run that has "
                f"finished; found none. Look at {self._folder.log_path}"
            )
        name = await self._save(weights, progress)
        await self._models.set_active(name)
        return await self._models.get(name)

    async def _save(self, weights: Path, progress: RunProgress) -> str:
        details = {
            "run_id": self.id,
            "run_folder": str(self._folder.path),
            "config": self.config.to_json(),
            "dataset_digest": self._job.digest,
            "num_images": self._job.num_images,
            "state": progress.state,
        }
        for name in numbered(self._job.model_name):
            try:
                await self._models.save(
                    name,
                    weights,
                    self._job.base_model.label,
                    self.config.dataset,
                    progress.epochs_completed,
                    progress.metrics,
                    class_names=self._job.class_names,
                    details=details,
                )
            except AlreadyExistsError:  # taken since the run was started
                continue
            return name
        raise AssertionError("names cannot run out")

    async def _declare_lost(self) -> bool:
        """Write a last event if the process is gone without one; return whether it is over."""
        if self._refresh().is_over:
            return True
        if not self._lost():
            return False
        async with self._folder.lock():
            lost = "" if self._refresh().is_over else self._lost()
            if lost:  # else somebody else was here before
                await asyncio.to_thread(self._end, Failed(time=time.time(), message=lost))
        return True

    def _refresh(self) -> RunProgress:
        with self._reading:
            lines, self._offset = self._folder.read_events(self._offset)
            for event in _parse(lines):
                self._progress = advance(self._progress, event)
            return self._progress

    def _end(self, event: Event) -> None:
        self._folder.drop_half_event()
        self._folder.append_event(format_event(event))

    def _lost(self) -> str:
        """Say that the process is gone; empty if it is alive, or nobody here can tell."""
        status = self._child.poll() if self._child is not None else None
        record = self._folder.read_process()
        if record is None:
            starting = self._child is not None and status is None
            if starting or (self._child is None and self._folder.job_age() < _SECONDS_TO_START):
                return ""
            cause = "the training process never started"
        elif not record.is_here() or record.find() is not None:
            return ""
        else:
            cause = "the training process is gone without a word"
        # It may have said its last word between the reading of events and this moment.
        lines, _ = self._folder.read_events(self._offset)
        if any(event.final for event in _parse(lines)):
            return ""
        return f"{cause}{_exit_reason(status)}{self._last_words()}"

    def _last_words(self) -> str:
        lines = [line.strip() for line in self.log.splitlines() if line.strip()]
        if not lines:
            return ""
        return "; its log ends in: " + " / ".join(lines[-_LOG_LINES_IN_MESSAGE:])


def _exit_reason(status: int | None) -> str:
    if status == -9:
        return " (killed, by a person or by the system because memory ran out)"
    if status:
        return f" (exit status {status})"
    return " (killed, or the machine was restarted)"


def _as_shown(text: str) -> str:
    # A progress bar repaints its line after a return or an erase-line; the last one counts.
    lines = (_REPAINT.split(line.rstrip("\r"))[-1] for line in text.split("\n"))
    return _ANSI.sub("", "\n".join(lines))


def _parse(lines: list[str]) -> list[Event]:
    events = []
    for line in lines:
        try:
            events.append(parse_event(line))
        except ValueError as error:
            # A newer version may tell of things that this one does not know.
            _log.warning("training event left out: %s", error)
    return events


def _kill_tree(record: ProcessRecord | None, child: subprocess.Popen[bytes] | None) -> None:
    parent = record.find() if record is not None else None
    if parent is None and child is not None and child.poll() is None:
        parent = psutil.Process(child.pid)
    if parent is None:
        return
    try:
        parent.suspend()  # so that it starts no more children while they are counted
        family = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    if child is not None:
        child.wait()
    psutil.wait_procs(family, timeout=10)
