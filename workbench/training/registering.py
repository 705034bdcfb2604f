"""The way of a run's best weights into the model store."""

from __future__ import annotations

from workbench.errors import AlreadyExistsError, TrainingError
from workbench.persistence import ModelStore
from workbench.persistence.models import ModelInfo
from workbench.persistence.run_folder import RunFolder, numbered
from workbench.training.config import TrainingJob
from workbench.training.progress import RunProgress


async def register(
    folder: RunFolder, job: TrainingJob, progress: RunProgress, models: ModelStore
) -> ModelInfo:
    """Put the best weights of a run that is over into the store, and make them active.

    To call under the run's lock. A model that this attempt of the run has left there
    already, because somebody died before noting it, is taken as it is.

    Raises
    ------
    TrainingError
        If the run has lost its weights.
    """
    for info in await models.list():
        made_in = info.details.get("run_id"), info.details.get("run_attempt", progress.attempt)
        if made_in == (folder.id, progress.attempt):
            await models.set_active(info.name)
            return info
    weights = folder.weights()
    if weights is None:
        raise TrainingError(
            f"{folder.weights_dir}: expected best.pt, the weights of a run that has "
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
    }
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
        await models.set_active(name)
        return await models.get(name)
    raise AssertionError("names cannot run out")
