"""Changes of several files that happen as a whole or not at all, across crashes.

A transaction goes through four steps, and a crash between any two of them is repaired by
the next process that opens the dataset:

1. New contents are written below ``.workbench/tx/<id>/`` and forced to disk.
2. ``plan.json``, the list of renames to do, is written there atomically. This is the
   moment at which the change has happened.
3. The renames are done, in order. Each is safe to repeat: one whose source is gone has
   been done already.
4. The folders touched are forced to disk and ``.workbench/tx`` is removed.

A crash before step 2 leaves a folder without a plan, which is thrown away. A crash after
it leaves a plan, which is carried out, whoever wrote it, if it is one that we could have
written (see `plans`); any other is set aside. All of this happens under the dataset's lock,
so whoever holds the lock knows that what lies in ``tx`` or ``tmp`` is a leftover.

Readers take no lock: nobody shall wait for a thumbnail because somebody else saves a box.
Instead a counter in ``.workbench/generation`` is made odd before step 3 and even after it.
A reader that finds it changed has looked at a half-done change, and looks again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from workbench.errors import InvalidDatasetError, NotFoundError, WorkbenchError
from workbench.persistence.filesystem import inside, plans
from workbench.persistence.filesystem.atomic import (
    fsync_folder,
    remove_file,
    remove_tree,
    rename,
    replace_file,
    sync_tree,
    temporary_name,
    write_new,
)
from workbench.persistence.filesystem.lock import exclusive, making
from workbench.persistence.filesystem.paths import HIDDEN, HIDDEN_FILES, HIDDEN_FOLDERS

_ONE_SYNC_FROM = 32
"""From this many files on, one sync of the file system costs less than one for each file."""

_TOGETHER_FROM = 4
"""From this many files on, threads to write them are worth their while."""

_WRITERS = 8

_LOOKS = 8
"""How often a reader looks again before it takes the lock."""

T = TypeVar("T")


@dataclass(slots=True)
class Transaction:
    """A set of file changes below one root; build it up, then let the journal commit it."""

    root: str
    _folder: str
    _plan: list[tuple[str, str]] = field(default_factory=list)
    _staged: dict[str, bytes] = field(default_factory=dict)

    def write(self, path: str, data: bytes) -> None:
        """Let the file at `path` (absolute, below the root) hold `data`."""
        name = f"{len(self._staged)}"
        self._staged[name] = data
        self._plan.append((os.path.relpath(f"{self._folder}/{name}", self.root), self._rel(path)))

    def rename(self, source: str, target: str) -> None:
        """Let what is at `source` be at `target`, replacing a file there."""
        self._plan.append((self._rel(source), self._rel(target)))

    def remove(self, path: str) -> None:
        """Let there be nothing at `path`."""
        # Into the transaction's own folder, which goes when all is done.
        gone = os.path.relpath(f"{self._folder}/gone-{len(self._plan)}", self.root)
        self._plan.append((self._rel(path), gone))

    def _rel(self, path: str) -> str:
        return path[len(self.root) + 1 :]


class Journal:
    """The lock and the pending transactions of one folder (a dataset, or a folder of models).

    Parameters
    ----------
    root : str
        The folder that is guarded; what is ours lies in its hidden folder.
    place_of : callable
        What a plan may name there: `plans.place_in_dataset` or `plans.place_in_models`.
    """

    __slots__ = ("_hidden", "_place_of", "_root", "_tx", "tmp")

    def __init__(self, root: str, place_of: plans.PlaceOf) -> None:
        self._root = root
        self._place_of = place_of
        self._hidden = f"{root}/{HIDDEN}"
        self._tx = f"{self._hidden}/tx"
        self.tmp = f"{self._hidden}/tmp"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Exclude all other writers, with leftovers of dead ones repaired first.

        Raises
        ------
        NotFoundError
            If the root is gone, or goes while we wait for the lock.
        ReadOnlyError
            If nothing may be written there.
        InvalidDatasetError
            If its hidden folder, or the lock in it, is a link or no such thing at all.
        """
        with ExitStack() as held:
            try:
                # A dataset made by hand or by another tool has no hidden folder yet.
                with making(self._root), inside.opened(self._root, f"{HIDDEN}/lock", make=True):
                    held.enter_context(exclusive(f"{self._hidden}/lock"))
            except (FileNotFoundError, NotADirectoryError):
                raise self._gone() from None
            self._repair()
            yield

    def _gone(self) -> NotFoundError:
        return NotFoundError(f"{self._root} is not there: deleted or renamed meanwhile?")

    def consistently(self, work: Callable[[], T]) -> T:
        """Return ``work()``, which only reads, as of a moment when no change was half done.

        `work` is called again if a change of several files came in between.
        """
        for _ in range(_LOOKS):
            before = self._settled_generation()
            try:
                result = work()
            except (WorkbenchError, OSError):
                if self._generation() == before:
                    raise
                continue
            if self._generation() == before:
                return result
        with self.locked():
            return work()

    def _settled_generation(self) -> int:
        generation = self._generation()
        if generation % 2 or inside.exists(self._root, f"{HIDDEN}/tx"):
            # A change is under way, or was when its process died: wait for it or repair it.
            with self.locked():
                return self._generation()
        return generation

    def _generation(self) -> int:
        try:
            with inside.reading(self._root, f"{HIDDEN}/generation") as descriptor:
                return int.from_bytes(os.read(descriptor, 8), "little")
        except (FileNotFoundError, InvalidDatasetError):
            # What is no file of ours counts nothing; the next writer sets it aside.
            return 0

    def _set_generation(self, generation: int) -> None:
        with inside.writing(self._root, f"{HIDDEN}/generation") as descriptor:
            os.write(descriptor, generation.to_bytes(8, "little"))

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Collect changes and commit them at the end of the block. Needs the lock.

        Nothing happens if the block raises.
        """
        transaction = Transaction(self._root, temporary_name(self._tx))
        yield transaction
        self._commit(transaction)

    def write(self, path: str, data: bytes) -> None:
        """Replace one file; one rename is atomic by itself and needs no plan. Needs the lock."""
        replace_file(path, data, self.tmp)

    def _commit(self, transaction: Transaction) -> None:
        if not transaction._plan:
            return
        folder = transaction._folder
        # What could not be completed after a crash is not begun either.
        plans.checked(transaction._plan, os.path.basename(folder), self._place_of)
        os.makedirs(folder)
        try:
            staged = [(f"{folder}/{name}", data) for name, data in transaction._staged.items()]
            if len(staged) > _ONE_SYNC_FROM:
                for path, data in staged:
                    write_new(path, data, sync=False)
                sync_tree(folder)
            else:
                _write_together(staged)
            plan = json.dumps(transaction._plan).encode()
            write_new(f"{folder}/plan.tmp", plan)
            fsync_folder(folder)
            os.replace(f"{folder}/plan.tmp", f"{folder}/plan.json")
            fsync_folder(folder)
            fsync_folder(self._tx)
        except BaseException:
            remove_tree(folder)
            raise
        self._apply(folder, transaction._plan, self._move)
        # Removed when empty, so that a reader needs one look to know that all is settled.
        os.rmdir(self._tx)

    def _apply(
        self, folder: str, plan: list[tuple[str, str]], move: Callable[[str, str], None]
    ) -> None:
        touched: set[str] = set()
        self._set_generation(self._generation() | 1)
        for source, target in plan:
            try:
                move(source, target)
            except FileNotFoundError:
                # Done before the crash that we are repairing, or removed by another
                # program after the plan was checked; either way the rest still holds.
                continue
            ends = (f"{self._root}/{source}", f"{self._root}/{target}")
            touched.update(map(os.path.dirname, ends))
        for path in touched:
            if path != folder:
                fsync_folder(path)
        remove_file(f"{folder}/plan.json")
        self._set_generation(self._generation() + 1)
        remove_tree(folder)

    def _move(self, source: str, target: str) -> None:
        """Carry out a step of a plan that was made here, also where the user has links."""
        source, target = f"{self._root}/{source}", f"{self._root}/{target}"
        os.makedirs(os.path.dirname(target), exist_ok=True)
        rename(source, target)

    def _move_inside(self, source: str, target: str) -> None:
        """Carry out a step of a plan that was found here: through no link."""
        inside.rename(self._root, source, target)

    def _repair(self) -> None:
        inside.put_in_order(self._root, HIDDEN, HIDDEN_FOLDERS, HIDDEN_FILES)
        if os.path.lexists(self._tx):
            for name in inside.names(self._root, f"{HIDDEN}/tx"):
                self._finish(name)
            os.rmdir(self._tx)
        generation = self._generation()
        if generation % 2:
            self._set_generation(generation + 1)
        inside.empty(self._root, f"{HIDDEN}/tmp")

    def _finish(self, name: str) -> None:
        """Complete a change that a crash left behind, if one of ours can have been that."""
        folder = f"{HIDDEN}/tx/{name}"
        try:
            plan = self._read_plan(name, f"{folder}/plan.json")
            if plan is None:
                inside.remove(self._root, folder)
            else:
                self._apply(f"{self._root}/{folder}", plan, self._move_inside)
        except InvalidDatasetError as error:
            inside.set_aside(self._root, HIDDEN, folder, f"no change of ours: {error}")

    def _read_plan(self, name: str, path: str) -> plans.Plan | None:
        try:
            content = inside.read_json(self._root, path, "the plan of a change")
        except FileNotFoundError:  # the change was not committed
            return None
        plan = plans.checked(content, name, self._place_of)
        plans.require_possible(self._root, plan, self._place_of)
        return plan


def _write_together(files: list[tuple[str, bytes]]) -> None:
    """Write new files and force them to disk.

    From several threads at once: the file system's own journal then commits them together,
    where one after the other each would wait for a commit of its own.
    """
    if len(files) < _TOGETHER_FROM:
        for path, data in files:
            write_new(path, data)
        return
    with ThreadPoolExecutor(_WRITERS, thread_name_prefix="journal") as pool:
        for _ in pool.map(write_new, *zip(*files, strict=True)):
            pass
