"""Runs take turns: whoever is alive starts the next one when its device is free.

Every process may call `start_due` at any time: the kernel that adds a run, a kernel that
lists or follows runs, and a worker that is about to end. Whoever holds the queue's lock
starts what is due, so that no run is started twice and none waits for a kernel that is gone.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.persistence.run_folder import RunFolder
from workbench.persistence.run_queue import RunQueue
from workbench.training.config import TrainingJob
from workbench.training.events import Event, Failed, Queued
from workbench.training.places import Place, place_at, place_of
from workbench.training.telling import tell

_log = logging.getLogger(__name__)


def enqueue(folder: RunFolder, event: Queued) -> None:
    """Put a run at the end of the queue."""
    queue = RunQueue(folder.runs_dir)
    with queue.lock():
        folder.clear_requests()
        tell(folder, event)
        folder.mark_own()
        queue.append(folder)


def take_off(folder: RunFolder, event: Event) -> bool:
    """Take a waiting run off the queue, with a last word; return whether it still waited."""
    with RunQueue(folder.runs_dir).lock():
        if folder.read_queued() is None:
            return False
        tell(folder, event)
        folder.remove_queued()
        return True


def start_due(runs_dir: Path, *, except_pid: int | None = None) -> list[str]:
    """Start the waiting runs whose devices are free, in their order; return their ids.

    A run does not overtake one before it that needs the same device. One that nobody on this
    machine has put into the queue is left alone: its folder came from elsewhere.

    Parameters
    ----------
    except_pid : int, optional
        A process that is about to end and occupies nothing any more.
    """
    queue = RunQueue(runs_dir)
    if not queue.waiting():
        return []
    started = []
    with queue.lock():
        taken: set[str] = set()
        for folder in queue.going_on(except_pid=except_pid):
            taken |= _devices_of(folder)
        for folder in filter(RunFolder.is_own, queue.waiting()):
            devices = _devices_of(folder)
            if taken.isdisjoint(devices):
                _start(folder)
                started.append(folder.id)
            taken |= devices
    return started


def make_room(runs_dir: Path, devices: frozenset[str]) -> None:
    """Have runs for teaching end early on devices that a person wants; what they learnt stays."""
    for folder in RunQueue(runs_dir).going_on():
        if _is_teaching(folder) and not devices.isdisjoint(_devices_of(folder)):
            folder.request_stop()


def _devices_of(folder: RunFolder) -> frozenset[str]:
    found = _job_of(folder)
    if found is None:
        return frozenset()
    job, place = found
    return place.devices(job.config)


def _is_teaching(folder: RunFolder) -> bool:
    found = _job_of(folder)
    return found is not None and found[0].config.teaching > 0


def _job_of(folder: RunFolder) -> tuple[TrainingJob, Place] | None:
    """Return what a run trains, and where; None if its folder says nothing that can be."""
    try:
        job = TrainingJob.from_json(folder.read_job())
        return job, place_at(job.where)
    except (WorkbenchError, ValueError, TypeError, KeyError) as error:
        _log.warning("training run %s cannot be read: %s", folder.path, error)
        return None


def _start(folder: RunFolder) -> None:
    try:
        place_of(folder).start(folder)
    except (WorkbenchError, ValueError, TypeError, KeyError) as error:
        tell(folder, Failed(time=time.time(), message=f"The run could not be started: {error}"))
    finally:
        folder.remove_queued()
