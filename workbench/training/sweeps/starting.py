"""From a description to a sweep on disk: settings and data are checked, and all is written down."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import workbench
from workbench.datasets.grouping import BY_NAME, GroupBy, group_index, known_groups
from workbench.errors import InvalidConfigError, TrainingError
from workbench.persistence import Stores
from workbench.persistence.models import ImageKey, Progress, no_progress
from workbench.persistence.stores.runs import RunStore
from workbench.persistence.sweep_folder import SweepFolder
from workbench.training.arguments import unheard
from workbench.training.base_models import fetch_weights
from workbench.training.checks import ERROR, check_run, check_settings
from workbench.training.config import LOCAL, BaseModel, TrainingConfig, TrainingJob
from workbench.training.data_versions import version_of
from workbench.training.places import place_at
from workbench.training.sweeps.halving import Halving
from workbench.training.sweeps.plan import METRICS, SweepPlan
from workbench.training.sweeps.space import Space, draw_trials, with_settings
from workbench.training.sweeps.sweep import Sweep


async def start_sweep(
    stores: Stores,
    runs: RunStore,
    config: TrainingConfig,
    space: Space,
    *,
    trials: int | None = None,
    halving: Halving | None = None,
    at_once: int = 1,
    metric: str = METRICS[0],
    seed: int = 0,
    where: str = LOCAL,
    progress: Progress = no_progress,
) -> Sweep:
    """Start a sweep; see `TrainingRunner.sweep`."""
    settings = draw_trials(space, trials, seed)
    configs = [with_settings(config, each) for each in settings]
    _require_heard(space, configs)
    folder, jobs = await _prepare(stores, runs, configs, where, progress)
    try:
        plan = SweepPlan(
            settings=settings, jobs=jobs, halving=halving, at_once=at_once, metric=metric,
            created_at=_now(),
        )  # fmt: skip
        return await _begin(stores, runs, folder, plan)
    except BaseException:
        runs.remove(folder)
        raise


async def start_cross_validation(
    stores: Stores,
    runs: RunStore,
    config: TrainingConfig,
    *,
    folds: int = 5,
    group_by: GroupBy = BY_NAME,
    at_once: int = 1,
    seed: int = 0,
    where: str = LOCAL,
    progress: Progress = no_progress,
) -> Sweep:
    """Start a cross-validation; see `TrainingRunner.cross_validate`."""
    if isinstance(folds, bool) or not isinstance(folds, int) or folds < 2:
        raise InvalidConfigError(f"folds: expected a whole number from 2 on, found {folds!r}")
    configs = [config] * folds
    known = await known_groups(stores, config.dataset, group_by, progress=progress)
    folder, jobs = await _prepare(stores, runs, configs, where, progress)
    try:
        images = await asyncio.to_thread(folder.images)
        plan = SweepPlan(
            settings=[{"fold": number + 1} for number in range(folds)],
            jobs=jobs,
            folds=deal_folds(images, folds, known, seed),
            at_once=at_once,
            created_at=_now(),
        )
        return await _begin(stores, runs, folder, plan)
    except BaseException:
        runs.remove(folder)
        raise


def deal_folds(
    images: Sequence[ImageKey], folds: int, group_by: GroupBy, seed: int = 0
) -> list[list[str]]:
    """Deal the images of train and val into folds of about one size; groups stay together.

    Parameters
    ----------
    images : sequence of (str, str)
    folds : int
    group_by : callable, mapping, "name" or None
        See `workbench.datasets.grouping.group_index`.
    seed : int
        Of the order in which groups of one size are dealt.

    Returns
    -------
    list of list of str
        ``split/name`` of the images of each fold.

    Raises
    ------
    TrainingError
        If there are fewer groups than folds.
    """
    dealt = [key for key in images if key[0] != "test"]
    groups = group_index([name for _, name in dealt], group_by).tolist()
    sizes = Counter(groups)
    if len(sizes) < folds:
        raise TrainingError(_too_few_groups(folds, [name for _, name in dealt], group_by))
    order = sorted(sizes)
    random.Random(seed).shuffle(order)
    order.sort(key=lambda group: -sizes[group])  # stable: large ones first, so that all fit
    room = [0] * folds
    fold_of = {}
    for group in order:
        fold_of[group] = room.index(min(room))
        room[fold_of[group]] += sizes[group]
    result: list[list[str]] = [[] for _ in range(folds)]
    for (split, name), group in zip(dealt, groups, strict=True):
        result[fold_of[group]].append(f"{split}/{name}")
    return result


def _too_few_groups(folds: int, names: Sequence[str], group_by: GroupBy) -> str:
    found = len(set(group_index(names, group_by).tolist()))
    why = ""
    if group_by == BY_NAME and len(names) > found:
        why = f", because names like {names[0]} are taken for frames of one video"
    groups = "there is 1" if found == 1 else f"there are {found}"
    return (
        f"{folds} folds need as many groups of images, and {groups}{why}: take fewer folds, or let "
        "each image stand for itself (group_by=None, in Train under Grouped by)"
    )


def _require_heard(space: Space, configs: Sequence[TrainingConfig]) -> None:
    """Refuse to try values of what changes nothing: all such trials would come out the same."""
    searched = {name for config in configs for name in unheard(config.extra) if name in space}
    if searched:
        raise InvalidConfigError(
            f"{', '.join(sorted(searched))}: all values would come out the same, because where no "
            "optimizer is named Ultralytics chooses one, and this with it: name one as well, "
            "'optimizer: AdamW' among what is tried or extra={'optimizer': 'AdamW'} for all trials"
        )


async def _prepare(
    stores: Stores,
    runs: RunStore,
    configs: Sequence[TrainingConfig],
    where: str,
    progress: Progress,
) -> tuple[SweepFolder, list[TrainingJob]]:
    """Check all trials, and make the sweep's folder with its data; it is no sweep yet."""
    place = place_at(where)
    await asyncio.to_thread(place.name_as_own)
    bases = await _check_all(stores, configs)
    largest = max(configs, key=lambda config: (config.image_size, config.batch))
    problems = await check_run(
        stores, largest, bases[_start_of(largest)], runs.folder, progress, place=place
    )
    errors = [str(problem) for problem in problems if problem.severity == ERROR]
    if errors:
        raise TrainingError(
            f"dataset {largest.dataset!r} cannot be trained on like this: {'; '.join(errors)}"
        )
    for base in bases.values():
        if base.fetch:
            await asyncio.to_thread(fetch_weights, Path(base.source))
    folder = await asyncio.to_thread(runs.create, SweepFolder, largest.dataset)
    try:
        warnings = [str(problem) for problem in problems]
        common = await _freeze(stores, folder, largest)
    except BaseException:
        runs.remove(folder)
        raise
    jobs = [
        TrainingJob(
            **common,
            config=config,
            base_model=bases[_start_of(config)],
            warnings=warnings,
            where=place.address,
        )
        for config in configs
    ]
    return folder, jobs


async def _check_all(stores: Stores, configs: Sequence[TrainingConfig]) -> Mapping[str, BaseModel]:
    """Return the starting point of each trial; what many have in common is looked at once."""
    bases: dict[str, BaseModel] = {}
    for config in configs:
        key = _start_of(config)
        if key not in bases:
            bases[key] = await check_settings(stores, config)
    return bases


def _start_of(config: TrainingConfig) -> str:
    return json.dumps([config.base_model, sorted(config.extra)])


async def _freeze(stores: Stores, folder: SweepFolder, config: TrainingConfig) -> dict[str, Any]:
    """Freeze the data; return what all jobs have in common."""
    info = await stores.dataset.get(config.dataset)
    snapshot = await stores.dataset.snapshot(
        config.dataset,
        folder.data_dir,
        version=config.version or None,
        labelled_only=not config.unlabelled_as_background,
    )
    version = await version_of(stores, config)
    if version is not None and version.automatic:  # else it would go after a while
        version = await stores.dataset.keep_version(config.dataset, version.name)
    return {
        "run_id": "",
        "class_names": info.classes if version is None else version.classes,
        "data_yaml": f"data/{snapshot.data_yaml.name}",
        "digest": snapshot.digest,
        "num_images": snapshot.num_images,
        "num_labelled": snapshot.num_labelled,
        "created_at": _now(),
        "version": workbench.__version__,
        "dataset_version": "" if version is None else version.name,
        "version_digest": "" if version is None else version.digest,
        "sweep": folder.id,
    }


async def _begin(stores: Stores, runs: RunStore, folder: SweepFolder, plan: SweepPlan) -> Sweep:
    await asyncio.to_thread(plan.write, folder)
    await asyncio.to_thread(folder.mark_own)
    sweep = Sweep(folder, stores.model, runs)
    await asyncio.to_thread(sweep.start)
    return sweep


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
