"""Models in a bucket: the whole way, with what is kept on this machine."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.storage.s3_proxy import S3Proxy
from workbench import Workbench
from workbench.errors import NotFoundError, SetupError, StorageError
from workbench.persistence import ModelStore, Stores, create_stores
from workbench.persistence.storage import Write
from workbench.persistence.storage.bucket import open_bucket
from workbench.persistence.stores.content_cache import ContentCache

WEIGHTS = b"weights" * 200_000


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "workbench" / "weights"


@pytest.fixture
def stores(tmp_path: Path, address: str) -> Stores:
    return create_stores(tmp_path / "data", address)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "best.pt"
    path.write_bytes(WEIGHTS)
    return path


async def save(models: ModelStore, weights: Path, name: str = "cats") -> None:
    await models.save(name, weights, "yolo11n", "pets", 50, {"best_map50": 0.87})


async def test_the_whole_way(stores: Stores, weights: Path, tmp_path: Path, address: str) -> None:
    await save(stores.model, weights)
    await stores.model.set_active("cats")
    elsewhere = create_stores(tmp_path / "other data", address).model
    [found] = await elsewhere.list()
    assert (found.name, found.is_active, found.best_map50) == ("cats", True, 0.87)
    assert found.weights_state == "ok"
    path = await elsewhere.load("cats")
    assert path.read_bytes() == WEIGHTS
    assert path == (await elsewhere.get("cats")).path
    assert path.suffix == ".pt"
    entry = await elsewhere.delete("cats")
    assert await stores.model.list() == []
    await stores.model.restore(entry.id, name="felines")
    await stores.model.rename("felines", "cats")
    assert (await elsewhere.load("cats")).read_bytes() == WEIGHTS
    await elsewhere.delete("cats")
    assert await elsewhere.purge() == 1
    storage = open_bucket(address)
    assert (storage.list().folders, storage.list(".workbench/trash").folders) == ([], [])


@pytest.mark.long
async def test_the_bucket_holds_folders_with_weights(
    stores: Stores, weights: Path, address: str
) -> None:
    await save(stores.model, weights)
    storage = open_bucket(address)
    assert sorted(storage.list("cats").names) == ["model.json", "weights.pt"]
    assert storage.read("cats/weights.pt") == WEIGHTS


@pytest.mark.long
async def test_a_second_load_downloads_nothing(
    stores: Stores, weights: Path, tmp_path: Path, address: str, s3: S3Proxy
) -> None:
    await save(stores.model, weights)
    before = s3.bytes["down"]
    await stores.model.load("cats")
    assert s3.bytes["down"] - before >= len(WEIGHTS)
    again = create_stores(tmp_path / "data", address).model
    before = s3.bytes["down"]
    assert (await again.load("cats")).read_bytes() == WEIGHTS
    assert s3.bytes["down"] - before < 10_000


@pytest.mark.long
async def test_a_list_downloads_no_weights(
    stores: Stores, weights: Path, tmp_path: Path, address: str, s3: S3Proxy, cache: Path
) -> None:
    for number in range(3):
        await save(stores.model, weights, f"model {number}")
    before = s3.bytes["down"]
    found = await create_stores(tmp_path / "data", address).model.list()
    assert [info.weights_state for info in found] == ["ok"] * 3
    assert s3.bytes["down"] - before < 20_000
    assert not cache.exists()


@pytest.mark.long
async def test_weights_that_others_have_replaced_are_noticed_and_fetched(
    stores: Stores, weights: Path, address: str
) -> None:
    await save(stores.model, weights)
    await stores.model.load("cats")
    other = WEIGHTS[:-1] + b"!"
    open_bucket(address).commit([Write("cats/weights.pt", other)])
    assert (await stores.model.get("cats")).weights_state == "changed"
    assert (await stores.model.load("cats")).read_bytes() == other


@pytest.mark.long
@pytest.mark.parametrize("damaged", [b"", b"x" * len(WEIGHTS)])
async def test_a_damaged_copy_is_fetched_again(
    stores: Stores, weights: Path, damaged: bytes
) -> None:
    await save(stores.model, weights)
    path = await stores.model.load("cats")
    path.write_bytes(damaged)
    assert (await stores.model.load("cats")).read_bytes() == WEIGHTS
    path.unlink()
    assert (await stores.model.load("cats")).read_bytes() == WEIGHTS


@pytest.mark.long
async def test_a_download_that_breaks_off_leaves_no_copy(
    stores: Stores, weights: Path, s3: S3Proxy, cache: Path
) -> None:
    await save(stores.model, weights)
    s3.inject("AccessDenied", "GET", "cats/weights.pt", times=100)
    with pytest.raises(StorageError, match="permission to read this"):
        await stores.model.load("cats")
    assert [path for path in cache.rglob("*") if path.is_file()] == []
    s3.heal()
    assert (await stores.model.load("cats")).read_bytes() == WEIGHTS


@pytest.mark.long
async def test_the_cache_stays_small(address: str, tmp_path: Path) -> None:
    models = ModelStore(open_bucket(address), ContentCache(tmp_path / "cache", 2_500))
    paths = []
    for number in range(4):
        weights = tmp_path / f"{number}.pt"
        weights.write_bytes(b"%d" % number * 1000)
        await save(models, weights, f"m{number}")
        paths.append(await models.load(f"m{number}"))
        os.utime(paths[-1], (10_000 + number,) * 2)  # used long ago
    last = await models.load("m3")
    assert [path.exists() for path in paths] == [False, False, True, True]
    assert last == paths[3]
    assert (await models.load("m0")).read_bytes() == b"0" * 1000


@pytest.mark.long
async def test_facts_of_a_stranger_lead_nowhere(
    stores: Stores, weights: Path, address: str
) -> None:
    await save(stores.model, weights)
    storage = open_bucket(address)
    facts = storage.read("cats/model.json")
    digest = hashlib.sha256(WEIGHTS).hexdigest().encode()
    storage.commit([Write("cats/model.json", facts.replace(digest, b"../../../secret"))])
    [found] = await stores.model.list()
    assert "cats/model.json" in found.problem


def test_without_obstore_it_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.persistence.addresses.find_spec", lambda name: None)
    with pytest.raises(SetupError, match=r"pip install 'yolo-workbench\[bucket\]'"):
        create_stores(tmp_path / "data", "s3://bucket/models")


def test_obstore_is_imported_for_a_bucket_only(tmp_path: Path) -> None:
    code = (
        "import sys, workbench; workbench.create_stores(sys.argv[1], sys.argv[2]); "
        "sys.exit('obstore' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", code, str(tmp_path / "data"), str(tmp_path / "models")]
    assert subprocess.run(command, env=environment, timeout=120, check=False).returncode == 0


@pytest.mark.long
async def test_a_network_from_a_bucket_predicts(tmp_path: Path, address: str, s3: S3Proxy) -> None:
    from workbench.training.environment import import_ultralytics

    weights = tmp_path / "net.pt"
    import_ultralytics().YOLO("yolo11n.yaml").save(weights)
    with Workbench(tmp_path / "data", address) as wb:
        assert repr(wb) == f"Workbench(data_dir={tmp_path / 'data'}, models_dir={address})"
        await wb.stores.model.save("net", weights, "yolo11n.yaml", "shapes")
        await wb.stores.model.set_active("net")
        frame = np.full((64, 64, 3), 127, np.uint8)
        assert await wb.predictor.predict(frame, confidence=1e-6)
    with Workbench(tmp_path / "data", address) as wb:
        before = s3.bytes["down"]
        assert await wb.predictor.predict(frame, confidence=1e-6)
        assert s3.bytes["down"] - before < 20_000
        await wb.stores.model.delete("net")
        with pytest.raises(NotFoundError):
            await wb.stores.model.load("net")
