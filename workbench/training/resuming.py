"""What it takes to let a run go on where it stood."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from workbench.errors import InvalidConfigError, InvalidModelError, NotFoundError, TrainingError
from workbench.persistence import DatasetStore
from workbench.persistence.run_folder import RunFolder
from workbench.training.arguments import resumed_arguments
from workbench.training.config import TrainingConfig, TrainingJob
from workbench.training.progress import FINISHED, RESUMABLE, STOPPED, WAITING, RunProgress
from workbench.training.weights_check import load_rewritten, rewritten_weights, save_clean
from workbench.weights.rewriting import Rewritten

_log = logging.getLogger(__name__)

CHANGEABLE = ("batch", "cache", "device", "image_size", "patience", "workers")
"""Settings that Ultralytics takes anew when it resumes; all others stay as they were."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A file from which training can go on.

    Parameters
    ----------
    path : Path
    epochs_done : int
    is_best : bool
        Whether its weights are the best so far.
    weights : Rewritten
        What is in the file, written again.
    """

    path: Path
    epochs_done: int
    is_best: bool
    weights: Rewritten


def is_resumable(progress: RunProgress, epochs: int) -> bool:
    """Whether a run of so many epochs is over, but not finished.

    One that has learned all epochs and was lost before it could say so has still to be
    finished.
    """
    complete = progress.state == STOPPED and progress.epochs_completed >= epochs
    return progress.state in RESUMABLE and not complete


def waits_for_somebody(folder: RunFolder, progress: RunProgress) -> bool:
    """Whether a run waits for its turn, but not here: its folder came from elsewhere."""
    return progress.state == WAITING and not folder.is_own()


def changed_job(
    folder: RunFolder, progress: RunProgress, changes: Mapping[str, Any]
) -> TrainingJob:
    """Return the job of a run that shall be resumed, with changed settings.

    Raises
    ------
    TrainingError
        If the run cannot be resumed.
    InvalidConfigError
        If a setting cannot be, or cannot be changed.
    """
    job = TrainingJob.from_json(folder.read_job())
    if progress.state in RESUMABLE | {FINISHED} and not is_resumable(progress, job.config.epochs):
        raise TrainingError(
            f"training run {folder.id} has finished, there is nothing to resume: to train "
            "further, start a run from its model"
        )
    if progress.state not in RESUMABLE and not waits_for_somebody(folder, progress):
        raise TrainingError(f"training run {folder.id} is {progress.state}: pause or stop it first")
    for name in changes:
        if name not in CHANGEABLE:
            raise InvalidConfigError(
                f"{name}: expected a setting that may change when a run is resumed "
                f"({', '.join(CHANGEABLE)}); start a new run for another {name}"
            )
    config = TrainingConfig.from_json({**job.config.to_json(), **changes})
    return replace(job, config=config)


async def require_data(datasets: DatasetStore | None, folder: RunFolder, job: TrainingJob) -> None:
    """Make sure that the data are there that a run trains on.

    Those that are gone, or that the machine where the run was at home has kept to itself, are
    frozen again: from the version of the dataset, or from the dataset if it is still the same.

    Raises
    ------
    TrainingError
        If they cannot be had any more.
    """
    if await asyncio.to_thread((folder.path / job.data_yaml).is_file):
        return
    gone = TrainingError(
        f"{folder.data_dir}: the data that run {folder.id} trains on are gone, and dataset "
        f"{job.config.dataset!r} is not what it was; start a new run"
    )
    if datasets is None:
        raise gone
    if await asyncio.to_thread(folder.data_dir.exists):
        await asyncio.to_thread(shutil.rmtree, folder.data_dir)
    try:
        found = await datasets.snapshot(
            job.config.dataset,
            folder.data_dir,
            version=job.dataset_version or None,
            labelled_only=not job.config.unlabelled_as_background,
        )
    except NotFoundError as error:
        raise gone from error
    if found.digest != job.digest:
        await asyncio.to_thread(shutil.rmtree, folder.data_dir)
        raise gone


def find_checkpoint(folder: RunFolder) -> Checkpoint | None:
    """Return the newest checkpoint that is whole and holds the optimizer; None if none does.

    A run's folder may come from anywhere: what is in it is read as any weights are.
    """
    for path in folder.weights.checkpoints():
        try:
            weights = rewritten_weights(path)
        except InvalidModelError as error:
            _log.warning("training does not go on from %s: %s", path, error)
            continue  # written by something else: the next one
        facts = weights.facts
        # After the end of a training, Ultralytics strips its own last.pt of all but the model.
        if not facts["resumable"]:
            continue
        fitness = facts["metrics"].get("fitness")
        is_best = fitness is not None and fitness == facts["best_fitness"]
        return Checkpoint(path, int(facts["epoch"]) + 1, is_best, weights)
    return None


def put_back(folder: RunFolder, job: TrainingJob, checkpoint: Checkpoint) -> Path:
    """Make Ultralytics' own weights whole again; return the checkpoint to resume from.

    Both are written anew, and what the checkpoint says of settings gives way to the job:
    it may name files, or more to fetch.
    """
    found = load_rewritten(checkpoint.weights).get("train_args")
    arguments = resumed_arguments(job, folder, dict(found) if isinstance(found, dict) else {})
    own = folder.weights.own / "last.pt"
    save_clean(checkpoint.weights, own, {"train_args": arguments})
    if checkpoint.is_best:
        folder.weights.keep(own, "best.pt")
    _put_best_back(folder)
    return own


def _put_best_back(folder: RunFolder) -> None:
    target = folder.weights.own / "best.pt"
    kept = folder.weights.find("best.pt")
    for path in filter(None, (kept, target if target.is_file() else None)):
        try:
            save_clean(rewritten_weights(path), target)
        except InvalidModelError as error:
            _log.warning("the best weights so far are not %s: %s", path, error)
        else:
            return
    if target.is_file():  # Ultralytics would load it at the end, whatever is in it
        target.replace(target.with_name("best.pt.refused"))


def finish(folder: RunFolder) -> dict[str, float]:
    """Do what a training does after its last epoch, for one that was lost right before that.

    The weights in the run's ``weights`` folder lose their optimizer.

    Returns
    -------
    dict of str to float
        What the best epoch measured, under Ultralytics' names.
    """
    tasks: Any = import_module("ultralytics.nn.tasks")
    tools: Any = import_module("ultralytics.utils.torch_utils")
    own = folder.weights.own / "best.pt"
    content, _ = tasks.torch_safe_load(str(own))
    measured = dict(content.get("train_metrics") or {})
    tools.strip_optimizer(own)
    folder.weights.keep(own, "best.pt")
    folder.weights.drop("last.pt")
    return {name: float(value) for name, value in measured.items()}
