"""``workbench serve`` as a process: its token, its end, and what a killed one has kept."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.api.conftest import AS_ANNOTATION, BOX
from tests.api.serving import ROOT, Server, serving
from tests.helpers.pictures import jpeg
from workbench.api.proxy import setup
from workbench.api.server import _listen
from workbench.api.token import TOKEN_VARIABLE
from workbench.cli import main
from workbench.errors import ConflictError
from workbench.panels.annotate.model import AnnotateModel
from workbench.persistence import create_stores


def test_the_server_tells_its_token_once_and_listens_on_this_machine_only(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        assert server.url.startswith("http://127.0.0.1:")
        assert len(server.token) >= 32
        assert sum(server.token in line for line in server.printed) == 1
        assert httpx.get(f"{server.url}/datasets").status_code == 401
        with server.client() as client:
            assert client.get("/datasets").json() == {"items": []}
            assert "server" not in client.get("/datasets").headers
            client.post("/datasets", json={"name": "pets"})
        server.process.send_signal(signal.SIGTERM)
        # uvicorn ends in order, then lets the signal have its way.
        assert server.process.wait(30) in {0, 1, -signal.SIGTERM}
    assert (tmp_path / "data/pets/data.yaml").is_file()


def test_a_token_from_outside_is_not_printed(tmp_path: Path) -> None:
    with serving(tmp_path / "data", token="known-to-both-0123456789") as server:
        with server.client() as client:
            assert client.get("/status").json()["name"] == "workbench"
        assert not any("known-to-both" in line for line in server.printed)


def test_small_answers_are_sent_at_once(tmp_path: Path) -> None:
    """What is accepted from the server's socket does not wait for acknowledgements."""

    async def accepted() -> int:
        listening = _listen("127.0.0.1", 0)
        told: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def look(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted = writer.get_extra_info("socket")
            told.set_result(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        server = await asyncio.start_server(look, sock=listening)
        async with server:
            _, writer = await asyncio.open_connection(*listening.getsockname())
            answer = await asyncio.wait_for(told, 30)
            writer.close()
            await writer.wait_closed()
        return answer

    assert asyncio.run(accepted()) != 0


def test_what_a_killed_server_had_taken_in_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    (temporary / "workbench-api-link").symlink_to(elsewhere)
    (temporary / "workbench-api-other").mkdir()
    with serving(tmp_path / "data") as server:
        host, port = server.url.split("/")[2].split(":")
        with socket.create_connection((host, int(port)), timeout=30) as half:
            head = f"POST /v1/imports?name=pets HTTP/1.1\r\nHost: {host}\r\n"
            head += f"Authorization: Bearer {server.token}\r\nContent-Length: 100000\r\n\r\n"
            half.sendall(head.encode() + b"x" * 50_000)
            deadline = time.monotonic() + 30
            while not (kept := [*temporary.glob("*/files/*.zip")]):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            os.kill(server.process.pid, signal.SIGKILL)
            server.process.wait(20)
    assert kept[0].exists()
    with serving(tmp_path / "data") as server:
        assert not kept[0].parent.parent.exists()
        [alive] = temporary.glob("*/files")
        with serving(tmp_path / "data"):
            assert alive.is_dir()
    assert (elsewhere / "precious").is_file()
    assert (temporary / "workbench-api-other").is_dir()


def test_a_port_that_is_taken_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve", "--data", str(tmp_path / "data"), f"--port={port}"]) == 1
    assert "expected an address and a free port" in capsys.readouterr().err


def test_a_file_is_no_data_folder_and_a_word_no_origin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "data.zip"
    file.write_bytes(b"PK")
    assert main(["serve", "--data", str(file)]) == 1
    said = capsys.readouterr()
    assert "expected a folder, or a place to make one, found: a file; name another" in said.err
    # Nothing is announced that does not come, and nothing is printed but a sentence.
    assert main(["serve", "--data", str(file / "x"), "--models", str(tmp_path / "m")]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert "name another one with --data" in said.err
    with pytest.raises(SystemExit):
        main(["serve", "--data", str(tmp_path), "--allow-origin", "foo"])
    assert "such as https://example.org" in capsys.readouterr().err


def test_without_its_packages_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("workbench.cli.find_spec", lambda name: None)
    assert main(["serve"]) == 1
    assert "pip install 'yolo-workbench[api]'" in capsys.readouterr().err


def test_jupyter_starts_it_with_a_token_that_only_jupyter_knows(tmp_path: Path) -> None:
    made = setup()
    token = made["environment"][TOKEN_VARIABLE]
    assert made["request_headers_override"] == {"Authorization": f"Bearer {token}"}
    assert token not in " ".join(made["command"])  # where other users of the machine would see it
    assert setup()["environment"][TOKEN_VARIABLE] != token
    script = (
        "import sys\nfrom workbench.api.proxy import setup\nsetup()\n"
        "print(sorted({'fastapi', 'numpy', 'cv2'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"  # it costs Jupyter's start nothing


def test_jupyter_server_proxy_finds_the_entry() -> None:
    import tomllib
    from importlib.metadata import EntryPoint

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    entries = project["entry-points"]["jupyter_serverproxy_servers"]
    [(name, where)] = entries.items()
    found = EntryPoint(name, where, "jupyter_serverproxy_servers").load()
    from jupyter_server_proxy.config import ServerProcess

    ServerProcess(name=name, **found())  # refuses what it does not know


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL on Windows")
def test_what_a_killed_server_has_acknowledged_is_on_disk(tmp_path: Path) -> None:
    data = tmp_path / "data"
    saved: dict[str, float] = {}
    uploaded: dict[str, str] = {}
    noting = threading.Lock()
    with serving(data) as server:
        with server.client() as client:
            client.post("/datasets", json={"name": "pets", "classes": ["cat", "dog"]})
            for number in range(8):
                name = f"{number}.jpg"
                client.put(f"/datasets/pets/images/train/{name}", content=jpeg(number))

        def work(worker: int) -> None:
            with server.client() as client:
                for turn in range(10_000):
                    x = round(0.2 + turn * 0.0001, 6)
                    name = f"new_{worker}_{turn}.jpg"
                    picture = jpeg(worker * 1000 + turn)
                    try:
                        label = client.put(
                            f"/datasets/pets/labels/train/{worker}.jpg",
                            json={"boxes": [BOX | {"x": x}]},
                        )
                        image = client.put(f"/datasets/pets/images/val/{name}", content=picture)
                    except httpx.TransportError:
                        return
                    with noting:
                        if label.status_code == 200:
                            saved[f"{worker}.txt"] = x
                        if image.status_code == 200:
                            uploaded[name] = hashlib.sha256(picture).hexdigest()

        with ThreadPoolExecutor(8) as pool:
            workers = [pool.submit(work, number) for number in range(8)]
            for _ in range(600):
                with noting:
                    enough = len(uploaded) >= 80
                if enough:
                    break
                threading.Event().wait(0.05)
            os.kill(server.process.pid, signal.SIGKILL)
            server.process.wait(20)
            for done in workers:
                done.result(60)
    assert len(uploaded) >= 80
    assert len(saved) == 8
    # Opened anew, as the next server would: what a crash has left half is completed or undone.
    import asyncio

    stores = create_stores(data, tmp_path / "models")
    asyncio.run(stores.image.list("pets"))
    for name, digest in uploaded.items():
        found = (data / "pets/images/val" / name).read_bytes()
        assert hashlib.sha256(found).hexdigest() == digest
    for name, x in saved.items():
        row = (data / "pets/labels/train" / name).read_text().split()
        assert float(row[1]) >= x  # this one, or one that was written and not acknowledged


async def test_a_notebook_and_a_server_write_the_same_labels(tmp_path: Path) -> None:
    """Two processes, one dataset: nobody's work is lost without being told."""
    data = tmp_path / "data"
    stores = create_stores(data, tmp_path / "models")
    await stores.dataset.create("pets", ["cat", "dog"])
    await stores.image.save_bytes("pets", "train", "a.jpg", jpeg(1))
    model = AnnotateModel(stores, "pets")
    await model.start()
    picture = await model.open(0)
    with serving(data) as server, server.client() as client:
        where = "/datasets/pets/labels/train/a.jpg"
        seen = client.get(where)
        assert client.put(
            where, json={"boxes": [BOX]}, headers={"If-Match": seen.headers["etag"]}
        ).is_success  # fmt: skip
        # The notebook has not seen that: it is told, and nothing is overwritten.
        with pytest.raises(ConflictError):
            await model.save(picture.key, picture.labels.revision, [])
        assert await stores.label.load("pets", "train", "a.jpg") == [AS_ANNOTATION]
        # It looks again, shows what the server has written, and saves on top of that.
        fresh = await model.open(0)
        assert fresh.labels.annotations == [AS_ANNOTATION]
        await model.save(fresh.key, fresh.labels.revision, [AS_ANNOTATION] * 2)
        # Now the server's client is the one who has seen something older.
        stale = client.put(
            where, json={"boxes": []}, headers={"If-Match": f'"{fresh.labels.revision}"'}
        )
        assert stale.status_code == 412
        assert stale.json()["current"]["boxes"] == [BOX, BOX]

        # And both at once: each acknowledged write is in the history.
        def upload(number: int) -> int:
            return client.put(
                f"/datasets/pets/images/val/s{number}.jpg", content=jpeg(number)
            ).status_code  # fmt: skip

        import asyncio

        with ThreadPoolExecutor(4) as pool:
            sent = [pool.submit(upload, number) for number in range(20)]
            for number in range(20):
                await stores.image.save_bytes("pets", "val", f"n{number}.jpg", jpeg(number))
            assert [await asyncio.wrap_future(one) for one in sent] == [200] * 20
        assert len(await stores.image.list("pets", "val")) == 40
        listed = client.get("/datasets/pets/images", params={"query": "split:val", "limit": 100})
        assert listed.json()["total"] == 40
        assert json.loads(listed.text)["next"] is None


@pytest.mark.parametrize("token", ["two\nlines", "schlüssel", "with space"])
def test_a_token_that_no_header_carries_is_refused(
    token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, token)
    assert main(["serve", "--data", str(tmp_path / "data")]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert f"{TOKEN_VARIABLE}: expected letters, digits" in said.err
    assert token not in said.err


def _raw(server: Server, request: bytes) -> socket.socket:
    port = int(server.url.rsplit(":", 1)[1].split("/")[0])
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    head, _, body = request.partition(b"\r\n\r\n")
    known = f"\r\nHost: x\r\nAuthorization: Bearer {server.token}\r\n\r\n".encode()
    connection.sendall(head + known + body)
    return connection


def test_who_breaks_off_leaves_no_traceback(tmp_path: Path) -> None:
    long = b"Content-Length: 50000\r\n\r\nxx"
    with serving(tmp_path / "data") as server:
        with server.client() as client:
            client.post("/datasets", json={"name": "pets"})
        before = len(server.printed)
        for line, kind in (
            (b"PUT /v1/datasets/pets/images/train/a.jpg", b"image/jpeg"),
            (b"PUT /v1/datasets/pets/labels/train/a.jpg", b"application/json"),
            (b"POST /v1/datasets/pets/images", b"multipart/form-data; boundary=x"),
            (b"POST /v1/imports?name=x", b"application/zip"),
        ):
            request = line + b" HTTP/1.1\r\nContent-Type: " + kind + b"\r\n" + long
            _raw(server, request).close()
        with server.client() as client:  # it has met them all when it answers this
            for _ in range(5):
                assert client.get("/status").status_code == 200
    said = server.printed[before:]
    assert len(said) <= 4, said  # a line for each at most
    assert not any("Traceback" in line for line in said)


def test_the_end_with_an_open_upload_is_told_in_lines(tmp_path: Path) -> None:
    long = b"Content-Type: image/jpeg\r\nContent-Length: 50000\r\n\r\nxx"
    with serving(tmp_path / "data") as server:
        with server.client() as client:
            client.post("/datasets", json={"name": "pets"})
        before = len(server.printed)
        slow = _raw(server, b"PUT /v1/datasets/pets/images/train/a.jpg HTTP/1.1\r\n" + long)
        with server.client() as client:
            assert client.get("/status").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) in {0, 1, -signal.SIGTERM}
        slow.close()
    said = server.printed[before:]
    assert not any("Traceback" in line for line in said), said
    assert sum("broken off, the server ends" in line for line in said) == 1
    assert len(said) <= 3
