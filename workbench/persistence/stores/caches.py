"""Data that were derived from a dataset and can be derived again."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from workbench.errors import NotFoundError, WorkbenchError
from workbench.persistence.storage import Remove
from workbench.persistence.stores.dataset import Dataset
from workbench.persistence.yolo.names import HIDDEN

_log = logging.getLogger(__name__)
_MOST_BYTES = 1 << 31

CACHE = f"{HIDDEN}/cache"
"""The folder of all that can be derived again."""


def load(dataset: Dataset, key: str) -> bytes | None:
    """Return what is kept under a key, or None."""
    dataset.read()
    try:
        return dataset.storage.read(_path(key), most=_MOST_BYTES)
    except NotFoundError:
        return None
    except (OSError, WorkbenchError) as error:
        # A cache that cannot be read is treated like a missing one.
        _log.warning("%s is left unread: %s", dataset.at(_path(key)), error)
        return None


def save(dataset: Dataset, key: str, data: bytes) -> None:
    """Keep data under a key, see `Storage.keep`.

    Takes no lease, so that opening a dataset never waits: of two that save at once, the later
    one's data are kept.
    """
    dataset.read()
    try:
        dataset.storage.keep(_path(key), data)
    # A full or read-only disk, or a folder of a stranger: it will be derived again.
    except (OSError, WorkbenchError) as error:
        _log.warning("%s is not kept: %s", dataset.at(_path(key)), error)


def drop(dataset: Dataset, keys: Iterable[str]) -> None:
    """Remove what is kept under keys; it is no error if nothing is there."""
    dataset.storage.commit([Remove(_path(key)) for key in keys])


def _path(key: str) -> str:
    return f"{CACHE}/{key}"
