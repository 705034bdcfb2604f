"""Exclusion between threads and processes, by a lock file."""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress

from workbench.errors import BusyError, InvalidDatasetError, ReadOnlyError

LONGEST_WAIT_S = 600.0
"""So long somebody else may take before it is said that he does not come to an end.

The longest change, restoring a version of a million images, takes some minutes.
"""

Reach = Callable[[], AbstractContextManager[tuple[str, int | None]]]
"""Opens the folder of a file; says what to call the file there, and the folder's descriptor."""

_READ_ONLY = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@contextmanager
def making(
    folder: str, remedy: str = "import the dataset from there into a data folder of your own"
) -> Iterator[None]:
    """Run what makes our own files in `folder`, and say so if nobody may.

    Parameters
    ----------
    folder : str
    remedy : str
        What else one can do than ask for permission.

    Raises
    ------
    ReadOnlyError
        A ``PermissionError``: if the block may not write there.
    """
    try:
        yield
    except OSError as error:
        name = str(error.filename or "")
        elsewhere = name.startswith("/") and not name.startswith(folder)
        if error.errno not in _READ_ONLY or elsewhere or isinstance(error, ReadOnlyError):
            raise
        raise ReadOnlyError(
            f"{folder}: expected a folder that may be changed, found: {error.strerror} "
            f"({error.filename}); ask for permission to write there, or {remedy}"
        ) from error


def _no_lock(path: str) -> InvalidDatasetError:
    return InvalidDatasetError(
        f"{path}: expected a lock file of our own, found a link, a folder or a device; nothing "
        f"can be changed here before it is deleted"
    )


def _busy(path: str) -> BusyError:
    return BusyError(
        f"{os.path.dirname(path)}: expected other changes to end within {LONGEST_WAIT_S:.0f} s, "
        f"found that another process still holds {os.path.basename(path)!r}; end the notebook or "
        f"program that hangs, and try again"
    )


if sys.platform == "win32":
    from filelock import FileLock, Timeout

    @contextmanager
    def exclusive(
        path: str, *, wait: bool = True, reach: Reach | None = None
    ) -> Iterator[int | None]:
        """Hold the lock file at `path`; see the other branch."""
        if reach is not None:
            with reach():
                pass
        if os.path.lexists(path) and (os.path.islink(path) or not os.path.isfile(path)):
            raise _no_lock(path)
        try:
            limit = LONGEST_WAIT_S if wait else 0
            with FileLock(path, timeout=limit, thread_local=False, poll_interval=0.005):
                yield None
        except Timeout:
            raise (_busy(path) if wait else BlockingIOError(path)) from None

    @contextmanager
    def shared(path: str) -> Iterator[None]:
        """Hold nothing; see the other branch."""
        yield

else:
    import fcntl

    _LOCK_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK

    # A save holds the lock for some milliseconds.
    _SHORTEST_PAUSE_S = 0.0002
    _LONGEST_PAUSE_S = 0.01

    @contextmanager
    def exclusive(
        path: str, *, wait: bool = True, reach: Reach | None = None
    ) -> Iterator[int | None]:
        """Hold the lock file at `path`; wait for whoever holds it, up to `LONGEST_WAIT_S`.

        Parameters
        ----------
        path : str
        wait : bool
        reach : callable, optional
            How to get to the file through nothing but folders, where a stranger may have put
            a link instead of one.

        Yields
        ------
        int or None
            The descriptor of the folder that `reach` has opened.

        Raises
        ------
        BlockingIOError
            If somebody holds it and `wait` is false.
        InvalidDatasetError
            If what is there is no ordinary file: a stranger may have put it there.
        BusyError
            If somebody holds it for too long: a process that hangs, or is stopped.

        Notes
        -----
        ``flock`` belongs to the open file, so opening it anew for each use excludes
        threads of this process as well as others, and the kernel frees it when a process
        dies. A free one takes 2 µs, where libraries take 160. Waiting in the kernel could
        not be given a limit, so a lock that is held is asked for again and again.

        While we wait, the folder may be renamed and another put in its place; what we hold
        then is the lock of the other one. So the file is compared with its name again.
        """
        deadline = time.monotonic() + LONGEST_WAIT_S
        while True:
            with reach() if reach is not None else nullcontext((path, None)) as (name, folder):
                descriptor = _opened(name, folder, path)
                try:
                    status = os.fstat(descriptor)
                    if not stat.S_ISREG(status.st_mode):
                        raise _no_lock(path)
                    if not wait:
                        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    elif not _locked_before(descriptor, deadline):
                        raise _busy(path)
                    if _is_named(status, path):
                        yield folder
                        return
                finally:
                    os.close(descriptor)

    def _opened(name: str, folder: int | None, path: str) -> int:
        try:
            return os.open(name, _LOCK_FLAGS, 0o666, dir_fd=folder)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
                raise _no_lock(path) from None
            raise

    def _locked_before(descriptor: int, deadline: float, kind: int = fcntl.LOCK_EX) -> bool:
        """Lock the file, unless it is still held at the deadline."""
        pause = _SHORTEST_PAUSE_S
        while True:
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    return False
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)
            else:
                return True

    @contextmanager
    def shared(path: str) -> Iterator[None]:
        """Keep `exclusive` holders out, where the lock file may only be read or is not there."""
        with ExitStack() as held:
            with suppress(OSError):
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
                held.callback(os.close, descriptor)
                _locked_before(descriptor, time.monotonic() + LONGEST_WAIT_S, fcntl.LOCK_SH)
            yield

    def _is_named(status: os.stat_result, path: str) -> bool:
        try:
            named = os.stat(path)
        except FileNotFoundError:
            return False
        return os.path.samestat(status, named)
