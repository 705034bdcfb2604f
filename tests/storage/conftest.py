"""A bucket on loopback."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.s3_proxy import BUCKET, S3Proxy, environment, s3_server


@pytest.fixture(scope="session")
def s3_process() -> Iterator[S3Proxy]:
    with s3_server() as proxy:
        yield proxy


@pytest.fixture
def s3(s3_process: S3Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[S3Proxy]:
    """The proxy, without faults; its address and credentials are in the environment.

    What is kept on this machine is in a folder of the test's own.
    """
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in environment(s3_process).items():
        monkeypatch.setenv(name, value)
    s3_process.heal()
    yield s3_process
    s3_process.heal()


@pytest.fixture
def address(request: pytest.FixtureRequest, s3: S3Proxy) -> str:
    """A prefix of the test's own."""
    return f"s3://{BUCKET}/{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]}"
