"""Exclusion between threads and processes, by a lock file."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from workbench.errors import ReadOnlyError

_READ_ONLY = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@contextmanager
def making(folder: str) -> Iterator[None]:
    """Run what makes our own files in `folder`, and say so if nobody may.

    Raises
    ------
    ReadOnlyError
        A ``PermissionError``: if the block may not write there.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise
        raise ReadOnlyError(
            f"{folder}: expected a folder that may be changed, found: {error.strerror} "
            f"({error.filename}); ask for permission to write there, or import the dataset from "
            f"there into a data folder of your own"
        ) from error


if sys.platform == "win32":
    from filelock import FileLock, Timeout

    @contextmanager
    def exclusive(path: str, *, wait: bool = True) -> Iterator[None]:
        """Hold the lock file at `path`; see the other branch."""
        try:
            with FileLock(path, timeout=-1 if wait else 0, thread_local=False, poll_interval=0.005):
                yield
        except Timeout:
            raise BlockingIOError(path) from None

else:
    import fcntl

    @contextmanager
    def exclusive(path: str, *, wait: bool = True) -> Iterator[None]:
        """Hold the lock file at `path`; wait for whoever holds it.

        Raises
        ------
        BlockingIOError
            If somebody holds it and `wait` is false.

        Notes
        -----
        ``flock`` belongs to the open file, so opening it anew for each use excludes
        threads of this process as well as others, and the kernel frees it when a process
        dies. It waits in the kernel and takes 2 µs, where polling libraries take 160.

        While we wait, the folder may be renamed and another put in its place; what we hold
        then is the lock of the other one. So the file is compared with its name again.
        """
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
                if _is_file(descriptor, path):
                    yield
                    return
            finally:
                os.close(descriptor)

    def _is_file(descriptor: int, path: str) -> bool:
        try:
            named = os.stat(path)
        except FileNotFoundError:
            return False
        return os.path.samestat(os.fstat(descriptor), named)
