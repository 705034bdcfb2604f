"""Datasets over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.conftest import AS_ANNOTATION
from workbench.persistence import Stores

Outcome = Callable[[httpx.Response], Awaitable[dict[str, Any]]]


async def test_a_dataset_from_creation_to_the_trash_and_back(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    made = await client.post("/datasets", json={"name": "cups", "classes": ["cup"]})
    assert made.status_code == 201
    assert made.json()["num_images"] == {"train": 0, "val": 0, "test": 0}
    assert [one["name"] for one in (await client.get("/datasets")).json()["items"]] == ["cups"]
    renamed = await client.patch("/datasets/cups", json={"name": "mugs"})
    assert (renamed.status_code, renamed.json()["name"]) == (200, "mugs")
    assert (await client.get("/datasets/cups")).status_code == 404
    entry = (await client.delete("/datasets/mugs")).json()
    assert (entry["kind"], entry["name"]) == ("dataset", "mugs")
    assert await stores.dataset.list() == []
    assert (await client.get("/trash/datasets")).json()["items"] == [entry]
    back = await client.post(f"/trash/datasets/{entry['id']}/restore", params={"name": "cups"})
    assert back.json()["name"] == "cups"
    assert (await stores.dataset.get("cups")).classes == ["cup"]
    entry = (await client.delete("/datasets/cups")).json()
    assert (await client.delete(f"/trash/datasets/{entry['id']}")).json() == {"count": 1}
    assert (await client.get("/trash/datasets")).json() == {"items": []}


async def test_what_cannot_be_is_refused_with_the_words_of_the_notebook(
    client: httpx.AsyncClient, pets: str, stores: Stores, tmp_path: Path
) -> None:
    taken = await client.post("/datasets", json={"name": "pets"})
    with pytest.raises(ValueError, match="exists already") as error:
        await stores.dataset.create("pets")
    assert taken.status_code == 409
    assert taken.headers["content-type"] == "application/problem+json"
    assert taken.json() == {
        "type": "urn:workbench:already-exists",
        "title": "In conflict with what is there",
        "status": 409,
        "detail": str(error.value).replace(f"{tmp_path}/data/", ""),
    }
    for body, status in (
        ({"name": "a/b"}, 422),
        ({"name": "x", "classes": ["a", "a"]}, 422),
        ({"name": ""}, 422),
        ({}, 422),
        ({"name": "x", "colour": "red"}, 422),
    ):
        answer = await client.post("/datasets", json=body)
        assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert (await client.get("/datasets/nobody")).json()["type"] == "urn:workbench:not-found"


async def test_a_damaged_dataset_is_told_without_its_path(
    client: httpx.AsyncClient, pets: str, tmp_path: Path
) -> None:
    [description] = tmp_path.rglob("pets/data.yaml")
    description.write_text("names: 7\n")
    answer = await client.get("/datasets")
    [found] = answer.json()["items"]
    assert found["problem"].startswith("pets/data.yaml: ")
    assert str(tmp_path) not in answer.text
    assert (await client.get("/datasets/pets")).json() == found
    # Nobody need read it to be rid of it; mended it comes back with all it had.
    gone = await client.delete("/datasets/pets")
    assert gone.status_code == 200, gone.text
    assert (await client.get("/datasets")).json()["items"] == []
    [description] = tmp_path.rglob("*pets/data.yaml")
    description.write_text("names: [cat, dog]\ntrain: images/train\nval: images/val\n")
    back = await client.post(f"/trash/datasets/{gone.json()['id']}/restore")
    assert (back.status_code, back.json()["num_images"]["train"]) == (200, 2), back.text


async def test_a_name_that_is_taken_is_refused_before_the_work(
    client: httpx.AsyncClient, pets: str, outcome: Outcome
) -> None:
    taken = await client.post("/datasets/pets/duplicate", json={"name": "pets"})
    assert (taken.status_code, taken.json()["type"]) == (409, "urn:workbench:already-exists")
    made = await client.post("/datasets/pets/versions", json={"name": "one"})
    assert (await outcome(made))["state"] == "done"
    again = await client.post("/datasets/pets/versions", json={"name": "one"})
    assert (again.status_code, again.json()["type"]) == (409, "urn:workbench:already-exists")


async def test_tags_are_of_images_that_are_there(
    client: httpx.AsyncClient, pets: str, stores: Stores
) -> None:
    where = "/datasets/pets/tags"
    for name in ("../../x", "nobody.jpg", "train/a.jpg"):
        answer = await client.put(where, json={"tags": {"odd": ["a.jpg", name]}})
        assert (answer.status_code, name in answer.json()["detail"]) == (404, True)
    assert await stores.dataset.get_tags("pets") == {}
    assert (await client.put(where, json={"tags": {"odd": ["a.jpg"]}})).status_code == 200
    await stores.image.delete("pets", "train", "a.jpg")
    kept = {"tags": {"odd": ["a.jpg", "c.jpg"]}}  # it may come back, and is there already
    assert (await client.put(where, json=kept)).json() == kept


async def test_classes_that_boxes_use_cannot_go(client: httpx.AsyncClient, pets: str) -> None:
    refused = await client.put("/datasets/pets/classes", json={"classes": ["cat"]})
    assert refused.status_code == 409
    assert "1 (2 boxes)" in refused.json()["detail"]
    renamed = await client.put(
        "/datasets/pets/classes", json={"classes": ["kitten", "dog", "bird"]}
    )
    assert renamed.json()["classes"] == ["kitten", "dog", "bird"]


async def test_a_class_that_boxes_use_is_renamed_only_by_who_has_seen_the_list(
    client: httpx.AsyncClient, pets: str, stores: Stores
) -> None:
    """Else, of two who add a class, the later one would relabel the boxes of the other."""
    swapped = {"classes": ["dog", "cat"]}
    refused = await client.put("/datasets/pets/classes", json=swapped)
    assert (refused.status_code, refused.json()["type"]) == (428, "urn:workbench:condition-needed")
    assert "'dog'" in refused.json()["detail"]
    seen = (await client.get("/datasets/pets/classes")).headers["etag"]
    await stores.dataset.update_classes("pets", ["cat", "dog", "emu"])
    stale = await client.put("/datasets/pets/classes", json=swapped, headers={"If-Match": seen})
    assert stale.status_code == 412
    assert stale.json()["current"] == ["cat", "dog", "emu"]
    assert stale.json()["yours"] == ["dog", "cat"]
    now = stale.headers["etag"]
    wanted = {"classes": ["cat", "hound", "emu"]}
    done = await client.put("/datasets/pets/classes", json=wanted, headers={"If-Match": now})
    assert done.json()["classes"] == ["cat", "hound", "emu"]
    assert done.headers["etag"] == (await client.get("/datasets/pets/classes")).headers["etag"]


async def test_many_add_a_class_each_at_the_same_time(
    client: httpx.AsyncClient, pets: str, stores: Stores
) -> None:
    answers = await asyncio.gather(
        *(client.post("/datasets/pets/classes", json={"name": f"c{n}"}) for n in range(12))
    )
    assert {answer.status_code for answer in answers} == {201}
    classes = (await stores.dataset.get("pets")).classes
    assert sorted(classes[2:]) == sorted(f"c{n}" for n in range(12))
    for number, answer in enumerate(answers):
        assert classes[answer.json()["class_id"]] == f"c{number}"
    again = await client.post("/datasets/pets/classes", json={"name": "c3"})
    assert again.status_code == 409
    assert f"id {classes.index('c3')}" in again.json()["detail"]


async def test_prompts_and_tags(client: httpx.AsyncClient, pets: str, stores: Stores) -> None:
    saved = await client.put("/datasets/pets/prompts", json={"prompts": {"1": ["a dog"]}})
    assert saved.json() == {"prompts": {"1": ["a dog"]}}
    assert await stores.dataset.get_prompts("pets") == {1: ["a dog"]}
    unknown = await client.put("/datasets/pets/prompts", json={"prompts": {"7": ["a bird"]}})
    assert unknown.status_code == 422

    before = (await client.get("/datasets/pets/tags")).headers["etag"]
    ours = await client.put(
        "/datasets/pets/tags", json={"tags": {"odd": ["a.jpg"]}}, headers={"If-Match": before}
    )
    assert ours.status_code == 200
    theirs = await client.put(
        "/datasets/pets/tags", json={"tags": {"even": ["b.jpg"]}}, headers={"If-Match": before}
    )
    assert theirs.status_code == 412
    assert theirs.json()["current"] == {"odd": ["a.jpg"]}
    assert theirs.json()["yours"] == {"even": ["b.jpg"]}
    assert await stores.dataset.get_tags("pets") == {"odd": ["a.jpg"]}
    one_of = f'"other", {theirs.headers["etag"]}'
    for condition in ("*", one_of):
        again = await client.put(
            "/datasets/pets/tags",
            json={"tags": {"odd": ["a.jpg"]}},
            headers={"If-Match": condition},
        )
        assert again.status_code == 200, condition


async def test_numbers(client: httpx.AsyncClient, pets: str) -> None:
    facts = (await client.get("/datasets/pets/facts")).json()
    assert facts["num_labelled"] == {"train": 1, "val": 1, "test": 0}
    assert facts["boxes"] == {"cat": 0, "dog": 2}
    numbers = (await client.get("/datasets/pets/statistics")).json()
    assert (numbers["num_images"], numbers["num_boxes"]) == (3, 2)
    assert numbers["images_by_state"]["train"] == {
        "unlabelled": 1, "background": 0, "labelled": 1, "unreadable": 0,
    }  # fmt: skip
    assert numbers["classes"] == [
        {
            "name": name,
            "boxes": {"train": boxes, "val": 0, "test": 0},
            "images": {"train": images, "val": 0, "test": 0},
        }
        for name, boxes, images in (("cat", 0, 0), ("dog", 2, 1))
    ]


async def test_health_is_a_job(client: httpx.AsyncClient, pets: str, outcome: Outcome) -> None:
    wanted = {"only": ["unlabelled", "duplicate-box"]}
    job = await outcome(await client.post("/datasets/pets/health", json=wanted))
    assert (job["kind"], job["dataset"], job["state"]) == ("health", "pets", "done")
    found = {one["kind"]: one for one in job["result"]["findings"]}
    assert found["unlabelled"]["images"] == [{"split": "train", "filename": "c.jpg"}]
    assert found["duplicate-box"]["severity"] == "warning"
    unknown = await client.post("/datasets/pets/health", json={"only": ["no such kind"]})
    assert unknown.status_code == 422
    assert (await client.post("/datasets/nobody/health", json={})).status_code == 404


async def test_a_copy_and_a_split(
    client: httpx.AsyncClient, pets: str, outcome: Outcome, stores: Stores
) -> None:
    copy = {"name": "dogs", "query": "class:dog"}
    job = await outcome(await client.post("/datasets/pets/duplicate", json=copy))
    assert job["result"]["num_images"] == {"train": 1, "val": 0, "test": 0}
    again = await client.post("/datasets/pets/duplicate", json=copy)
    assert again.status_code == 409

    ratios = {"ratios": {"test": 1.0}}
    job = await outcome(await client.post("/datasets/pets/split", json=ratios))
    assert (job["result"]["applied"], len(job["result"]["moves"])) == (False, 3)
    assert len(await stores.image.list("pets", "train")) == 2
    job = await outcome(await client.post("/datasets/pets/split", json=ratios | {"apply": True}))
    assert job["result"]["after"] == {"train": 0, "val": 0, "test": 3}
    assert len(await stores.image.list("pets", "test")) == 3


async def test_versions(
    client: httpx.AsyncClient, pets: str, outcome: Outcome, stores: Stores
) -> None:
    job = await outcome(
        await client.post("/datasets/pets/versions", json={"name": "first", "note": "as it was"})
    )
    assert (job["result"]["name"], job["result"]["note"]) == ("first", "as it was")
    await stores.label.save("pets", "train", "a.jpg", [])
    await stores.image.delete("pets", "val", "b.jpg")
    job = await outcome(await client.post("/datasets/pets/comparison", params={"first": "first"}))
    assert job["result"]["removed"] == [{"split": "val", "filename": "b.jpg"}]
    assert job["result"]["labels"] == [
        {"split": "train", "filename": "a.jpg", "boxes_added": 0, "boxes_removed": 2}
    ]
    job = await outcome(await client.post("/datasets/pets/versions/first/restore"))
    assert job["state"] == "done"
    assert await stores.label.load("pets", "train", "a.jpg") == [AS_ANNOTATION] * 2
    names = [one["name"] for one in (await client.get("/datasets/pets/versions")).json()["items"]]
    assert names[0] == "first"
    assert len(names) == 2
    assert (await client.delete("/datasets/pets/versions/first")).status_code == 204
    assert (await client.delete("/datasets/pets/versions/first")).status_code == 404


async def test_a_dataset_that_may_not_be_changed(
    client: httpx.AsyncClient, pets: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.errors import ReadOnlyError
    from workbench.persistence.stores.labels import LabelStore

    async def refuse(*args: object, **kwargs: object) -> None:
        raise ReadOnlyError(f"{tmp_path}/data/pets/.workbench: expected a folder to write to")

    monkeypatch.setattr(LabelStore, "save", refuse)
    answer = await client.put("/datasets/pets/labels/train/a.jpg", json={"boxes": []})
    assert answer.status_code == 403
    assert answer.json()["detail"] == "pets/.workbench: expected a folder to write to"
