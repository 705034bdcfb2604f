"""A file in a folder of the user's that is there as a whole or not at all."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from workbench.persistence.storage.local.atomic import (
    FOLDER,
    fsync_folder,
    place_at,
    remove_file,
    temporary_name,
)

_UNNAMED = getattr(os, "O_TMPFILE", 0)
_FLAGS = os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_LEFTOVER = re.compile(r"\.[0-9]+-[0-9]+-[0-9a-f]{8}\.tmp(\.old)?")


@contextmanager
def new_file(output: Path) -> Iterator[int]:
    """Yield the descriptor of a file that gets its name when the block ends well.

    Until then it has no name at all, where the file system can do that (Linux): a process
    that is killed leaves nothing. Elsewhere it has a hidden one, and the next to write
    something into the same folder removes what the dead have left.

    Parameters
    ----------
    output : Path
        In a folder that exists. A file of this name is replaced.
    """
    folder = str(output.parent)
    _sweep(folder)
    temporary = temporary_name(folder, hidden=True)
    descriptor = _open_unnamed(folder)
    is_unnamed = descriptor is not None
    try:
        if descriptor is None:
            descriptor = os.open(temporary, _FLAGS | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            _is_free(descriptor)  # held until it is closed: somebody is at work on this one
            yield descriptor
            os.fsync(descriptor)
            if is_unnamed and _name(descriptor, folder, str(output)):
                fsync_folder(folder)
                return
            if is_unnamed:
                _name(descriptor, folder, temporary)
            if os.name != "nt":
                place_at(temporary, str(output))
        finally:
            os.close(descriptor)
        if os.name == "nt":  # an open file gets no other name there
            place_at(temporary, str(output))
    except BaseException:
        with suppress(OSError):
            remove_file(temporary)
        raise


def _open_unnamed(folder: str) -> int | None:
    if not _UNNAMED:
        return None
    try:
        return os.open(folder, _FLAGS | _UNNAMED, 0o666)
    except OSError:  # not on every file system; what else is wrong, a named file finds as well
        return None


def _name(descriptor: int, folder: str, path: str) -> bool:
    """Give a file without a name one, unless it is taken; see open(2) on ``O_TMPFILE``."""
    parent = os.open(folder, FOLDER)
    try:
        # With a folder's descriptor, Python calls linkat(2), which follows the link in /proc.
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=parent, follow_symlinks=True)
    except FileExistsError:
        return False
    finally:
        os.close(parent)
    return True


if sys.platform == "win32":

    def _is_free(descriptor: int) -> bool:
        return False

else:
    import fcntl

    def _is_free(descriptor: int) -> bool:
        """Whether no living process writes an open file; if so, it is ours now."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


def _sweep(folder: str) -> None:
    """Remove files that processes which died have left here."""
    with suppress(OSError):
        for name in os.listdir(folder):
            if _LEFTOVER.fullmatch(name):
                _remove_if_free(f"{folder}/{name}")


def _remove_if_free(path: str) -> None:
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            if _is_free(descriptor):
                os.unlink(path)
        finally:
            os.close(descriptor)
