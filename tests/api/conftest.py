"""An app over real stores, and a client that knows its token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.helpers.pictures import jpeg
from workbench.api import ApiLimits, create_app
from workbench.persistence import Stores
from workbench.persistence.models import Annotation

BOX = {"class_id": 1, "x": 0.5, "y": 0.5, "width": 0.2, "height": 0.4}
AS_ANNOTATION = Annotation(1, 0.5, 0.5, 0.2, 0.4)

Connect = Callable[[FastAPI], Any]


@asynccontextmanager
async def connected(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Start an app and yield a client of it; end it afterwards."""
    async with app.router.lifespan_context(app), client_of(app) as client:
        yield client


def client_of(app: FastAPI, **headers: str) -> httpx.AsyncClient:
    """A client of an app that runs; failures of the app are answers, as over a network."""
    known = {"Authorization": f"Bearer {app.state.token}"}
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app, raise_app_exceptions=False),
        base_url="http://testserver/v1",
        headers=known | headers,
        timeout=30,
    )


@pytest.fixture
def limits() -> ApiLimits:
    """Tests that need others override it."""
    return ApiLimits()


@pytest.fixture
def stores(persistence_stores: Stores) -> Stores:
    return persistence_stores


@pytest.fixture
def app(stores: Stores, tmp_path: Path, limits: ApiLimits) -> FastAPI:
    return create_app(stores, data_dir=tmp_path / "data", runs_dir=tmp_path / "runs", limits=limits)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with connected(app) as client:
        yield client


@pytest.fixture
async def pets(stores: Stores) -> str:
    """A dataset of three images: two boxes, none, and not looked at."""
    await stores.dataset.create("pets", ["cat", "dog"])
    await stores.image.save_bytes("pets", "train", "a.jpg", jpeg(1))
    await stores.image.save_bytes("pets", "train", "c.jpg", jpeg(3))
    await stores.image.save_bytes("pets", "val", "b.jpg", jpeg(2))
    await stores.label.save("pets", "train", "a.jpg", [AS_ANNOTATION] * 2)
    await stores.label.save("pets", "val", "b.jpg", [])
    return "pets"


@pytest.fixture
def outcome(client: httpx.AsyncClient) -> Callable[[httpx.Response], Awaitable[dict[str, Any]]]:
    """Wait for the job that an answer names, and return what it came to."""

    async def wait(answer: httpx.Response) -> dict[str, Any]:
        assert answer.status_code == 202, answer.text
        where = answer.headers["location"].removeprefix("/v1")
        async with asyncio.timeout(60):
            while True:
                job = (await client.get(where)).json()
                if job["state"] in {"done", "failed", "cancelled"}:
                    return job
                await asyncio.sleep(0.02)

    return wait
