"""Which runs wait for their turn, and which go on, as their folders say."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from workbench.errors import InvalidDatasetError
from workbench.persistence.disk_errors import in_our_words
from workbench.persistence.process_lock import holding
from workbench.persistence.run_folder import RunFolder

_LOCK_POLL_SECONDS = 0.02
_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RunQueue:
    """The queue of the runs below a folder.

    A run waits as long as its folder holds ``queued.json``, and goes on as long as the
    process in its ``process.json`` is alive; there is no list that could disagree with that.

    Parameters
    ----------
    runs_dir : Path
    """

    runs_dir: Path

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the queue for all other processes and threads. For threads, not for a loop."""
        with in_our_words(str(self.runs_dir)):
            self.runs_dir.mkdir(parents=True, exist_ok=True)
        with holding(self.runs_dir / ".queue.lock", _LOCK_POLL_SECONDS):
            yield

    def waiting(self) -> list[RunFolder]:
        """Return the runs that wait, the next one first."""
        found = []
        for folder in self._folders("queued.json"):
            place = _read(folder, folder.read_queued)
            if place is not None and folder.job_path.is_file():
                found.append((place, folder.id, folder))
        return [folder for _, _, folder in sorted(found, key=lambda item: item[:2])]

    def going_on(self, *, except_pid: int | None = None) -> list[RunFolder]:
        """Return the runs of this machine whose process is alive."""
        found = []
        for folder in self._folders("process.json"):
            record = _read(folder, folder.read_process)
            if record is not None and record.pid != except_pid and record.find() is not None:
                found.append(folder)
        return found

    def append(self, folder: RunFolder) -> None:
        """Put a run behind all others. Call it under the lock."""
        places = [place for other in self.waiting() if (place := other.read_queued()) is not None]
        folder.write_queued(max(places, default=0.0) + 1.0)

    def reorder(self, run_ids: Sequence[str]) -> None:
        """Give the waiting runs this order; those that are not named keep theirs, behind."""
        waiting = {folder.id: folder for folder in self.waiting()}
        named = [run_id for run_id in dict.fromkeys(run_ids) if run_id in waiting]
        order = [*named, *(run_id for run_id in waiting if run_id not in named)]
        for place, run_id in enumerate(order, start=1):
            waiting[run_id].write_queued(float(place))

    def _folders(self, marker: str) -> Iterator[RunFolder]:
        try:
            entries = sorted(os.listdir(self.runs_dir))
        except FileNotFoundError:
            return
        for name in entries:
            if os.path.isfile(self.runs_dir / name / marker):
                yield RunFolder((self.runs_dir / name).resolve())


def _read(folder: RunFolder, read: Callable[[], T | None]) -> T | None:
    """Return what a run has noted; one that is damaged holds up no other."""
    try:
        return read()
    except InvalidDatasetError as error:
        _log.warning("training run %s is left out: %s", folder.path, error)
        return None
