"""A run on this machine is a child process that outlives its parent."""

from __future__ import annotations

from pathlib import Path

import psutil

from workbench.errors import TrainingError
from workbench.persistence.models import DatasetInfo
from workbench.persistence.process_record import ProcessRecord
from workbench.persistence.run_folder import RunFolder
from workbench.training.config import LOCAL, BaseModel, TrainingConfig
from workbench.training.devices import device_keys
from workbench.training.machine_checks import check_machine
from workbench.training.problems import Problem
from workbench.training.processes import child_of, kill_tree, spawn

_SECONDS_TO_START = 60.0


class LocalPlace:
    """The machine of whoever starts the run; see `workbench.training.places.base.Place`."""

    address = LOCAL
    hands_over = False

    def name_as_own(self) -> None:
        """Do nothing: it is."""

    def check(
        self, info: DatasetInfo, config: TrainingConfig, base: BaseModel, runs_dir: Path
    ) -> list[Problem]:
        """Return what speaks against a run on this machine."""
        return check_machine(info, config, base, runs_dir)

    def devices(self, config: TrainingConfig) -> frozenset[str]:
        """Return the devices that the run trains on."""
        return device_keys(config.device)

    def start(self, folder: RunFolder) -> None:
        """Start the process that trains."""
        child = spawn(folder)
        # The worker writes this too, but later; other processes must see from now on that it runs.
        folder.write_process(record_of(child.pid))

    def is_lost(self, folder: RunFolder) -> bool:
        """Whether the run's process is gone."""
        if folder.read_queued() is not None:
            return False
        record = folder.read_process()
        if record is None:
            return folder.job_age() >= _SECONDS_TO_START
        return record.is_here() and record.find() is None

    def tend(self, folder: RunFolder) -> None:
        """Do nothing: the process needs nobody."""

    def end(self, folder: RunFolder) -> bool:
        """Kill the run's process with all that it has started.

        Of a run that nobody on this machine has started, no process is there to be killed: what
        its folder names is anybody's.
        """
        if not folder.is_own():
            return True
        record = folder.read_process()
        if record is not None and not record.is_here():
            raise TrainingError(
                f"training run {folder.id} runs on {record.host}: cancel it there, or stop it"
            )
        kill_tree(record.find() if record is not None else None, child_of(record))
        return True


def record_of(pid: int) -> ProcessRecord:
    """Describe a child that was just started."""
    try:
        return ProcessRecord.of(psutil.Process(pid))
    except psutil.NoSuchProcess:  # ended at once; whoever looks at the run will say so
        return ProcessRecord.of_ended(pid)
