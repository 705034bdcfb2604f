"""Microsoft's emulator of Azure Blob Storage, Azurite, as a process on loopback."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path

from tests.storage.s3_proxy import free_port

FOLDER = Path(__file__).with_name("azurite")
CONTAINER = "workbench-tests"
ACCOUNT = "devstoreaccount1"
# The account of every Azurite, as its manual prints it.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_VERSION = "2021-08-06"
_START_S = 60.0


@contextmanager
def azure_server() -> Iterator[dict[str, str]]:
    """Start it, with an empty container; yield what a client has to find in its environment."""
    port = free_port()
    program = FOLDER / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    options = ["--blobPort", str(port), "--inMemoryPersistence", "--skipApiVersionCheck"]
    node = shutil.which("node") or "node"
    process = subprocess.Popen(
        [node, str(program), *options, "--silent", "--disableTelemetry"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _make_container(port, process)
        yield {
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": KEY,
            "AZURE_STORAGE_ENDPOINT": f"http://127.0.0.1:{port}/{ACCOUNT}",
        }
    finally:
        process.kill()
        process.wait(_START_S)


def _make_container(port: int, process: subprocess.Popen[bytes]) -> None:
    limit = time.monotonic() + _START_S
    while time.monotonic() < limit:
        assert process.poll() is None, "the server ended by itself"
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            path = f"/{ACCOUNT}/{CONTAINER}?restype=container"
            connection.request("PUT", path, headers=_signed())
            assert connection.getresponse().status == 201
            return
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    raise TimeoutError("the server did not start")


def _signed() -> dict[str, str]:
    """Return the headers of the request for the container ("Authorize with Shared Key")."""
    date = formatdate(usegmt=True)
    canonical = f"x-ms-date:{date}\nx-ms-version:{_VERSION}\n"
    resource = f"/{ACCOUNT}/{ACCOUNT}/{CONTAINER}\nrestype:container"
    text = "PUT" + "\n" * 12 + canonical + resource
    digest = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
    return {
        "x-ms-date": date,
        "x-ms-version": _VERSION,
        "Content-Length": "0",
        "Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}",
    }
