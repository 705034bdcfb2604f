"""Storage in plain files: a key is the path of a file below the root."""

from __future__ import annotations

import builtins
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np

from workbench.errors import (
    InvalidDatasetError,
    NotFoundError,
    WorkbenchError,
)
from workbench.persistence import links
from workbench.persistence.disk_errors import LEADS_NOWHERE
from workbench.persistence.storage.base import (
    MOST_BYTES,
    Head,
    Listing,
    Mark,
    Storage,
    Writer,
)
from workbench.persistence.storage.collector import paused_collector
from workbench.persistence.storage.keys import RESERVED, check_key
from workbench.persistence.storage.layout import Layout
from workbench.persistence.storage.local import inside
from workbench.persistence.storage.local.cloning import clone
from workbench.persistence.storage.local.journal import Journal
from workbench.persistence.storage.local.open_folder import OpenFolder, no_folder
from workbench.persistence.storage.local.remembered import Remembered
from workbench.persistence.storage.local.writer import LocalWriter
from workbench.persistence.yolo.names import HIDDEN

_UNFINISHED = ".tmp"
LEFTOVER_S = 3600
CLOCK_STEP_S = 0.02
"""The clock from which file systems take the time of a change makes steps of 1 to 10 ms.

Two changes within one step have the same time. So a time that is younger than this is not
taken before it is older: else the second of them would never be noticed.
"""
_PATIENCE = 10
"""So often a younger time is waited for; where somebody writes all the time, it is taken."""
_LOOK_AT_ALL_FROM = 64
"""From so many names in a folder on, a look at all that is in it costs less than one at each."""

# A folder and names in it that surely make keys: nearly all, and quickly told.
_PLAIN = re.compile(
    r"(?:\.?[A-Za-z0-9_][A-Za-z0-9_.\-]{0,100}/)*(?:[A-Za-z0-9_][A-Za-z0-9_.\-]{0,100}\n)+"
)

T = TypeVar("T")

_names = Remembered[list[str]]()
"""Names in our own folders, of which a save of one label file asks for those of the histories."""


class LocalStorage(Storage):
    """Keys below one folder. Cheap to make.

    Parameters
    ----------
    root : str
        An existing folder.
    layout : Layout
        What lies where in it.
    """

    __slots__ = ("journal", "layout", "where")

    def __init__(self, root: str, layout: Layout) -> None:
        self.where = root
        self.layout = layout
        self.journal = Journal(root, layout)

    def read_many(
        self, keys: Sequence[str], *, most: int = MOST_BYTES
    ) -> list[bytes | Exception | None]:
        """See `Storage.read_many`."""
        if len(keys) == 1:
            before, slash, name = keys[0].rpartition("/")
            return [*self._read_in(f"{before}{slash}", [name], most)]
        found: list[bytes | Exception | None] = []
        with paused_collector():
            for before, names in _by_folder(keys):
                found += self._read_in(before, names, most)
        return found

    def _read_in(
        self, before: str, names: Sequence[str], most: int
    ) -> Sequence[bytes | Exception | None]:
        """Read values of one folder, which is looked up once; if several, of plain names."""
        try:
            base, way = self._place(f"{before}{names[0]}")
        except WorkbenchError as error:
            return [error] * len(names)
        if self._is_shared(f"{before}{names[0]}"):
            return self._read_shared(before, names, lambda folder: folder.read_each(names, most))
        return inside.read_each(base, way.rpartition("/")[0], names, most=most)

    def read_starts(
        self, keys: Sequence[str], length: int
    ) -> builtins.list[bytes | Exception | None]:
        """See `Storage.read_starts`."""
        found: builtins.list[bytes | Exception | None] = []
        for before, names in _by_folder(keys):
            found += self._starts_in(before, names, length)
        return found

    def _starts_in(
        self, before: str, names: Sequence[str], length: int
    ) -> Sequence[bytes | Exception | None]:
        keys = [f"{before}{name}" for name in names]
        try:
            check_key(keys[0])
        except WorkbenchError as error:
            return [error]
        if self._is_shared(keys[0]):
            return self._read_shared(
                before, names, lambda folder: folder.read_starts(names, length)
            )
        return super().read_starts(keys, length)

    def _read_shared(
        self,
        before: str,
        names: Sequence[str],
        read: Callable[[OpenFolder], builtins.list[bytes | Exception | None]],
    ) -> builtins.list[bytes | Exception | None]:
        """Read values of one folder where links are followed."""
        try:
            with OpenFolder(f"{self.where}/{before}".rstrip("/")) as folder:
                return read(folder)
        except (FileNotFoundError, NotADirectoryError):
            return [None] * len(names)
        except (WorkbenchError, OSError) as error:
            return [error] * len(names)

    def _is_shared(self, key: str) -> bool:
        return key != "" and self.layout.shared(key.split("/"))

    def head(self, key: str) -> Head | None:
        """See `Storage.head`."""
        if self.layout.shared(check_key(key)):
            return self._shared_head(f"{self.where}/{key}")
        base, name = self._place(key)
        try:
            status = inside.status(base, name)
        except FileNotFoundError:
            return None
        if status is None:
            return None
        if stat.S_ISREG(status.st_mode):
            return Head(status.st_size, status.st_mtime_ns)
        raise inside.refusal(f"{base}/{name}", "an ordinary file")

    def _shared_head(self, path: str) -> Head | None:
        try:
            status = os.stat(path)
        except OSError as error:
            if error.errno not in LEADS_NOWHERE:
                raise
            return None
        if stat.S_ISREG(status.st_mode):
            return Head(status.st_size, status.st_mtime_ns)
        raise inside.refusal(path, "a file")

    def exists(self, key: str) -> bool:
        """See `Storage.exists`; a link that leads nowhere is something, too."""
        return os.path.lexists(self.path_of(key))

    def existing(self, keys: Sequence[str]) -> builtins.list[bool]:
        """See `Storage.existing`."""
        found: builtins.list[bool] = []
        for before, names in _by_folder(keys):
            if len(names) == 1:
                found.append(self.exists(f"{before}{names[0]}"))
                continue
            try:
                with OpenFolder(f"{self.where}/{before}") as folder:
                    found += folder.existing(names)
            except (FileNotFoundError, InvalidDatasetError):  # no such folder
                found += [False] * len(names)
        return found

    def list(self, folder: str = "") -> Listing:
        """See `Storage.list`."""
        names: list[str] = []
        sizes: list[int] = []
        stamps: list[int] = []
        folders: list[str] = []
        parts = check_key(folder) if folder else []
        if self._is_shared(folder):
            return self._list_shared(folder)
        may_link = self.layout.linked([*parts, "x", "x"]) > len(parts)
        base, name = self._place(f"{folder}/.probe") if folder else (self.where, ".probe")
        try:
            with (
                paused_collector(),
                inside.opened(base, name) as (last, descriptor),
                os.scandir(os.path.dirname(last) if descriptor is None else descriptor) as entries,
            ):
                for entry in entries:
                    if entry.is_file(follow_symlinks=False):
                        status = entry.stat(follow_symlinks=False)
                        names.append(entry.name)
                        sizes.append(status.st_size)
                        stamps.append(status.st_mtime_ns)
                    elif not entry.name.startswith(".") and entry.is_dir(follow_symlinks=may_link):
                        folders.append(entry.name)
        except (FileNotFoundError, NotADirectoryError):
            pass
        listing = Listing(names, np.array(sizes, np.int64), np.array(stamps, np.int64), folders)
        return _without_own(listing) if folder == HIDDEN else listing

    def _list_shared(self, folder: str) -> Listing:
        names: list[str] = []
        sizes: list[int] = []
        stamps: list[int] = []
        folders: list[str] = []
        odd: list[str] = []
        try:
            with (
                paused_collector(),
                OpenFolder(f"{self.where}/{folder}") as opened,
                opened.scan() as entries,
            ):
                for entry in entries:
                    try:
                        status = entry.stat()
                    except OSError as error:
                        if error.errno not in LEADS_NOWHERE:
                            raise
                        continue
                    if stat.S_ISREG(status.st_mode):
                        names.append(entry.name)
                        sizes.append(status.st_size)
                        stamps.append(status.st_mtime_ns)
                    elif not stat.S_ISDIR(status.st_mode):
                        odd.append(entry.name)
                    elif not entry.name.startswith("."):
                        folders.append(entry.name)
        except FileNotFoundError:
            pass
        columns = (np.array(sizes, np.int64), np.array(stamps, np.int64))
        return Listing(names, *columns, folders, odd)

    def marks(self, folder: str) -> dict[str, Mark]:
        """See `Storage.marks`; another program may give a file the time of the one before it."""
        path = self.path_of(folder) if folder else self.where
        with suppress(FileNotFoundError), os.scandir(path) as entries:
            inodes = {entry.name: entry.inode() for entry in entries}
            return {
                name: (size, stamp, inodes.get(name, 0))
                for name, (size, stamp, _) in super().marks(folder).items()
            }
        return {}

    def names(self, folder: str) -> builtins.list[str]:
        """See `Storage.names`."""
        if folder.startswith(f"{HIDDEN}/"):
            return self._hidden_names(folder)
        if not self._is_shared(folder):
            return self._own_names(folder)
        path = self.path_of(folder)
        try:
            return os.listdir(path)
        except FileNotFoundError:
            return []
        except NotADirectoryError:
            raise no_folder(path) from None

    def _hidden_names(self, folder: str) -> builtins.list[str]:
        """Return what is in a folder of our own; a save of labels asks for that each time."""
        path = self.path_of(folder)
        with suppress(OSError):  # a link is none that was looked through
            known = _names.get(path, os.lstat(path))
            if known is not None:
                return known.copy()
        try:
            with inside.opened(self.where, f"{folder}/.probe") as (_, descriptor):
                if descriptor is None:
                    return sorted(os.listdir(path))
                status, found = os.fstat(descriptor), sorted(os.listdir(descriptor))
        except FileNotFoundError:
            return []
        _names.keep(path, status, found.copy())
        return found

    def _own_names(self, folder: str) -> builtins.list[str]:
        if folder in ("", HIDDEN):  # what is the backend's own is left out there
            return self.list(folder).names
        try:
            with inside.opened(*self._place(f"{folder}/.probe")) as (last, descriptor):
                return os.listdir(os.path.dirname(last) if descriptor is None else descriptor)
        except (FileNotFoundError, NotADirectoryError):
            return []

    def outside(self, keys: Iterable[str]) -> builtins.list[str]:
        """See `Storage.outside`."""
        found: builtins.list[str] = []
        for folder, names in _names_in(keys).items():
            path = self.path_of(folder) if folder else self.where
            if folder and links.leads_astray(self.where, path):
                found.append(folder)
            for name in _links_among(path, names):
                key = f"{folder}/{name}".lstrip("/")
                if links.leads_astray(self.where, self.path_of(key)):
                    found.append(key)
        return found

    def touched(self, keys: Sequence[str]) -> builtins.list[str]:
        """See `Storage.touched`.

        Every change that Workbench makes is a rename, which its folder tells; so do those of
        other programs that add, remove, rename or replace files.
        """
        found: builtins.list[str] = []
        for _ in range(_PATIENCE):
            states = [self._status(key) for key in keys]
            found = [
                "-" if state is None else f"{state.st_ino}.{state.st_size}.{state.st_mtime_ns}"
                for state in states
            ]
            youngest = max((state.st_mtime_ns for state in states if state is not None), default=0)
            # A time in the future (another machine's clock) is as good as an old one.
            if not 0 <= (time.time_ns() - youngest) / 1e9 < CLOCK_STEP_S:
                break
            time.sleep(CLOCK_STEP_S)
        return found

    def changed_ns(self, keys: Sequence[str]) -> int:
        """See `Storage.changed_ns`; also of what was removed, which its folder tells."""
        states = [self._status(key) for key in keys]
        return max((state.st_mtime_ns for state in states if state is not None), default=0)

    def _status(self, key: str) -> os.stat_result | None:
        try:
            if not key:
                return os.stat(self.where)
            return os.stat(self.path_of(key), follow_symlinks=self._is_shared(key))
        except OSError:
            return None

    def file_paths(self, keys: Sequence[str]) -> builtins.list[str]:
        """See `Storage.file_paths`."""
        known: dict[str, tuple[str, frozenset[str]]] = {}
        paths = []
        for key in keys:
            folder, _, name = key.rpartition("/")
            if folder not in known:
                known[folder] = self._real_folder(folder)
            path, linked = known[folder]
            full = f"{path}/{name}"
            paths.append(os.path.realpath(full) if name in linked else full)
        return paths

    def _real_folder(self, folder: str) -> tuple[str, frozenset[str]]:
        """Return where a folder really lies, and which names in it are links to be followed."""
        if not self._is_shared(folder):
            return f"{self.where}/{folder}".rstrip("/"), frozenset()
        path = os.path.realpath(f"{self.where}/{folder}")
        with suppress(FileNotFoundError), os.scandir(path) as entries:
            return path, frozenset(entry.name for entry in entries if entry.is_symlink())
        return path, frozenset()

    @contextmanager
    def open_read(self, key: str) -> Iterator[BinaryIO]:
        """See `Storage.open_read`."""
        if self._is_shared(key):
            with self._open_shared(key) as file:
                yield file
            return
        try:
            with (
                inside.reading(*self._place(key)) as descriptor,
                os.fdopen(descriptor, "rb", closefd=False) as file,
            ):
                yield file
        except FileNotFoundError as error:
            if isinstance(error, NotFoundError):
                raise
            raise self.missing(key) from None

    @contextmanager
    def _open_shared(self, key: str) -> Iterator[BinaryIO]:
        path = self.path_of(key)
        if self._shared_head(path) is None:
            raise self.missing(key)
        with open(path, "rb", buffering=0) as file:
            yield file

    @contextmanager
    def lease(self) -> Iterator[Writer]:
        """See `Storage.lease`."""
        with self.journal.locked():
            writer = LocalWriter(self)
            try:
                yield writer
            finally:
                writer.sweep()

    def keep(self, key: str, data: bytes) -> None:
        """See `Storage.keep`."""
        folder = key.rpartition("/")[0]
        base, name = self._place(key)
        for left in self.list(folder).names:
            if left.endswith(_UNFINISHED):
                self._remove_leftover(f"{folder}/{left}".lstrip("/"))
        inside.replace(base, name, data)

    def _remove_leftover(self, key: str) -> None:
        """Remove what a process that died while it kept something has left behind."""
        head = self.head(key)
        if head is not None and int(head.stamp) < time.time_ns() - LEFTOVER_S * 1_000_000_000:
            inside.remove(*self._place(key))

    def consistently(self, work: Callable[[], T]) -> T:
        """See `Storage.consistently`."""
        return self.journal.consistently(work)

    def copy_out(self, key: str, path: Path | str) -> None:
        """See `Storage.copy_out`."""
        with self.open_read(key) as original:
            clone(original, os.fspath(path))

    def local_path(self, key: str) -> Path:
        """See `Storage.local_path`."""
        return Path(self.path_of(key))

    def path_of(self, key: str) -> str:
        """Return the path of what is at a key; raises what `check_key` raises."""
        return f"{self.where}/{'/'.join(check_key(key))}"

    def _place(self, key: str) -> tuple[str, str]:
        """Return the folder from which on no link is followed, and the rest of the way."""
        parts = check_key(key)
        linked = min(self.layout.linked(parts), len(parts) - 1)
        return "/".join([self.where, *parts[:linked]]), "/".join(parts[linked:])


def _names_in(keys: Iterable[str]) -> dict[str, list[str]]:
    """Return keys by the folders that they are in."""
    found: dict[str, list[str]] = {}
    for key in keys:
        folder, _, name = key.rpartition("/")
        found.setdefault(folder, []).append(name)
    return found


def _links_among(path: str, names: Sequence[str]) -> list[str]:
    """Return which of some things in a folder are links."""
    if len(names) < _LOOK_AT_ALL_FROM:
        return [name for name in names if os.path.islink(f"{path}/{name}")]
    wanted = frozenset(names)
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(path) as entries:
        return [entry.name for entry in entries if entry.is_symlink() and entry.name in wanted]
    return []


def _by_folder(keys: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield what comes before the last part of some keys, and their last parts.

    Several at once only where all are surely keys, and have no other way than their folder.
    """
    if not keys:
        return
    before = keys[0][: keys[0].rfind("/") + 1]
    # One look at all of them together: at 100,000 keys, each call counts.
    lines = "\n".join(("", *keys))
    if lines.count(f"\n{before}") == len(keys):
        together = lines.replace(f"\n{before}", "\n")[1:]
        names = together.split("\n")
        if len(names) == len(keys) and _is_plain(before, together):
            yield before, names
            return
    for before, group in groupby(keys, lambda key: key[: key.rfind("/") + 1]):
        names = [key[len(before) :] for key in group]
        if _is_plain(before, "\n".join(names)):
            yield before, names
        else:
            yield from ((before, [name]) for name in names)


def _is_plain(before: str, names: str) -> bool:
    return before != f"{HIDDEN}/" and bool(_PLAIN.fullmatch(f"{before}{names}\n"))


def _without_own(listing: Listing) -> Listing:
    """Leave out of the hidden folder what is the backend's own there."""
    own = [f"{HIDDEN}/{name}" in RESERVED for name in listing.names]
    kept = np.flatnonzero(~np.array(own, bool))
    return Listing(
        [listing.names[place] for place in kept],
        listing.sizes[kept],
        listing.stamps[kept],
        [name for name in listing.folders if f"{HIDDEN}/{name}" not in RESERVED],
    )
