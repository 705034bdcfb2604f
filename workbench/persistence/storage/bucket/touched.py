"""What each folder of a bucket was like at some commit, so that a later look needs no listing."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from workbench.persistence.storage.bucket.head import ALL, State, now

_LEAST_S = 20.0
"""What other programs have written is looked for so often, at most."""
_REST = 50.0
"""And with a pause of so many times as long as the look took."""
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of one key.

    Parameters
    ----------
    text : str
        What was told of it.
    found : str
        What the last look at it has found.
    commit : str
        As of which the text is.
    until : float
        When it is looked at again.
    """

    text: str
    found: str
    commit: str
    until: float


class Touched:
    """What was told of keys. Each commit of a head says which folders it has changed."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._guard = threading.Lock()

    def at(self, state: State, keys: Iterable[str]) -> dict[str, str]:
        """Return what differs after each change, of those keys of which it is known."""
        found: dict[str, str] = {}
        with self._guard:
            for key in keys:
                known = self._known.get(key)
                if known is None or known.until < now():
                    continue
                changed = state.changed_since(known.commit)
                if changed is None:
                    continue
                text = known.text
                if any(_bears_upon(folder, key) for folder in changed):
                    text = _digest(f"{text} {state.commit}")
                if known.commit != state.commit:
                    self._known[key] = _Known(text, known.found, state.commit, known.until)
                found[key] = text
        return found

    def note(self, state: State, looks: Mapping[str, str], took_s: float) -> dict[str, str]:
        """Take over what a look has found as of a state; return what is to be told."""
        told: dict[str, str] = {}
        until = now() + max(_LEAST_S, _REST * took_s)
        with self._guard:
            if len(self._known) > _MOST:
                self._known.clear()
            for key, found in looks.items():
                known = self._known.get(key)
                told[key] = known.text if known and known.found == found else found
                self._known[key] = _Known(told[key], found, state.commit, until)
        return told


def _bears_upon(folder: str, key: str) -> bool:
    """Whether a change of a value directly in a folder may be one of a key, or of what is in it."""
    around = key.rpartition("/")[0]
    return folder in (ALL, key, around) or not key or folder.startswith(f"{key}/")


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
