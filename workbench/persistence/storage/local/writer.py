"""Writing to plain files: at once where one file is concerned, else by a plan that survives."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from workbench.persistence.disk_errors import FULL
from workbench.persistence.storage.base import Append, Change, Copy, Staged, Write, Writer
from workbench.persistence.storage.keys import check_key
from workbench.persistence.storage.local import inside
from workbench.persistence.storage.local.atomic import fsync_folder, remove_file, temporary_name
from workbench.persistence.storage.local.checking import Check
from workbench.persistence.storage.local.journal import Opener
from workbench.persistence.storage.local.lock import making
from workbench.persistence.yolo.names import HIDDEN

if TYPE_CHECKING:
    from workbench.persistence.storage.local.storage import LocalStorage

_CHUNK = 1 << 20


class LocalWriter(Writer):
    """The holder of the lock file of one root."""

    def __init__(self, storage: LocalStorage) -> None:
        self._storage = storage
        self._journal = storage.journal
        self._staged: list[str] = []

    def stage(self, stream: BinaryIO) -> Staged:
        """See `Writer.stage`."""
        with making(self._storage.where):
            path = temporary_name(self._journal.tmp)
            self._staged.append(path)
            digest = hashlib.sha256()
            with open(path, "xb") as file:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
                status = os.fstat(file.fileno())
        return Staged(path, status.st_size, digest.hexdigest(), status.st_mtime_ns)

    def sweep(self) -> None:
        """Remove what was staged and has got no key; what stays does so until the next lease."""
        for path in self._staged:
            with suppress(OSError):
                remove_file(path)

    def commit(self, changes: Sequence[Change]) -> None:
        """See `Writer.commit`."""
        if self._at_once(changes):
            return
        check = Check(self._storage)
        replaced = check.all(changes)
        self._with_plan(changes, check.copied)
        for path, before in replaced.items():
            _require_newer(path, before)

    def purge(self, keys: Sequence[str]) -> None:
        """See `Writer.purge`."""
        try:
            super().purge(keys)
        except OSError as error:
            if error.errno not in FULL:
                raise
            # The plan of a transaction finds no room on a full disk. This needs none.
            self._put_away(keys)

    def _put_away(self, keys: Sequence[str]) -> None:
        """Rename to where the next to hold the lease removes it, and remove what can be now."""
        root = self._storage.where
        done: list[tuple[str, str]] = []
        try:
            for key in filter(self._storage.exists, keys):
                away = f"{HIDDEN}/tmp/{os.path.basename(temporary_name(''))}"
                inside.rename(root, key, away)
                done.append((key, away))
            for folder in {os.path.dirname(key) for key, _ in done}:
                fsync_folder(f"{root}/{folder}")
        except BaseException:
            for key, away in done:
                inside.rename(root, away, key)
            raise
        for _, away in done:
            with suppress(OSError):
                inside.remove(root, away)

    def _at_once(self, changes: Sequence[Change]) -> bool:
        """Write one file, with a line of a log at most: this needs no plan."""
        match changes:
            case [Write(_, bytes() as data) as write]:
                log = None
            case [Write(_, bytes() as data) as write, Append() as log] if _is_monthly(log.key):
                check_key(log.key)
            case _:
                return False
        path = self._storage.path_of(write.key)
        if write.if_absent or write.if_stamp is not None:
            replaced_ns = Check(self._storage).all([write]).get(path)
        else:
            replaced_ns = _time_of(path)
        self._journal.write(path, data, log, replaced_ns=replaced_ns)
        return True

    def _with_plan(self, changes: Sequence[Change], copied: Sequence[str | bytes | Staged]) -> None:
        sources = iter(copied)
        with self._journal.transaction() as transaction:
            for change in changes:
                if isinstance(change, Copy):
                    transaction.copy(self._opener(next(sources)), change.target)
                else:
                    transaction.add(change)

    def _opener(self, source: str | bytes | Staged) -> bytes | Opener:
        match source:
            case str(key):
                return partial(self._storage.open_read, key)
            case Staged(token):
                return lambda: open(token, "rb")
        return source


def _is_monthly(key: str) -> bool:
    """Whether a log is one of those that `Journal.write` knows to shorten after a crash."""
    match key.split("/"):
        case [folder, "history" | "sources", month]:
            return folder == HIDDEN and len(month) == len("2026-01.jsonl")
    return False


def _time_of(path: str) -> int | None:
    """Return when a file was changed that is to be replaced, whatever it is; None if none is."""
    with suppress(OSError):
        return os.stat(path).st_mtime_ns
    return None


def _require_newer(path: str, before: int) -> None:
    """Let a file have another time than the one that it replaced, however coarse the clock is."""
    with suppress(OSError):  # it has happened, and must not raise any more
        if os.stat(path).st_mtime_ns == before:
            os.utime(path, ns=(before + 1, before + 1))
