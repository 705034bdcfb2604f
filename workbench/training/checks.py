"""What must be true of settings, dataset and machine before it is worth to start training."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np

from workbench.datasets.health import Finding, HealthChecker
from workbench.errors import InvalidConfigError
from workbench.persistence import Stores
from workbench.persistence.counting import counted
from workbench.persistence.models import DatasetInfo, ImageKey, LabelTable, Progress, no_progress
from workbench.training.architectures import read_architecture, require_readable_texts
from workbench.training.arguments import HOW_TO_BE_HEARD, check_arguments, unheard
from workbench.training.base_models import resolve_base_model
from workbench.training.config import BaseModel, TrainingConfig
from workbench.training.data_versions import data_of
from workbench.training.places.base import Place
from workbench.training.places.local import LocalPlace
from workbench.training.problems import (
    DAMAGED,
    ERROR,
    NO_BOX_OF_CLASS,
    NO_BOXES,
    NO_CLASSES,
    NO_IMAGES,
    NO_TRAIN,
    NO_VAL,
    UNKNOWN_CLASS,
    UNLABELLED,
    WARNING,
    Problem,
    listed,
)
from workbench.training.weights_check import rewritten_weights

__all__ = ["ERROR", "WARNING", "Problem", "check_run", "check_settings", "find_problems"]

# Kinds of findings for which Ultralytics leaves the whole image out, with a line in its log.
_DROPPED = (
    "corrupt",
    "truncated",
    "too-large",
    "unread",
    "tiny-image",
    "unreadable-labels",
    "unknown-class",
    "confidence-column",
    "mixed-rows",
    "box-out-of-range",
)
# And those with which training learns or measures something else than people think.
_MISLEADING = ("same-stem", "keypoint-rows", "exact-leak")
_SPLITS = ("train", "val")


async def check_settings(stores: Stores, config: TrainingConfig) -> BaseModel:
    """Check what can be checked without looking at data; return what training starts from.

    Raises
    ------
    InvalidConfigError
        If a setting cannot be.
    TrainingError
        If the base model has lost its weights.
    InvalidModelError
        If the base model is damaged, holds code, or would be built of more than known layers.
    """
    check_arguments(config.extra)
    if config.model_name and await stores.model.exists(config.model_name):
        raise InvalidConfigError(
            f"model_name: there is a model called {config.model_name!r} already; "
            "choose another name, or leave it empty for one that is free"
        )
    base = await resolve_base_model(
        config.base_model, stores.model, allow_download=config.allow_download
    )
    if not base.pretrained:
        require_readable_texts(base.source)
        await asyncio.to_thread(read_architecture, base.source)
    elif not base.fetch:
        await asyncio.to_thread(rewritten_weights, base.source)
    return base


async def check_run(
    stores: Stores,
    config: TrainingConfig,
    base: BaseModel,
    runs_dir: Path,
    progress: Progress = no_progress,
    *,
    place: Place | None = None,
) -> list[Problem]:
    """Return what speaks against a run, errors first.

    Parameters
    ----------
    base : BaseModel
        What it starts from.
    runs_dir : Path
        Where its files would go.
    progress : callable
        Told the number of images examined, and to examine.
    place : Place, optional
        Where it is to run; default: this machine.

    Raises
    ------
    NotFoundError
        If there is no such dataset.
    TrainingError
        If it has no such version.
    """
    data = await data_of(stores, config)
    info = await data.dataset.get(config.dataset)
    table = await data.label.load_all(config.dataset)
    problems = find_problems(info, table, config.unlabelled_as_background)
    if not any(problem.severity == ERROR for problem in problems):
        problems += await _look_at_images(data, config.dataset, table, progress)
    problems += _unheard_settings(config)
    there = LocalPlace() if place is None else place
    problems += await asyncio.to_thread(there.check, info, config, base, runs_dir)
    return sorted(problems, key=lambda problem: problem.severity != ERROR)


def _unheard_settings(config: TrainingConfig) -> list[Problem]:
    return [
        Problem(
            WARNING,
            f"{name}={config.extra[name]} changes nothing: where no optimizer is named, "
            "Ultralytics chooses one, and this with it",
            HOW_TO_BE_HEARD,
        )
        for name in unheard(config.extra)
    ]


async def _look_at_images(
    stores: Stores, dataset: str, table: LabelTable, progress: Progress
) -> list[Problem]:
    kinds = (*_DROPPED, *_MISLEADING)
    report = await HealthChecker(stores).run(dataset, progress=progress, only=kinds)
    problems: list[Problem] = []
    dropped: set[ImageKey] = set()
    for finding in report:
        images = [key for key in finding.images if key[0] in _SPLITS]
        if images:
            problems.append(_from_finding(finding, images))
        if finding.kind in _DROPPED:
            dropped.update(images)
    return problems + _nothing_left(table, dropped)


def find_problems(
    info: DatasetInfo, table: LabelTable, unlabelled_as_background: bool = False
) -> list[Problem]:
    """Return what speaks against a dataset, as far as its labels tell; errors first."""
    if not info.classes:
        remedy = "give it some, then label boxes"
        text = f"dataset {info.name!r} has no classes"
        return [Problem(ERROR, text, remedy, kind=NO_CLASSES)]
    return _errors(info, table) + _warnings(info, table, unlabelled_as_background)


def _errors(info: DatasetInfo, table: LabelTable) -> list[Problem]:
    splits = np.array(table.splits, dtype=object)
    images = {split: int((splits == split).sum()) for split in _SPLITS}
    boxes = {split: int((splits[table.image_index] == split).sum()) for split in _SPLITS}
    errors: list[tuple[str, str, str]] = []
    if not images["train"]:
        kind = NO_TRAIN if len(splits) else NO_IMAGES
        errors.append((kind, "there are no images in train", "capture or import some"))
    elif not boxes["train"]:
        text = f"there is no box on {counted(images['train'], 'image')} in train"
        errors.append((NO_BOXES, text, "label some first"))
    if not images["val"]:
        text = "there are no images in val, without which nobody can tell how good the model gets"
        errors.append((NO_VAL, text, "move some images to val, about one in five"))
    elif not boxes["val"]:
        text = f"there is no box on {counted(images['val'], 'image')} in val"
        errors.append((NO_BOXES, text, "label some, or move labelled images to val"))
    unknown = np.unique(table.class_id[table.class_id >= len(info.classes)])
    if len(unknown):
        text = (
            f"labels use class ids {', '.join(map(str, unknown))}, but the dataset has "
            f"{counted(len(info.classes), 'class', 'classes')}"
        )
        errors.append((UNKNOWN_CLASS, text, "append the missing names or correct the labels"))
    return [Problem(ERROR, text, remedy, kind=kind) for kind, text, remedy in errors]


def _warnings(
    info: DatasetInfo, table: LabelTable, unlabelled_as_background: bool
) -> list[Problem]:
    splits = np.array(table.splits, dtype=object)
    of_box = splits[table.image_index]
    warnings = []
    for split in _SPLITS:
        counts = np.bincount(table.class_id[of_box == split], minlength=len(info.classes))
        missing = [name for name, count in zip(info.classes, counts, strict=False) if not count]
        if missing:
            reason = "cannot be learned" if split == "train" else "cannot be measured"
            text = f"No box in {split} for {listed(missing)}, which {reason}"
            remedy = f"label some in {split}, or move some there"
            warnings.append(Problem(WARNING, text, remedy, kind=NO_BOX_OF_CLASS))
        unlabelled = [
            (split, name)
            for name, where, labelled in zip(
                table.filenames, table.splits, table.labelled, strict=True
            )
            if where == split and not labelled
        ]
        if unlabelled:
            fate, remedy = (
                ("count as background", "if anything is in them, the model learns to overlook it")
                if unlabelled_as_background
                else ("are left out", "label them, or mark those that show nothing as background")
            )
            text = (
                f"{len(unlabelled)} images of {split} have no labels yet and {fate} "
                f"({listed([name for _, name in unlabelled])})"
            )
            warnings.append(Problem(WARNING, text, remedy, tuple(unlabelled), UNLABELLED))
    return warnings


def _from_finding(finding: Finding, images: list[ImageKey]) -> Problem:
    named = listed([f"{split}/{name}" for split, name in images])
    fate = "training leaves them out" if finding.kind in _DROPPED else finding.why.rstrip(".")
    remedy = "run the health check, which offers a repair"
    repair = finding.repairs[0].title if finding.repairs else ""
    text = f"{finding.title} ({named}); {fate}"
    return Problem(WARNING, text, remedy, tuple(images), finding.kind, repair)


def _nothing_left(table: LabelTable, dropped: set[ImageKey]) -> list[Problem]:
    """Return an error for each split of which every image with boxes would be left out."""
    keys = list(zip(table.splits, table.filenames, strict=True))
    with_boxes = [keys[index] for index in np.unique(table.image_index).tolist()]
    found = []
    for split in _SPLITS:
        chosen = [key for key in with_boxes if key[0] == split]
        if chosen and dropped.issuperset(chosen):
            text = f"every labelled image of {split} is damaged, and training would leave it out"
            remedy = "run the health check, which offers repairs"
            found.append(Problem(ERROR, text, remedy, kind=DAMAGED))
    return found
