"""Which frozen version of a dataset a run trains on."""

from __future__ import annotations

from workbench.errors import TrainingError
from workbench.persistence import Stores
from workbench.persistence.version_models import VersionInfo


async def find_version(stores: Stores, dataset: str, wanted: str = "") -> VersionInfo | None:
    """Return the newest frozen version that is what the dataset is now, or None.

    Parameters
    ----------
    wanted : str
        If given, only this one is looked at.

    Raises
    ------
    TrainingError
        If the wanted version does not exist, or the dataset was changed since.
    """
    versions = list(reversed(await stores.dataset.list_versions(dataset)))
    if wanted:
        versions = [version for version in versions if version.name == wanted]
        if not versions:
            names = [version.name for version in await stores.dataset.list_versions(dataset)]
            raise TrainingError(
                f"dataset {dataset!r} has no version {wanted!r}: there are "
                f"{', '.join(names) or 'none, freeze one first'}"
            )
    info = await stores.dataset.get(dataset)
    for version in versions:
        # Counts first: looking into the images costs more.
        same = (version.classes, version.num_images) == (info.classes, info.num_images)
        if same and not await stores.dataset.compare_versions(dataset, version.name, None):
            return version
    if wanted:
        raise TrainingError(
            f"dataset {dataset!r} was changed since version {wanted!r} was frozen: restore that "
            "version, or train on the dataset as it is now"
        )
    return None
