"""Locks of runs and sweeps, which exclude other processes, threads and tasks.

The lock file lies in the folder that it is for, so whoever made that folder may have put
anything in its place.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from workbench.errors import InvalidDatasetError
from workbench.persistence.disk_errors import in_our_words, kind_at


@contextmanager
def holding(path: Path, poll_seconds: float) -> Iterator[None]:
    """Hold the lock file at `path`, and wait for whoever holds it. For threads, not for a loop.

    Raises
    ------
    InvalidDatasetError
        If something else lies in its place.
    StorageError
        If it cannot be made.
    """
    lock = lock_at(path, poll_seconds)
    with in_our_words(str(path)):
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def lock_at(path: Path, poll_seconds: float) -> FileLock:
    """Return the lock whose file lies at `path`; see `holding`."""
    with in_our_words(str(path)):
        try:
            plain = stat.S_ISREG(os.lstat(path).st_mode)
        except FileNotFoundError:
            plain = True
    if not plain:
        raise InvalidDatasetError(
            f"{path}: expected a lock file, which Workbench makes itself, found "
            f"{kind_at(str(path))}; remove it, and try again"
        )
    return FileLock(path, thread_local=False, poll_interval=poll_seconds)
