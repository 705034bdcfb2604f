"""Storage in a bucket of Azure's kind keeps the contract, with several processes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.pictures import jpeg
from tests.storage.azure_server import CONTAINER, FOLDER, azure_server
from tools.npm import install
from workbench.persistence import create_stores
from workbench.persistence.models import Annotation
from workbench.persistence.storage import Roots, Storage, Write
from workbench.persistence.storage.bucket import BucketRoots, open_bucket
from workbench.testing import RootsContract, StorageContract

# A request is given an eighth of it, which a busy machine needs.
TTL_S = 8.0
BOXES = [Annotation(0, 0.5, 0.5, size / 20, 0.5) for size in range(1, 5)]
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def process() -> Iterator[dict[str, str]]:
    missing = install(FOLDER)
    if missing and not os.environ.get("CI"):
        pytest.skip(f"no emulator of Azure: {missing}")
    assert not missing
    with azure_server() as environment:
        yield environment


@pytest.fixture(autouse=True)
def _azure(process: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in [name for name in os.environ if name.startswith("AZURE_")]:
        monkeypatch.delenv(name)
    for name, value in process.items():
        monkeypatch.setenv(name, value)


def address_for(folder: Path) -> str:
    return f"az://{CONTAINER}/{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"


class TestAzure(StorageContract):
    shared_by_processes = True

    def make(self, folder: Path) -> Storage:
        return open_bucket(address_for(folder), ttl_s=TTL_S)


class TestAzureRoots(RootsContract):
    shared_by_processes = True

    def make(self, folder: Path) -> Roots:
        return BucketRoots(address_for(folder), ttl_s=TTL_S)


async def test_labels_of_two_kernels_come_together(tmp_path: Path) -> None:
    """Who has a copy on this machine makes its tag the condition of what is written over it."""
    address = address_for(tmp_path)
    values = [Write("data.yaml", b"names: [cup]\n"), Write("images/train/a.jpg", jpeg(1))]
    open_bucket(f"{address}/cups").commit(values)
    one, other = (create_stores(address, tmp_path / "models") for _ in range(2))
    for number in range(1, 4):
        for saving, reading in ((one, other), (other, one)):
            await saving.label.save("cups", "train", "a.jpg", BOXES[:number])
            assert await reading.label.load("cups", "train", "a.jpg") == BOXES[:number]
            await saving.label.save("cups", "train", "a.jpg", BOXES)
            assert await reading.label.load("cups", "train", "a.jpg") == BOXES
