"""Which frozen version of a dataset a run trains on."""

from __future__ import annotations

from workbench.errors import TrainingError
from workbench.persistence import Stores
from workbench.persistence.frozen_view import frozen_view
from workbench.persistence.version_models import VersionInfo
from workbench.training.config import TrainingConfig


async def version_of(stores: Stores, config: TrainingConfig) -> VersionInfo | None:
    """Return the version that a run trains on.

    The one that its settings name; else the newest that is what the dataset is now, or None
    if none is.

    Raises
    ------
    TrainingError
        If the settings name one that does not exist.
    """
    if config.version:
        return await require_version(stores, config.dataset, config.version)
    for version in reversed(await stores.dataset.list_versions(config.dataset)):
        if await _is_present(stores, config.dataset, version):
            return version
    return None


async def require_version(stores: Stores, dataset: str, name: str) -> VersionInfo:
    """Return a version; TrainingError, which names those that there are, if it is missing."""
    versions = {version.name: version for version in await stores.dataset.list_versions(dataset)}
    if name not in versions:
        raise TrainingError(
            f"dataset {dataset!r} has no version {name!r}: there are "
            f"{', '.join(versions) or 'none, freeze one first'}"
        )
    return versions[name]


async def data_of(stores: Stores, config: TrainingConfig) -> Stores:
    """Return stores in which the dataset is what a run with these settings trains on.

    Those given, unless a version is wanted that is not what the dataset is now; see
    `frozen_view`.

    Raises
    ------
    TrainingError
        If the settings name a version that does not exist.
    """
    if not config.version:
        return stores
    version = await require_version(stores, config.dataset, config.version)
    if await _is_present(stores, config.dataset, version):
        return stores  # where much about the images is known already
    return await frozen_view(stores, config.dataset, version.name)


async def _is_present(stores: Stores, dataset: str, version: VersionInfo) -> bool:
    info = await stores.dataset.get(dataset)
    # Counts first: looking into the images costs more.
    if (version.classes, version.num_images) != (info.classes, info.num_images):
        return False
    return not await stores.dataset.compare_versions(dataset, version.name, None)
