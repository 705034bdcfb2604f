"""Training, as the panel knows it: settings, commands and where runs stand. No widgets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import traitlets as t

from workbench.errors import TrainingError, WorkbenchError
from workbench.panels.shared.changing import usable_datasets
from workbench.panels.train.following import FollowedRuns
from workbench.panels.train.settings import CHOSEN
from workbench.persistence import Stores
from workbench.training.config import TrainingConfig
from workbench.training.problems import ERROR
from workbench.training.progress import WAITING
from workbench.training.run import Run
from workbench.training.runner import TrainingRunner


class TrainModel(FollowedRuns):
    """What the training panel shows and does.

    Traits hold the settings of the next run (see `TrainSettings`), what speaks against it
    (``problems``), and what is known of all runs (see `FollowedRuns`). All commands are
    coroutines of one event loop.

    Parameters
    ----------
    dataset : str, optional
        Chosen at first; default: the only one there is.
    stores : Stores, optional
        Default: those of this process.
    runs_dir : Path or str, optional
        Where runs are kept; default: ``runs`` beside the folder that holds the datasets.
    """

    problems = t.Tuple(help="`Problem`s of the run that was to be started; empty: none.")
    checked = t.Tuple((0, 0), help="Images that the check has looked at, and has to.")
    busy = t.Bool(False, help="Whether a run is being checked or started.")

    def __init__(
        self,
        dataset: str | None = None,
        stores: Stores | None = None,
        runs_dir: Path | str | None = None,
    ) -> None:
        super().__init__(dataset, stores, runs_dir)
        self._proposed: TrainingConfig | None = None
        self.observe(lambda _: self.withdraw(), names=list(CHOSEN))

    @property
    def can_start_anyway(self) -> bool:
        """Whether there are warnings only about the run that was to be started."""
        return self._proposed is not None and all(p.severity != ERROR for p in self.problems)

    async def refresh(self) -> None:
        """Look again which datasets, models and runs there are.

        A run that goes on, started by whomever, is shown; else the last one that was shown.
        """
        self.datasets = await usable_datasets(self.stores)
        if not self.dataset and len(self.datasets) == 1:
            self.dataset = self.datasets[0]
        await self._list_models()
        runner = await self._runner()
        if runner is not None:
            self._book.put(await runner.list_runs())
            await self._list_rows(every=True)
        if self.run is None:
            active = [row for row in self.rows if not row.is_over]
            running = [row for row in active if row.state != WAITING]
            if active:
                await self.choose((running or active)[0].id)
        await self.look()
        await self.suggest()

    # Starting

    async def start(self, **settings: Any) -> Run:
        """Start a run with the panel's settings, of which any may be given for this run.

        It waits for its turn if the device is busy.

        Parameters
        ----------
        **settings
            Any field of `TrainingConfig`.

        Raises
        ------
        TrainingError
            If training would fail, or one is being started; says why and what to do.
        """
        self._begin()
        try:
            await self.suggest()
            return await self._start(self.config(**settings))
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
            await self.suggest()
            config = self.config()
            runner = await self._required_runner(config)
            problems = await runner.check(config, progress=self._tell())
            if problems:
                self._proposed = config
                self.problems = tuple(problems)
                return None
            return await self._start(config)
        finally:
            self.busy = False

    async def start_anyway(self) -> Run:
        """Start the run of which `problems` has warnings.

        Raises
        ------
        TrainingError
            If there is none, or there are errors among them.
        """
        config = self._proposed
        if config is None or not self.can_start_anyway:
            raise TrainingError("no run was found good enough to start: start one first")
        self._begin()
        try:
            return await self._start(config)
        finally:
            self.busy = False

    def withdraw(self) -> None:
        """Forget the run that was to be started, and its problems."""
        self._proposed = None
        self.problems = ()

    # Inside

    def _begin(self) -> None:
        if self.busy:
            raise TrainingError("a training run is being started: wait until it has")
        self.withdraw()
        self.busy, self.error, self.checked = True, "", (0, 0)

    async def _start(self, config: TrainingConfig) -> Run:
        runner = await self._required_runner(config)
        run = await runner.start(config, progress=self._tell())
        self.withdraw()
        self._book.put([run])
        self.comparison = None
        await self._show(run)
        return run

    def _tell(self) -> Any:
        return self._book.teller(lambda done, total: self.set_trait("checked", (done, total)))

    async def _required_runner(self, config: TrainingConfig) -> TrainingRunner:
        runner = await self._runner(config.dataset)
        if runner is None:
            raise TrainingError(f"there is no dataset {config.dataset!r}: create one first")
        return runner
