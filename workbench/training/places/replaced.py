"""A process on a node that a run was taken from ends itself.

Ray's own processes on a node can die, or its network, while the process that trains lives on. The
run is then sent to another node, and two processes would write into one folder. So the one that
trains looks, again and again, whether the run's folder still names its task.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Final

from workbench.errors import WorkbenchError
from workbench.persistence.run_folder import RunFolder

VARIABLE: Final = "WORKBENCH_TASK"
"""Environment variable of a process on a node: what the cluster calls what it does."""
SECONDS_TO_LET_GO = 5.0
"""So long whoever sends a run again waits for the one before. Opening a file on NFS looks what
it is by now; the rest is for a node that is slow."""

_POLL_SECONDS = 0.5
_REPLACED = 4  # exit status


def end_when_replaced(folder: RunFolder) -> None:
    """Watch over this process, if it has a task, from a thread of its own."""
    task = os.environ.get(VARIABLE, "")
    if task:
        threading.Thread(target=_watch, args=(folder, task), name="task-watch", daemon=True).start()


def _watch(folder: RunFolder, task: str) -> None:
    while not _is_replaced(folder, task):
        time.sleep(_POLL_SECONDS)
    print(f"the run has another task than {task} by now; this process ends", flush=True)
    # At once, and without a word to the run's events: they are another process's now.
    os._exit(_REPLACED)


def _is_replaced(folder: RunFolder, task: str) -> bool:
    try:
        found = folder.read_task()
    except (OSError, WorkbenchError):
        return False  # out of reach for a moment, to be written to as well
    return found is None or found.get("id") != task
