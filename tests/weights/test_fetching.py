"""Files fetched over HTTP from this machine itself: whole, cut off, wrong, broken off, killed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.file_server import Server
from workbench.errors import FetchError
from workbench.weights.fetching import (
    MissingFilesError,
    RemoteFile,
    fetch,
    fetch_all,
    missing,
)

CONTENT = bytes(range(256)) * 20_000  # five blocks
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def remote(server: Server, **facts: object) -> RemoteFile:
    return RemoteFile("w.pt", f"{server.url}/w.pt", len(CONTENT), **facts)  # type: ignore[arg-type]


def test_a_file_comes_whole_with_progress(server: Server, tmp_path: Path) -> None:
    server.serve("/w.pt", CONTENT)
    seen: list[tuple[int, int]] = []
    folder = tmp_path / "weights"
    fetched = fetch(remote(server, digest=DIGEST), folder, lambda *now: seen.append(now))
    assert fetched == folder / "w.pt"
    assert fetched.read_bytes() == CONTENT
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert len(seen) > 3
    assert names_in(folder) == ["w.pt"]


@pytest.mark.parametrize(
    ("content", "length", "facts", "found"),
    [
        (CONTENT[:-1] + b"x", None, {"digest": DIGEST}, "SHA-256"),
        (CONTENT[:1000], len(CONTENT), {}, "1,000 of"),
        (CONTENT, None, {"size": 17}, "its release says 17"),
        (b"", None, {}, "an empty file"),
        (b"", 2**40, {}, "at most"),
    ],
)
def test_what_is_another_file_is_not_kept(
    server: Server,
    tmp_path: Path,
    content: bytes,
    length: int | None,
    facts: dict[str, object],
    found: str,
) -> None:
    (tmp_path / "w.pt").write_bytes(b"from before")
    server.serve("/w.pt", content, length=length)
    with pytest.raises(FetchError, match=found) as raised:
        fetch(remote(server, **facts), tmp_path)
    assert str(tmp_path / "w.pt") in str(raised.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"w.pt": b"from before"}


def test_size_and_digest_come_from_the_release(server: Server, tmp_path: Path) -> None:
    server.serve("/w.pt", CONTENT)
    asset = {"name": "w.pt", "size": len(CONTENT), "digest": f"sha256:{DIGEST}"}
    server.serve("/release", json.dumps({"assets": [{"name": "other.pt"}, asset]}).encode())
    file = remote(server, release=f"{server.url}/release")
    assert fetch(file, tmp_path).read_bytes() == CONTENT
    assert server.asked == ["/release", "/w.pt"]
    (tmp_path / "w.pt").unlink()
    server.serve("/w.pt", CONTENT[:-1] + b"x")
    with pytest.raises(FetchError, match="SHA-256"):
        fetch(file, tmp_path)
    server.serve("/release", b'{"assets": []}')
    with pytest.raises(FetchError, match="expected its size and digest"):
        fetch(file, tmp_path)
    assert names_in(tmp_path) == []


def test_a_server_that_has_no_such_file_or_is_not_there(server: Server, tmp_path: Path) -> None:
    server.answers["/w.pt"] = lambda request: request.send_error(404)
    with pytest.raises(FetchError, match="the answer was 404"):
        fetch(remote(server), tmp_path)
    nobody = RemoteFile("w.pt", "http://127.0.0.1:1/w.pt", 1)
    with pytest.raises(FetchError, match=r"could not be fetched from http://127\.0\.0\.1:1"):
        fetch(nobody, tmp_path)
    assert names_in(tmp_path) == []


async def test_breaking_off_keeps_nothing(server: Server, tmp_path: Path) -> None:
    server.serve_half("/w.pt", CONTENT)
    is_under_way = threading.Event()

    def progress(done: int, _total: int) -> None:
        if done:
            is_under_way.set()

    task = asyncio.create_task(fetch_all([remote(server)], tmp_path, progress))
    assert await asyncio.to_thread(is_under_way.wait, 60)
    task.cancel()
    server.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert names_in(tmp_path) == []


def test_a_process_that_is_killed_leaves_nothing_behind(server: Server, tmp_path: Path) -> None:
    server.serve_half("/w.pt", CONTENT)
    code = (
        "import sys; from pathlib import Path\n"
        "from workbench.weights.fetching import RemoteFile, fetch\n"
        "fetch(RemoteFile('w.pt', sys.argv[1], 1), Path(sys.argv[2]),"
        " lambda done, total: print(done, flush=True))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, f"{server.url}/w.pt", str(tmp_path)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"0\n"
    assert int(process.stdout.readline()) > 0
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    process.stdout.close()
    assert not (tmp_path / "w.pt").exists()
    server.serve("/w.pt", CONTENT)
    fetch(remote(server, digest=DIGEST), tmp_path)
    assert names_in(tmp_path) == ["w.pt"]


async def test_only_what_is_missing_is_fetched(server: Server, tmp_path: Path) -> None:
    server.serve("/w.pt", CONTENT)
    files = [RemoteFile("here.pt", f"{server.url}/none", 5), remote(server)]
    (tmp_path / "here.pt").write_bytes(b"mine")
    assert missing(files, tmp_path) == files[1:]
    assert await fetch_all(files, tmp_path) == [tmp_path / "here.pt", tmp_path / "w.pt"]
    assert server.asked == ["/w.pt"]
    assert (tmp_path / "here.pt").read_bytes() == b"mine"


def test_a_missing_file_is_named_with_size_and_place(tmp_path: Path) -> None:
    file = RemoteFile("w.pt", "https://example.org/w.pt", 572_000_000)
    error = MissingFilesError("This", [file], tmp_path)
    assert isinstance(error, FileNotFoundError)
    assert "w.pt (about 572 MB, from example.org)" in str(error)
    assert str(tmp_path) in str(error)
    assert "fetch=True" in str(error)


def test_an_unencrypted_way_is_refused(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a redirect from https leads to must be https: judged by the address that answered."""
    server.serve("/w.pt", CONTENT)
    answer = urllib.request.urlopen(f"{server.url}/w.pt", timeout=60)
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_args, **_how: answer)
    with pytest.raises(FetchError, match="not encrypted"):
        fetch(RemoteFile("w.pt", "https://example.org/w.pt", 1), tmp_path)
    assert answer.closed
    assert names_in(tmp_path) == []
