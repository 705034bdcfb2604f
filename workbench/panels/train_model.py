"""Training, as the panel knows it: settings, commands and where the run stands. No widgets."""

from __future__ import annotations

import asyncio
from dataclasses import fields
from pathlib import Path
from typing import Any

import traitlets as t

from workbench.errors import TrainingError, WorkbenchError
from workbench.persistence import Stores, get_stores
from workbench.training.config import TrainingConfig
from workbench.training.progress import RunProgress
from workbench.training.run import Run
from workbench.training.runner import TrainingRunner

_SECONDS_BETWEEN_LOOKS = 0.25
_SETTINGS = tuple(item.name for item in fields(TrainingConfig))
_DEFAULT = TrainingConfig(dataset="any")
BASE_MODELS = ("yolo11n.pt", "yolo11s.pt", "yolo11m.pt", "yolo26n.pt", "yolo26s.pt", "yolo11n.yaml")


class TrainModel(t.HasTraits):
    """What the training panel shows and does.

    Traits hold the settings of the next run (``dataset`` to ``allow_download``, with the
    meaning of `TrainingConfig`) and what is known of the run that is shown (``run`` to
    ``error``). All commands are coroutines and may be called from any event loop.

    Parameters
    ----------
    dataset : str, optional
        Chosen at first; default: the only one there is.
    stores : Stores, optional
        Default: those of this process.
    runs_dir : Path or str, optional
        Where runs are kept; default: ``runs`` beside the folder that holds the datasets.
    """

    dataset = t.Unicode(help="Name of the dataset that the next run trains on.")
    base_model = t.Unicode(_DEFAULT.base_model, help="Where the next run starts.")
    epochs = t.Int(_DEFAULT.epochs, help="How often it sees the training split.")
    image_size = t.Int(_DEFAULT.image_size, help="Pixels of the square images.")
    batch = t.Any(_DEFAULT.batch, help="Images learned at once; int or float.")
    device = t.Unicode(help="Empty: the first GPU, else the CPU.")
    allow_download = t.Bool(False, help="Whether pretrained weights may be fetched.")

    datasets = t.List(t.Unicode(), help="Names of the datasets there are.")
    base_models = t.List(t.Unicode(), help="Names that `base_model` may have, among others.")
    run = t.Instance(Run, allow_none=True, help="The run that is shown.")
    progress = t.Instance(RunProgress, help="Where that run stands.")
    trained_model = t.Unicode(help="Name of the model that came of it, or empty.")
    busy = t.Bool(False, help="Whether a run is being started.")
    error = t.Unicode(help="What went wrong with the last command, or empty.")

    def __init__(
        self,
        dataset: str | None = None,
        stores: Stores | None = None,
        runs_dir: Path | str | None = None,
    ) -> None:
        super().__init__(dataset=dataset or "", base_models=list(BASE_MODELS))
        self._given_stores = stores
        self._runs_dir = Path(runs_dir) if runs_dir is not None else None

    @t.default("progress")
    def _no_progress(self) -> RunProgress:
        return RunProgress()

    @property
    def stores(self) -> Stores:
        """The stores that the panel works on."""
        return self._given_stores or get_stores()

    @property
    def is_active(self) -> bool:
        """Whether the run that is shown still goes on."""
        return self.run is not None and not self.progress.is_over

    async def refresh(self) -> None:
        """Look again which datasets, models and runs there are.

        A run that goes on, started by whomever, is shown; else the last one that was shown.
        """
        self.datasets = [info.name for info in await self.stores.dataset.list()]
        if not self.dataset and len(self.datasets) == 1:
            self.dataset = self.datasets[0]
        await self._list_models()
        if self.is_active:
            await self.look()
            return
        runner = await self._runner()
        runs = await runner.list_runs() if runner is not None else []
        active = [run for run in runs if not run.progress.is_over]
        if active:
            self.run = active[0]
            await self.look()

    async def start(self, **settings: Any) -> Run:
        """Start a run with the panel's settings, of which any may be given for this run.

        Parameters
        ----------
        **settings
            Any field of `TrainingConfig`.

        Raises
        ------
        TrainingError
            If a run goes on already, or training would fail; says why and what to do.
        """
        if self.busy or self.is_active:
            raise TrainingError("a training run goes on already: wait for it, stop or cancel it")
        self.busy, self.error = True, ""
        try:
            config = self.config(**settings)
            runner = await self._runner(config.dataset)
            if runner is None:
                raise TrainingError(f"there is no dataset {config.dataset!r}: create one first")
            self.run, self.trained_model = await runner.start(config), ""
            self.progress = self.run.progress
        except WorkbenchError as error:
            self.error = str(error)
            raise
        finally:
            self.busy = False
        return self.run

    def config(self, **settings: Any) -> TrainingConfig:
        """Return the settings of the next run.

        Raises
        ------
        InvalidConfigError
            If one cannot be, or has an unknown name.
        """
        mine = {name: getattr(self, name) for name in _SETTINGS if self.has_trait(name)}
        return TrainingConfig.from_json(mine | settings)

    async def stop(self) -> None:
        """Let the run stop after the batch it is at, and keep its best weights."""
        if self.run is not None:
            await self.run.stop()
            await self.look()

    async def cancel(self) -> None:
        """Kill the run."""
        if self.run is not None:
            await self.run.cancel()
            await self.look()

    async def look(self) -> bool:
        """Bring the traits up to date with the run; return whether it is over."""
        run = self.run
        if run is None:
            return True
        try:
            await run.refresh()
        except WorkbenchError as error:  # the run is over, but its weights could not be kept
            self.error = str(error)
        progress = await asyncio.to_thread(lambda: run.progress)
        if run is self.run:  # else another was started in the meantime
            self.trained_model = run.model_name or ""
            if progress != self.progress:
                self.progress = progress
        return progress.is_over

    async def follow(self) -> None:
        """Keep the traits up to date until the run is over."""
        over = await self.look()
        while not over:
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
            over = await self.look()
        await self._list_models()

    async def wait(self) -> RunProgress:
        """Wait until the run is over; see `Run.wait`.

        Raises
        ------
        TrainingError
            If it failed, or none was started.
        """
        if self.run is None:
            raise TrainingError("no training run was started: call start() first")
        await self.follow()
        return await self.run.wait()

    async def _list_models(self) -> None:
        stored = [info.name for info in await self.stores.model.list()]
        self.base_models = [*BASE_MODELS, *stored]

    async def _runner(self, dataset: str = "") -> TrainingRunner | None:
        if self._runs_dir is None:
            # The stores keep to themselves where they are; a dataset knows where it lies.
            names = [dataset] if dataset else self.datasets
            if not names:
                return None
            info = await self.stores.dataset.get(names[0])
            self._runs_dir = info.path.parent.parent / "runs"
        return TrainingRunner(self.stores, self._runs_dir)
