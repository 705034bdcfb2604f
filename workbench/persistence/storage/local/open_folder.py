"""A folder held open while many of its files are looked at.

With a descriptor of the folder at hand, the kernel looks up one name for each file instead
of walking the whole path again: that takes about a fifth off the time of reading a small
file's facts or its bytes.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self, overload

from workbench.errors import InvalidDatasetError, WorkbenchError
from workbench.persistence.storage.local.inside import refusal, too_large

MOST_BYTES = 1 << 25
"""Of a file no more is read: whoever gets so much of one knows that it is no label file."""

NO_FILE = b"<no file: a folder, a pipe, a device, or a link that leads nowhere>"
"""What is returned for something of that kind; no reader of labels takes it for any."""

_NO_FILE = frozenset({errno.ENXIO, errno.EISDIR, errno.ELOOP, errno.ENOTDIR, errno.ENAMETOOLONG})
_UNREADABLE = frozenset({errno.EACCES, errno.EPERM, errno.EIO})

_CHUNK = 1 << 13  # Label files fit; a larger buffer takes longer to get than to fill.
_LARGE_CHUNK = 1 << 20
# A pipe is not waited for.
_READ_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NONBLOCK", 0)
)
_HAS_DESCRIPTORS = os.scandir in os.supports_fd and os.open in os.supports_dir_fd  # not Windows


def _rest(descriptor: int) -> bytes:
    parts: list[bytes] = []
    left = MOST_BYTES - _CHUNK
    while left > 0 and (more := os.read(descriptor, min(_LARGE_CHUNK, left))):
        parts.append(more)
        left -= len(more)
    return b"".join(parts)


def _instead(error: OSError, missing: bytes | None) -> bytes | None:
    if isinstance(error, FileNotFoundError):
        return missing
    if error.errno in _NO_FILE:
        return NO_FILE
    if error.errno in _UNREADABLE:
        return f"<cannot be read: {error.strerror}>".encode()
    raise error


def no_folder(path: str) -> InvalidDatasetError:
    """Return the error for something else where a split's folder should be."""
    return InvalidDatasetError(
        f"{path}: expected a folder, found a file or a link to one; move it away"
    )


class OpenFolder:
    """A context manager for one folder.

    Raises
    ------
    FileNotFoundError
        On entering, if there is no such folder.
    InvalidDatasetError
        On entering, if something else is there.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        if _HAS_DESCRIPTORS:
            try:
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
                self._descriptor = os.open(self._path, flags)
            except NotADirectoryError:
                raise no_folder(self._path) from None
        elif not os.path.isdir(self._path):
            raise FileNotFoundError(self._path)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    @overload
    def read_all(self, names: Iterable[str]) -> list[bytes]: ...

    @overload
    def read_all(self, names: Iterable[str], missing: None) -> list[bytes | None]: ...

    def read_all(
        self, names: Iterable[str], missing: bytes | None = b""
    ) -> list[bytes] | list[bytes | None]:
        """Return the bytes of small files, or `missing` for one that is not there (any more).

        What is no file gives `NO_FILE`, what cannot be read the reason, which is no label
        either: one bad file must not keep the others from being read.
        """
        if self._descriptor is None:
            names = (f"{self._path}/{name}" for name in names)
        # Everything in one loop and in local names: at 100,000 files, each call counts.
        folder = self._descriptor
        contents: list[Any] = []
        for name in names:
            try:
                descriptor = os.open(name, _READ_FLAGS, dir_fd=folder)
            except OSError as error:
                contents.append(_instead(error, missing))
                continue
            try:
                data = os.read(descriptor, _CHUNK)
                if len(data) == _CHUNK:
                    data += _rest(descriptor)
                elif not data and not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    data = NO_FILE
            except (IsADirectoryError, BlockingIOError):
                data = NO_FILE
            except OSError as error:
                data = _instead(error, None) or b""
            finally:
                os.close(descriptor)
            contents.append(data)
        return contents

    def read_each(self, names: Sequence[str], most: int) -> list[bytes | Exception | None]:
        """Return the bytes of files, None for what is not there, or what keeps one from being read.

        Parameters
        ----------
        names : sequence of str
        most : int
            Bytes of the largest one that is read.
        """
        # All in local names: at 100,000 files, each look at a module or an object counts.
        folder, read, close, chunk = self._descriptor, os.read, os.close, _CHUNK
        enough = min(chunk, most + 1)
        paths = names if folder is not None else [f"{self._path}/{name}" for name in names]
        found: list[bytes | Exception | None] = []
        for path in paths:
            try:
                descriptor = os.open(path, _READ_FLAGS, dir_fd=folder)
            except FileNotFoundError:
                found.append(None)
                continue
            except OSError as error:
                found.append(self._no_value(os.path.basename(path), error))
                continue
            try:
                data = read(descriptor, chunk)
                if not 0 < len(data) < enough:
                    data = self._checked_whole(descriptor, os.path.basename(path), data, most)
                found.append(data)
            except (OSError, WorkbenchError) as error:
                found.append(self._no_value(os.path.basename(path), error))
            finally:
                close(descriptor)
        return found

    def read_starts(self, names: Sequence[str], length: int) -> list[bytes | Exception | None]:
        """Return the first bytes of files, or what `read_each` does instead."""
        folder = self._descriptor
        found: list[bytes | Exception | None] = []
        for name in names:
            path = name if folder is not None else f"{self._path}/{name}"
            try:
                descriptor = os.open(path, _READ_FLAGS, dir_fd=folder)
                try:
                    data = os.read(descriptor, length)
                    # A pipe gives nothing, and is not waited for.
                    if not data and not stat.S_ISREG(os.fstat(descriptor).st_mode):
                        raise refusal(f"{self._path}/{name}", "a file")
                    found.append(data)
                finally:
                    os.close(descriptor)
            except FileNotFoundError:
                found.append(None)
            except (OSError, WorkbenchError) as error:
                found.append(self._no_value(name, error))
        return found

    def existing(self, names: Sequence[str]) -> list[bool]:
        """Return whether anything, be it a link that leads nowhere, has each of the names."""
        folder = self._descriptor
        found = []
        for name in names:
            try:
                path = name if folder is not None else f"{self._path}/{name}"
                os.stat(path, dir_fd=folder, follow_symlinks=False)
                found.append(True)
            except FileNotFoundError:
                found.append(False)
        return found

    def _checked_whole(self, descriptor: int, name: str, data: bytes, most: int) -> bytes:
        """Return all of a file that is empty, large, or none, of which `data` is the beginning."""
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise refusal(f"{self._path}/{name}", "a file")
        if status.st_size > most:
            raise too_large(f"{self._path}/{name}", status.st_size, most)
        if not data:  # empty: there is nothing more to be asked for
            return b""
        # In one piece where that goes: two of a quarter of a gigabyte are too much to have at once.
        os.lseek(descriptor, 0, os.SEEK_SET)
        data = os.read(descriptor, status.st_size)
        parts = []
        while more := os.read(descriptor, _LARGE_CHUNK):
            parts.append(more)
        return b"".join([data, *parts]) if parts else data

    def _no_value(self, name: str, error: Exception) -> Exception | None:
        path = f"{self._path}/{name}"
        if isinstance(error, WorkbenchError) or not isinstance(error, OSError):
            return error
        if error.errno in _NO_FILE or isinstance(error, BlockingIOError):
            return refusal(path, "a file")
        return error

    def scan(self) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        """Return the entries, as `os.scandir` does; their ``stat`` needs the open folder."""
        return os.scandir(self._path if self._descriptor is None else self._descriptor)
