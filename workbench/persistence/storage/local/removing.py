"""Folders removed with all that is in them, however deep they are nested.

`shutil.rmtree` goes down by calling itself, with a descriptor for each level. A stranger can make
a folder that is deeper than Python may call; whoever sweeps it away would fail at each try.
"""

from __future__ import annotations

import errno
import os
import shutil
from itertools import count

_IS_REMOVED_HERE = {
    os.open,
    os.rename,
    os.rmdir,
    os.unlink,
} <= os.supports_dir_fd and os.scandir in os.supports_fd  # not Windows
_FOLDER = (
    os.O_RDONLY
    | getattr(os, "O_DIRECTORY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
)
# Of rmdir(2); Solaris and its kin say EEXIST.
_HOLDS_SOMETHING = frozenset({errno.ENOTEMPTY, errno.EEXIST})


def remove_tree(path: str, folder: int | None = None) -> None:
    """Remove a folder with all that is in it; links in it are not followed.

    Each folder in it that holds something is renamed to lie directly in it, and then emptied: that
    takes two descriptors, whatever the depth. Cut off, it leaves the folder with a part of that.

    Parameters
    ----------
    path : str
    folder : int, optional
        Descriptor of the folder that `path` is relative to.

    Raises
    ------
    OSError
        If something cannot be removed, or no folder is there.
    """
    if not _IS_REMOVED_HERE:
        shutil.rmtree(path, dir_fd=folder)
        return
    top = os.open(path, _FOLDER, dir_fd=folder)
    try:
        serial = count()
        waiting = _emptied(top, top, serial)
        while waiting:
            name = waiting.pop()
            below = os.open(name, _FOLDER, dir_fd=top)
            try:
                waiting += _emptied(below, top, serial)
            finally:
                os.close(below)
            os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(path, dir_fd=folder)


def _emptied(below: int, top: int, serial: count[int]) -> list[str]:
    """Remove what is in an open folder; what folders hold something is told, by names in `top`."""
    with os.scandir(below) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    full = []
    for name, is_folder in found:
        if not is_folder:
            os.unlink(name, dir_fd=below)
            continue
        try:
            os.rmdir(name, dir_fd=below)
        except OSError as error:
            if error.errno not in _HOLDS_SOMETHING:
                raise
            full.append(name if below == top else _moved_up(name, below, top, serial))
    return full


def _moved_up(name: str, below: int, top: int, serial: count[int]) -> str:
    while True:
        free = f"{next(serial)}.removed"
        try:
            os.stat(free, dir_fd=top, follow_symlinks=False)
        except FileNotFoundError:
            os.rename(name, free, src_dir_fd=below, dst_dir_fd=top)
            return free
