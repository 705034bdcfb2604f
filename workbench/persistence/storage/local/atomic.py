"""Durable writes: after any of these returns, the change survives a crash of the machine.

A file is written beside its destination's file system under a temporary name, forced to
disk, renamed over the destination (atomic by POSIX ``rename``), and the folder that holds
the new name is forced to disk too. Temporary files live in one folder of their own,
``.workbench/tmp``, so that no reader of a split ever meets one and a leftover of a crash
is found without searching.
"""

from __future__ import annotations

import errno
import filecmp
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count

from workbench.persistence.plain_files import write_all
from workbench.persistence.storage.local import removing

_serial = count()

REPLACED = ".old"
"""What stands behind the name of a temporary file in that of the file which it replaces."""

# A pipe in the place of a folder would be waited for, without these.
FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
"""Flags to open a folder with."""

_WRITE_ONCE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)

# Of link(2): no such call here, another file system, too many links, links to files of others.
_NO_LINKS = frozenset(
    {errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EXDEV, errno.EMLINK}
)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that is held open: files are reached by their name in it, whatever is on the way.

    Parameters
    ----------
    path : str
        What to call it; and the way to it, where the system has no descriptors of folders.
    descriptor : int, optional
    """

    path: str
    descriptor: int | None = None

    def at(self, name: str) -> str:
        """Return what to call a file for a function of `os` that gets the descriptor, too."""
        return name if self.descriptor is not None else f"{self.path}/{name}"

    def sync(self) -> None:
        """Force the folder's entries to disk, so that a rename in it is durable."""
        if self.descriptor is not None:
            os.fsync(self.descriptor)
        else:
            fsync_folder(self.path)

    def names(self) -> list[str]:
        """Return what lies in it."""
        return os.listdir(self.path if self.descriptor is None else self.descriptor)

    def remove(self, name: str) -> None:
        """Remove a file if it is there."""
        with suppress(FileNotFoundError):
            os.unlink(self.at(name), dir_fd=self.descriptor)


def temporary_name(folder: str, *, hidden: bool = False) -> str:
    """Return a path in `folder` that no other process or thread uses."""
    dot = "." if hidden else ""
    return f"{folder}/{dot}{unique_name()}"


def unique_name() -> str:
    """Return the name of a temporary file that no other process or thread uses."""
    return f"{os.getpid()}-{next(_serial)}-{os.urandom(4).hex()}.tmp"


def fsync_folder(folder: str) -> None:
    """Force a folder's entries to disk, so that a rename in it is durable."""
    if os.name == "nt":  # Windows cannot open a folder; NTFS journals renames itself.
        return
    descriptor = os.open(folder, FOLDER)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_new(
    name: str,
    data: bytes,
    *,
    sync: bool = True,
    folder: int | None = None,
    replaced_ns: int | None = None,
) -> None:
    """Write a new file and, unless told otherwise, force its bytes (not yet its name) to disk.

    Parameters
    ----------
    name : str
        Its path, or its name in `folder`.
    data : bytes
    sync : bool
    folder : int, optional
        A descriptor.
    replaced_ns : int, optional
        The time of the file that this one will replace. It gets another one, however coarse the
        clock is, so that whoever looks sees that it is another file.
    """
    descriptor = os.open(name, _WRITE_ONCE, 0o666, dir_fd=folder)
    try:
        write_all(descriptor, data)
        if replaced_ns is not None and os.fstat(descriptor).st_mtime_ns == replaced_ns:
            with suppress(OSError):
                os.utime(name, ns=(replaced_ns + 1, replaced_ns + 1), dir_fd=folder)
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: str, data: bytes, temporary_folder: str) -> None:
    """Make the file at `path` hold exactly `data`, atomically and durably.

    If it raises, the file is what it was.

    Parameters
    ----------
    path : str
        Its folder is made if it is not there.
    data : bytes
    temporary_folder : str
        Where the file is written before it gets its name.
    """
    temporary = temporary_name(temporary_folder)
    try:
        write_new(temporary, data)
        place_at(temporary, path)
    except BaseException:
        with suppress(OSError):
            remove_file(temporary)
        raise


def place_at(temporary: str, path: str) -> None:
    """Give a complete file its name, as `place_file` does, by the paths of both.

    Parameters
    ----------
    temporary : str
        In a folder of our own.
    path : str
        Its folder is made if it is not there. A bare name lies in the current folder.
    """
    name = os.path.basename(temporary)
    with (
        telling_of(path),
        opened_folder(os.path.dirname(temporary) or os.curdir) as own,
        opened_folder(os.path.dirname(path) or os.curdir) as folder,
    ):
        try:
            place_file(own, name, folder, os.path.basename(path))
        finally:
            # It has happened, or has not. What stays here is in our own folder, and swept later.
            with suppress(OSError):
                own.remove(f"{name}{REPLACED}")


@contextmanager
def telling_of(path: str) -> Iterator[None]:
    """Let errors name the file that shall be written, not only a name in a folder held open."""
    try:
        yield
    except OSError as error:
        if isinstance(error.filename, str) and not os.path.isabs(error.filename):
            error.filename, error.filename2 = path, None
        raise


def place_file(
    own: Folder,
    temporary: str,
    folder: Folder,
    name: str,
    placed: Callable[[], None] = lambda: None,
) -> None:
    """Give a complete file its name, durably, replacing one that is there.

    If it raises, what had the name has it again.

    Parameters
    ----------
    own : Folder
    temporary : str
        The file in it. What is replaced may stay beside it, with `REPLACED` behind that name, for
        the caller to remove: that takes its time, and what counts has happened without it.
    folder : Folder
    name : str
        What the file shall be called there.
    placed : callable, optional
        Called when the name is right and not yet forced to disk.
    """
    old = f"{temporary}{REPLACED}"
    try:
        _second_name(folder, name, own, old)
        replaces = True
    except FileNotFoundError:
        replaces = False
    _rename(own, temporary, folder, name)
    try:
        placed()
        folder.sync()
    except BaseException:
        if replaces:
            _rename(own, old, folder, name)
        else:
            folder.remove(name)
        raise


@contextmanager
def opened_folder(folder: str) -> Iterator[Folder]:
    """Hold a folder open, which is made if need be.

    Opened beforehand, because a process that has no file handles left must find out before
    it changes something.
    """
    if os.name == "nt":  # see `fsync_folder`
        os.makedirs(folder, exist_ok=True)
        yield Folder(folder)
        return
    try:
        descriptor = os.open(folder, FOLDER)
    except FileNotFoundError:
        os.makedirs(folder, exist_ok=True)
        descriptor = os.open(folder, FOLDER)
    try:
        yield Folder(folder, descriptor)
    finally:
        os.close(descriptor)


def move_durably(source: str, target: str) -> None:
    """Rename a file or folder within one file system, to a free name; if it raises, it did not.

    Raises
    ------
    OSError
    """
    parents = os.path.dirname(source), os.path.dirname(target)
    with opened_folder(parents[0]) as old, opened_folder(parents[1]) as new:
        os.rename(source, target)
        try:
            new.sync()
            if parents[0] != parents[1]:
                old.sync()
        except BaseException:
            os.rename(target, source)
            raise


def rename(source: str, target: str, copy_name: str | None = None) -> None:
    """Rename a file, replacing one that is at `target`; atomic also where `target` is elsewhere.

    Users link ``images/`` or one split to another disk. A rename cannot cross file
    systems, so the file is copied beside the target under a hidden name first: `copy_name`,
    if whoever may have to clean up shall know it.
    """
    try:
        os.replace(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        temporary = copy_name or temporary_name(os.path.dirname(target), hidden=True)
        if copy_name is not None:
            remove_file(copy_name)
        try:
            with open(source, "rb") as original, open(temporary, "xb") as copy:
                shutil.copyfileobj(original, copy)
                copy.flush()
                _keep_time(source, temporary)
                os.fsync(copy.fileno())
            os.replace(temporary, target)
        except BaseException:
            remove_file(temporary)
            raise
        os.unlink(source)


def _keep_time(source: str, copy: str) -> None:
    """Give a copy the time of the original; without it, it has one that is as good as any."""
    status = os.stat(source)
    with suppress(OSError):
        os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))


def _rename(old: Folder, source: str, new: Folder, target: str) -> None:
    """Rename a file from one open folder to another; see `rename`."""
    try:
        os.replace(
            old.at(source), new.at(target), src_dir_fd=old.descriptor, dst_dir_fd=new.descriptor
        )
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        rename(f"{old.path}/{source}", f"{new.path}/{target}")


def _second_name(folder: Folder, source: str, own: Folder, name: str) -> None:
    """Give a file in one open folder a second name in another; see `second_name`."""
    try:
        os.link(
            folder.at(source),
            own.at(name),
            src_dir_fd=folder.descriptor,
            dst_dir_fd=own.descriptor,
            follow_symlinks=False,
        )
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        second_name(f"{folder.path}/{source}", f"{own.path}/{name}")


def second_name(source: str, name: str) -> None:
    """Give the file at `source` a second name, which keeps its bytes when `source` is replaced.

    A hard link: what is put in the place of `source` leaves it alone. It is a copy where the
    file system has no links, or `name` is on another one.
    """
    try:
        os.link(source, name, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copy2(source, name, follow_symlinks=False)
        if not os.path.islink(name):
            with open(name, "rb+") as copy:
                os.fsync(copy.fileno())


def same_bytes(first: str, second: str) -> bool:
    """Whether both are files with the same contents."""
    return (
        os.path.isfile(first)
        and os.path.isfile(second)
        and filecmp.cmp(first, second, shallow=False)
    )


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
        removing.remove_tree(path)
