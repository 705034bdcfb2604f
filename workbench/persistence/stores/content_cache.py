"""Files of what lies elsewhere: fetched once, kept by content, bounded in size."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import BinaryIO

from workbench.errors import StorageError
from workbench.persistence.storage import Stamp, Storage
from workbench.persistence.storage.keys import is_plain

MOST_BYTES = 20_000_000_000
"""Of the files that are kept, together; what was used within the last hour stays in any case."""

_IN_USE_S = 3600.0
_CHUNK = 1 << 20


class ContentCache:
    """A folder of copies, which several processes may use at once.

    ``content/<SHA-256>/<name>`` are the files, ``known/...`` says which object holds which
    content, so that an object that is known costs no download. A copy is checked each time it is
    asked for. It can be removed at any time.

    Parameters
    ----------
    folder : Path
        Made when something is kept.
    most_bytes : int
    """

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder
        self._most_bytes = most_bytes

    def path(self, digest: str, name: str) -> Path:
        """Return where the copy of some content is, or would be."""
        if not is_plain(digest) or not is_plain(name):
            raise ValueError(f"a digest and a name of a file, not {digest!r} and {name!r}")
        return self._folder / "content" / digest / name

    def digest(self, storage: Storage, key: str, stamp: Stamp) -> str:
        """Return the SHA-256 of a value; it is fetched unless that is known of its stamp."""
        known = self._known(storage, key, stamp)
        return known or self._fetch(storage, key, stamp)

    def file(self, storage: Storage, key: str, stamp: Stamp) -> Path:
        """Return the path of a file with the bytes of a value."""
        name = key.rpartition("/")[2]
        known = self._known(storage, key, stamp)
        if known is not None:
            path = self.path(known, name)
            if _digest_of(path) == known:
                os.utime(path)
                return path
        return self.path(self._fetch(storage, key, stamp), name)

    def _note(self, storage: Storage, key: str, stamp: Stamp) -> Path:
        which = "\0".join((storage.where, key, str(stamp)))
        return self._folder / "known" / hashlib.sha256(which.encode()).hexdigest()

    def _known(self, storage: Storage, key: str, stamp: Stamp) -> str | None:
        try:
            found = self._note(storage, key, stamp).read_text("ascii", "replace")
        except FileNotFoundError:
            return None
        return found if len(found) == 64 and is_plain(found) else None

    def _fetch(self, storage: Storage, key: str, stamp: Stamp) -> str:
        """Copy a value here, and note its digest if it was still the one of this stamp."""
        unfinished = self._folder / f".{os.urandom(8).hex()}"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with storage.open_read(key) as source, unfinished.open("wb") as target:
                digest = _copied(source, target)
            path = self.path(digest, key.rpartition("/")[2])
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        if _digest_of(path) != digest:
            raise StorageError(
                f"{path}: expected what was just written there, found something else; "
                f"see to the disk, or let XDG_CACHE_HOME name another one"
            )
        head = storage.head(key)
        if head is not None and head.stamp == stamp:
            note = self._note(storage, key, stamp)
            note.parent.mkdir(exist_ok=True)
            unfinished.write_text(digest)
            unfinished.replace(note)
        self._shrink()
        return digest

    def _shrink(self) -> None:
        """Remove what was not used for longest, until the rest is small enough."""
        kept = []
        for path in (self._folder / "content").glob("*/*"):
            try:
                status = path.stat()
            except FileNotFoundError:  # another process has removed it
                continue
            kept.append((status.st_mtime, status.st_size, path))
        total = sum(size for _, size, _ in kept)
        for used, size, path in sorted(kept):
            if total <= self._most_bytes or used > time.time() - _IN_USE_S:
                return
            path.unlink(missing_ok=True)
            total -= size


def _copied(source: BinaryIO, target: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()


def _digest_of(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
