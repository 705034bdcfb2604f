"""Changes of several files that happen as a whole or not at all, across crashes and errors.

A transaction goes through five steps:

1. New contents are written below ``.workbench/tx/<id>/``, and what will be replaced gets a
   second name there.
2. ``plan.json`` (see `plans`) is written there. All of this is forced to disk.
3. The files are renamed and appended to, and the folders touched are forced to disk.
4. ``plan.json`` is removed. This, once it is on disk, is the moment at which the change has
   happened.
5. ``.workbench/tx`` is removed.

An error before step 4 is answered by going back at once: what raised did not happen. A plan
that is found later is of a process that died, or that could not go back either (the disk
became read-only): it is taken back by whoever holds the lock next, whoever wrote it, if it
is one that we could have written (see `plans`); any other is set aside. All of this happens
under the dataset's lock, so whoever holds the lock knows that what lies in ``tx`` or ``tmp``
is a leftover.

One label file, the most frequent change, goes without a plan: its rename is the moment. The
history gets its line before that, and the name of the temporary file says how long the
history was, so that it is shortened again if the rename never came.

Readers take no lock, so that nobody waits for a thumbnail while somebody else saves a box.
Instead a counter in ``.workbench/generation`` is odd while a change is under way. A reader
that finds it changed has looked at a half-done change, and looks again. Where nothing may be
written, an unfinished change cannot be taken back; then readers take the files as they are.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import BinaryIO, TypeVar

from workbench.errors import InvalidDatasetError, NotFoundError, WorkbenchError, plain_words
from workbench.persistence import links
from workbench.persistence.storage.base import Append, Change, Copy, Move, Remove, Staged, Write
from workbench.persistence.storage.keys import check_key
from workbench.persistence.storage.layout import Layout
from workbench.persistence.storage.local import carrying_out, inside, plans
from workbench.persistence.storage.local.atomic import (
    REPLACED,
    Folder,
    fsync_folder,
    opened_folder,
    place_file,
    remove_file,
    remove_tree,
    second_name,
    telling_of,
    temporary_name,
    unique_name,
    write_new,
)
from workbench.persistence.storage.local.carrying_out import FoundFiles, OwnFiles
from workbench.persistence.storage.local.cloning import clone
from workbench.persistence.storage.local.held import COUNTER_BYTES, Held, held_open, look_through
from workbench.persistence.storage.local.lock import exclusive, making, shared
from workbench.persistence.storage.local.plans import Plan, Step
from workbench.persistence.storage.local.syncing import sync_tree
from workbench.persistence.yolo.names import HIDDEN

_log = logging.getLogger(__name__)

_ONE_SYNC_FROM = 32
"""From this many files on, one sync of the file system costs less than one for each file."""

_TOGETHER_FROM = 4
"""From this many files on, threads to write them are worth their while."""

_WRITERS = 8

_LOOKS = 8
"""How often a reader looks again before it takes the lock."""

# Name of a temporary file for whose rename a log has got longer: the log, and its old length.
_LOGGED = re.compile(r".+@(history|sources)@([0-9]{4}-[0-9]{2}\.jsonl)@([0-9]+|new)")

T = TypeVar("T")
Opener = Callable[[], AbstractContextManager[BinaryIO]]


@dataclass(slots=True)
class Transaction:
    """A set of file changes below one root; build it up, then let the journal commit it."""

    root: str
    _folder: str
    _renames: list[tuple[str, str]] = field(default_factory=list)
    _staged: dict[str, bytes | Opener] = field(default_factory=dict)
    _appended: list[Append] = field(default_factory=list)

    def write(self, path: str, data: bytes | Opener) -> None:
        """Write `data`, or what can be opened, to the file at `path` (absolute, below the root)."""
        name = f"{len(self._staged)}"
        self._staged[name] = data
        self._renames.append((self._rel(f"{self._folder}/{name}"), self._rel(path)))

    def rename(self, source: str, target: str) -> None:
        """Move what is at `source` to `target`, replacing a file there."""
        self._renames.append((self._rel(source), self._rel(target)))

    def remove(self, path: str) -> None:
        """Remove what is at `path`."""
        # Into the transaction's own folder, which goes when all is done.
        gone = self._rel(f"{self._folder}/gone-{len(self._renames)}")
        self._renames.append((self._rel(path), gone))

    def add(self, *changes: Change) -> None:
        """Let changes of the storage contract be made, one after the other."""
        for change in changes:
            match change:
                case Write(key, Staged(token)):
                    self.rename(token, self._path(key))
                case Write(key, bytes() as data):
                    self.write(self._path(key), data)
                case Move(source, target):
                    self.rename(self._path(source), self._path(target))
                case Remove(key):
                    self.remove(self._path(key))
                case Append(key):
                    check_key(key)
                    self._appended.append(change)
                case Copy():
                    raise TypeError("a copy is added with what opens its source")

    def copy(self, source: bytes | Opener, target: str) -> None:
        """Write bytes, or those of what can be opened, under the key `target`."""
        self.write(self._path(target), source)

    def _path(self, key: str) -> str:
        return f"{self.root}/{'/'.join(check_key(key))}"

    def _rel(self, path: str) -> str:
        return path[len(self.root) + 1 :]


@dataclass(frozen=True, slots=True)
class _New:
    """A file that is to be written, in a folder held open.

    `replaced_ns` is the time of the one that it replaces.
    """

    folder: Folder
    name: str
    data: bytes
    replaced_ns: int | None

    def write_to(self, tmp: Folder, temporary: str) -> None:
        """Write it to where it has no name yet by which anybody knows it."""
        where = tmp.at(temporary)
        write_new(where, self.data, folder=tmp.descriptor, replaced_ns=self.replaced_ns)


class Journal:
    """The lock and the pending transactions of one folder (a dataset, or a folder of models).

    Parameters
    ----------
    root : str
        The folder that is guarded; what is ours lies in its hidden folder.
    layout : Layout
        What a plan may name there.
    """

    __slots__ = ("_held", "_hidden", "_layout", "_root", "_tx", "tmp")

    def __init__(self, root: str, layout: Layout) -> None:
        self._root = root
        self._layout = layout
        self._hidden = f"{root}/{HIDDEN}"
        self._tx = f"{self._hidden}/tx"
        self.tmp = f"{self._hidden}/tmp"
        self._held: Held | None = None

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
            with making(self._root):
                try:
                    hidden = held.enter_context(
                        exclusive(f"{self._hidden}/lock", reach=self._reach)
                    )
                except (FileNotFoundError, NotADirectoryError):
                    raise self._gone() from None
                unfinished = look_through(self._root, hidden)
                self._held = held.enter_context(held_open(self._root, hidden))
                held.callback(self._let_go)
                self._repair(unfinished)
            yield

    def _reach(self) -> AbstractContextManager[tuple[str, int | None]]:
        # A dataset made by hand or by another tool has no hidden folder yet.
        return inside.opened(self._root, f"{HIDDEN}/lock", make=True)

    def _let_go(self) -> None:
        self._held = None

    @property
    def held(self) -> Held:
        """What is open while the lock is held."""
        assert self._held is not None, "the lock is not held"
        return self._held

    def _gone(self) -> NotFoundError:
        return NotFoundError(f"{self._root} is not there: deleted or renamed meanwhile?")

    def consistently(self, work: Callable[[], T]) -> T:
        """Return ``work()``, which only reads, as of a moment when no change was half done.

        `work` is called again if a change of several files came in between.
        """
        for _ in range(_LOOKS):
            before = self._generation()
            if before % 2 or inside.exists(self._root, f"{HIDDEN}/tx"):
                # A change is under way, or was when its process died: wait for it or repair it.
                if not self._repaired():
                    return self._as_it_is(work)
                continue
            try:
                result = work()
            except (WorkbenchError, OSError):
                if self._generation() == before:
                    raise
                continue
            if self._generation() == before:
                return result
        with ExitStack() as held:
            try:
                held.enter_context(self.locked())
            except NotFoundError:
                raise
            except OSError:
                held.enter_context(shared(f"{self._hidden}/lock"))
            return work()

    def _repaired(self) -> bool:
        try:
            with self.locked():
                return True
        except NotFoundError:
            raise
        except OSError as error:
            _tell_once(
                f"{self._root}: a change that was cut off cannot be taken back, because nothing "
                f"can be written there; it is read as it is, half changed ({plain_words(error)})"
            )
            return False

    def _as_it_is(self, work: Callable[[], T]) -> T:
        """Read without a repair, while no living process is at work."""
        with shared(f"{self._hidden}/lock"):
            return work()

    def _generation(self) -> int:
        try:
            with inside.reading(self._root, f"{HIDDEN}/generation") as descriptor:
                return int.from_bytes(os.read(descriptor, COUNTER_BYTES), "little")
        except (FileNotFoundError, InvalidDatasetError):
            # What is no file of ours is not counted; the next writer sets it aside.
            return 0

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Collect changes and commit them at the end of the block. Needs the lock.

        Nothing happens if the block or the commit raises.

        Raises
        ------
        ReadOnlyError
            If something may not be written.
        InvalidDatasetError
            If links lead out of the root, see `links`.
        """
        transaction = Transaction(self._root, temporary_name(self._tx))
        yield transaction
        if transaction._renames or transaction._appended:
            with making(self._root):
                self._commit(transaction)

    def write(
        self,
        path: str,
        data: bytes,
        log: Append | None = None,
        *,
        replaced_ns: int | None = None,
    ) -> None:
        """Replace one file; one rename is atomic by itself and needs no plan. Needs the lock.

        Parameters
        ----------
        path : str
            Its folder is made if it is not there.
        data : bytes
        log : Append, optional
            What a log shall say of it.
        replaced_ns : int, optional
            The time of the file that is replaced; the new one gets another one.

        Raises
        ------
        ReadOnlyError
            If it may not be written; then it is what it was.
        """
        with making(self._root), telling_of(path), self._opened(path) as folder:
            new = _New(folder, os.path.basename(path), data, replaced_ns)
            if log is None:
                self._write_unlogged(new)
            else:
                with self._opened_log(log.key) as descriptor:
                    self._write_logged(new, log, descriptor)

    def _write_unlogged(self, new: _New) -> None:
        tmp, temporary = self.held.tmp, unique_name()
        self.held.left += [temporary, f"{temporary}{REPLACED}"]
        new.write_to(tmp, temporary)
        place_file(tmp, temporary, new.folder, new.name)

    def _write_logged(self, new: _New, log: Append, descriptor: int | None) -> None:
        size = None if descriptor is None else os.fstat(descriptor).st_size
        kind, month = log.key.split("/")[-2:]
        temporary = f"{unique_name()}@{kind}@{month}@{'new' if size is None else size}"
        held = self.held
        held.left.append(f"{temporary}{REPLACED}")
        try:
            new.write_to(held.tmp, temporary)
            settle = held.begin()
            if descriptor is None:
                self._append(log)
            else:
                inside.write_on(descriptor, log.data, sync=log.durable)
            # One file is new as a whole or not at all, so nobody needs to look again.
            place_file(held.tmp, temporary, new.folder, new.name, placed=lambda: settle(0))
        except BaseException:
            with self._fenced():
                carrying_out.shorten(OwnFiles(self._root), log.key, size)
                held.tmp.remove(temporary)
                held.begin()(2)
            raise

    @contextmanager
    def _opened_log(self, name: str) -> Iterator[int | None]:
        """Hold a log open that gets longer; None if it is not there, or no file of ours."""
        try:
            descriptor = inside.open_to_append(
                self._hidden,
                name.removeprefix(f"{HIDDEN}/"),
                make=False,
                start=self.held.hidden.descriptor,
            )
        except (FileNotFoundError, InvalidDatasetError):
            yield None
            return
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def _opened(self, path: str) -> Iterator[Folder]:
        """Hold the folder of a file open that is to be written; it is made if need be."""
        name, parent = self._rel(path), os.path.dirname(path)
        with ExitStack() as held:
            try:
                _, descriptor = held.enter_context(inside.opened(self._root, name, make=True))
                folder = Folder(parent, descriptor)
            except InvalidDatasetError:
                if name.startswith(f"{HIDDEN}/"):
                    raise
                # A link of the user's own, to a place inside or to one that he agreed to.
                links.require_own(self._root, [path])
                folder = held.enter_context(opened_folder(parent))
            yield folder

    def _append(self, log: Append) -> None:
        try:
            inside.append(self._root, log.key, log.data, sync=log.durable)
        except InvalidDatasetError as error:
            # A link or a pipe in the place of the log must not stop the change.
            inside.set_aside(self._root, HIDDEN, log.key, str(error))
            inside.append(self._root, log.key, log.data, sync=log.durable)

    def _size(self, name: str) -> int | None:
        """Return the length of a log; None if it is not there, or no file of ours."""
        try:
            status = inside.status(self._root, name)
        except InvalidDatasetError:
            return None
        return status.st_size if status is not None and stat.S_ISREG(status.st_mode) else None

    def _rel(self, path: str) -> str:
        return path[len(self._root) + 1 :]

    @contextmanager
    def _fenced(self) -> Iterator[None]:
        """Go back; what cannot be done now is left to whoever holds the lock next."""
        try:
            yield
        except OSError as error:
            _log.warning("%s: the next to open it takes a change back: %s", self._root, error)

    def _commit(self, transaction: Transaction) -> None:
        folder = transaction._folder
        names = {name for way in transaction._renames for name in way}
        own = f"{HIDDEN}/"
        links.require_own(self._root, [f"{self._root}/{n}" for n in names if not n.startswith(own)])
        inside.clear_way(
            self._root, HIDDEN, {os.path.dirname(n) for n in names if n.startswith(own)}
        )
        replaced = carrying_out.occupied(self._root, transaction._renames)
        plan = self._planned(transaction, replaced)
        # A change that could not be taken back after a crash is not started.
        plans.require_plausible(plan, os.path.basename(folder), self._layout)
        try:
            os.makedirs(folder)
            self._stage(transaction, plan, replaced)
            settle = self.held.begin()
        except BaseException:
            with self._fenced():
                self._discard(folder)
            raise
        try:
            for log in transaction._appended:
                self._append(log)
            carrying_out.carry_out(OwnFiles(self._root), self._rel(folder), plan)
            os.rename(f"{folder}/plan.json", f"{folder}/done.json")
            fsync_folder(folder)
        except BaseException:
            with self._fenced():
                self._take_back(folder, plan)
                settle(2)
            raise
        settle(2)
        steps = len(plan.steps) + len(plan.appended)
        _log.debug("%s: transaction %s of %d steps", self._root, os.path.basename(folder), steps)
        # The change has happened. The next to hold the lock removes what is left here.
        with suppress(OSError):
            self._discard(folder)

    def _planned(self, transaction: Transaction, replaced: Collection[int]) -> Plan:
        made: dict[str, None] = {}
        known: set[str] = set()
        logs = [log.key for log in transaction._appended]
        for path in (*(target for _, target in transaction._renames), *logs):
            parent, missing = os.path.dirname(path), []
            while parent and parent not in known:
                known.add(parent)
                if os.path.isdir(f"{self._root}/{parent}"):
                    break
                missing.append(parent)
                parent = os.path.dirname(parent)
            made |= dict.fromkeys(reversed(missing))
        own = transaction._rel(transaction._folder)
        return Plan(
            [Step(*way, number in replaced) for number, way in enumerate(transaction._renames)],
            [(name, self._size(name)) for name in logs],
            [path for path in made if path not in (own, os.path.dirname(own))],
        )

    def _stage(self, transaction: Transaction, plan: Plan, replaced: Mapping[int, str]) -> None:
        """Write everything that the change needs, the plan last, and force it to disk."""
        folder = transaction._folder
        written: list[tuple[str, bytes]] = []
        copied: list[tuple[str, Opener]] = []
        for name, data in transaction._staged.items():
            if isinstance(data, bytes):
                written.append((f"{folder}/{name}", data))
            else:
                copied.append((f"{folder}/{name}", data))
        sync = len(written) + len(copied) <= _ONE_SYNC_FROM
        if sync:
            _write_together(written)
        else:
            for path, data in written:
                write_new(path, data, sync=False)
        for path, source in copied:
            with source() as original:
                clone(original, path, sync=sync)
        if not sync:
            sync_tree(folder)
        for number, path in replaced.items():
            second_name(f"{self._root}/{path}", f"{folder}/old-{number}")
        write_new(f"{folder}/plan.tmp", plan.to_bytes())
        os.rename(f"{folder}/plan.tmp", f"{folder}/plan.json")
        for path in (folder, self._tx, self._hidden):
            fsync_folder(path)

    def _take_back(self, folder: str, plan: Plan) -> None:
        if not os.path.lexists(f"{folder}/plan.json"):
            os.rename(f"{folder}/done.json", f"{folder}/plan.json")
        carrying_out.take_back(OwnFiles(self._root), self._rel(folder), plan)
        self._discard(folder)

    def _discard(self, folder: str) -> None:
        """Remove a transaction's folder; the plan first, which says that there is work to do."""
        if remove_file(f"{folder}/plan.json"):
            fsync_folder(folder)
        remove_tree(folder)
        # Removed when empty, so that a reader needs one look to know that all is settled.
        with suppress(OSError):
            os.rmdir(self._tx)

    def _repair(self, unfinished: bool) -> None:
        """Take back what others have left half done, and sweep away what is of no use."""
        if unfinished:
            for name in inside.names(self._root, f"{HIDDEN}/tx"):
                self._finish(name)
            with suppress(FileNotFoundError):
                os.rmdir(self._tx)
        leftovers = self.held.tmp.names()
        for name in leftovers:
            logged = _LOGGED.fullmatch(name)
            if logged is not None:
                kind, month, size = logged.groups()
                length = None if size == "new" else int(size)
                log = f"{HIDDEN}/{kind}/{month}"
                carrying_out.shorten(FoundFiles(self._root), log, length)
        if leftovers:
            inside.empty(self._root, f"{HIDDEN}/tmp")
        if self.held.generation % 2:
            self.held.begin()(2)

    def _finish(self, name: str) -> None:
        """Take back a change that a crash left behind, if one of ours can have been that."""
        folder = f"{HIDDEN}/tx/{name}"
        try:
            plan = self._read_plan(name, f"{folder}/plan.json")
            if plan is None:
                _log.info("%s: a change was begun and never made: %s", self._root, name)
                inside.remove(self._root, folder)
                return
            files = carrying_out.files_found(self._root, plan)
            done = "carried on" if plan.forward else "taken back"
            _log.info("%s: a change that was cut off is %s: %s", self._root, done, name)
            self.held.begin()
            if plan.forward:
                carrying_out.carry_on(files, folder, plan)
            else:
                carrying_out.take_back(files, folder, plan)
            self._discard(f"{self._root}/{folder}")
        except InvalidDatasetError as error:
            inside.set_aside(self._root, HIDDEN, folder, f"no change of ours: {error}")

    def _read_plan(self, name: str, path: str) -> Plan | None:
        try:
            content = inside.read_json(self._root, path, "the plan of a change")
        except FileNotFoundError:  # nothing was done yet, or all of it
            return None
        plan = plans.checked(content, name, self._layout)
        files = carrying_out.files_found(self._root, plan)
        plans.require_possible(self._root, files.mode_of, plan, name, self._layout)
        return plan


@lru_cache
def _tell_once(message: str) -> None:
    _log.warning(message)


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
