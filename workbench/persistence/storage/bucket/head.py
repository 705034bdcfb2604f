"""The head of a bucket's root: one object that says who may write, and what is being written.

It is changed only on condition that it is still the one that was looked at. So of two writers
one is first, without any lock, and whoever finds it unchanged knows that nothing has happened.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from workbench.errors import UnreachableError
from workbench.persistence.storage.bucket.journal import Journal
from workbench.persistence.storage.bucket.objects import Objects, Tag
from workbench.persistence.stored_json import MALFORMED, malformed, parse_json
from workbench.persistence.yolo.names import HIDDEN

HEAD = f"{HIDDEN}/lock"
_EXPECTED = "what Workbench writes there"
_PAUSE_S = 0.05
_LONGEST_TTL_S = 300.0
"""Nobody asks for more silence of others; who did, would keep all from writing for good."""
ALL = "/"
"""In place of the names of folders, which are too many."""
_RECENT = 16
_MOST_FOLDERS = 16


def now() -> float:
    """Return seconds of a clock that also runs while the machine sleeps."""
    for name in ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC"):
        if hasattr(time, name):
            return time.clock_gettime(getattr(time, name))
    return time.monotonic()


@dataclass(frozen=True, slots=True)
class State:
    """What the head says.

    Parameters
    ----------
    serial : int
        One more with each change of the head.
    fence : int
        One more with each holder.
    holder : str
        Who may write, ``""`` for nobody.
    who : str
        The holder for people: machine and process.
    ttl_s : float
        How long the head of a living holder stays the same, at most.
    commit : str
        Another with each commit.
    journal : Journal or None
        The last commit, until all of it is where it belongs.
    recent : tuple
        The last commits, and the folders that values of theirs lie in.
    """

    serial: int = 0
    fence: int = 0
    holder: str = ""
    who: str = ""
    ttl_s: float = 0.0
    commit: str = ""
    journal: Journal | None = None
    recent: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return what `_state` reads."""
        content = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**content, "journal": self.journal and self.journal.to_json()}

    def committed(self, journal: Journal) -> State:
        """Return the state in which a commit has happened."""
        folders = {key.rpartition("/")[0] for key in journal.values}
        told = tuple(sorted(folders)) if len(folders) <= _MOST_FOLDERS else (ALL,)
        before = self.recent[1 - _RECENT :] or ((self.commit, ()),)
        recent = (*before, (journal.id, told))
        return replace(self, journal=journal, commit=journal.id, recent=recent)

    def changed_since(self, commit: str) -> set[str] | None:
        """Return the folders that commits after another one have changed; None if nobody knows.

        `ALL` among them stands for any.
        """
        if commit == self.commit:
            return set()
        ids = [one for one, _ in self.recent]
        if commit not in ids or ids[-1] != self.commit:
            return None
        return {folder for _, told in self.recent[ids.index(commit) + 1 :] for folder in told}

    def taken(self, holder: str, ttl_s: float) -> State:
        """Return the state in which somebody new may write."""
        who = f"process {os.getpid()} on {socket.gethostname()}"
        return replace(self, fence=self.fence + 1, holder=holder, who=who, ttl_s=ttl_s)


@dataclass(frozen=True, slots=True)
class Seen:
    """The head as it was at some moment; without a tag: it was not there."""

    tag: Tag | None
    nonce: str
    state: State

    @property
    def journal(self) -> Journal | None:
        """What has to be laid over what is read."""
        return self.state.journal


class HeadObject:
    """The head of one root.

    Parameters
    ----------
    objects : Objects
        For short requests: one that takes long is given up.
    where : str
    """

    def __init__(self, objects: Objects, where: str) -> None:
        self._objects = objects
        self._where = f"{where}/{HEAD}"

    def look(self, known: Seen | None = None) -> Seen:
        """Return the head as it is, which is `known` itself if nothing has changed."""
        got = self._objects.get_newer(HEAD, known.tag if known else None)
        if got is None:
            return Seen(None, "", State())
        if isinstance(got, Tag):
            return known or self.look()
        return self._parsed(*got)

    def swap(self, seen: Seen, state: State, until: Callable[[], bool]) -> Seen | None:
        """Change the head if it is still what was seen; None if somebody else was first.

        Parameters
        ----------
        until : callable
            Whether to go on when no answer comes. The same request is sent again: had the first
            one arrived, the head shows its nonce.
        """
        nonce = os.urandom(8).hex()
        state = replace(state, serial=seen.state.serial + 1)
        data = json.dumps({"nonce": nonce, **state.to_json()}).encode()
        while True:
            try:
                tag = self._objects.put_if(HEAD, data, seen.tag)
                if tag is not None:
                    return Seen(tag, nonce, state)
                found = self.look()
                return found if found.nonce == nonce else None
            except UnreachableError:
                if not until():
                    raise
                time.sleep(_PAUSE_S)

    def _parsed(self, data: bytes, tag: Tag) -> Seen:
        content = parse_json(data, self._where, _EXPECTED)
        try:
            return Seen(tag, str(content["nonce"]), _state(content))
        except MALFORMED as error:
            raise malformed(self._where, _EXPECTED, error) from error


def _state(content: dict[str, Any]) -> State:
    ttl_s = float(content["ttl_s"])
    if not 0 <= ttl_s <= _LONGEST_TTL_S:  # nor if it is no number
        raise ValueError(f"{ttl_s} seconds")
    journal = content["journal"]
    return State(
        int(content["serial"]),
        int(content["fence"]),
        str(content["holder"]),
        str(content["who"]),
        ttl_s,
        str(content["commit"]),
        None if journal is None else Journal.of(journal),
        tuple((str(one), tuple(map(str, told))) for one, told in content.get("recent", ())),
    )
