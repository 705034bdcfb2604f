"""The app: lifespan, routers, gate, errors, and its description in OpenAPI."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.cors import CORSMiddleware

import workbench
from workbench.api.gate import Gate
from workbench.api.problems import MEDIA_TYPE, Problem, add_problem_handlers
from workbench.api.routers import api_router
from workbench.api.settings import ApiLimits
from workbench.api.state import open_state
from workbench.persistence import Stores

PREFIX = "/v1"

_PROBLEMS = {
    "400": "The request cannot be understood.",
    "401": "The token is missing or wrong.",
    "403": "The dataset or its disk is read-only.",
    "404": "What is named is not there.",
    "406": "Not available in this form.",
    "409": "In conflict with what is there.",
    "412": "A condition is not met; after a change by somebody else `current` and `yours` say how.",
    "413": "Too large.",
    "415": "Not a form that is understood.",
    "416": "No such range.",
    "422": "Not acceptable as it is.",
    "429": "Too many requests, or too much is under way.",
    "503": "Not ready, or too busy.",
    "507": "The disk is full.",
}


def create_app(
    stores: Stores | None = None,
    *,
    data_dir: Path | str = "data",
    models_dir: Path | str | None = None,
    runs_dir: Path | str | None = None,
    token: str | None = None,
    limits: ApiLimits | None = None,
    allow_origins: Sequence[str] = (),
) -> FastAPI:
    """Make an app whose lifespan starts the stores and everything that works on them.

    Several apps with different stores may live in one process.

    Parameters
    ----------
    stores : Stores, optional
        Default: those of the folders; they become those of `get_stores` if there are none.
    data_dir, models_dir, runs_dir : Path or str
        As for `workbench.Workbench`.
    token : str, optional
        What clients must send; default: a new one, see ``app.state.token``.
    limits : ApiLimits, optional
    allow_origins : sequence of str
        Web pages' origins that may call from a browser; none unless they are named.
    """
    bounds = limits or ApiLimits()
    secret = secrets.token_urlsafe(32) if token is None else token

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_state(
            stores, data_dir=data_dir, models_dir=models_dir, runs_dir=runs_dir, limits=bounds
        ) as state:
            app.state.workbench = state
            try:
                yield
            finally:
                del app.state.workbench

    app = FastAPI(
        title="Workbench",
        version=workbench.__version__,
        summary="YOLO datasets, their images, labels, models and training runs.",
        lifespan=lifespan,
        # Their pages fetch scripts from elsewhere; the description itself is at /openapi.json.
        docs_url=None,
        redoc_url=None,
        # A redirect would lead where the header Host says, which is not for the client to choose.
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
    )
    app.state.token = secret
    app.state.answers_head = True  # the gate does
    app.include_router(api_router, prefix=PREFIX)
    add_problem_handlers(app)
    # The last one added is the first that a request meets.
    app.add_middleware(Gate, token=secret, limits=bounds)
    if allow_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(allow_origins),
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["ETag", "Location", "Retry-After", "Content-Range"],
        )
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(describe())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's manual has it
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    """Add to the description what holds for all operations: the token, and the problems."""
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for name, schema in schemas.items():
        if name.startswith("Body_"):  # FastAPI's words for files are unknown to most generators
            schema["properties"]["files"]["items"] = {"type": "string", "format": "binary"}
    schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    components["securitySchemes"] = {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "The token that the server printed when it started.",
        }
    }
    document["security"] = [{"token": []}]
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for operations in document["paths"].values():
        for operation in operations.values():
            answers = operation["responses"]
            for status, description in _PROBLEMS.items():
                answers[status] = {"description": description, "content": content}
    return document
