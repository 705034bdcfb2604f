"""Looking at a training run from outside: its process, and what it has told."""

from __future__ import annotations

import asyncio

from workbench.persistence.process_record import ProcessRecord
from workbench.persistence.run_folder import RunFolder
from workbench.training.events import Event, Queued
from workbench.training.run import Run


def process_of(run: Run) -> ProcessRecord:
    """Return the process that trains a run, or did last."""
    record = RunFolder(run.path).read_process()
    assert record is not None
    return record


async def events_of(run: Run) -> list[Event]:
    """Return all that a run tells until it is over."""
    return [event async for event in run.events()]


async def reach(run: Run, kind: type[Event], *, epoch: int = 0, attempt: int = 1) -> None:
    """Wait for an event of an epoch, counted from 1, in an attempt, counted from 1."""
    attempts = 0
    async for event in run.events():
        attempts += isinstance(event, Queued)
        late_enough = attempts >= attempt and getattr(event, "epoch", 0) >= epoch
        if late_enough and isinstance(event, kind):
            return
    raise AssertionError(f"{run.read_progress().message}\n{run.read_log()}")


async def gone(record: ProcessRecord) -> None:
    """Wait until a process has ended: a run says its last word before that."""
    while record.find() is not None:
        await asyncio.sleep(0.05)
