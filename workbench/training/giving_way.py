"""A run in the background leaves the machine to the person who works on it.

Its process has the lowest priority. That is not enough where a person draws on a machine with
few processors: caches and memory are shared. So who sees a person work asks for the way, for a
moment, by a time in the run's folder; between two batches the run waits until then. Nobody has
to take the request back: when whoever asked is gone, it ends by itself.
"""

from __future__ import annotations

import os
import sys
import time

import psutil

from workbench.persistence.run_folder import RunFolder

FEW_PROCESSORS = 4
"""On a machine with more of them a run waits for nobody."""
LONGEST_WAIT = 1.0
"""Seconds between two batches, so that a person who never stops does not keep it from ending."""

_STEP = 0.05
_LOWEST = 19


def step_back() -> None:
    """Give this process the lowest priority."""
    if sys.platform == "win32":
        psutil.Process().nice(psutil.IDLE_PRIORITY_CLASS)
    else:
        psutil.Process().nice(_LOWEST)


def is_small_machine() -> bool:
    """Whether a person at work and a run get in each other's way here."""
    return (os.cpu_count() or 1) <= FEW_PROCESSORS


def give_way(folder: RunFolder) -> float:
    """Wait while a person wants the processor; return the seconds that it took."""
    began = time.monotonic()
    while time.time() < folder.way_requested():
        waited = time.monotonic() - began
        if waited >= LONGEST_WAIT or folder.stop_requested() or folder.pause_requested():
            break
        time.sleep(_STEP)
    return time.monotonic() - began
