"""Files of ours that only grow, one for each month: the history, and where images came from."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from workbench.errors import InvalidDatasetError
from workbench.persistence.filesystem import inside
from workbench.persistence.filesystem.dataset_folder import DatasetFolder
from workbench.persistence.filesystem.paths import HIDDEN

_log = logging.getLogger(__name__)

MOST_BYTES = 1 << 31
"""The largest month that is read: some millions of edits."""


def present_file(folder: DatasetFolder, path: str) -> str:
    """Return this month's file in a folder, by its name below the dataset's folder."""
    return f"{folder.paths.below(path)}/{datetime.now(UTC):%Y-%m}.jsonl"


def append(folder: DatasetFolder, name: str, data: bytes) -> None:
    """Add lines at the end of a file. Needs the lock."""
    try:
        inside.append(folder.paths.root, name, data)
    except InvalidDatasetError as error:
        # What is told of has happened; no link or pipe shall keep it from being told.
        inside.set_aside(folder.paths.root, HIDDEN, name, str(error))
        inside.append(folder.paths.root, name, data)


def files(folder: DatasetFolder, path: str) -> list[str]:
    """Return the files in a folder, oldest first, by their names below the dataset's folder."""
    base = folder.paths.below(path)
    try:
        found = inside.names(folder.paths.root, base)
    except InvalidDatasetError as error:
        _log.warning("left unread: %s", error)
        return []
    return [f"{base}/{name}" for name in found if name.endswith(".jsonl")]


def read(folder: DatasetFolder, name: str) -> bytes:
    """Return the bytes of a file; raises `InvalidDatasetError` if it is none."""
    return inside.read(folder.paths.root, name, most=MOST_BYTES)
