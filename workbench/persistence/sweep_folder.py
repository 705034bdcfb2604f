"""Sweeps on disk: many training runs that were described once.

A sweep is one folder, ``<runs_dir>/sweeps/<sweep id>/``; its trials are ordinary runs beside
``sweeps``::

    sweep.json      what is tried: the settings of each trial; never written again
    data/           frozen view of the dataset, which each trial gets a copy of
    trials.json     the run of each trial, and what was decided about it
    driver.json     the process that carries the sweep on, as in a run's process.json
    log.txt         what that process printed
    cancel          exists if somebody asked to end the sweep

A folder is a sweep from the moment that ``sweep.json`` is there, which is written last. Meaning
lives in `workbench.training.sweeps`.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from workbench.persistence.models import SPLITS, ImageKey
from workbench.persistence.process_record import ProcessRecord
from workbench.persistence.storage.local import inside
from workbench.persistence.storage.local.cloning import clone
from workbench.persistence.work_folder import WorkFolder

_TRIALS, _DRIVER = "trials.json", "driver.json"


@dataclass(frozen=True, slots=True)
class SweepFolder(WorkFolder):
    """The files of one sweep."""

    what: ClassVar[str] = "sweep"
    marker: ClassVar[str] = "sweep.json"
    below: ClassVar[str] = "sweeps"

    def write_plan(self, plan: Mapping[str, Any]) -> None:
        """Write what is tried; from here on the folder is a sweep."""
        self.write_note(self.marker, plan)

    def read_plan(self) -> dict[str, Any]:
        """Return what `write_plan` has written.

        Raises
        ------
        NotFoundError
            If this folder is no sweep.
        """
        return self.read_marker()

    def write_trials(self, trials: Mapping[str, Any]) -> None:
        """Note the run of each trial, and what was decided about it."""
        self.write_note(_TRIALS, trials)

    def read_trials(self) -> dict[str, Any]:
        """Return what `write_trials` noted; empty before that."""
        return self.read_note(_TRIALS) or {}

    def write_driver(self, record: ProcessRecord) -> None:
        """Note which process carries the sweep on."""
        self.write_record(_DRIVER, record)

    def read_driver(self) -> ProcessRecord | None:
        """Return which process carries the sweep on, or did last."""
        return self.read_record(_DRIVER)

    def clear_requests(self) -> None:
        """Forget that somebody asked for the end."""
        self.remove_file("cancel")

    # --- data of a trial

    def images(self) -> list[ImageKey]:
        """Return split and name of all images of the frozen view, those of test included."""
        root = str(self.path)
        return [(split, name) for split in SPLITS for name in inside.names(root, _images(split))]

    def copy_data(
        self, target: Path, val: Collection[ImageKey] | None = None
    ) -> tuple[dict[str, int], dict[str, int]]:
        """Give a trial a copy of its own of the data.

        Parameters
        ----------
        target : Path
            A folder that does not exist.
        val : collection of (str, str), optional
            Images of train and val by which this trial is measured; all the others of the two
            are trained on. Default: the splits as they are.

        Returns
        -------
        dict of str to int, dict of str to int
            How many images each split has, and how many of them have a label file.
        """
        images, labelled = dict.fromkeys(SPLITS, 0), dict.fromkeys(SPLITS, 0)
        for kind in ("images", "labels"):
            for split in SPLITS:
                (target / kind / split).mkdir(parents=True)
        found = self.images()
        stems = {split: {Path(name).stem for of, name in found if of == split} for split in SPLITS}
        for split, name in found:
            to, as_name = split, name
            if val is not None and split != "test":
                to = "val" if (split, name) in val else "train"
                as_name = name if to == split else _free_name(split, name, stems[to])
            self._copy(f"{_images(split)}/{name}", target / "images" / to / as_name)
            label = f"data/labels/{split}/{Path(name).stem}.txt"
            if inside.is_file(str(self.path), label):
                self._copy(label, target / "labels" / to / f"{Path(as_name).stem}.txt")
                labelled[to] += 1
            images[to] += 1
        self._copy("data/data.yaml", target / "data.yaml")
        return images, labelled

    def _copy(self, name: str, target: Path) -> None:
        with (
            inside.reading(str(self.path), name) as descriptor,
            os.fdopen(os.dup(descriptor), "rb") as original,
        ):
            clone(original, str(target))


def _images(split: str) -> str:
    return f"data/images/{split}"


def _free_name(split: str, name: str, taken: Collection[str]) -> str:
    """Return a name that no image of the other split has: they would share one label file."""
    while Path(name).stem in taken:
        name = f"{split}-{name}"
    return name
