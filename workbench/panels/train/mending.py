"""What one click can do about what speaks against a run: here, or on the page where it is done."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.datasets.changes import Change, counted
from workbench.datasets.health import HealthChecker
from workbench.datasets.splits import SplitPlanner
from workbench.errors import ConflictError
from workbench.persistence import Stores
from workbench.training.problems import (
    DAMAGED,
    NO_BOX_OF_CLASS,
    NO_BOXES,
    NO_CLASSES,
    NO_IMAGES,
    NO_TRAIN,
    NO_VAL,
    UNKNOWN_CLASS,
    UNLABELLED,
    Problem,
)

_TO_VAL = {"train": 0.8, "val": 0.2}


@dataclass(frozen=True, slots=True)
class Mend:
    """What a button beside a problem does.

    Parameters
    ----------
    words : str
        On the button.
    tip : str
        What happens when it is pressed.
    page : str
        Panel, or page of Curate, that it leads to; empty: it is done here and can be undone.
    """

    words: str
    tip: str
    page: str = ""


_DOORS = {
    NO_CLASSES: Mend("Add classes", "Turn to Curate, on the page Classes", "Classes"),
    NO_IMAGES: Mend("Bring pictures in", "Turn to Home", "Home"),
    NO_TRAIN: Mend("Deal the images out", "Turn to Curate, on the page Splits", "Splits"),
    NO_BOXES: Mend("Annotate", "Turn to the annotator", "Annotate"),
    UNLABELLED: Mend("Annotate", "Turn to the annotator", "Annotate"),
    NO_BOX_OF_CLASS: Mend("Deal the images out", "Turn to Curate, on the page Splits", "Splits"),
    UNKNOWN_CLASS: Mend("Look in Health", "Turn to Curate, on the page Health", "Health"),
    DAMAGED: Mend("Look in Health", "Turn to Curate, on the page Health", "Health"),
}
_SPLIT = Mend(
    "Split now",
    "Move one in five images of train to val, of each class its share. Frames of a video are "
    "better kept together: Curate does so, on the page Splits",
)
_NOW = Mend("Use the dataset of now", "Train on the dataset as it is, not on the frozen version")


def mend_of(problem: Problem, version: str = "") -> Mend | None:
    """Return what can be offered for a problem; None: nothing that a click could do.

    Parameters
    ----------
    problem : Problem
    version : str
        Of the dataset that is trained on. What is frozen stays as it is: nothing is done to it.
    """
    if problem.settings:
        words = ", ".join(_words(name, value) for name, value in problem.settings)
        return Mend(f"Use {words}", "Change the settings; then press Start")
    if not problem.kind:
        return None
    if version:
        return _NOW
    if problem.kind == NO_VAL:
        return _SPLIT
    if problem.repair:
        tip = f"{problem.repair}: {counted(len(problem.images), 'image')} concerned. Can be undone"
        return Mend(problem.repair, tip)
    return _DOORS.get(problem.kind) or _DOORS[DAMAGED]


async def mend(stores: Stores, dataset: str, problem: Problem) -> Change:
    """Do what `mend_of` offers without a page, and return the change with its way back.

    Raises
    ------
    ConflictError
        If there is too little to split, or what was found is not so any more; nothing is done
        then.
    """
    if problem.kind == NO_VAL:
        return await _split(stores, dataset)
    report = await HealthChecker(stores).run(dataset, only=[problem.kind])
    finding = report[problem.kind] if problem.kind in report.kinds else None
    found = () if finding is None else tuple(k for k in finding.images if k[0] in _TO_VAL)
    if finding is None or not finding.repairs or found != problem.images:
        raise ConflictError(
            f"{dataset}: what was found is not so any more; nothing was done. Press Start to "
            f"check again."
        )
    return await finding.repairs[0].apply()


async def _split(stores: Stores, dataset: str) -> Change:
    if there := await stores.image.list(dataset, split="val"):
        raise ConflictError(
            f"{dataset}: val was empty and has {counted(len(there), 'image')} now, changed "
            f"elsewhere; nothing was done. Press Start to check again."
        )
    images = await stores.image.list(dataset, split="train")
    keys = [(image.split, image.filename) for image in images]
    plan = await SplitPlanner(stores).plan(dataset, _TO_VAL, only=keys)
    if not any(move.to_split == "val" for move in plan.moves):
        raise ConflictError(
            f"{dataset}: {counted(len(keys), 'image')} of train are too few to spare one for val; "
            f"add some first."
        )
    return await plan.apply()


def _words(name: str, value: object) -> str:
    if name == "device":
        return "the automatic device"
    return f"{name.replace('_', ' ')} {value}"
