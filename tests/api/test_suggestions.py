"""Suggestions over HTTP: proposed by one program, decided on by another."""

from __future__ import annotations

import base64
import json

import httpx

from tests.api.conftest import AS_ANNOTATION
from workbench.persistence import Stores
from workbench.persistence.models import Annotation

ALL = "/datasets/pets/suggestions"
ONE = f"{ALL}/train/c.jpg"
ROBOT = {"kind": "robot", "name": "line 3"}
FIRST = {"class_id": 0, "x": 0.25, "y": 0.25, "width": 0.25, "height": 0.25, "confidence": 0.75}
SECOND = {"class_id": 1, "x": 0.75, "y": 0.75, "width": 0.25, "height": 0.25, "confidence": 0.5}


def proposing(*boxes: dict[str, float], filename: str = "c.jpg") -> dict[str, object]:
    item = {"split": "train", "filename": filename, "boxes": [*boxes]}
    return {"source": ROBOT, "items": [item]}


async def test_what_one_proposes_another_decides(
    client: httpx.AsyncClient, pets: str, stores: Stores
) -> None:
    assert (await client.post(ALL, json=proposing(FIRST, SECOND))).json() == {"count": 1}
    page = (await client.get(ALL)).json()
    [source] = page["sources"]
    assert (source["kind"], source["name"], source["num_images"]) == ("robot", "line 3", 1)
    [item] = page["items"]
    assert (item["split"], item["filename"], page["next"]) == ("train", "c.jpg", None)
    assert item["boxes"] == [one | {"source": source["id"]} for one in (FIRST, SECOND)]
    assert (await stores.label.get("pets", "train", "c.jpg")).revision == ""
    high = (await client.get(ALL, params={"threshold": "0.6"})).json()
    assert [len(one["boxes"]) for one in high["items"]] == [1]

    seen = await client.get(ONE)
    assert seen.json() == item
    known = {"If-None-Match": seen.headers["etag"]}
    assert (await client.get(ONE, headers=known)).status_code == 304
    decided = await client.post(
        f"{ONE}/decision",
        json={"accept": [0], "reject": [1]},
        headers={"If-Match": seen.headers["etag"]},
    )
    assert decided.status_code == 200, decided.text
    labels = await stores.label.get("pets", "train", "c.jpg")
    assert labels.annotations == [Annotation(0, 0.25, 0.25, 0.25, 0.25)]
    assert decided.headers["etag"] == f'"{labels.revision}"'
    [edit] = await stores.label.history("pets", "train", "c.jpg")
    assert "robot line 3" in edit.what
    assert (await client.get(ALL)).json()["items"] == []

    # Proposed again by the same robot, moved a little: the rejected one is not offered again.
    moved = SECOND | {"x": 0.76}
    await client.post(ALL, json=proposing(FIRST, moved))
    assert (await client.get(ONE)).json()["boxes"] == []
    # Undoing the acceptance brings its suggestion back.
    await client.post(f"/datasets/pets/history/{edit.id}/revert")
    assert [box["class_id"] for box in (await client.get(ONE)).json()["boxes"]] == [0]


async def test_a_decision_on_what_is_not_so_any_more_is_refused(
    client: httpx.AsyncClient, pets: str, stores: Stores
) -> None:
    await client.post(ALL, json=proposing(FIRST, SECOND))
    seen = {"If-Match": (await client.get(ONE)).headers["etag"]}
    await client.post(ALL, json=proposing(SECOND))
    refused = await client.post(f"{ONE}/decision", json={"accept": [0]}, headers=seen)
    assert refused.status_code == 412
    assert [box["x"] for box in refused.json()["current"]["boxes"]] == [0.75]
    seen = {"If-Match": refused.headers["etag"]}
    await stores.label.save("pets", "train", "c.jpg", [AS_ANNOTATION])
    refused = await client.post(f"{ONE}/decision", json={"accept": [0]}, headers=seen)
    assert refused.status_code == 412
    assert await stores.label.load("pets", "train", "c.jpg") == [AS_ANNOTATION]


async def test_what_cannot_be_is_refused(client: httpx.AsyncClient, pets: str) -> None:
    await client.post(ALL, json=proposing(FIRST))
    for body in ({"accept": [1]}, {"accept": [0], "reject": [0]}):
        assert (await client.post(f"{ONE}/decision", json=body)).status_code in {409, 422}
    wrong = [
        (proposing(FIRST | {"class_id": 2}), 422),
        (proposing(FIRST | {"confidence": 1.5}), 422),
        (proposing(FIRST | {"x": 7}), 422),
        (proposing(FIRST, filename="none.jpg"), 404),
    ]
    twice = proposing(FIRST)
    twice["items"] = [*twice["items"], *twice["items"]]  # type: ignore[misc]
    for body, status in [*wrong, (twice, 422)]:
        answer = await client.post(ALL, json=body)
        assert answer.status_code == status, answer.text
    assert (await client.get(f"{ALL}/train/none.jpg")).status_code == 404
    assert (await client.delete(f"{ALL}/0123456789abcdef")).status_code == 404
    [source] = (await client.get(ALL)).json()["sources"]
    assert (await client.delete(f"{ALL}/{source['id']}")).status_code == 204
    assert (await client.get(ALL)).json()["items"] == []


async def test_pages_together_are_the_whole(client: httpx.AsyncClient, pets: str) -> None:
    items = [
        {"split": split, "filename": name, "boxes": [FIRST]}
        for split, name in (("train", "a.jpg"), ("train", "c.jpg"), ("val", "b.jpg"))
    ]
    await client.post(ALL, json={"source": ROBOT, "items": items})
    found, params = [], {"limit": "1"}
    for _ in range(9):
        page = (await client.get(ALL, params=params)).json()
        found += [one["filename"] for one in page["items"]]
        if page["next"] is None:
            break
        params["cursor"] = page["next"]
    assert found == ["a.jpg", "c.jpg", "b.jpg"]
    other = base64.urlsafe_b64encode(json.dumps(["cups", "train", "a.jpg"]).encode()).decode()
    for cursor in ("x", other):
        assert (await client.get(ALL, params={"cursor": cursor})).status_code == 422
