"""What a dataset that is brought in is called."""

from __future__ import annotations

from pathlib import Path

from workbench.errors import AlreadyExistsError
from workbench.persistence import DataStores


def default_name(place: Path) -> str:
    """Return the name of a folder, or of an archive without ``.zip``."""
    return place.stem if place.suffix.lower() == ".zip" else place.name


async def require_free(stores: DataStores, name: str) -> None:
    """Make sure that a name is free, before something is read for minutes.

    Raises
    ------
    AlreadyExistsError
        If there is a dataset of this name.
    """
    if await stores.dataset.exists(name):
        raise AlreadyExistsError(f"dataset {name!r} exists already; choose another name")
