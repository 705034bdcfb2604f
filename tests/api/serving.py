"""A server in a process of its own, as ``workbench serve`` starts it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    process: subprocess.Popen[str]
    url: str
    token: str
    printed: list[str]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=self.headers, timeout=30)


@contextmanager
def serving(
    data: Path, *arguments: str, token: str = "", folder: Path | None = None
) -> Iterator[Server]:
    """Run ``workbench serve`` on a free port of this machine; kill it afterwards."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    if token:
        environment["WORKBENCH_API_TOKEN"] = token
    command: Sequence[str] = (
        sys.executable, "-m", "workbench", "serve", "--data", str(data), *arguments
    )  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
        cwd=folder or data.parent,
    )  # fmt: skip
    assert process.stdout is not None
    printed: list[str] = []
    ready = threading.Event()
    wanted = 1 if token else 2

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            printed.append(line.rstrip("\n"))
            if len(printed) >= wanted:
                ready.set()
        ready.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        assert ready.wait(_SECONDS), printed
        text = "\n".join(printed)
        found = re.search(r"at (http://\S+)", text)
        assert found is not None, text
        shown = re.search(r"Bearer (\S+)", text)
        known = token or (shown.group(1) if shown else "")
        server = Server(process, found.group(1), known, printed)
        with server.client() as client:
            _wait(client)
        yield server
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(20)
        reader.join(20)
        process.stdout.close()


def _wait(client: httpx.Client) -> None:
    deadline = threading.Event()
    for _ in range(_SECONDS * 20):
        try:
            if client.get("/status").status_code == 200:
                return
        except httpx.TransportError:
            deadline.wait(0.05)
    raise AssertionError("the server does not answer")
