"""Our own files below a folder that may come from a stranger: the one place that opens them.

A dataset, or a folder of models, may have been made by anybody and put where it is by hand.
What its hidden folder holds may be wrong on purpose. So a stored name is used only if

- it is relative, and no part of it is empty, ``.`` or ``..``;
- nothing on the way is a link: each folder is opened by its descriptor from the one above,
  with links refused by the kernel, so that nobody can put a link there between a check
  and the use (where the system has no such descriptors, each part is looked at first);
- it is an ordinary file: a pipe would hang us, a device may have no end.

The root itself may be a link: the user who made it meant it. So may ``images`` and
``labels``, which whole programs share; nothing here is used to read images or labels.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import stat
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from workbench.errors import InvalidDatasetError, WorkbenchError
from workbench.persistence.disk_errors import kind_at
from workbench.persistence.plain_files import is_junction, read_rest, write_all
from workbench.persistence.storage.base import MOST_BYTES
from workbench.persistence.storage.keys import parts_of
from workbench.persistence.storage.local.removing import remove_tree
from workbench.persistence.stored_json import parse_json

_log = logging.getLogger(__name__)

REFUSED = "refused-"
"""What the name of something begins with that was set aside in a hidden folder."""

_HAS_DESCRIPTORS = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")  # not Windows
_COMMON = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # opening a pipe waits for its other end, without this
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _COMMON
_READ = os.O_RDONLY | _NO_LINK | _NO_WAIT | _COMMON
_WRITE = os.O_WRONLY | os.O_CREAT | _NO_LINK | _NO_WAIT | _COMMON
_READ_WRITE = os.O_RDWR | os.O_CREAT | _NO_LINK | _NO_WAIT | _COMMON
_APPEND = _WRITE | os.O_APPEND
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK | _COMMON
_NOT_OURS = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO, errno.EMLINK})


@contextmanager
def opened(
    root: str, name: str, *, make: bool = False, start: int | None = None
) -> Iterator[tuple[str, int | None]]:
    """Hold the folder open in which `name` lies; yield what to call it there.

    Parameters
    ----------
    root : str
        An existing folder.
    name : str
        Of something below it, which need not exist.
    make : bool
        Make folders that are missing on the way.
    start : int, optional
        Descriptor of the root, if it is open already.

    Yields
    ------
    name : str
    dir_fd : int or None
        For the functions of `os`. Without descriptors, `name` is the whole path.

    Raises
    ------
    InvalidDatasetError
        If the name leads outside, or a link or a file is in the way.
    FileNotFoundError
        If a folder on the way is missing.
    """
    *folders, last = parts_of(name)
    if not _HAS_DESCRIPTORS:
        path = root
        for part in folders:
            path = f"{path}/{part}"
            _look_at_folder(path, make=make)
        yield f"{path}/{last}", None
        return
    descriptor = os.open(root, _FOLDER) if start is None else start
    try:
        path = root
        for part in folders:
            path = f"{path}/{part}"
            above, descriptor = descriptor, _open_folder(part, descriptor, path, make=make)
            if above != start:
                os.close(above)
        yield last, descriptor
    finally:
        if descriptor != start:
            os.close(descriptor)


def _open_folder(part: str, above: int, path: str, *, make: bool) -> int:
    try:
        return os.open(part, _FOLDER | _NO_LINK, dir_fd=above)
    except FileNotFoundError:
        if not make:
            raise
        with suppress(FileExistsError):  # somebody else was quicker
            os.mkdir(part, dir_fd=above)
        return os.open(part, _FOLDER | _NO_LINK, dir_fd=above)
    except OSError as error:
        if error.errno in _NOT_OURS:
            raise refusal(path, "a folder of our own") from None
        raise


def open_below(name: str, folder: int | None, path: str) -> int | None:
    """Return the descriptor of a folder in one that is open, made if it is not there.

    Parameters
    ----------
    name : str
    folder : int or None
        As `opened` yields it.
    path : str
        Of the folder that is to be opened.

    Raises
    ------
    InvalidDatasetError
        If something else is there.
    """
    if folder is None:
        _look_at_folder(path, make=True)
        return None
    return _open_folder(name, folder, path, make=True)


def _look_at_folder(path: str, *, make: bool) -> None:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        if not make:
            raise
        os.makedirs(path, exist_ok=True)
        return
    if not stat.S_ISDIR(status.st_mode) or is_junction(status):
        raise refusal(path, "a folder of our own")


def refusal(path: str, expected: str) -> InvalidDatasetError:
    """Return the error for something of another kind than what is expected there."""
    return InvalidDatasetError(
        f"{path}: expected {expected}, found {kind_at(path)}; move it away or delete it"
    )


def too_large(path: str, size: int, most: int) -> InvalidDatasetError:
    """Return the error for a file of more bytes than are read."""
    return InvalidDatasetError(
        f"{path}: expected at most {most:,} bytes, found {size:,}; move it away or delete it"
    )


@contextmanager
def reading(root: str, name: str) -> Iterator[int]:
    """Hold one of our own files open for reading; yield its descriptor.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    InvalidDatasetError
        If it is no ordinary file inside the root.
    """
    with opened(root, name) as (last, folder):
        descriptor = _open_file(last, folder, f"{root}/{name}", _READ)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _open_file(last: str, folder: int | None, path: str, flags: int) -> int:
    if folder is None and os.path.islink(last):
        raise refusal(path, "an ordinary file")
    try:
        descriptor = os.open(last, flags, 0o666, dir_fd=folder)
    except OSError as error:
        if error.errno in _NOT_OURS:
            raise refusal(path, "an ordinary file") from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise refusal(path, "an ordinary file")
    return descriptor


def read(root: str, name: str, *, most: int = MOST_BYTES) -> bytes:
    """Return the bytes of one of our own files.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    InvalidDatasetError
        If it is no ordinary file of at most `most` bytes inside the root.
    """
    with opened(root, name) as (last, folder):
        return _read(last, folder, f"{root}/{name}", most)


def _read(last: str, folder: int | None, path: str, most: int) -> bytes:
    descriptor = _open_file(last, folder, path, _READ)
    try:
        size = os.fstat(descriptor).st_size
        if size > most:
            raise too_large(path, size, most)
        return read_rest(descriptor)
    finally:
        os.close(descriptor)


def read_each(
    root: str, folder: str, last: Sequence[str], *, most: int = MOST_BYTES
) -> list[bytes | Exception | None]:
    """Return the bytes of many files in one folder, which is held open meanwhile.

    Parameters
    ----------
    root, most
        As for `read`.
    folder : str
        Below the root; empty for the root itself.
    last : sequence of str
        Names in the folder.

    Returns
    -------
    list
        None for what is not there, and what keeps one from being read for that.
    """
    prefix = f"{folder}/" if folder else ""
    found: list[bytes | Exception | None] = []
    try:
        with opened(root, f"{prefix}.probe") as (probe, descriptor):
            base = "" if descriptor is not None else probe.removesuffix(".probe")
            for name in last:
                try:
                    path = f"{root}/{prefix}{name}"
                    found.append(_read(f"{base}{name}", descriptor, path, most))
                except FileNotFoundError:
                    found.append(None)
                except (WorkbenchError, OSError) as error:
                    found.append(error)
    except FileNotFoundError:
        return [None] * len(last)
    except (WorkbenchError, OSError) as error:
        return [error] * len(last)
    return found


def read_json(root: str, name: str, what: str, *, most: int = MOST_BYTES) -> Any:
    """Return what one of our own JSON files says.

    Parameters
    ----------
    root, name, most
        As for `read`.
    what : str
        What it should hold, for the message: ``"the facts of a dataset"``.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    InvalidDatasetError
        If it cannot be read, as `read` has it, or is no JSON.
    """
    return parse_json(read(root, name, most=most), f"{root}/{name}", what)


def exists(root: str, name: str) -> bool:
    """Whether something, of whatever kind, is there under a name inside the root."""
    try:
        return status(root, name) is not None
    except (OSError, InvalidDatasetError):
        return False


def is_file(root: str, name: str) -> bool:
    """Whether an ordinary file is there under a name inside the root."""
    return stat.S_ISREG(mode_of(root, name))


def mode_of(root: str, name: str) -> int:
    """Return the mode of what is there under a name inside the root; 0 if nothing is.

    Raises
    ------
    InvalidDatasetError
        As for `status`.
    """
    found = status(root, name)
    return 0 if found is None else found.st_mode


def status(root: str, name: str) -> os.stat_result | None:
    """Return the facts of what is there under a name inside the root, None if nothing is.

    Raises
    ------
    InvalidDatasetError
        If the name leads outside, or a link or a file is in the way.
    """
    try:
        with opened(root, name) as (last, folder):
            return os.stat(last, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def names(root: str, name: str) -> list[str]:
    """Return what is in one of our own folders, sorted; nothing if it is not there.

    Raises
    ------
    InvalidDatasetError
        If it is no folder, or not inside the root.
    """
    try:
        with opened(root, f"{name}/.probe") as (last, folder):
            return sorted(os.listdir(os.path.dirname(last) if folder is None else folder))
    except FileNotFoundError:
        return []


@contextmanager
def writing(root: str, name: str) -> Iterator[int]:
    """Hold one of our own files open for writing in place, made if need be; see `reading`."""
    with opened(root, name, make=True) as (last, folder):
        descriptor = _open_file(last, folder, f"{root}/{name}", _WRITE)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_counter(name: str, folder: int | None, path: str) -> int:
    """Return a descriptor to read and write a file in an open folder; see `open_below`."""
    return _open_file(name if folder is not None else path, folder, path, _READ_WRITE)


def open_to_append(root: str, name: str, *, make: bool = True, start: int | None = None) -> int:
    """Return a descriptor that appends to one of our own files; see `reading`.

    Parameters
    ----------
    root, name, start
        As for `opened`.
    make : bool
        Make the file, and the folders on the way, if need be.
    """
    flags = _APPEND if make else _APPEND & ~os.O_CREAT
    with opened(root, name, make=make, start=start) as (last, folder):
        return _open_file(last, folder, f"{root}/{name}", flags)


def append(root: str, name: str, data: bytes, *, sync: bool = False) -> None:
    """Add bytes at the end of one of our own files; make it, and its folder, if need be.

    Raises
    ------
    InvalidDatasetError
        As for `read`.
    """
    descriptor = open_to_append(root, name)
    try:
        write_on(descriptor, data, sync=sync)
    finally:
        os.close(descriptor)


def write_on(descriptor: int, data: bytes, *, sync: bool) -> None:
    """Write bytes to an open file, and force them to disk if asked."""
    write_all(descriptor, data)
    if sync:
        os.fsync(descriptor)


def replace(root: str, name: str, data: bytes) -> None:
    """Write `data` to one of our own files, whole or not at all, but not forced to disk."""
    with opened(root, name, make=True) as (last, folder):
        temporary = f"{last}.{os.getpid()}-{os.urandom(8).hex()}.tmp"
        try:
            descriptor = os.open(temporary, _NEW, 0o666, dir_fd=folder)
            try:
                write_all(descriptor, data)
            finally:
                os.close(descriptor)
            os.replace(temporary, last, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise


def remove(root: str, name: str) -> None:
    """Remove what is there under a name inside the root, with all that is in it.

    Of a link, only the link goes.
    """
    try:
        with opened(root, name) as (last, folder):
            _remove(last, folder)
    except FileNotFoundError:
        return


def _remove(last: str, folder: int | None) -> None:
    if stat.S_ISDIR(os.stat(last, dir_fd=folder, follow_symlinks=False).st_mode):
        remove_tree(last, folder)
    else:
        os.unlink(last, dir_fd=folder)


def empty(root: str, name: str) -> None:
    """Remove all that is in one of our own folders; make it if it is not there."""
    with opened(root, f"{name}/.probe", make=True) as (last, folder):
        base = os.path.dirname(last)
        for found in os.listdir(base if folder is None else folder):
            _remove(found if folder is not None else f"{base}/{found}", folder)


def rename(root: str, source: str, target: str) -> None:
    """Give something inside the root another name inside it, replacing a file there.

    Folders on the way to the target are made if they are missing.

    Raises
    ------
    FileNotFoundError
        If nothing is at `source`.
    InvalidDatasetError
        If a name leads outside, or a link or a file is in the way.
    """
    with (
        opened(root, source) as (old, old_folder),
        opened(root, target, make=True) as (new, new_folder),
    ):
        try:
            os.replace(old, new, src_dir_fd=old_folder, dst_dir_fd=new_folder)
        except OSError as error:
            if error.errno != errno.EXDEV or old_folder is None or new_folder is None:
                raise
            # Another file system is mounted inside the root: copied under a hidden name first.
            _copy_across(old, old_folder, new, new_folder, f"{root}/{source}")


def _copy_across(old: str, old_folder: int, new: str, new_folder: int, path: str) -> None:
    temporary = f".{os.getpid()}-{os.urandom(8).hex()}.tmp"
    source = _open_file(old, old_folder, path, _READ)
    try:
        target = os.open(temporary, _NEW, 0o666, dir_fd=new_folder)
        try:
            with (
                os.fdopen(source, "rb", closefd=False) as original,
                os.fdopen(target, "wb") as copy,
            ):
                shutil.copyfileobj(original, copy)
                copy.flush()
                os.fsync(copy.fileno())
            os.replace(temporary, new, src_dir_fd=new_folder, dst_dir_fd=new_folder)
        except BaseException:
            os.unlink(temporary, dir_fd=new_folder)
            raise
    finally:
        os.close(source)
    os.unlink(old, dir_fd=old_folder)


def put_in_order(
    root: str,
    hidden: str,
    folders: Collection[str],
    files: Collection[str],
    *,
    aside: str = "",
    descriptor: int | None = None,
) -> set[str]:
    """Set aside what is in a folder of ours under a name of ours and of another kind.

    Parameters
    ----------
    root, hidden : str
        The folder need not be there.
    folders, files : collection of str
        What is a folder there, and what a file.
    aside : str
        The hidden folder that gets what is set aside, if it is another one.
    descriptor : int, optional
        Of the folder, if it is open already.

    Returns
    -------
    set of str
        The names of all that is there.
    """
    try:
        with ExitStack() as held:
            if descriptor is None:
                _, descriptor = held.enter_context(opened(root, f"{hidden}/.probe"))
            where = f"{root}/{hidden}" if descriptor is None else descriptor
            there, wrong = _looked_through(where, folders, files)
    except FileNotFoundError:
        return set()
    for name, expected in wrong:
        why = f"expected {expected}, found {kind_at(f'{root}/{hidden}/{name}')}"
        with suppress(FileNotFoundError):
            set_aside(root, aside or hidden, f"{hidden}/{name}", why)
    return there - {name for name, _ in wrong}


def _looked_through(
    where: str | int, folders: Collection[str], files: Collection[str]
) -> tuple[set[str], list[tuple[str, str]]]:
    """Return what lies in a folder, and what of it should be something else."""
    there, wrong = set(), []
    with os.scandir(where) as entries:
        for entry in entries:
            there.add(entry.name)
            if entry.name in folders:
                if not entry.is_dir(follow_symlinks=False):
                    wrong.append((entry.name, "a folder"))
            elif entry.name in files and not entry.is_file(follow_symlinks=False):
                wrong.append((entry.name, "an ordinary file"))
    return there, wrong


def clear_way(root: str, hidden: str, folders: Iterable[str]) -> None:
    """Set aside what stands on the way to folders of ours and is none.

    Parameters
    ----------
    root, hidden : str
        What lies directly in the hidden folder is in order, see `put_in_order`.
    folders : iterable of str
        Below the hidden folder; they need not be there.
    """
    for folder in folders:
        try:
            status(root, f"{folder}/.probe")
        except InvalidDatasetError as error:
            parts = parts_of(folder)
            for end in range(len(parts_of(hidden)) + 1, len(parts) + 1):
                name = "/".join(parts[:end])
                mode = mode_of(root, name)
                if mode and not stat.S_ISDIR(mode):
                    set_aside(root, hidden, name, str(error))
                    break


def set_aside(root: str, hidden: str, name: str, why: str) -> None:
    """Move something implausible to where nobody reads it: ``<hidden>/refused-<n>``.

    Parameters
    ----------
    root : str
    hidden, name : str
        The hidden folder and the thing, both below the root.
    why : str
        A sentence for the log.
    """
    taken = set(names(root, hidden))
    number = 1
    while f"{REFUSED}{number}" in taken:
        number += 1
    place = f"{hidden}/{REFUSED}{number}"
    rename(root, name, place)
    _log.warning(
        "%s/%s was set aside as %s and not used: %s; look at it, and delete it if you do not "
        "need it",
        root,
        name,
        place,
        why,
    )


def refused(root: str, hidden: str) -> list[str]:
    """Return the names of what was set aside, sorted."""
    try:
        return [name for name in names(root, hidden) if name.startswith(REFUSED)]
    except InvalidDatasetError:
        return []
