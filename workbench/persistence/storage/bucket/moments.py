"""Whatever is read from a bucket is as of one moment between two commits."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar, cast

from workbench.errors import BusyError, WorkbenchError
from workbench.persistence.storage.base import Head, Storage
from workbench.persistence.storage.bucket.cache import ReadCache
from workbench.persistence.storage.bucket.head import HeadObject, Seen, State, now
from workbench.persistence.storage.bucket.journal import Journal
from workbench.persistence.storage.bucket.objects import Found, Objects, Tag
from workbench.persistence.storage.bucket.ours import Ours
from workbench.persistence.storage.bucket.touched import Touched
from workbench.persistence.storage.bucket.writing import Lease
from workbench.persistence.storage.looks import current_look

if TYPE_CHECKING:
    from obstore.store import ObjectStore

LONGEST_WAIT_S = 600.0
_AT_ONCE = 16
_FEW, _SMALL = 64, 1 << 16
"""So many values, of so many bytes, are remembered by who reads them as of one moment."""

T = TypeVar("T")
_OfNow = tuple[dict[str, str], dict[str, Tag | None]]


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


class BucketMoments(Storage):
    """Keys below a prefix of a bucket: as of which moment they are read, and how many at once.

    Parameters
    ----------
    store : ObjectStore
        Of obstore, with the prefix.
    where : str
        What messages shall call it: the address, without anything secret.
    quick : ObjectStore, optional
        The same one, with a limit for each request, retries and all, of a quarter of `ttl_s`.
    once : ObjectStore, optional
        The same one without retries: for what may not arrive after somebody else has begun to
        write. Its retries go by a clock that stands still while the machine sleeps.
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
        once: ObjectStore | None = None,
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
        self._once = Objects(once or quick or store, where)
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

    def _tags(self) -> dict[str, str]:
        """Return the tags of objects that were listed as of what is read now, to be added to."""
        return self._of_now()[0]

    def _met(self) -> dict[str, Tag | None]:
        """Return which objects were read as of the same moment, to be added to."""
        return self._of_now()[1]

    def _of_now(self) -> tuple[dict[str, str], dict[str, Tag | None]]:
        moment = self._state.commit, self._ours.times_forgotten
        found: tuple[object, _OfNow] | None = getattr(self._local, "listed", None)
        if found is None or found[0] != moment:
            found = self._local.listed = (moment, ({}, {}))
        return found[1]

    def _look(self) -> Seen:
        self._seen = self._head.look(self._seen)
        return self._seen

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
