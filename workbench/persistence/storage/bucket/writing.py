"""The lease of a bucket's root, and what its holder does."""

from __future__ import annotations

import io
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, BinaryIO

from workbench.errors import PASSING, ConflictError, UnreachableError, WorkbenchError
from workbench.persistence.storage.base import Change, Staged, Write, Writer
from workbench.persistence.storage.bucket.head import HeadObject, Seen, now
from workbench.persistence.storage.bucket.journal import (
    TX,
    Journal,
    Need,
    Plan,
    Run,
    Value,
    is_reserved,
    needs,
)
from workbench.persistence.storage.bucket.objects import Objects, Tag
from workbench.persistence.storage.bucket.ours import Ours
from workbench.persistence.storage.keys import check_key

_log = logging.getLogger(__name__)

_SHORTEST_PAUSE_S = 0.05
_MOST_INLINE = 1 << 16
_MOST_INLINE_TOGETHER = 1 << 18


class Lease(Writer):
    """The right to change a root, for as long as it is renewed.

    Others take it over when they have seen the head unchanged for `ttl_s` by clocks of their own.
    So nothing is sent any more once the last renewal is half as old: what is on its way by then
    has arrived, or was given up, when the next one begins.

    Parameters
    ----------
    head : HeadObject
    seen : Seen
        The head, which names this lease as its holder.
    objects, once : Objects
        For requests that may take long, and for those that are given up soon and sent once.
    run : callable
    where : str
    ours : Ours
        Is told what this commits.
    met : callable
        Returns which objects this thread has read since the last commit.
    """

    def __init__(
        self,
        head: HeadObject,
        seen: Seen,
        objects: Objects,
        once: Objects,
        run: Run,
        where: str,
        ours: Ours,
        met: Callable[[], Mapping[str, Tag | None]],
    ) -> None:
        self._head = head
        self.seen = seen
        self._objects = objects
        self._once = once
        self._run = run
        self._where = where
        self._ours = ours
        self._met = met
        self.journal: Journal | None = seen.journal
        """What this lease has not brought where it belongs yet."""
        self._ttl_s = seen.state.ttl_s
        self._renewed = now()
        self._staging = f"{TX}/{seen.state.fence}-{os.urandom(6).hex()}"
        self._staged: list[str] = []
        self._guard = threading.RLock()
        self._lost = self._unsure = False
        self._ended = threading.Event()
        self._renewer = threading.Thread(target=self._renew, name="bucket-lease", daemon=True)

    def begin(self, *, sweep: bool) -> None:
        """Finish what others have left, and go on holding the lease."""
        self._renewer.start()
        sweep = sweep or self.journal is not None
        self._settle()
        if sweep:
            left = [one.path for one in self._objects.below(TX)]
            self._objects.delete([path for path in left if not path.startswith(self._staging)])

    def begin_with_journal(self) -> None:
        """Carry out what was committed when the lease was taken."""
        self._renewer.start()
        self._try_to_carry_out()

    def end(self) -> None:
        """Let others write; does not raise, since what was committed has happened."""
        self._ended.set()
        self._renewer.join()
        try:
            self._change(holder="", who="")
            if self._staged and self.journal is None:
                self._objects.delete(self._staged)
        except WorkbenchError as error:
            _log.warning("a lease ends by itself in %.0f s: %s", self._ttl_s, error)

    def _renew(self) -> None:
        while not self._ended.wait(self._ttl_s / 6):
            try:
                self._change()
            except WorkbenchError as error:
                _log.info("not renewed: %s", error)

    def _change(self, committing: Journal | None = None, **fields: Any) -> None:
        """Change the head, which renews the lease and drops the journal of what is done."""
        with self._guard:
            while not self._lost:
                sent = now()
                state = replace(self.seen.state, journal=self.journal, **fields)
                if committing is not None:
                    state = state.committed(committing)
                try:
                    made = self._head.swap(self.seen, state, self._is_alive)
                except UnreachableError:
                    self._unsure = True
                    raise
                if made is not None:
                    self.seen, self._renewed = made, sent
                    return
                self._find_again(committing is not None)
            raise self._overtaken()

    def _find_again(self, committing: bool) -> None:
        """See what the head is: one of ours whose answer never came, or another one's."""
        found, self._unsure = self._head.look(), False
        known = self.seen.state
        if (found.state.holder, found.state.fence) != (known.holder, known.fence):
            self._lost = True
            return
        self.seen = found
        if found.state.commit != known.commit:
            self.journal = found.journal
            self._lost = committing  # it was planned without knowing of that one

    def _overtaken(self) -> ConflictError:
        return ConflictError(
            f"{self._where}: expected to be the only one who writes, found that somebody else "
            f"has begun to, since nothing was heard of this process for {self._ttl_s:.0f} s; "
            f"try again"
        )

    def _is_alive(self) -> bool:
        return not self._lost and now() < self._renewed + self._ttl_s / 2

    def _sending(self) -> None:
        """Make sure that what is sent now arrives while nobody else writes."""
        if not self._is_alive():
            with self._guard:
                if not self._is_alive():
                    self._change()

    def stage(self, stream: BinaryIO) -> Staged:
        """See `Writer.stage`."""
        path = self._next_path()
        size, digest = self._objects.put_stream(path, stream)
        # A copy of an object has a tag of its own with some services.
        return Staged(path, size, digest, "")

    def _next_path(self) -> str:
        self._staged.append(f"{self._staging}/{len(self._staged)}")
        return self._staged[-1]

    def commit(self, changes: Sequence[Change]) -> None:
        """See `Writer.commit`."""
        self._settle()
        before = self.seen.state
        values = planned(
            changes,
            self._where,
            self._objects,
            self._run,
            lambda keys: self._ours.values(before, keys),
            self._met(),
        )
        if not values:
            return
        journal = Journal(os.urandom(8).hex(), self._small(values))
        with self._guard:
            self._change(journal)
            self.journal = journal
        self._ours.carry_on(before, journal)
        self._try_to_carry_out()

    def fill(self, values: Sequence[Write]) -> None:
        """See `Writer.fill`."""
        self._settle()
        self._ours.forget()
        calls: list[Callable[[], None]] = []
        for value in values:
            check_key(value.key)
            if isinstance(value.data, Staged):
                calls.append(_copying(self._objects, value.data.token, value.key))
            else:
                calls.append(_streaming(self._objects, value.key, value.data))
        self._run_while_alive(calls)

    def _try_to_carry_out(self) -> None:
        try:
            self._carry_out(again=False)
        except WorkbenchError as error:
            _log.warning("a commit has happened, and is to be finished later: %s", error)

    def _settle(self) -> None:
        """Let everything be where it belongs before somebody looks at it or changes it."""
        if self._unsure:
            with self._guard:
                self._find_again(committing=False)
        if self._lost:
            raise self._overtaken()
        if self.journal is not None:
            self._carry_out(again=True)

    def _carry_out(self, *, again: bool) -> None:
        assert self.journal is not None
        self.journal.carry_out(self._once, self._objects, self._run_while_alive, again=again)
        with self._guard:
            self.journal = None

    def _run_while_alive(self, calls: Any) -> None:
        def guarded(call: Callable[[], None]) -> Callable[[], None]:
            return lambda: self._sent(call)

        self._run([guarded(call) for call in calls])

    def _sent(self, call: Callable[[], None]) -> None:
        """Make a request, also once more if no answer comes: each time only while it may be made.

        The machine may have slept since the last time, and somebody else may have written.
        """
        limit, pause = now() + self._ttl_s / 8, _SHORTEST_PAUSE_S
        while True:
            self._sending()
            try:
                return call()
            except PASSING:
                if now() + pause > limit:
                    raise
            time.sleep(pause)
            pause *= 2

    def _small(self, values: dict[str, Value | None]) -> dict[str, Value | None]:
        """Stage what is too large for a journal, and what a copy would overwrite too early."""
        found, calls = dict(values), list[Callable[[], None]]()
        for key, value in to_stage(values).items():
            path = self._next_path()
            if value.data is not None:
                calls.append(_streaming(self._objects, path, value.data))
            else:
                calls.append(_copying(self._objects, value.path, path))
            found[key] = Value(value.size, None, path)
        self._run_while_alive(calls)
        return found


def to_stage(values: Mapping[str, Value | None]) -> dict[str, Value]:
    """Return what no journal can hold: what is large, and sources that a copy would replace."""
    sources = {value.path for value in values.values() if value is not None and value.tag}
    early = {key for key, value in values.items() if value and value.tag and key in sources}
    found, inline = dict[str, Value](), 0
    for key, value in values.items():
        if value is None:
            continue
        if value.data is not None:
            inline += value.size
            if value.size > _MOST_INLINE or inline > _MOST_INLINE_TOGETHER:
                found[key] = value
        elif value.path in early:
            found[key] = value
    return found


def _streaming(objects: Objects, path: str, data: bytes) -> Callable[[], None]:
    return lambda: (objects.put_stream(path, io.BytesIO(data)), None)[1]


def _copying(objects: Objects, source: str, path: str) -> Callable[[], None]:
    return lambda: (objects.copy(source, path), None)[1]


def planned(
    changes: Sequence[Change],
    where: str,
    objects: Objects,
    run: Run,
    at_hand: Callable[[Sequence[str]], dict[str, bytes | None]],
    met: Mapping[str, Tag | None],
) -> dict[str, Value | None]:
    """Return what each key holds after changes; raises what `Writer.commit` does.

    Parameters
    ----------
    at_hand : callable
        Returns the bytes of those keys whose bytes are known.
    met : mapping
        Which objects were read before; None where no condition can be made of it.
    """
    known: dict[Need, Any] = {}

    def look(need: Need) -> Callable[[], None]:
        def go() -> None:
            kind, key = need
            if kind == "head":
                known[need] = objects.head(key)
            elif kind == "below":
                known[need] = [one for one in objects.below(key) if not is_reserved(one.path)]
            else:
                known[need] = read(key)

        return go

    def read(path: str) -> bytes | None:
        got = objects.get(path)
        return None if got is None else objects.body(got)

    asked = sorted(needs(changes))
    ready = at_hand([key for kind, key in asked if kind == "body"])
    known |= {("body", key): data for key, data in ready.items()}
    run([look(need) for need in asked if need not in known])
    plan = Plan(where, known, read)
    for change in changes:
        plan.make(change)
    return plan.finish(met)
