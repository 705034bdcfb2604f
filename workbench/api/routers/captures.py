"""Capture: a device pushes frames, and the controller's settings say what becomes of them."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Query, Request

from workbench.api import captures
from workbench.api.params import Name, body_of, read_image
from workbench.api.problems import ProblemError
from workbench.api.routing import router_of
from workbench.api.schemas.captures import Capture, CaptureList, NewCapture, Pushed, RecordOptions
from workbench.api.schemas.images import ImageRef
from workbench.api.state import State
from workbench.capture.triggers import Every
from workbench.errors import InvalidFrameError

_SECONDS_TO_BEGIN = 10.0

router = router_of("capture")


@router.get("/captures")
async def list_captures(state: State) -> CaptureList:
    """Return the captures that are open."""
    return CaptureList(items=[_capture(one) for one in state.captures.list()])


@router.post("/captures", status_code=201)
async def open_capture(new: NewCapture, state: State) -> Capture:
    """Begin to take frames of a device."""
    return _capture(await state.captures.open(new.dataset, new.device, new.settings.model_dump()))


@router.get("/captures/{capture}")
async def get_capture(capture: Name, state: State) -> Capture:
    """Return what has become of a device's frames so far."""
    return _capture(state.captures.get(capture))


@router.delete("/captures/{capture}", status_code=204)
async def close_capture(capture: Name, state: State) -> None:
    """Save what is waiting, and let the device go."""
    await state.captures.shut(capture)


@router.post("/captures/{capture}/frames", openapi_extra=body_of("One frame, as JPEG."))
async def push_frame(
    capture: Name,
    request: Request,
    state: State,
    sequence: Annotated[int | None, Query(ge=0, le=2**53, description="Its number.")] = None,
) -> Pushed:
    """Hand a frame over; 429 while so many wait to be written that it found no room.

    A frame whose number was there already is not accepted, and that is no error.
    """
    found = state.captures.get(capture)
    data = await read_image(request, state.limits, "frame")
    if not data.startswith(b"\xff\xd8\xff"):
        raise InvalidFrameError("frame: expected a JPEG file")
    full = found.feed.unacknowledged >= found.feed.window
    accepted = await asyncio.to_thread(found.feed.push, data, sequence=sequence)
    if not accepted and full:
        raise ProblemError(
            429,
            "the disk is slower than the frames come; wait for a moment",
            kind="window-full",
            headers={"Retry-After": "1"},
        )
    return Pushed(accepted=accepted)


@router.post("/captures/{capture}/record")
async def start_recording(capture: Name, options: RecordOptions, state: State) -> Capture:
    """Take frames until so many are taken, or until it is finished."""
    found = state.captures.get(capture)
    try:
        found.controller.record(Every(seconds=options.every_seconds), until=options.until)
    except RuntimeError as error:
        raise ProblemError(409, str(error), kind="recording") from error
    # The frame that the device sends next is to be the first.
    await asyncio.to_thread(found.controller.wait_until_taking, _SECONDS_TO_BEGIN)
    return _capture(found)


@router.post("/captures/{capture}/shoot")
async def shoot(capture: Name, state: State) -> Capture:
    """Take the frame that came last, or the next one if none has come."""
    found = state.captures.get(capture)
    found.controller.shoot()
    return _capture(found)


@router.post("/captures/{capture}/finish")
async def finish_recording(
    capture: Name,
    state: State,
    wait: Annotated[float, Query(ge=0, le=60, description="Seconds to wait.")] = 10.0,
) -> Capture:
    """Take no more frames, and wait until what was taken is saved."""
    found = state.captures.get(capture)
    found.controller.finish()
    await asyncio.to_thread(found.controller.flush, wait)
    return _capture(found)


@router.post("/captures/{capture}/undo")
async def undo_capture(
    capture: Name, state: State, count: Annotated[int, Query(ge=1, le=100_000)] = 1
) -> list[ImageRef]:
    """Move the last captured images to the trash."""
    taken = await state.captures.get(capture).controller.undo(count)
    return [ImageRef.of((saved.info.split, saved.info.filename)) for saved in taken]


def _capture(one: captures.Capture) -> Capture:
    status = one.controller.status
    return Capture(
        id=one.id,
        dataset=one.dataset,
        device=one.feed.name,
        recording=status.recording,
        saving=status.saving,
        burst=status.burst,
        saved=status.saved,
        similar=status.similar,
        blurred=status.blurred,
        damaged=status.damaged,
        dropped=status.dropped,
        waiting=status.waiting,
        failure=status.failure,
    )
