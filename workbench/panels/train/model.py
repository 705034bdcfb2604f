"""Training, as the panel knows it: settings, commands and where runs stand. No widgets."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import traitlets as t

from workbench.datasets.changes import Change
from workbench.datasets.manager import DatasetManager
from workbench.errors import TrainingError, WorkbenchError
from workbench.panels.shared.changing import sentence
from workbench.panels.shared.readings import Readings
from workbench.panels.train.mending import mend
from workbench.panels.train.runs import RunBook, RunRow
from workbench.panels.train.settings import CHOSEN, TrainSettings
from workbench.persistence import Stores
from workbench.persistence.addresses import runs_beside
from workbench.persistence.stores.runs import RunStore
from workbench.training.comparison import RunComparison, compare_runs
from workbench.training.config import TrainingConfig
from workbench.training.problems import ERROR, Problem
from workbench.training.progress import WAITING, RunProgress
from workbench.training.run import Run
from workbench.training.runner import TrainingRunner

_SECONDS_BETWEEN_LOOKS = 0.25
_LOOKS_BETWEEN_LISTINGS = 8


class TrainModel(TrainSettings):
    """What the training panel shows and does.

    Traits hold the settings of the next run (see `TrainSettings`), what speaks against it
    (``problems``), what is known of all runs, whoever started them (``rows``), and of the one
    that is shown (``run`` to ``trained_model``). All commands are coroutines of one event loop.

    Parameters
    ----------
    dataset : str, optional
        Chosen at first; default: the only one there is.
    stores : Stores, optional
        Default: those of this process.
    runs_dir : Path, str or RunStore, optional
        Where runs are kept, a folder or the address of a bucket; default: ``runs`` beside the
        folder that holds the datasets.
    """

    problems = t.Tuple(help="`Problem`s of the run that was to be started; empty: none.")
    checked = t.Tuple((0, 0), help="Images that the check has looked at, and has to.")
    busy = t.Bool(False, help="Whether a run is being checked or started.")
    rows = t.Tuple(help="A `RunRow` for each run, the newest first.")
    run = t.Instance(Run, allow_none=True, help="The run that is shown.")
    progress = t.Instance(RunProgress, help="Where that run stands.")
    can_resume = t.Bool(False, help="Whether that run can go on.")
    trained_model = t.Unicode(help="Name of the model that came of it, or empty.")
    comparison = t.Instance(RunComparison, allow_none=True, help="Runs beside each other.")
    error = t.Unicode(help="What went wrong with the last command, or empty.")
    said = t.Unicode(help="What the last mend has changed, or empty.")
    can_undo = t.Bool(False, help="Whether that can be taken back.")

    def __init__(
        self,
        dataset: str | None = None,
        stores: Stores | None = None,
        runs_dir: Path | str | RunStore | None = None,
    ) -> None:
        super().__init__(dataset, stores)
        self._runs = RunStore.at(runs_dir) if isinstance(runs_dir, Path | str) else runs_dir
        self._book = RunBook()
        self._watching = False
        self._looks, self._lists = Readings(), Readings()
        self._proposed: tuple[TrainingConfig, str] | None = None
        self._mended: Change | None = None
        self.observe(self._begin_anew, names=[*CHOSEN, "where"])

    def _begin_anew(self, _change: Any) -> None:
        """Forget what was wrong with the settings of before."""
        self.withdraw()
        if not self._is_suggesting:
            self.error = self.said = ""

    @t.default("progress")
    def _no_progress(self) -> RunProgress:
        return RunProgress()

    @property
    def can_start_anyway(self) -> bool:
        """Whether there are warnings only about the run that was to be started."""
        return self._proposed is not None and all(p.severity != ERROR for p in self.problems)

    @property
    def is_active(self) -> bool:
        """Whether the run that is shown still goes on, or waits."""
        return self.run is not None and not self.progress.is_over

    @property
    def place(self) -> int:
        """Place of the shown run in the queue, counted from 1; 0 if it does not wait."""
        shown = self.run.id if self.run is not None else ""
        return next((row.place for row in self.rows if row.id == shown), 0)

    async def open(self, dataset: str) -> None:
        """Choose the dataset that the next run trains on.

        Raises
        ------
        NotFoundError
            If there is no such dataset.
        """
        self.dataset = (await DatasetManager.on(self.stores).get(dataset)).name
        await self.refresh()

    async def refresh(self) -> None:
        """Look again which datasets, models and runs there are.

        A run that goes on, started by whomever, is shown; else the one that was, or the newest.
        """
        is_news = self._lists.begin()
        datasets = await DatasetManager.on(self.stores).list_usable()
        if is_news():
            self.datasets = datasets
        if not self.dataset and len(self.datasets) == 1:
            self.dataset = self.datasets[0]
        await self._list_models()
        runner = await self.find_runner()
        if runner is not None:
            self._book.put(await runner.list_runs())
            await self.look()
            await self._list_rows(every=True)
        if self.run is None:
            active = [row for row in self.rows if not row.is_over]
            running = [row for row in active if row.state != WAITING]
            shown = [*running, *active, *self.rows]
            if shown:
                await self.choose(shown[0].id)
        await self.suggest()

    # Starting

    async def start(self, **settings: Any) -> Run:
        """Start a run with the panel's settings, of which any may be given for this run.

        It waits for its turn if the device is busy.

        Parameters
        ----------
        **settings
            Any field of `TrainingConfig`, and ``where``: see `TrainingRunner.start`.

        Raises
        ------
        TrainingError
            If training would fail, or one is being started; says why and what to do.
        """
        self._begin()
        try:
            await self.suggest()
            where = settings.pop("where", self.where)
            return await self._start(self.config(**settings), where)
        except WorkbenchError as error:
            self.error = str(error)
            raise
        finally:
            self.busy = False

    async def propose(self) -> Run | None:
        """Start a run with the panel's settings if nothing speaks against it.

        Else `problems` says what does; `start_anyway` starts it in spite of warnings.
        """
        self._begin()
        try:
            checked = await self._check()
            return None if self.problems else await self._start(*checked)
        finally:
            self.busy = False

    async def _check(self) -> tuple[TrainingConfig, str]:
        """Look for what speaks against a run; `problems` has it."""
        await self.suggest()
        config, where = self.config(), self.where
        runner = await self.required_runner(config)
        problems = await runner.check(config, where=where, progress=self._tell())
        if problems:
            self._proposed = config, where
            self.problems = tuple(problems)
        return config, where

    # Mending

    async def mend(self, problem: Problem) -> None:
        """Do what can be done here about a problem, and check again; nothing is started.

        Raises
        ------
        ConflictError
            If it is not so any more, or cannot be done; nothing is done then.
        """
        if problem.settings:
            for name, value in problem.settings:
                self.set_trait(name, value)
            self.said = "The settings are changed: press Start."
            return
        if self.version:
            self.version = ""
            self.said = "It trains on the dataset as it is now: press Start."
            return
        self._begin()
        try:
            self._mended = await mend(self.stores, self.dataset, problem)
            self.can_undo = True
            await self._check()
            done = sentence(self._mended.description)
            self.said = done if self.problems else f"{done} Nothing speaks against it: press Start."
        finally:
            self.busy = False

    @property
    def mended(self) -> str:
        """What the last mend has changed in the dataset; empty: nothing can be undone."""
        return "" if self._mended is None else self._mended.description

    async def undo_mend(self) -> None:
        """Take back what the last mend has changed in the dataset.

        Raises
        ------
        ConflictError
            If somebody has changed it since.
        """
        change, self._mended = self._mended, None
        self.can_undo = False
        if change is not None:
            await change.undo()
            self.withdraw()
            self.said = f"Undone: {change.description}."
            await self.suggest()

    async def start_anyway(self) -> Run:
        """Start the run of which `problems` has warnings.

        Raises
        ------
        TrainingError
            If there is none, or there are errors among them.
        """
        proposed = self._proposed
        if proposed is None or not self.can_start_anyway:
            raise TrainingError("no run was found good enough to start: start one first")
        self._begin()
        try:
            return await self._start(*proposed)
        finally:
            self.busy = False

    def withdraw(self) -> None:
        """Forget the run that was to be started, and its problems."""
        self._proposed = None
        self.problems = ()

    # The run that is shown

    async def choose(self, run_id: str) -> None:
        """Show another run.

        Raises
        ------
        NotFoundError
            If there is none of this id.
        """
        run = self._book.get(run_id)
        self.comparison = None
        if self.run is None or run.id != self.run.id:
            await self._show(run)

    async def stop(self) -> None:
        """Stop the run after the batch it is at, and keep its best weights."""
        if self.run is not None:
            await self.run.stop()
            await self._look_everywhere()

    async def pause(self, *, now: bool = False) -> None:
        """Pause the run after the epoch it is at; see `Run.pause`."""
        if self.run is not None:
            await self.run.pause(now=now)
            await self._look_everywhere()

    async def resume(self, **changes: Any) -> None:
        """Continue the run from its last checkpoint; see `Run.resume`.

        Raises
        ------
        TrainingError
            If it cannot, or none is shown.
        """
        self.error = ""
        if self.run is None:
            raise TrainingError("no training run is shown: choose one first")
        await self.run.resume(**changes)
        await self._look_everywhere()

    async def cancel(self) -> None:
        """Kill the run, or take it off the queue."""
        if self.run is not None:
            await self.run.cancel()
            await self._look_everywhere()

    async def move_up(self) -> None:
        """Move the run one place forward in the queue."""
        runner = await self.find_runner()
        if runner is None or self.run is None:
            return
        ids = [run.id for run in await runner.list_waiting()]
        place = ids.index(self.run.id) if self.run.id in ids else 0
        if place:
            ids[place - 1], ids[place] = ids[place], ids[place - 1]
            await runner.reorder(ids)
        await self._look_everywhere()

    async def compare(self, run_ids: tuple[str, ...]) -> None:
        """Put runs beside each other.

        Raises
        ------
        TrainingError
            If there are fewer than two.
        """
        if len(run_ids) < 2:
            raise TrainingError("choose two or more runs to compare")
        runs = [self._book.get(run_id) for run_id in run_ids]
        self.comparison = await asyncio.to_thread(compare_runs, runs)

    async def samples(self, epoch: int) -> list[tuple[str, bytes]]:
        """Return the name and JPEG of what the shown run finds on a few images of val."""
        run = self.run
        if run is None:
            return []
        return await asyncio.to_thread(
            lambda: [(path.stem, path.read_bytes()) for path in run.samples(epoch)]
        )

    # Looking

    async def look(self) -> bool:
        """Bring the traits up to date with the shown run; return whether it is over."""
        run = self.run
        if run is None:
            return True
        is_news = self._looks.begin()
        try:
            progress = await run.refresh()
        except WorkbenchError as error:  # the run is over, but its weights could not be kept
            self.error = str(error)
            progress = await asyncio.to_thread(run.read_progress)
        trained = await asyncio.to_thread(run.read_model_name) or ""
        # Another may have been chosen, or a later look have been faster in the meantime.
        if run is self.run and is_news():
            self._take_over(run, progress, trained)
        return progress.is_over

    async def watch(self) -> None:
        """Keep the traits up to date until no run goes on or waits."""
        if self._watching:
            return
        self._watching = True
        looks = 0
        try:
            while True:
                was_over, is_over = self.progress.is_over, await self.look()
                if looks % _LOOKS_BETWEEN_LISTINGS == 0 or is_over != was_over:
                    await self._list_rows()
                    if is_over:
                        await self._list_models()
                if is_over and all(row.is_over for row in self.rows):
                    return
                looks += 1
                await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
        finally:
            self._watching = False

    async def wait(self) -> RunProgress:
        """Wait until the shown run is over; see `Run.wait`.

        Raises
        ------
        TrainingError
            If it failed, or none was started.
        """
        if self.run is None:
            raise TrainingError("no training run was started: call start() first")
        try:
            return await self.run.wait()
        finally:
            await self._look_everywhere()
            await self._list_models()

    # Inside

    def _begin(self) -> None:
        if self.busy:
            raise TrainingError("a training run is being started: wait until it has")
        self.withdraw()
        self.busy, self.error, self.said, self.checked = True, "", "", (0, 0)

    async def _start(self, config: TrainingConfig, where: str) -> Run:
        runner = await self.required_runner(config)
        run = await runner.start(config, where=where, progress=self._tell())
        self.withdraw()
        self._book.put([run])
        self.comparison = None
        await self._show(run)
        return run

    def _tell(self) -> Any:
        return self._book.teller(lambda done, total: self.set_trait("checked", (done, total)))

    async def required_runner(self, config: TrainingConfig) -> TrainingRunner:
        """Return what starts runs; TrainingError if there is no dataset to train on."""
        runner = await self.find_runner(config.dataset)
        if runner is None:
            raise TrainingError(f"there is no dataset {config.dataset!r}: create one first")
        return runner

    async def _show(self, run: Run) -> None:
        progress, trained = await asyncio.to_thread(
            lambda: (run.read_progress(), run.read_model_name() or "")
        )
        with self.hold_trait_notifications():
            self.run = run
            self._take_over(run, progress, trained)
        await self._look_everywhere()

    def _take_over(self, run: Run, progress: RunProgress, trained: str) -> None:
        """Show what was read of a run."""
        self.trained_model = trained
        self.can_resume = run.is_resumable(progress)
        if progress != self.progress:
            self.progress = progress

    async def _look_everywhere(self) -> None:
        await self.look()
        await self._list_rows()

    async def _list_rows(self, *, every: bool = False) -> None:
        runner = await self.find_runner()
        waiting = [] if runner is None else [run.id for run in await runner.list_waiting()]
        known = {} if self.run is None else {self.run.id: self.progress}
        rows: tuple[RunRow, ...] = await self._book.rows(waiting, known, every=every)
        if rows != self.rows:
            self.rows = rows

    async def find_runner(self, dataset: str = "") -> TrainingRunner | None:
        """Return what finds runs; None while nobody knows where they are kept."""
        if self._runs is None:
            # The stores keep to themselves where they are; a dataset knows where it lies.
            names = [dataset] if dataset else self.datasets
            if not names:
                return None
            info = await DatasetManager.on(self.stores).get(names[0])
            self._runs = RunStore.at(runs_beside(info.path.parent))
        return TrainingRunner(self.stores, self._runs)
