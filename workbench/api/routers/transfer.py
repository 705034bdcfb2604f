"""Datasets on their way in, as an upload, and on their way out, as an archive."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import shutil
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from fastapi import Query, Request, Response, UploadFile
from starlette.background import BackgroundTask
from starlette.responses import FileResponse

from workbench.api.answers import accepted
from workbench.api.idempotency import once_uploaded, remove_upload
from workbench.api.jobs import Job, with_file
from workbench.api.params import BINARY, Key, Name, Question, body_of, spool, upload_place
from workbench.api.problems import ProblemError, Scrubber
from workbench.api.routing import router_of
from workbench.api.schemas.datasets import Dataset
from workbench.api.schemas.jobs import JobStatus
from workbench.api.state import ApiState, State
from workbench.datasets.formats.ledger import UNITS, Ledger
from workbench.datasets.formats.naming import require_free
from workbench.datasets.formats.plan import Imported, ImportPlan, plan_import
from workbench.datasets.formats.writers import WRITERS
from workbench.persistence.counting import counted
from workbench.persistence.models import Progress

router = router_of("import and export")

NewDatasetName = Annotated[str, Query(min_length=1, max_length=255, description="Of the dataset.")]
Format = Annotated[str, Query(max_length=40, description="Such as yolo, coco, voc, cvat, csv.")]
DryRun = Annotated[bool, Query(description="Only look what is in it; import nothing.")]


@router.post(
    "/imports",
    status_code=202,
    responses={202: {"model": JobStatus}},
    openapi_extra=body_of("A zip archive, in the format of any tool."),
)
async def import_archive(
    name: NewDatasetName,
    request: Request,
    state: State,
    dry_run: DryRun = False,
    idempotency_key: Key = None,
) -> Response:
    """Make a dataset of an archive; a job whose result is the dataset and what was changed."""
    if not state.idempotency.knows(f"import {name}", idempotency_key):
        await require_free(state.stores, name)
        state.jobs.require_room()
    path, digest = await spool(request, state.folder, ".zip")

    async def answer() -> Response:
        return accepted(request, _start(state, path, name, dry_run))

    return await once_uploaded(
        state.idempotency, f"import {name}", idempotency_key, digest, path, answer
    )


@router.post("/imports/folder", status_code=202, responses={202: {"model": JobStatus}})
async def import_folder(
    name: NewDatasetName,
    files: list[UploadFile],
    request: Request,
    state: State,
    dry_run: DryRun = False,
    idempotency_key: Key = None,
) -> Response:
    """Make a dataset of the files of a folder, each named by its path inside of it."""
    if not state.idempotency.knows(f"import {name}", idempotency_key):
        await require_free(state.stores, name)
        state.jobs.require_room()
    folder = upload_place(state.folder)
    try:
        digest = await asyncio.to_thread(_lay_out, files, folder)
    except BaseException:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        raise

    async def answer() -> Response:
        return accepted(request, _start(state, folder, name, dry_run))

    return await once_uploaded(
        state.idempotency, f"import {name}", idempotency_key, digest, folder, answer
    )


def _lay_out(files: list[UploadFile], folder: Path) -> str:
    """Write uploaded files where their names say, inside of a folder; return a digest."""
    digest = hashlib.sha256()
    folder.mkdir()
    for file in files:
        inside = PurePosixPath((file.filename or "").replace("\\", "/"))
        parts = [part for part in inside.parts if part not in {"", "."}]
        if not parts or inside.is_absolute() or ".." in parts or ":" in parts[0]:
            raise ProblemError(
                422,
                f"expected the path of a file inside of the folder, found {file.filename!r}",
                kind="invalid-name",
            )
        target = folder.joinpath(*parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with target.open("xb") as out:
                shutil.copyfileobj(file.file, out)
        except FileExistsError:
            raise ProblemError(422, f"{inside} is there twice", kind="invalid-name") from None
        with target.open("rb") as written:
            content = hashlib.file_digest(written, "sha256").hexdigest()
        digest.update(f"{inside}\0{content}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _start(state: ApiState, path: Path, name: str, dry_run: bool) -> Job:
    async def work(progress: Progress) -> Any:
        try:
            await require_free(state.stores, name)
            plan = await plan_import(state.stores, path, name, origin=_ORIGIN, progress=progress)
            try:
                large = _larger(plan, state)
                if dry_run:
                    return _planned(plan, state, large)
                return _imported(await plan.apply(progress=progress), state.scrub, large)
            finally:
                plan.close()
        finally:
            await asyncio.to_thread(remove_upload, path)

    return state.jobs.start("look" if dry_run else "import", work, dataset=name)


def _planned(plan: ImportPlan, state: ApiState, large: list[str]) -> dict[str, Any]:
    """Return what would come of an import."""
    return {
        "format": plan.format or "pictures",
        "confidence": plan.confidence,
        "reason": state.scrub.text(plan.reason),
        "classes": plan.classes,
        "questions": state.scrub.value(plan.questions),
        "notes": [*state.scrub.value(plan.notes), *large],
        "ledger": _account(plan.ledger, state.scrub),
    }


def _imported(made: Imported, scrub: Scrubber, large: list[str]) -> dict[str, Any]:
    return {
        "dataset": Dataset.of(made).model_dump(mode="json"),
        "notes": [*scrub.value(made.notes), *large],
        "ledger": _account(made.ledger, scrub),
    }


def _larger(plan: ImportPlan, state: ApiState) -> list[str]:
    """Return in words which pictures are larger than those that may be uploaded one by one.

    An import takes all of a dataset; what cannot be shown later is known at least.
    """
    most = state.limits.max_pixels
    names = [name for name, (width, height) in plan.sizes().items() if width * height > most]
    if not names:
        return []
    count = counted(len(names), "picture has", "pictures have")
    return [f"{count} more than {most} pixels and may not be shown, for example {names[0]}"]


_ORIGIN = "an upload"
"""What the account of an import calls its source: clients know of no path."""


def _account(ledger: Ledger, scrub: Scrubber) -> dict[str, Any]:
    """Return what became of every file, picture and annotation, in numbers and in words."""
    return {
        "found": {unit: ledger.found[unit] for unit in UNITS},
        "taken": {unit: ledger.taken[unit] for unit in UNITS},
        "left": {unit: ledger.left(unit) for unit in UNITS},
        "repaired": {unit: ledger.repaired(unit) for unit in UNITS},
        "sentences": scrub.value(ledger.sentences()),
    }


@router.get(
    "/datasets/{dataset}/archive",
    response_class=FileResponse,
    responses={200: {"content": {"application/zip": BINARY}, "description": "The archive."}},
)
async def download_archive(dataset: Name, state: State, query: Question = "") -> Response:
    """Return the dataset, or the images of it that a query finds, as a zip in YOLO format."""
    info = await state.datasets.get(dataset)
    path = await _export(state, info.name, query, lambda done, total: None)
    return FileResponse(
        path,
        media_type="application/zip",
        filename=f"{info.name}.zip",
        background=BackgroundTask(path.unlink, missing_ok=True),
    )


@router.post("/datasets/{dataset}/archive", status_code=202, responses={202: {"model": JobStatus}})
async def make_archive(
    dataset: Name, request: Request, state: State, query: Question = ""
) -> Response:
    """Make a zip in YOLO format; a job whose file can be downloaded, also in parts."""
    info = await state.datasets.get(dataset)

    async def work(progress: Progress) -> Any:
        path = await _export(state, info.name, query, progress)
        size = (await asyncio.to_thread(path.stat)).st_size
        return with_file({"filename": f"{info.name}.zip", "size_bytes": size}, path)

    return accepted(request, state.jobs.start("archive", work, dataset=info.name))


@router.post("/datasets/{dataset}/exports", status_code=202, responses={202: {"model": JobStatus}})
async def make_export(
    dataset: Name, format: Format, request: Request, state: State, query: Question = ""
) -> Response:
    """Make a zip in the format of another tool; a job whose file can be downloaded."""
    info = await state.datasets.get(dataset)
    if format not in WRITERS:
        raise ProblemError(
            422, f"format: expected one of {', '.join(WRITERS)}, found {format!r}", kind="value"
        )

    async def work(progress: Progress) -> Any:
        path = state.folder / f"{secrets.token_hex(8)}.zip"
        made = await state.datasets.export(
            info.name, format=format, to=path, where=query, progress=progress
        )
        result = {
            "filename": f"{info.name}-{format}.zip",
            "num_images": made.num_images,
            "num_boxes": made.num_boxes,
            "notes": state.scrub.value(made.notes),
        }
        return with_file(result, path)

    return accepted(request, state.jobs.start("export", work, dataset=info.name))


async def _export(state: ApiState, name: str, query: str, progress: Progress) -> Path:
    only = None
    if query.strip():
        only = await (await state.datasets.open(name)).query(query, progress=progress)
    path = state.folder / f"{secrets.token_hex(8)}.zip"
    return await state.datasets.export_zip(name, path, only=only, progress=progress)
