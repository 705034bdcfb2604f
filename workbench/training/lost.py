"""Training processes that ended without a message, and what their last output says of the cause."""

from __future__ import annotations

import re
import subprocess
import time

from workbench.persistence.run_folder import RunFolder
from workbench.training.config import TrainingConfig
from workbench.training.events import Failed
from workbench.training.failures import Failure, killed
from workbench.training.processes import child_of
from workbench.training.progress import WAITING, RunProgress

_SECONDS_TO_LEARN_STATUS = 2.0
_LOG_LINES_IN_MESSAGE = 5
_REPAINT = re.compile(r"\r|\x1b\[K")
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def explain_lost(folder: RunFolder, config: TrainingConfig, progress: RunProgress) -> Failure:
    """Say that a run's process is gone, and what is known of the reason."""
    record = folder.read_process()
    child = child_of(record)
    started = record is not None and progress.state != WAITING
    what = "is gone without a word" if started else "never started"
    reason = _exit_reason(_exit_status(child))
    text = f"the training process {what}{reason}{_last_words(folder)}"
    if not started:
        return Failure(text)
    used = progress.resources
    memory, memory_free = (used.memory, used.memory_free) if used is not None else (0.0, 0.0)
    return killed(config, text, memory, memory_free)


def failed(failure: Failure) -> Failed:
    """Return the last word of a run that could not say it itself."""
    return Failed(
        time=time.time(),
        message=failure.message,
        kind=failure.kind,
        suggestions=failure.suggestions,
    )


def as_shown(text: str) -> str:
    """Return what a process printed as a terminal would show it."""
    # A progress bar repaints its line after a return or an erase-line; the last one counts.
    lines = (_REPAINT.split(line.rstrip("\r"))[-1] for line in text.split("\n"))
    return _ANSI.sub("", "\n".join(lines))


def _exit_status(child: subprocess.Popen[bytes] | None) -> int | None:
    """Return how a process that is gone has ended; None if it was not started by this one."""
    if child is None:
        return None
    try:
        # Not `poll`: it returns None while another thread is just waiting for the same process.
        return child.wait(_SECONDS_TO_LEARN_STATUS)
    except subprocess.TimeoutExpired:
        return None


def _exit_reason(status: int | None) -> str:
    if status == -9:
        return " (killed, by a person or by the system because memory ran out)"
    if status:
        return f" (exit status {status})"
    return " (killed, or the machine was restarted)"


def _last_words(folder: RunFolder) -> str:
    lines = [line.strip() for line in as_shown(folder.log_tail()).splitlines() if line.strip()]
    if not lines:
        return ""
    return "; its log ends in: " + " / ".join(lines[-_LOG_LINES_IN_MESSAGE:])
