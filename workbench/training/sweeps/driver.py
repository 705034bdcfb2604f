"""The process that carries a sweep on: ``python -m workbench.training.sweeps.driver <folder>``.

It starts trials, reads what their runs tell, ends those that are behind, and stays until all are
over. It may be killed at any time, and started again: all that it knows is in the folder.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path

from workbench.errors import TrainingError, WorkbenchError
from workbench.persistence.process_record import ProcessRecord
from workbench.persistence.run_folder import RunFolder
from workbench.persistence.sweep_folder import SweepFolder
from workbench.training.config import TrainingJob
from workbench.training.events import Queued
from workbench.training.places import place_at
from workbench.training.progress import CANCELLED as RUN_CANCELLED
from workbench.training.progress import CANCELLING, RunProgress
from workbench.training.queueing import enqueue, make_room, start_due
from workbench.training.run import Run
from workbench.training.sweeps.plan import (
    CANCELLED,
    FAILED,
    FINISHED,
    RUNNING,
    SweepNotes,
    SweepPlan,
)

_POLL_SECONDS = 0.5


class Driver:
    """Carries a sweep on until it is over.

    Parameters
    ----------
    folder : SweepFolder
    """

    def __init__(self, folder: SweepFolder) -> None:
        self._folder = folder
        self._plan = SweepPlan.read(folder)
        self._notes = SweepNotes.read(folder, self._plan)
        self._runs: dict[int, Run] = {}
        self._stands: dict[int, RunProgress] = {}

    async def drive(self) -> None:
        """Do all that remains to be done."""
        await self._go_on_after_cancel()
        while not self._folder.cancel_requested():
            await self._look()
            await self._end_those_behind()
            if not await self._start_next() and self._is_over():
                self._note_end()
                return
            await asyncio.sleep(_POLL_SECONDS)
        await self._cancel()

    async def _go_on_after_cancel(self) -> None:
        """Let the trials go on that were cancelled with the sweep: somebody resumes it."""
        self._notes = replace(self._notes, state=RUNNING, message="")
        for number, trial in enumerate(self._notes.trials):
            if trial.cancelled:
                run = self._run(number)
                if run is not None and run.is_resumable():
                    await run.resume()
                self._note(number, cancelled=False)

    def _run(self, number: int) -> Run | None:
        """Return the run of a trial; None if there is none (yet)."""
        run_id = self._notes.trials[number].run
        if number not in self._runs and run_id:
            folder = RunFolder(self._folder.runs_dir / run_id)
            if not folder.job_path.is_file():
                return None
            run = Run(folder, None)
            if run.job.sweep != self._folder.id:  # what is noted may be of anybody
                return None
            self._runs[number] = run
            if not folder.read_events()[0]:  # the driver before was killed at that moment
                self._queue(folder, self._runs[number].job)
        return self._runs.get(number)

    async def _look(self) -> None:
        for number in range(len(self._plan.jobs)):
            run = self._run(number)
            known = self._stands.get(number)
            if run is not None and (known is None or not known.is_over):
                self._stands[number] = await run.refresh()

    # --- ending

    async def _end_those_behind(self) -> None:
        halving = self._plan.halving
        if halving is None:
            return
        curves = {number: self._curve(number) for number in self._stands}
        for number, progress in self._stands.items():
            trial = self._notes.trials[number]
            if progress.is_over or trial.ended_at:
                continue
            for rung in halving.rungs(self._plan.jobs[number].config.epochs):
                if trial.rung < rung <= len(curves[number]):
                    others = [curve for other, curve in curves.items() if other != number]
                    is_behind = halving.ends(curves[number], others, rung)
                    # Noted first: of who is asked to end, it must be known why.
                    self._note(number, rung=rung, ended_at=rung if is_behind else 0)
                    if is_behind:
                        await self._runs[number].stop()
                        break

    def _curve(self, number: int) -> list[float]:
        metric = self._plan.metric
        history = self._stands[number].history
        return [epoch.metrics.get(metric, 0.0) for epoch in history if epoch.complete]

    # --- starting

    async def _start_next(self) -> bool:
        """Start the next trial if fewer than wanted are under way; return whether one was."""
        under_way = sum(not progress.is_over for progress in self._stands.values())
        if under_way >= self._plan.at_once:
            return False
        for number, trial in enumerate(self._notes.trials):
            if number not in self._stands and not trial.problem:
                try:
                    await asyncio.to_thread(self._start, number)
                    self._stands[number] = await self._runs[number].refresh()
                except (WorkbenchError, OSError) as error:
                    self._note(number, problem=str(error) or type(error).__name__)
                return True
        return False

    def _start(self, number: int) -> None:
        """Make the run of a trial, and put it into the queue.

        Its id is noted before it becomes a run: one that a driver left half made is made again.
        """
        template, known = self._plan.jobs[number], self._notes.trials[number].run
        folder = RunFolder(self._folder.runs_dir / known) if known else None
        # Of what is noted, only a folder that a driver on this machine has made, and which is no
        # run yet, is this trial's.
        if folder is None or not folder.is_own() or folder.job_path.exists():
            folder = RunFolder.create(self._folder.runs_dir, template.config.dataset)
            folder.mark_own()
            self._note(number, run=folder.id)
        else:
            folder.note_maker()
            if folder.data_dir.exists():
                shutil.rmtree(folder.data_dir)
        images, labelled = self._folder.copy_data(folder.data_dir, self._plan.fold(number))
        job = replace(
            template,
            run_id=folder.id,
            num_images=images,
            num_labelled=labelled,
            digest=self._digest(template, number),
        )
        folder.write_job(job.to_json())
        self._queue(folder, job)
        self._runs[number] = Run(folder, None)

    def _queue(self, folder: RunFolder, job: TrainingJob) -> None:
        enqueue(folder, Queued(time=time.time()))
        make_room(self._folder.runs_dir, place_at(job.where).devices(job.config))
        start_due(self._folder.runs_dir)

    def _digest(self, job: TrainingJob, number: int) -> str:
        if not self._plan.folds:
            return job.digest
        return hashlib.sha256(f"{job.digest} fold {number}".encode()).hexdigest()

    # --- the end

    def _is_over(self) -> bool:
        return all(
            trial.problem or (number in self._stands and self._stands[number].is_over)
            for number, trial in enumerate(self._notes.trials)
        )

    def _note_end(self) -> None:
        metric = self._plan.metric
        measured = any(stand.best(metric) is not None for stand in self._stands.values())
        if measured:
            self._notes = replace(self._notes, state=FINISHED)
        else:
            problems = [trial.problem for trial in self._notes.trials if trial.problem]
            problems += [stand.message for stand in self._stands.values() if stand.message]
            text = f"no trial has measured anything: {problems[0] if problems else 'all ended'}"
            self._notes = replace(self._notes, state=FAILED, message=text)
        self._notes.write(self._folder)

    async def _cancel(self) -> None:
        await self._look()
        for number, progress in self._stands.items():
            if not progress.is_over:
                await self._runs[number].cancel()
                stands = self._runs[number].read_progress()
                self._note(number, cancelled=stands.state in {RUN_CANCELLED, CANCELLING})
        self._notes = replace(self._notes, state=CANCELLED)
        self._notes.write(self._folder)
        start_due(self._folder.runs_dir)

    def _note(self, number: int, **changes: object) -> None:
        self._notes = self._notes.with_trial(number, **changes)
        self._notes.write(self._folder)


def drive(folder: SweepFolder) -> None:
    """Carry a sweep on until it is over, and note it as failed if that cannot be.

    Raises
    ------
    Exception
        Whatever broke it.
    """
    with folder.lock_in_thread():  # two would start each trial twice
        folder.write_driver(ProcessRecord.of_this_process())
        try:
            asyncio.run(Driver(folder).drive())
        except Exception as error:
            traceback.print_exc()
            notes = SweepNotes.read(folder, SweepPlan.read(folder))
            text = f"the sweep could not be carried on: {error}"
            replace(notes, state=FAILED, message=text).write(folder)
            raise TrainingError(text) from error


def main(arguments: list[str]) -> int:
    """Run the driver; return its exit status."""
    if len(arguments) != 1:
        print("usage: python -m workbench.training.sweeps.driver <sweep folder>", file=sys.stderr)
        return 2
    drive(SweepFolder(Path(arguments[0]).resolve()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
