"""Apps as the guide to the stores writes them, and Workbench's routers inside of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import AsyncMock

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException

from tests.api.conftest import client_of, connected
from tests.helpers.pictures import jpeg
from workbench import (
    DatasetManager,
    DatasetStore,
    ImageStore,
    LabelStore,
    ModelStore,
    create_stores,
    get_dataset_store,
    get_image_store,
    get_label_store,
    get_stores,
    set_stores,
)
from workbench.api import add_problem_handlers, api_router, create_app, open_state
from workbench.errors import AlreadyExistsError
from workbench.persistence import Stores, create_memory_stores


def plain_client(app: FastAPI) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://testserver")


router = APIRouter()


@router.get("/datasets")
async def list_datasets() -> list[dict[str, Any]]:
    store = get_dataset_store()
    return [{"name": info.name, "classes": info.classes} for info in await store.list()]


@router.post("/datasets/{name}", status_code=201)
async def create_dataset(name: str) -> dict[str, str]:
    try:
        info = await get_dataset_store().create(name, classes=["cat"])
    except ValueError as error:
        raise HTTPException(status_code=409, detail=str(error)) from error
    return {"name": info.name}


def manager() -> DatasetManager:
    return DatasetManager(get_dataset_store(), get_image_store(), get_label_store())


@router.get("/datasets/{name}/facts")
async def facts(name: str, datasets: Annotated[DatasetManager, Depends(manager)]) -> dict[str, int]:
    try:
        found = await datasets.facts(name)
    except FileNotFoundError as error:
        raise HTTPException(status_code=404, detail=str(error)) from error
    return {"boxes": found.num_boxes, "labelled": sum(found.num_labelled.values())}


async def test_routes_by_accessor_and_a_manager_by_constructor(tmp_path: Path) -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        set_stores(create_stores(data_dir=tmp_path / "data", models_dir=tmp_path / "models"))
        yield
        set_stores(None)

    app = FastAPI(lifespan=lifespan)
    app.include_router(router)
    async with app.router.lifespan_context(app), plain_client(app) as client:
        assert (await client.get("/datasets")).json() == []
        assert (await client.post("/datasets/pets")).status_code == 201
        conflict = await client.post("/datasets/pets")
        assert conflict.status_code == 409
        assert "exists already" in conflict.json()["detail"]
        assert (await client.get("/datasets")).json() == [{"name": "pets", "classes": ["cat"]}]
        assert (await client.get("/datasets/pets/facts")).json() == {"boxes": 0, "labelled": 0}
        assert (await client.get("/datasets/nobody/facts")).status_code == 404
    with pytest.raises(RuntimeError):
        get_stores()


async def test_routes_on_stores_that_only_pretend() -> None:
    pretended = AsyncMock(spec=DatasetStore)
    pretended.create.side_effect = AlreadyExistsError("dataset 'pets' exists already")
    others = (AsyncMock(spec=kind) for kind in (ImageStore, LabelStore, ModelStore))
    stores = Stores(pretended, *others)
    app = create_app(stores)
    async with connected(app) as client:
        answer = await client.post("/datasets", json={"name": "pets", "classes": ["cat"]})
    assert (answer.status_code, answer.json()["detail"]) == (409, "dataset 'pets' exists already")
    pretended.create.assert_awaited_once_with("pets", ["cat"])


async def test_our_routers_inside_of_somebody_elses_app(tmp_path: Path) -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_state(data_dir=tmp_path / "data") as app.state.workbench:
            yield

    app = FastAPI(lifespan=lifespan)
    app.include_router(api_router, prefix="/workbench")
    add_problem_handlers(app)

    @app.get("/mine")
    async def mine() -> int:
        return len(await get_dataset_store().list())

    async with app.router.lifespan_context(app), plain_client(app) as client:
        made = await client.post("/workbench/datasets", json={"name": "pets"})
        assert made.status_code == 201
        assert (await client.get("/mine")).json() == 1
        job = await client.post("/workbench/datasets/pets/health", json={})
        assert job.headers["location"].startswith("/workbench/jobs/")
        assert (await client.get(job.headers["location"])).status_code == 200
        missing = await client.get("/workbench/datasets/nobody")
        assert missing.headers["content-type"] == "application/problem+json"
    with pytest.raises(RuntimeError):
        get_stores()


async def test_routers_without_their_state_say_so() -> None:
    app = FastAPI()
    app.include_router(api_router)
    add_problem_handlers(app)
    async with plain_client(app) as client:
        answer = await client.get("/datasets")
    assert answer.status_code == 503
    assert "open_state" in answer.json()["detail"]


async def test_two_apps_with_different_stores_in_one_process(tmp_path: Path) -> None:
    first = create_app(data_dir=tmp_path / "one" / "data")
    second = create_app(create_memory_stores(), data_dir=tmp_path / "two" / "data")
    third = create_app(data_dir=tmp_path / "three" / "data")
    async with (
        connected(first) as one,
        connected(second) as two,
        connected(third) as three,
    ):
        for number, client in enumerate((one, two, three)):
            await client.post("/datasets", json={"name": f"pets{number}"})
            await client.put(f"/datasets/pets{number}/images/train/a.jpg", content=jpeg(number))
        for number, client in enumerate((one, two, three)):
            names = [item["name"] for item in (await client.get("/datasets")).json()["items"]]
            assert names == [f"pets{number}"]
            image = await client.get(f"/datasets/pets{number}/images/train/a.jpg")
            assert image.content == jpeg(number)
        # The accessors are those of the one that was there first.
        assert [info.name for info in await get_dataset_store().list()] == ["pets0"]
        async with client_of(second, Authorization=f"Bearer {first.state.token}") as stranger:
            assert (await stranger.get("/datasets")).status_code == 401
    with pytest.raises(RuntimeError):
        get_stores()


async def test_stores_that_were_set_stay_set(persistence_stores: Stores, tmp_path: Path) -> None:
    app = create_app(data_dir=tmp_path / "other")
    async with connected(app):
        assert get_stores() is persistence_stores
    assert get_stores() is persistence_stores
