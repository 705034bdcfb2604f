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
from pathlib import Path
from types import TracebackType
from typing import Self

from workbench.errors import ArchiveError, NotFoundError
from workbench.persistence.archive.directory import Member, is_litter
from workbench.persistence.archive.format import BLOCK_BYTES, MOST_LEVELS, STORED
from workbench.persistence.disk_errors import LEADS_NOWHERE
from workbench.persistence.links import leads_astray, remedy
from workbench.persistence.yolo.names import HIDDEN

_SHOWN = 500
_KEPT_IN_HIDDEN = frozenset({"history", "sources", "suggestions"})


class Folder:
    """What `Archive` is for a zip file; a context manager for symmetry.

    Parameters
    ----------
    path : Path or str
    members : list of Member
    notes : list of str
        What could not be looked at.
    modified : list of int
        When each member was written to, in nanoseconds; empty if nobody has looked.
    """

    def __init__(
        self, path: Path, members: list[Member], notes: list[str], modified: Sequence[int] = ()
    ) -> None:
        self.path = path
        self.members = members
        self.notes = notes
        self.modified = modified

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
        members: list[Member] = []
        modified: list[int] = []
        dangling: list[str] = []
        outside: list[str] = []
        for name, full, leads_away in _walk(os.path.realpath(path), "", frozenset()):
            if leads_away:
                outside.append(name)
                continue
            try:
                status = os.stat(full)
            except OSError as error:
                if error.errno not in LEADS_NOWHERE:
                    raise _unreadable(Path(full), "file", error) from error
                dangling.append(name)
                continue
            size = status.st_size
            members.append(Member(name, b"", STORED, 0, size, size, 0, 0, is_litter(name)))
            modified.append(status.st_mtime_ns)
        notes = []
        if dangling:
            notes.append(
                f"{len(dangling)} links lead to files that are not there and were left out, "
                f"such as {dangling[0]!r}"
            )
        if outside:
            notes.append(
                f"{len(outside)} links lead out of the folder and were left out, such as "
                f"{outside[0]!r}. {remedy(os.fspath(path))}"
            )
        return cls(path, members, notes, modified)

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


def opened_file(path: str, flags: int) -> int:
    """Open an ordinary file and return its descriptor.

    Raises
    ------
    OSError
        If it cannot be opened, or is none: a pipe would be waited for, and a device may have
        no end.
    """
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "a folder")
        raise OSError(errno.EINVAL, "a pipe, a folder or a device")
    return descriptor


def _walk(
    root: str, prefix: str, above: frozenset[tuple[int, int]]
) -> Iterator[tuple[str, str, bool]]:
    """Yield name and path of all files, sorted, and whether a link leads out of the root there.

    A link to a folder above leads nowhere new; one out of the root is not gone into.
    """
    folder = f"{root}/{prefix}".rstrip("/")
    if prefix.count("/") > MOST_LEVELS:
        raise ArchiveError(
            f"{folder[:_SHOWN]}...: expected at most {MOST_LEVELS} folders in one another, found "
            f"more; nothing was imported, so leave them out, or move the images up"
        )
    try:
        status = os.stat(folder)
        here = (status.st_dev, status.st_ino)
        if here in above:
            return
        with os.scandir(folder) as entries:
            found = sorted((e.name, _is_folder(e), e.is_symlink()) for e in entries)
    except OSError as error:
        raise _unreadable(Path(folder), "folder", error) from error
    for name, is_folder, is_link in found:
        path = f"{folder}/{name}"
        if is_folder and (name == "__MACOSX" or not _is_looked_into(name, prefix)):
            continue
        if is_link and os.path.exists(path) and leads_astray(root, path):
            yield prefix + name, path, True
        elif is_folder:
            yield from _walk(root, f"{prefix}{name}/", above | {here})
        else:
            yield prefix + name, path, False


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
