"""What a dataset that is brought in is called."""

from __future__ import annotations

import re
from pathlib import Path

from workbench.datasets.formats.file_names import POINTABLE, VIDEOS
from workbench.datasets.formats.tar import archive_extension
from workbench.errors import AlreadyExistsError, ImportFormatError
from workbench.persistence import DataStores

# What files are called whatever they are about.
_GENERAL = re.compile(
    r"_*(?:data(?:set)?|annotations?|labels?|results?|export|instances.*|_annotations.*)(?:\..*)?",
    re.IGNORECASE,
)


_ADDRESS = re.compile(r"(?:https?|ftp|s3|gs|az|hf|roboflow)://?", re.IGNORECASE)


def absolute(path: Path | str) -> Path:
    """Return a path that stays the same when the working folder changes.

    Raises
    ------
    ImportFormatError
        If it is an address on the network.
    """
    if _ADDRESS.match(str(path)):
        raise ImportFormatError(
            f"{path}: expected a folder or a file on this machine, found an address; Workbench "
            f"fetches nothing from the network by itself, so download it and import that"
        )
    return Path(path).expanduser().absolute()


def default_name(place: Path) -> str:
    """Return the name of a folder, or of a file without its extension."""
    ending = archive_extension(place.name)
    if ending:
        return place.name[: -len(ending)]
    if place.suffix.lower() in VIDEOS and place.is_file():
        return place.stem
    if place.suffix.lower() not in POINTABLE:
        return place.name
    return place.parent.name if _GENERAL.fullmatch(place.stem) else place.stem


async def require_free(stores: DataStores, name: str) -> None:
    """Make sure that a name is free, before something is read for minutes.

    Raises
    ------
    AlreadyExistsError
        If there is a dataset of this name.
    """
    if await stores.dataset.exists(name):
        raise AlreadyExistsError(f"dataset {name!r} exists already; choose another name")
