"""Many files forced to disk together.

One call for a whole file system costs far less than an fsync for each of 100,000 files. Linux has
it for one file system (``syncfs``, see sync(2)); elsewhere ``sync`` does it for all of them.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

from workbench.persistence.storage.local.atomic import FOLDER

_EARLY_S = 0.5
"""So often what was written by then is sent on its way to the disk."""


def sync_tree(folder: str) -> None:
    """Force everything that was written below `folder` to disk.

    Raises
    ------
    OSError
        If the disk did not take it.
    """
    with _opened(folder) as sync:
        sync()


@contextmanager
def synced(folder: str) -> Iterator[None]:
    """Force everything that the block writes below `folder` to disk, unless it raises.

    The disk begins with it while the block is still at work, so that little is left for the end.

    Raises
    ------
    OSError
        If the disk did not take it: at the end, or before.
    """
    # One descriptor for all: it remembers what has failed since it was opened, whoever wrote it
    # back, and says so once.
    with _opened(folder) as sync:
        ended, failures = threading.Event(), list[OSError]()

        def sync_early() -> None:
            while not failures and not ended.wait(_EARLY_S):
                try:
                    sync()
                except OSError as error:
                    failures.append(error)

        early = threading.Thread(target=sync_early, name="workbench-sync", daemon=True)
        early.start()
        try:
            yield
        finally:
            ended.set()
            early.join()
        if failures:
            raise failures[0]
        sync()


@contextmanager
def _opened(folder: str) -> Iterator[Callable[[], None]]:
    """Yield a function that forces all that was written to a folder's file system to disk."""
    call = _syncfs()
    if call is None:
        yield getattr(os, "sync", lambda: None)
        return
    descriptor = os.open(folder, FOLDER)
    try:
        yield lambda: _sync(call, descriptor, folder)
    finally:
        os.close(descriptor)


def _sync(call: Callable[[int], int], descriptor: int, folder: str) -> None:
    import ctypes

    if call(descriptor) == 0:
        return
    code = ctypes.get_errno()
    if code != errno.ENOSYS:
        raise OSError(code, os.strerror(code), folder)
    os.sync()


@lru_cache
def _syncfs() -> Callable[[int], int] | None:
    import ctypes

    try:
        found: Callable[[int], int] = ctypes.CDLL(None, use_errno=True).syncfs
    except (AttributeError, OSError, TypeError):  # no such function, or no C library to ask
        return None
    return found
