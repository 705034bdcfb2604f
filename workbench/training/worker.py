"""The process that trains: ``python -m workbench.training.worker <run folder>``.

It knows nothing but its run folder. All it has to say goes into the folder's events, all
that it prints into whatever its output is connected to (the runner gives it ``log.txt``).
When it ends, it starts the run that waits for its device, if there is one: nobody else may
be alive then. On a cluster it does not: there the cluster sees to who is next.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from pathlib import Path

from workbench.errors import TrainingError
from workbench.persistence.run_folder import ProcessRecord, RunFolder
from workbench.training.architectures import require_moderate, write_checked
from workbench.training.arguments import resume_arguments, train_arguments
from workbench.training.config import TrainingJob
from workbench.training.environment import prepare_worker
from workbench.training.events import Failed, Finished, Started, format_event
from workbench.training.failures import explain
from workbench.training.giving_way import step_back
from workbench.training.node_data import let_go
from workbench.training.places import place_of
from workbench.training.places.replaced import end_when_replaced
from workbench.training.queueing import start_due
from workbench.training.reporter import Reporter, of_the_best, our_metrics
from workbench.training.resuming import Checkpoint, find_checkpoint, finish, put_back
from workbench.training.run_data import make_ready
from workbench.training.telling import has_ended
from workbench.training.weights_check import load_rewritten, rewritten_weights, save_clean
from workbench.weights.rewriting import Rewritten


def train(folder: RunFolder) -> None:
    """Train what the folder's job says, and tell of it in the folder's events.

    Where the folder holds a checkpoint, training goes on from there.

    Raises
    ------
    Exception
        Whatever broke the training, after a `Failed` event.
    """
    claim(folder)
    job = TrainingJob.from_json(folder.read_job())
    if job.config.teaching:
        step_back()
    try:
        folder.make_reserve()
        make_ready(folder, job.data_yaml)
        checkpoint = find_checkpoint(folder)
        start = _start_of(job, checkpoint)
        restricted = start is None or not start.trusted
        ultralytics = prepare_worker(folder.settings_dir, restricted=restricted)
        if start is not None:
            _measure(start, job.base_model.label if checkpoint is None else str(checkpoint.path))
        done = 0 if checkpoint is None else checkpoint.epochs_done
        reporter = Reporter(folder, job, done)
        reporter.emit(_started(job, checkpoint))
        if checkpoint is not None and done >= job.config.epochs:
            put_back(folder, job, checkpoint)
            metrics = of_the_best(our_metrics(finish(folder)))
            reporter.emit(Finished(time=time.time(), epochs_completed=done, metrics=metrics))
            return
        if checkpoint is None:
            model = ultralytics.YOLO(str(_beginning(job, start, folder.start_dir)), task="detect")
            arguments = train_arguments(job, folder)
        else:
            own = put_back(folder, job, checkpoint)
            model = ultralytics.YOLO(str(own), task="detect")
            arguments = resume_arguments(job, folder)
        reporter.attach(model)
        model.train(**arguments)
    except Exception as error:
        _tell_failure(folder, job, error)
        raise
    finally:
        folder.free_reserve()
        folder.remove_start()
        let_go(folder)


def claim(folder: RunFolder) -> None:
    """Note that this process trains the run.

    Raises
    ------
    TrainingError
        If another process does already.
    """
    with folder.lock_in_thread():
        mine, other = ProcessRecord.of_this_process(), folder.read_process()
        # The parent may stand there: on Windows, a virtual environment's Python starts another.
        if other is not None and other.pid not in {mine.pid, os.getppid()} and other.find():
            raise TrainingError(f"{folder.path}: process {other.pid} trains this run already")
        folder.write_process(mine)


def _start_of(job: TrainingJob, checkpoint: Checkpoint | None) -> Rewritten | None:
    """Return the weights that training starts from; None for an architecture."""
    if checkpoint is not None:
        return checkpoint.weights
    return rewritten_weights(job.base_model.source) if job.base_model.pretrained else None


def _beginning(job: TrainingJob, start: Rewritten | None, folder: Path) -> Path:
    """Write what Ultralytics begins with; what was judged is what it is given."""
    source = job.base_model.source
    if start is None:
        return write_checked(source, folder)
    return save_clean(start, folder / Path(source).name)


def _measure(start: Rewritten, where: str) -> None:
    """Refuse weights whose architecture, which Ultralytics builds anew, would take too much."""
    if not start.trusted:
        checkpoint = load_rewritten(start)
        require_moderate((checkpoint.get("ema") or checkpoint["model"]).yaml, where)


def _started(job: TrainingJob, checkpoint: Checkpoint | None) -> Started:
    done = 0 if checkpoint is None else checkpoint.epochs_done
    note = job.base_model.note
    if done:
        note = f"Goes on after epoch {done}, from the checkpoint that was kept. {note}"
    return Started(
        time=time.time(),
        base_model=job.base_model.label,
        pretrained=job.base_model.pretrained,
        note=note,
        epochs=job.config.epochs,
        epochs_done=done,
    )


def _tell_failure(folder: RunFolder, job: TrainingJob, error: Exception) -> None:
    folder.free_reserve()
    folder.drop_half_event()
    if has_ended(folder):  # told by a process of its own, as with several GPUs
        return
    failure = explain(error, job.config, folder.log_tail())
    event = Failed(
        time=time.time(),
        message=failure.message,
        traceback=traceback.format_exc(),
        kind=failure.kind,
        suggestions=failure.suggestions,
    )
    folder.append_event(format_event(event))


def main(arguments: list[str]) -> int:
    """Run the worker; the exit status is 0 only after a run that finished or was stopped."""
    if len(arguments) != 1:
        print("usage: python -m workbench.training.worker <run folder>", file=sys.stderr)
        return 2
    folder = RunFolder(Path(arguments[0]).resolve())
    end_when_replaced(folder)
    try:
        train(folder)
    finally:
        if not place_of(folder).hands_over:
            start_due(folder.runs_dir, except_pid=os.getpid())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
