"""Starts training runs in processes of their own, and finds them again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import overload

import workbench
from workbench.datasets.grouping import GroupBy
from workbench.errors import TrainingError, WorkbenchError
from workbench.persistence import DatasetStore, ImageStore, LabelStore, ModelStore, Stores
from workbench.persistence.disk_errors import speaks_plainly
from workbench.persistence.models import Progress, no_progress
from workbench.persistence.run_folder import RunFolder
from workbench.persistence.run_queue import RunQueue
from workbench.persistence.stores.runs import RunStore
from workbench.persistence.sweep_folder import SweepFolder
from workbench.training.base_models import fetch_weights
from workbench.training.checks import ERROR, Problem, check_run, check_settings
from workbench.training.config import LOCAL, BaseModel, TrainingConfig, TrainingJob
from workbench.training.data_versions import version_of
from workbench.training.events import Queued
from workbench.training.places import place_at
from workbench.training.queueing import enqueue, make_room, start_due
from workbench.training.run import Run
from workbench.training.sweeps.halving import Halving
from workbench.training.sweeps.space import Space
from workbench.training.sweeps.starting import start_cross_validation, start_sweep
from workbench.training.sweeps.sweep import Sweep

_log = logging.getLogger(__name__)


@speaks_plainly
class TrainingRunner:
    """Starts training runs and finds them again, also those of an earlier kernel.

    Parameters
    ----------
    dataset_store : DatasetStore
    model_store : ModelStore
    image_store : ImageStore
    label_store : LabelStore
        Images and labels are looked at before a run starts.
    runs_dir : Path, str or RunStore
        Folder that holds one folder for each run; made when the first run starts. Or the address
        of a bucket, where the record of each run is kept: ``s3://bucket/runs``.

    Notes
    -----
    ``TrainingRunner(stores, runs_dir)`` takes them as one bundle.
    """

    @overload
    def __init__(self, stores: Stores, runs_dir: Path | str | RunStore, /) -> None: ...
    @overload
    def __init__(
        self,
        dataset_store: DatasetStore,
        model_store: ModelStore,
        *,
        image_store: ImageStore,
        label_store: LabelStore,
        runs_dir: Path | str | RunStore,
    ) -> None: ...
    def __init__(
        self,
        dataset_store: DatasetStore | Stores,
        model_store: ModelStore | Path | str | RunStore,
        *,
        image_store: ImageStore | None = None,
        label_store: LabelStore | None = None,
        runs_dir: Path | str | RunStore | None = None,
    ) -> None:
        match dataset_store, model_store, image_store, label_store, runs_dir:
            case Stores() as stores, Path() | str() | RunStore() as runs, None, None, None:
                self._stores = stores
            case (
                DatasetStore(),
                ModelStore(),
                ImageStore(),
                LabelStore(),
                Path() | str() | RunStore() as runs,
            ):
                self._stores = Stores(dataset_store, image_store, label_store, model_store)
            case _:
                raise TypeError(
                    "TrainingRunner: expected (stores, runs_dir), or (dataset_store, model_store, "
                    "image_store=, label_store=, runs_dir=)"
                )
        self._runs = runs if isinstance(runs, RunStore) else RunStore.at(runs)
        self._runs_dir = self._runs.folder

    @property
    def runs(self) -> RunStore:
        """Where the record of the runs is kept."""
        return self._runs

    @property
    def runs_dir(self) -> Path:
        """The folder in which the runs of this machine work."""
        return self._runs_dir

    async def check(
        self,
        config: TrainingConfig,
        *,
        where: str = LOCAL,
        progress: Progress = no_progress,
    ) -> list[Problem]:
        """Return what speaks against a run, errors first; nothing is started.

        Looks at the settings, the dataset (also at its images: the first time each is
        read), the device, free memory and free disk.

        Parameters
        ----------
        config : TrainingConfig
        where : str
            As for `start`.
        progress : callable, optional
            Told the number of images examined, and to examine; raise from it to cancel.

        Raises
        ------
        InvalidConfigError
            If a setting cannot be.
        NotFoundError
            If there is no such dataset.
        """
        place = place_at(where)
        base = await check_settings(self._stores, config)
        return await check_run(self._stores, config, base, self._runs_dir, progress, place=place)

    async def start(
        self,
        config: TrainingConfig,
        *,
        where: str = LOCAL,
        progress: Progress = no_progress,
    ) -> Run:
        """Start a training run, or let it wait until its device is free.

        1. Settings, dataset and machine are checked, and the starting point is found.
        2. A run folder is made, with a frozen view of the dataset.
        3. The job is written into it, and the run put at the end of the queue.
        4. If its device is free, a process is started that outlives this one. A run for
           teaching that occupies it is asked to end. Until it is free the run stays
           ``"waiting"``: whoever is alive starts it in its turn, also the process of the run
           before it.

        Parameters
        ----------
        config : TrainingConfig
        where : str
            ``"local"``: a process of this machine. ``"http://head:8265"`` or
            ``"ray://head:10001"``: a Ray cluster, which sees to it by itself who is next.
            ``"ray"``: the one that the environment variable ``RAY_ADDRESS`` names.
        progress : callable, optional
            As for `check`.

        Raises
        ------
        InvalidConfigError
            If a setting cannot be.
        NotFoundError
            If there is no such dataset.
        TrainingError
            If training would fail or be pointless; says why and what to do.
        """
        place = place_at(where)
        await asyncio.to_thread(place.name_as_own)
        base = await check_settings(self._stores, config)
        runs_dir = self._runs_dir
        problems = await check_run(self._stores, config, base, runs_dir, progress, place=place)
        errors = [str(problem) for problem in problems if problem.severity == ERROR]
        if errors:
            raise TrainingError(
                f"dataset {config.dataset!r} cannot be trained on like this: {'; '.join(errors)}"
            )
        if base.fetch:
            await asyncio.to_thread(fetch_weights, Path(base.source))
        folder = await asyncio.to_thread(self._runs.create, RunFolder, config.dataset)
        try:
            warnings = [str(problem) for problem in problems]
            await self._write_job(folder, config, base, warnings, place.address)
        except BaseException:
            self._runs.remove(folder)
            raise
        await asyncio.to_thread(enqueue, folder, Queued(time=time.time()))
        if not config.teaching:
            await asyncio.to_thread(make_room, self._runs_dir, place.devices(config))
        await asyncio.to_thread(start_due, self._runs_dir)
        run = self._run(folder)
        await run.keep()
        return run

    async def sweep(
        self,
        config: TrainingConfig,
        space: Space,
        *,
        trials: int | None = None,
        halving: Halving | None = None,
        at_once: int = 1,
        metric: str = "map50_95",
        seed: int = 0,
        where: str = LOCAL,
        progress: Progress = no_progress,
    ) -> Sweep:
        """Start many runs that differ in some settings, and keep the best of them.

        A process of its own starts one trial after the other; each is an ordinary run. All
        train on one frozen state of the dataset. At the end the best one's weights go to the
        model store, and those alone.

        Parameters
        ----------
        config : TrainingConfig
            What all trials have in common.
        space : mapping of str to list or Between
            What is tried, by the name of a setting of `TrainingConfig`, or of any other argument
            of Ultralytics' ``train``: ``{"image_size": [320, 640], "lr0": Between(1e-4, 0.1,
            log=True), "optimizer": ["AdamW"]}``. Without an optimizer Ultralytics chooses the
            learning rate and momentum itself, so that values of these are refused.
        trials : int, optional
            So many are drawn at random. Default: the whole grid of the listed values.
        halving : Halving, optional
            Ends trials early that are behind. Default: all train to their end.
        at_once : int
            Trials that are under way at a time. On this machine they take turns on the device in
            any case; a cluster trains as many at a time as it has room for.
        metric : str
            By which they are compared: ``"map50_95"`` or ``"map50"``, on val.
        seed : int
            Of the drawing.
        where : str
            As for `start`.
        progress : callable, optional
            As for `check`.

        Raises
        ------
        InvalidConfigError
            If a setting cannot be, or the space is empty or too large.
        NotFoundError
            If there is no such dataset.
        TrainingError
            If training would fail or be pointless; says why and what to do.
        """
        return await start_sweep(
            self._stores, self._runs, config, space, trials=trials, halving=halving,
            at_once=at_once, metric=metric, seed=seed, where=where, progress=progress,
        )  # fmt: skip

    async def cross_validate(
        self,
        config: TrainingConfig,
        *,
        folds: int = 5,
        group_by: GroupBy = "name",
        at_once: int = 1,
        seed: int = 0,
        where: str = LOCAL,
        progress: Progress = no_progress,
    ) -> Sweep:
        """Train once for each fold of the data, measured by that fold, trained on the others.

        Train and val together are dealt into folds; test stays out. How far the values of the
        folds differ says how much one value can be trusted: `SweepProgress.spread`. None of the
        models goes to the store.

        Parameters
        ----------
        config : TrainingConfig
        folds : int
        group_by : callable, mapping, "name", "burst", "looks" or None
            Which images belong together and so into one fold, see
            `workbench.datasets.grouping.group_index`; by default frames of one video.
        at_once, seed, where, progress
            As for `sweep`.

        Raises
        ------
        InvalidConfigError, NotFoundError, TrainingError
            As `sweep` does, and where there are fewer groups than folds.
        """
        return await start_cross_validation(
            self._stores, self._runs, config, folds=folds, group_by=group_by,
            at_once=at_once, seed=seed, where=where, progress=progress,
        )  # fmt: skip

    async def list_sweeps(self) -> list[Sweep]:
        """Return all sweeps, newest first, and see that those go on that are not over.

        One that came from elsewhere waits until somebody here resumes it.

        A folder that cannot be read as a sweep is left out and logged.
        """
        sweeps = []
        for folder in reversed(await asyncio.to_thread(self._runs.find_all, SweepFolder)):
            try:
                sweep = Sweep(folder, self._stores.model, self._runs)
                await sweep.refresh()
            except (WorkbenchError, ValueError, TypeError) as error:
                _log.warning("sweep %s is left out: %s", folder.path, error)
                continue
            sweeps.append(sweep)
        return sweeps

    async def list_runs(self) -> list[Run]:
        """Return all runs, newest first, and settle those that ended while nobody looked.

        Runs whose turn has come are started, if somebody on this machine has put them into
        the queue: one that came from elsewhere waits until it is resumed. A folder that cannot
        be read as a run is left out and logged. Of a run whose weights cannot be put into the
        model store, the reason is logged; `Run.settle` raises it.
        """
        runs = []
        for folder in reversed(await asyncio.to_thread(self._runs.find_all, RunFolder)):
            try:
                run = self._run(folder)
            except (WorkbenchError, ValueError, TypeError) as error:
                _log.warning("training run %s is left out: %s", folder.path, error)
                continue
            runs.append(run)
            try:
                await run.settle()
            except WorkbenchError as error:
                _log.warning("training run %s: %s", folder.path, error)
        try:
            await asyncio.to_thread(start_due, self._runs_dir)
        except WorkbenchError as error:
            _log.warning("no waiting run is started: %s", error)
        return runs

    async def list_waiting(self) -> list[Run]:
        """Return the runs that wait for their turn, the next one first."""
        folders = await asyncio.to_thread(RunQueue(self._runs_dir).waiting)
        return [self._run(folder) for folder in folders]

    async def reorder(self, run_ids: Sequence[str]) -> None:
        """Put the waiting runs into this order.

        Parameters
        ----------
        run_ids : sequence of str
            Those that wait no longer are passed over; waiting runs that are not named come
            after these, in the order that they had.
        """

        def work() -> None:
            queue = RunQueue(self._runs_dir)
            with queue.lock():
                queue.reorder(run_ids)

        await asyncio.to_thread(work)

    async def start_due(self) -> list[str]:
        """Start the waiting runs whose devices are free; return their ids.

        Nobody needs to call this: it happens when a run ends, and whenever runs are listed
        or followed. It is for a process that wants to see to it by itself.
        """
        return await asyncio.to_thread(start_due, self._runs_dir)

    async def get(self, run_id: str) -> Run:
        """Return one run.

        Raises
        ------
        NotFoundError
            If there is none of this id.
        """
        run = self._run(await asyncio.to_thread(self._runs.open, RunFolder, run_id))
        await run.settle()
        return run

    def _run(self, folder: RunFolder) -> Run:
        return Run(folder, self._stores.model, self._runs, self._stores.dataset)

    async def _write_job(
        self,
        folder: RunFolder,
        config: TrainingConfig,
        base: BaseModel,
        warnings: list[str],
        where: str,
    ) -> None:
        info = await self._stores.dataset.get(config.dataset)
        snapshot = await self._stores.dataset.snapshot(
            config.dataset,
            folder.data_dir,
            version=config.version or None,
            labelled_only=not config.unlabelled_as_background,
        )
        version = await version_of(self._stores, config)
        if version is not None and version.automatic:  # else it would go after a while
            version = await self._stores.dataset.keep_version(config.dataset, version.name)
        job = TrainingJob(
            run_id=folder.id,
            config=config,
            base_model=base,
            class_names=info.classes if version is None else version.classes,
            data_yaml=str(snapshot.data_yaml.relative_to(folder.path)),
            digest=snapshot.digest,
            num_images=snapshot.num_images,
            num_labelled=snapshot.num_labelled,
            warnings=warnings,
            created_at=datetime.now().astimezone().isoformat(timespec="seconds"),
            version=workbench.__version__,
            dataset_version="" if version is None else version.name,
            version_digest="" if version is None else version.digest,
            where=where,
        )
        await asyncio.to_thread(folder.write_job, job.to_json())
