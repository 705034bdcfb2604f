"""Accounts of imports: one JSON file for each, kept with the dataset."""

from __future__ import annotations

import logging

from workbench.errors import InvalidDatasetError
from workbench.persistence.filesystem.dataset_folder import DatasetFolder
from workbench.persistence.storage.local import inside
from workbench.persistence.yolo.names import HIDDEN

_log = logging.getLogger(__name__)
_FOLDER = f"{HIDDEN}/imports"
_MOST_BYTES = 2**28


def load_all(folder: DatasetFolder) -> dict[str, bytes]:
    """Return the accounts by their keys, oldest first; one that cannot be read is logged."""
    root = folder.paths.root
    found: dict[str, bytes] = {}
    for name in inside.names(root, _FOLDER):
        if not name.endswith(".json"):
            continue
        try:
            found[name.removesuffix(".json")] = inside.read(
                root, f"{_FOLDER}/{name}", most=_MOST_BYTES
            )
        except (OSError, InvalidDatasetError) as error:
            _log.warning("the account %s of an import is left unread: %s", name, error)
    return found


def save(folder: DatasetFolder, key: str, data: bytes) -> None:
    """Keep an account, whole or not at all."""
    with folder.writing():
        inside.replace(folder.paths.root, f"{_FOLDER}/{key}.json", data)
