"""Reading from a bucket: as of a moment between two commits, asking for as little as can be."""

from __future__ import annotations

import builtins
import io
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, TypeVar, cast

from workbench.errors import InvalidDatasetError, WorkbenchError
from workbench.persistence.storage.base import MOST_BYTES
from workbench.persistence.storage.bucket.cache import Kept
from workbench.persistence.storage.bucket.head import Seen
from workbench.persistence.storage.bucket.journal import Journal
from workbench.persistence.storage.bucket.large import Large
from workbench.persistence.storage.bucket.looking import BucketLooker
from workbench.persistence.storage.bucket.moments import Fetched
from workbench.persistence.storage.bucket.objects import PIECE, DeniedError, Tag
from workbench.persistence.storage.bucket.writing import Lease
from workbench.persistence.storage.keys import check_key

if TYPE_CHECKING:
    from obstore import GetResult

_FILES_AT_ONCE = 4
_MOST_WAITING = 1 << 23
"""Bytes that wait for being put away together."""
_OF_ONE_VALUE = (InvalidDatasetError, DeniedError)
"""What is the matter with one value. All else is with the service: nobody is told it of a value."""
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
    met : dict
        Which objects were read, to be added to.
    fresh : dict
        What was fetched, to be kept.
    """

    journal: Journal | None
    copies: Mapping[str, Kept]
    listed: Mapping[str, str]
    met: dict[str, Tag | None] = field(default_factory=dict)
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


class BucketReader(BucketLooker):
    """Reads values; the parameters are those of `BucketMoments`."""

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
        except _OF_ONE_VALUE as error:
            return error

    def _short(self, key: str, data: bytes, most: int) -> bytes | Exception:
        return data if len(data) <= most else self._too_long(key, len(data), most)

    def _too_long(self, key: str, size: int, most: int) -> InvalidDatasetError:
        return InvalidDatasetError(
            f"{self.where}/{key}: expected at most {most:,} bytes, found {size:,}"
        )

    def _reading(self, keys: Sequence[str]) -> _Reading:
        """Find out what is known of some keys without asking the bucket."""
        return _Reading(self._journal, self._copies(keys), self._tags(), self._met())

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
        reading.met[key] = self._objects.tag_of(found)
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
        except _OF_ONE_VALUE as error:
            return error

    def ahead(self, keys: Sequence[str] = (), folders: Sequence[str] = ()) -> None:
        """See `Storage.ahead`."""
        if self._known is not None:
            self._fetch(self._known, values=keys, folders=folders)

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
                with suppress(WorkbenchError):
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
