"""The trash: of datasets, of models, and of one dataset's images and labels."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import Query

from workbench.api.params import Name
from workbench.api.problems import plain
from workbench.api.routing import router_of
from workbench.api.schemas.common import Done
from workbench.api.schemas.datasets import Dataset
from workbench.api.schemas.models import Model
from workbench.api.schemas.trash import EntryList, Purged, Trash, Trashed
from workbench.api.state import ApiState, State
from workbench.persistence.models import ModelInfo
from workbench.persistence.yolo.names import MOST_NAME_BYTES

router = router_of("trash")

OtherName = Annotated[
    str | None,
    Query(min_length=1, max_length=MOST_NAME_BYTES, description="Default: what it was called."),
]


@router.get("/trash/datasets")
async def list_deleted_datasets(state: State) -> Trash:
    """Return the deleted datasets, oldest first."""
    return Trash(items=[Trashed.of(entry) for entry in await state.datasets.list_trash()])


@router.post("/trash/datasets/{entry}/restore")
async def restore_dataset(entry: Name, state: State, name: OtherName = None) -> Dataset:
    """Bring a deleted dataset back."""
    return Dataset.of(await state.datasets.restore(entry, name=name))


@router.delete("/trash/datasets/{entry}")
async def purge_dataset(entry: Name, state: State) -> Purged:
    """Remove a deleted dataset for good."""
    return Purged(count=await state.datasets.purge(entry))


@router.get("/trash/models")
async def list_deleted_models(state: State) -> Trash:
    """Return the deleted models, oldest first."""
    return Trash(items=[Trashed.of(entry) for entry in await state.stores.model.list_trash()])


@router.post("/trash/models/{entry}/restore")
async def restore_model(entry: Name, state: State, name: OtherName = None) -> Model:
    """Bring a deleted model back."""
    return model_of(state, await state.stores.model.restore(entry, name=name))


@router.delete("/trash/models/{entry}")
async def purge_model(entry: Name, state: State) -> Purged:
    """Remove a deleted model for good."""
    return Purged(count=await state.stores.model.purge(entry))


@router.get("/datasets/{dataset}/trash")
async def list_deleted_images(dataset: Name, state: State) -> Trash:
    """Return a dataset's deleted images and labels, oldest first."""
    entries = await state.stores.image.list_trash(dataset)
    return Trash(items=[Trashed.of(entry) for entry in entries])


@router.post("/datasets/{dataset}/restore")
async def restore_images(dataset: Name, wanted: EntryList, state: State) -> Done:
    """Bring deleted images and labels back to where they were: all, or none."""
    opened = await state.datasets.open(dataset)
    change = await opened.actions.restore(wanted.entries)
    return Done(description=change.description)


@router.delete("/datasets/{dataset}/trash/{entry}")
async def purge_image(dataset: Name, entry: Name, state: State) -> Purged:
    """Remove a deleted image for good."""
    return Purged(count=await state.stores.image.purge(dataset, entry))


def model_of(state: ApiState, info: ModelInfo) -> Model:
    """Return a model as it is sent: without paths, and without numbers that JSON lacks."""
    details: dict[str, Any] = state.scrub.value(info.details)
    told = replace(info, problem=state.scrub.text(info.problem))
    return Model.of(told, details, plain(info.metrics))
