"""What training starts from, by the name that a person gave."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import AsyncMock

import pytest

from tests.helpers.file_server import Server
from workbench.errors import InvalidConfigError, TrainingError
from workbench.persistence import ModelStore
from workbench.persistence.models import ModelInfo
from workbench.training.base_models import (
    START,
    as_typed,
    fetch_weights,
    resolve_base_model,
    weights_dir,
)
from workbench.weights import ultralytics_release

WEIGHTS = bytes(range(256)) * 5_000
DIGEST = hashlib.sha256(WEIGHTS).hexdigest()


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncMock:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    weights = tmp_path / "mine.pt"
    weights.write_bytes(b"weights")
    store = AsyncMock(spec=ModelStore)
    store.list.return_value = [
        ModelInfo("blood v1", weights),
        ModelInfo("lost", tmp_path / "gone.pt", weights_state="missing"),
    ]
    store.load.return_value = weights
    return store


async def test_a_model_of_the_store_comes_first(models: AsyncMock, tmp_path: Path) -> None:
    base = await resolve_base_model("blood v1", models)
    assert (base.source, base.label, base.pretrained) == (
        str(tmp_path / "mine.pt"),
        "blood v1",
        True,
    )


async def test_a_model_without_its_weights_is_an_error(models: AsyncMock) -> None:
    with pytest.raises(TrainingError, match=r"gone\.pt is gone"):
        await resolve_base_model("lost", models)


async def test_a_weights_file_is_taken_by_its_path(models: AsyncMock, tmp_path: Path) -> None:
    base = await resolve_base_model("mine.pt", models)
    assert (base.source, base.pretrained) == (str(tmp_path / "mine.pt"), True)


async def test_a_file_of_another_kind_is_refused(models: AsyncMock, tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").touch()
    with pytest.raises(InvalidConfigError, match=r"expected a \.pt file"):
        await resolve_base_model("mine.onnx", models)


async def test_a_path_to_nothing_is_an_error(models: AsyncMock) -> None:
    with pytest.raises(InvalidConfigError, match="no file"):
        await resolve_base_model("folder/mine2.pt", models)


@pytest.mark.parametrize("name", ["yolo11n.yaml", "yolov8s.yaml", "yolo26n.yaml"])
async def test_an_architecture_is_random_weights(models: AsyncMock, name: str) -> None:
    base = await resolve_base_model(name, models)
    assert (base.source, base.pretrained, base.fetch) == (name, False, False)
    assert "random weights" in base.note


@pytest.mark.parametrize("name", ["yolo11n.pt", "yolo11n"])
async def test_weights_that_are_not_here_become_the_architecture_and_it_is_said(
    models: AsyncMock, name: str
) -> None:
    base = await resolve_base_model(name, models)
    assert (base.source, base.pretrained, base.fetch) == ("yolo11n.yaml", False, False)
    assert "yolo11n.pt is not on this disk" in base.note
    assert "allow_download=True" in base.note


async def test_weights_that_are_not_here_are_fetched_if_allowed(models: AsyncMock) -> None:
    base = await resolve_base_model("yolo11n", models, allow_download=True)
    assert (base.source, base.fetch) == (str(weights_dir() / "yolo11n.pt"), True)


async def test_weights_that_were_fetched_before_are_used(models: AsyncMock) -> None:
    weights_dir().mkdir(parents=True)
    (weights_dir() / "yolo11n.pt").write_bytes(b"weights")
    base = await resolve_base_model("yolo11n", models)
    assert (base.source, base.pretrained, base.fetch) == (
        str(weights_dir() / "yolo11n.pt"),
        True,
        False,
    )


@pytest.mark.parametrize(("name", "near"), [("yolo11nn", "yolo11n"), ("blood v2", "blood v1")])
async def test_an_unknown_name_gets_the_nearest_ones(
    models: AsyncMock, name: str, near: str
) -> None:
    with pytest.raises(InvalidConfigError, match=f"did you mean .*{near}"):
        await resolve_base_model(name, models)


async def test_weights_that_come_along_need_no_download(models: AsyncMock) -> None:
    base = await resolve_base_model("things.pt", models)
    assert (base.source, base.label) == (str(START), "things.pt")
    assert base.pretrained
    assert not base.fetch
    assert "comes with Workbench" in base.note
    assert "things.pt" in (await resolve_base_model("yolo11n.pt", models)).note


async def test_a_model_for_another_task_is_refused(models: AsyncMock) -> None:
    with pytest.raises(InvalidConfigError, match=r"not a detection model; take yolo11n\.pt"):
        await resolve_base_model("yolo11n-seg.pt", models)


def test_a_download_that_fails_says_what_else_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # refuses every connection
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(TrainingError, match=r"could not be fetched .* start from yolo11n\.yaml"):
        fetch_weights(weights_dir() / "yolo11n.pt")
    assert list(weights_dir().iterdir()) == []


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Return a server in the place of the release of Ultralytics; it tells of one file."""
    server = Server()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(ultralytics_release, "_ASSETS", server.url)
    monkeypatch.setattr(ultralytics_release, "_LISTING", f"{server.url}/release")
    facts = {"name": "yolo11n.pt", "size": len(WEIGHTS), "digest": f"sha256:{DIGEST}"}
    server.serve("/release", json.dumps({"assets": [facts]}).encode())
    yield server
    server.close()


def test_weights_come_from_the_release(release: Server) -> None:
    release.serve("/yolo11n.pt", WEIGHTS)
    fetch_weights(weights_dir() / "yolo11n.pt")
    assert (weights_dir() / "yolo11n.pt").read_bytes() == WEIGHTS
    assert release.asked == ["/release", "/yolo11n.pt"]


def test_weights_that_are_not_those_of_the_release_are_not_kept(release: Server) -> None:
    release.serve("/yolo11n.pt", WEIGHTS[::-1])
    with pytest.raises(TrainingError, match=r"SHA-256 .* start from yolo11n\.yaml"):
        fetch_weights(weights_dir() / "yolo11n.pt")
    assert list(weights_dir().iterdir()) == []


def test_weights_that_the_release_does_not_have_are_said_to_be_missing(release: Server) -> None:
    with pytest.raises(TrainingError, match=r"yolo11z\.pt: expected its size and digest"):
        fetch_weights(weights_dir() / "yolo11z.pt")
    assert release.asked == ["/release"]


def test_a_path_in_ones_own_folder_is_said_as_one_types_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert as_typed(tmp_path / "weights" / "a.pt") == str(Path("~/weights/a.pt"))
    elsewhere = tmp_path.parent / "a.pt"
    assert as_typed(elsewhere) == str(elsewhere)
