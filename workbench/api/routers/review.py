"""Predictions that wait for review: what a model proposed when an image was taken."""

from __future__ import annotations

from fastapi import Response

from workbench.api.answers import json_response, revision_etag
from workbench.api.params import Cursor, Limit, Name
from workbench.api.problems import ProblemError
from workbench.api.routing import router_of
from workbench.api.schemas.common import Split
from workbench.api.schemas.labels import Labels, PredictedBox
from workbench.api.schemas.review import Decision, WaitingPage
from workbench.api.state import State
from workbench.errors import NotFoundError
from workbench.persistence.models import Annotation

router = router_of("review")


@router.get("/datasets/{dataset}/predictions", response_model=WaitingPage)
async def list_waiting(
    dataset: Name, state: State, cursor: Cursor = None, limit: Limit = 100
) -> Response:
    """Return the images whose predictions nobody has looked at yet, in pages."""
    page = await state.listings.page(
        dataset, "predicted", cursor, min(limit, state.limits.max_page)
    )
    sources = await state.stores.image.sources(dataset)
    items = []
    for split, filename in page.index.keys(page.positions):
        source = sources.get((split, filename))
        boxes = [] if source is None else source.predictions
        items.append(
            {
                "split": split,
                "filename": filename,
                "boxes": [PredictedBox.of(box).model_dump() for box in boxes],
            }
        )
    return json_response({"items": items, "total": page.total, "next": page.next})


@router.post("/datasets/{dataset}/predictions/{split}/{filename}/decision")
async def decide(
    dataset: Name,
    split: Split,
    filename: Name,
    decision: Decision,
    response: Response,
    state: State,
) -> Labels:
    """Let chosen predictions become the labels of an image that has none yet."""
    if not await state.stores.image.exists(dataset, split, filename):
        await state.datasets.get(dataset)
        raise NotFoundError(f"there is no image {split}/{filename} in {dataset!r}")
    source = (await state.stores.image.sources(dataset)).get((split, filename))
    boxes = [] if source is None else source.predictions
    if not boxes:
        raise NotFoundError(f"no predictions wait for {split}/{filename}")
    beyond = [position for position in decision.accept if position >= len(boxes)]
    if beyond:
        raise ProblemError(
            422, f"accept: expected positions below {len(boxes)}, found {beyond[0]}", kind="value"
        )
    chosen = [boxes[position] for position in dict.fromkeys(decision.accept)]
    data = await state.stores.label.save(
        dataset,
        split,
        filename,
        [Annotation(box.class_id, *box.xywh) for box in chosen],
        expected_revision="",
        what="review",
    )
    response.headers["ETag"] = revision_etag(data.revision)
    return Labels.of(data)
