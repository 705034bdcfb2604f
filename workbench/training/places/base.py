"""What a place where runs run has to be able to do."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from workbench.persistence.models import DatasetInfo
from workbench.persistence.run_folder import RunFolder
from workbench.training.config import BaseModel, TrainingConfig
from workbench.training.problems import Problem


class Place(Protocol):
    """A place where runs run.

    A run is the same everywhere: its folder is its record, and whoever follows it reads that
    folder. A place starts what writes there, says whether that is gone, and ends it. Stopping
    and pausing need no word here: they are requests in the folder. All methods wait for disks
    and processes, and are for threads.
    """

    @property
    def address(self) -> str:
        """What the run's job names the place by."""

    @property
    def hands_over(self) -> bool:
        """Whether a run that has been started may have to wait there for its turn."""

    def name_as_own(self) -> None:
        """Note that a person here has named the place: it may be spoken to from now on."""

    def check(
        self, info: DatasetInfo, config: TrainingConfig, base: BaseModel, runs_dir: Path
    ) -> list[Problem]:
        """Return what speaks against a run there."""

    def devices(self, config: TrainingConfig) -> frozenset[str]:
        """Return the devices of this machine that a run occupies."""

    def start(self, folder: RunFolder) -> None:
        """Start a run, or let it go on from its checkpoint.

        To call under the lock of the queue.

        Raises
        ------
        TrainingError
            If no process can be started.
        """

    def is_lost(self, folder: RunFolder) -> bool:
        """Whether what trains a run is gone for good; False where nobody here can tell.

        A run that is over has lost nothing: that is for the caller to know.
        """

    def tend(self, folder: RunFolder) -> None:
        """Do what a run that goes on may need: called every few seconds by whoever follows it."""

    def end(self, folder: RunFolder) -> bool:
        """End a run at once, with all its processes.

        Returns
        -------
        bool
            False: the place cannot be reached now. The wish is kept in the run's folder, and
            carried out as soon as it can.

        Raises
        ------
        TrainingError
            If it cannot be ended from here.
        """
