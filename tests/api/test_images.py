"""Images over HTTP."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from tests.helpers import failing_calls
from tests.helpers.failing_calls import FailingCalls, failing
from tests.helpers.pictures import encoded, jpeg
from workbench.api import ApiLimits
from workbench.persistence import ImageStore, Stores
from workbench.persistence.models import NewImage

A = "/datasets/pets/images/train/a.jpg"


async def test_a_query_finds_images_with_their_facts(client: httpx.AsyncClient, pets: str) -> None:
    answer = (await client.get("/datasets/pets/images", params={"query": "sort:-boxes"})).json()
    assert [(one["split"], one["filename"], one["num_boxes"]) for one in answer["items"]] == [
        ("train", "a.jpg", 2), ("train", "c.jpg", 0), ("val", "b.jpg", 0),
    ]  # fmt: skip
    assert [one["state"] for one in answer["items"]] == ["labelled", "unlabelled", "background"]
    assert answer["items"][0]["size_bytes"] == len(jpeg(1))
    assert (answer["total"], answer["next"]) == (3, None)
    wide = (await client.get("/datasets/pets/images", params={"query": "width=32"})).json()
    assert [(one["width"], one["height"]) for one in wide["items"]] == [(32, 24)] * 3
    wrong = await client.get("/datasets/pets/images", params={"query": "class:dgo"})
    assert wrong.status_code == 422
    assert "dog" in wrong.json()["detail"]


async def pages(client: httpx.AsyncClient, limit: int, **params: str) -> list[str]:
    names: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await client.get(
            "/datasets/many/images", params={"limit": limit, **params, **cursor}
        )
        assert answer.status_code == 200, answer.text
        names += [one["filename"] for one in answer.json()["items"]]
        if answer.json()["next"] is None:
            return names
        cursor = {"cursor": answer.json()["next"]}


@pytest.fixture
async def many(stores: Stores) -> list[str]:
    await stores.dataset.create("many", [])
    names = [f"{number:03}.jpg" for number in range(57)]
    await stores.image.add_many("many", [NewImage(name, "train", jpeg()) for name in names])
    return names


async def test_pages_together_are_the_whole(client: httpx.AsyncClient, many: list[str]) -> None:
    for limit in (1, 10, 56, 57, 58):
        assert await pages(client, limit) == many
    assert await pages(client, 10, query="sort:-name") == many[::-1]


async def test_pages_are_of_the_moment_of_the_first_one(
    client: httpx.AsyncClient, many: list[str], stores: Stores
) -> None:
    first = (await client.get("/datasets/many/images", params={"limit": 10})).json()
    await stores.image.delete_many("many", [("train", name) for name in many[3:20]])
    await stores.image.save_bytes("many", "train", "000a.jpg", jpeg())
    second = await client.get(
        "/datasets/many/images", params={"limit": 10, "cursor": first["next"]}
    )
    assert [one["filename"] for one in second.json()["items"]] == many[10:20]


async def test_a_cursor_outlives_what_the_server_remembers(
    client: httpx.AsyncClient, many: list[str], stores: Stores
) -> None:
    first = (await client.get("/datasets/many/images", params={"limit": 10})).json()
    for number in range(20):
        await client.get("/datasets/many/images", params={"query": f"size>{number}"})
    await stores.image.delete_many("many", [("train", name) for name in many[:5]])
    second = await client.get("/datasets/many/images", params={"limit": 5, "cursor": first["next"]})
    assert [one["filename"] for one in second.json()["items"]] == many[10:15]


@pytest.mark.parametrize("cursor", ["x", "bnVsbA==", "WzEsMiwzXQ==", "é", "W1tdLDEsMSwxLFtdXQ=="])
async def test_a_cursor_that_is_none_is_refused(
    client: httpx.AsyncClient, pets: str, cursor: str
) -> None:
    answer = await client.get("/datasets/pets/images", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:workbench:invalid-cursor")


async def test_a_cursor_of_another_list_is_refused(
    client: httpx.AsyncClient, many: list[str]
) -> None:
    first = (await client.get("/datasets/many/images", params={"limit": 10})).json()
    for params in ({"query": "unlabelled"}, {}):
        name = "many" if params else "other"
        answer = await client.get(
            f"/datasets/{name}/images", params={"cursor": first["next"], **params}
        )
        assert answer.status_code == 422


async def test_a_file_comes_as_it_is_stored(client: httpx.AsyncClient, pets: str) -> None:
    whole = await client.get(A)
    assert (whole.content, whole.headers["content-type"]) == (jpeg(1), "image/jpeg")
    assert whole.headers["x-content-type-options"] == "nosniff"
    known = await client.get(A, headers={"If-None-Match": whole.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    await client.put(A, content=jpeg(9))
    changed = await client.get(A, headers={"If-None-Match": whole.headers["etag"]})
    assert (changed.status_code, changed.content) == (200, jpeg(9))


async def test_head_is_get_without_a_body(client: httpx.AsyncClient, pets: str) -> None:
    for where in (A, "/datasets/pets/images", "/datasets/none"):
        got, head = await client.get(where), await client.head(where)
        assert (head.status_code, head.content) == (got.status_code, b""), where
        names = ("content-type", "etag", "content-length", "accept-ranges")
        assert [head.headers.get(name) for name in names] == [
            got.headers.get(name) for name in names
        ], where
    assert (await client.head("/datasets/pets/duplicate")).status_code == 405


async def test_parts_of_a_file(client: httpx.AsyncClient, pets: str) -> None:
    data = jpeg(1)
    for given, part in (
        ("bytes=0-9", data[:10]),
        ("bytes=10-", data[10:]),
        ("bytes=-7", data[-7:]),
        ("bytes=5-999999", data[5:]),
        (f"bytes=-{10**6}", data),
    ):
        answer = await client.get(A, headers={"Range": given})
        assert (answer.status_code, answer.content) == (206, part), given
    assert answer.headers["content-range"] == f"bytes 0-{len(data) - 1}/{len(data)}"
    beyond = await client.get(A, headers={"Range": f"bytes={len(data)}-"})
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == f"bytes */{len(data)}"
    for ignored in ("bytes=5-3,1-2", "lines=1-2", "bytes=-"):
        assert (await client.get(A, headers={"Range": ignored})).status_code == 200
    old = {"Range": "bytes=0-9", "If-Range": '"another"'}
    assert (await client.get(A, headers=old)).content == data


async def test_thumbnails_in_the_form_that_is_accepted(
    client: httpx.AsyncClient, stores: Stores, pets: str
) -> None:
    await stores.image.save_bytes("pets", "train", "large.png", encoded(".png", 5, 300, 400))
    where = "/datasets/pets/images/train/large.png/thumbnail"
    for accept, media_type, start in (
        ("*/*", "image/jpeg", b"\xff\xd8\xff"),
        ("image/webp,image/png;q=0.5", "image/webp", b"RIFF"),
        ("image/avif,image/png,*/*;q=0.1", "image/png", b"\x89PNG"),
    ):
        answer = await client.get(where, params={"size": 100}, headers={"Accept": accept})
        assert answer.headers["content-type"] == media_type
        assert answer.content.startswith(start)
        picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        assert picture.shape == (75, 100, 3)
        again = {"Accept": accept, "If-None-Match": answer.headers["etag"]}
        assert (await client.get(where, params={"size": 100}, headers=again)).status_code == 304
    none = await client.get(where, headers={"Accept": "text/html"})
    assert none.status_code == 406
    assert (await client.get(where, params={"size": 1})).status_code == 422
    await stores.image.save_bytes("pets", "train", "large.png", encoded(".png", 6, 300, 400))
    fresh = await client.get(where, params={"size": 100}, headers=again)
    assert fresh.status_code == 200


async def test_a_damaged_image_has_no_thumbnail(
    client: httpx.AsyncClient, pets: str, tmp_path: Path
) -> None:
    (tmp_path / "data/pets/images/train/a.jpg").write_bytes(b"\xff\xd8\xff damaged")
    answer = await client.get(f"{A}/thumbnail")
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:workbench:invalid-frame"


async def test_an_upload_takes_what_it_can(
    client: httpx.AsyncClient, pets: str, stores: Stores
) -> None:
    files = [
        ("files", ("new.jpg", jpeg(7))),
        ("files", ("a.jpg", jpeg(1))),  # there with these bytes
        ("files", ("c.jpg", jpeg(8))),  # there with others
        ("files", ("note.jpg", b"no image")),
        ("files", ("../evil.jpg", jpeg(2))),
        ("files", ("d.png", encoded(".png", 4))),
    ]
    answer = await client.post("/datasets/pets/images", files=files)
    assert answer.status_code == 200
    body = answer.json()
    assert [one["filename"] for one in body["added"]] == ["new.jpg", "d.png"]
    assert [one["filename"] for one in body["unchanged"]] == ["a.jpg"]
    assert {one["name"]: one["why"].split(":")[0] for one in body["refused"]}.keys() >= {
        "c.jpg", "note.jpg",
    }  # fmt: skip
    assert len(body["refused"]) == 3
    assert await stores.image.read_bytes("pets", "train", "new.jpg") == jpeg(7)
    assert await stores.image.read_bytes("pets", "train", "c.jpg") == jpeg(3)


async def test_what_a_link_leads_to_outside_of_the_dataset_is_not_sent(
    client: httpx.AsyncClient, pets: str, tmp_path: Path
) -> None:
    """Whoever put the link there may want what it leads to, and it may be no picture."""
    [folder] = tmp_path.rglob("pets/images/train")
    (tmp_path / "secret.txt").write_text("root:x:0:0")
    (tmp_path / "holiday.jpg").write_bytes(jpeg(9))
    for name, target in (("pw.jpg", "secret.txt"), ("mine.jpg", "holiday.jpg")):
        (folder / name).symlink_to(tmp_path / target)
        for what in ("", "/thumbnail"):
            answer = await client.get(f"/datasets/pets/images/train/{name}{what}")
            assert answer.status_code == 422, answer.content
            assert f"images/train/{name}" in answer.json()["detail"]
            assert b"root" not in answer.content
    (folder / "same.jpg").symlink_to(folder / "a.jpg")
    assert (await client.get("/datasets/pets/images/train/same.jpg")).content == jpeg(1)


async def test_the_same_upload_sent_twice_is_done_once(
    client: httpx.AsyncClient, pets: str, stores: Stores
) -> None:
    files = [("files", ("new.jpg", jpeg(7)))]
    key = {"Idempotency-Key": "k1"}
    first = await client.post("/datasets/pets/images", files=files, headers=key)
    await stores.image.delete("pets", "train", "new.jpg")
    second = await client.post("/datasets/pets/images", files=files, headers=key)
    assert second.json() == first.json()
    assert not await stores.image.exists("pets", "train", "new.jpg")  # not done again
    other = [("files", ("other.jpg", jpeg(8)))]
    refused = await client.post("/datasets/pets/images", files=other, headers=key)
    assert (refused.status_code, refused.json()["type"]) == (
        422, "urn:workbench:idempotency-key-reused",
    )  # fmt: skip
    elsewhere = await client.post(
        "/datasets/pets/images", files=other, headers=key, params={"split": "val"}
    )
    assert len(elsewhere.json()["added"]) == 1


async def test_a_second_request_with_the_key_of_one_under_way_waits_outside(
    client: httpx.AsyncClient, pets: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    real = ImageStore.add_many

    async def slow(*args: object, **kwargs: object) -> object:
        begun.set()
        await go_on.wait()
        return await real(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(ImageStore, "add_many", slow)
    files = [("files", ("new.jpg", jpeg(7)))]
    key = {"Idempotency-Key": "k"}
    first = asyncio.create_task(client.post("/datasets/pets/images", files=files, headers=key))
    async with asyncio.timeout(20):
        await begun.wait()
    second = await client.post("/datasets/pets/images", files=files, headers=key)
    go_on.set()
    assert (second.status_code, second.json()["type"]) == (409, "urn:workbench:under-way")
    assert len((await first).json()["added"]) == 1


async def test_single_images_are_put_with_conditions(
    client: httpx.AsyncClient, pets: str, stores: Stores
) -> None:
    new = "/datasets/pets/images/val/new.jpg"
    made = await client.put(new, content=jpeg(4), headers={"If-None-Match": "*"})
    assert (made.status_code, made.json()["width"]) == (200, 32)
    taken = await client.put(new, content=jpeg(5), headers={"If-None-Match": "*"})
    assert (taken.status_code, taken.json()["current"]) == (412, made.headers["etag"])
    assert taken.json()["title"] == "A condition is not met"
    assert "has an image 'new.jpg' already" in taken.json()["detail"]
    stale = await client.put(new, content=jpeg(5), headers={"If-Match": '"old"'})
    assert (stale.status_code, stale.json()["current"]) == (412, made.headers["etag"])
    fresh = await client.put(new, content=jpeg(5), headers={"If-Match": made.headers["etag"]})
    assert fresh.status_code == 200
    assert await stores.image.read_bytes("pets", "val", "new.jpg") == jpeg(5)
    for content in (b"", b"no image"):
        assert (await client.put(new, content=content)).status_code == 422
    assert (await client.put("/datasets/pets/images/else/x.jpg", content=b"")).status_code == 422


class TestLimits:
    @pytest.fixture
    def limits(self) -> ApiLimits:
        return ApiLimits(max_image_bytes=5000, max_pixels=1000, max_upload_bytes=20_000)

    async def test_too_many_pixels(
        self, client: httpx.AsyncClient, pets: str, stores: Stores
    ) -> None:
        large = jpeg(1, 40, 40)
        answer = await client.put("/datasets/pets/images/val/x.jpg", content=large)
        assert (answer.status_code, answer.json()["type"]) == (
            413, "urn:workbench:too-many-pixels",
        )  # fmt: skip
        upload = await client.post(
            "/datasets/pets/images",
            files=[("files", ("x.jpg", large)), ("files", ("y.jpg", jpeg()))],
        )
        assert [one["name"] for one in upload.json()["refused"]] == ["x.jpg"]
        assert [one["filename"] for one in upload.json()["added"]] == ["y.jpg"]

    async def test_too_many_bytes_are_not_even_read(
        self, client: httpx.AsyncClient, pets: str
    ) -> None:
        answer = await client.put("/datasets/pets/images/val/x.jpg", content=b"x" * 5001)
        assert answer.status_code == 413
        assert "expected at most 5000 bytes, found 5001" in answer.json()["detail"]

        async def endless() -> object:
            while True:
                yield b"x" * 1000

        for where in ("/datasets/pets/images/val/x.jpg", "/imports?name=x"):
            method = "PUT" if "images" in where else "POST"
            answer = await client.request(method, where, content=endless())  # type: ignore[arg-type]
            assert answer.status_code == 413, answer.text


async def test_images_are_renamed_moved_deleted_and_restored(
    client: httpx.AsyncClient, pets: str, stores: Stores
) -> None:
    renamed = await client.patch(A, json={"name": "z.jpg"})
    assert renamed.json()["filename"] == "z.jpg"
    assert renamed.json()["has_labels"] is True
    ref = {"split": "train", "filename": "z.jpg"}
    moved = await client.post("/datasets/pets/images/move", json={"images": [ref], "to": "test"})
    assert moved.json() == {"description": "1 image moved to test"}
    assert len(await stores.label.load("pets", "test", "z.jpg")) == 2
    both = [{"split": "test", "filename": "z.jpg"}, {"split": "val", "filename": "b.jpg"}]
    deleted = await client.post("/datasets/pets/images/delete", json={"images": both})
    entries = deleted.json()
    assert [one["name"] for one in entries] == ["z.jpg", "b.jpg"]
    assert (await client.get("/datasets/pets/trash")).json()["items"] == entries
    missing = [*both, {"split": "train", "filename": "c.jpg"}]
    refused = await client.post("/datasets/pets/images/delete", json={"images": missing})
    assert refused.status_code == 404
    assert await stores.image.exists("pets", "train", "c.jpg")  # all or none
    ids = [one["id"] for one in entries]
    restored = await client.post("/datasets/pets/restore", json={"entries": ids})
    assert restored.json() == {"description": "2 items restored"}
    assert len(await stores.label.load("pets", "test", "z.jpg")) == 2
    gone = (await client.delete("/datasets/pets/images/train/c.jpg")).json()
    assert (await client.delete(f"/datasets/pets/trash/{gone['id']}")).json() == {"count": 1}
    info = await client.get("/datasets/pets/images/val/b.jpg/info")
    assert (info.json()["width"], info.json()["height"]) == (32, 24)


@pytest.mark.parametrize(
    ("error", "status", "kind"), [(errno.ENOSPC, 507, "disk-full"), (errno.EROFS, 403, "read-only")]
)
async def test_an_upload_of_which_nothing_was_kept_has_not_succeeded(
    client: httpx.AsyncClient, pets: str, tmp_path: Path, error: int, status: int, kind: str
) -> None:
    files = [("files", ("new.jpg", jpeg(7))), ("files", ("note.jpg", b"no image"))]
    with failing(FailingCalls(str(tmp_path / "data"), error, 1, lasting=True)):
        answer = await client.post("/datasets/pets/images", files=files)
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:workbench:{kind}")
    assert [one["status"] for one in answer.json()["refused"]] == [422, status]
    assert not (tmp_path / "data/pets/images/train/new.jpg").exists()
    # Only what is wrong with the files: that is an account, as ever.
    told = await client.post("/datasets/pets/images", files=files[1:])
    assert (told.status_code, told.json()["refused"][0]["status"]) == (200, 422)
    assert (await client.post("/datasets/pets/images", files=files)).json()["added"]


async def test_a_small_picture_in_webp_is_small(
    client: httpx.AsyncClient, stores: Stores, pets: str
) -> None:
    await stores.image.save_bytes("pets", "train", "large.png", encoded(".png", 5, 300, 400))
    sizes = {
        kind: len(
            (
                await client.get(
                    "/datasets/pets/images/train/large.png/thumbnail",
                    headers={"Accept": f"image/{kind}"},
                )
            ).content
        )
        for kind in ("jpeg", "webp")
    }
    assert sizes["webp"] < sizes["jpeg"]


async def test_an_image_that_is_not_the_one_seen_is_neither_deleted_nor_renamed(
    client: httpx.AsyncClient, pets: str, stores: Stores
) -> None:
    seen = (await client.get(A)).headers["etag"]
    for wrong in ('"old"', f"W/{seen}"):  # weak ones never match here
        for method, body in (("DELETE", None), ("PATCH", {"name": "z.jpg"})):
            answer = await client.request(method, A, json=body, headers={"If-Match": wrong})
            assert (answer.status_code, answer.json()["current"]) == (412, seen)
        put = await client.put(A, content=jpeg(9), headers={"If-Match": wrong})
        assert put.status_code == 412
    assert await stores.image.read_bytes("pets", "train", "a.jpg") == jpeg(1)
    assert (await client.delete(A, headers={"If-Match": seen})).status_code == 200
    missing = await client.put(A, content=jpeg(9), headers={"If-Match": "*"})
    assert (missing.status_code, missing.json()["type"]) == (412, "urn:workbench:not-there")
    nowhere = A.replace("pets", "nobody")
    assert (await client.delete(nowhere, headers={"If-Match": "*"})).status_code == 404


async def test_the_trash_is_emptied_on_a_full_disk(
    client: httpx.AsyncClient, pets: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = (await client.delete(A)).json()["id"]
    # A full disk still gives things other names; what it does not do is take bytes.
    monkeypatch.setitem(failing_calls.LASTING, errno.ENOSPC, failing_calls.BYTES)
    with failing(FailingCalls(str(tmp_path / "data"), errno.ENOSPC, 1, lasting=True)) as calls:
        refused = await client.delete("/datasets/pets/images/train/c.jpg")
        assert refused.status_code == 507
        assert "empty the trash" in refused.json()["detail"]
        purged = await client.delete(f"/datasets/pets/trash/{entry}")
    assert calls.struck
    assert (purged.status_code, purged.json()) == (200, {"count": 1}), purged.text
    assert (await client.get("/datasets/pets/trash")).json()["items"] == []
    assert not [*tmp_path.glob("data/pets/.workbench/trash/*")]


async def test_names_that_differ_in_case_only_go_out_in_no_way(
    client: httpx.AsyncClient,
    pets: str,
    outcome: Callable[[httpx.Response], Awaitable[dict[str, Any]]],
) -> None:
    made = await client.put("/datasets/pets/images/train/A.jpg", content=jpeg(7))
    assert made.status_code == 200
    archive = await client.get("/datasets/pets/archive")
    exported = await outcome(await client.post("/datasets/pets/exports?format=yolo"))
    assert (archive.status_code, exported["problem"]["status"]) == (422, 422)
    for said in (archive.json()["detail"], exported["problem"]["detail"]):
        assert "one file on Windows and macOS" in said
