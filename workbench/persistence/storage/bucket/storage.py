"""Storage in a bucket: S3 and what speaks it, Google Cloud, Azure."""

from __future__ import annotations

import builtins
import io
import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

import numpy as np

from workbench.errors import BusyError, ConflictError, InvalidDatasetError, WorkbenchError
from workbench.persistence.storage.base import (
    MOST_BYTES,
    Change,
    Head,
    Listing,
    Stamp,
    Storage,
    Writer,
)
from workbench.persistence.storage.bucket.cache import Kept, ReadCache
from workbench.persistence.storage.bucket.head import HeadObject, Seen, now
from workbench.persistence.storage.bucket.journal import Journal, is_reserved
from workbench.persistence.storage.bucket.objects import PIECE, Objects
from workbench.persistence.storage.bucket.touched import Touched
from workbench.persistence.storage.bucket.writing import Lease, planned, to_stage
from workbench.persistence.storage.keys import check_key

if TYPE_CHECKING:
    from obstore import GetResult
    from obstore.store import ObjectStore

LONGEST_WAIT_S = 600.0
_AT_ONCE = 16
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.01, 0.3

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


class BucketStorage(Storage):
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
    """

    def __init__(
        self,
        store: ObjectStore,
        where: str,
        *,
        quick: ObjectStore | None = None,
        ttl_s: float = 20.0,
        cache: ReadCache | None = None,
        space: str = "",
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
        # What the reads of a thread are laid under: the head of its `consistently`, or its lease.
        self._local = threading.local()

    def read_many(
        self, keys: Sequence[str], *, most: int = MOST_BYTES
    ) -> list[bytes | Exception | None]:
        """See `Storage.read_many`."""
        found: list[bytes | Exception | None] = [None] * len(keys)

        def work() -> None:
            reading = self._reading(keys)
            calls = []
            for place, key in enumerate(keys):
                copy = reading.current(key)
                if copy is None:
                    calls.append(call(place, reading))
                else:
                    found[place] = self._short(key, copy, most)
            self._run(calls)
            self._keep(reading)

        def call(place: int, reading: _Reading) -> Callable[[], None]:
            def go() -> None:
                found[place] = self._content(keys[place], reading, most)

            return go

        if keys:
            self.consistently(work)
        return found

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
        copies: dict[str, Kept] = {}
        if self._cache is not None:
            names = {f"{self._space}/{key}": key for key in keys}
            found = self._cache.get_many([*names]).items()
            copies = {names[name]: copy for name, copy in found}
        return _Reading(self._journal, copies, getattr(self._local, "listed", None) or {})

    def _body(self, key: str, got: GetResult, reading: _Reading) -> bytes:
        data = self._objects.body(got)
        if got.meta["path"] == key:  # and not elsewhere yet
            reading.fresh[key] = Kept(got.meta["e_tag"] or "", data)
        return data

    def _keep(self, reading: _Reading) -> None:
        if self._cache is not None and reading.fresh:
            fresh = reading.fresh.items()
            self._cache.put_many({f"{self._space}/{key}": copy for key, copy in fresh})

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
        return self.consistently(lambda: self._looked_at(key, self._journal))

    def _looked_at(self, key: str, journal: Journal | None) -> Head | None:
        if journal is not None and key in journal.values:
            value = journal.values[key]
            return None if value is None else Head(value.size, journal.id)
        found = self._objects.head(key)
        return None if found is None else Head(found.size, found.tag)

    def list(self, folder: str = "") -> Listing:
        """See `Storage.list`."""
        if folder:
            check_key(folder)
        return self.consistently(lambda: self._listed(folder))

    def _listed(self, folder: str) -> Listing:
        found, folders = self._objects.directly_in(folder)
        prefix = f"{folder}/" if folder else ""
        found = [one for one in found if not is_reserved(one.path)]
        listed = getattr(self._local, "listed", None)
        if listed is not None:
            listed.update((one.path, one.tag) for one in found)
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
        return self.consistently(lambda: super(BucketStorage, self).exists(key))

    def existing(self, keys: Sequence[str]) -> builtins.list[bool]:
        """See `Storage.existing`."""
        found = [False] * len(keys)

        def look(place: int, view: Seen | Lease) -> Callable[[], None]:
            def go() -> None:
                exists = super(BucketStorage, self).exists
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
        views: builtins.list[Seen | Lease] = []

        def look(key: str, view: Seen | Lease) -> Callable[[], None]:
            def go() -> None:
                looks[key] = self._as_of(view, lambda: self._touched(key))

            return go

        def work() -> None:
            views.append(self._local.view)
            self._run([look(key, views[-1]) for key in unknown])

        self.consistently(work)
        seen = views[-1] if isinstance(views[-1], Seen) else views[-1].seen
        found |= self._touched_at.note(seen.state, looks, now() - began)
        return [found[key] for key in keys]

    def _as_of(self, view: Seen | Lease, work: Callable[[], T]) -> T:
        """Return ``work()`` under a view, also in a thread of the pool."""
        own = getattr(self._local, "view", None)
        self._local.view = view
        try:
            return work()
        finally:
            self._local.view = own

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
            return cast(BinaryIO, io.BufferedReader(_Large(self._objects, got, self.where), PIECE))

        stream = self.consistently(work)
        if stream is None:
            raise self.missing(key)
        with stream:
            yield stream

    def consistently(self, work: Callable[[], T]) -> T:
        """See `Storage.consistently`."""
        if getattr(self._local, "view", None) is not None:
            return work()
        limit = now() + LONGEST_WAIT_S
        before = self._seen or self._look()
        while True:
            result: T | None = None
            failed: WorkbenchError | None = None
            self._local.view, self._local.listed = before, {}
            try:
                result = work()
            except WorkbenchError as error:
                failed = error
            finally:
                self._local.view = self._local.listed = None
            after = self._look()
            if after is before or after.state.commit == before.state.commit:
                if failed is not None:
                    raise failed
                return cast(T, result)
            if now() > limit:
                raise self._busy("others to pause")
            before = after

    @property
    def _journal(self) -> Journal | None:
        view: Seen | Lease = self._local.view
        return view.journal

    def _look(self) -> Seen:
        self._seen = self._head.look(self._seen)
        return self._seen

    @contextmanager
    def lease(self) -> Iterator[Writer]:
        """See `Storage.lease`."""
        if not self._turn.acquire(timeout=LONGEST_WAIT_S):
            raise self._busy("other changes to end")
        try:
            lease, sweep = self._taken()
            try:
                lease.begin(sweep=sweep)
                self._local.view = lease
                yield lease
            finally:
                self._local.view = None
                lease.end()
                self._seen = lease.seen
        finally:
            self._turn.release()

    def commit(self, changes: Sequence[Change]) -> None:
        """See `Storage.commit`."""
        if not self._turn.acquire(timeout=LONGEST_WAIT_S):
            raise self._busy("other changes to end")
        try:
            done = self._committed_at_once(changes)
        finally:
            self._turn.release()
        if not done:
            super().commit(changes)

    def _committed_at_once(self, changes: Sequence[Change]) -> bool:
        """Take the lease and commit in one request, if nobody has written since we looked."""
        seen = self._seen or self._look()
        if seen.state.holder or seen.journal is not None:
            return False
        try:
            values = planned(changes, self.where, self._objects, self._run)
        except WorkbenchError:  # of what may be old by now
            return False
        if not values or to_stage(values):
            return False
        journal = Journal(os.urandom(8).hex(), values)
        state = seen.state.taken(os.urandom(8).hex(), self._ttl_s).committed(journal)
        limit = now() + self._ttl_s / 2
        made = self._head.swap(seen, state, lambda: now() < limit)
        if made is None:
            return False
        lease = self._lease_of(made)
        lease.begin_with_journal()
        lease.end()
        self._seen = lease.seen
        return True

    def _lease_of(self, made: Seen) -> Lease:
        return Lease(self._head, made, self._objects, self._quick, self._run, self.where)

    def _taken(self) -> tuple[Lease, bool]:
        """Wait until nobody writes, or who does is dead; return the lease and which it was."""
        limit, pause = now() + LONGEST_WAIT_S, _SHORTEST_PAUSE_S
        me = os.urandom(8).hex()
        seen, since = self._seen or self._look(), now()
        while True:
            state = seen.state
            dead = now() - since >= max(self._ttl_s, state.ttl_s)
            if not state.holder or dead:
                made = self._head.swap(seen, state.taken(me, self._ttl_s), lambda: now() < limit)
                if made is not None:
                    return self._lease_of(made), bool(state.holder)
            if now() > limit:
                raise self._busy(f"other changes to end, those of {state.who},")
            if state.holder:
                time.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(pause * 1.5, _LONGEST_PAUSE_S)
            found = self._look()
            if found.nonce != seen.nonce:
                seen, since = found, now()

    def _busy(self, expected: str) -> BusyError:
        return BusyError(
            f"{self.where}: expected {expected} within {LONGEST_WAIT_S:.0f} s, found that "
            f"somebody is still at work; end what hangs, and try again"
        )

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_AT_ONCE, "bucket")

    def _run(self, calls: Iterable[Callable[[], None]]) -> None:
        """Call all, several at once; all have returned when this returns or raises."""
        todo = list(calls)
        if len(todo) == 1:
            todo[0]()
            return
        done = [self._pool.submit(call) for call in todo]
        wait(done)
        for one in done:
            one.result()


class _Large(io.RawIOBase):
    """A large value: one request for who reads it from its start to its end.

    Others, and those whose connection broke, fetch pieces, all of them of the same object.
    """

    def __init__(self, objects: Objects, got: GetResult, where: str) -> None:
        self._objects = objects
        self._path, self._size = got.meta["path"], got.meta["size"]
        self._tag = got.meta["e_tag"] or ""
        self._where = where
        self._at = 0
        self._stream: Iterator[bytes] | None = objects.pieces(got)
        self._streamed = 0
        self._piece = memoryview(b"")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        end = min(self._at + len(buffer), self._size)
        if end <= self._at:
            return 0
        piece = self._next(end - self._at) or self._fetched(end)
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def _next(self, most: int) -> memoryview:
        """Return what comes next on the way from start to end; nothing if that was left."""
        if self._at != self._streamed:
            self._stream, self._piece = None, memoryview(b"")
        if not self._piece and self._stream is not None:
            try:
                self._piece = memoryview(next(self._stream, b""))
            except WorkbenchError:
                self._stream = None
        found, self._piece = self._piece[:most], self._piece[most:]
        self._streamed += len(found)
        return found

    def _fetched(self, end: int) -> bytes:
        piece = self._objects.read(self._path, self._at, end, self._tag)
        if piece is None:
            raise ConflictError(
                f"{self._where}/{self._path}: expected it to stay while it is read, found that "
                f"somebody has changed it; read it again"
            )
        return piece
