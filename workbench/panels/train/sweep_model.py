"""Sweeps, as the train panel knows them: what is tried, and where the shown one stands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import traitlets as t

from workbench.errors import InvalidConfigError, TrainingError
from workbench.panels.train.model import TrainModel
from workbench.training.config import TrainingConfig
from workbench.training.runner import TrainingRunner
from workbench.training.sweeps.halving import Halving
from workbench.training.sweeps.plan import CANCELLED, FAILED
from workbench.training.sweeps.space import Space, parse_space
from workbench.training.sweeps.sweep import Sweep, SweepProgress

_SECONDS_BETWEEN_LOOKS = 1.0
_OPTIONS = frozenset({"trials", "halving", "at_once", "metric", "where", "folds", "group_by"})
_Start = Callable[..., Awaitable[Sweep]]


class SweepModel(t.HasTraits):
    """What the panel shows of sweeps, and does with them.

    What all trials have in common are the settings of the panel.

    Parameters
    ----------
    train : TrainModel
    """

    space = t.Unicode(help="What is tried, as `parse_space` reads it.")
    trials = t.Int(0, help="So many are drawn at random; 0: the whole grid.")
    ends_early = t.Bool(True, help="Whether trials end that are behind.")
    first = t.Int(3, help="Epochs that each trial gets in any case.")
    at_once = t.Int(1, help="Trials that are under way at a time.")
    folds = t.Int(5, help="Of a cross-validation.")
    group_by = t.Unicode("name", help="Which images are in one fold; empty: each for itself.")
    busy = t.Bool(False, help="Whether one is being checked and started.")
    sweeps: t.List[str] = t.List(help="Ids of all sweeps, the newest first.")
    sweep = t.Instance(Sweep, allow_none=True, help="The one that is shown.")
    progress = t.Instance(SweepProgress, allow_none=True, help="Where that one stands.")
    trained_model = t.Unicode(help="Name of the model that came of it, or empty.")

    def __init__(self, train: TrainModel) -> None:
        super().__init__()
        self._train = train
        self._known: dict[str, Sweep] = {}
        self._watching = False

    @property
    def is_active(self) -> bool:
        """Whether the shown sweep goes on."""
        return self.progress is not None and not self.progress.is_over

    @property
    def can_resume(self) -> bool:
        """Whether the shown sweep can go on."""
        return self.progress is not None and self.progress.state in {CANCELLED, FAILED}

    async def start(self) -> None:
        """Start a sweep with what was typed.

        Raises
        ------
        InvalidConfigError
            If a line or a number cannot be.
        TrainingError
            If training would fail.
        """
        space = parse_space(self.space)
        if not space:
            raise InvalidConfigError("Say what is tried, such as image_size: 320, 640")
        halving = Halving(first=self.first) if self.ends_early else None
        await self.begin(space, trials=self.trials or None, halving=halving, at_once=self.at_once)

    async def cross_validate(self) -> None:
        """Train once for each fold.

        Raises
        ------
        TrainingError
            If training would fail, or there are too few groups of images.
        """
        await self.begin_folds(
            folds=self.folds, group_by=self.group_by or None, at_once=self.at_once
        )

    async def begin(self, space: Space, **options: Any) -> Sweep:
        """Start a sweep, and show it.

        Parameters
        ----------
        space : mapping of str to list or Between
        **options
            Of `TrainingRunner.sweep`, and fields of `TrainingConfig`.
        """

        def start(runner: TrainingRunner, config: TrainingConfig, **own: Any) -> Awaitable[Sweep]:
            return runner.sweep(config, space, **own)

        return await self._begin(start, options)

    async def begin_folds(self, **options: Any) -> Sweep:
        """Start a cross-validation, and show it.

        Parameters
        ----------
        **options
            Of `TrainingRunner.cross_validate`, and fields of `TrainingConfig`.
        """
        return await self._begin(TrainingRunner.cross_validate, options)

    async def cancel(self) -> None:
        """End the shown sweep with all its runs."""
        if self.sweep is not None:
            await self.sweep.cancel()
            await self.look()

    async def resume(self) -> None:
        """Let the shown sweep go on."""
        if self.sweep is not None:
            await self.sweep.resume()
            await self.look()

    async def choose(self, sweep_id: str) -> None:
        """Show another sweep."""
        if sweep_id in self._known:
            await self._show(self._known[sweep_id])

    async def refresh(self) -> None:
        """Look again which sweeps there are; one that goes on is shown, else the newest."""
        runner = await self._train.find_runner()
        if runner is None:
            return
        for sweep in await runner.list_sweeps():
            self._known.setdefault(sweep.id, sweep)
        self.sweeps = sorted(self._known, reverse=True)
        if self.sweep is None and self.sweeps:
            await self._show(self._known[self.sweeps[0]])

    async def look(self) -> None:
        """Bring the traits up to date with the shown sweep."""
        sweep = self.sweep
        if sweep is None:
            return
        progress = await sweep.refresh()
        model = await asyncio.to_thread(sweep.read_model_name) or ""
        if sweep is self.sweep:
            self.trained_model = model
            self.progress = progress

    async def watch(self) -> None:
        """Keep the traits up to date until the shown sweep is over."""
        if self._watching:
            return
        self._watching = True
        try:
            while self.is_active:
                await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
                await self.look()
            await self._train.refresh()  # the best model is there
        finally:
            self._watching = False

    async def _begin(self, start: _Start, options: dict[str, Any]) -> Sweep:
        if self.busy:
            raise TrainingError("a sweep is being started: wait until it has")
        self.busy = True
        try:
            await self._train.suggest()
            own = {name: options.pop(name) for name in _OPTIONS & options.keys()}
            config = self._train.config(**options)
            runner = await self._train.required_runner(config)
            made = await start(runner, config, **{"where": self._train.where, **own})
        finally:
            self.busy = False
        await self._show(made)
        return made

    async def _show(self, sweep: Sweep) -> None:
        self._known[sweep.id] = sweep
        self.sweeps = sorted(self._known, reverse=True)
        self.sweep, self.progress, self.trained_model = sweep, None, ""
        await self.look()
