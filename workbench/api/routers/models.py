"""Models: what there is, which one is active, uploads, downloads, and predictions."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import Query, Request, Response
from starlette.responses import FileResponse

from workbench.api.answers import accepted
from workbench.api.idempotency import once_uploaded
from workbench.api.params import BINARY, Key, Name, body_of, read_image, spool
from workbench.api.routers.trash import model_of
from workbench.api.routing import router_of
from workbench.api.schemas.common import NewName
from workbench.api.schemas.jobs import JobStatus
from workbench.api.schemas.labels import PredictedBox
from workbench.api.schemas.models import ActiveModel, Model, Models, Predictions
from workbench.api.schemas.trash import Trashed
from workbench.api.state import ApiState, State
from workbench.errors import AlreadyExistsError
from workbench.persistence.models import Progress
from workbench.persistence.rules import decode

router = router_of("models")

Confidence = Annotated[float, Query(ge=0, le=1, description="Boxes below this are left out.")]
_IMAGE = body_of("A JPEG, PNG, BMP, WebP or TIFF file.")


@router.get("/models")
async def list_models(state: State) -> Models:
    """Return all models, sorted by name."""
    return Models(items=[model_of(state, info) for info in await state.stores.model.list()])


@router.post(
    "/models",
    status_code=202,
    responses={202: {"model": JobStatus}},
    openapi_extra=body_of("Weights of Ultralytics, a .pt file."),
)
async def upload_model(
    name: Annotated[str, Query(min_length=1, max_length=255)],
    request: Request,
    state: State,
    idempotency_key: Key = None,
) -> Response:
    """Bring weights in; a job whose result is the model. Weights that hold code are refused."""
    if not state.idempotency.knows(f"model {name}", idempotency_key):
        if await state.stores.model.exists(name):
            raise AlreadyExistsError(f"model {name!r} exists already; choose another name")
        state.jobs.require_room()
    path, digest = await spool(request, state.folder, ".pt")

    async def work(progress: Progress) -> Any:
        from workbench.training.weights_check import import_weights

        try:
            info = await import_weights(
                state.stores, path, name, trust=False, origin="uploaded through the API"
            )
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)
        return model_of(state, info).model_dump(mode="json")

    async def answer() -> Response:
        return accepted(request, state.jobs.start("upload model", work))

    return await once_uploaded(
        state.idempotency, f"model {name}", idempotency_key, digest, path, answer
    )


@router.get("/active-model")
async def get_active_model(state: State) -> ActiveModel:
    """Return the name of the model that labels and predicts; null for none."""
    active = await state.stores.model.get_active()
    return ActiveModel(name=None if active is None else active.name)


@router.put("/active-model")
async def set_active_model(wanted: ActiveModel, state: State) -> ActiveModel:
    """Make a model the one that labels and predicts; null for none."""
    active = await state.stores.model.set_active(wanted.name)
    return ActiveModel(name=None if active is None else active.name)


@router.post("/predict", openapi_extra=_IMAGE)
async def predict(request: Request, state: State, confidence: Confidence = 0.25) -> Predictions:
    """Find objects on the image that is the body, with the active model."""
    return await _predicted(request, state, None, confidence)


@router.get("/models/{model}")
async def get_model(model: Name, state: State) -> Model:
    """Return one model's facts."""
    return model_of(state, await state.stores.model.get(model))


@router.patch("/models/{model}")
async def rename_model(model: Name, new: NewName, state: State) -> Model:
    """Give a model another name; an active one stays active."""
    return model_of(state, await state.stores.model.rename(model, new.name))


@router.delete("/models/{model}")
async def delete_model(model: Name, state: State) -> Trashed:
    """Move a model to the trash; if it was active, none is."""
    return Trashed.of(await state.stores.model.delete(model))


@router.get(
    "/models/{model}/weights",
    response_class=FileResponse,
    responses={
        200: {"content": {"application/octet-stream": BINARY}, "description": "The weights file."},
        206: {"content": {"application/octet-stream": BINARY}, "description": "A part of it."},
    },
)
async def download_model(model: Name, state: State) -> Response:
    """Return the weights file; a part of it with ``Range``."""
    path = await state.stores.model.load(model)
    return FileResponse(
        path, media_type="application/octet-stream", filename=f"{model}{path.suffix}"
    )


@router.post("/models/{model}/predict", openapi_extra=_IMAGE)
async def predict_with_model(
    model: Name, request: Request, state: State, confidence: Confidence = 0.25
) -> Predictions:
    """Find objects on the image that is the body, with this model."""
    return await _predicted(request, state, model, confidence)


async def _predicted(
    request: Request, state: ApiState, model: str | None, confidence: float
) -> Predictions:
    info = await state.predictor.choose(model)
    data = await read_image(request, state.limits, "image")
    frame = await asyncio.to_thread(decode, data, "image")
    found = await state.predictor.predict(frame, confidence, model=info.name)
    return Predictions(
        model=info.name,
        class_names=info.class_names,
        boxes=[PredictedBox.of(box) for box in found],
    )
