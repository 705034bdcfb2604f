"""Datasets: what there is, its classes, prompts, tags, numbers and health."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from fastapi import Request, Response

from workbench.api.answers import accepted, changed_since, etag_of, may_change
from workbench.api.params import IfMatch, Name
from workbench.api.problems import ProblemError, Scrubber
from workbench.api.routing import router_of
from workbench.api.schemas.common import NewName
from workbench.api.schemas.datasets import (
    AddedClass,
    Classes,
    ClassStatistics,
    Dataset,
    Datasets,
    DatasetStatistics,
    Duplicate,
    Facts,
    HealthRequest,
    NewClass,
    NewDataset,
    Prompts,
    SplitRequest,
    Tags,
)
from workbench.api.schemas.jobs import JobStatus
from workbench.api.schemas.trash import Trashed
from workbench.api.state import ApiState, State
from workbench.datasets.formats.naming import require_free
from workbench.datasets.health import HealthReport
from workbench.datasets.health.findings import KINDS
from workbench.datasets.index import STATES
from workbench.datasets.splits import SplitPlan
from workbench.datasets.statistics import Statistics
from workbench.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidDatasetError,
    NotFoundError,
)
from workbench.persistence.models import SPLITS, Progress

router = router_of("datasets")


@router.get("/datasets")
async def list_datasets(state: State) -> Datasets:
    """Return all datasets, sorted by name."""
    found = await state.datasets.list()
    told = [replace(info, problem=state.scrub.text(info.problem)) for info in found]
    return Datasets(items=[Dataset.of(info) for info in told])


@router.post("/datasets", status_code=201)
async def create_dataset(new: NewDataset, state: State) -> Dataset:
    """Make an empty dataset; 409 if there is one of this name."""
    return Dataset.of(await state.datasets.create(new.name, new.classes))


@router.get("/datasets/{dataset}")
async def get_dataset(dataset: Name, state: State) -> Dataset:
    """Return what a dataset holds at this moment; of a damaged one, what is wrong with it."""
    try:
        return Dataset.of(await state.datasets.get(dataset))
    except InvalidDatasetError:
        for info in await state.datasets.list():
            if info.name == dataset and info.problem:
                return Dataset.of(replace(info, problem=state.scrub.text(info.problem)))
        raise


@router.patch("/datasets/{dataset}")
async def rename_dataset(dataset: Name, new: NewName, state: State) -> Dataset:
    """Give a dataset another name; 409 if there is one of this name."""
    return Dataset.of(await state.datasets.rename(dataset, new.name))


@router.delete("/datasets/{dataset}")
async def delete_dataset(dataset: Name, state: State) -> Trashed:
    """Move a dataset to the trash."""
    return Trashed.of(await state.datasets.delete(dataset))


@router.post(
    "/datasets/{dataset}/duplicate", status_code=202, responses={202: {"model": JobStatus}}
)
async def duplicate_dataset(
    dataset: Name, new: Duplicate, request: Request, state: State
) -> Response:
    """Copy a dataset, or the images of it that a query finds; a job whose result is the copy."""
    await state.datasets.get(dataset)
    await require_free(state.stores, new.name)

    async def work(progress: Progress) -> Any:
        info = await state.datasets.duplicate(dataset, new.name, query=new.query, progress=progress)
        return Dataset.of(info).model_dump(mode="json")

    return accepted(request, state.jobs.start("duplicate", work, dataset=dataset))


@router.get("/datasets/{dataset}/facts")
async def get_facts(dataset: Name, state: State) -> Facts:
    """Return how far the labelling has come."""
    return Facts.of(await state.datasets.facts(dataset))


@router.get("/datasets/{dataset}/classes")
async def get_classes(dataset: Name, response: Response, state: State) -> Classes:
    """Return the class names; the position is the class id."""
    classes = (await state.datasets.get(dataset)).classes
    response.headers["ETag"] = _classes_etag(classes)
    return Classes(classes=classes)


@router.put("/datasets/{dataset}/classes")
async def update_classes(
    dataset: Name, new: Classes, response: Response, state: State, if_match: IfMatch = None
) -> Dataset:
    """Rename classes or append new ones; 409 if boxes would be left without a class.

    With ``If-Match`` only if the list still is what the client has seen. Without, no class
    that boxes use gets another name (428): the client may not know that it exists.
    """
    seen = (await state.datasets.get(dataset)).classes
    etag = _classes_etag(seen)
    if not may_change(if_match, etag):
        raise changed_since(
            "the classes were changed since they were read; read them again",
            etag,
            current=seen,
            yours=new.classes,
        )
    if if_match is None:
        await _require_same_meaning(state, dataset, seen, new.classes)
    info = await state.stores.dataset.update_classes(dataset, new.classes, expected=seen)
    response.headers["ETag"] = _classes_etag(info.classes)
    return Dataset.of(info)


async def _require_same_meaning(
    state: ApiState, dataset: str, seen: list[str], new: list[str]
) -> None:
    """Make sure that each class that boxes use keeps its name."""
    renamed = {old for old, name in zip(seen, new, strict=False) if old != name}
    if not renamed:
        return
    boxes = (await state.datasets.facts(dataset)).boxes
    used = [name for name in seen if name in renamed and boxes.get(name)]
    if used:
        raise ProblemError(
            428,
            f"{dataset}: boxes use the class {used[0]!r}, which would get another name; read the "
            "classes and send their ETag as If-Match, or add a class with POST",
            kind="condition-needed",
        )


@router.post("/datasets/{dataset}/classes", status_code=201)
async def add_class(dataset: Name, new: NewClass, response: Response, state: State) -> AddedClass:
    """Add a class at the end of the list, whoever else adds some; 409 if there is one so named."""
    while True:
        seen = (await state.datasets.get(dataset)).classes
        if new.name in seen:
            raise AlreadyExistsError(
                f"{dataset} has the class {new.name!r} already, with the id {seen.index(new.name)}"
            )
        try:
            info = await state.stores.dataset.update_classes(
                dataset, [*seen, new.name], expected=seen
            )
        except ConflictError:  # somebody was faster: that one has been added
            continue
        response.headers["ETag"] = _classes_etag(info.classes)
        return AddedClass(class_id=len(seen), classes=info.classes)


def _classes_etag(classes: list[str]) -> str:
    return etag_of(repr(classes).encode("utf-8", "surrogateescape"))


@router.get("/datasets/{dataset}/prompts")
async def get_prompts(dataset: Name, state: State) -> Prompts:
    """Return the text prompts by class id."""
    return Prompts(prompts=await state.stores.dataset.get_prompts(dataset))


@router.put("/datasets/{dataset}/prompts")
async def save_prompts(dataset: Name, new: Prompts, state: State) -> Prompts:
    """Replace all text prompts."""
    await state.stores.dataset.save_prompts(dataset, new.prompts)
    return Prompts(prompts=await state.stores.dataset.get_prompts(dataset))


@router.get("/datasets/{dataset}/tags")
async def get_tags(dataset: Name, response: Response, state: State) -> Tags:
    """Return file names by tag."""
    tags = await state.stores.dataset.get_tags(dataset)
    response.headers["ETag"] = _tags_etag(tags)
    return Tags(tags=tags)


@router.put("/datasets/{dataset}/tags")
async def save_tags(
    dataset: Name, new: Tags, response: Response, state: State, if_match: IfMatch = None
) -> Tags:
    """Replace all tags; with ``If-Match`` only if nobody else has changed them since.

    A tag holds names of images that are there, or that it has held before.
    """
    await _require_images(state, dataset, new.tags)
    expected = None
    if if_match is not None:
        expected = await state.stores.dataset.get_tags(dataset)
        if not may_change(if_match, _tags_etag(expected)):
            raise changed_since(
                "the tags were changed since they were read; read them again",
                _tags_etag(expected),
                current=expected,
                yours=new.tags,
            )
    await state.stores.dataset.save_tags(dataset, new.tags, expected=expected)
    tags = await state.stores.dataset.get_tags(dataset)
    response.headers["ETag"] = _tags_etag(tags)
    return Tags(tags=tags)


async def _require_images(state: ApiState, dataset: str, tags: dict[str, list[str]]) -> None:
    """Raise if a tag holds the name of an image that is not there, and was not in it before."""
    known = await state.stores.dataset.get_tags(dataset)
    unknown = {name for tag, names in tags.items() for name in {*names} - {*known.get(tag, ())}}
    if unknown:
        index = await (await state.datasets.open(dataset)).index()
        unknown -= set(index.filenames)
    if unknown:
        raise NotFoundError(
            f"there is no image {min(unknown)!r} in {dataset!r}; nothing was tagged"
        )


def _tags_etag(tags: dict[str, list[str]]) -> str:
    return etag_of(repr(sorted(tags.items())).encode("utf-8", "surrogateescape"))


@router.get("/datasets/{dataset}/statistics")
async def get_statistics(dataset: Name, state: State) -> DatasetStatistics:
    """Return numbers about images, boxes and classes."""
    opened = await state.datasets.open(dataset)
    found = await opened.statistics(measured=False)
    return await asyncio.to_thread(_statistics, found)


def _statistics(found: Statistics) -> DatasetStatistics:
    states = found.images_by_state.tolist()
    boxes, images = found.boxes_by_class.tolist(), found.images_by_class.tolist()
    return DatasetStatistics(
        num_images=found.num_images,
        num_boxes=found.num_boxes,
        images_by_state={
            split: dict(zip(STATES, states[place], strict=True))
            for place, split in enumerate(SPLITS)
        },
        classes=[
            ClassStatistics(
                name=name,
                boxes=dict(zip(SPLITS, boxes[number], strict=True)),
                images=dict(zip(SPLITS, images[number], strict=True)),
            )
            for number, name in enumerate(found.index.classes)
        ],
    )


@router.post("/datasets/{dataset}/health", status_code=202, responses={202: {"model": JobStatus}})
async def check_health(
    dataset: Name, wanted: HealthRequest, request: Request, state: State
) -> Response:
    """Look for everything that is wrong with a dataset; a job whose result is the findings."""
    unknown = sorted(set(wanted.only or ()) - set(KINDS))
    if unknown:
        raise ProblemError(
            422, f"only: expected some of {', '.join(KINDS)}; found {unknown[0]!r}", kind="value"
        )
    await state.datasets.get(dataset)

    async def work(progress: Progress) -> Any:
        found = await state.datasets.health(dataset, progress=progress, only=wanted.only)
        return _findings(found, state.scrub)

    return accepted(request, state.jobs.start("health", work, dataset=dataset))


def _findings(report: HealthReport, scrub: Scrubber) -> dict[str, Any]:
    return {
        "findings": [
            {
                "kind": finding.kind,
                "severity": finding.severity,
                "title": scrub.text(finding.title),
                "why": scrub.text(finding.why),
                "images": [{"split": split, "filename": name} for split, name in finding.images],
                "details": scrub.value(finding.details),
                "repairs": [scrub.text(repair.title) for repair in finding.repairs],
            }
            for finding in report
        ]
    }


@router.post("/datasets/{dataset}/split", status_code=202, responses={202: {"model": JobStatus}})
async def split_dataset(
    dataset: Name, wanted: SplitRequest, request: Request, state: State
) -> Response:
    """Deal the images out to splits, or only plan it; a job whose result is the plan."""
    await state.datasets.get(dataset)

    async def work(progress: Progress) -> Any:
        plan = await state.datasets.split(
            dataset,
            {str(split): share for split, share in wanted.ratios.items()},
            seed=wanted.seed,
            progress=progress,
        )
        if wanted.apply:
            await plan.apply()
        return _plan(plan, state.scrub, applied=wanted.apply)

    return accepted(request, state.jobs.start("split", work, dataset=dataset))


def _plan(plan: SplitPlan, scrub: Scrubber, *, applied: bool) -> dict[str, Any]:
    return {
        "applied": applied,
        "moves": [
            {"filename": move.filename, "from": move.from_split, "to": move.to_split}
            for move in plan.moves
        ],
        "before": dict(zip(SPLITS, plan.before.images.tolist(), strict=True)),
        "after": dict(zip(SPLITS, plan.after.images.tolist(), strict=True)),
        "notes": scrub.value(plan.notes),
    }
