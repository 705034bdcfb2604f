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

import json
import os
import shutil
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from workbench.errors import NotFoundError
from workbench.persistence.disk_errors import in_our_words
from workbench.persistence.models import SPLITS, ImageKey
from workbench.persistence.own_folders import is_own, mark_own
from workbench.persistence.process_lock import holding
from workbench.persistence.process_record import ProcessRecord
from workbench.persistence.run_folder import numbered
from workbench.persistence.storage.local import inside
from workbench.persistence.storage.local.atomic import remove_file, replace_file
from workbench.persistence.storage.local.cloning import clone
from workbench.persistence.stored_json import MALFORMED, malformed

SWEEPS = "sweeps"
_PLAN, _TRIALS, _DRIVER, _LOG = "sweep.json", "trials.json", "driver.json", "log.txt"
_NOTED = "what a sweep noted"
_LOCK_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class SweepFolder:
    """The files of one sweep. Cheap to make; reads and writes only when told to."""

    path: Path

    @classmethod
    def create(cls, runs_dir: Path, dataset: str) -> SweepFolder:
        """Make a folder for a new sweep; its name sorts by time and ends in the dataset's name."""
        stem = unicodedata.normalize("NFC", f"{datetime.now():%Y%m%d-%H%M%S}-{dataset}")
        parent = runs_dir / SWEEPS
        parent.mkdir(parents=True, exist_ok=True)
        for name in numbered(stem):
            try:
                (parent / name).mkdir()
            except FileExistsError:  # two were started within one second
                continue
            return cls((parent / name).resolve())
        raise AssertionError("names cannot run out")

    @classmethod
    def find_all(cls, runs_dir: Path) -> list[SweepFolder]:
        """Return the folders of all sweeps of runs in `runs_dir`, oldest first."""
        parent = runs_dir / SWEEPS
        if not parent.is_dir():
            return []
        folders = [cls(entry.resolve()) for entry in sorted(parent.iterdir()) if entry.is_dir()]
        return [folder for folder in folders if (folder.path / _PLAN).is_file()]

    @property
    def id(self) -> str:
        """The sweep's id: the name of its folder."""
        return self.path.name

    @property
    def runs_dir(self) -> Path:
        """The folder that holds the trials' runs."""
        return self.path.parent.parent

    @property
    def data_dir(self) -> Path:
        """The frozen view of the dataset."""
        return self.path / "data"

    def remove(self) -> None:
        """Remove the folder with all that is in it: for a sweep that never came to be."""
        shutil.rmtree(self.path)

    def write_plan(self, plan: Mapping[str, Any]) -> None:
        """Write what is tried; from here on the folder is a sweep."""
        self._write_json(_PLAN, plan)

    def read_plan(self) -> dict[str, Any]:
        """Return what `write_plan` has written.

        Raises
        ------
        NotFoundError
            If this folder is no sweep.
        """
        plan = self._read_json(_PLAN)
        if plan is None:
            raise NotFoundError(f"{self.path}: no sweep here (expected {_PLAN})")
        return plan

    def write_trials(self, trials: Mapping[str, Any]) -> None:
        """Note the run of each trial, and what was decided about it."""
        self._write_json(_TRIALS, trials)

    def read_trials(self) -> dict[str, Any]:
        """Return what `write_trials` noted; empty before that."""
        return self._read_json(_TRIALS) or {}

    def write_driver(self, record: ProcessRecord) -> None:
        """Note which process carries the sweep on."""
        self._write_json(_DRIVER, record.as_json())

    def read_driver(self) -> ProcessRecord | None:
        """Return which process carries the sweep on, or did last."""
        content = self._read_json(_DRIVER)
        try:
            return None if content is None else ProcessRecord.from_json(content)
        except MALFORMED as error:
            raise malformed(str(self.path / _DRIVER), _NOTED, error) from error

    def mark_own(self) -> None:
        """Note that somebody on this machine has started the sweep."""
        mark_own(self.path)

    def is_own(self) -> bool:
        """Whether somebody on this machine has started the sweep, or let it go on."""
        return is_own(self.path)

    def request_cancel(self) -> None:
        """Ask for the end of the sweep and of its runs."""
        with in_our_words(self.id), inside.writing(str(self.path), "cancel"):
            pass

    def cancel_requested(self) -> bool:
        """Whether somebody asked for the end of the sweep."""
        return inside.exists(str(self.path), "cancel")

    def clear_requests(self) -> None:
        """Forget that somebody asked for the end."""
        remove_file(str(self.path / "cancel"))

    def open_log(self) -> int:
        """Return a descriptor that appends to the log."""
        with in_our_words(self.id):
            return inside.open_to_append(str(self.path), _LOG)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the sweep for all other processes and threads. For threads, not for a loop."""
        with holding(self.path / ".lock", _LOCK_POLL_SECONDS):
            yield

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Keep others from starting a process for the sweep meanwhile. For threads."""
        with holding(self.path / ".starting", _LOCK_POLL_SECONDS):
            yield

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

    def _write_json(self, name: str, content: Mapping[str, Any]) -> None:
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        with in_our_words(self.id):
            replace_file(str(self.path / name), text.encode(), str(self.path))

    def _read_json(self, name: str) -> dict[str, Any] | None:
        try:
            content = inside.read_json(str(self.path), name, _NOTED)
        except FileNotFoundError:
            return None
        if not isinstance(content, dict):
            raise malformed(str(self.path / name), _NOTED, type(content).__name__)
        return content


def _images(split: str) -> str:
    return f"data/images/{split}"


def _free_name(split: str, name: str, taken: Collection[str]) -> str:
    """Return a name that no image of the other split has: they would share one label file."""
    while Path(name).stem in taken:
        name = f"{split}-{name}"
    return name
