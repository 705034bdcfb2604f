"""Which process does a piece of work, in a way that outlives both processes and reboots."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import Any

import psutil

# Start times are counted from the time of boot, which moves when the clock is corrected.
_CLOCK_TOLERANCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """Which process trains.

    Parameters
    ----------
    pid : int
    created : float
        Start time in seconds since the epoch. A pid alone is reused by the system.
    host : str
        Name of the machine; from another one nothing can be said about the process.
    """

    pid: int
    created: float
    host: str

    @classmethod
    def of_this_process(cls) -> ProcessRecord:
        """Describe the process that calls."""
        return cls.of(psutil.Process())

    @classmethod
    def of(cls, process: psutil.Process) -> ProcessRecord:
        """Describe a process of this machine."""
        return cls(process.pid, process.create_time(), socket.gethostname())

    @classmethod
    def of_ended(cls, pid: int) -> ProcessRecord:
        """Describe a process of this machine that has just ended."""
        return cls(pid, time.time(), socket.gethostname())

    @classmethod
    def from_json(cls, content: Any) -> ProcessRecord:
        """Return what `as_json` has written; raises one of `MALFORMED` at anything else."""
        pid = int(content["pid"])
        if pid <= 0:  # no process; and to a signal, a whole group of them
            raise ValueError(f"the process {pid}")
        return cls(pid, float(content["created"]), str(content["host"]))

    def as_json(self) -> dict[str, Any]:
        """Return the record as JSON types."""
        return {"pid": self.pid, "created": self.created, "host": self.host}

    def is_here(self) -> bool:
        """Whether the process was started on this machine."""
        return self.host == socket.gethostname()

    def find(self) -> psutil.Process | None:
        """Return the process if it is alive on this machine, else None."""
        if not self.is_here():
            return None
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < _CLOCK_TOLERANCE_SECONDS
            alive = process.status() not in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
        except psutil.NoSuchProcess:
            return None
        return process if same and alive else None
