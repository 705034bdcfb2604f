"""The process that trains: ``python -m workbench.training.worker <run folder>``.

It knows nothing but its run folder. All it has to say goes into the folder's events, all
that it prints into whatever its output is connected to (the runner gives it ``log.txt``).
"""

from __future__ import annotations

import errno
import sys
import time
import traceback
from pathlib import Path

from workbench.errors import TrainingError, WorkbenchError
from workbench.persistence.run_folder import ProcessRecord, RunFolder
from workbench.training.arguments import train_arguments
from workbench.training.config import TrainingJob
from workbench.training.environment import prepare_worker
from workbench.training.events import Failed, Started
from workbench.training.reporter import Reporter


def train(folder: RunFolder) -> None:
    """Train what the folder's job says, and tell of it in the folder's events.

    Raises
    ------
    Exception
        Whatever broke the training, after a `Failed` event.
    """
    _claim(folder)
    job = TrainingJob.from_json(folder.read_job())
    reporter = Reporter(folder, job.num_images)
    reporter.emit(
        Started(
            time=time.time(),
            base_model=job.base_model.label,
            pretrained=job.base_model.pretrained,
            note=job.base_model.note,
            epochs=job.config.epochs,
        )
    )
    try:
        ultralytics = prepare_worker(folder.settings_dir)
        model = ultralytics.YOLO(job.base_model.source, task="detect")
        reporter.attach(model)
        model.train(**train_arguments(job, folder))
    except Exception as error:
        message, trace = explain(error), traceback.format_exc()
        reporter.emit(Failed(time=time.time(), message=message, traceback=trace))
        raise


def explain(error: Exception) -> str:
    """Say what broke, with a remedy where there is a known one."""
    if isinstance(error, WorkbenchError):
        return str(error)
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return f"Out of memory ({text}). Take a smaller batch or a smaller image size."
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"The disk is full ({text}). Free some space and start again."
    return text


def _claim(folder: RunFolder) -> None:
    mine, other = ProcessRecord.of_this_process(), folder.read_process()
    if other is not None and other.pid != mine.pid and other.find() is not None:
        raise TrainingError(f"{folder.path}: process {other.pid} trains this run already")
    folder.write_process(mine)


def main(arguments: list[str]) -> int:
    """Run the worker; the exit status is 0 only after a run that finished or was stopped."""
    if len(arguments) != 1:
        print("usage: python -m workbench.training.worker <run folder>", file=sys.stderr)
        return 2
    train(RunFolder(Path(arguments[0]).resolve()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
