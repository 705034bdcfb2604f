"""Labels: of one image with a revision, or of many in columns."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypeVar

from fastapi import Query, Request, Response
from starlette.responses import StreamingResponse

from workbench.api.answers import (
    changed_since,
    json_response,
    may_change,
    revision_etag,
    tags_in,
    unless_known,
)
from workbench.api.negotiation import wanted_form
from workbench.api.params import BINARY, IfMatch, IfNoneMatch, Name, OptionalSplit
from workbench.api.problems import ProblemError
from workbench.api.routing import router_of
from workbench.api.schemas.common import Saved, Split
from workbench.api.schemas.labels import (
    Box,
    Edit,
    History,
    LabelColumns,
    Labels,
    ManyLabels,
    NewLabels,
)
from workbench.api.schemas.trash import Trashed
from workbench.api.state import ApiState, State
from workbench.errors import ConflictError, SetupError
from workbench.persistence.models import Annotation, ImageKey, LabelTable

router = router_of("labels")

_ARROW = "application/vnd.apache.arrow.stream"
_NDJSON = "application/x-ndjson"
_MANY = 1000
"""Boxes whose conversion takes milliseconds."""

T = TypeVar("T")


@router.get(
    "/datasets/{dataset}/labels/{split}/{filename}", response_model=Labels, responses={304: {}}
)
async def get_labels(
    dataset: Name, split: Split, filename: Name, request: Request, state: State
) -> Response:
    """Return the boxes of an image; the ETag is their revision."""
    data = await state.stores.label.get(dataset, split, filename)
    content = await _aside(len(data.annotations), lambda: Labels.of(data).model_dump())
    return unless_known(request, revision_etag(data.revision), content)


async def _aside(count: int, work: Callable[[], T]) -> T:
    """Return ``work()``, done in a thread if it is about so many boxes that others would wait."""
    return work() if count < _MANY else await asyncio.to_thread(work)


@router.put("/datasets/{dataset}/labels/{split}/{filename}", response_model=Labels)
async def save_labels(
    dataset: Name,
    split: Split,
    filename: Name,
    new: NewLabels,
    state: State,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Replace the boxes of an image; durable when this answers.

    With ``If-Match`` only if they still are what the client has seen; otherwise 412, with
    what is there (``current``) and what was sent (``yours``). ``If-None-Match: *`` saves
    only where there are no labels yet.
    """
    expected = await _expected(state, (dataset, split, filename), if_match, if_none_match, new)
    boxes = await _aside(len(new.boxes), lambda: [box.to_annotation() for box in new.boxes])
    try:
        data = await state.stores.label.save(
            dataset,
            split,
            filename,
            boxes,
            expected_revision=expected,
            discard_other_rows=new.discard_other_rows,
            what=new.what,
        )
    except ConflictError as error:
        raise await _conflict(state, (dataset, split, filename), new.boxes, str(error)) from error
    answer = await _aside(len(boxes), lambda: json_response(Labels.of(data).model_dump()))
    answer.headers["ETag"] = revision_etag(data.revision)
    return answer


async def _expected(
    state: ApiState,
    place: tuple[str, str, str],
    if_match: str | None,
    if_none_match: str | None,
    new: NewLabels,
) -> str | None:
    """Return the revision that the store shall expect; None for whichever."""
    if "*" in tags_in(if_none_match):
        return ""
    if if_match is None:
        return None
    present = (await state.stores.label.get(*place)).revision
    if "*" in tags_in(if_match):
        if not present:
            raise await _conflict(state, place, new.boxes, "the image has no labels yet")
        return None
    if not may_change(if_match, revision_etag(present)):
        raise await _conflict(
            state, place, new.boxes, f"the labels of {place[1]}/{place[2]} were changed since"
        )
    return present


async def _conflict(
    state: ApiState, place: tuple[str, str, str], boxes: list[Box], why: str
) -> ProblemError:
    current = await state.stores.label.get(*place)
    return changed_since(
        f"{why}; compare `current` with `yours`, then send again with the ETag of `current`",
        revision_etag(current.revision),
        current=Labels.of(current).model_dump(),
        yours=[box.model_dump() for box in boxes],
    )


@router.delete("/datasets/{dataset}/labels/{split}/{filename}")
async def delete_labels(
    dataset: Name, split: Split, filename: Name, state: State, if_match: IfMatch = None
) -> Trashed:
    """Move an image's labels to the trash: it is unlabelled again."""
    expected = None
    if if_match is not None and "*" not in tags_in(if_match):
        present = (await state.stores.label.get(dataset, split, filename)).revision
        if not (present and may_change(if_match, revision_etag(present))):
            raise await _conflict(
                state, (dataset, split, filename), [], "the labels were changed since"
            )
        expected = present
    entry = await state.stores.label.delete(
        dataset, split, filename, expected_revision=expected, what="api"
    )
    return Trashed.of(entry)


@router.get("/datasets/{dataset}/labels/{split}/{filename}/history")
async def get_label_history(
    dataset: Name,
    split: Split,
    filename: Name,
    state: State,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
) -> History:
    """Return the last edits of an image's labels, oldest first."""
    edits = await state.stores.label.history(dataset, split, filename, limit=limit)
    return History(items=[Edit.of(edit) for edit in edits])


@router.post("/datasets/{dataset}/history/{edit}/revert")
async def revert_edit(dataset: Name, edit: Name, state: State) -> Labels:
    """Put an image's labels back to what they were before an edit."""
    return Labels.of(await state.stores.label.revert(dataset, edit))


@router.post("/datasets/{dataset}/labels")
async def save_many_labels(dataset: Name, new: ManyLabels, state: State) -> Saved:
    """Replace the boxes of many images: all, or none."""
    labels = await _aside(sum(len(item.boxes) for item in new.items), lambda: _by_image(new))
    await state.stores.label.save_many(dataset, labels)
    return Saved(count=len(labels))


def _by_image(new: ManyLabels) -> dict[ImageKey, list[Annotation]]:
    labels: dict[ImageKey, list[Annotation]] = {}
    for item in new.items:
        if item.key in labels:
            raise ProblemError(
                422,
                f"{item.split}/{item.filename}: expected once, found it twice; nothing was saved",
                kind="value",
            )
        labels[item.key] = [box.to_annotation() for box in item.boxes]
    return labels


@router.get(
    "/datasets/{dataset}/labels",
    response_model=LabelColumns,
    responses={
        200: {
            "content": {_NDJSON: {"schema": {"type": "string"}}, _ARROW: BINARY},
            "description": "In columns; as NDJSON or Arrow with a line or row for each image.",
        }
    },
)
async def get_all_labels(
    dataset: Name, request: Request, state: State, split: OptionalSplit = None
) -> Response:
    """Return every box of a split, or of all, as JSON, NDJSON or Arrow, whichever is accepted."""
    form = wanted_form(request, ("application/json", _NDJSON, _ARROW))
    table = await state.stores.label.load_all(dataset, split)
    if form == _ARROW:
        return Response(await asyncio.to_thread(_arrow, table), media_type=_ARROW)
    if form == _NDJSON:
        return StreamingResponse(_lines(table), media_type=_NDJSON)
    content = await asyncio.to_thread(lambda: json.dumps(_columns(state, table)).encode())
    return Response(content, media_type="application/json")


def _columns(state: ApiState, table: LabelTable) -> dict[str, Any]:
    return {
        "filenames": table.filenames,
        "splits": table.splits,
        "labelled": table.labelled.tolist(),
        "image_index": table.image_index.tolist(),
        "class_id": table.class_id.tolist(),
        "boxes": table.boxes.tolist(),
        "problems": [state.scrub.text(str(problem)) for problem in table.problems],
    }


def _per_image(table: LabelTable) -> Iterator[tuple[str, str, list[list[float]] | None]]:
    """Yield split, name and rows of each image; None for one without a label file."""
    ends = table.boxes_per_image().cumsum().tolist()
    class_ids, boxes = table.class_id.tolist(), table.boxes.tolist()
    begin = 0
    images = zip(table.splits, table.filenames, table.labelled.tolist(), ends, strict=True)
    for split, filename, labelled, end in images:
        rows = [[class_ids[place], *boxes[place]] for place in range(begin, end)]
        yield split, filename, rows if labelled else None
        begin = end


def _lines(table: LabelTable) -> Iterator[str]:
    for split, filename, rows in _per_image(table):
        yield json.dumps({"split": split, "filename": filename, "boxes": rows}) + "\n"


def _arrow(table: LabelTable) -> bytes:
    try:
        import pyarrow as pa
    except ImportError as error:
        raise SetupError(
            "Arrow needs the package pyarrow on the server: pip install pyarrow; "
            "or ask for application/json or application/x-ndjson"
        ) from error
    names = ("class_id", "x", "y", "width", "height")
    kinds = (pa.int64(), *(pa.float64() for _ in names[1:]))
    box = pa.struct([*zip(names, kinds, strict=True)])
    splits, filenames, boxes = [], [], []
    for split, filename, rows in _per_image(table):
        splits.append(split)
        filenames.append(filename)
        boxes.append(None if rows is None else [dict(zip(names, row, strict=True)) for row in rows])
    made = pa.table(
        {
            "split": pa.array(splits, pa.string()),
            "filename": pa.array(filenames, pa.string()),
            "boxes": pa.array(boxes, pa.list_(box)),
        }
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, made.schema) as writer:
        writer.write_table(made)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]
