"""Storage in a bucket keeps the contract through a real server, with several processes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.storage.s3_proxy import BUCKET, S3Proxy
from workbench.persistence.storage import Roots, Storage
from workbench.persistence.storage.bucket import BucketRoots, open_bucket
from workbench.testing import RootsContract, StorageContract

# A request is given an eighth of it, which a busy machine needs.
TTL_S = 8.0


@pytest.mark.long
class TestBucketServer(StorageContract):
    shared_by_processes = True

    @pytest.fixture(autouse=True)
    def _server(self, s3: S3Proxy) -> None:
        pass

    def make(self, folder: Path) -> Storage:
        prefix = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
        return open_bucket(f"s3://{BUCKET}/{prefix}", ttl_s=TTL_S)


@pytest.mark.long
class TestBucketRoots(RootsContract):
    shared_by_processes = True

    @pytest.fixture(autouse=True)
    def _server(self, s3: S3Proxy) -> None:
        pass

    def make(self, folder: Path) -> Roots:
        prefix = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
        return BucketRoots(f"s3://{BUCKET}/{prefix}", ttl_s=TTL_S)
