"""The storage contract: keys with bytes, and what can be done with them.

Everything that Workbench keeps (images, label files, weights, tags, histories) are bytes under
keys. A key looks like a path that leads downwards: ``images/train/a.jpg``. Whoever can keep such
keys can keep everything: the stores are written once, over this contract.

A backend fills in two classes. `Storage` is what anybody may do at any time: look and read.
`Writer` is what the one who holds the lease may do: change. All methods are synchronous and are
called in threads, from several at once; what costs a round trip has a form for many keys.
"""

from __future__ import annotations

import builtins
import hashlib
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt

from workbench.errors import (
    PASSING,
    InvalidDatasetError,
    NotFoundError,
    WorkbenchError,
)
from workbench.persistence.storage.keys import check_key, parts_of

UNFINISHED_S = 2 * 24 * 3600
"""After so many seconds what somebody has begun to build, and left, is removed by who comes by."""
MOST_BYTES = 1 << 28
"""The largest value that is read as a whole unless the caller says otherwise."""

T = TypeVar("T")

Stamp = int | str
"""Changes when the bytes change. Stamps are compared with each other, and nothing else."""

Mark = tuple[int, Stamp, int]
"""Size and stamp of a value, and which one it is where another may come with the same of both."""


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of a value without reading it."""

    size: int
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies in a folder, in columns; their order means nothing.

    Parameters
    ----------
    names : list of str
        Of the values directly in the folder, without the folder in front.
    sizes : ndarray of int64
    stamps : ndarray
        Of int64, or of texts.
    folders : list of str
        Names of the folders directly in it, without those that begin with a dot.
    odd : list of str
        Names of what is neither, where there can be such a thing: a pipe. Not everywhere looked
        for.
    """

    names: list[str]
    sizes: npt.NDArray[np.int64]
    stamps: npt.NDArray[Any]
    folders: list[str]
    odd: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, folder: str, rows: Iterable[tuple[str, int, Stamp]]) -> Listing:
        """Make the listing of a folder from ``(key, size, stamp)`` of all that lies below it.

        For backends that keep no folders: rows that lie elsewhere are left out.
        """
        prefix = f"{folder}/" if folder else ""
        names: builtins.list[str] = []
        sizes: builtins.list[int] = []
        stamps: builtins.list[Stamp] = []
        folders: dict[str, None] = {}
        for key, size, stamp in rows:
            if not key.startswith(prefix):
                continue
            first, slash, _ = key[len(prefix) :].partition("/")
            if not slash:
                names.append(first)
                sizes.append(size)
                stamps.append(stamp)
            elif not first.startswith("."):
                folders[first] = None
        return cls(names, np.array(sizes, np.int64), np.array(stamps), [*folders])


@dataclass(frozen=True, slots=True)
class Staged:
    """Bytes that a backend holds already, and that a `Write` gives their key.

    Parameters
    ----------
    token : str
        The backend's own.
    size : int
    sha256 : str
    stamp : int or str
        Which the value will have under its key, unless it replaces another; ``""`` if the backend
        cannot say so beforehand.
    """

    token: str
    size: int
    sha256: str
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Write:
    """Write `data` under `key`, replacing what is there.

    Parameters
    ----------
    key : str
    data : bytes or Staged
    if_stamp : int or str, optional
        Only if what is there has still this stamp; else the commit raises `ConflictError`.
    if_absent : bool
        Only if nothing is there; else the commit raises `AlreadyExistsError`.
    """

    key: str
    data: bytes | Staged
    if_stamp: Stamp | None = None
    if_absent: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """Move what is at `source`, or all that lies below it, to `target`, which must be free."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Copy:
    """Write under `target`, replacing what is there, the bytes of the value at `source`.

    Neither follows the other afterwards, also where other programs write into the files
    themselves: a backend may let both share their space, but never be one file.
    """

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove what is at `key` and all that lies below it; it is no error if nothing is there."""

    key: str


@dataclass(frozen=True, slots=True)
class Append:
    """Append `data` to the log at `key`, which is made if it is not there.

    Parameters
    ----------
    key : str
    data : bytes
    durable : bool
        Whether it survives a power cut once the commit has returned.
    """

    key: str
    data: bytes
    durable: bool = True


Change = Write | Copy | Move | Remove | Append
"""What a commit is made of."""


class Writer(ABC):
    """What the holder of a lease may do; see `Storage.lease`."""

    @abstractmethod
    def stage(self, stream: BinaryIO) -> Staged:
        """Take in the rest of a stream, which may be larger than the memory.

        It has no key yet; what no commit of the same lease has given one is gone afterwards.
        """

    @abstractmethod
    def commit(self, changes: Sequence[Change]) -> None:
        """Make changes, one after the other: all of them or none.

        Nobody ever sees some of them. When this returns, they survive a crash of the machine.
        When it raises, or the process dies in it, nothing has happened.

        Raises
        ------
        ConflictError
            If something has another stamp than a `Write` says.
        AlreadyExistsError
            If something is where a `Write` or a `Move` says that nothing is.
        NotFoundError
            If nothing is at the source of a `Move`, or no value at that of a `Copy`.
        InvalidDatasetError
            If a key is none.
        ReadOnlyError
            If nothing may be changed here.
        """

    def fill(self, values: Sequence[Write]) -> None:
        """Write values below a root that nobody looks at yet, without any condition.

        They survive a crash of the machine when this returns; when it raises, some may be there.
        A backend whose commits cost more than so many writes does it without one.
        """
        self.commit(values)

    def purge(self, keys: Sequence[str]) -> None:
        """Remove what is at some keys and below them, to make room.

        As a commit of `Remove` does it. A backend that needs room to prepare a commit does it
        also where there is none; what is at one key then still goes as a whole.
        """
        self.commit([Remove(key) for key in keys])


class Storage(ABC):
    """Keys with bytes below one root: a dataset, or a folder of models.

    A key is made of names joined by ``/``; no name is empty, ``.`` or ``..``. Some keys are the
    backends' own, see `keys.RESERVED`.
    """

    where: str
    """What to call the place in a message: a path, an address."""

    longest_log: int | None = None
    """Bytes after which a log goes on under another key, where an append writes all of it."""

    is_far: bool = False
    """Whether reading takes so long that nobody shall be kept from writing meanwhile; a
    `consistently` of such a one sees also a commit of a single value."""

    @abstractmethod
    def read_many(
        self, keys: Sequence[str], *, most: int = MOST_BYTES
    ) -> builtins.list[bytes | Exception | None]:
        """Return the bytes of many keys, in their order.

        None stands for what is not there. What cannot be read, has more than `most` bytes, or is
        no key, is the exception that says why, so that one does not keep us from the others.

        Raises
        ------
        UnreachableError, BusyError, StorageError
            If the place does not answer, or knows us no more: that is the matter with no value, and
            who is told it of one takes it for damaged.
        """

    @abstractmethod
    def head(self, key: str) -> Head | None:
        """Return size and stamp of a value, None if it is not there.

        Values below a key are no value at it: None. A backend in which folders are things
        of their own, as on a disk, may raise; then `touched` and `changed_ns` are its own, too.

        Raises
        ------
        InvalidDatasetError
            If the key is none, or something else than a value is there, as on a disk.
        """

    @abstractmethod
    def list(self, folder: str = "") -> Listing:
        """Return what lies directly in a folder; nothing if it is not there.

        Parameters
        ----------
        folder : str
            A key, or ``""`` for the root.
        """

    @abstractmethod
    def open_read(self, key: str) -> AbstractContextManager[BinaryIO]:
        """Open a value that may be larger than the memory; it can be read and sought in.

        Raises
        ------
        NotFoundError
            If it is not there.
        """

    @abstractmethod
    def lease(self) -> AbstractContextManager[Writer]:
        """Exclude all other writers, of whatever thread, process or machine, for a block.

        A block must not ask for a second lease. A holder that dies loses it.

        Raises
        ------
        BusyError
            If somebody else holds it for very long.
        ReadOnlyError
            If nothing may be changed here.
        """

    @abstractmethod
    def consistently(self, work: Callable[[], T]) -> T:
        """Return ``work()``, which only reads, as of a moment between two commits.

        `work` may be called several times.
        """

    def ahead(self, keys: Sequence[str] = (), folders: Sequence[str] = ()) -> None:
        """Say within a `consistently` what will be read and listed there, in whatever order.

        A backend that is far asks for all of it at once; others do nothing.
        """
        del keys, folders

    def names(self, folder: str) -> builtins.list[str]:
        """Return the names of what lies directly in a folder, in any order, without their facts.

        Folders and other things than values may be among them.
        """
        return self.list(folder).names

    def read_starts(
        self, keys: Sequence[str], length: int
    ) -> builtins.list[bytes | Exception | None]:
        """Return the first bytes of many values, in their order.

        Parameters
        ----------
        keys : sequence of str
        length : int
            So many of each, or all if it has fewer.

        Returns
        -------
        list
            As of `read_many`, which also says what is raised.
        """
        found: builtins.list[bytes | Exception | None] = []
        for key in keys:
            try:
                with self.open_read(key) as stream:
                    found.append(stream.read(length))
            except NotFoundError:
                found.append(None)
            except PASSING:
                raise
            except (WorkbenchError, OSError) as error:
                found.append(error)
        return found

    def marks(self, folder: str) -> dict[str, Mark]:
        """Return by name what tells each value directly in a folder from any other.

        A backend whose stamps are times, which another value may come with, says more here.
        """
        listing = self.list(folder)
        columns = zip(listing.names, listing.sizes.tolist(), listing.stamps.tolist(), strict=True)
        return {name: (size, stamp, 0) for name, size, stamp in columns}

    def outside(self, keys: Iterable[str]) -> builtins.list[str]:
        """Return those keys, or their folders, that lead to where nobody said that they may.

        What lies there is read, and not passed on, see `links`. Most backends have none.
        """
        return []

    def touched(self, keys: Sequence[str]) -> builtins.list[str]:
        """Return of each key what differs after each change of its value.

        Of a folder, or ``""`` for the root, after each change of what lies directly in it. A
        backend that can tell it of a folder without a look at each value does so.
        """
        return [self._touched(key) for key in keys]

    def _touched(self, key: str) -> str:
        head = self.head(key) if key else None
        if head is not None:
            return f"{head.size}.{head.stamp}"
        listing = self.list(key)
        rows = sorted(zip(listing.names, listing.stamps.tolist(), strict=True))
        found = repr((rows, sorted(listing.folders))).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(found, digest_size=12).hexdigest()

    def changed_ns(self, keys: Sequence[str]) -> int:
        """Return when one of some values, or of those in some folders, was last changed.

        In nanoseconds since the epoch; 0 if nobody knows.
        """
        stamps: builtins.list[Stamp] = []
        for key in keys:
            head = self.head(key)
            stamps += self.list(key).stamps.tolist() if head is None else [head.stamp]
        return max((stamp for stamp in stamps if isinstance(stamp, int)), default=0)

    def file_paths(self, keys: Sequence[str]) -> builtins.list[str] | None:
        """Return the paths of the files of many values, through no link; None if there are none.

        For who reads all of them: what is put there meanwhile and is a link is not to be followed.
        """
        return None

    def local_path(self, key: str) -> Path | None:
        """Return the path of the file that holds the value; None where there is no such file.

        It need not be there. Nobody writes to it.
        """
        return None

    def read(self, key: str, *, most: int = MOST_BYTES) -> bytes:
        """Return the bytes of one key.

        Raises
        ------
        NotFoundError
            If it is not there.
        """
        (content,) = self.read_many([key], most=most)
        if content is None:
            raise self.missing(key)
        if isinstance(content, Exception):
            raise content
        return content

    def exists(self, key: str) -> bool:
        """Whether anything is at a key, or below it.

        Raises
        ------
        WorkbenchError
            If it cannot be told: what is not seen is neither there nor missing.
        """
        check_key(key)
        try:
            if self.head(key) is not None:
                return True
        except InvalidDatasetError:  # no value, but something
            return True
        below = self.list(key)
        return bool(below.names or below.folders)

    def existing(self, keys: Sequence[str]) -> builtins.list[bool]:
        """Return of many keys what `exists` says of each."""
        return [self.exists(key) for key in keys]

    def commit(self, changes: Sequence[Change]) -> None:
        """Make changes under a lease of their own; see `Writer.commit`."""
        with self.lease() as writer:
            writer.commit(changes)

    def transact(
        self,
        decide: Callable[[], tuple[Sequence[Change], T]],
        *,
        values: Sequence[str] = (),
        heads: Sequence[str] = (),
        checks: Sequence[Callable[[], None]] = (),
    ) -> T:
        """Decide on changes, make them, and return what was decided besides.

        Between what `decide` reads and what is changed nobody else changes anything. A backend
        that can do it without a lease calls `decide` once more when somebody was faster.

        Parameters
        ----------
        decide : callable
            Only reads; returns the changes, and what this shall return.
        values, heads : sequence of str
            What it will read, and look at: a backend may ask for all of it at once.
        checks : sequence of callable
            Look elsewhere, before `decide` is called or again, and raise if nothing shall be done.

        Raises
        ------
        WorkbenchError
            What `decide`, `lease` and `Writer.commit` raise.
        """
        with self.lease() as writer:
            for check in checks:
                check()
            changes, result = decide()
            writer.commit(changes)
        return result

    def keep(self, key: str, data: bytes) -> None:
        """Write under a key what was derived from other values and can be derived again.

        It is there as a whole or not at all, but need not survive a power cut. A backend should
        not wait for the holder of the lease, if it can do without.
        """
        self.commit([Write(key, data)])

    def copy_out(self, key: str, path: Path | str) -> None:
        """Make a new file with the bytes of a value, where nothing is.

        It is a copy, which may share its space with the value.

        Raises
        ------
        NotFoundError
            If the value is not there.
        """
        with self.open_read(key) as source, open(path, "xb") as target:
            shutil.copyfileobj(source, target)

    def copy_out_many(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Do what `copy_out` does for keys, each with a path; a backend may do many at once."""
        for key, path in pairs:
            self.copy_out(key, path)

    def materialise(self, keys: Sequence[str], folder: Path) -> builtins.list[Path]:
        """Write a file ``folder/<key>`` with the bytes of each key, and return the paths.

        For those who need real files. They are copies: whoever writes to one changes nothing
        here.

        Raises
        ------
        NotFoundError
            If a value is not there.
        """
        paths = [folder.joinpath(*parts_of(key)) for key in keys]
        unfinished = [path.with_name(f"{path.name}.part") for path in paths]
        for part in unfinished:
            part.parent.mkdir(parents=True, exist_ok=True)
            part.unlink(missing_ok=True)
        self.copy_out_many([(key, str(part)) for key, part in zip(keys, unfinished, strict=True)])
        for part, path in zip(unfinished, paths, strict=True):
            part.replace(path)
        return paths

    def missing(self, key: str) -> NotFoundError:
        """Return the error for a key that is not there."""
        return NotFoundError(f"{self.where}/{key} is not there: deleted or renamed meanwhile?")
