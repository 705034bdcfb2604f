"""Files of ours that only grow, one for each month: the history, and where images came from."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from workbench.errors import InvalidDatasetError
from workbench.persistence.filesystem.dataset_folder import DatasetFolder
from workbench.persistence.storage.local import inside
from workbench.persistence.storage.local.journal import Lines

_log = logging.getLogger(__name__)

MOST_BYTES = 1 << 31
"""The largest month that is read: some millions of edits."""


def lines(folder: DatasetFolder, path: str, data: bytes, *, durable: bool = False) -> Lines | None:
    """Return what is appended to the newest file in a folder; None if there is nothing.

    That is this month's, unless the clock went back: what happened later stands below, or in
    a later file, whatever the clock says.
    """
    if not data:
        return None
    this_month = f"{folder.paths.below(path)}/{datetime.now(UTC):%Y-%m}.jsonl"
    return Lines(max([this_month, *files(folder, path)]), data, durable)


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
