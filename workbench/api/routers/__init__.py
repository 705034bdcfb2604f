"""One router for each store, and for runs, jobs and captures.

They may be included into an app of somebody else, whose lifespan then opens the state that
they work with; see `workbench.api.open_state`.
"""

from __future__ import annotations

from fastapi import APIRouter

from workbench.api.routers import (
    captures,
    datasets,
    images,
    jobs,
    labels,
    models,
    review,
    runs,
    suggestions,
    transfer,
    trash,
    versions,
)

__all__ = ["api_router"]

api_router = APIRouter()
for _part in (
    datasets,
    transfer,
    versions,
    images,
    labels,
    review,
    suggestions,
    trash,
    models,
    runs,
    captures,
    jobs,
):
    api_router.include_router(_part.router)
