"""Pieces of answers that several routers send: conditions, ranges, streams of events."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from workbench.api.jobs import Job
from workbench.api.problems import ProblemError
from workbench.api.schemas.jobs import JobStatus

_RANGE = re.compile(r"^bytes=(\d*)-(\d*)$")
_HEARTBEAT = 15.0
MEDIA_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".bmp": "image/bmp",
    ".webp": "image/webp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
}
_SAFE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-cache"}

UNLABELLED = '"unlabelled"'
"""The ETag of labels that are not there."""


def media_type_of(filename: str) -> str:
    """Return the media type of an image file."""
    return MEDIA_TYPES.get(filename[filename.rfind(".") :].lower(), "application/octet-stream")


def etag_of(data: bytes, *more: object) -> str:
    """Return the ETag of bytes, and of the form that they are sent in."""
    digest = hashlib.blake2b(data, digest_size=12)
    for item in more:
        digest.update(f"\0{item}".encode())
    return f'"{digest.hexdigest()}"'


def revision_etag(revision: str) -> str:
    """Return the ETag of labels with this revision."""
    return f'"{revision}"' if revision else UNLABELLED


def tags_in(header: str | None) -> list[str]:
    """Return the ETags of a condition, without the mark of weak ones."""
    return [part.strip().removeprefix("W/") for part in (header or "").split(",") if part.strip()]


def is_known(request: Request, etag: str) -> bool:
    """Whether the client has this already, by ``If-None-Match``."""
    given = tags_in(request.headers.get("if-none-match"))
    return etag in given or "*" in given


def not_modified(etag: str) -> Response:
    """Return the answer for a client that has it already."""
    return Response(status_code=304, headers={"ETag": etag, **_SAFE})


def unless_known(request: Request, etag: str, content: Any) -> Response:
    """Return JSON with its ETag, or 304 for a client that has it already."""
    if is_known(request, etag):
        return not_modified(etag)
    answer = json_response(content)
    answer.headers["ETag"] = etag
    return answer


def may_change(if_match: str | None, etag: str) -> bool:
    """Whether what has this ETag now may be changed, by the ``If-Match`` of a request, if any."""
    # Compared strongly (RFC 9110, section 13.1.1): a weak one says less than "the same".
    given = [part.strip() for part in (if_match or "").split(",")]
    return if_match is None or "*" in given or etag in given


def changed_since(detail: str, etag: str, **more: Any) -> ProblemError:
    """Return the answer to a change of what the client has not seen as it is now: 412.

    Parameters
    ----------
    detail : str
    etag : str
        Of what is there now.
    **more : JSON types
        ``current``, what is there, and mostly ``yours``, what was sent.
    """
    return ProblemError(412, detail, kind="conflict", headers={"ETag": etag}, more=more)


def bytes_response(request: Request, data: bytes, etag: str, media_type: str) -> Response:
    """Return bytes, or the range of them that is asked for."""
    if is_known(request, etag):
        return not_modified(etag)
    headers = {"ETag": etag, "Accept-Ranges": "bytes", **_SAFE}
    wanted = _RANGE.match(request.headers.get("range", ""))
    condition = request.headers.get("if-range")
    if wanted is None or wanted.groups() == ("", "") or (condition and condition != etag):
        return Response(data, 200, headers, media_type)
    first, last = wanted.groups()
    begin = int(first) if first else max(0, len(data) - int(last))
    end = min(int(last) + 1, len(data)) if first and last else len(data)
    if begin >= end:
        raise ProblemError(
            416,
            f"Range: expected a part of {len(data)} bytes, found {request.headers['range']}",
            kind="range",
            headers={"Content-Range": f"bytes */{len(data)}"},
        )
    headers["Content-Range"] = f"bytes {begin}-{end - 1}/{len(data)}"
    return Response(data[begin:end], 206, headers, media_type)


def json_response(content: Any) -> Response:
    """Return JSON in ASCII: names of files need not be UTF-8, and then hold lone surrogates."""
    return Response(json.dumps(content).encode(), media_type="application/json")


def accepted(request: Request, job: Job) -> Response:
    """Return the answer to a request whose work goes on: 202, and where to watch it."""
    where = str(request.app.url_path_for("get_job", job=job.id))
    prefix = request.scope.get("root_path", "")
    body = JobStatus.of(job).model_dump(mode="json")
    return JSONResponse(body, 202, {"Location": prefix + where, "Retry-After": "1"})


def last_event_id(request: Request) -> int:
    """Return the number of the last event that the client has seen, 0 for none."""
    text = request.headers.get("last-event-id", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def event_stream(source: AsyncIterator[tuple[int, str, Any]], ending: asyncio.Event) -> Response:
    """Return events, ``(number, name, JSON types)``, as server-sent events.

    While nothing happens a comment is sent from time to time, so that proxies keep the
    connection and a client that is gone is noticed. When `ending` is set the stream ends in
    order; a client that comes back is sent what it has not seen.
    """
    return StreamingResponse(
        _lines(source, ending),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _lines(
    source: AsyncIterator[tuple[int, str, Any]], ending: asyncio.Event
) -> AsyncIterator[str]:
    following: asyncio.Task[tuple[int, str, Any]] | None = None
    end = asyncio.ensure_future(ending.wait())
    try:
        while True:
            following = following or asyncio.ensure_future(anext(source))
            await asyncio.wait(
                [following, end], timeout=_HEARTBEAT, return_when=asyncio.FIRST_COMPLETED
            )
            if end.done() and not following.done():
                return
            if not following.done():
                yield ": still here\n\n"
                continue
            task, following = following, None
            try:
                number, name, content = task.result()
            except StopAsyncIteration:
                return
            yield f"id: {number}\nevent: {name}\ndata: {json.dumps(content)}\n\n"
    finally:
        end.cancel()
        if following is not None:
            following.cancel()
