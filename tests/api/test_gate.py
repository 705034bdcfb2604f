"""Who gets in, how often, and how much at a time."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from tests.api.conftest import client_of, connected
from workbench.api import ApiLimits, create_app
from workbench.api.gate import Buckets, Gate
from workbench.persistence import Stores


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic {token}", "{token}", "Bearer {token}x"],
)
async def test_without_the_token_nothing_is_told(app: FastAPI, header: str | None) -> None:
    async with connected(app), client_of(app) as stranger:
        del stranger.headers["Authorization"]
        headers = {} if header is None else {"Authorization": header.format(token=app.state.token)}
        for path in ("/datasets", "/nowhere", "/../openapi.json", "/status"):
            answer = await stranger.get(path, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.json()["type"] == "urn:workbench:unauthorized"


async def test_both_schemes_are_known(app: FastAPI) -> None:
    async with connected(app) as client:
        for scheme in ("Bearer", "bearer", "token"):
            headers = {"Authorization": f"{scheme} {app.state.token}"}
            assert (await client.get("/status", headers=headers)).status_code == 200


async def test_the_token_is_compared_in_constant_time(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hmac

    asked: list[tuple[bytes, bytes]] = []

    def compare(given: bytes, token: bytes) -> bool:
        asked.append((given, token))
        return given == token

    monkeypatch.setattr(hmac, "compare_digest", compare)
    async with connected(app), client_of(app) as stranger:
        for given in ("", "x", app.state.token):
            stranger.headers["Authorization"] = f"Bearer {given}"
            await stranger.get("/status")
    assert [given.decode() for given, _ in asked] == ["", "x", app.state.token]
    assert {token for _, token in asked} == {app.state.token.encode()}


def test_an_app_without_a_token_is_not_made() -> None:
    with pytest.raises(ValueError, match="expected a secret"):
        Gate(FastAPI(), token="", limits=ApiLimits())


def test_each_app_has_a_token_of_its_own(stores: Stores) -> None:
    tokens = {create_app(stores).state.token for _ in range(5)}
    assert len(tokens) == 5
    assert min(map(len, tokens)) >= 32


def test_a_bucket_fills_with_time() -> None:
    now = 0.0
    buckets = Buckets(2.0, 3.0, clock=lambda: now)
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert buckets.take("b") == 0  # a bucket for each client
    now = 0.5
    assert [buckets.take("a"), buckets.take("a")] == [0, 0.5]
    now = 100.0
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 0.5]  # no more than its burst


class TestTooMuch:
    @pytest.fixture
    def limits(self) -> ApiLimits:
        return ApiLimits(requests_per_second=0.001, burst=3, failures_per_second=1)

    async def test_too_many_requests(self, app: FastAPI) -> None:
        async with connected(app) as client:
            answers = [await client.get("/status") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert int(answers[-1].headers["retry-after"]) > 0
        assert answers[-1].json()["type"] == "urn:workbench:too-many-requests"

    async def test_too_many_guesses(self, app: FastAPI) -> None:
        async with connected(app), client_of(app, Authorization="Bearer guess") as stranger:
            statuses = [(await stranger.get("/status")).status_code for _ in range(8)]
            assert statuses[:5] == [401] * 5
            assert statuses[-1] == 429
            async with client_of(app) as client:  # who knows the token is not shut out by that
                assert (await client.get("/status")).status_code == 200


class TestBusy:
    @pytest.fixture
    def limits(self) -> ApiLimits:
        return ApiLimits(max_requests=2)

    async def test_too_many_at_once(
        self, app: FastAPI, stores: Stores, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        go_on = asyncio.Event()
        real = type(stores.dataset).list

        async def slow(store: object) -> object:
            await go_on.wait()
            return await real(store)  # type: ignore[arg-type]

        monkeypatch.setattr(type(stores.dataset), "list", slow)
        async with connected(app) as client:
            waiting = [asyncio.create_task(client.get("/datasets")) for _ in range(2)]
            await asyncio.sleep(0.05)
            busy = await client.get("/status")
            go_on.set()
            assert busy.status_code == 503
            assert busy.headers["retry-after"] == "1"
            assert [(await task).status_code for task in waiting] == [200, 200]
            assert (await client.get("/status")).status_code == 200


class TestJsonBodies:
    @pytest.fixture
    def limits(self) -> ApiLimits:
        return ApiLimits(max_json_bytes=1000)

    async def test_a_large_body_is_refused_whatever_it_says_of_itself(self, app: FastAPI) -> None:
        async with connected(app) as client:
            body = b'{"name": "' + b"x" * 2000 + b'"}'
            for headers in ({"Content-Type": "application/json"}, {}):
                answer = await client.post("/datasets", content=body, headers=headers)
                assert answer.status_code == 413

            async def parts() -> object:
                for start in range(0, len(body), 100):
                    yield body[start : start + 100]

            sent = {"Content-Type": "application/json"}
            answer = await client.post("/datasets", content=parts(), headers=sent)  # type: ignore[arg-type]
            assert (answer.status_code, answer.json()["status"]) == (413, 413)


async def test_no_other_page_may_call_unless_it_was_named(stores: Stores) -> None:
    asked = {"Origin": "https://dash.example", "Access-Control-Request-Method": "GET"}
    closed = create_app(stores)
    async with connected(closed) as client:
        answer = await client.options("/datasets", headers=asked)
        assert "access-control-allow-origin" not in answer.headers
    opened = create_app(stores, allow_origins=["https://dash.example"])
    async with connected(opened) as client, client_of(opened) as preflight:
        del preflight.headers["Authorization"]  # browsers send none with a preflight
        answer = await preflight.options("/datasets", headers=asked)
        assert answer.headers["access-control-allow-origin"] == "https://dash.example"
        other = await preflight.options(
            "/datasets", headers=asked | {"Origin": "https://x.example"}
        )
        assert "access-control-allow-origin" not in other.headers
        mine = await client.get("/datasets", headers={"Origin": "https://dash.example"})
        assert mine.headers["access-control-allow-origin"] == "https://dash.example"


async def test_before_start_up_the_app_is_not_ready(app: FastAPI) -> None:
    async with client_of(app) as client:
        answer = await client.get("/datasets")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:workbench:not-started")


async def test_what_is_not_there_and_what_cannot_be_done_is_told_as_a_problem(
    client: httpx.AsyncClient,
) -> None:
    nowhere = await client.get("/nowhere")
    assert (nowhere.status_code, nowhere.headers["content-type"]) == (
        404, "application/problem+json",
    )  # fmt: skip
    assert nowhere.json()["detail"].startswith("there is nothing at /v1/nowhere; ")
    wrong = await client.delete("/datasets")
    assert wrong.status_code == 405
    assert wrong.headers["allow"] == "GET, HEAD, POST"
    assert wrong.json()["detail"] == "expected one of GET, HEAD, POST here, found DELETE"
    asked = await client.options("/datasets/pets/images/train/a.jpg")
    assert asked.headers["allow"] == "DELETE, GET, HEAD, PATCH, PUT"
