"""Storages in which the stores of a dataset work as they do on a disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.storage.sqlite_storage import SqliteStorage
from workbench.persistence.storage import Storage
from workbench.persistence.storage.bucket import BucketStorage
from workbench.persistence.storage.memory import MemoryStorage


def _bucket(folder: Path) -> Storage:
    from obstore.store import MemoryStore

    return BucketStorage(MemoryStore(), "bucket/pets")


STORAGES: dict[str, Callable[[Path], Storage]] = {
    "bucket": _bucket,
    "memory": lambda folder: MemoryStorage("memory/pets"),
    "sqlite": lambda folder: SqliteStorage(folder / "pets.sqlite"),
}
"""Each makes an empty one, in a folder if it needs one."""
