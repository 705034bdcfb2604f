"""Microsoft's emulator of Azure Blob Storage, Azurite, as a process on loopback."""

from __future__ import annotations

import base64
import hashlib
import hmac
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path

from tests.storage.s3_proxy import START_S, free_port, put_when_it_answers

FOLDER = Path(__file__).with_name("azurite")
CONTAINER = "workbench-tests"
ACCOUNT = "devstoreaccount1"
# The account of every Azurite, as its manual prints it.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_VERSION = "2021-08-06"


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
        path = f"/{ACCOUNT}/{CONTAINER}?restype=container"
        assert put_when_it_answers(port, process, path, _signed) == 201
        yield {
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": KEY,
            "AZURE_STORAGE_ENDPOINT": f"http://127.0.0.1:{port}/{ACCOUNT}",
        }
    finally:
        process.kill()
        process.wait(START_S)


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
