"""Starts training runs in processes of their own, and finds them again."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import workbench
from workbench.errors import InvalidConfigError, TrainingError, WorkbenchError
from workbench.persistence import Stores
from workbench.persistence.run_folder import RunFolder
from workbench.training.arguments import check_arguments
from workbench.training.base_models import fetch_weights, resolve_base_model
from workbench.training.checks import check_dataset
from workbench.training.config import BaseModel, TrainingConfig, TrainingJob
from workbench.training.environment import worker_environment
from workbench.training.run import Run

_log = logging.getLogger(__name__)
# Kept until they end, so that none is left a zombie and none is complained about when a
# `Run` is thrown away while its process goes on.
_children: dict[int, subprocess.Popen[bytes]] = {}


class TrainingRunner:
    """Starts training runs and finds them again, also those of an earlier kernel.

    Parameters
    ----------
    stores : Stores
    runs_dir : Path or str
        Folder that holds one folder for each run; made when the first run starts.
    """

    def __init__(self, stores: Stores, runs_dir: Path | str) -> None:
        self._stores = stores
        self._runs_dir = Path(runs_dir).expanduser().resolve()

    @property
    def runs_dir(self) -> Path:
        """The folder that holds the runs."""
        return self._runs_dir

    async def start(self, config: TrainingConfig) -> Run:
        """Start a training run and return as soon as its process is there.

        1. Settings and dataset are checked, and the starting point is found.
        2. A run folder is made, with a frozen view of the dataset.
        3. The job is written into it, and a process started that outlives this one.

        Raises
        ------
        InvalidConfigError
            If a setting cannot be.
        NotFoundError
            If there is no such dataset.
        TrainingError
            If training would fail or be pointless; says why and what to do.
        """
        check_arguments(config.extra)
        if config.model_name and await self._stores.model.exists(config.model_name):
            raise InvalidConfigError(
                f"model_name: there is a model called {config.model_name!r} already; "
                "choose another name, or leave it empty for one that is free"
            )
        warnings = await check_dataset(
            self._stores, config.dataset, config.unlabelled_as_background
        )
        base = await resolve_base_model(
            config.base_model, self._stores.model, allow_download=config.allow_download
        )
        if base.fetch:
            await asyncio.to_thread(fetch_weights, Path(base.source))
        folder = await asyncio.to_thread(RunFolder.create, self._runs_dir, config.dataset)
        try:
            await self._write_job(folder, config, base, warnings)
        except BaseException:
            folder.remove()
            raise
        return await self._launch(folder)

    async def list_runs(self) -> list[Run]:
        """Return all runs, newest first, and settle those that ended while nobody looked.

        A folder that cannot be read as a run is left out and logged. Of a run whose weights
        cannot be put into the model store, the reason is logged; `Run.settle` raises it.
        """
        runs = []
        for folder in reversed(await asyncio.to_thread(RunFolder.find_all, self._runs_dir)):
            try:
                run = self._attach(folder)
            except (WorkbenchError, ValueError, TypeError) as error:
                _log.warning("training run %s is left out: %s", folder.path, error)
                continue
            runs.append(run)
            try:
                await run.settle()
            except WorkbenchError as error:
                _log.warning("training run %s: %s", folder.path, error)
        return runs

    async def get(self, run_id: str) -> Run:
        """Return one run.

        Raises
        ------
        NotFoundError
            If there is none of this id.
        """
        run = self._attach(RunFolder(self._runs_dir / run_id))
        await run.settle()
        return run

    async def _write_job(
        self, folder: RunFolder, config: TrainingConfig, base: BaseModel, warnings: list[str]
    ) -> None:
        info = await self._stores.dataset.get(config.dataset)
        snapshot = await self._stores.dataset.snapshot(
            config.dataset,
            folder.data_dir,
            labelled_only=not config.unlabelled_as_background,
        )
        job = TrainingJob(
            run_id=folder.id,
            config=config,
            base_model=base,
            class_names=info.classes,
            data_yaml=str(snapshot.data_yaml.relative_to(folder.path)),
            digest=snapshot.digest,
            num_images=snapshot.num_images,
            num_labelled=snapshot.num_labelled,
            warnings=warnings,
            created_at=datetime.now().astimezone().isoformat(timespec="seconds"),
            version=workbench.__version__,
        )
        await asyncio.to_thread(folder.write_job, job.to_json())

    async def _launch(self, folder: RunFolder) -> Run:
        child = _spawn(folder)
        run = Run(folder, self._stores.model, child)
        while child.poll() is None:
            record = folder.read_process()
            if record is not None and record.pid == child.pid:
                break
            await asyncio.sleep(0.05)
        return run

    def _attach(self, folder: RunFolder) -> Run:
        record = folder.read_process()
        child = _children.get(record.pid) if record is not None else None
        return Run(folder, self._stores.model, child)


def _spawn(folder: RunFolder) -> subprocess.Popen[bytes]:
    for pid in [pid for pid, child in _children.items() if child.poll() is not None]:
        del _children[pid]
    environment = worker_environment(folder.settings_dir) | _python_path()
    # A session of its own: Ctrl-C in the terminal of the server, or the end of the kernel,
    # must not reach it.
    options: dict[str, Any] = (
        {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
        if os.name == "nt"
        else {"start_new_session": True}
    )
    log = folder.open_log()
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", "workbench.training.worker", str(folder.path)],
            cwd=folder.path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            **options,
        )
    except OSError as error:
        raise TrainingError(f"the training process could not be started: {error}") from error
    finally:
        os.close(log)
    _children[child.pid] = child
    return child


def _python_path() -> dict[str, str]:
    """Let the process find this package also where it runs from a folder of sources."""
    home = str(Path(workbench.__file__).resolve().parents[1])
    if Path(home).name in {"site-packages", "dist-packages"}:
        return {}
    inherited = os.environ.get("PYTHONPATH", "")
    return {"PYTHONPATH": os.pathsep.join(filter(None, (home, inherited)))}
