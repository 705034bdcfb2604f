"""Images: found by query, uploaded, looked at, moved and deleted."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Annotated, Any

import cv2
import numpy as np
from fastapi import Query, Request, Response, UploadFile

from workbench.api.answers import (
    MEDIA_TYPES,
    bytes_response,
    changed_since,
    etag_of,
    is_known,
    json_response,
    may_change,
    media_type_of,
    not_modified,
    tags_in,
)
from workbench.api.negotiation import wanted_form
from workbench.api.params import (
    BINARY,
    PART,
    Cursor,
    IfMatch,
    IfNoneMatch,
    Key,
    Limit,
    Name,
    Question,
    body_of,
    check_image,
    read_image,
)
from workbench.api.problems import ProblemError, problem_of
from workbench.api.routing import router_of
from workbench.api.schemas.common import Done, NewName, Split
from workbench.api.schemas.images import (
    ImageList,
    ImageRef,
    Images,
    MoveImages,
    Refused,
    SavedImage,
    Upload,
)
from workbench.api.schemas.trash import Trashed
from workbench.api.state import ApiState, State
from workbench.datasets.index import STATES, DatasetIndex
from workbench.errors import AlreadyExistsError, NotFoundError, WorkbenchError
from workbench.persistence.models import SPLITS, ImageKey, NewImage

router = router_of("images")

_BATCH, _BATCH_BYTES = 128, 64 * 2**20
_NOT_OF_THE_FILE = {403: "read-only", 404: "not-found", 503: "busy", 507: "disk-full"}
"""Why nothing at all can be added, by the status that says so."""
_FORMATS = {"image/jpeg": ".jpg", "image/webp": ".webp", "image/png": ".png"}
_WEBP_QUALITY = 80
_BYTES: dict[str, Any] = {
    "content": dict.fromkeys(sorted({*MEDIA_TYPES.values(), "application/octet-stream"}), BINARY)
}


@router.get("/datasets/{dataset}/images", response_model=Images)
async def list_images(
    dataset: Name,
    state: State,
    query: Question = "",
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Return the images that a query finds, in its order, in pages."""
    page = await state.listings.page(dataset, query, cursor, min(limit, state.limits.max_page))
    items = [_image(page.index, place) for place in page.positions.tolist()]
    return json_response({"items": items, "total": page.total, "next": page.next})


def _image(index: DatasetIndex, place: int) -> dict[str, object]:
    width, height = int(index.width[place]), int(index.height[place])
    return {
        "split": SPLITS[index.split[place]],
        "filename": index.filenames[place],
        "size_bytes": int(index.size_bytes[place]),
        "modified_at": int(index.modified_ns[place]) / 1e9,
        "width": width if width > 0 else None,
        "height": height if height > 0 else None,
        "state": STATES[index.state[place]],
        "num_boxes": int(index.num_boxes[place]),
    }


@router.post("/datasets/{dataset}/images")
async def upload_images(
    dataset: Name,
    files: list[UploadFile],
    state: State,
    split: Annotated[Split, Query()] = "train",
    idempotency_key: Key = None,
) -> Upload:
    """Add images, byte for byte; one that is refused keeps no other from coming.

    Where nothing could be added because the disk is full or read-only, that is the answer.
    """
    await state.datasets.get(dataset)
    digest = await asyncio.to_thread(_digest_of, files) if idempotency_key else ""

    async def answer() -> Response:
        made = await _add_all(state, dataset, split, files)
        _require_some(made)
        return json_response(made.model_dump())

    where = f"images {dataset} {split}"
    return await state.idempotency.once(where, idempotency_key, digest, answer)  # type: ignore[return-value]


def _digest_of(files: list[UploadFile]) -> str:
    digest = hashlib.sha256()
    for file in files:
        content = hashlib.file_digest(file.file, "sha256").hexdigest()  # type: ignore[arg-type]
        file.file.seek(0)
        digest.update(f"{file.filename}\0{content}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


async def _add_all(state: ApiState, dataset: str, split: str, files: list[UploadFile]) -> Upload:
    upload = Upload(added=[], unchanged=[], refused=[])
    batch: list[NewImage] = []
    held = 0
    for file in files:
        name = file.filename or ""
        data = await file.read()
        try:
            check_image(data, state.limits, name)  # its header only; a thread would cost more
        except (WorkbenchError, ProblemError) as error:
            upload.refused.append(_refused(state, name, error))
            continue
        batch.append(NewImage(name, split, data))
        held += len(data)
        if len(batch) == _BATCH or held >= _BATCH_BYTES:
            await _add_batch(state, dataset, batch, upload)
            batch, held = [], 0
    if batch:
        await _add_batch(state, dataset, batch, upload)
    return upload


def _require_some(upload: Upload) -> None:
    """Raise if nothing was kept of what was sent, and that was not the files' fault."""
    if upload.added or upload.unchanged:
        return
    for refused in upload.refused:
        if refused.status in _NOT_OF_THE_FILE:
            raise ProblemError(
                refused.status,
                f"nothing was added; {refused.name}: {refused.why}",
                kind=_NOT_OF_THE_FILE[refused.status],
                more=upload.model_dump(),
            )


async def _add_batch(state: ApiState, dataset: str, batch: list[NewImage], upload: Upload) -> None:
    """Add images together; where that is refused, one by one, to learn which are the reason."""
    try:
        added = await state.stores.image.add_many(dataset, batch)
    except (WorkbenchError, ValueError) as error:
        if len(batch) > 1:
            for image in batch:
                await _add_batch(state, dataset, [image], upload)
        elif await _is_there(state, dataset, batch[0]):
            upload.unchanged.append(ImageRef.of((batch[0].split, batch[0].filename)))
        else:
            upload.refused.append(_refused(state, batch[0].filename, error))
    else:
        upload.added += [ImageRef.of((info.split, info.filename)) for info in added]


async def _is_there(state: ApiState, dataset: str, image: NewImage) -> bool:
    """Whether an image of this name has these bytes already: it was sent twice."""
    [found] = await state.stores.image.read_many(dataset, [(image.split, image.filename)])
    return found == image.content


def _refused(state: ApiState, name: str, error: Exception) -> Refused:
    problem = problem_of(error, state.scrub)
    return Refused(name=name, status=problem["status"], why=problem["detail"])


@router.post("/datasets/{dataset}/images/move")
async def move_images(dataset: Name, wanted: MoveImages, state: State) -> Done:
    """Move images with their labels to another split: all, or none."""
    opened = await state.datasets.open(dataset)
    change = await opened.actions.move([image.key for image in wanted.images], wanted.to)
    return Done(description=change.description)


@router.post("/datasets/{dataset}/images/delete")
async def delete_images(dataset: Name, wanted: ImageList, state: State) -> list[Trashed]:
    """Move images with their labels to the trash: all, or none."""
    keys: list[ImageKey] = [*dict.fromkeys(image.key for image in wanted.images)]
    entries = await state.stores.image.delete_many(dataset, keys)
    return [Trashed.of(entry) for entry in entries]


@router.put(
    "/datasets/{dataset}/images/{split}/{filename}",
    openapi_extra=body_of("The file, in the format of its extension."),
)
async def put_image(
    dataset: Name,
    split: Split,
    filename: Name,
    request: Request,
    response: Response,
    state: State,
    if_none_match: IfNoneMatch = None,
    if_match: IfMatch = None,
) -> SavedImage:
    """Store an image; ``If-None-Match: *`` never replaces one, ``If-Match`` only the one seen."""
    data = await read_image(request, state.limits, filename)
    place = (dataset, split, filename)
    await _require_match(state, place, if_match, yours=etag_of(data))
    only_new = "*" in tags_in(if_none_match)
    try:
        info = await state.stores.image.save_bytes(*place, data, overwrite=not only_new)
    except AlreadyExistsError as error:
        if not only_new:
            raise
        raise await _is_taken(state, place, str(error), yours=etag_of(data)) from error
    response.headers["ETag"] = etag_of(data)
    return SavedImage.of(info)


async def _require_match(
    state: ApiState, place: tuple[str, str, str], if_match: str | None, **more: str
) -> None:
    """Raise 412 unless an image is the one that ``If-Match`` names, if it names any."""
    if if_match is None:
        return
    where = f"{place[1]}/{place[2]}"
    try:
        present = etag_of(await state.stores.image.read_bytes(*place))
    except NotFoundError as error:
        await state.datasets.get(place[0])  # a dataset that is not there is another matter
        raise ProblemError(
            412,
            f"If-Match: there is no image {where}; send it without, or with If-None-Match: *",
            kind="not-there",
        ) from error
    if not may_change(if_match, present):
        raise changed_since(
            f"{where} was changed since it was read; read it again",
            present,
            current=present,
            **more,
        )


async def _is_taken(
    state: ApiState, place: tuple[str, str, str], why: str, **more: str
) -> ProblemError:
    """Return the answer to ``If-None-Match: *`` where there is an image."""
    try:
        present = etag_of(await state.stores.image.read_bytes(*place))
    except NotFoundError:  # of another spelling or split, or gone again
        return ProblemError(412, f"If-None-Match: {why}", kind="already-exists")
    return ProblemError(
        412,
        f"If-None-Match: {why}",
        kind="already-exists",
        headers={"ETag": present},
        more={"current": present, **more},
    )


@router.get(
    "/datasets/{dataset}/images/{split}/{filename}",
    response_class=Response,
    responses={200: _BYTES | {"description": "The file."}, 206: _BYTES, 304: {}},
    openapi_extra=PART,
)
async def get_image(
    dataset: Name, split: Split, filename: Name, request: Request, state: State
) -> Response:
    """Return the file as it is stored; a part of it with ``Range``."""
    data = await state.stores.image.read_bytes(dataset, split, filename, to_pass_on=True)
    return bytes_response(request, data, etag_of(data), media_type_of(filename))


@router.get("/datasets/{dataset}/images/{split}/{filename}/info")
async def get_image_info(dataset: Name, split: Split, filename: Name, state: State) -> SavedImage:
    """Return one image's facts, width and height included."""
    return SavedImage.of(await state.stores.image.get(dataset, split, filename))


@router.patch("/datasets/{dataset}/images/{split}/{filename}")
async def rename_image(
    dataset: Name,
    split: Split,
    filename: Name,
    new: NewName,
    state: State,
    if_match: IfMatch = None,
) -> SavedImage:
    """Give an image and its labels another name; the extension must stay."""
    await _require_match(state, (dataset, split, filename), if_match)
    return SavedImage.of(await state.stores.image.rename(dataset, split, filename, new.name))


@router.delete("/datasets/{dataset}/images/{split}/{filename}")
async def delete_image(
    dataset: Name, split: Split, filename: Name, state: State, if_match: IfMatch = None
) -> Trashed:
    """Move an image and its labels to the trash; with ``If-Match`` only the one seen."""
    await _require_match(state, (dataset, split, filename), if_match)
    return Trashed.of(await state.stores.image.delete(dataset, split, filename))


@router.get(
    "/datasets/{dataset}/images/{split}/{filename}/thumbnail",
    response_class=Response,
    responses={
        200: {"content": dict.fromkeys(_FORMATS, BINARY), "description": "A small picture."},
        304: {},
    },
)
async def get_thumbnail(
    dataset: Name,
    split: Split,
    filename: Name,
    request: Request,
    state: State,
    size: Annotated[int, Query(ge=16, le=2048, description="Of the longer side.")] = 256,
) -> Response:
    """Return a small picture, as JPEG, WebP or PNG, whichever is accepted."""
    media_type = wanted_form(request, [*_FORMATS])
    data = await state.stores.image.read_bytes(dataset, split, filename, to_pass_on=True)
    etag = etag_of(data, size, media_type)
    if is_known(request, etag):
        return not_modified(etag)
    stamp = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")
    [made] = await state.thumbnails.get(
        dataset, [(split, filename)], size=size, modified_ns=[stamp]
    )
    if isinstance(made, Exception):
        raise made
    picture = made.data
    if media_type != "image/jpeg":
        picture = await asyncio.to_thread(_converted, made.data, _FORMATS[media_type])
    return bytes_response(request, picture, etag, media_type)


def _converted(jpeg: bytes, extension: str) -> bytes:
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    # Without a quality OpenCV writes WebP without loss: of a JPEG that is many times its size.
    how = [cv2.IMWRITE_WEBP_QUALITY, _WEBP_QUALITY] if extension == ".webp" else []
    _, data = cv2.imencode(extension, picture, how)  # type: ignore[arg-type]
    return bytes(data)
