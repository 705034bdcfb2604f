"""What is a bucket's own: open journals, lost answers, dead and overtaken writers, words.

What needs the server is in the long lane, but for one test.
"""

from __future__ import annotations

import http.client
import io
import json
import logging
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime

import obstore
import pytest
from obstore.store import MemoryStore

from tests.storage.s3_proxy import BUCKET, S3Proxy
from workbench.errors import (
    BusyError,
    ConflictError,
    InvalidDatasetError,
    ReadOnlyError,
    SetupError,
    StorageError,
    UnreachableError,
)
from workbench.persistence.storage import Append, Move, Remove, Storage, Write
from workbench.persistence.storage.bucket import BucketStorage, open_bucket
from workbench.persistence.storage.bucket.objects import _found
from workbench.testing.storage import contents

HEAD = ".workbench/lock"
TTL_S = 1.2
_LIMIT_S = 60.0


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def opened(store: MemoryStore, ttl_s: float = TTL_S) -> BucketStorage:
    return BucketStorage(store, "memory", ttl_s=ttl_s)


def head_of(store: MemoryStore) -> dict[str, object]:
    found: dict[str, object] = json.loads(bytes(obstore.get(store, HEAD).bytes()))
    return found


def objects_of(store: MemoryStore) -> set[str]:
    return {meta["path"] for meta in obstore.list(store).collect()}


def write_head(store: MemoryStore, values: list[list[object]], gone: list[str]) -> None:
    """Leave what a writer leaves that died right after its commit."""
    journal = {"id": "j1", "gone": gone, "values": values}
    head = {"nonce": "n1", "serial": 7, "fence": 3, "holder": "dead", "who": "somebody"}
    content = {**head, "ttl_s": 0.3, "commit": "j1", "journal": journal}
    obstore.put(store, HEAD, json.dumps(content).encode())


def tag(store: MemoryStore, key: str) -> object:
    return obstore.head(store, key)["e_tag"]


# The layout is everybody's


def test_values_are_objects_under_their_keys(store: MemoryStore) -> None:
    storage = opened(store)
    storage.commit([Write("images/train/a.jpg", b"a"), Write("large", b"x" * 100_000)])
    assert objects_of(store) == {"images/train/a.jpg", "large", HEAD}
    assert bytes(obstore.get(store, "large").bytes()) == b"x" * 100_000
    obstore.put(store, "by/another/tool", b"1")
    assert storage.read("by/another/tool") == b"1"


def test_a_bucket_that_nobody_has_written_to_is_read_without_writing(store: MemoryStore) -> None:
    obstore.put(store, "a/b", b"1")
    assert contents(opened(store)) == {"a/b": b"1"}
    assert objects_of(store) == {"a/b"}


def test_nobody_holds_the_lease_afterwards(store: MemoryStore) -> None:
    opened(store).commit([Write("a", b"1")])
    head = head_of(store)
    assert (head["holder"], head["journal"], head["fence"]) == ("", None, 1)


@pytest.mark.parametrize("ttl_s", ["1e9", "-1", "NaN", "Infinity"])
def test_nobody_is_kept_waiting_for_good(ttl_s: str, store: MemoryStore) -> None:
    """Something has written that it holds the lease for longer than anybody would."""
    storage = opened(store)
    storage.commit([Write("a", b"1")])
    head = {**head_of(store), "nonce": "another", "holder": "dead", "ttl_s": "TTL"}
    obstore.put(store, HEAD, json.dumps(head).replace('"TTL"', ttl_s).encode())
    with pytest.raises(InvalidDatasetError, match=r"lock: expected what Workbench writes"):
        storage.commit([Write("a", b"2")])
    with pytest.raises(InvalidDatasetError, match="seconds"):
        opened(store).read("a")


# A writer that died after its commit


@pytest.fixture
def left_open(store: MemoryStore) -> MemoryStore:
    """Nothing of the commit has been carried out yet."""
    for key in ("a", "b", "gone", "old/x", "only/one", "stays"):
        obstore.put(store, key, key.encode())
    obstore.put(store, ".workbench/tx/3-aa/0", b"staged")
    values: list[list[object]] = [
        ["a", "bmV3"],  # "new"
        ["new/x", 5, "old/x", tag(store, "old/x")],
        ["weights", 6, ".workbench/tx/3-aa/0", ""],
    ]
    write_head(store, values, ["gone", "old/x", "only/one"])
    return store


_AFTER = {"a": b"new", "b": b"b", "new/x": b"old/x", "weights": b"staged", "stays": b"stays"}


def test_readers_see_a_commit_that_nobody_has_carried_out(left_open: MemoryStore) -> None:
    before = objects_of(left_open)
    storage = opened(left_open)
    assert contents(storage) == _AFTER
    assert sorted(storage.list().folders) == ["new"]
    assert not storage.exists("only")
    assert not storage.exists("old/x")
    with storage.open_read("new/x") as stream:
        assert stream.read() == b"old/x"
    head = storage.head("weights")
    assert head is not None
    assert head.size == 6
    listing = storage.list("new")
    assert (listing.names, listing.sizes.tolist()) == (["x"], [5])
    assert objects_of(left_open) == before  # reading never writes


@pytest.mark.parametrize("done", range(4))
def test_the_next_writer_carries_on_wherever_the_first_stopped(
    left_open: MemoryStore, done: int
) -> None:
    if done > 0:
        obstore.copy(left_open, "old/x", "new/x")
    if done > 1:
        obstore.put(left_open, "a", b"new")
        obstore.copy(left_open, ".workbench/tx/3-aa/0", "weights")
    if done > 2:
        obstore.delete(left_open, ["gone", "old/x"])
    storage = opened(left_open)
    assert contents(storage) == _AFTER
    storage.commit([Write("more", b"m"), Append("a", b"er")])
    assert contents(storage) == {**_AFTER, "a": b"newer", "more": b"m"}
    assert objects_of(left_open) == {*_AFTER, "more", HEAD}  # and tidied up
    assert head_of(left_open)["fence"] == 4


def test_a_copy_is_not_made_again_from_what_has_changed(store: MemoryStore) -> None:
    obstore.put(store, "a", b"A")
    first = tag(store, "a")
    obstore.put(store, "a", b"new a")
    obstore.put(store, "b", b"A")
    write_head(store, [["b", 1, "a", first], ["a", "bmV3IGE="]], [])
    opened(store).commit([Write("c", b"c")])
    assert contents(opened(store)) == {"a": b"new a", "b": b"A", "c": b"c"}


@pytest.mark.parametrize(
    ("values", "gone"),
    [
        ([["../x", "bmV3"]], []),
        ([[".workbench/lock", "bmV3"]], []),
        ([["a", 3, ".workbench/lock", ""]], []),
        ([["a", 3, "../../x", "tag"]], []),
        ([["a", "not base64!"]], []),
        ([], ["../x"]),
    ],
)
def test_a_journal_of_a_stranger_is_refused(
    store: MemoryStore, values: list[list[object]], gone: list[str]
) -> None:
    obstore.put(store, "a", b"A")
    write_head(store, values, gone)
    storage = opened(store)
    with pytest.raises(InvalidDatasetError, match="lock"):
        storage.read("a")
    with pytest.raises(InvalidDatasetError, match="lock"):
        storage.commit([Remove("a")])
    assert objects_of(store) == {"a", HEAD}


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"nonce": 1}'])
def test_a_head_that_is_none_is_named(store: MemoryStore, data: bytes) -> None:
    obstore.put(store, HEAD, data)
    with pytest.raises(InvalidDatasetError, match=r"memory/\.workbench/lock"):
        opened(store).commit([Write("a", b"1")])


# Leases


@pytest.mark.long
def test_a_living_holder_keeps_its_lease_however_long(store: MemoryStore) -> None:
    one, other = opened(store, 2.0), opened(store, 2.0)
    done = threading.Event()

    def write() -> None:
        other.commit([Append("log", b"2")])
        done.set()

    thread = threading.Thread(target=write)
    with one.lease() as writer:
        thread.start()
        assert not done.wait(5.0)
        writer.commit([Append("log", b"1")])
    thread.join(_LIMIT_S)
    assert one.read("log") == b"12"


def test_who_was_silent_for_too_long_has_lost_its_lease(store: MemoryStore) -> None:
    one, other = opened(store), opened(store)
    with one.lease() as writer:
        writer._ended.set()  # type: ignore[attr-defined]  # it is not renewed any more
        other.commit([Write("a", b"other's")])
        with pytest.raises(ConflictError, match="somebody else has begun"):
            writer.commit([Write("a", b"one's")])
    assert other.read("a") == b"other's"
    one.commit([Write("b", b"1")])
    assert contents(other) == {"a": b"other's", "b": b"1"}


def test_what_dead_writers_have_staged_is_removed(store: MemoryStore) -> None:
    one, other = opened(store), opened(store)
    with one.lease() as writer:
        writer.stage(io.BytesIO(b"x"))
        writer._ended.set()  # type: ignore[attr-defined]
        other.commit([Write("a", b"1")])
    assert objects_of(store) == {"a", HEAD}


def test_reading_a_block_again_and_again_while_others_write(store: MemoryStore) -> None:
    storage, other = opened(store), opened(store)
    storage.commit([Write("a", b"0"), Write("b", b"0")])
    calls = 0

    def work() -> list[bytes | Exception | None]:
        nonlocal calls
        calls += 1
        first = storage.read("a")
        if calls < 3:
            other.commit([Write("a", b"%d" % calls), Write("b", b"%d" % calls)])
        return [first, storage.read("b")]

    assert storage.consistently(work) == [b"2", b"2"]
    assert calls == 3


def test_a_tag_is_the_same_listed_or_looked_at() -> None:
    """Azure says ``"0x8D"`` of a value and ``0x8D`` in a list; others the same in both."""
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    said = {"path": "a", "size": 1, "last_modified": moment, "version": None}
    tags = [_found({**said, "e_tag": tag}).tag for tag in ("0x8D", '"0x8D"', '"d41d8"', "7")]
    assert tags == ['"0x8D"', '"0x8D"', '"d41d8"', "7"]


# Through a server


def test_a_server_keeps_what_it_is_told(address: str) -> None:
    storage, other = open_bucket(address), open_bucket(address)
    large = os.urandom(9_000_000)
    with storage.lease() as writer:
        staged = writer.stage(io.BytesIO(large))
        writer.commit([Write("m/weights.pt", staged), Write("m/Käfer %41.txt", b"1")])
    storage.commit([Move("m", "n"), Append("log", b"1")])
    assert sorted(other.list("n").names) == ["Käfer %41.txt", "weights.pt"]
    with other.open_read("n/weights.pt") as stream:
        assert stream.seek(8_999_990) == 8_999_990
        assert stream.read() == large[-10:]
        stream.seek(5)
        assert stream.read(3) == large[5:8]
    head = other.head("log")
    assert head is not None
    other.commit([Write("log", b"2", if_stamp=head.stamp)])
    with pytest.raises(ConflictError, match="log"):
        storage.commit([Write("log", b"3", if_stamp=head.stamp)])
    assert storage.read_many(["log", "m/weights.pt"]) == [b"2", None]
    other.commit([Remove("n")])
    assert contents(storage) == {"log": b"2"}


@pytest.mark.long
def test_a_look_costs_one_request_more_than_what_it_looks_at(s3: S3Proxy, address: str) -> None:
    storage = open_bucket(address)
    storage.commit([Write(f"a/{number}", b"x") for number in range(30)])
    storage.read("a/1")
    with s3.counted() as one:
        storage.read("a/1")
    with s3.counted() as many:
        storage.read_many([f"a/{number}" for number in range(30)])
    with s3.counted() as listing:
        storage.list("a")
    with s3.counted() as written:
        storage.commit([Write("a/1", b"y")])
    assert (one, many, listing) == ({"GET": 2}, {"GET": 31}, {"LIST": 1, "GET": 1})
    assert written == {"PUT": 3}  # lease with commit, value, end
    with storage.lease() as writer, s3.counted() as leased:
        storage.read("a/1")
        writer.commit([Write("a/1", b"z")])
    assert leased == {"GET": 1, "PUT": 2}


@pytest.mark.long
def test_a_large_value_is_one_request(s3: S3Proxy, address: str) -> None:
    storage, large = open_bucket(address), os.urandom(20_000_000)
    with storage.lease() as writer:
        writer.commit([Write("large", writer.stage(io.BytesIO(large)))])
    before = s3.bytes["down"]
    with s3.counted() as requests, storage.open_read("large") as stream:
        found = b"".join(iter(lambda: stream.read(1_000_000), b""))
    assert found == large
    assert requests == {"GET": 2}  # the value, and whether anything has changed
    assert s3.bytes["down"] - before < len(large) + 10_000


@pytest.mark.long
def test_a_connection_that_breaks_in_the_middle_is_mended(s3: S3Proxy, address: str) -> None:
    storage, large = open_bucket(address), os.urandom(20_000_000)
    with storage.lease() as writer:
        writer.commit([Write("large", writer.stage(io.BytesIO(large)))])
    s3.inject("half", "GET", "/large")
    with storage.open_read("large") as stream:
        assert stream.read() == large
    with storage.open_read("large") as stream:
        stream.read(1)
        storage.commit([Write("large", b"another one")])
        stream.seek(15_000_000)
        with pytest.raises(ConflictError, match="large: expected it to stay"):
            stream.read()


@pytest.mark.long
def test_a_long_listing_comes_in_pages(s3: S3Proxy, address: str) -> None:
    storage = open_bucket(address)
    storage.commit([Write(f"a/{number}", b"") for number in range(1100)])
    with s3.counted() as requests:
        assert len(storage.list("a").names) == 1100
    assert requests["LIST"] == 2


@pytest.mark.long
@pytest.mark.parametrize("ending", [HEAD, "/a"])
@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("what", ["lost", "cut", "SlowDown", "InternalError"])
def test_answers_that_do_not_arrive(
    s3: S3Proxy, address: str, what: str, times: int, ending: str
) -> None:
    """Whatever is asked again, nothing happens twice and nothing is lost."""
    storage, other = open_bucket(address, ttl_s=8), open_bucket(address, ttl_s=8)
    storage.commit([Append("a", b"0")])
    s3.inject(what, "PUT", ending, times)
    storage.commit([Append("a", b"1")])
    s3.heal()
    assert other.read("a") == b"01"
    other.commit([Append("a", b"2")])
    assert storage.read("a") == b"012"


@pytest.mark.long
def test_a_commit_that_cannot_be_carried_out_has_happened(
    s3: S3Proxy, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    storage, other = open_bucket(address, ttl_s=4), open_bucket(address, ttl_s=4)
    s3.inject("InternalError", "PUT", "/a", times=1000)
    with caplog.at_level(logging.WARNING, "workbench"):
        storage.commit([Write("a", b"1"), Write("b", b"2")])
    assert "a commit has happened, and is to be finished later" in caplog.text
    assert (storage.read("a"), other.read("a")) == (b"1", b"1")
    with pytest.raises(StorageError, match="/a: expected an answer"):
        other.commit([Write("c", b"3")])
    s3.heal()
    other.commit([Write("c", b"3")])
    assert contents(storage) == {"a": b"1", "b": b"2", "c": b"3"}


_REFUSALS: dict[str, tuple[type[Exception], str]] = {
    "InvalidAccessKeyId": (StorageError, "credentials that are known there, found InvalidAcc"),
    "RequestTimeTooSkewed": (StorageError, "this machine's clock to be right"),
    "AccessDenied": (StorageError, "permission to read this"),
    "SlowDown": (BusyError, "wait a minute"),
    "cut": (StorageError, "see to the network"),
    "NotImplemented": (StorageError, "the service to do as it is asked, found NotImplemented"),
}


@pytest.mark.long
@pytest.mark.parametrize("what", _REFUSALS)
def test_what_a_service_refuses_is_told_in_words(s3: S3Proxy, address: str, what: str) -> None:
    storage = open_bucket(address, ttl_s=TTL_S)
    error, words = _REFUSALS[what]
    s3.inject(what, times=1000)
    with pytest.raises(error, match=words) as raised:
        storage.read("a")
    assert address in str(raised.value)
    assert "of-the-tests" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


@pytest.mark.long
def test_who_may_only_read_reads(s3: S3Proxy, address: str) -> None:
    open_bucket(address).commit([Write("a", b"1")])
    s3.inject("AccessDenied", "PUT", times=1000)
    storage = open_bucket(address)
    assert storage.read("a") == b"1"
    with pytest.raises(ReadOnlyError, match="permission to change this"):
        storage.commit([Write("a", b"2")])
    assert storage.read("a") == b"1"


@pytest.mark.long
def test_a_bucket_that_is_not_there(s3: S3Proxy) -> None:
    storage = open_bucket("s3://no-such-bucket/x")
    for call in (lambda: storage.read("a"), lambda: storage.commit([Write("a", b"1")])):
        with pytest.raises(StorageError, match=r"s3://no-such-bucket/x.*a bucket of this name"):
            call()


@pytest.mark.long
def test_a_network_that_is_not_there(s3: S3Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    storage = open_bucket(f"s3://{BUCKET}/x", ttl_s=TTL_S)
    with pytest.raises(StorageError, match="see to the network and to the endpoint"):
        storage.read("a")


@pytest.mark.parametrize("name", ["../a.jpg", "./a.jpg", "/a.jpg", "a%09.jpg"])
def test_an_object_that_cannot_be_listed_is_named(name: str, address: str, s3: S3Proxy) -> None:
    """Another program has put it there; nobody shall look for the fault in the network."""
    storage = open_bucket(address)
    storage.commit([Write("images/b.jpg", b"1")])
    connection = http.client.HTTPConnection("127.0.0.1", s3.upstream)
    connection.request("PUT", f"/{address.removeprefix('s3://')}/images/{name}", b"x")
    assert connection.getresponse().status == 200
    connection.close()
    with pytest.raises(StorageError, match=r"found an object '.*images/.*rename it") as raised:
        storage.list("images")
    assert not isinstance(raised.value, UnreachableError)
    assert storage.read("images/b.jpg") == b"1"


@pytest.mark.parametrize("path", ["data/../other", "data//cups", "./data"])
def test_an_address_leads_only_downwards(path: str) -> None:
    with pytest.raises(SetupError, match="expected names between the slashes"):
        open_bucket(f"s3://bucket/{path}")


@pytest.mark.parametrize(
    "address",
    [
        "s3://key:secret@bucket/x",
        "s3://bucket/x?token=secret",
        "s3://bucket/x#secret",
        "s3:///x",
        "ftp://user:secret@bucket/x",
    ],
)
def test_credentials_do_not_belong_into_an_address(address: str) -> None:
    with pytest.raises(SetupError, match="expected an address") as raised:
        open_bucket(address)
    assert "secret" not in str(raised.value)


_COUNTER = """
import sys
from workbench.persistence.storage import Append, Write
from workbench.persistence.storage.bucket import open_bucket

storage = open_bucket(sys.argv[1], ttl_s=4)
for _ in range(int(sys.argv[2])):
    with storage.lease() as writer:
        number = int(storage.read("count"))
        writer.commit([Write("count", b"%d" % (number + 1)), Append("log", b".")])
"""


@pytest.mark.long
def test_two_processes_lose_nothing(address: str) -> None:
    storage: Storage = open_bucket(address)
    storage.commit([Write("count", b"0")])
    command = [sys.executable, "-c", _COUNTER, address, "25"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    processes = [subprocess.Popen(command, env=environment) for _ in range(2)]
    try:
        limit = time.monotonic() + 2 * _LIMIT_S
        for process in processes:
            assert process.wait(limit - time.monotonic()) == 0
    finally:
        for process in processes:
            process.kill()
            process.wait(_LIMIT_S)
    assert (storage.read("count"), storage.read("log")) == (b"50", b"." * 50)


@pytest.mark.long
def test_nothing_secret_is_written_down(s3: S3Proxy, address: str) -> None:
    storage = open_bucket(address)
    with storage.lease() as writer:
        writer.commit([Write("a", b"1")])
        got = storage._objects.get(HEAD)
        assert got is not None
        head = bytes(got.bytes())
    assert b"process" in head
    assert b"of-the-tests" not in head
    assert "of-the-tests" not in repr(vars(storage)) + storage.where
