"""The renames of a plan, forwards and back.

What a step replaces is kept as ``old-<number>`` in the folder of the transaction, as a second
name of the same file where the file system can do that. Going back asks the disk alone how
far things went, and may itself be cut off and done again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol

from workbench.persistence import links
from workbench.persistence.storage.local import atomic, inside
from workbench.persistence.storage.local.plans import Plan, Step
from workbench.persistence.yolo.names import HIDDEN


class Files(Protocol):
    """What is done to files below a root; all names are relative to it."""

    root: str

    def exists(self, name: str) -> bool:
        """Whether anything is there, be it a link that leads nowhere."""

    def mode_of(self, name: str) -> int:
        """Return the mode of what is there, of a link its own; 0 if nothing is."""

    def rename(self, source: str, target: str, copy: str) -> None:
        """Rename, with missing folders made; by way of `copy` from one disk to another."""

    def remove(self, name: str) -> None:
        """Remove a file if it is there."""

    def shorten(self, name: str, size: int) -> None:
        """Cut what an existing file has more than `size` bytes."""

    def same(self, first: str, second: str) -> bool:
        """Whether both are files with the same bytes."""


class OwnFiles:
    """For a plan that was made here: also where the user has links to other disks."""

    def __init__(self, root: str) -> None:
        self.root = root

    def exists(self, name: str) -> bool:
        """See `Files.exists`."""
        return self.mode_of(name) != 0

    def mode_of(self, name: str) -> int:
        """See `Files.mode_of`."""
        try:
            return os.lstat(f"{self.root}/{name}").st_mode
        except (FileNotFoundError, NotADirectoryError):
            return 0

    def rename(self, source: str, target: str, copy: str) -> None:
        """See `Files.rename`."""
        paths = [f"{self.root}/{name}" for name in (source, target, copy)]
        try:
            atomic.rename(*paths)
        except FileNotFoundError:
            if os.path.isdir(os.path.dirname(paths[1])):
                raise
            os.makedirs(os.path.dirname(paths[1]), exist_ok=True)
            atomic.rename(*paths)

    def remove(self, name: str) -> None:
        """See `Files.remove`."""
        atomic.remove_file(f"{self.root}/{name}")

    def shorten(self, name: str, size: int) -> None:
        """See `Files.shorten`."""
        path = f"{self.root}/{name}"
        if os.path.getsize(path) > size:
            os.truncate(path, size)

    def same(self, first: str, second: str) -> bool:
        """See `Files.same`."""
        return atomic.same_bytes(f"{self.root}/{first}", f"{self.root}/{second}")


class FoundFiles:
    """For a plan that was found: through no link, wherever a stranger may have put one."""

    def __init__(self, root: str) -> None:
        self.root = root

    def exists(self, name: str) -> bool:
        """See `Files.exists`."""
        return self.mode_of(name) != 0

    def mode_of(self, name: str) -> int:
        """See `Files.mode_of`."""
        return inside.mode_of(self.root, name)

    def rename(self, source: str, target: str, copy: str) -> None:
        """See `Files.rename`."""
        inside.rename(self.root, source, target)

    def remove(self, name: str) -> None:
        """See `Files.remove`."""
        if inside.exists(self.root, name):
            inside.remove(self.root, name)

    def shorten(self, name: str, size: int) -> None:
        """See `Files.shorten`."""
        with inside.writing(self.root, name) as descriptor:
            if os.fstat(descriptor).st_size > size:
                os.ftruncate(descriptor, size)

    def same(self, first: str, second: str) -> bool:
        """See `Files.same`."""
        return (
            inside.is_file(self.root, first)
            and inside.is_file(self.root, second)
            and inside.read(self.root, first) == inside.read(self.root, second)
        )


class LinkedFiles(OwnFiles):
    """For a plan that was found and goes through links: only through those that are followed.

    In our own folder it goes through none.
    """

    def mode_of(self, name: str) -> int:
        """See `Files.mode_of`."""
        self._require_own(name)
        return super().mode_of(name)

    def rename(self, source: str, target: str, copy: str) -> None:
        """See `Files.rename`."""
        self._require_own(source, target, copy)
        super().rename(source, target, copy)

    def remove(self, name: str) -> None:
        """See `Files.remove`."""
        self._require_own(name)
        super().remove(name)

    def shorten(self, name: str, size: int) -> None:
        """See `Files.shorten`."""
        self._require_own(name)
        super().shorten(name, size)

    def same(self, first: str, second: str) -> bool:
        """See `Files.same`."""
        self._require_own(first, second)
        return super().same(first, second)

    def _require_own(self, *names: str) -> None:
        for name in names:
            if name.startswith(f"{HIDDEN}/"):
                inside.mode_of(self.root, name)  # raises if a link is on the way
            else:
                links.require_own(self.root, [f"{self.root}/{name}"])


def files_found(root: str, plan: Plan) -> Files:
    """Return what carries out a plan that was found, whoever wrote it."""
    real = os.path.realpath(root)
    folders = {_parent(name) for step in plan.steps for name in (step.source, step.target)}
    is_linked = any(
        os.path.realpath(f"{root}/{folder}") != os.path.normpath(f"{real}/{folder}")
        for folder in folders
        if not folder.startswith(HIDDEN)
    )
    return LinkedFiles(root) if is_linked else FoundFiles(root)


def occupied(root: str, renames: Iterable[tuple[str, str]]) -> dict[int, str]:
    """Return the numbers of those renames that replace a file, and where that lies now.

    Parameters
    ----------
    root : str
    renames : iterable of (str, str)
        Source and target, relative to `root`, in the order in which they will be done.
    """
    # Where what will be at a path lies by now; None where there will be nothing.
    origins: dict[str, str | None] = {}
    found = {}
    for number, (source, target) in enumerate(renames):
        here = origins.get(target, target)
        if here is not None and source != target and _is_file(f"{root}/{here}"):
            found[number] = here
        origins[target] = origins.get(source, source)
        origins[source] = None
    return found


def _is_file(path: str) -> bool:
    # A folder cannot be replaced by a rename, unless it is empty.
    return os.path.lexists(path) and (os.path.islink(path) or not os.path.isdir(path))


def carry_out(files: Files, folder: str, plan: Plan) -> None:
    """Do all steps, and force the folders to disk.

    Parameters
    ----------
    files : Files
    folder : str
        Of the transaction, relative to the root.
    plan : Plan
    """
    _do(files, folder, list(enumerate(plan.steps)))


def carry_on(files: Files, folder: str, plan: Plan) -> None:
    """Do those steps that a process which died has not done: of a plan without a way back."""
    # A source that is gone has been renamed; one that is there may have come since.
    refilled: set[str] = set()
    waiting = []
    for number, step in reversed(list(enumerate(plan.steps))):
        if files.exists(step.source) and step.source not in refilled:
            waiting.append((number, step))
        else:
            refilled.add(step.target)
    _do(files, folder, waiting[::-1])


def _do(files: Files, folder: str, steps: Iterable[tuple[int, Step]]) -> None:
    touched: set[str] = set()
    for number, (source, target, _) in steps:
        try:
            files.rename(source, target, _copy_name(folder, number, target))
        except FileNotFoundError:
            if files.exists(source):
                raise
            # Removed by another program after the plan was made; the rest still holds.
            continue
        touched.update((_parent(source), _parent(target)))
    _sync(files, touched - {folder})


def _copy_name(folder: str, number: int, target: str) -> str:
    """Return the hidden name of a copy that a rename from one disk to another needs."""
    return f"{_parent(target)}/.{os.path.basename(folder)}-{number}".lstrip("/")


def _parent(name: str) -> str:
    return name.rpartition("/")[0]


def take_back(files: Files, folder: str, plan: Plan) -> None:
    """Restore what was there before the plan; can be repeated if it was interrupted.

    Parameters
    ----------
    files : Files
    folder : str
        Of the transaction, relative to the root.
    plan : Plan
    """
    for name, size in plan.appended:
        shorten(files, name, size)
    touched: set[str] = set()
    for number, step in reversed(list(enumerate(plan.steps))):
        if _take_back(files, folder, number, step):
            touched.update((_parent(step.source), _parent(step.target)))
    for name in reversed(plan.made):
        with suppress(OSError):  # somebody else has put something there, or it never was made
            os.rmdir(f"{files.root}/{name}")
    _sync(files, touched - {folder})


def shorten(files: Files, name: str, size: int | None) -> None:
    """Cut a log to its old length; None removes it."""
    if size is None:
        files.remove(name)
    elif files.exists(name):
        files.shorten(name, size)


def _take_back(files: Files, folder: str, number: int, step: Step) -> bool:
    """Undo one step as far as it was done; return whether there was anything to undo."""
    source, target, replaces = step
    old = f"{folder}/old-{number}"
    copy, copy_back = (_copy_name(folder, number, end) for end in (target, source))
    files.remove(copy)
    files.remove(copy_back)
    if replaces:
        if not files.exists(old):  # brought back already
            return False
        if _parent(source) != folder and not files.exists(source):
            files.rename(target, source, copy_back)
        files.rename(old, target, copy)
        return True
    if not files.exists(target):
        return False
    if not files.exists(source):
        files.rename(target, source, copy_back)
    elif files.same(source, target):
        # Copied to another disk, and not yet removed here.
        files.remove(target)
    return True


def _sync(files: Files, folders: Iterable[str]) -> None:
    for name in folders:
        path = f"{files.root}/{name}".rstrip("/")
        if os.path.isdir(path):
            atomic.fsync_folder(path)
