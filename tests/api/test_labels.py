"""Labels over HTTP: revisions as ETags, and bulk in three forms."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx

from tests.api.conftest import AS_ANNOTATION, BOX
from tests.helpers.pictures import jpeg
from workbench.persistence import Stores
from workbench.persistence.models import Annotation, NewImage, Prediction
from workbench.persistence.sources import ImageSource

A = "/datasets/pets/labels/train/a.jpg"
C = "/datasets/pets/labels/train/c.jpg"


async def test_the_etag_is_the_revision(client: httpx.AsyncClient, pets: str) -> None:
    answer = await client.get(A)
    body = answer.json()
    assert (body["boxes"], body["labelled"]) == ([BOX, BOX], True)
    assert answer.headers["etag"] == f'"{body["revision"]}"'
    known = await client.get(A, headers={"If-None-Match": answer.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    none = await client.get(C)
    assert (none.json()["labelled"], none.json()["boxes"]) == (False, [])
    assert none.headers["etag"] == '"unlabelled"'
    assert (await client.get(A.replace("a.jpg", "x.jpg"))).status_code == 404


async def test_who_has_seen_something_older_gets_both_states(
    client: httpx.AsyncClient, pets: str, stores: Stores, tmp_path: Path
) -> None:
    seen = (await client.get(A)).headers["etag"]
    await stores.label.save("pets", "train", "a.jpg", [Annotation(0, 0.25, 0.25, 0.1, 0.1)])
    stale = await client.put(A, json={"boxes": [BOX]}, headers={"If-Match": seen})
    assert stale.status_code == 412
    body = stale.json()
    assert body["type"] == "urn:workbench:conflict"
    assert [box["class_id"] for box in body["current"]["boxes"]] == [0]
    assert body["yours"] == [BOX]
    assert stale.headers["etag"] == f'"{body["current"]["revision"]}"'
    label = tmp_path / "data/pets/labels/train/a.txt"
    assert label.read_text().startswith("0 0.25")
    # With what came back the client decides, and sends again.
    saved = await client.put(A, json={"boxes": [BOX]}, headers={"If-Match": stale.headers["etag"]})
    assert saved.status_code == 200
    assert label.read_text().startswith("1 0.5")
    assert saved.headers["etag"] == (await client.get(A)).headers["etag"]


async def test_a_condition_without_an_etag_is_not_met(
    client: httpx.AsyncClient, pets: str, stores: Stores
) -> None:
    before = await stores.label.load("pets", "train", "a.jpg")
    nothing = {"If-Match": ""}
    assert (await client.put(A, json={"boxes": []}, headers=nothing)).status_code == 412
    assert (await client.delete(A, headers=nothing)).status_code == 412
    assert await stores.label.load("pets", "train", "a.jpg") == before


async def test_conditions_on_images_without_labels(
    client: httpx.AsyncClient, pets: str, stores: Stores
) -> None:
    none = {"If-Match": '"unlabelled"'}
    any_labels = {"If-Match": "*"}
    first = {"If-None-Match": "*"}
    assert (await client.put(C, json={"boxes": []}, headers=any_labels)).status_code == 412
    assert (await client.put(C, json={"boxes": []}, headers=first)).status_code == 200
    assert (await client.put(C, json={"boxes": [BOX]}, headers=first)).status_code == 412
    assert (await client.put(C, json={"boxes": [BOX]}, headers=none)).status_code == 412
    assert (await client.put(C, json={"boxes": [BOX]}, headers=any_labels)).status_code == 200
    assert await stores.label.load("pets", "train", "c.jpg") == [AS_ANNOTATION]


async def test_of_two_writers_at_once_one_is_told(client: httpx.AsyncClient, pets: str) -> None:
    seen = {"If-Match": (await client.get(A)).headers["etag"]}
    bodies = [{"boxes": [BOX | {"x": 0.3 + number / 100}]} for number in range(8)]
    answers = await asyncio.gather(*(client.put(A, json=body, headers=seen) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7
    [winner] = [answer for answer in answers if answer.status_code == 200]
    assert (await client.get(A)).json()["boxes"] == winner.json()["boxes"]


async def test_boxes_that_cannot_be(client: httpx.AsyncClient, pets: str) -> None:
    for wrong in (
        BOX | {"class_id": 7},
        BOX | {"width": 0},
        BOX | {"x": None},
        BOX | {"class_id": -1},
        {"class_id": 0},
    ):
        assert (await client.put(A, json={"boxes": [wrong]})).status_code == 422, wrong
    nan = json.dumps({"boxes": [BOX]}).replace("0.2", "NaN")
    sent = {"Content-Type": "application/json"}
    assert (await client.put(A, content=nan, headers=sent)).status_code == 422
    assert (await client.put(A, content="{", headers=sent)).status_code == 400
    assert (await client.get(A)).json()["boxes"] == [BOX, BOX]


async def test_rows_that_are_more_than_boxes_are_not_lost_by_accident(
    client: httpx.AsyncClient, pets: str, tmp_path: Path
) -> None:
    label = tmp_path / "data/pets/labels/train/a.txt"
    label.write_text("0 .1 .1 .4 .1 .4 .4\n")
    assert (await client.get(A)).json()["other_rows"] == 1
    refused = await client.put(A, json={"boxes": [BOX]})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:workbench:lossy-save")
    agreed = await client.put(A, json={"boxes": [BOX], "discard_other_rows": True})
    assert agreed.status_code == 200
    label.write_text("no box at all\n")
    unreadable = await client.get(A)
    assert unreadable.status_code == 409
    assert unreadable.json()["detail"].startswith("pets/labels/train/a.txt, line 1: ")


async def test_labels_are_deleted_and_edits_reverted(
    client: httpx.AsyncClient, pets: str, stores: Stores
) -> None:
    assert (await client.delete(A, headers={"If-Match": '"old"'})).status_code == 412
    entry = (await client.delete(A)).json()
    assert entry["kind"] == "label"
    assert not await stores.label.exists("pets", "train", "a.jpg")
    assert (await client.delete(A)).status_code == 404
    await client.put(A, json={"boxes": [BOX], "what": "draw"})
    edits = (await client.get(f"{A}/history")).json()["items"]
    assert (edits[-1]["what"], edits[-1]["before"], edits[-1]["after"]) == ("draw", None, [BOX])
    reverted = await client.post(f"/datasets/pets/history/{edits[0]['id']}/revert")
    assert reverted.status_code == 200
    assert (await client.post("/datasets/pets/history/none/revert")).status_code == 404


async def test_many_at_once_or_none(client: httpx.AsyncClient, pets: str, stores: Stores) -> None:
    items = [
        {"split": "train", "filename": "c.jpg", "boxes": [BOX]},
        {"split": "val", "filename": "b.jpg", "boxes": [BOX, BOX]},
    ]
    saved = await client.post("/datasets/pets/labels", json={"items": items})
    assert saved.json() == {"count": 2}
    assert await stores.label.load("pets", "val", "b.jpg") == [AS_ANNOTATION] * 2
    items[0]["boxes"] = []
    items.append({"split": "train", "filename": "nobody.jpg", "boxes": []})
    assert (await client.post("/datasets/pets/labels", json={"items": items})).status_code == 404
    assert await stores.label.load("pets", "train", "c.jpg") == [AS_ANNOTATION]
    twice = await client.post("/datasets/pets/labels", json={"items": [items[0], items[0]]})
    assert (twice.status_code, twice.json()["detail"]) == (
        422, "train/c.jpg: expected once, found it twice; nothing was saved",
    )  # fmt: skip
    assert await stores.label.load("pets", "train", "c.jpg") == [AS_ANNOTATION]


async def test_all_labels_in_three_forms(client: httpx.AsyncClient, pets: str) -> None:
    where = "/datasets/pets/labels"
    columns = (await client.get(where)).json()
    assert columns["filenames"] == ["a.jpg", "c.jpg", "b.jpg"]
    assert columns["labelled"] == [True, False, True]
    assert (columns["image_index"], columns["class_id"]) == ([0, 0], [1, 1])
    assert columns["boxes"] == [[0.5, 0.5, 0.2, 0.4]] * 2
    lines = await client.get(where, headers={"Accept": "application/x-ndjson"})
    assert lines.headers["content-type"] == "application/x-ndjson"
    rows = [json.loads(line) for line in lines.text.splitlines()]
    assert rows == [
        {"split": "train", "filename": "a.jpg", "boxes": [[1, 0.5, 0.5, 0.2, 0.4]] * 2},
        {"split": "train", "filename": "c.jpg", "boxes": None},
        {"split": "val", "filename": "b.jpg", "boxes": []},
    ]
    import pyarrow as pa

    accept = {"Accept": "application/vnd.apache.arrow.stream"}
    table = pa.ipc.open_stream((await client.get(where, headers=accept)).content).read_all()
    assert table.column("filename").to_pylist() == ["a.jpg", "c.jpg", "b.jpg"]
    assert table.column("boxes").to_pylist() == [[BOX, BOX], None, []]
    only = (await client.get(where, params={"split": "val"})).json()
    assert only["filenames"] == ["b.jpg"]
    assert (await client.get(where, headers={"Accept": "text/html"})).status_code == 406


async def test_predictions_wait_until_somebody_decides(
    client: httpx.AsyncClient, pets: str, stores: Stores
) -> None:
    from datetime import UTC, datetime

    found = [Prediction(1, 0.5, 0.5, 0.2, 0.4, 0.9), Prediction(0, 0.2, 0.2, 0.1, 0.1, 0.3)]
    source = ImageSource("shot.jpg", "train", datetime.now(UTC), predictions=found)
    await stores.image.add_many("pets", [NewImage("shot.jpg", "train", jpeg(6))], sources=[source])
    waiting = (await client.get("/datasets/pets/predictions")).json()
    assert waiting["total"] == 1
    assert [box["confidence"] for box in waiting["items"][0]["boxes"]] == [0.9, 0.3]
    where = "/datasets/pets/predictions/train/shot.jpg/decision"
    assert (await client.post(where, json={"accept": [2]})).status_code == 422
    decided = await client.post(where, json={"accept": [0]})
    assert decided.json()["boxes"] == [BOX]
    assert await stores.label.load("pets", "train", "shot.jpg") == [AS_ANNOTATION]
    assert (await client.get("/datasets/pets/predictions")).json()["total"] == 0
    assert (await client.post(where, json={"accept": []})).status_code == 412  # labelled by now
    nothing = "/datasets/pets/predictions/train/a.jpg/decision"
    assert (await client.post(nothing, json={"accept": []})).status_code == 404
    nobody = "/datasets/pets/predictions/train/nobody.jpg/decision"
    assert (await client.post(nobody, json={"accept": []})).status_code == 404
