"""Durable writes: after any of these returns, the change survives a crash of the machine.

A file is written beside its destination's file system under a temporary name, forced to
disk, renamed over the destination (atomic by POSIX ``rename``), and the folder that holds
the new name is forced to disk too. Temporary files live in one folder of their own,
``.workbench/tmp``, so that no reader of a split ever meets one and a leftover of a crash
is found without searching.
"""

from __future__ import annotations

import errno
import os
import shutil
from itertools import count

_serial = count()
_WRITE_ONCE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)


def temporary_name(folder: str, *, hidden: bool = False) -> str:
    """Return a path in `folder` that no other process or thread uses."""
    dot = "." if hidden else ""
    return f"{folder}/{dot}{os.getpid()}-{next(_serial)}-{os.urandom(4).hex()}.tmp"


def fsync_folder(folder: str) -> None:
    """Force a folder's entries to disk, so that a rename in it is durable."""
    if os.name == "nt":  # Windows cannot open a folder; NTFS journals renames itself.
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_new(path: str, data: bytes, *, sync: bool = True) -> None:
    """Write a new file and, unless told otherwise, force its bytes (not yet its name) to disk."""
    descriptor = os.open(path, _WRITE_ONCE, 0o666)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: str, data: bytes, temporary_folder: str) -> None:
    """Make the file at `path` hold exactly `data`, atomically and durably.

    Parameters
    ----------
    path : str
        In a folder that exists.
    data : bytes
    temporary_folder : str
        Where the file is written before it gets its name.
    """
    temporary = temporary_name(temporary_folder)
    try:
        write_new(temporary, data)
        rename(temporary, path)
    except BaseException:
        remove_file(temporary)
        raise
    fsync_folder(os.path.dirname(path))


def rename(source: str, target: str) -> None:
    """Rename a file, replacing one that is at `target`; atomic also where `target` is elsewhere.

    Users link ``images/`` or one split to another disk. A rename cannot cross file
    systems, so the file is copied beside the target under a hidden name first.
    """
    try:
        os.replace(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        folder = os.path.dirname(target)
        temporary = temporary_name(folder, hidden=True)
        try:
            with open(source, "rb") as original, open(temporary, "xb") as copy:
                shutil.copyfileobj(original, copy)
                copy.flush()
                os.fsync(copy.fileno())
            os.replace(temporary, target)
        except BaseException:
            remove_file(temporary)
            raise
        os.unlink(source)


def remove_file(path: str) -> bool:
    """Remove a file if it is there; return whether it was."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def remove_tree(path: str) -> None:
    """Remove a folder with all that is in it, if it is there."""
    if os.path.lexists(path):
        shutil.rmtree(path)


def sync_tree(folder: str) -> None:
    """Force everything that was written below `folder` to disk, in one go.

    One call for a whole file system costs far less than an fsync for each of 100,000
    files. Linux has it for one file system (``syncfs``, see sync(2)); elsewhere ``sync``
    does it for all of them.
    """
    if not _syncfs(folder):
        sync = getattr(os, "sync", None)
        if sync is not None:
            sync()


def _syncfs(folder: str) -> bool:
    import ctypes

    try:
        call = ctypes.CDLL(None, use_errno=True).syncfs
    except (AttributeError, OSError, TypeError):  # no such function, or no C library to ask
        return False
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        return bool(call(descriptor) == 0)
    finally:
        os.close(descriptor)
