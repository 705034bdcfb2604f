"""The record of training runs and sweeps, over any storage; the work, in a folder of this machine.

A process that trains needs files: it reads pictures by their paths, and appends to its events. So a
run is a folder on the machine where it trains, see `run_folder`. Where runs shall lie in a folder,
that is all. Where they shall lie in another storage, what is worth keeping of it is written there,
under the same names, by one commit after each epoch: what was to be trained, what happened, the
weights. Another machine shows the run from that, and can let it go on.

The process that trains does not do that itself: it reaches no network. Whoever follows the run
does, and what happened while nobody looked is written when somebody looks again.
"""

from __future__ import annotations

import builtins
import json
import logging
import re
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

from workbench.errors import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
    StorageError,
    WorkbenchError,
)
from workbench.persistence.addresses import bucket_at, place_of, work_folder_of
from workbench.persistence.storage import Change, Remove, Staged, Storage, Write, Writer
from workbench.persistence.storage.layout import ANYTHING
from workbench.persistence.storage.local import LocalStorage
from workbench.persistence.stored_json import MALFORMED, malformed, parse_json
from workbench.persistence.work_folder import WorkFolder

_log = logging.getLogger(__name__)

_KEPT = "kept.json"
"""In the storage: at home where, how often written, and which files there are."""
_NOTE = ".kept.json"
"""In the folder: the same, as far as it is known there."""
_LOCK = ".keeping.lock"
_EXPECTED = "what is kept of a run"
_MOST_BYTES = 1 << 24
_TRIES = 5

# What of a folder is its record. All else is for the machine on which it works: the data, what
# Ultralytics writes, locks, requests, its place in the queue.
_RECORD = re.compile(
    r"(?:config|process|task|registered|verdict|sweep|trials|driver)\.json|events\.jsonl|log\.txt"
    r"|weights/(?:best|last)\.pt|samples/[0-9]{5}/[^/]+\.jpg"
)
_LINES = frozenset({"events.jsonl"})
_LOG = "log.txt"
_GROWING = _LINES | {_LOG}
_LARGE = frozenset({_LOG, "weights/best.pt", "weights/last.pt"})

F = TypeVar("F", bound=WorkFolder)


@dataclass(frozen=True, slots=True)
class _Kept:
    """What was written of a folder.

    Parameters
    ----------
    host, folder : str
        Where it is at home: who works there, and nobody else, writes it.
    number : int
        How often it was written.
    files : dict of str to int
        The number at which each file was written last.
    marks : dict of str to list
        Size and time that each file of the folder had then; in the folder's own note only.
    """

    host: str
    folder: str
    number: int = 0
    files: dict[str, int] = field(default_factory=dict)
    marks: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, content: Any, where: str) -> Self:
        """Read it; a stranger's may name nothing but what is a record."""
        try:
            files = {str(name): int(number) for name, number in content["files"].items()}
            if not all(map(_RECORD.fullmatch, files)):
                raise ValueError("a file that is no part of it")
            marks = {str(name): [*map(int, mark)] for name, mark in content["marks"].items()}
            home = str(content["host"]), str(content["folder"])
            return cls(*home, int(content["number"]), files, marks)
        except MALFORMED as error:
            raise malformed(where, _EXPECTED, error) from error

    def as_json(self, *, marks: bool) -> dict[str, Any]:
        """Return it as JSON types."""
        home = {"host": self.host, "folder": self.folder, "number": self.number}
        return {**home, "files": self.files, "marks": self.marks if marks else {}}


class RunStore:
    """Training runs and sweeps.

    Parameters
    ----------
    folder : Path
        Where they work on this machine; made when the first one is.
    storage : Storage, optional
        Where their record is kept; default: in that folder, which is all there is of them.
    """

    def __init__(self, folder: Path, storage: Storage | None = None) -> None:
        self.folder = folder
        self._storage = storage
        # The same keys as in the storage.
        self._work = LocalStorage(str(folder), ANYTHING)
        self._here = _Kept(socket.gethostname(), str(folder))

    @classmethod
    def at(cls, place: Path | str) -> RunStore:
        """Return the runs in a folder, or at the address of a bucket."""
        found = place_of(place)
        if isinstance(found, Path):
            return cls(found.expanduser().resolve())
        return cls(work_folder_of(found).resolve(), bucket_at(found.rstrip("/")))

    # --- finding

    def create(self, kind: type[F], dataset: str) -> F:
        """Make the folder of a new run or sweep; its name is taken wherever they are kept."""
        while True:
            folder = kind.create(self.folder, dataset)
            if self._storage is None:
                return folder
            try:
                self._claim(folder, self._storage)
            except AlreadyExistsError:  # another machine has started one within the same second
                continue
            return folder

    def find_all(self, kind: type[F]) -> builtins.list[F]:
        """Return all runs or sweeps, oldest first; those of other machines as they were kept."""
        if self._storage is not None:
            try:
                self._fetch_others(kind, self._storage)
            except (WorkbenchError, OSError) as error:
                _log.warning("what other machines have trained is not looked for: %s", error)
        return kind.find_all(self.folder)

    def open(self, kind: type[F], name: str) -> F:
        """Return a run or sweep by its id, which need not be there."""
        folder = kind(self.folder / kind.below / name)
        try:
            self.fetch(folder)
        except (StorageError, OSError) as error:
            if not folder.is_there():
                raise
            _log.warning("%s %s is shown as it was: %s", folder.what, folder.id, error)
        return folder

    def host_of(self, folder: WorkFolder) -> str:
        """Return the name of the machine where it is at home if that is another; else empty."""
        known = self._note(folder)
        return known.host if known is not None and not self._is_here(known) else ""

    def remove(self, folder: WorkFolder) -> None:
        """Remove one that never came to be."""
        folder.remove()
        if self._storage is not None:
            self._storage.commit([Remove(self._key(folder))])

    # --- from here to the storage

    def keep(self, folder: WorkFolder, *, grown: bool = True) -> None:
        """Write to the storage what has changed of a folder that is at home here, all or nothing.

        Parameters
        ----------
        grown : bool
            Also if only events and log have grown; else these go along with the rest.

        Raises
        ------
        WorkbenchError, OSError
            If the storage cannot be written to; it is tried again with the next call.
        """
        for left in reversed(range(_TRIES)):
            try:
                self._keep(folder, grown)
                return
            except NotFoundError:  # a run that has ended removes what it needs no more
                if not left:
                    raise

    def _keep(self, folder: WorkFolder, grown: bool) -> None:
        if self._storage is None:
            return
        with folder.lock_in_thread(_LOCK):
            known = self._note(folder) or self._claim(folder, self._storage)
            if not self._is_here(known):
                return
            marks = self._marks(folder)
            changed = {name for name, mark in marks.items() if known.marks.get(name) != mark}
            gone = known.files.keys() - marks.keys()
            if not gone and not (changed if grown else changed - _GROWING):
                return
            with self._storage.lease() as writer:
                there = self._read(self._storage, folder)
                if there is None or not self._is_here(there):
                    _log.warning("%s goes on elsewhere: it is kept as that has it", folder.path)
                    return
                number = there.number + 1
                changed |= marks.keys() - there.files.keys()
                files = {name: number if name in changed else there.files[name] for name in marks}
                kept = _Kept(known.host, known.folder, number, files, marks)
                # In an order in which whoever looks at a half copy of it sees no run yet.
                changes: list[Change] = [
                    Write(self._key(folder, name), self._data(writer, folder, name))
                    for name in sorted(changed, key=lambda name: name == folder.marker)
                ]
                changes += [Remove(self._key(folder, name)) for name in sorted(gone)]
                writer.commit([*changes, Write(self._key(folder, _KEPT), _bytes(kept))])
            folder.write_note(_NOTE, kept.as_json(marks=True))

    # --- from the storage to here

    def fetch(self, folder: WorkFolder) -> None:
        """Bring the copy of what is at home elsewhere up to date; nothing if that is not so."""
        if self._storage is not None:
            there = self._read(self._storage, folder)
            if there is not None:
                self._fetch(folder, there, self._storage)

    def _fetch_others(self, kind: type[WorkFolder], storage: Storage) -> None:
        names = sorted(storage.list(kind.below).folders)
        folders = [kind(self.folder / kind.below / name) for name in names]
        keys = [self._key(folder, _KEPT) for folder in folders]
        contents = storage.read_many(keys, most=_MOST_BYTES)
        for folder, content in zip(folders, contents, strict=True):
            if content is None:
                continue
            try:
                self._fetch(folder, self._parsed(storage, folder, content), storage)
            except (WorkbenchError, OSError) as error:
                _log.warning("%s %s is left out: %s", folder.what, folder.id, error)

    def _fetch(self, folder: WorkFolder, there: _Kept, storage: Storage) -> None:
        if self._is_here(there) and folder.path.is_dir():
            return
        folder.path.mkdir(parents=True, exist_ok=True)
        with folder.lock_in_thread(_LOCK):
            for _ in range(_TRIES):
                known = self._note(folder) or _Kept("", "")
                if self._is_here(known):  # it was taken over
                    if not self._has_kept_all(folder, known):
                        _log.warning("%s goes on elsewhere, and has more here", folder.path)
                        return
                    known = _Kept("", "")
                if (known.number, known.host) == (there.number, there.host):
                    return
                stale = [n for n, number in there.files.items() if known.files.get(n) != number]
                stale.sort(key=lambda name: name == folder.marker)
                try:
                    keys = [self._key(folder, name) for name in stale]
                    storage.materialise(keys, self.folder)
                except NotFoundError:  # written anew meanwhile
                    again = None
                else:
                    again = self._read(storage, folder)
                if again == there:
                    for name in known.files.keys() - there.files.keys():
                        (folder.path / name).unlink(missing_ok=True)
                    note = there.as_json(marks=False) | {"marks": self._marks(folder)}
                    folder.write_note(_NOTE, note)
                    return
                newest = again or self._read(storage, folder)
                if newest is None:
                    return
                there = newest
        _log.warning("%s changes while it is read; it is read the next time", folder.path)

    def take_over(self, folder: WorkFolder) -> None:
        """Let this machine be where it is at home, as far as it was kept.

        Raises
        ------
        ConflictError
            If there is more of it than is known here.
        """
        if self._storage is None:
            return
        with folder.lock_in_thread(_LOCK), self._storage.lease() as writer:
            known, there = self._note(folder), self._read(self._storage, folder)
            if known is None or there is None or known.number != there.number:
                raise ConflictError(
                    f"{folder.what} {folder.id}: {known.host if known else 'another machine'} has "
                    f"written more of it meanwhile; look at it again"
                )
            home, marks = self._here, self._marks(folder)
            known_marks = {name: marks[name] for name in there.files if name in marks}
            kept = _Kept(home.host, home.folder, there.number + 1, there.files, known_marks)
            writer.commit([Write(self._key(folder, _KEPT), _bytes(kept))])
            folder.write_note(_NOTE, kept.as_json(marks=True))

    # --- what is known

    def _marks(self, folder: WorkFolder) -> dict[str, list[int]]:
        """Return size and time of each file of the record, as they are now."""
        samples = [
            f"samples/{name}" for name in self._work.list(self._key(folder, "samples")).folders
        ]
        found: dict[str, list[int]] = {}
        for inner in ("", "weights", *samples):
            listing = self._work.list(self._key(folder, inner))
            rows = zip(listing.names, listing.sizes.tolist(), listing.stamps.tolist(), strict=True)
            for last, size, stamp in rows:
                name = f"{inner}/{last}".lstrip("/")
                if _RECORD.fullmatch(name):
                    found[name] = [size, stamp]
        return found

    def _has_kept_all(self, folder: WorkFolder, known: _Kept) -> bool:
        marks = self._marks(folder)
        return all(known.marks.get(n) == mark for n, mark in marks.items() if n != _LOG)

    def _data(self, writer: Writer, folder: WorkFolder, name: str) -> bytes | Staged:
        with self._work.open_read(self._key(folder, name)) as stream:
            if name in _LINES:  # half a line may be at its end
                content = stream.read()
                return content[: content.rfind(b"\n") + 1]
            return writer.stage(stream) if name in _LARGE else stream.read()

    def _is_here(self, kept: _Kept) -> bool:
        return (kept.host, kept.folder) == (self._here.host, self._here.folder)

    def _claim(self, folder: WorkFolder, storage: Storage) -> _Kept:
        """Let this machine be where a new folder is at home; raises `AlreadyExistsError`."""
        key = self._key(folder, _KEPT)
        storage.commit([Write(key, _bytes(self._here), if_absent=True)])
        folder.write_note(_NOTE, self._here.as_json(marks=True))
        return self._here

    def _key(self, folder: WorkFolder, name: str = "") -> str:
        return "/".join(filter(None, (folder.below, folder.id, name)))

    def _note(self, folder: WorkFolder) -> _Kept | None:
        if self._storage is None:
            return None
        content = folder.read_note(_NOTE) if folder.path.is_dir() else None
        return None if content is None else _Kept.of(content, f"{folder.path}/{_NOTE}")

    def _read(self, storage: Storage, folder: WorkFolder) -> _Kept | None:
        [content] = storage.read_many([self._key(folder, _KEPT)], most=_MOST_BYTES)
        return None if content is None else self._parsed(storage, folder, content)

    def _parsed(self, storage: Storage, folder: WorkFolder, data: bytes | Exception) -> _Kept:
        if isinstance(data, Exception):
            raise data
        where = f"{storage.where}/{self._key(folder, _KEPT)}"
        return _Kept.of(parse_json(data, where, _EXPECTED), where)


def _bytes(kept: _Kept) -> bytes:
    return json.dumps(kept.as_json(marks=False)).encode()
