"""What lies in a bucket, without the bytes of it."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np

from workbench.persistence.storage.base import Head, Listing, Stamp
from workbench.persistence.storage.bucket.head import Seen, State, now
from workbench.persistence.storage.bucket.journal import Journal, is_reserved
from workbench.persistence.storage.bucket.moments import BucketMoments
from workbench.persistence.storage.bucket.objects import Found
from workbench.persistence.storage.bucket.writing import Lease
from workbench.persistence.storage.keys import check_key
from workbench.persistence.yolo.names import HIDDEN

T = TypeVar("T")


class BucketLooker(BucketMoments):
    """Looks at keys; the parameters are those of `BucketMoments`."""

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
        return found or self.consistently(lambda: super(BucketLooker, self).exists(key))

    def existing(self, keys: Sequence[str]) -> builtins.list[bool]:
        """See `Storage.existing`."""
        found = [False] * len(keys)

        def look(place: int, view: Seen | Lease) -> Callable[[], None]:
            def go() -> None:
                exists = super(BucketLooker, self).exists
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
