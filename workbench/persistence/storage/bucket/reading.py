"""Reading from a bucket: as of a moment between two commits, asking for as little as can be."""

from __future__ import annotations

import builtins
import io
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO, TypeVar, cast

import numpy as np

from workbench.errors import BusyError, InvalidDatasetError, WorkbenchError
from workbench.persistence.storage.base import (
    MOST_BYTES,
    Head,
    Listing,
    Stamp,
    Storage,
)
from workbench.persistence.storage.bucket.cache import Kept, ReadCache
from workbench.persistence.storage.bucket.head import HeadObject, Seen, State, now
from workbench.persistence.storage.bucket.journal import Journal, is_reserved
from workbench.persistence.storage.bucket.large import Large
from workbench.persistence.storage.bucket.objects import PIECE, Found, Objects
from workbench.persistence.storage.bucket.ours import Ours
from workbench.persistence.storage.bucket.touched import Touched
from workbench.persistence.storage.bucket.writing import Lease
from workbench.persistence.storage.keys import check_key
from workbench.persistence.storage.looks import current_look
from workbench.persistence.yolo.names import HIDDEN

if TYPE_CHECKING:
    from obstore import GetResult
    from obstore.store import ObjectStore

LONGEST_WAIT_S = 600.0
_AT_ONCE = 16
_FILES_AT_ONCE = 4
_MOST_WAITING = 1 << 23
"""Bytes that wait for being put away together."""
_FEW, _SMALL = 64, 1 << 16
"""So many values, of so many bytes, are remembered by who reads them as of one moment."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Reading:
    """What is known when some keys are read.

    Parameters
    ----------
    journal : Journal or None
        What has to be laid over what is read.
    copies : mapping
        What is kept on this machine, which may be old.
    listed : mapping
        Tags of objects, as of the same moment.
    fresh : dict
        What was fetched, to be kept.
    """

    journal: Journal | None
    copies: Mapping[str, Kept]
    listed: Mapping[str, str]
    fresh: dict[str, Kept] = field(default_factory=dict)

    def current(self, key: str) -> bytes | None:
        """Return the copy of an object that is surely still the same; None if nobody knows."""
        copy = self.copies.get(key)
        if copy is None or self.listed.get(key) != copy.tag:
            return None
        return None if self.journal is not None and key in self.journal.values else copy.data


class _Fresh:
    """What several threads have fetched, put away many at a time.

    Parameters
    ----------
    put_away : callable
    """

    def __init__(self, put_away: Callable[[Mapping[str, Kept]], None]) -> None:
        self._put_away = put_away
        self._guard = threading.Lock()
        self._waiting: dict[str, Kept] = {}
        self._bytes = 0

    def add(self, fresh: Mapping[str, Kept]) -> None:
        """Take over some."""
        with self._guard:
            self._waiting.update(fresh)
            self._bytes += sum(len(copy.data) for copy in fresh.values())
            is_full = self._bytes >= _MOST_WAITING
        if is_full:
            self.flush()

    def flush(self) -> None:
        """Put all away."""
        with self._guard:
            fresh, self._waiting, self._bytes = self._waiting, {}, 0
        self._put_away(fresh)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was found as of one moment, some of it before it was asked for."""

    values: dict[str, bytes | None] = field(default_factory=dict)
    heads: dict[str, Head | None] = field(default_factory=dict)
    folders: dict[str, tuple[list[Found], list[str]]] = field(default_factory=dict)

    def note(self, values: Mapping[str, bytes | Exception | None]) -> None:
        """Remember what was read, if it is little."""
        if len(values) <= _FEW:
            for key, data in values.items():
                if data is None or (isinstance(data, bytes) and len(data) <= _SMALL):
                    self.values[key] = data


class BucketReader(Storage):
    """Keys below a prefix of a bucket.

    Parameters
    ----------
    store : ObjectStore
        Of obstore, with the prefix.
    where : str
        What messages shall call it: the address, without anything secret.
    quick : ObjectStore, optional
        The same one, with a limit for each request, retries and all, of a quarter of `ttl_s`: for
        what may not arrive after somebody else has begun to write.
    ttl_s : float
        After how long a writer that is silent is taken to be dead.
    cache : ReadCache, optional
        Where copies of what was read are kept.
    space : str
        What stands before a key there, so that it is no other server's or bucket's.
    is_ours : bool
        Whether nobody but Workbench writes anything there.
    """

    longest_log = 1 << 15
    is_far = True

    def __init__(
        self,
        store: ObjectStore,
        where: str,
        *,
        quick: ObjectStore | None = None,
        ttl_s: float = 20.0,
        cache: ReadCache | None = None,
        space: str = "",
        is_ours: bool = False,
    ) -> None:
        self.where = where
        self._cache = cache
        self._space = space
        self._objects = Objects(store, where)
        self._quick = Objects(quick or store, where)
        self._head = HeadObject(self._quick, where)
        self._ttl_s = ttl_s
        self._turn = threading.Lock()
        # The newest head that was seen. If it is still the same after a look at something, nothing
        # was committed since, so each look costs one request more than what it looks at.
        self._seen: Seen | None = None
        self._touched_at = Touched()
        self._ours = Ours(all_of_it=is_ours)
        # What the reads of a thread are laid under: the head of its `consistently`, or its lease.
        self._local = threading.local()

    def read_many(
        self, keys: Sequence[str], *, most: int = MOST_BYTES
    ) -> list[bytes | Exception | None]:
        """See `Storage.read_many`."""
        found: list[bytes | Exception | None] = [None] * len(keys)

        def work() -> None:
            ready = self._at_hand(keys)
            reading = self._reading([key for key in keys if key not in ready])
            calls = []
            for place, key in enumerate(keys):
                if key not in ready:
                    copy = reading.current(key)
                    if copy is None:
                        calls.append(call(place, reading))
                        continue
                    ready[key] = copy
                data = ready[key]
                found[place] = data if data is None else self._short(key, data, most)
            self._run(calls)
            self._keep(reading)
            read = {
                key: data
                for key, data in zip(keys, found, strict=True)
                if key not in ready and not isinstance(data, Exception)
            }
            self._ours.note(self._state, read)
            if self._known is not None:
                self._known.note(read)

        def call(place: int, reading: _Reading) -> Callable[[], None]:
            def go() -> None:
                found[place] = self._content(keys[place], reading, most)

            return go

        if keys:
            (self._at_once if len(keys) == 1 else self.consistently)(work)
        return found

    def _at_hand(self, keys: Sequence[str]) -> dict[str, bytes | None]:
        """Return what is known of keys for sure."""
        known, journal = self._known, self._journal
        ready = self._ours.values(self._state, keys)
        if known is not None:
            ready |= {key: known.values[key] for key in keys if key in known.values}
        if journal is not None:
            ready = {key: data for key, data in ready.items() if key not in journal.values}
        return ready

    def _content(self, key: str, reading: _Reading, most: int) -> bytes | Exception | None:
        try:
            check_key(key)
            got = self._begun(key, reading)
            if got is None or isinstance(got, bytes):
                return None if got is None else self._short(key, got, most)
            if got.meta["size"] > most:
                return self._too_long(key, got.meta["size"], most)
            return self._body(key, got, reading)
        except WorkbenchError as error:
            return error

    def _short(self, key: str, data: bytes, most: int) -> bytes | Exception:
        return data if len(data) <= most else self._too_long(key, len(data), most)

    def _too_long(self, key: str, size: int, most: int) -> InvalidDatasetError:
        return InvalidDatasetError(
            f"{self.where}/{key}: expected at most {most:,} bytes, found {size:,}"
        )

    def _reading(self, keys: Sequence[str]) -> _Reading:
        """Find out what is known of some keys without asking the bucket."""
        return _Reading(self._journal, self._copies(keys), self._tags())

    def _copies(self, keys: Sequence[str]) -> dict[str, Kept]:
        """Return what is kept of some keys on this machine."""
        if self._cache is None:
            return {}
        names = {f"{self._space}/{key}": key for key in keys}
        found = self._cache.get_many([*names]).items()
        return {names[name]: copy for name, copy in found}

    def _known_here(self, keys: Sequence[str]) -> set[str]:
        """Return those keys of which something is kept on this machine."""
        if self._cache is None:
            return set()
        start = len(self._space) + 1
        return {
            name[start:] for name in self._cache.known([f"{self._space}/{key}" for key in keys])
        }

    def _tags(self) -> dict[str, str]:
        """Return the tags of objects that were listed as of what is read now, to be added to."""
        moment = self._state.commit, self._ours.times_forgotten
        listed: tuple[object, dict[str, str]] | None = getattr(self._local, "listed", None)
        if listed is None or listed[0] != moment:
            listed = self._local.listed = (moment, {})
        return listed[1]

    def _body(self, key: str, got: GetResult, reading: _Reading) -> bytes:
        data, meta = self._objects.body(got), got.meta
        if meta["path"] == key:  # and not elsewhere yet
            reading.fresh[key] = Kept(meta["e_tag"] or "", data)
        return data

    def _keep(self, reading: _Reading) -> None:
        self._put_away(reading.fresh)

    def _put_away(self, fresh: Mapping[str, Kept]) -> None:
        """Keep copies on this machine."""
        if self._cache is not None and fresh:
            self._cache.put_many({f"{self._space}/{key}": copy for key, copy in fresh.items()})

    def _begun(self, key: str, reading: _Reading) -> bytes | GetResult | None:
        """Begin to read a value, which an open journal may still have elsewhere."""
        journal = reading.journal
        if journal is not None and key in journal.values:
            value = journal.values[key]
            if value is None:
                return None
            if value.data is not None:
                return value.data
            got = self._objects.get(value.path, if_tag=value.tag or None)
            if got is not None:
                return got
        copy = reading.copies.get(key)
        found = self._objects.get_unless(key, copy.tag if copy else None)
        return copy.data if copy and isinstance(found, str) else cast("GetResult | None", found)

    def read_starts(self, keys: Sequence[str], length: int) -> list[bytes | Exception | None]:
        """See `Storage.read_starts`."""
        found: list[bytes | Exception | None] = [None] * len(keys)

        def work() -> None:
            journal = self._journal
            self._run([call(place, journal) for place in range(len(keys))])

        def call(place: int, journal: Journal | None) -> Callable[[], None]:
            def go() -> None:
                found[place] = self._start(keys[place], length, journal)

            return go

        if keys:
            self.consistently(work)
        return found

    def _start(self, key: str, length: int, journal: Journal | None) -> bytes | Exception | None:
        try:
            check_key(key)
            if journal is None or key not in journal.values:
                return self._objects.start(key, length)
            whole = self._content(key, _Reading(journal, {}, {}), MOST_BYTES)
            return whole[:length] if isinstance(whole, bytes) else whole
        except WorkbenchError as error:
            return error

    def head(self, key: str) -> Head | None:
        """See `Storage.head`."""
        check_key(key)
        return self._at_once(lambda: self._looked_at(key, self._journal))

    def _looked_at(self, key: str, journal: Journal | None) -> Head | None:
        if journal is not None and key in journal.values:
            value = journal.values[key]
            return None if value is None else Head(value.size, journal.id)
        if self._known is not None and key in self._known.heads:
            return self._known.heads[key]
        found = self._objects.head(key)
        head = None if found is None else Head(found.size, found.tag)
        if self._known is not None:
            self._known.heads[key] = head
        return head

    def list(self, folder: str = "") -> Listing:
        """See `Storage.list`."""
        if folder:
            check_key(folder)
        return self.consistently(lambda: self._listed(folder))

    def names(self, folder: str) -> builtins.list[str]:
        """See `Storage.names`."""
        if folder:
            check_key(folder)

        def look() -> builtins.list[str]:
            found = self._ours.names(self._state, folder)
            if found is None:
                found = self._listed(folder).names
                self._ours.note_names(self._state, folder, found)
            return found

        return self.consistently(look)

    def _listed(self, folder: str) -> Listing:
        found, folders = self._directly_in(folder)
        prefix = f"{folder}/" if folder else ""
        if not folder or folder.split("/")[0] == HIDDEN:
            found = [one for one in found if not is_reserved(one.path)]
        self._tags().update((one.path, one.tag) for one in found)
        folders = [
            name
            for name in folders
            if not name.startswith(".") and not is_reserved(f"{prefix}{name}")
        ]
        journal = self._journal
        if journal is None:
            start = len(prefix)
            names = [one.path[start:] for one in found]
            sizes = np.array([one.size for one in found], np.int64)
            return Listing(names, sizes, np.array([one.tag for one in found]), folders)
        rows: list[tuple[str, int, Stamp]] = [(one.path, one.size, one.tag) for one in found]
        for name in folders:
            rows += self._rows_below(f"{prefix}{name}", journal)
        rows = [row for row in rows if row[0] not in journal.values]
        rows += [(key, value.size, journal.id) for key, value in journal.values.items() if value]
        return Listing.of(folder, rows)

    def _directly_in(self, folder: str) -> tuple[builtins.list[Found], builtins.list[str]]:
        known = self._known
        if known is None:
            return self._objects.directly_in(folder)
        if folder not in known.folders:
            known.folders[folder] = self._objects.directly_in(folder)
        return known.folders[folder]

    def ahead(self, keys: Sequence[str] = (), folders: Sequence[str] = ()) -> None:
        """See `Storage.ahead`."""
        if self._known is not None:
            self._fetch(self._known, values=keys, folders=folders)

    def folders(self) -> builtins.list[str]:
        """Return the names of the folders directly below the root, as of now."""
        found = self._objects.directly_in("")[1]
        return [name for name in found if not name.startswith(".")]

    def _rows_below(self, folder: str, journal: Journal) -> Iterable[tuple[str, int, Stamp]]:
        """Return something of a folder, or all of it where the journal may have emptied it."""
        gone = any(not v and key.startswith(f"{folder}/") for key, v in journal.values.items())
        if not gone:
            return [(f"{folder}/something", 0, "")]
        return [(one.path, one.size, one.tag) for one in self._objects.below(folder)]

    def keys_below(self, folder: str) -> builtins.list[str]:
        """Return the keys of all values below a folder, at whatever depth."""

        def look() -> builtins.list[str]:
            journal = self._journal
            found = {one.path for one in self._objects.below(folder) if not is_reserved(one.path)}
            for key, value in journal.values.items() if journal is not None else ():
                if value is None:
                    found.discard(key)
                elif key.startswith(f"{folder}/"):
                    found.add(key)
            return sorted(found)

        return self.consistently(look)

    def exists(self, key: str) -> bool:
        """See `Storage.exists`."""
        found = self.head(key) is not None
        return found or self.consistently(lambda: super(BucketReader, self).exists(key))

    def existing(self, keys: Sequence[str]) -> builtins.list[bool]:
        """See `Storage.existing`."""
        found = [False] * len(keys)

        def look(place: int, view: Seen | Lease) -> Callable[[], None]:
            def go() -> None:
                exists = super(BucketReader, self).exists
                found[place] = self._as_of(view, lambda: exists(keys[place]))

            return go

        def work() -> None:
            self._run([look(place, self._local.view) for place in range(len(keys))])

        if keys:
            self.consistently(work)
        return found

    def touched(self, keys: Sequence[str]) -> builtins.list[str]:
        """See `Storage.touched`.

        What other programs write is seen some time later.
        """
        state = self._look().state
        found = self._touched_at.at(state, keys)
        unknown = [key for key in keys if key not in found]
        if not unknown:
            return [found[key] for key in keys]
        began, looks = now(), dict[str, str]()
        states: builtins.list[State] = []

        def look(key: str, view: Seen | Lease) -> Callable[[], None]:
            def go() -> None:
                looks[key] = self._as_of(view, lambda: self._touched(key))

            return go

        def work() -> None:
            states.append(self._state)
            self._run([look(key, self._local.view) for key in unknown])

        self.consistently(work)
        found |= self._touched_at.note(states[-1], looks, now() - began)
        return [found[key] for key in keys]

    def changed_ns(self, keys: Sequence[str]) -> int:
        """See `Storage.changed_ns`; to know it, all of each folder would have to be listed."""
        return 0

    def _as_of(self, view: Seen | Lease, work: Callable[[], T]) -> T:
        """Return ``work()`` under a view, also in a thread of the pool."""
        own = getattr(self._local, "view", None)
        self._local.view = view
        try:
            return work()
        finally:
            self._local.view = own
            if own is None:
                self._local.listed = None

    @contextmanager
    def open_read(self, key: str) -> Iterator[BinaryIO]:
        """See `Storage.open_read`."""
        check_key(key)

        def work() -> BinaryIO | None:
            reading = self._reading([key])
            got = reading.current(key) or self._begun(key, reading)
            if got is None or isinstance(got, bytes):
                return None if got is None else io.BytesIO(got)
            if got.meta["size"] <= PIECE:
                data = self._body(key, got, reading)
                self._keep(reading)
                return io.BytesIO(data)
            return cast(BinaryIO, io.BufferedReader(Large(self._objects, got, self.where), PIECE))

        stream = self.consistently(work)
        if stream is None:
            raise self.missing(key)
        with stream:
            yield stream

    def copy_out_many(self, pairs: Sequence[tuple[str, str]]) -> None:
        """See `Storage.copy_out_many`."""
        made: builtins.list[str] = []
        batches = [pairs[n : n + _FILES_AT_ONCE] for n in range(0, len(pairs), _FILES_AT_ONCE)]

        def work() -> None:
            while made:  # before somebody has changed something
                os.unlink(made.pop())
            view, tags, fresh = self._local.view, self._tags(), _Fresh(self._put_away)
            # Once for all: a thread that looks waits while another one puts away.
            known = self._known_here([key for key, _ in pairs])
            self._run([copying(batch, known, view, tags, fresh) for batch in batches])
            fresh.flush()

        def copying(
            batch: Sequence[tuple[str, str]],
            known: Set[str],
            view: Seen | Lease,
            tags: Mapping[str, str],
            fresh: _Fresh,
        ) -> Callable[[], None]:
            def go() -> None:
                copies = self._copies([key for key, _ in batch if key in known])
                reading = _Reading(view.journal, copies, tags)
                for key, path in batch:
                    self._copy_out(key, path, reading)
                    made.append(path)
                fresh.add(reading.fresh)

            return lambda: self._as_of(view, go)

        if pairs:
            self.consistently(work)

    def _copy_out(self, key: str, path: str, reading: _Reading) -> None:
        data = reading.current(key) or self._content(key, reading, PIECE)
        if isinstance(data, InvalidDatasetError):  # too large to be held in memory
            self.copy_out(key, path)
        elif isinstance(data, Exception):
            raise data
        elif data is None:
            raise self.missing(key)
        else:
            with open(path, "xb") as file:
                file.write(data)

    def consistently(self, work: Callable[[], T]) -> T:
        """See `Storage.consistently`."""
        if getattr(self._local, "view", None) is not None:
            return work()
        look = current_look()
        if look is not None:
            return self._under(*look.known(self, self._begun_to_look), work)
        limit = now() + LONGEST_WAIT_S
        before = self._seen or self._look()
        while True:
            result: T | None = None
            failed: WorkbenchError | None = None
            try:
                result = self._under(before, Fetched(), work)
            except WorkbenchError as error:
                failed = error
            after = self._look()
            if after is before or after.state.commit == before.state.commit:
                if failed is not None:
                    raise failed
                return cast(T, result)
            if now() > limit:
                raise self._busy("others to pause")
            before = after

    def _at_once(self, work: Callable[[], T]) -> T:
        """Return ``work()``, which asks for one value only.

        After a look at the head that is as of one moment, whatever is committed meanwhile: the
        value is what it was at the look, or what somebody has made of it since.
        """
        if getattr(self._local, "view", None) is not None or current_look() is not None:
            return self.consistently(work)
        return self._under(self._look(), Fetched(), work)

    def _under(self, seen: Seen, known: Fetched, work: Callable[[], T]) -> T:
        """Return ``work()`` as of a head."""
        self._local.view, self._local.listed, self._local.known = seen, None, known
        try:
            return work()
        finally:
            self._local.view = self._local.listed = self._local.known = None

    def _begun_to_look(self) -> tuple[tuple[Seen, Fetched], Callable[[], bool]]:
        seen = self._look()
        return (seen, Fetched()), lambda: self._look().state.commit == seen.state.commit

    @property
    def _known(self) -> Fetched | None:
        """What was found as of the moment of this thread's reads, to be added to."""
        known: Fetched | None = getattr(self._local, "known", None)
        return known

    @property
    def _journal(self) -> Journal | None:
        view: Seen | Lease = self._local.view
        return view.journal

    @property
    def _state(self) -> State:
        view: Seen | Lease = self._local.view
        return view.state if isinstance(view, Seen) else view.seen.state

    def _look(self) -> Seen:
        self._seen = self._head.look(self._seen)
        return self._seen

    def _fetch(
        self,
        known: Fetched,
        *,
        values: Sequence[str] = (),
        heads: Sequence[str] = (),
        folders: Sequence[str] = (),
        checks: Sequence[Callable[[], None]] = (),
    ) -> None:
        """Read and look at what will be asked for, all at once; whoever asks is told of errors."""
        todo = [key for key in values if key not in self._at_hand([key])]
        reading, journal = self._reading(todo), self._journal
        read: dict[str, bytes | Exception | None] = {}

        def get(key: str) -> Callable[[], None]:
            def go() -> None:
                read[key] = self._content(key, reading, MOST_BYTES)

            return go

        def look(key: str) -> Callable[[], None]:
            def go() -> None:
                with suppress(WorkbenchError):
                    known.heads[key] = self._looked_at(key, journal)

            return go

        def list_(folder: str) -> Callable[[], None]:
            def go() -> None:
                with suppress(WorkbenchError):
                    known.folders[folder] = self._objects.directly_in(folder)

            return go

        unlisted = [folder for folder in folders if folder not in known.folders]
        self._run([*checks, *map(get, todo), *map(look, heads), *map(list_, unlisted)])
        self._keep(reading)
        found = {key: data for key, data in read.items() if not isinstance(data, Exception)}
        known.values.update(found)
        self._ours.note(self._state, found)

    def _busy(self, expected: str) -> BusyError:
        return BusyError(
            f"{self.where}: expected {expected} within {LONGEST_WAIT_S:.0f} s, found that "
            f"somebody is still at work; end what hangs, and try again"
        )

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_AT_ONCE, "bucket")

    def _run(self, calls: Iterable[Callable[[], None]]) -> None:
        """Call all, several at once, until one raises; those begun have returned after this.

        This thread helps, so that a few calls do not wait for the many of another thread.
        """
        todo = list(calls)
        left = iter(todo)

        def help_out() -> None:
            try:
                for call in left:
                    call()
            except BaseException:
                deque(left, maxlen=0)
                raise

        helpers = [self._pool.submit(help_out) for _ in todo[1:_AT_ONCE]]
        try:
            help_out()
        finally:
            wait(begun := [helper for helper in helpers if not helper.cancel()])
        for helper in begun:
            helper.result()
