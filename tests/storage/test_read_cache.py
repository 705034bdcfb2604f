"""What was read from a bucket is kept on this machine, and never used for anything older."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.storage.s3_proxy import S3Proxy
from workbench.persistence.storage import Write
from workbench.persistence.storage.bucket import open_bucket
from workbench.persistence.storage.bucket.cache import Kept, ReadCache

LARGE = os.urandom(100_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "objects"


def files(folder: Path) -> list[Path]:
    return [path for path in folder.glob("large/??/*") if path.is_file()]


def age(folder: Path, seconds: int) -> None:
    """Let everything have been used so long ago."""
    with sqlite3.connect(folder / "objects.sqlite") as database:
        database.execute("UPDATE copy SET used = used - ?", [seconds])
    database.close()
    for path in files(folder):
        used = path.stat().st_mtime - seconds
        os.utime(path, (used, used))


def test_copies_are_found_by_another_process_too(folder: Path) -> None:
    copies = {"b/small": Kept("1", b"small"), "b/large": Kept("2", LARGE), "b/none": Kept("3", b"")}
    ReadCache(folder).put_many(copies)
    assert ReadCache(folder).get_many([*copies, "b/other"]) == copies
    assert [path.read_bytes() for path in files(folder)] == [LARGE]
    assert folder.stat().st_mode & 0o077 == 0


def test_a_newer_copy_takes_the_place_of_an_older_one(folder: Path) -> None:
    cache = ReadCache(folder)
    cache.put_many({"a": Kept("1", b"old")})
    cache.put_many({"a": Kept("2", LARGE)})
    assert cache.get_many(["a"]) == {"a": Kept("2", LARGE)}


def test_what_has_no_tag_is_not_kept(folder: Path) -> None:
    cache = ReadCache(folder)
    cache.put_many({"a": Kept("", b"1")})
    assert cache.get_many(["a"]) == {}
    assert not folder.exists()


def test_nothing_is_made_by_looking(folder: Path) -> None:
    assert ReadCache(folder).get_many(["a"]) == {}
    assert not folder.exists()


@pytest.mark.parametrize("damage", [b"", b"x" * len(LARGE)])
def test_a_damaged_copy_is_none(folder: Path, damage: bytes) -> None:
    cache = ReadCache(folder)
    cache.put_many({"a": Kept("1", LARGE), "b": Kept("1", b"b")})
    files(folder)[0].write_bytes(damage)
    with sqlite3.connect(folder / "objects.sqlite") as database:
        database.execute("UPDATE copy SET data = ? WHERE data IS NOT NULL", [damage])
    database.close()
    assert cache.get_many(["a", "b"]) == {}


def test_a_damaged_database_is_begun_anew(folder: Path) -> None:
    folder.mkdir()
    (folder / "objects.sqlite").write_bytes(b"no database at all" * 100)
    cache = ReadCache(folder)
    assert cache.get_many(["a"]) == {}
    cache.put_many({"a": Kept("1", b"1")})
    assert cache.get_many(["a"]) == {"a": Kept("1", b"1")}


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = ReadCache(tmp_path / "file" / "objects")
    cache.put_many({"a": Kept("1", b"1"), "b": Kept("1", LARGE)})
    assert cache.get_many(["a", "b"]) == {}


def test_what_was_not_used_for_longest_goes(folder: Path) -> None:
    cache = ReadCache(folder, 250_000)
    cache.put_many({"old": Kept("1", LARGE), "used": Kept("1", b"u" * 100_000)})
    age(folder, 10_000)
    assert "used" in cache.get_many(["used"])
    cache.put_many({"new": Kept("1", b"n" * 100_000)})
    assert sorted(cache.get_many(["old", "used", "new"])) == ["new", "used"]
    assert len(files(folder)) == 2


def test_several_processes_keep_copies_at_the_same_time(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from workbench.persistence.storage.bucket.cache import Kept, ReadCache\n"
        "for n in range(100):\n"
        "    ReadCache(Path(sys.argv[1])).put_many({f'{sys.argv[2]}/{n}': Kept('1', b'x' * n)})\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(folder), name], env=environment)
        for name in ("a", "b")
    ]
    assert [process.wait(120) for process in processes] == [0, 0]
    paths = [f"{name}/{n}" for name in ("a", "b") for n in range(100)]
    assert len(ReadCache(folder).get_many(paths)) == 200


# Through a bucket


@pytest.mark.long
def test_a_second_look_at_listed_values_asks_for_none_of_them(
    address: str, s3: S3Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_bucket(address)
    keys = [f"labels/train/{n}.txt" for n in range(30)]
    storage.commit([Write(key, key.encode()) for key in keys])

    def read() -> list[bytes | Exception | None]:
        elsewhere = open_bucket(address)

        def work() -> list[bytes | Exception | None]:
            elsewhere.names("labels/train")
            return elsewhere.read_many(keys)

        return elsewhere.consistently(work)

    with s3.counted() as first:
        assert read() == [key.encode() for key in keys]
    with s3.counted() as second:
        assert read() == [key.encode() for key in keys]
    assert first == {"LIST": 1, "GET": 32}  # 2 for the head
    assert second == {"LIST": 1, "GET": 2}
    storage.commit([Write(keys[3], b"new")])
    with s3.counted() as third:
        assert read()[3:5] == [b"new", keys[4].encode()]
    assert third == {"LIST": 1, "GET": 3}

    # What is copied for the first time is looked for here once, not by each thread: they would
    # wait for the one that puts away.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another cache"))
    looks: list[int] = []
    get_many = ReadCache.get_many
    monkeypatch.setattr(
        ReadCache, "get_many", lambda self, paths: looks.append(len(paths)) or get_many(self, paths)
    )
    for name, kept in (("first", 0), ("second", len(keys))):
        looks.clear()
        paths = open_bucket(address).materialise(keys, tmp_path / name)
        assert [path.read_bytes() for path in paths[3:5]] == [b"new", keys[4].encode()]
        assert sum(looks) == kept


@pytest.mark.long
def test_a_second_look_downloads_nothing_and_sees_what_others_have_done(
    address: str, s3: S3Proxy
) -> None:
    # Patient: what a busy machine does not bring to its place at once is read from elsewhere.
    storage = open_bucket(address, ttl_s=80.0)
    storage.commit([Write("a", LARGE)])
    assert open_bucket(address).read("a") == LARGE
    before = s3.bytes["down"]
    assert open_bucket(address).read("a") == LARGE
    with open_bucket(address).open_read("a") as stream:
        assert stream.read() == LARGE
    assert s3.bytes["down"] - before < 3_000
    storage.commit([Write("a", LARGE[::-1])])
    assert open_bucket(address).read("a") == LARGE[::-1]
    with open_bucket(address).open_read("a") as stream:
        assert stream.read() == LARGE[::-1]


@pytest.mark.long
def test_beginnings_are_all_that_is_fetched_of_large_values(address: str, s3: S3Proxy) -> None:
    storage = open_bucket(address)
    storage.commit([Write("a", LARGE), Write("b", LARGE[::-1]), Write("c", b"")])
    before = s3.bytes["down"]
    assert storage.read_starts(["a", "b", "c", "d"], 100) == [
        LARGE[:100],
        LARGE[:-101:-1],
        b"",
        None,
    ]
    assert s3.bytes["down"] - before < 5_000
