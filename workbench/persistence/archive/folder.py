"""A folder on this machine as if it were an archive of itself.

Links are followed within the folder. What they lead to outside is left out, see `links`, unless
the user has said that they are his own: then datasets of links to a shared store come in as files.
Nothing is ever written here.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Self

from workbench.errors import ArchiveError, NotFoundError
from workbench.persistence.archive.directory import Member, is_litter
from workbench.persistence.archive.format import BLOCK_BYTES, MOST_LEVELS, STORED
from workbench.persistence.counting import counted
from workbench.persistence.disk_errors import LEADS_NOWHERE
from workbench.persistence.links import leads_astray, remedy_of_folder
from workbench.persistence.yolo.names import HIDDEN

_SHOWN = 500
_BLOCK_BYTES = 2**20
_NO_WAITING = getattr(os, "O_NONBLOCK", 0)
_READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | _NO_WAITING
_KEPT_IN_HIDDEN = frozenset({"history", "sources", "suggestions"})


class Folder:
    """What `Archive` is for a zip file; a context manager for symmetry.

    Parameters
    ----------
    path : Path or str
    members : list of Member
    modified : list of int
        When each member was written to, in nanoseconds; empty if nobody has looked.
    dangling, outside : list of str
        Links that were left out: to what is not there, and out of the folder.
    """

    def __init__(
        self,
        path: Path,
        members: list[Member],
        modified: Sequence[int] = (),
        *,
        dangling: Sequence[str] = (),
        outside: Sequence[str] = (),
    ) -> None:
        self.path = path
        self.root = str(path)
        self.members = members
        self.modified = modified
        self.dangling = dangling
        self.outside = outside

    @property
    def notes(self) -> list[str]:
        """What was not looked at, and what to do about it."""
        notes = []
        if self.dangling:
            notes.append(_left_out(self.dangling, "to files that are not there"))
        if self.outside:
            note = _left_out(self.outside, "out of the folder")
            notes.append(f"{note}. {self.remedy}")
        return notes

    @property
    def remedy(self) -> str:
        """What to do about links that lead out of the folder; empty if there are none."""
        return remedy_of_folder(os.fspath(self.path)) if self.outside else ""

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """List all files below a folder.

        Raises
        ------
        NotFoundError
            If there is no such folder.
        ArchiveError
            If a folder in it may not be listed.
        """
        path = Path(path).expanduser()
        if not path.is_dir():
            raise NotFoundError(
                f"{path}: expected a folder with a dataset, found "
                f"{'a file' if path.exists() else 'nothing'}; check the path"
            )
        found = _Listing(os.path.realpath(path))
        found.go_down("", frozenset())
        return cls(
            *(path, found.members, found.modified),
            dangling=found.dangling,
            outside=found.outside,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Do nothing: no file is open between two calls."""

    def check(self, member: Member) -> int:
        """Do nothing: there is nothing about a file that could contradict its listing."""
        return 0

    def read(self, member: Member) -> bytes:
        """Return a file's contents.

        Raises
        ------
        ArchiveError
            If it may not be read, or is gone.
        """
        return b"".join(self.chunks(member))

    def chunks(self, member: Member) -> Iterator[bytes]:
        """Yield a file's contents in blocks; raises as `read` does."""
        path = self.path / member.name
        try:
            with open(path, "rb", buffering=0, opener=opened_file) as file:
                while block := file.read(BLOCK_BYTES):
                    yield block
        except OSError as error:
            raise _unreadable(path, "file", error) from error

    def beginning(self, member: Member, length: int, *, whole: bool = False) -> bytes:
        """Return the beginning of a file.

        Parameters
        ----------
        member : Member
        length : int
            How much of it.
        whole : bool
            Whether a file that is longer is read to its end.

        Raises
        ------
        ArchiveError
            If it may not be read, is gone, or is no file any more.
        """
        try:
            descriptor = self._opened(member)
            try:
                data = os.read(descriptor, (length or 1) + whole)
                if not data or len(data) != min(length, member.size):
                    _require_file(descriptor)  # it is not what was listed
                while whole and len(data) > length and (more := os.read(descriptor, _BLOCK_BYTES)):
                    data += more
                return data
            finally:
                os.close(descriptor)
        except OSError as error:
            raise self._not_read(member, error) from error

    def ends(self, member: Member, length: int, last: int) -> tuple[bytes, bytes]:
        """Return the beginning of a file and at least its last bytes; raises as `beginning` does.

        Parameters
        ----------
        member : Member
        length : int
            How much of the beginning.
        last : int
            How much of the end, which has to be less.
        """
        try:
            descriptor = self._opened(member)
            try:
                head = os.read(descriptor, length)
                if len(head) != min(length, member.size):
                    _require_file(descriptor)
                if member.size <= length:
                    return head, head
                os.lseek(descriptor, max(member.size - last, 0), os.SEEK_SET)
                return head, os.read(descriptor, last)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise self._not_read(member, error) from error

    def _opened(self, member: Member) -> int:
        # Joined and opened without pathlib and file objects: there are 100,000 of them.
        return os.open(f"{self.root}/{member.name}", _READ)

    def _not_read(self, member: Member, error: OSError) -> ArchiveError:
        return ArchiveError(
            f"{self.root}/{member.name}: expected a file that can be read, found: "
            f"{error.strerror}; see to it and import again"
        )


def _left_out(links: Sequence[str], where: str) -> str:
    lead = counted(len(links), "link leads", "links lead")
    were = "was" if len(links) == 1 else "were"
    return f"{lead} {where} and {were} left out, such as {links[0]!r}"


def member_of(name: str, size: int) -> Member:
    """Return what a folder's listing has of a file."""
    # Without the call of the class, which takes three times as long.
    return tuple.__new__(Member, (name, b"", STORED, 0, size, size, 0, 0, is_litter(name)))


def opened_file(path: str, flags: int) -> int:
    """Open an ordinary file and return its descriptor.

    Raises
    ------
    OSError
        If it cannot be opened, or is none: a pipe would be waited for, and a device may have
        no end.
    """
    descriptor = os.open(path, flags | _NO_WAITING)
    try:
        _require_file(descriptor)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _require_file(descriptor: int) -> None:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "a folder")
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "a pipe, a folder or a device")


class _Listing:
    """What lies below a folder, sorted, folder by folder."""

    def __init__(self, root: str) -> None:
        self._root = root
        self.members: list[Member] = []
        self.modified: list[int] = []
        self.dangling: list[str] = []
        self.outside: list[str] = []

    def go_down(self, prefix: str, above: frozenset[tuple[int, int]]) -> None:
        """List a folder and those below it.

        A link to a folder above leads nowhere new; one out of the root is not gone into.
        """
        folder = f"{self._root}/{prefix}".rstrip("/")
        if prefix.count("/") > MOST_LEVELS:
            raise ArchiveError(
                f"{folder[:_SHOWN]}...: expected at most {MOST_LEVELS} folders in one another, "
                f"found more; nothing was imported, so leave them out, or move the images up"
            )
        with ExitStack() as held:
            try:
                status = os.stat(folder)
                here = (status.st_dev, status.st_ino)
                if here in above:
                    return
                found = sorted(_entries(folder, held), key=attrgetter("name"))
            except OSError as error:
                raise _unreadable(Path(folder), "folder", error) from error
            self._take(prefix, found, above | {here})

    def _take(
        self, prefix: str, found: list[os.DirEntry[str]], above: frozenset[tuple[int, int]]
    ) -> None:
        for entry in found:
            name, is_folder = entry.name, _is_folder(entry)
            path = prefix + name
            if is_folder and (name == "__MACOSX" or not _is_looked_into(name, prefix)):
                continue
            if entry.is_symlink():
                place = f"{self._root}/{path}"
                if os.path.exists(place) and leads_astray(self._root, place):
                    self.outside.append(path)
                    continue
            if is_folder:
                self.go_down(f"{path}/", above)
                continue
            try:
                status = entry.stat()
            except OSError as error:
                if error.errno not in LEADS_NOWHERE:
                    raise _unreadable(Path(f"{self._root}/{path}"), "file", error) from error
                self.dangling.append(path)
                continue
            self.members.append(member_of(path, status.st_size))
            self.modified.append(status.st_mtime_ns)


def _entries(folder: str, held: ExitStack) -> Iterator[os.DirEntry[str]]:
    """Return what lies in a folder, which is held open: so each status costs one look-up less."""
    if os.scandir not in os.supports_fd:  # Windows
        return held.enter_context(os.scandir(folder))
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    held.callback(os.close, descriptor)
    return held.enter_context(os.scandir(descriptor))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links that lead round in circles
        return False


def _is_looked_into(name: str, prefix: str) -> bool:
    # Our own hidden folder holds versions and a trash, others' hold whole environments.
    if prefix.endswith(f"{HIDDEN}/"):
        return name in _KEPT_IN_HIDDEN
    return name == HIDDEN or not name.startswith(".")


def _unreadable(path: Path, what: str, error: OSError) -> ArchiveError:
    return ArchiveError(
        f"{path}: expected a {what} that can be read, found: {error.strerror}; nothing was "
        f"imported, so see to it and import again"
    )
