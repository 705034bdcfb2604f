"""Parameters that several routers take, and how bodies are read."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path as FilePath
from typing import Annotated, Any

import anyio
from fastapi import Header, Path, Query, Request

from workbench.api.problems import BodyTooLargeError, ProblemError
from workbench.api.settings import ApiLimits
from workbench.errors import InvalidFrameError
from workbench.persistence.rules import image_size
from workbench.persistence.yolo.names import MOST_NAME_BYTES

Name = Annotated[
    str, Path(min_length=1, max_length=MOST_NAME_BYTES, description="As it is called on disk.")
]
Key = Annotated[str | None, Header(alias="Idempotency-Key", max_length=200)]
IfMatch = Annotated[str | None, Header(alias="If-Match", max_length=1000)]
IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match", max_length=1000)]
Cursor = Annotated[str | None, Query(max_length=4000, description="`next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=5000, description="Entries of a page.")]
Threshold = Annotated[float, Query(ge=0, le=1, description="Scores below this do not count.")]
Question = Annotated[
    str,
    Query(
        alias="query",
        max_length=1000,
        description="Such as `class:cup boxes>3 -split:test sort:-date`.",
    ),
]
OptionalSplit = Annotated[
    str | None, Query(pattern="^(train|val|test)$", description="Default: all splits.")
]


BINARY = {"schema": {"type": "string", "format": "binary"}}
"""How OpenAPI describes bytes."""


def body_of(description: str) -> dict[str, Any]:
    """Return what a route says of a body of bytes, for its ``openapi_extra``."""
    content = {"application/octet-stream": BINARY}
    return {
        "requestBody": {"required": True, "description": description, "content": content},
    }


def header_of(name: str, description: str) -> dict[str, Any]:
    """Return what a route says of a header that is read elsewhere, for its ``openapi_extra``."""
    header = {"name": name, "in": "header", "required": False, "description": description}
    return {"parameters": [{**header, "schema": {"type": "string"}}]}


EVENTS = header_of("Last-Event-ID", "The `id` of the last event that was seen; goes on behind it.")
PART = header_of("Range", "Such as `bytes=0-1023`: just this part of the file.")


async def read_image(request: Request, limits: ApiLimits, where: str) -> bytes:
    """Return the image that is the body of a request.

    Raises
    ------
    InvalidFrameError
        If it is none.
    ProblemError
        413 if it has too many bytes or pixels.
    """
    data = await request.body()
    await anyio.to_thread.run_sync(check_image, data, limits, where)
    return data


def check_image(data: bytes, limits: ApiLimits, where: str) -> None:
    """Make sure, by its header alone, that an image is one and small enough to be decoded."""
    if len(data) > limits.max_image_bytes:
        raise BodyTooLargeError(limits.max_image_bytes)
    if not data:
        raise InvalidFrameError(f"{where}: expected an image as the body, found no bytes")
    width, height = image_size(data, where)
    if width * height > limits.max_pixels:
        raise ProblemError(
            413,
            f"{where}: expected at most {limits.max_pixels} pixels, found {width} x {height}",
            kind="too-many-pixels",
        )


def upload_place(folder: FilePath, suffix: str = "") -> FilePath:
    """Return where an upload may lie; in words the client is told of "the uploaded ..."."""
    return folder / f"upload-{secrets.token_hex(8)}{suffix}"


async def spool(request: Request, folder: FilePath, suffix: str) -> tuple[FilePath, str]:
    """Write the body of a request into a file of its own; return it with its digest."""
    path = upload_place(folder, suffix)
    digest = hashlib.sha256()
    try:
        async with await anyio.open_file(path, "xb") as file:
            async for chunk in request.stream():
                digest.update(chunk)
                await file.write(chunk)
        if digest.digest() == hashlib.sha256().digest():
            raise ProblemError(422, "expected a file as the body, found no bytes", kind="no-body")
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path, digest.hexdigest()
