"""Jobs: work that a request has started, to be watched, cancelled, and its file fetched."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request, Response
from starlette.responses import FileResponse

import workbench
from workbench.api.answers import event_stream, last_event_id
from workbench.api.params import BINARY, EVENTS, Name
from workbench.api.routing import router_of
from workbench.api.schemas.jobs import JobList, JobStatus, ServerStatus
from workbench.api.state import ApiState, State
from workbench.errors import NotFoundError

router = router_of("jobs")


@router.get("/status")
async def get_status(state: State) -> ServerStatus:
    """Say that the server is ready, and which version of Workbench it runs."""
    return ServerStatus(version=workbench.__version__)


@router.get("/jobs")
async def list_jobs(state: State) -> JobList:
    """Return the jobs that are known, oldest first."""
    return JobList(items=[JobStatus.of(job) for job in state.jobs.list()])


@router.get("/jobs/{job}")
async def get_job(job: Name, state: State) -> JobStatus:
    """Return where a job stands."""
    return JobStatus.of(state.jobs.get(job))


@router.post("/jobs/{job}/cancel")
async def cancel_job(job: Name, state: State) -> JobStatus:
    """Ask a job to stop at its next step; one that is over stays as it is."""
    return JobStatus.of(await state.jobs.cancel(job))


@router.delete("/jobs/{job}", status_code=204)
async def forget_job(job: Name, state: State) -> None:
    """Cancel a job if it is under way, and forget it together with the file that it has made."""
    await state.jobs.forget(job)


@router.get(
    "/jobs/{job}/events",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {}}, "description": "One event each time."}},
    openapi_extra=EVENTS,
)
async def follow_job(job: Name, request: Request, state: State) -> Response:
    """Send where a job stands, now and at each change, until it is over."""
    state.jobs.get(job)
    return event_stream(_events(state, job, last_event_id(request)), state.ending)


async def _events(state: ApiState, job: str, after: int) -> AsyncIterator[tuple[int, str, Any]]:
    async for found in state.jobs.follow(job, after):
        yield found.revision, found.state, JobStatus.of(found).model_dump(mode="json")


@router.get(
    "/jobs/{job}/file",
    response_class=FileResponse,
    responses={
        200: {"content": {"application/zip": BINARY}, "description": "What the job has made."},
        206: {"content": {"application/zip": BINARY}, "description": "A part of it."},
    },
)
async def download_job_file(job: Name, state: State) -> Response:
    """Return the file that a job has made; a part of it with ``Range``."""
    found = state.jobs.get(job)
    if found.file is None:
        raise NotFoundError(f"job {job!r} has no file (yet); it is {found.state}")
    name = str((found.result or {}).get("filename", found.file.name))
    return FileResponse(found.file, media_type="application/zip", filename=name)
