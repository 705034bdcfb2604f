"""Starting the process that trains, and ending it with all that it has started."""

from __future__ import annotations

import logging
import os
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import psutil

from workbench.errors import TrainingError
from workbench.own_python import own_python, python_path
from workbench.persistence.process_record import ProcessRecord
from workbench.persistence.run_folder import RunFolder
from workbench.persistence.sweep_folder import SweepFolder
from workbench.training.environment import worker_environment

_log = logging.getLogger(__name__)

_SECONDS_TO_DIE = 10

# Kept until they end. Otherwise Python would warn of a process that still runs when its `Run` is
# collected, and nobody could ask for its exit status.
_children: dict[int, subprocess.Popen[bytes]] = {}


def spawn(folder: RunFolder) -> subprocess.Popen[bytes]:
    """Start the process that trains, with its output in the run's log.

    Raises
    ------
    TrainingError
        If no process can be started.
    """
    return spawn_module(
        "workbench.training.worker", folder, worker_environment(folder.settings_dir)
    )


def spawn_module(
    module: str, folder: RunFolder | SweepFolder, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start a process for a run or a sweep that outlives this one, with its output in their log.

    Raises
    ------
    TrainingError
        If no process can be started.
    """
    for pid in [pid for pid, child in _children.items() if child.poll() is not None]:
        del _children[pid]
    log = folder.open_log()
    try:
        child = subprocess.Popen(
            own_python("-m", module, str(folder.path)),
            cwd=folder.path,
            env={**environment, **python_path(), "PYTHONSAFEPATH": "1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            **own_session(),
        )
    except OSError as error:
        raise TrainingError(f"the process of {module} could not be started: {error}") from error
    finally:
        os.close(log)
    _children[child.pid] = child
    _log.info("training run %s started as process %d (%s)", folder.path, child.pid, module)
    # On Unix, an ended process stays in the process table until its parent asks for its status.
    threading.Thread(target=child.wait, name=f"wait for {folder.id}", daemon=True).start()
    return child


def child_of(record: ProcessRecord | None) -> subprocess.Popen[bytes] | None:
    """Return the process as a child of this one, if it is one."""
    return None if record is None else _children.get(record.pid)


def own_session() -> dict[str, Any]:
    """Return the options with which Ctrl-C, or the end of the kernel, does not reach a child."""
    if os.name == "nt":
        return {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
    return {"start_new_session": True}


def kill_tree(parent: psutil.Process | None, child: subprocess.Popen[bytes] | None = None) -> None:
    """Kill a process with all its children, and wait until they are gone.

    Parameters
    ----------
    parent : Process or None
    child : Popen, optional
        The same, if this process has started it.
    """
    if parent is None and child is not None and child.poll() is None:
        parent = psutil.Process(child.pid)
    if parent is None:
        return
    try:
        parent.suspend()  # so that it starts no more children while they are counted
        family = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    if child is not None:
        with suppress(subprocess.TimeoutExpired):  # in the kernel, which no signal ends
            child.wait(_SECONDS_TO_DIE)
    psutil.wait_procs(family, timeout=_SECONDS_TO_DIE)
