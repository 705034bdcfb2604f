"""Work that goes on after the answer: archives in and out, progress, cancelling."""

from __future__ import annotations

import asyncio
import io
import json
import threading
import time
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.helpers.pictures import jpeg
from workbench.api import ApiLimits
from workbench.api.jobs import Jobs, with_file
from workbench.api.problems import ProblemError, Scrubber
from workbench.api.schemas.jobs import JobStatus
from workbench.errors import AlreadyExistsError
from workbench.persistence import Stores
from workbench.persistence.models import Progress

Outcome = Callable[[httpx.Response], Awaitable[dict[str, Any]]]


def zipped(**members: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return sink.getvalue()


YOLO = {
    "data.yaml": b"names: [cat, dog]\ntrain: images/train\nval: images/val\n",
    "images/train/a.jpg": jpeg(1),
    "labels/train/a.txt": b"1 .5 .5 .2 .2\n",
}


async def test_an_archive_comes_in_and_goes_out(
    client: httpx.AsyncClient, outcome: Outcome, stores: Stores, tmp_path: Path
) -> None:
    sent = zipped(**YOLO)
    look = {"name": "pets", "dry_run": "true"}
    job = await outcome(await client.post("/imports", content=sent, params=look))
    plan = job["result"]
    assert (plan["format"], plan["classes"], plan["questions"]) == ("yolo", ["cat", "dog"], [])
    assert plan["ledger"]["taken"] == plan["ledger"]["found"]
    assert (plan["ledger"]["found"]["pictures"], plan["ledger"]["found"]["annotations"]) == (1, 1)
    assert await stores.dataset.list() == []
    job = await outcome(await client.post("/imports", content=sent, params={"name": "pets"}))
    assert job["state"] == "done", job
    assert job["result"]["dataset"]["classes"] == ["cat", "dog"]
    assert job["result"]["ledger"]["taken"]["pictures"] == 1
    assert (tmp_path / "data/pets/labels/train/a.txt").read_bytes() == YOLO["labels/train/a.txt"]

    async with client.stream("GET", "/datasets/pets/archive") as answer:
        data = b"".join([part async for part in answer.aiter_bytes()])
    assert answer.headers["content-type"] == "application/zip"
    assert 'filename="pets.zip"' in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.read("images/train/a.jpg") == jpeg(1)
    some = await client.get("/datasets/pets/archive", params={"query": "unlabelled"})
    with zipfile.ZipFile(io.BytesIO(some.content)) as archive:
        assert not [name for name in archive.namelist() if name.endswith(".jpg")]


async def test_an_archive_as_a_job_is_downloaded_in_parts(
    client: httpx.AsyncClient, pets: str, outcome: Outcome
) -> None:
    job = await outcome(await client.post("/datasets/pets/archive"))
    assert (job["has_file"], job["result"]["filename"]) == (True, "pets.zip")
    where = f"/jobs/{job['id']}/file"
    whole = (await client.get(where)).content
    assert len(whole) == job["result"]["size_bytes"]
    first = await client.get(where, headers={"Range": "bytes=0-99"})
    rest = await client.get(
        where, headers={"Range": "bytes=100-", "If-Range": first.headers["etag"]}
    )
    assert (first.status_code, rest.status_code) == (206, 206)
    assert first.content + rest.content == whole
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        assert archive.testzip() is None


async def test_a_dataset_goes_out_in_the_format_of_another_tool(
    client: httpx.AsyncClient, pets: str, outcome: Outcome
) -> None:
    params = {"format": "coco", "query": "class:dog"}
    job = await outcome(await client.post("/datasets/pets/exports", params=params))
    assert job["state"] == "done", job
    assert (job["result"]["num_images"], job["result"]["num_boxes"]) == (1, 2)
    data = (await client.get(f"/jobs/{job['id']}/file")).content
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        found = [json.loads(archive.read(n)) for n in archive.namelist() if n.endswith(".json")]
        assert any(n.endswith("a.jpg") for n in archive.namelist())
    assert [len(one["annotations"]) for one in found] == [2]
    unknown = await client.post("/datasets/pets/exports", params={"format": "tape"})
    assert (unknown.status_code, "coco" in unknown.json()["detail"]) == (422, True)


async def test_a_folder_comes_file_by_file(
    client: httpx.AsyncClient, outcome: Outcome, stores: Stores
) -> None:
    files = [("files", (f"mine/{name}", data)) for name, data in YOLO.items()]
    job = await outcome(await client.post("/imports/folder", files=files, params={"name": "pets"}))
    assert job["state"] == "done", job
    assert await stores.image.read_bytes("pets", "train", "a.jpg") == jpeg(1)


@pytest.mark.parametrize("name", ["../a.jpg", "/etc/a.jpg", "a/../../b.jpg", "c:/x.jpg", "."])
async def test_a_folder_does_not_reach_out_of_itself(
    client: httpx.AsyncClient, stores: Stores, name: str, app: Any
) -> None:
    answer = await client.post(
        "/imports/folder", files=[("files", (name, jpeg()))], params={"name": "pets"}
    )
    assert answer.status_code == 422, answer.text
    assert await stores.dataset.list() == []
    assert [*app.state.workbench.folder.iterdir()] == []


async def test_what_is_refused_leaves_nothing(
    client: httpx.AsyncClient, outcome: Outcome, stores: Stores, app: Any, pets: str
) -> None:
    taken = await client.post("/imports", content=zipped(**YOLO), params={"name": "pets"})
    assert taken.status_code == 409
    job = await outcome(await client.post("/imports", content=b"no zip", params={"name": "x"}))
    assert (job["state"], job["problem"]["type"]) == ("failed", "urn:workbench:archive")
    assert str(app.state.workbench.folder) not in json.dumps(job)
    evil = zipped(**{"../../evil.txt": b"x", **YOLO})
    job = await outcome(await client.post("/imports", content=evil, params={"name": "y"}))
    assert job["state"] == "failed"
    assert [info.name for info in await stores.dataset.list()] == ["pets"]
    assert [*app.state.workbench.folder.iterdir()] == []


async def test_an_import_sent_twice_is_one_job(client: httpx.AsyncClient, app: Any) -> None:
    key = {"Idempotency-Key": "one"}
    params = {"name": "pets"}
    sent = zipped(**YOLO)
    first, second = await asyncio.gather(
        *(client.post("/imports", content=sent, params=params, headers=key)
          for _ in range(2))
    )  # fmt: skip
    assert {first.status_code, second.status_code} <= {202, 409}
    assert len((await client.get("/jobs")).json()["items"]) == 1


@pytest.mark.parametrize("where", ["/imports", "/imports/folder"])
async def test_what_is_sent_again_when_all_is_done_gets_the_first_answer(
    client: httpx.AsyncClient, outcome: Outcome, app: Any, where: str
) -> None:
    """The first answer got lost on its way, and the dataset is there by now."""
    bodies: dict[str, dict[str, Any]] = {
        "/imports": {"content": zipped(**YOLO)},
        "/imports/folder": {"files": [("files", ("train/a.jpg", jpeg()))]},
    }
    again = {"params": {"name": "sent"}, "headers": {"Idempotency-Key": "k"}, **bodies[where]}
    first = await client.post(where, **again)
    assert first.status_code == 202
    job = await outcome(first)
    assert job["state"] == "done", job
    second = await client.post(where, **again)
    assert (second.status_code, second.json()["id"]) == (202, first.json()["id"])
    without = await client.post(where, **(again | {"headers": {}}))
    assert without.status_code == 409
    assert [*app.state.workbench.folder.iterdir()] == []


def events_in(text: str) -> list[tuple[int, str, dict[str, Any]]]:
    found = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        found.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
    return found


async def test_a_job_is_followed_and_taken_up_again(client: httpx.AsyncClient, pets: str) -> None:
    answer = await client.post("/datasets/pets/health", json={})
    where = answer.headers["location"].removeprefix("/v1") + "/events"
    stream = await client.get(where)
    assert stream.headers["content-type"].startswith("text/event-stream")
    events = events_in(stream.text)
    numbers = [number for number, _, _ in events]
    assert numbers == sorted(set(numbers))
    assert events[-1][1] == "done"
    assert events[-1][2]["result"]["findings"]
    before = {"Last-Event-ID": str(numbers[-1] - 1)}
    assert events_in((await client.get(where, headers=before)).text) == events[-1:]
    seen = {"Last-Event-ID": str(numbers[-1])}
    assert (await client.get(where, headers=seen)).text == ""
    assert (await client.get("/jobs/none/events")).status_code == 404


async def test_a_stream_of_events_ends_when_the_server_is_about_to(
    client: httpx.AsyncClient, app: Any
) -> None:
    go_on = asyncio.Event()

    async def work(progress: Progress) -> Any:
        await go_on.wait()

    job = app.state.workbench.jobs.start("wait", work)
    following = asyncio.create_task(client.get(f"/jobs/{job.id}/events"))
    await asyncio.sleep(0.05)
    assert not following.done()
    app.state.workbench.ending.set()
    async with asyncio.timeout(20):
        assert "event: running" in (await following).text
    go_on.set()


async def test_a_job_is_forgotten_with_its_file(
    client: httpx.AsyncClient, outcome: Outcome, app: Any, pets: str
) -> None:
    job = await outcome(await client.post("/datasets/pets/exports", params={"format": "coco"}))
    assert job["state"] == "done"
    assert [path for path in app.state.workbench.folder.rglob("*") if path.is_file()]
    assert (await client.post(f"/jobs/{job['id']}/cancel")).json()["state"] == "done"
    assert (await client.delete(f"/jobs/{job['id']}")).status_code == 204
    assert (await client.get(f"/jobs/{job['id']}")).status_code == 404
    assert (await client.delete(f"/jobs/{job['id']}")).status_code == 404
    assert not [path for path in app.state.workbench.folder.rglob("*") if path.is_file()]


# The jobs by themselves.


@pytest.fixture
async def jobs() -> Jobs:
    return Jobs(ApiLimits(max_jobs=1, max_waiting_jobs=1), Scrubber([Path("/secret/data")]))


async def finished(jobs: Jobs, identity: str) -> None:
    async with asyncio.timeout(20):
        async for _ in jobs.follow(identity):
            pass


async def test_progress_comes_from_the_thread_that_works(jobs: Jobs) -> None:
    async def work(progress: Progress) -> Any:
        def count() -> None:
            for done in range(4):
                progress(done, 3)
                time.sleep(0.11)

        await asyncio.to_thread(count)
        return {"class": "/usr/bin x", "loss": float("nan")}

    job = jobs.start("count", work)
    seen = {(one.done, one.total, one.state) async for one in jobs.follow(job.id)}
    assert (3, 3, "done") in seen
    assert (1, 3, "running") in seen
    assert job.result == {"class": "/usr/bin x", "loss": None}


async def test_one_more_than_may_wait_is_refused(jobs: Jobs) -> None:
    go_on = asyncio.Event()

    async def work(progress: Progress) -> Any:
        await go_on.wait()

    first, second = jobs.start("wait", work), jobs.start("wait", work)
    with pytest.raises(ProblemError) as error:
        jobs.start("wait", work)
    assert error.value.status == 429
    await asyncio.sleep(0.01)
    assert (first.state, second.state) == ("running", "queued")
    go_on.set()
    for job in (first, second):
        await finished(jobs, job.id)
    assert jobs.start("wait", work).state == "queued"
    await jobs.close()


async def test_a_cancelled_job_stops_at_its_next_step(jobs: Jobs) -> None:
    steps: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    async def work(progress: Progress) -> Any:
        def count() -> None:
            for done in range(1000):
                steps.append(done)
                progress(done, 1000)
                begun.set()
                go_on.wait(0.01)

        await asyncio.to_thread(count)

    job = jobs.start("count", work)
    assert await asyncio.to_thread(begun.wait, 20)
    assert not JobStatus.of(job).stopping
    seen = job.revision
    cancelling = asyncio.create_task(jobs.cancel(job.id))
    await asyncio.sleep(0)
    assert (job.state, JobStatus.of(job).stopping) == ("running", True)
    assert job.revision > seen  # so who follows it is told
    await cancelling
    await finished(jobs, job.id)
    assert (job.state, JobStatus.of(job).stopping) == ("cancelled", False)
    assert len(steps) < 1000
    assert (await jobs.cancel(job.id)).state == "cancelled"  # no harm in asking again


async def test_a_job_that_waits_is_cancelled_at_once(jobs: Jobs) -> None:
    go_on = asyncio.Event()

    async def work(progress: Progress) -> Any:
        await go_on.wait()

    jobs.start("wait", work)
    second = jobs.start("wait", work)
    await asyncio.sleep(0.01)
    assert (await jobs.cancel(second.id)).state == "cancelled"
    go_on.set()
    await jobs.close()


@pytest.mark.parametrize("closing", [False, True])
async def test_a_job_forgotten_while_it_works_leaves_no_file(
    jobs: Jobs, tmp_path: Path, closing: bool
) -> None:
    ended, made = threading.Event(), tmp_path / "made.zip"

    async def work(progress: Progress) -> Any:
        def slow() -> Path:
            assert ended.wait(30)
            made.write_bytes(b"x")
            return made

        return with_file({}, await asyncio.to_thread(slow))

    job = jobs.start("export", work)
    while job.state != "running":
        await asyncio.sleep(0)
    await jobs.forget(job.id)
    assert jobs.list() == []
    closed = asyncio.create_task(jobs.close()) if closing else None
    await asyncio.sleep(0)
    ended.set()
    if closed is not None:
        await closed
    for _ in range(3000):
        if job.is_over:
            break
        await asyncio.sleep(0.01)
    await asyncio.sleep(0)
    assert job.is_over
    assert not made.exists()


async def test_a_job_fails_with_a_problem_and_without_its_secrets(jobs: Jobs) -> None:
    async def known(progress: Progress) -> Any:
        raise AlreadyExistsError("/secret/data/pets exists already")

    async def unknown(progress: Progress) -> Any:
        raise RuntimeError("password: 1234")

    first = jobs.start("known", known)
    await finished(jobs, first.id)
    assert first.problem is not None
    assert (first.problem["status"], first.problem["detail"]) == (409, "pets exists already")
    second = jobs.start("unknown", unknown)
    await finished(jobs, second.id)
    assert second.problem is not None
    assert (second.problem["status"], "1234" in str(second.problem)) == (500, False)


async def test_a_form_in_the_place_of_an_archive_is_refused(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    form = {"file": ("pets.zip", zipped(**YOLO))}
    answer = await client.post("/imports", files=form, params={"name": "pets"})
    assert answer.status_code == 415
    assert "--data-binary" in answer.json()["detail"]
    assert await stores.dataset.list() == []


async def test_names_of_classes_that_look_like_paths_stay_as_they_are(
    client: httpx.AsyncClient, outcome: Outcome
) -> None:
    names = ["/home/cat/dog", "/usr/bin x", "C:\\a\\b"]
    await client.post("/datasets", json={"name": "odd", "classes": names})
    await client.put("/datasets/odd/images/train/a.jpg", content=jpeg(1))
    copied = await outcome(await client.post("/datasets/odd/duplicate", json={"name": "two"}))
    assert copied["result"]["classes"] == names
    archive = (await client.get("/datasets/odd/archive")).content
    planned = await client.post(
        "/imports", content=archive, params={"name": "new", "dry_run": True}
    )
    assert (await outcome(planned))["result"]["classes"] == names
    made = await outcome(await client.post("/imports", content=archive, params={"name": "new"}))
    assert made["result"]["dataset"]["classes"] == names
    tags = {"/home/x y": ["a.jpg"]}
    stale = await client.put(
        "/datasets/odd/tags", json={"tags": tags}, headers={"If-Match": '"old"'}
    )
    assert (stale.status_code, stale.json()["yours"]) == (412, tags)


async def test_what_is_wrong_with_an_upload_is_told_by_no_name_of_ours(
    client: httpx.AsyncClient, outcome: Outcome
) -> None:
    answer = await client.post("/imports", content=b"PK no zip", params={"name": "x"})
    job = await outcome(answer)
    assert job["state"] == "failed"
    assert job["problem"]["detail"].startswith("the uploaded archive: ")
    good = await client.post("/imports", content=zipped(**YOLO), params={"name": "y"})
    assert (await outcome(good))["state"] == "done"


class TestLargePictures:
    @pytest.fixture
    def limits(self) -> ApiLimits:
        return ApiLimits(max_pixels=500)

    async def test_an_import_says_which_are_larger_than_an_upload_may_be(
        self, client: httpx.AsyncClient, outcome: Outcome
    ) -> None:
        for dry_run in (True, False):
            params = {"name": "x", "dry_run": dry_run}
            sent = await client.post("/imports", content=zipped(**YOLO), params=params)
            notes = (await outcome(sent))["result"]["notes"]
            assert any("more than 500 pixels" in note for note in notes), notes
