"""One label saved in a bucket: what it costs, and that nothing is lost by it costing little."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest

from tests.helpers.pictures import jpeg
from tests.storage.s3_proxy import S3Proxy
from workbench.errors import ConflictError, NotFoundError, ReadOnlyError
from workbench.persistence import Stores, create_stores
from workbench.persistence.models import Annotation
from workbench.persistence.storage import Write
from workbench.persistence.storage.bucket import open_bucket
from workbench.persistence.storage.bucket.reading import BucketReader

BOXES = [Annotation(0, 0.5, 0.5, size / 20, 0.5) for size in range(1, 12)]


@pytest.fixture
def stores(tmp_path: Path, address: str) -> Stores:
    open_bucket(f"{address}/cups").commit(
        [
            Write("data.yaml", b"names: [cup]\n"),
            Write("images/train/a.jpg", jpeg(1)),
            Write("images/train/b.jpg", jpeg(2)),
        ]
    )
    return create_stores(address, tmp_path / "models")


def others(address: str, tmp_path: Path) -> Stores:
    return create_stores(address, tmp_path / "models")


def wait_until_nobody_writes(address: str) -> None:
    raw = open_bucket(f"{address}/cups")
    limit = time.monotonic() + 10
    while raw._head.look().state.holder:
        assert time.monotonic() < limit
        time.sleep(0.02)


async def test_a_save_is_three_round_trips(stores: Stores, s3: S3Proxy, address: str) -> None:
    for box in BOXES[:2]:
        await stores.label.save("cups", "train", "a.jpg", [box])
    wait_until_nobody_writes(address)
    with s3.counted() as requests:
        s3.latency_s = 0.15
        s3.spans.clear()
        await stores.label.save("cups", "train", "a.jpg", [BOXES[2]])
        spans = list(s3.spans)
    s3.latency_s = 0.0
    # At once: where it lies, the classes, the image and its labels; the commit; labels and history.
    assert s3.rounds(spans) <= 3
    assert requests["LIST"] == 0
    assert requests["PUT"] <= 4
    assert requests.total() <= 8


async def test_two_who_save_at_once_lose_nothing(
    stores: Stores, address: str, tmp_path: Path
) -> None:
    other = others(address, tmp_path)

    async def save(by: Stores, filename: str) -> None:
        for box in BOXES:
            await by.label.save("cups", "train", filename, [box])

    await asyncio.gather(save(stores, "a.jpg"), save(other, "b.jpg"))
    for filename in ("a.jpg", "b.jpg"):
        assert await stores.label.load("cups", "train", filename) == BOXES[-1:]
    edits = await others(address, tmp_path).label.history("cups")
    assert [edit.filename for edit in edits].count("a.jpg") == len(BOXES)
    assert [edit.filename for edit in edits].count("b.jpg") == len(BOXES)
    # Each tells what it found, in the order in which it happened.
    kept = [edit for edit in edits if edit.filename == "a.jpg"]
    assert [edit.before for edit in kept[1:]] == [edit.after for edit in kept[:-1]]


async def test_what_another_program_wrote_is_noticed(stores: Stores, address: str) -> None:
    saved = [await stores.label.save("cups", "train", "a.jpg", [box]) for box in BOXES[:2]][-1]
    raw = open_bucket(f"{address}/cups")
    raw._objects.put("labels/train/a.txt", b"0 0.1 0.1 0.1 0.1\n")
    with pytest.raises(ConflictError):
        await stores.label.save(
            "cups", "train", "a.jpg", BOXES[:1], expected_revision=saved.revision
        )
    raw._objects.delete(["images/train/a.jpg"])
    with pytest.raises(NotFoundError):
        await stores.label.save("cups", "train", "a.jpg", BOXES[:1])
    assert raw.read("labels/train/a.txt") == b"0 0.1 0.1 0.1 0.1\n"


async def test_a_dataset_that_is_elsewhere_by_now(
    stores: Stores, address: str, tmp_path: Path
) -> None:
    other = others(address, tmp_path)
    await stores.label.save("cups", "train", "a.jpg", BOXES[:1])
    await other.dataset.rename("cups", "mugs")
    with pytest.raises(NotFoundError):
        await stores.label.save("cups", "train", "a.jpg", BOXES[1:2])
    await other.dataset.create("cups", ["cup"])
    with pytest.raises(NotFoundError):  # the new one has no such image
        await stores.label.save("cups", "train", "a.jpg", BOXES[1:2])
    assert await stores.label.load("mugs", "train", "a.jpg") == BOXES[:1]
    await stores.label.save("mugs", "train", "a.jpg", BOXES[2:3])
    await other.dataset.delete("mugs")
    with pytest.raises(NotFoundError):
        await stores.label.save("mugs", "train", "a.jpg", BOXES[:1])


async def test_what_others_say_of_a_dataset_is_seen_at_once(
    stores: Stores, address: str, tmp_path: Path
) -> None:
    """What only Workbench writes is asked for once, and again when somebody has changed it."""
    other = others(address, tmp_path)
    await stores.label.save("cups", "train", "a.jpg", BOXES[:1])
    for tag in ("blurred", "dark"):
        await other.dataset.save_tags("cups", {tag: ["a.jpg"]})
        assert await stores.dataset.get_tags("cups") == {tag: ["a.jpg"]}


async def test_a_log_goes_on_under_another_key(
    stores: Stores, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BucketReader, "longest_log", 700)
    for box in BOXES:
        await stores.label.save("cups", "train", "a.jpg", [box])
    raw = open_bucket(f"{address}/cups")
    names = sorted(raw.list(".workbench/history").names)
    assert len(names) > 2
    month = names[0].removesuffix(".jsonl")
    assert names[1:3] == [f"{month}_0001.jsonl", f"{month}_0002.jsonl"]
    edits = await others(address, tmp_path).label.history("cups", "train", "a.jpg")
    assert [edit.after for edit in edits] == [[box] for box in BOXES]


async def test_others_wait_no_longer_than_the_save(
    stores: Stores, address: str, tmp_path: Path, s3: S3Proxy
) -> None:
    """The lease of a save has ended soon after its answer, though nobody has waited for that."""
    await stores.label.save("cups", "train", "a.jpg", BOXES[:1])
    wait_until_nobody_writes(address)
    assert open_bucket(f"{address}/cups")._head.look().journal is None


async def test_each_is_told_its_own_reason(stores: Stores, s3: S3Proxy, address: str) -> None:
    """One that comes along with another, which cannot be written, is not told of that."""
    await stores.label.save("cups", "train", "b.jpg", BOXES[:1])
    wait_until_nobody_writes(address)
    s3.inject("AccessDenied", "PUT", times=100)
    found = await asyncio.gather(
        stores.label.save("cups", "train", "a.jpg", BOXES[:1]),
        stores.label.save("cups", "train", "none.jpg", BOXES[:1]),
        return_exceptions=True,
    )
    assert [type(error) for error in found] == [ReadOnlyError, NotFoundError]
    s3.heal()
    assert await stores.label.load("cups", "train", "a.jpg") == []


@pytest.mark.parametrize("what", ["cut", "late"])
@pytest.mark.parametrize("is_there", [True, False])
def test_what_a_sleep_has_broken_off_does_not_arrive_after_a_later_save(
    what: str, is_there: bool, s3: S3Proxy, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A laptop sleeps while it writes a value; others go on, and it wakes up.

    Its request is broken off by then, or was on its way all the time.
    """
    slept = [0.0]

    def clock() -> float:
        return time.monotonic() + slept[0]

    def sleep() -> None:
        other = threading.Thread(target=lambda: later.commit([Write("a.txt", b"later")]))
        other.start()
        limit = time.monotonic() + 30
        while other.is_alive() and time.monotonic() < limit:
            slept[0] += 100  # so the other one sees a silence of so long, too
            other.join(0.1)

    for name in ("storage", "writing", "ours"):
        monkeypatch.setattr(f"workbench.persistence.storage.bucket.{name}.now", clock)
    address = f"{address}/sleeping-{what}-{is_there}"
    first, later = (open_bucket(address, ttl_s=80) for _ in range(2))
    first.commit([Write("a.txt" if is_there else "b.txt", b"first")])
    s3.inject(what, "PUT", "/a.txt", meanwhile=sleep)
    change = Write("a.txt", b"before the sleep")
    first.transact(lambda: ([change] if first.read_many(["a.txt"]) else [], None))
    with first._turn:  # until its lease has ended
        assert slept[0]
    assert open_bucket(address).read("a.txt") == b"later"


def test_a_commit_goes_over_what_another_program_writes_in_that_moment(
    s3: S3Proxy, address: str
) -> None:
    address = f"{address}/over"
    storage, other = open_bucket(address), open_bucket(address)._objects
    storage.commit([Write("a.txt", b"first")])
    s3.inject("late", "PUT", "/a.txt", meanwhile=lambda: other.put("a.txt", b"another program's"))
    storage.transact(lambda: ([Write("a.txt", storage.read("a.txt") + b" and more")], None))
    assert open_bucket(address).read("a.txt") == b"first and more"
    assert storage._head.look().journal is None


def test_a_value_is_sent_again_where_no_answer_comes(s3: S3Proxy, address: str) -> None:
    storage = open_bucket(f"{address}/again")
    for what in ("cut", "lost", "SlowDown", "InternalError"):
        s3.inject(what, "PUT", "/a.txt")
        storage.commit([Write("a.txt", what.encode())])
        assert storage._head.look().journal is None  # nothing is left to be done by others
        assert storage.read("a.txt") == what.encode()
