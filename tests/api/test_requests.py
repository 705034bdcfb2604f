"""What a request must be like: its address, its form, its conditions."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import httpx
import pytest

from tests.api.conftest import BOX
from tests.helpers.pictures import jpeg
from workbench.api import routing
from workbench.persistence import Stores

LABELS = "/datasets/pets/labels/train/a.jpg"
IMAGE = "/datasets/pets/images/train/a.jpg"
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("name", ["%ff.jpg", "%ED%A0%80.jpg", "%C3.jpg"])
async def test_an_address_that_is_no_utf_8_is_refused(
    client: httpx.AsyncClient, pets: str, stores: Stores, name: str
) -> None:
    before = await stores.image.list("pets")
    put = await client.put(f"/datasets/pets/images/train/{name}", content=jpeg(5))
    assert (put.status_code, put.json()["type"]) == (422, "urn:workbench:not-utf-8")
    assert await stores.image.list("pets") == before
    asked = await client.post(f"/imports?name={name}", content=b"x")
    assert (asked.status_code, asked.json()["type"]) == (422, "urn:workbench:not-utf-8")
    good = await client.put("/datasets/pets/images/train/%C3%BC%20%2B.jpg", content=jpeg(5))
    assert good.json()["filename"] == "\u00fc +.jpg"


@pytest.mark.parametrize(
    ("method", "where", "headers", "status", "words"),
    [
        ("PUT", LABELS, {}, 415, "'Content-Type: application/json', found no such header"),
        ("PUT", LABELS, {"Content-Type": "application/x-www-form-urlencoded"}, 415, "curl -d"),
        ("PUT", LABELS, JSON | {"Content-Encoding": "gzip"}, 415, "found 'gzip'"),
        ("PUT", IMAGE, {"Content-Type": "multipart/form-data; boundary=x"}, 415, "--data-binary"),
        ("POST", "/predict", {"Content-Type": "multipart/form-data; boundary=x"}, 415, "the file"),
        ("PUT", IMAGE, {"Content-Encoding": "br"}, 415, "found 'br'"),
        ("POST", "/datasets/pets/images", {"Content-Type": "image/jpeg"}, 415, "multipart"),
        ("POST", "/datasets/pets/images", {"Content-Type": "multipart/form-data"}, 400, "boundary"),
    ],
)
async def test_a_body_in_another_form(
    client: httpx.AsyncClient,
    pets: str,
    method: str,
    where: str,
    headers: dict[str, str],
    status: int,
    words: str,
) -> None:
    answer = await client.request(method, where, content=b'{"boxes": []}', headers=headers)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"boxes": [', "at character 11"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"boxes": "\xff"}', "no UTF-8 at position 11"),
    ],
)
async def test_json_that_is_none_is_refused_with_one_status(
    client: httpx.AsyncClient, pets: str, body: bytes, words: str
) -> None:
    answer = await client.put(LABELS, content=body, headers=JSON)
    assert (answer.status_code, answer.json()["status"]) == (400, 400)
    assert words in answer.json()["detail"]


async def test_a_form_that_was_cut_off_adds_nothing(
    client: httpx.AsyncClient, pets: str, stores: Stores
) -> None:
    before = await stores.image.list("pets")
    part = b'--x\r\nContent-Disposition: form-data; name="files"; filename="n%d.jpg"\r\n\r\n'
    whole = b"".join(part % number + jpeg(number + 5) + b"\r\n" for number in range(2))
    sent = {"Content-Type": "multipart/form-data; boundary=x"}
    cut = await client.post("/datasets/pets/images", content=whole, headers=sent)
    assert cut.status_code == 400
    assert "last boundary" in cut.json()["detail"]
    assert await stores.image.list("pets") == before
    ended = await client.post("/datasets/pets/images", content=whole + b"--x--", headers=sent)
    assert len(ended.json()["added"]) == 2
    text = await client.post("/datasets/pets/images", files={"files": (None, "a.jpg")})
    assert (text.status_code, "expected a file, found text" in text.text) == (422, True)


async def test_a_condition_that_nothing_looks_at_is_not_taken_for_met(
    client: httpx.AsyncClient, pets: str, stores: Stores
) -> None:
    for method, where, body in (
        ("DELETE", "/datasets/pets", None),
        ("PATCH", "/datasets/pets", {"name": "mugs"}),
        ("POST", "/datasets/pets/labels", {"items": []}),
    ):
        for header in ("If-Match", "If-None-Match", "If-Unmodified-Since"):
            answer = await client.request(method, where, json=body, headers={header: '"old"'})
            assert (answer.status_code, answer.json()["type"]) == (
                412, "urn:workbench:condition-not-heeded",
            )  # fmt: skip
    assert [info.name for info in await stores.dataset.list()] == ["pets"]
    assert (await client.delete("/datasets/pets", headers={"If-Match": "*"})).status_code == 200


async def test_no_redirect_leads_elsewhere(client: httpx.AsyncClient) -> None:
    answer = await client.get("/datasets/", headers={"Host": "evil.example"})
    assert answer.status_code == 404
    assert "location" not in answer.headers
    assert "no address ends with a slash" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("application/json;q=0, */*", "application/x-ndjson"),
        ("application/*;q=0.5, application/x-ndjson;q=0.1", "application/json"),
        ("*/*;q=0.1, application/x-ndjson", "application/x-ndjson"),
        ("application/x-ndjson, application/json;q=0.9", "application/x-ndjson"),
        ("text/html, application/json;q=0", None),
        ("application/json;q=nan", None),
    ],
)
async def test_the_form_that_is_liked_best(
    client: httpx.AsyncClient, pets: str, accept: str | None, form: str | None
) -> None:
    if accept is None:
        del client.headers["Accept"]
    headers: dict[str, Any] = {} if accept is None else {"Accept": accept}
    answer = await client.get("/datasets/pets/labels", headers=headers)
    if form is None:
        assert (answer.status_code, answer.json()["type"]) == (406, "urn:workbench:format")
    else:
        assert answer.headers["content-type"] == form
    thumbnail = await client.get(f"{IMAGE}/thumbnail", headers={"Accept": ""})
    assert thumbnail.headers["content-type"] == "image/jpeg"
    assert (await client.put(LABELS, json={"boxes": [BOX]})).status_code == 200


async def test_a_long_list_is_read_piece_by_piece(
    client: httpx.AsyncClient, pets: str, stores: Stores
) -> None:
    boxes = [BOX | {"x": round(0.3 + number * 1e-5, 6)} for number in range(5000)]
    saved = await client.put(LABELS, json={"boxes": boxes})
    assert (saved.status_code, saved.json()["boxes"]) == (200, boxes)
    assert len(await stores.label.load("pets", "train", "a.jpg")) == 5000
    boxes[4321]["x"] = "half"
    wrong = await client.put(LABELS, json={"boxes": boxes})
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["where"] == "body.boxes.4321.x"
    boxes[4321]["x"] = 0.5
    cut = await client.put(LABELS, content=json.dumps({"boxes": boxes})[:-1], headers=JSON)
    assert cut.status_code == 400
    items = [{"split": "train", "filename": name, "boxes": boxes} for name in ("a.jpg", "c.jpg")]
    many = await client.post("/datasets/pets/labels", json={"items": items})
    assert many.json() == {"count": 2}


async def test_between_the_pieces_others_have_their_turn() -> None:
    seen: list[str] = []

    class Noting:
        def validate_python(self, entries: list[int]) -> list[int]:
            seen.append("piece")
            return entries

    body = json.dumps({"boxes": [*range(60_000)]}).encode()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def others() -> None:
        while True:
            seen.append("others")
            await asyncio.sleep(0)

    request = routing._Request({"type": "http", "headers": []}, receive, {"boxes": Noting()})  # type: ignore[dict-item]
    turning = asyncio.create_task(others())
    assert await request.json() == {"boxes": [*range(60_000)]}
    turning.cancel()
    pieces = seen[seen.index("piece") :]
    assert pieces.count("piece") > 50
    assert not any(one == two == "piece" for one, two in itertools.pairwise(pieces))
