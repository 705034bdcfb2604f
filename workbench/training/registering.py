"""The way of a run's best weights into the model store."""

from __future__ import annotations

import asyncio
import math

from workbench.errors import AlreadyExistsError, TrainingError
from workbench.persistence import ModelStore
from workbench.persistence.models import ModelInfo
from workbench.persistence.run_folder import RunFolder, numbered
from workbench.training.config import TrainingJob
from workbench.training.curves import METRICS
from workbench.training.progress import RunProgress

CURVES = "curves"
"""The detail of a model that holds its metrics on val by epoch, which outlive the run's folder."""
_DIGITS = 5


async def register_once(
    folder: RunFolder, job: TrainingJob, progress: RunProgress, models: ModelStore
) -> ModelInfo | None:
    """Register the run of a folder, unless this attempt of it already was.

    Returns
    -------
    ModelInfo or None
        The model if this call put it into the store.

    Raises
    ------
    TrainingError
        If the run has lost its weights.
    """
    if _is_registered(folder, progress):
        return None
    async with folder.lock():
        if _is_registered(folder, progress):
            return None
        model = await register(folder, job, progress, models)
        await asyncio.to_thread(folder.write_registered, model.name, progress.attempt)
        return model


def _is_registered(folder: RunFolder, progress: RunProgress) -> bool:
    registered = folder.read_registered()
    return registered is not None and registered[1] >= progress.attempt


async def register(
    folder: RunFolder, job: TrainingJob, progress: RunProgress, models: ModelStore
) -> ModelInfo:
    """Put the best weights of a run that is over into the store, and make them active.

    Those of a run for teaching do not become active: nobody has asked for them to be used for
    anything else. To call under the run's lock. A model that this attempt of the run has left there
    already, because somebody died before noting it, is taken as it is.

    Raises
    ------
    TrainingError
        If the run has lost its weights.
    """
    for info in await models.list():
        made_in = info.details.get("run_id"), info.details.get("run_attempt", progress.attempt)
        if made_in == (folder.id, progress.attempt):
            await _activate(job, info.name, models)
            return info
    weights = folder.weights.find("best.pt")
    if weights is None:
        raise TrainingError(
            f"{folder.weights.folder}: expected best.pt, the weights of a run that has "
            f"finished; found none. Look at {folder.log_path}"
        )
    details = {
        "run_id": folder.id,
        "run_attempt": progress.attempt,
        "run_folder": str(folder.path),
        "config": job.config.to_json(),
        "dataset_digest": job.digest,
        "dataset_version": job.dataset_version,
        "version_digest": job.version_digest,
        "num_images": job.num_images,
        "epochs_planned": job.config.epochs,
        "state": progress.state,
        CURVES: curves_by_epoch(progress),
    }
    if job.sweep:
        details["sweep"] = job.sweep
    for name in numbered(job.model_name):
        try:
            await models.save(
                name,
                weights,
                job.base_model.label,
                job.config.dataset,
                progress.epochs_completed,
                progress.metrics,
                class_names=job.class_names,
                details=details,
            )
        except AlreadyExistsError:  # taken since the run was started
            continue
        await _activate(job, name, models)
        return await models.get(name)
    raise AssertionError("names cannot run out")


async def _activate(job: TrainingJob, name: str, models: ModelStore) -> None:
    if not job.config.teaching:
        await models.set_active(name)


def curves_by_epoch(progress: RunProgress) -> dict[str, list[float | None]]:
    """Return the metrics on val by epoch, as JSON has them.

    Returns
    -------
    dict of str to list
        ``precision``, ``recall``, ``map50``, ``map50_95`` (0..1) for each epoch there was;
        None where one is not known. Empty without an epoch.
    """
    known = [name for name in METRICS if any(name in epoch.metrics for epoch in progress.history)]
    return {name: [_short(epoch.metrics.get(name)) for epoch in progress.history] for name in known}


def _short(value: float | None) -> float | None:
    # JSON has no NaN and no infinity.
    return None if value is None or not math.isfinite(value) else round(value, _DIGITS)
