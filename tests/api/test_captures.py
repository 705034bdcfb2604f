"""A device that pushes frames, and what the capture's settings make of them."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.helpers.pictures import encoded, jpeg
from workbench.api import ApiLimits
from workbench.persistence import Stores


async def opened(client: httpx.AsyncClient, **settings: Any) -> str:
    body = {"dataset": "pets", "device": "robot", "settings": settings}
    answer = await client.post("/captures", json=body)
    assert answer.status_code == 201, answer.text
    return f"/captures/{answer.json()['id']}"


async def push(client: httpx.AsyncClient, where: str, data: bytes, **params: int) -> httpx.Response:
    async with asyncio.timeout(20):
        while True:
            answer = await client.post(f"{where}/frames", content=data, params=params)
            if answer.status_code != 429:
                return answer
            await asyncio.sleep(0.01)


async def test_frames_become_images_as_the_settings_say(
    client: httpx.AsyncClient, pets: str, stores: Stores
) -> None:
    where = await opened(client, split="test", class_name="cat", min_difference=0)
    recording = await client.post(f"{where}/record", json={})
    assert recording.json()["recording"] is True
    again = await client.post(f"{where}/record", json={})
    assert again.status_code == 409
    for number in range(5):
        answer = await push(client, where, jpeg(number), sequence=number)
        assert answer.json() == {"accepted": True}
    assert (await push(client, where, jpeg(9), sequence=2)).json() == {"accepted": False}
    done = (await client.post(f"{where}/finish")).json()
    assert (done["saved"], done["recording"], done["failure"]) == (5, False, "")
    saved = await stores.image.list("pets", "test")
    assert [await stores.image.read_bytes("pets", "test", one.filename) for one in saved] == [
        jpeg(number) for number in range(5)
    ]
    sources = await stores.image.sources("pets")
    assert {one.feed for one in sources.values()} == {"robot"}
    undone = (await client.post(f"{where}/undo", params={"count": 2})).json()
    assert len(undone) == 2
    assert len(await stores.image.list("pets", "test")) == 3
    assert (await client.delete(where)).status_code == 204
    assert (await client.get(where)).status_code == 404
    assert (await client.get("/captures")).json() == {"items": []}


async def test_frames_that_look_alike_are_left_out(
    client: httpx.AsyncClient, pets: str, stores: Stores
) -> None:
    where = await opened(client, split="test", min_difference=5)
    await client.post(f"{where}/record", json={"until": 2})
    for data in (jpeg(1), jpeg(1), jpeg(2)):
        await push(client, where, data)
    done = (await client.post(f"{where}/finish")).json()
    assert (done["saved"], done["similar"]) == (2, 1)


async def test_one_shot(client: httpx.AsyncClient, pets: str, stores: Stores) -> None:
    where = await opened(client, split="test")
    await push(client, where, jpeg(1))
    await client.post(f"{where}/shoot")
    assert (await client.post(f"{where}/finish")).json()["saved"] == 1


async def test_what_is_no_frame_is_refused(client: httpx.AsyncClient, pets: str) -> None:
    where = await opened(client)
    for data in (b"", b"no image", encoded(".png", 1)):
        assert (await client.post(f"{where}/frames", content=data)).status_code == 422


async def test_what_cannot_be_captured_into(client: httpx.AsyncClient, pets: str) -> None:
    assert (await client.post("/captures", json={"dataset": "nobody"})).status_code == 404
    wrong = {"dataset": "pets", "settings": {"split": {"train": 0}}}
    assert (await client.post("/captures", json=wrong)).status_code == 422
    model = {"dataset": "pets", "settings": {"detections": "labels"}}
    assert (await client.post("/captures", json=model)).status_code == 404  # no active model
    assert (await client.get("/captures")).json() == {"items": []}


class TestTooMany:
    @pytest.fixture
    def limits(self) -> ApiLimits:
        return ApiLimits(max_captures=1)

    async def test_devices(self, client: httpx.AsyncClient, pets: str) -> None:
        where = await opened(client)
        second = await client.post("/captures", json={"dataset": "pets"})
        assert (second.status_code, second.headers["retry-after"]) == (429, "10")
        await client.delete(where)
        await opened(client)
