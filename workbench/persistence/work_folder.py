"""A folder in which processes of this machine work, and tell each other of it by files.

Runs and sweeps are such folders: each has one file that makes it what it is, notes as JSON, a log
that a process prints into, empty files that ask for something, and locks.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Self

from workbench.errors import NotFoundError, WorkbenchError
from workbench.persistence.disk_errors import in_our_words
from workbench.persistence.own_folders import is_own, is_signed, mark_own, own_signature
from workbench.persistence.plain_files import read_rest
from workbench.persistence.process_lock import holding
from workbench.persistence.process_record import ProcessRecord
from workbench.persistence.scratch import scratch_prefix
from workbench.persistence.storage.local import inside
from workbench.persistence.storage.local.atomic import remove_file, replace_file
from workbench.persistence.stored_json import MALFORMED, malformed

LOCK_POLL_SECONDS = 0.05
_MOST_BYTES = 1 << 24
"""Of a note: the job of a run with 100,000 names of classes has a tenth of that."""
_LOG = "log.txt"
_MAKER = "maker.json"  # in one that is not yet what it is to be


@dataclass(frozen=True, slots=True)
class WorkFolder:
    """The files of one piece of work. Cheap to make; reads and writes only when told to.

    Attributes
    ----------
    what : str
        What such a folder is, for messages.
    marker : str
        The file that makes a folder one; it is written last.
    below : str
        The folder in that of all runs that they lie in; empty for that one itself.
    inner : tuple of str
        The folders that are in one from the beginning.
    """

    path: Path

    what: ClassVar[str]
    marker: ClassVar[str]
    below: ClassVar[str] = ""
    inner: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def create(cls, runs_dir: Path, dataset: str, now: datetime | None = None) -> Self:
        """Make a new folder; its name sorts by time and ends in the dataset's name."""
        stamp = (now or datetime.now()).strftime("%Y%m%d-%H%M%S")
        parent = runs_dir / cls.below
        with in_our_words(f"{parent}: no folder for a {cls.what} can be made"):
            parent.mkdir(parents=True, exist_ok=True)
            cls._remove_half_made(parent)
            for name in numbered(unicodedata.normalize("NFC", f"{stamp}-{dataset}")):
                try:
                    (parent / name).mkdir()
                except FileExistsError:  # two were started within one second
                    continue
                return cls((parent / name).resolve())._filled()
        raise AssertionError("names cannot run out")

    def _filled(self) -> Self:
        """Make what is in it from the beginning, or leave nothing of it."""
        try:
            self.note_maker()
            for inner in self.inner:
                (self.path / inner).mkdir()
        except BaseException:
            self.remove()
            raise
        return self

    def note_maker(self) -> None:
        """Note that this process makes the folder what it is to be.

        If it is killed before that, the next one that makes a folder beside it removes what is
        left, which may be a whole copy of a dataset.
        """
        record = ProcessRecord.of_this_process().as_json()
        self.write_note(_MAKER, {**record, "signature": own_signature(self.path)})

    @classmethod
    def _remove_half_made(cls, parent: Path) -> None:
        """Remove what processes that are gone began to make, here and for this user."""
        with os.scandir(parent) as entries:
            names = [e.name for e in entries if e.is_dir(follow_symlinks=False)]
        for folder in [cls((parent / name).resolve()) for name in names if name[0] != "."]:
            with suppress(OSError, WorkbenchError):  # it can stay: nobody takes it for a run
                if not folder.is_there() and folder._is_abandoned():
                    folder.remove()

    def _is_abandoned(self) -> bool:
        """Whether a process of this machine and user has noted that it makes it, and is gone."""
        content = self.read_note(_MAKER)
        if not is_signed(self.path, content):
            return False
        maker = self.read_record(_MAKER)
        return maker is not None and maker.is_here() and maker.find() is None

    @classmethod
    def find_all(cls, runs_dir: Path) -> list[Self]:
        """Return all of them below the folder of all runs, oldest first."""
        parent = runs_dir / cls.below
        if not parent.is_dir():
            return []
        # Hidden ones are being removed, or are none.
        found = sorted(entry for entry in parent.iterdir() if not entry.name.startswith("."))
        folders = [cls(entry.resolve()) for entry in found if entry.is_dir()]
        return [folder for folder in folders if folder.is_there()]

    @property
    def id(self) -> str:
        """The name of the folder."""
        return self.path.name

    @property
    def runs_dir(self) -> Path:
        """The folder of all runs."""
        return self.path.parents[1 if self.below else 0]

    @property
    def data_dir(self) -> Path:
        """The frozen view of the dataset."""
        return self.path / "data"

    def is_there(self) -> bool:
        """Whether the folder is what it is to be by now."""
        return (self.path / self.marker).is_file()

    def remove(self) -> None:
        """Remove the folder with all that is in it: for one that never came to be.

        Nobody sees half of it. What is left if this process is killed meanwhile is removed by the
        next one that removes such a folder.
        """
        parent, gone = self.path.parent, self.path
        with suppress(OSError):  # some systems move no folder of which a file is open
            name = f"{scratch_prefix('gone', parent)}{secrets.token_hex(4)}"
            gone = gone.rename(parent / name)
        shutil.rmtree(gone)

    # --- notes

    def read_marker(self) -> dict[str, Any]:
        """Return what is in the file that makes the folder what it is.

        Raises
        ------
        NotFoundError
            If it is not there.
        """
        content = self.read_note(self.marker)
        if content is None:
            raise NotFoundError(
                f"{self.path}: no {self.what} here (expected {self.marker}); check the path, or "
                f"was it deleted?"
            )
        return content

    def write_note(self, name: str, content: Mapping[str, Any]) -> None:
        """Write one of the files with JSON."""
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        self.write(name, text.encode())
        if name == self.marker:
            self.remove_file(_MAKER)

    def read_note(self, name: str) -> dict[str, Any] | None:
        """Return what is in one of the files with JSON, or None if it is not there."""
        try:
            content = inside.read_json(str(self.path), name, self.noted, most=_MOST_BYTES)
        except FileNotFoundError:
            return None
        if not isinstance(content, dict):
            raise self.damaged(name, type(content).__name__)
        return content

    def write_record(self, name: str, record: ProcessRecord) -> None:
        """Note which process does something."""
        self.write_note(name, record.as_json())

    def read_record(self, name: str) -> ProcessRecord | None:
        """Return which process does something, or None before it was noted."""
        content = self.read_note(name)
        try:
            return None if content is None else ProcessRecord.from_json(content)
        except MALFORMED as error:
            raise self.damaged(name, error) from error

    def write(self, name: str, data: bytes) -> None:
        """Write a file directly in the folder as a whole; a link in its place is replaced."""
        with in_our_words(self.id):
            replace_file(str(self.path / name), data, str(self.path))

    def remove_file(self, name: str) -> None:
        """Remove a file directly in the folder, if it is there."""
        remove_file(str(self.path / name))

    @property
    def noted(self) -> str:
        """What is expected in the notes, for messages."""
        return f"what a {self.what} noted"

    def damaged(self, name: str, found: object) -> Exception:
        """Return the error for a file with something else in it than we write."""
        return malformed(str(self.path / name), self.noted, found)

    # --- whose it is

    def mark_own(self) -> None:
        """Note that somebody on this machine has started what is described here."""
        mark_own(self.path)

    def is_own(self) -> bool:
        """Whether somebody on this machine has started it, or let it go on."""
        return is_own(self.path)

    # --- requests

    def ask(self, name: str) -> None:
        """Ask for something by an empty file."""
        with in_our_words(self.id), inside.writing(str(self.path), name):
            pass

    def is_asked(self, name: str) -> bool:
        """Whether somebody asked for something."""
        return inside.exists(str(self.path), name)

    def request_cancel(self) -> None:
        """Ask for the end at once of all that goes on."""
        self.ask("cancel")

    def cancel_requested(self) -> bool:
        """Whether somebody asked for the end at once."""
        return self.is_asked("cancel")

    # --- the log

    @property
    def log_path(self) -> Path:
        """The file with everything that its process printed."""
        return self.path / _LOG

    def open_log(self) -> int:
        """Return a descriptor that appends to the log, for a process's output."""
        with in_our_words(self.id):
            return inside.open_to_append(str(self.path), _LOG)

    def log_tail(self, max_bytes: int = 20_000) -> str:
        """Return the end of what its process printed."""
        try:
            with inside.reading(str(self.path), _LOG) as descriptor:
                size = os.fstat(descriptor).st_size
                os.lseek(descriptor, max(0, size - max_bytes), os.SEEK_SET)
                return read_rest(descriptor).decode(errors="replace")
        except FileNotFoundError:
            return ""

    # --- locks

    @contextmanager
    def lock_in_thread(self, name: str = ".lock") -> Iterator[None]:
        """Lock the folder for all other processes and threads. For threads, not for a loop."""
        with holding(self.path / name, LOCK_POLL_SECONDS):
            yield


def numbered(stem: str) -> Iterator[str]:
    """Yield `stem`, then ``<stem>-2``, ``<stem>-3`` and so on."""
    yield stem
    number = 2
    while True:
        yield f"{stem}-{number}"
        number += 1
