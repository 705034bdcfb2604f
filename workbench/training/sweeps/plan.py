"""What a sweep tries, and what has been decided about its trials: what lies in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from typing import Any

from workbench.errors import InvalidConfigError
from workbench.persistence.models import ImageKey
from workbench.persistence.stored_json import MALFORMED, malformed
from workbench.persistence.sweep_folder import SweepFolder
from workbench.training.config import TrainingJob
from workbench.training.sweeps.halving import Halving

RUNNING, FINISHED, CANCELLED, FAILED = "running", "finished", "cancelled", "failed"
_STATES = frozenset({RUNNING, FINISHED, CANCELLED, FAILED})
METRICS = ("map50_95", "map50")


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPlan:
    """What a sweep tries; it is never changed.

    Parameters
    ----------
    settings : list of dict
        What is special to each trial.
    jobs : list of TrainingJob
        The job of each trial, but for what is known only when its folder is made.
    folds : list of list of str
        ``split/name`` of the images that each trial is measured by, where it is trained on all
        others; empty: all have the splits of the dataset.
    halving : Halving or None
        Which trials end early; None: none.
    at_once : int
        Trials that are under way at a time.
    metric : str
        By which they are compared: ``"map50_95"`` or ``"map50"``, on val.
    created_at : str
        ISO 8601 with time zone.
    """

    settings: list[dict[str, Any]]
    jobs: list[TrainingJob]
    folds: list[list[str]] = field(default_factory=list)
    halving: Halving | None = None
    at_once: int = 1
    metric: str = METRICS[0]
    created_at: str = ""

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise InvalidConfigError(
                f"metric: expected {' or '.join(METRICS)}, found {self.metric!r}"
            )
        if not isinstance(self.at_once, int) or self.at_once < 1:
            raise InvalidConfigError(
                f"at_once: expected a whole number from 1 on, found {self.at_once!r}"
            )

    @property
    def is_cross_validation(self) -> bool:
        """Whether the trials differ in their data, not in their settings."""
        return bool(self.folds)

    def fold(self, number: int) -> frozenset[ImageKey] | None:
        """Return the images that a trial is measured by; None for those of val."""
        if not self.folds:
            return None
        parts = (name.partition("/") for name in self.folds[number])
        return frozenset((split, name) for split, _, name in parts)

    def write(self, folder: SweepFolder) -> None:
        """Write the plan; from here on the folder is a sweep."""
        folder.write_plan(
            {"format": 1, **asdict(self), "jobs": [job.to_json() for job in self.jobs]}
        )

    @classmethod
    def read(cls, folder: SweepFolder) -> SweepPlan:
        """Return the plan of a sweep.

        Raises
        ------
        InvalidConfigError
            If it was written by a version that this one cannot read.
        InvalidDatasetError
            If it is damaged.
        NotFoundError
            If the folder is no sweep.
        """
        content = folder.read_plan()
        if content.pop("format", None) != 1:
            raise InvalidConfigError(
                f"{folder.path}: a sweep of a newer Workbench; update this one to look at it"
            )
        try:
            halving = content.pop("halving")
            plan = cls(
                **{
                    **content,
                    "jobs": [TrainingJob.from_json(job) for job in content["jobs"]],
                    "halving": None if halving is None else Halving(**halving),
                }
            )
            lengths = {len(plan.jobs), len(plan.settings), len(plan.folds) or len(plan.jobs)}
            whole = isinstance(plan.settings, list) and all(
                isinstance(settings, dict) for settings in plan.settings
            )
        except MALFORMED as error:
            raise malformed(str(folder.path), "a sweep", error) from error
        if len(lengths) != 1 or not whole:
            raise malformed(str(folder.path), "a sweep", "lists of other lengths or things")
        return plan


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialNotes:
    """What was decided about a trial.

    Parameters
    ----------
    run : str
        Id of its run; empty before it is made.
    rung : int
        Epochs of the last comparison that it was part of.
    ended_at : int
        The comparison after which it was ended early; 0: none.
    cancelled : bool
        Whether it was cancelled with the sweep.
    problem : str
        Why it could not be started.
    """

    run: str = ""
    rung: int = 0
    ended_at: int = 0
    cancelled: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepNotes:
    """What was decided about a sweep so far; written by its driver alone.

    Parameters
    ----------
    trials : tuple of TrialNotes
    state : str
        ``"running"``, ``"finished"``, ``"cancelled"`` or ``"failed"``.
    message : str
        Why it failed.
    """

    trials: tuple[TrialNotes, ...]
    state: str = RUNNING
    message: str = ""

    def with_trial(self, number: int, **changes: Any) -> SweepNotes:
        """Return the notes with something else about a trial."""
        trials = list(self.trials)
        trials[number] = replace(trials[number], **changes)
        return replace(self, trials=tuple(trials))

    def write(self, folder: SweepFolder) -> None:
        """Write them in place of those before."""
        folder.write_trials(asdict(self))

    @classmethod
    def read(cls, folder: SweepFolder, plan: SweepPlan) -> SweepNotes:
        """Return the notes of a sweep; those of one that has not begun if there are none.

        Raises
        ------
        InvalidDatasetError
            If they are damaged, or name what is no run of the folder.
        """
        content: Mapping[str, Any] = folder.read_trials()
        if not content:
            return cls(trials=tuple(TrialNotes() for _ in plan.jobs))
        try:
            trials = tuple(TrialNotes(**trial) for trial in content["trials"])
            notes = cls(**{**content, "trials": trials})
            names = [trial.run for trial in trials]
            sound = (
                len(trials) == len(plan.jobs)
                and _is_of_its_types(notes)
                and all(_is_of_its_types(trial) for trial in trials)
                and notes.state in _STATES
                and not any(name in {".", ".."} or {"/", "\\", "\0"} & set(name) for name in names)
            )
        except MALFORMED as error:
            raise malformed(str(folder.path), "notes of a sweep", error) from error
        if not sound:
            raise malformed(str(folder.path), "notes of a sweep", "trials that are none of it")
        return notes


def _is_of_its_types(notes: SweepNotes | TrialNotes) -> bool:
    """Whether each value is of the type of its default: what is noted may come from anybody."""
    return all(
        type(getattr(notes, one.name)) is type(one.default)
        for one in fields(notes)
        if one.default is not MISSING
    )
