"""What a run's job does on its node: ``python -m workbench.training.places.node``.

It takes the run's folder and the job's id, looks whether the node can train this run, says that
it has begun, and becomes the worker: the same process, so that whoever ends the job ends it.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path
from typing import NoReturn

from workbench.own_python import own_python
from workbench.persistence.run_folder import RunFolder
from workbench.training.config import TrainingJob
from workbench.training.environment import worker_environment
from workbench.training.events import DataFetched, Failed, Placed
from workbench.training.node_data import VARIABLE as DATA
from workbench.training.node_data import bring
from workbench.training.places.keeper import REFUSED, Task, task_of
from workbench.training.places.replaced import VARIABLE as TASK
from workbench.training.places.versions import mismatch, versions_here
from workbench.training.telling import tell

_SECONDS_TO_APPEAR = 10.0
_POLL_SECONDS = 0.2


def main(path: Path, task_id: str) -> NoReturn:
    """Become the worker of a run, or end with `REFUSED` where that may not be."""
    folder, host = RunFolder(path), socket.gethostname()
    task = _find(folder, task_id)
    if task is None:
        print(
            f"the node {host} does not see the run's folder {path}: put the data folder, and the "
            "folder runs beside it, where all nodes see them under the same path",
            flush=True,
        )
        sys.exit(REFUSED)
    problem = mismatch(task.versions, versions_here(), host)
    if problem is not None:
        tell(folder, Failed(time=time.time(), message=": ".join(problem)))
        sys.exit(REFUSED)
    where = TrainingJob.from_json(folder.read_job()).where.partition("?")[0]
    tell(folder, Placed(time=time.time(), where=where, task=task_id, node=host))
    data = bring(folder)
    tell(folder, DataFetched(time=time.time(), files=data.files, bytes=data.bytes))
    _become_worker(folder, task_id, data.path)


def _become_worker(folder: RunFolder, task_id: str, data: Path) -> NoReturn:
    log = folder.open_log()
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)
    os.chdir(folder.path)
    own = {TASK: task_id, DATA: str(data)}
    environment = worker_environment(folder.settings_dir) | own
    command = own_python("-m", "workbench.training.worker", str(folder.path))
    os.execve(sys.executable, command, environment)


def _find(folder: RunFolder, task_id: str) -> Task | None:
    """Return the task as the run's folder says it; a shared folder may need a moment."""
    limit = time.monotonic() + _SECONDS_TO_APPEAR
    while time.monotonic() < limit:
        if folder.job_path.is_file():
            task = task_of(folder)
            if task is not None and task.id == task_id:
                return task
        time.sleep(_POLL_SECONDS)
    return None


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
