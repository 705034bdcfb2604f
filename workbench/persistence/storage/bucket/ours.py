"""Values of a bucket that only Workbench writes, as they are since some commit.

Whoever sees that the head has not changed knows that they have not either, and asks for none.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from workbench.persistence.storage.bucket.head import ALL, State, now
from workbench.persistence.storage.bucket.journal import Journal
from workbench.persistence.yolo.names import HIDDEN

_LONGEST_S = 60.0
"""After so long all is asked for again: somebody may have copied a dataset there by other means."""
_LARGEST = 1 << 20
_MOST_BYTES = 1 << 25
_ELSEWHERE = f"{HIDDEN}/cache"
"""What is kept there is written without a commit."""


class Ours:
    """What is known as of one commit.

    Parameters
    ----------
    all_of_it : bool
        Whether every value of the storage is ours, not only those in the hidden folder.
    """

    def __init__(self, *, all_of_it: bool) -> None:
        self._all_of_it = all_of_it
        self._guard = threading.Lock()
        self._commit = ""
        self._until = 0.0
        self._values: dict[str, bytes | None] = {}
        self._names: dict[str, set[str]] = {}
        self._bytes = 0
        self.times_forgotten = 0

    def _is_ours(self, key: str) -> bool:
        if key == _ELSEWHERE or key.startswith(f"{_ELSEWHERE}/"):
            return False
        return self._all_of_it or key.startswith(f"{HIDDEN}/")

    def values(self, state: State, keys: Iterable[str]) -> dict[str, bytes | None]:
        """Return the bytes of those keys that are known, None for what is not there."""
        with self._guard:
            self._bring_to(state)
            return {key: self._values[key] for key in keys if key in self._values}

    def names(self, state: State, folder: str) -> list[str] | None:
        """Return the names of the values directly in a folder, None if nobody knows them."""
        with self._guard:
            self._bring_to(state)
            found = self._names.get(folder)
            return None if found is None else sorted(found)

    def note(self, state: State, values: Mapping[str, bytes | None]) -> None:
        """Take over what was read as of a state."""
        with self._guard:
            if self._bring_to(state):
                for key, data in values.items():
                    if self._is_ours(key):
                        self._put(key, data)

    def note_names(self, state: State, folder: str, names: Iterable[str]) -> None:
        """Take over what was listed as of a state."""
        with self._guard:
            if self._bring_to(state) and self._is_ours(folder):
                self._names[folder] = set(names)

    def carry_on(self, before: State, journal: Journal) -> None:
        """Take over what a commit has made of a state."""
        with self._guard:
            if not self._bring_to(before):
                return
            self._commit = journal.id
            for key, value in journal.values.items():
                if not self._is_ours(key):
                    continue
                folder, _, name = key.rpartition("/")
                names = self._names.get(folder, set())
                if value is None:
                    names.discard(name)
                    self._put(key, None)
                    continue
                names.add(name)
                if value.data is None:
                    self._values.pop(key, None)
                else:
                    self._put(key, value.data)

    def forget(self) -> None:
        """Know nothing any more."""
        with self._guard:
            self._clear("")
            self.times_forgotten += 1

    def _put(self, key: str, data: bytes | None) -> None:
        size = len(data or b"")
        if size > _LARGEST or self._bytes + size > _MOST_BYTES:
            self._values.pop(key, None)
            return
        self._values[key] = data
        self._bytes += size

    def _bring_to(self, state: State) -> bool:
        """Forget what may be another by now; return whether anything can be known."""
        if now() > self._until:
            self._clear(state.commit)
        elif state.commit != self._commit:
            changed = state.changed_since(self._commit) if self._knows else None
            if changed is None or ALL in changed:
                self._clear(state.commit)
            else:
                self._commit = state.commit
                for folder in changed & self._names.keys():
                    del self._names[folder]
                for key in [key for key in self._values if key.rpartition("/")[0] in changed]:
                    del self._values[key]
        return self._knows

    @property
    def _knows(self) -> bool:
        # Before the first commit a dataset is being built, without any.
        return bool(self._commit) or self._all_of_it

    def _clear(self, commit: str) -> None:
        self._commit, self._until, self._bytes = commit, now() + _LONGEST_S, 0
        self._values.clear()
        self._names.clear()
