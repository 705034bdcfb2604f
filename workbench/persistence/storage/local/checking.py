"""Whether each change of a commit finds what it expects, before the first is made."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.errors import AlreadyExistsError, ConflictError, WorkbenchError
from workbench.persistence.storage.base import (
    Append,
    Change,
    Copy,
    Head,
    Move,
    Remove,
    Staged,
    Write,
)
from workbench.persistence.storage.keys import check_key

if TYPE_CHECKING:
    from workbench.persistence.storage.local.storage import LocalStorage


@dataclass(frozen=True, slots=True)
class _New:
    """A value that a commit makes: the bytes, or the key at which they lie before it."""

    source: bytes | Staged | str


class Check:
    """Looks through changes before the first is made: does each find what it expects.

    It follows in thought what earlier changes of the same commit do.
    """

    def __init__(self, storage: LocalStorage) -> None:
        self._storage = storage
        # Where what will be at a key lies by now; None for nothing.
        self._origins: dict[str, str | _New | None] = {}
        # The keys of that by each folder that they are in.
        self._below: dict[str, set[str]] = {}
        self.copied: list[str | bytes | Staged] = []
        """Of each `Copy`, where its bytes lie before the first change is made."""

    def all(self, changes: Sequence[Change]) -> dict[str, int]:
        """Raise what `Writer.commit` says; return times of files by the paths that replace them."""
        replaced: dict[str, int] = {}
        for change in changes:
            match change:
                case Write(key):
                    before = self._write(change)
                    if before is not None:
                        replaced[self._storage.path_of(key)] = before
                case Copy(source, target):
                    before = self._copy(source, target)
                    if before is not None:
                        replaced[self._storage.path_of(target)] = before
                case Move(source, target):
                    self._move(source, target)
                case Remove(key):
                    check_key(key)
                    self._take_away(key)
                case Append(key):
                    check_key(key)
        return replaced

    def _write(self, change: Write) -> int | None:
        check_key(change.key)
        if change.if_absent and self._is_there(change.key):
            raise self._occupied(change.key)
        origin = self._origin(change.key)
        head = self._head(origin)
        if change.if_stamp is not None and (head is None or head.stamp != change.if_stamp):
            raise ConflictError(
                f"{self._storage.where}/{change.key}: somebody else has changed it meanwhile; "
                f"get it again"
            )
        self._set(change.key, _New(change.data))
        return None if head is None or origin != change.key else int(head.stamp)

    def _copy(self, source: str, target: str) -> int | None:
        check_key(source)
        check_key(target)
        origin, replaced = self._origin(source), self._origin(target)
        if not isinstance(origin, _New):
            if origin is None or self._head(origin) is None:
                raise self._storage.missing(source)
            origin = _New(origin)
        head = self._head(replaced)
        self.copied.append(origin.source)
        self._set(target, origin)
        return None if head is None or replaced != target else int(head.stamp)

    def _move(self, source: str, target: str) -> None:
        check_key(source)
        check_key(target)
        if not self._is_there(source):
            raise self._storage.missing(source)
        if self._is_there(target):
            raise self._occupied(target)
        origin, below = self._origin(source), self._take_away(source)
        self._set(target, origin)
        for rest, place in below.items():
            self._set(f"{target}{rest}", place)

    def _take_away(self, key: str) -> dict[str, str | _New | None]:
        """Let nothing be at a key; return what earlier changes have done below it."""
        below = {changed: self._origins[changed] for changed in self._below.get(key, ())}
        for changed in below:
            del self._origins[changed]
            for folder in _folders_of(changed):
                self._below[folder].discard(changed)
        self._set(key, None)
        return {changed[len(key) :]: origin for changed, origin in below.items()}

    def _is_there(self, key: str) -> bool:
        if any(self._origins[changed] is not None for changed in self._below.get(key, ())):
            return True
        origin = self._origin(key)
        return self._storage.exists(origin) if isinstance(origin, str) else origin is not None

    def _head(self, origin: str | _New | None) -> Head | None:
        # Most of what is written is new; to see that nothing is there takes one call.
        if not isinstance(origin, str) or not os.path.lexists(self._storage.path_of(origin)):
            return None
        try:
            return self._storage.head(origin)
        except WorkbenchError:  # something else than a value, which is replaced, too
            return None

    def _set(self, key: str, origin: str | _New | None) -> None:
        self._origins[key] = origin
        for folder in _folders_of(key):
            self._below.setdefault(folder, set()).add(key)

    def _origin(self, key: str) -> str | _New | None:
        above, rest = key, ""
        while above:
            if above in self._origins:
                origin = self._origins[above]
                return f"{origin}{rest}" if isinstance(origin, str) else origin
            above, _, last = above.rpartition("/")
            rest = f"/{last}{rest}"
        return key

    def _occupied(self, key: str) -> AlreadyExistsError:
        return AlreadyExistsError(f"{self._storage.where}/{key} exists already")


def _folders_of(key: str) -> Iterator[str]:
    """Yield the keys of the folders that a key is in."""
    end = key.rfind("/")
    while end > 0:
        yield key[:end]
        end = key.rfind("/", 0, end)
