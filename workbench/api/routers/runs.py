"""Training runs: started, watched as they go, stopped, paused, resumed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Query, Request, Response

from workbench.api.answers import accepted, event_stream, last_event_id
from workbench.api.params import EVENTS, Name
from workbench.api.problems import plain
from workbench.api.routing import router_of
from workbench.api.schemas.jobs import JobStatus
from workbench.api.schemas.runs import NewRun, ResumeRun, Run, Runs
from workbench.api.state import ApiState, State
from workbench.persistence.models import Progress
from workbench.training.config import TrainingConfig
from workbench.training.events import format_event
from workbench.training.run import Run as TrainingRun

router = router_of("training runs")


@router.get("/runs")
async def list_runs(state: State) -> Runs:
    """Return all training runs, newest first."""
    found = await state.runner.list_runs()
    return Runs(items=[await asyncio.to_thread(_run, state, run) for run in found])


@router.post("/runs", status_code=202, responses={202: {"model": JobStatus}})
async def start_run(settings: NewRun, request: Request, state: State) -> Response:
    """Start training; a job that checks data and machine, and whose result is the run."""
    config = TrainingConfig.from_json(settings.model_dump())
    await state.datasets.get(config.dataset)

    async def work(progress: Progress) -> Any:
        run = await state.runner.start(config, progress=progress)
        return (await asyncio.to_thread(_run, state, run)).model_dump(mode="json")

    return accepted(request, state.jobs.start("start run", work, dataset=config.dataset))


@router.get("/runs/{run}")
async def get_run(run: Name, state: State) -> Run:
    """Return where a run stands."""
    return await asyncio.to_thread(_run, state, await state.runner.get(run))


@router.post("/runs/{run}/stop")
async def stop_run(run: Name, state: State) -> Run:
    """Ask a run to stop after the batch it is at; the best weights so far are kept."""
    found = await state.runner.get(run)
    await found.stop()
    return await asyncio.to_thread(_run, state, found)


@router.post("/runs/{run}/pause")
async def pause_run(
    run: Name,
    state: State,
    now: Annotated[bool, Query(description="Do not wait for the end of the epoch.")] = False,
) -> Run:
    """Ask a run to pause after the epoch it is at."""
    found = await state.runner.get(run)
    await found.pause(now=now)
    return await asyncio.to_thread(_run, state, found)


@router.post("/runs/{run}/resume")
async def resume_run(run: Name, changes: ResumeRun, state: State) -> Run:
    """Let a run that is over, but not finished, go on from its newest checkpoint."""
    found = await state.runner.get(run)
    await found.resume(**changes.model_dump(exclude_unset=True, exclude_none=True))
    return await asyncio.to_thread(_run, state, found)


@router.post("/runs/{run}/cancel")
async def cancel_run(run: Name, state: State) -> Run:
    """Kill a run with all its processes; no model comes of it. It can be resumed."""
    found = await state.runner.get(run)
    await found.cancel()
    return await asyncio.to_thread(_run, state, found)


@router.get(
    "/runs/{run}/events",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {}}, "description": "One event each time."}},
    openapi_extra=EVENTS,
)
async def follow_run(run: Name, request: Request, state: State) -> Response:
    """Send every event of a run, then new ones as they come; ``Last-Event-ID`` goes on there."""
    found = await state.runner.get(run)
    return event_stream(_events(state, found, last_event_id(request)), state.ending)


async def _events(
    state: ApiState, run: TrainingRun, after: int
) -> AsyncIterator[tuple[int, str, Any]]:
    number = 0
    async for event in run.events():
        number += 1
        if number > after:
            content = state.scrub.value(json.loads(format_event(event)))
            yield number, str(content.get("event", "event")), content


def _run(state: ApiState, run: TrainingRun) -> Run:
    progress = run.read_progress()
    scrub = state.scrub
    return Run(
        id=run.id,
        state=progress.state,
        settings=scrub.value(run.config.to_json()),
        epoch=progress.epoch,
        epochs=progress.epochs,
        batch=progress.batch,
        batches=progress.batches,
        epochs_completed=progress.epochs_completed,
        fraction=progress.fraction,
        losses=plain(progress.losses),
        metrics=plain(progress.metrics),
        warnings=scrub.value(progress.warnings),
        message=scrub.text(progress.message),
        note=scrub.text(progress.note),
        device=progress.device,
        model_name=run.read_model_name(),
    )
