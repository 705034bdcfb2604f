"""Versions of a dataset: frozen, compared, brought back."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request, Response

from workbench.api.answers import accepted
from workbench.api.params import Name
from workbench.api.routing import router_of
from workbench.api.schemas.jobs import JobStatus
from workbench.api.schemas.versions import NewVersion, Version, Versions
from workbench.api.state import State
from workbench.errors import AlreadyExistsError
from workbench.persistence.models import Progress
from workbench.persistence.version_models import VersionComparison

router = router_of("versions")

Compared = Annotated[str | None, Query(max_length=255, description="Default: as it is now.")]

_JOB: dict[int | str, dict[str, Any]] = {202: {"model": JobStatus}}


@router.get("/datasets/{dataset}/versions")
async def list_versions(dataset: Name, state: State) -> Versions:
    """Return the versions, oldest first."""
    found = await (await state.datasets.open(dataset)).versions.list()
    return Versions(items=[Version.of(info) for info in found])


@router.post("/datasets/{dataset}/versions", status_code=202, responses=_JOB)
async def freeze_version(
    dataset: Name, new: NewVersion, request: Request, state: State
) -> Response:
    """Keep the dataset as it is now; a job whose result is the version."""
    opened = await state.datasets.open(dataset)
    if any(info.name == new.name for info in await opened.versions.list()):
        raise AlreadyExistsError(
            f"{dataset} has a version {new.name!r} already; choose another name"
        )

    async def work(progress: Progress) -> Any:
        made = await opened.versions.freeze(new.name, new.note, progress=progress)
        return Version.of(made).model_dump(mode="json")

    return accepted(request, state.jobs.start("freeze", work, dataset=dataset))


@router.post("/datasets/{dataset}/comparison", status_code=202, responses=_JOB)
async def compare_versions(
    dataset: Name,
    request: Request,
    state: State,
    first: Compared = None,
    second: Compared = None,
) -> Response:
    """Say what is different in the second version; a job whose result is the differences."""
    opened = await state.datasets.open(dataset)

    async def work(progress: Progress) -> Any:
        return _comparison(await opened.versions.compare(first, second, progress=progress))

    return accepted(request, state.jobs.start("compare", work, dataset=dataset))


def _comparison(found: VersionComparison) -> dict[str, Any]:
    def keys(images: list[tuple[str, str]]) -> list[dict[str, str]]:
        return [{"split": split, "filename": name} for split, name in images]

    return {
        "classes": {"first": found.classes[0], "second": found.classes[1]},
        "renamed": found.renamed,
        "added": keys(found.added),
        "removed": keys(found.removed),
        "changed": keys(found.changed),
        "unreadable": keys(found.unreadable),
        "moved": [
            {"filename": move.filename, "from": move.from_split, "to": move.to_split}
            for move in found.moved
        ],
        "labels": [
            {
                "split": one.split,
                "filename": one.filename,
                "boxes_added": one.boxes_added,
                "boxes_removed": one.boxes_removed,
            }
            for one in found.labels
        ],
    }


@router.post("/datasets/{dataset}/versions/{version}/restore", status_code=202, responses=_JOB)
async def restore_version(dataset: Name, version: Name, request: Request, state: State) -> Response:
    """Make the dataset what it was; the state before is kept as an automatic version."""
    opened = await state.datasets.open(dataset)

    async def work(progress: Progress) -> Any:
        change = await opened.versions.restore(version, progress=progress)
        return {"description": state.scrub.text(change.description)}

    return accepted(request, state.jobs.start("restore", work, dataset=dataset))


@router.delete("/datasets/{dataset}/versions/{version}", status_code=204)
async def delete_version(dataset: Name, version: Name, state: State) -> None:
    """Remove a version for good."""
    await (await state.datasets.open(dataset)).versions.delete(version)
