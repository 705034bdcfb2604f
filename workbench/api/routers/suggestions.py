"""Suggestions: boxes that a model, a program or a robot proposes, and what a person decides."""

from __future__ import annotations

import base64
import json

from fastapi import Request, Response

from workbench.api.answers import (
    changed_since,
    json_response,
    may_change,
    revision_etag,
    unless_known,
)
from workbench.api.params import Cursor, IfMatch, Limit, Name, Threshold
from workbench.api.problems import ProblemError
from workbench.api.routing import router_of
from workbench.api.schemas.common import Saved, Split
from workbench.api.schemas.labels import Labels
from workbench.api.schemas.suggestions import (
    KnownSource,
    NewSuggestions,
    SuggestedBox,
    SuggestionDecision,
    SuggestionPage,
    Suggestions,
)
from workbench.api.state import ApiState, State
from workbench.datasets.deciding import Waiting, decide, next_waiting, waiting_on
from workbench.errors import NotFoundError
from workbench.persistence.models import ImageKey, Prediction
from workbench.persistence.suggestion_blocks import new_block
from workbench.persistence.suggestions import Suggestion, SuggestionTable

router = router_of("suggestions")


@router.get("/datasets/{dataset}/suggestions", response_model=SuggestionPage)
async def list_suggestions(
    dataset: Name,
    state: State,
    cursor: Cursor = None,
    limit: Limit = 100,
    threshold: Threshold = 0.0,
) -> Response:
    """Return the images with boxes that wait for review, sorted by name, and who proposed them."""
    table = await _table(state, dataset)
    most = min(limit, state.limits.max_page)
    found = await next_waiting(
        state.stores,
        dataset,
        table,
        after=None if cursor is None else _opened(cursor, dataset),
        limit=most,
        threshold=threshold,
    )
    following = _cursor(dataset, found[-1][0]) if len(found) == most else None
    sources = [
        KnownSource(
            id=source.id,
            kind=source.kind,
            name=source.name,
            digest=source.digest,
            num_images=len(table.looked_at.get(source.id, ())),
        ).model_dump()
        for source in table.sources
    ]
    items = [_item(key, boxes) for key, boxes in found]
    return json_response({"sources": sources, "items": items, "next": following})


@router.post("/datasets/{dataset}/suggestions")
async def add_suggestions(dataset: Name, new: NewSuggestions, state: State) -> Saved:
    """Propose boxes for images; they wait for review, and no label is touched.

    What the same source has proposed for these images before is replaced.
    """
    opened = await state.datasets.open(dataset)
    classes = (await opened.info()).classes
    by_image: dict[ImageKey, list[Prediction]] = {}
    for item in new.items:
        where = f"{item.split}/{item.filename}"
        if item.key in by_image:
            raise ProblemError(422, f"{where}: expected once, found it twice", kind="value")
        by_image[item.key] = [box.to_prediction() for box in item.boxes]
        beyond = [box.class_id for box in item.boxes if box.class_id >= len(classes)]
        if beyond:
            raise ProblemError(
                422,
                f"{where}: expected a class id from 0 to {len(classes) - 1}, found {beyond[0]}",
                kind="value",
            )
    index = await opened.index()
    for key in by_image:
        if not len(index.positions([key])):
            raise NotFoundError(f"there is no image {'/'.join(key)} in {dataset!r}")
    if by_image:
        await state.stores.image.add_suggestions(
            dataset, [new_block(new.source.to_source(), by_image)]
        )
    return Saved(count=len(by_image))


@router.delete("/datasets/{dataset}/suggestions/{source}", status_code=204)
async def drop_suggestions(dataset: Name, source: Name, state: State) -> None:
    """Forget what a source proposes; what a person rejected of it stays rejected."""
    table = await _table(state, dataset)
    if table.source(source) is None:
        raise NotFoundError(f"no source {source!r} has proposed anything for {dataset!r}")
    await state.stores.image.drop_suggestions(dataset, source)


@router.get("/datasets/{dataset}/suggestions/{split}/{filename}", response_model=Suggestions)
async def get_suggestions(
    dataset: Name, split: Split, filename: Name, request: Request, state: State
) -> Response:
    """Return what waits for review on an image; the ETag is that of it and of the labels."""
    waiting = await _waiting(state, dataset, (split, filename))
    item = _item(waiting.key, waiting.suggestions)
    return unless_known(request, revision_etag(waiting.revision), item)


@router.post("/datasets/{dataset}/suggestions/{split}/{filename}/decision")
async def decide_on_suggestions(
    dataset: Name,
    split: Split,
    filename: Name,
    decision: SuggestionDecision,
    response: Response,
    state: State,
    if_match: IfMatch = None,
) -> Labels:
    """Let suggestions become labels, and reject others; returns the labels as they are then.

    With ``If-Match`` only if labels and suggestions still are what the client has seen;
    otherwise 412, with what waits now (``current``).
    """
    waiting = await _waiting(state, dataset, (split, filename))
    etag = revision_etag(waiting.revision)
    if not may_change(if_match, etag):
        raise changed_since(
            f"{split}/{filename}: its labels or suggestions were changed since; look at `current` "
            "and decide again",
            etag,
            current=_item(waiting.key, waiting.suggestions),
        )
    labels = await decide(
        state.stores, dataset, waiting, accept=decision.accept, reject=decision.reject
    )
    response.headers["ETag"] = revision_etag(labels.revision)
    return Labels.of(labels)


async def _waiting(state: ApiState, dataset: str, key: ImageKey) -> Waiting:
    waiting = await waiting_on(state.stores, dataset, key, state.suggestion_tables.get(dataset))
    state.keep_suggestions(dataset, waiting.table)
    return waiting


async def _table(state: ApiState, dataset: str) -> SuggestionTable:
    known = state.suggestion_tables.get(dataset)
    table = await state.stores.image.suggestions(dataset, known=known)
    state.keep_suggestions(dataset, table)
    return table


def _item(key: ImageKey, boxes: list[Suggestion]) -> dict[str, object]:
    return {
        "split": key[0],
        "filename": key[1],
        "boxes": [SuggestedBox.of_suggestion(box).model_dump() for box in boxes],
    }


def _cursor(dataset: str, key: ImageKey) -> str:
    return base64.urlsafe_b64encode(json.dumps([dataset, *key]).encode()).decode()


def _opened(cursor: str, dataset: str) -> ImageKey:
    try:
        of, split, filename = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except (ValueError, TypeError, RecursionError) as error:
        raise _invalid("expected the 'next' of an earlier page, found something else") from error
    if of != dataset or not isinstance(split, str) or not isinstance(filename, str):
        raise _invalid("it belongs to another list")
    return split, filename


def _invalid(problem: str) -> ProblemError:
    return ProblemError(422, f"cursor: {problem}; begin again without one", kind="invalid-cursor")
