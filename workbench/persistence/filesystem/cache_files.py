"""Data that were derived from a dataset and can be derived again."""

from __future__ import annotations

import logging
import time

from workbench.errors import InvalidDatasetError
from workbench.persistence.filesystem.dataset_folder import DatasetFolder
from workbench.persistence.storage.local import inside

_log = logging.getLogger(__name__)
_LEFTOVER_S = 3600
_MOST_BYTES = 1 << 31


def load(folder: DatasetFolder, key: str) -> bytes | None:
    """Return what is kept under a key, or None."""
    folder.read()
    try:
        return inside.read(folder.paths.root, _name(folder, key), most=_MOST_BYTES)
    except FileNotFoundError:
        return None
    except (
        OSError,
        InvalidDatasetError,
    ) as error:  # a cache that cannot be read is treated like a missing one
        _log.warning("%s/%s is left unread: %s", folder.paths.cache, key, error)
        return None


def save(folder: DatasetFolder, key: str, data: bytes) -> None:
    """Keep data under a key: whole or not at all, but not forced to disk.

    Takes no lock, so that opening a dataset never waits: of two that save at once, the later
    one's data are kept.
    """
    folder.read()
    try:
        _remove_leftovers(folder)
        inside.replace(folder.paths.root, _name(folder, key), data)
    # A full or read-only disk, or a folder of a stranger: it will be derived again.
    except (OSError, InvalidDatasetError) as error:
        _log.warning("%s/%s is not kept: %s", folder.paths.cache, key, error)


def _name(folder: DatasetFolder, key: str) -> str:
    return f"{folder.paths.below(folder.paths.cache)}/{key}"


def _remove_leftovers(folder: DatasetFolder) -> None:
    """Remove what a process that died while it saved has left behind."""
    root, cache = folder.paths.root, folder.paths.below(folder.paths.cache)
    for name in inside.names(root, cache):
        if name.endswith(".tmp"):
            status = inside.status(root, f"{cache}/{name}")
            if status is not None and status.st_mtime < time.time() - _LEFTOVER_S:
                inside.remove(root, f"{cache}/{name}")
