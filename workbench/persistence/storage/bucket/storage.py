"""Storage in a bucket: S3 and what speaks it, Google Cloud, Azure."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn, TypeVar

from workbench.errors import WorkbenchError
from workbench.persistence.storage.base import Change, Writer
from workbench.persistence.storage.bucket.head import Seen, now
from workbench.persistence.storage.bucket.journal import Journal, Value
from workbench.persistence.storage.bucket.moments import LONGEST_WAIT_S, Fetched
from workbench.persistence.storage.bucket.reading import BucketReader
from workbench.persistence.storage.bucket.writing import Lease, planned, to_stage
from workbench.persistence.storage.keys import check_key
from workbench.persistence.storage.looks import current_look

_TRIES = 3
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.01, 0.3

T = TypeVar("T")


def _raising(error: WorkbenchError) -> NoReturn:
    raise error


class BucketStorage(BucketReader):
    """Keys below a prefix of a bucket; the parameters are those of `BucketMoments`."""

    @contextmanager
    def lease(self) -> Iterator[Writer]:
        """See `Storage.lease`."""
        self._take_turn()
        try:
            lease, sweep = self._taken()
            try:
                lease.begin(sweep=sweep)
                self._local.view = lease
                yield lease
            finally:
                self._local.view = self._local.listed = None
                lease.end()
                self._seen = lease.seen
        finally:
            self._turn.release()

    def commit(self, changes: Sequence[Change]) -> None:
        """See `Storage.commit`."""
        self.transact(lambda: (changes, None))
        with self._turn:  # so that nobody holds the lease when this returns
            pass

    def keep(self, key: str, data: bytes) -> None:
        """See `Storage.keep`."""
        check_key(key)
        self._objects.put(key, data)
        look = current_look()
        if look is not None:
            look.known(self, self._begun_to_look)[1].values.pop(key, None)

    def transact(
        self,
        decide: Callable[[], tuple[Sequence[Change], T]],
        *,
        values: Sequence[str] = (),
        heads: Sequence[str] = (),
        checks: Sequence[Callable[[], None]] = (),
    ) -> T:
        """See `Storage.transact`.

        Without a lease, as long as nobody else writes: what was decided is committed on condition
        that the head is still the one that was seen before anything was read.
        """
        self._take_turn()
        is_ending = False
        try:
            for _ in range(_TRIES):
                seen = self._seen or self._look()
                if seen.state.holder or seen.journal is not None:
                    seen = self._look()
                if seen.state.holder or seen.journal is not None:
                    break
                done = self._decided(
                    seen,
                    decide,
                    lambda known: self._fetch(known, values=values, heads=heads, checks=checks),
                )
                if done is None:
                    break
                result, lease, is_sure = done
                if lease is not None:
                    is_ending = True
                    self._end_later(lease)
                    return result()
                after = self._look()
                if is_sure and after.state.commit == seen.state.commit:
                    return result()
        finally:
            if not is_ending:
                self._turn.release()
        return super().transact(decide, checks=checks)

    def _decided(
        self,
        seen: Seen,
        decide: Callable[[], tuple[Sequence[Change], T]],
        fetch: Callable[[Fetched], None],
    ) -> tuple[Callable[[], T], Lease | None, bool] | None:
        """Decide as of a head, and commit if nobody has written since.

        Returns
        -------
        tuple or None
            What returns the result or raises, the lease of what was committed, and whether the
            first is right unless there was another commit. None if it needs a lease beforehand.
        """
        try:
            known = Fetched()

            def plan() -> tuple[T, dict[str, Value | None]]:
                fetch(known)
                changes, result = decide()
                run = self._run
                where, objects = self.where, self._objects
                return result, planned(changes, where, objects, run, self._at_hand, self._met())

            result, values = self._under(seen, known, plan)
        except WorkbenchError as error:
            raised = error  # it may be of what is old by now
            return lambda: _raising(raised), None, True
        if not values:
            return lambda: result, None, True
        if to_stage(values):
            return None
        journal = Journal(os.urandom(8).hex(), values)
        state = seen.state.taken(os.urandom(8).hex(), self._ttl_s).committed(journal)
        limit = now() + self._ttl_s / 2
        made = self._head.swap(seen, state, lambda: now() < limit)
        if made is None:
            return lambda: result, None, False
        self._ours.carry_on(seen.state, journal)
        lease = self._lease_of(made)
        try:
            lease.begin_with_journal()
        except BaseException:
            lease.end()
            raise
        return lambda: result, lease, True

    def _end_later(self, lease: Lease) -> None:
        try:
            self._pool.submit(self._end, lease)
        except RuntimeError:  # the process is about to end
            self._end(lease)

    def _end(self, lease: Lease) -> None:
        """Let others write, after those who wait for the answer have it."""
        try:
            lease.end()
            self._seen = lease.seen
        finally:
            self._turn.release()

    def _take_turn(self) -> None:
        if not self._turn.acquire(timeout=LONGEST_WAIT_S):
            raise self._busy("other changes to end")

    def _lease_of(self, made: Seen) -> Lease:
        own = self._objects, self._once, self._run, self.where, self._ours, self._met
        return Lease(self._head, made, *own)

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
