"""Data that were derived from a dataset and can be derived again."""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress

from workbench.persistence.filesystem.atomic import remove_file, temporary_name, write_new
from workbench.persistence.filesystem.dataset_folder import DatasetFolder

_log = logging.getLogger(__name__)
_LEFTOVER_S = 3600


def load(folder: DatasetFolder, key: str) -> bytes | None:
    """Return what is kept under a key, or None."""
    folder.read()
    try:
        with open(f"{folder.paths.cache}/{key}", "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:  # a cache that cannot be read is one that is not there
        _log.warning("%s/%s is left unread: %s", folder.paths.cache, key, error)
        return None


def save(folder: DatasetFolder, key: str, data: bytes) -> None:
    """Keep data under a key: whole or not at all, but not forced to disk.

    Takes no lock, so that opening a dataset waits for nobody: of two who save at once, the
    later one's data are kept.
    """
    folder.read()
    temporary = temporary_name(folder.paths.cache)
    try:
        for path in (folder.paths.hidden, folder.paths.cache):
            with suppress(FileExistsError):
                os.mkdir(path)  # never the dataset itself, which may be gone by now
        _remove_leftovers(folder.paths.cache)
        try:
            write_new(temporary, data, sync=False)
            os.replace(temporary, f"{folder.paths.cache}/{key}")
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:  # a full or read-only disk: it will be derived again
        _log.warning("%s/%s is not kept: %s", folder.paths.cache, key, error)


def _remove_leftovers(path: str) -> None:
    """Remove what a process that died while it saved has left behind."""
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.name.endswith(".tmp") and entry.stat().st_mtime < time.time() - _LEFTOVER_S:
                remove_file(entry.path)
