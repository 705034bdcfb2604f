"""Reading what a run's folder says: each event once, folded into where the run stands."""

from __future__ import annotations

import logging
import time
from threading import Lock

from workbench.errors import InvalidDatasetError
from workbench.persistence.counting import counted
from workbench.persistence.run_folder import RunFolder
from workbench.training.config import TrainingJob
from workbench.training.events import Event, Failed, Queued, parse_event
from workbench.training.progress import RunProgress, advance, advance_all

_log = logging.getLogger(__name__)


class RunReader:
    """Keeps up with one run's events. May be used from several threads.

    Parameters
    ----------
    folder : RunFolder
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._job = TrainingJob.from_json(folder.read_job())
        self._progress = RunProgress(
            epochs=self._job.config.epochs, warnings=tuple(self._job.warnings)
        )
        self._offset = 0
        self._reading = Lock()

    @property
    def job(self) -> TrainingJob:
        """What is trained; with other settings once the run was resumed with such."""
        return self._job

    def read(self) -> RunProgress:
        """Return where the run stands by its events, those since the last call included."""
        with self._reading:
            try:
                lines, self._offset = self._folder.read_events(self._offset)
            except InvalidDatasetError as error:
                # A link or a pipe, say: the run is shown as failed, with what to do about it.
                return advance(self._progress, Failed(time=time.time(), message=str(error)))
            if not lines and not self._folder.path.is_dir():
                return advance(self._progress, self._gone())
            events = parse_events(lines)
            self._progress = advance_all(self._progress, events)
            if any(isinstance(event, Queued) and event.changes for event in events):
                self._job = TrainingJob.from_json(self._folder.read_job())
            return self._progress

    def _gone(self) -> Failed:
        text = (
            f"its folder {self._folder.path} is not there any more: somebody has removed or moved "
            "it, and nothing of the run is kept"
        )
        return Failed(time=time.time(), message=text)


def parse_events(lines: list[str]) -> list[Event]:
    """Return the events of some lines, without those that cannot be read."""
    events: list[Event] = []
    left_out: list[ValueError] = []
    for line in lines:
        try:
            events.append(parse_event(line))
        except ValueError as error:
            left_out.append(error)
    if left_out:  # a newer version may tell of things that this one does not know
        others = f" (and {counted(len(left_out) - 1, 'other')})" if len(left_out) > 1 else ""
        _log.warning("training event left out%s: %s", others, left_out[0])
    return events
