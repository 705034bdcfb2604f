"""Models, predictions and training runs over HTTP."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Awaitable, Callable
from dataclasses import fields
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import httpx
import pytest
from fastapi import FastAPI

from tests.helpers.pictures import jpeg
from workbench.api.schemas.captures import CaptureOptions
from workbench.api.schemas.runs import NewRun
from workbench.capture.settings import CaptureSettings
from workbench.labelling.predictor import Predictor
from workbench.persistence import Stores
from workbench.persistence.models import Prediction
from workbench.persistence.run_folder import RunFolder
from workbench.training.config import BaseModel, TrainingConfig, TrainingJob
from workbench.training.events import (
    EpochFinished,
    EpochStarted,
    Event,
    Failed,
    Queued,
    Started,
    format_event,
)

Outcome = Callable[[httpx.Response], Awaitable[dict[str, Any]]]


@pytest.fixture
async def model(stores: Stores, tmp_path: Path) -> str:
    weights = tmp_path / "best.pt"
    weights.write_bytes(bytes(range(256)) * 40)
    await stores.model.save(
        "cups-v1",
        weights,
        "yolo11n.pt",
        "cups",
        50,
        {"best_map50": 0.87, "loss": float("nan")},
        class_names=["cup"],
        details={"imported_from": str(tmp_path / "somewhere" / "best.pt")},
    )
    return "cups-v1"


async def test_models_are_told_without_their_paths(
    client: httpx.AsyncClient, model: str, tmp_path: Path
) -> None:
    answer = await client.get("/models")
    [found] = answer.json()["items"]
    assert (found["name"], found["best_map50"], found["epochs_completed"]) == ("cups-v1", 0.87, 50)
    assert found["metrics"]["loss"] is None
    assert found["details"]["imported_from"] == "best.pt"
    assert str(tmp_path) not in answer.text
    assert (await client.get("/models/cups-v1")).json() == found


async def test_a_damaged_model_is_told_without_its_path(
    client: httpx.AsyncClient, model: str, tmp_path: Path
) -> None:
    [facts] = tmp_path.rglob("cups-v1/model.json")
    facts.write_bytes(b"{")
    answer = await client.get("/models")
    [found] = answer.json()["items"]
    assert found["problem"].startswith("cups-v1/model.json: ")
    assert str(tmp_path) not in answer.text
    refused = await client.put("/active-model", json={"name": "cups-v1"})
    assert (refused.status_code, refused.json()["detail"]) == (422, found["problem"])
    assert (await client.delete("/models/cups-v1")).status_code == 200


async def test_a_model_is_active_renamed_deleted_and_restored(
    client: httpx.AsyncClient, model: str, stores: Stores
) -> None:
    assert (await client.get("/active-model")).json() == {"name": None}
    assert (await client.put("/active-model", json={"name": "cups-v1"})).status_code == 200
    active = await stores.model.get_active()
    assert active is not None
    assert active.name == "cups-v1"
    assert (await client.patch("/models/cups-v1", json={"name": "mugs"})).json()["is_active"]
    entry = (await client.delete("/models/mugs")).json()
    assert (await client.get("/active-model")).json() == {"name": None}
    assert (await client.get("/trash/models")).json()["items"] == [entry]
    restored = await client.post(f"/trash/models/{entry['id']}/restore", params={"name": "again"})
    assert restored.json()["name"] == "again"
    entry = (await client.delete("/models/again")).json()
    assert (await client.delete(f"/trash/models/{entry['id']}")).json() == {"count": 1}
    assert (await client.put("/active-model", json={"name": "again"})).status_code == 404


async def test_weights_are_downloaded_in_parts(client: httpx.AsyncClient, model: str) -> None:
    whole = await client.get("/models/cups-v1/weights")
    assert whole.content == bytes(range(256)) * 40
    assert 'filename="cups-v1.pt"' in whole.headers["content-disposition"]
    part = await client.get("/models/cups-v1/weights", headers={"Range": "bytes=256-511"})
    assert (part.status_code, part.content) == (206, bytes(range(256)))


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("owned",)


async def test_weights_that_hold_code_are_not_loaded(
    client: httpx.AsyncClient,
    outcome: Outcome,
    stores: Stores,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    app: FastAPI,
) -> None:
    evil = tmp_path / "evil.pt"
    with zipfile.ZipFile(evil, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(_Evil()))
        archive.writestr("archive/version", "3")
    answer = await client.post("/models", content=evil.read_bytes(), params={"name": "evil"})
    job = await outcome(answer)
    assert (job["state"], job["problem"]["type"]) == ("failed", "urn:workbench:invalid-model")
    assert "owned" not in capfd.readouterr().out
    assert await stores.model.list() == []
    assert [*app.state.workbench.folder.iterdir()] == []
    assert str(app.state.workbench.folder) not in json.dumps(job)


async def test_a_name_that_is_taken_is_refused_before_the_upload(
    client: httpx.AsyncClient, model: str
) -> None:
    answer = await client.post("/models", content=b"x", params={"name": "cups-v1"})
    assert answer.status_code == 409


async def test_an_upload_sent_again_gets_the_first_answer(
    client: httpx.AsyncClient, outcome: Outcome, stores: Stores, tmp_path: Path
) -> None:
    """Also when a model of this name is there by now."""
    again: dict[str, Any] = {
        "content": b"no weights",
        "params": {"name": "sent"},
        "headers": {"Idempotency-Key": "k"},
    }
    first = await client.post("/models", **again)
    await outcome(first)
    (tmp_path / "best.pt").write_bytes(b"x" * 1000)
    await stores.model.save(
        "sent", tmp_path / "best.pt", "yolo11n.pt", "cups", 1, {}, class_names=["cup"]
    )
    second = await client.post("/models", **again)
    assert (second.status_code, second.json()["id"]) == (202, first.json()["id"])
    assert (await client.post("/models", **(again | {"headers": {}}))).status_code == 409


async def test_predictions_on_an_uploaded_frame(
    client: httpx.AsyncClient, model: str, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict = AsyncMock(return_value=[Prediction(0, 0.5, 0.5, 0.2, 0.4, 0.9)])
    monkeypatch.setattr(Predictor, "predict", predict)
    assert (await client.post("/predict", content=jpeg(1))).status_code == 404  # none is active
    found = await client.post(
        "/models/cups-v1/predict", content=jpeg(1), params={"confidence": 0.5}
    )
    assert found.json() == {
        "model": "cups-v1",
        "class_names": ["cup"],
        "boxes": [
            {"class_id": 0, "x": 0.5, "y": 0.5, "width": 0.2, "height": 0.4, "confidence": 0.9}
        ],
    }
    (frame, confidence), named = predict.await_args.args, predict.await_args.kwargs
    assert (frame.shape, confidence, named) == ((24, 32, 3), 0.5, {"model": "cups-v1"})
    await stores.model.set_active("cups-v1")
    assert (await client.post("/predict", content=jpeg(1))).json()["model"] == "cups-v1"
    assert (await client.post("/predict", content=b"no image")).status_code == 422


# Runs.


def test_settings_are_those_of_the_subsystems() -> None:
    # What is taught as you go belongs to somebody who draws meanwhile.
    for schema, ours, without in (
        (NewRun, TrainingConfig, {"teaching"}),
        (CaptureOptions, CaptureSettings, set()),
    ):
        assert set(schema.model_fields) == {field.name for field in fields(ours)} - without
    assert TrainingConfig(**NewRun(dataset="x").model_dump()) == TrainingConfig(dataset="x")
    assert CaptureSettings(**CaptureOptions().model_dump()) == CaptureSettings()


def a_run(runs_dir: Path, *events: Event) -> str:
    folder = RunFolder.create(runs_dir, "pets")
    config = TrainingConfig(dataset="pets", base_model="yolo11n.yaml")
    job = TrainingJob(
        run_id=folder.id,
        config=config,
        base_model=BaseModel(
            source="/secret/yolo11n.yaml", label="yolo11n.yaml", pretrained=False
        ),
        class_names=["cat"],
        data_yaml="data/data.yaml",
        digest="",
        num_images={},
        num_labelled={},
        warnings=[],
        created_at="2026-01-01T12:00:00+00:00",
        version="",
    )  # fmt: skip
    folder.write_job(job.to_json())
    for event in events:
        folder.append_event(format_event(event))
    return folder.id


EVENTS = (
    Queued(time=1.0),
    Started(time=2.0, base_model="/secret/yolo11n.yaml", pretrained=False, note="from scratch",
            epochs=3),
    EpochStarted(time=3.0, epoch=1, epochs=3),
    EpochFinished(time=4.0, epoch=1, epochs=3, seconds=1.0, metrics={"map50": 0.5},
                  losses={"box": float("nan")}, val_losses={}),
)  # fmt: skip


def test_a_path_is_no_base_model() -> None:
    for wrong in ("/etc/passwd", "..\\x.pt", "runs/x.pt"):
        with pytest.raises(ValueError, match="base_model"):
            NewRun(dataset="pets", base_model=wrong)


async def test_a_run_that_cannot_be_is_refused(
    client: httpx.AsyncClient, pets: str, outcome: Outcome
) -> None:
    nobody = await client.post("/runs", json={"dataset": "nobody"})
    assert nobody.status_code == 404
    for wrong in ({"epochs": 0}, {"cache": "tape"}, {"batch": 0}, {"unknown": 1}):
        answer = await client.post("/runs", json={"dataset": "pets", **wrong})
        assert answer.status_code == 422, wrong
    config = {"dataset": "pets", "base_model": "yolo11n.yaml", "extra": {"project": "x"}}
    job = await outcome(await client.post("/runs", json=config))
    assert (job["state"], job["problem"]["status"]) == ("failed", 422)
    assert (await client.get("/runs")).json() == {"items": []}


async def test_runs_are_followed_from_where_one_stopped_listening(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    last = Failed(time=5.0, message="/home/x/y.py: out of memory", kind="memory", traceback="")
    run = a_run(tmp_path / "runs", *EVENTS, last)
    found = (await client.get(f"/runs/{run}")).json()
    assert (found["state"], found["epochs_completed"]) == ("failed", 1)
    assert found["message"] == "y.py: out of memory"
    assert [one["id"] for one in (await client.get("/runs")).json()["items"]] == [run]
    stream = (await client.get(f"/runs/{run}/events")).text
    blocks = stream.strip().split("\n\n")
    assert [block.split("\n")[0] for block in blocks] == [f"id: {n}" for n in range(1, 6)]
    assert "event: EpochFinished" in blocks[3]
    assert "/secret" not in stream
    assert "NaN" not in stream
    rest = await client.get(f"/runs/{run}/events", headers={"Last-Event-ID": "3"})
    assert rest.text == "\n\n".join(blocks[3:]) + "\n\n"
    assert (await client.get("/runs/none")).status_code == 404
    assert (await client.get("/runs/..%2F..%2Fetc")).status_code in {404, 422}


async def test_a_run_that_waits_is_stopped(client: httpx.AsyncClient, tmp_path: Path) -> None:
    from workbench.training.queueing import enqueue

    run = a_run(tmp_path / "runs")
    enqueue(RunFolder(tmp_path / "runs" / run), Queued(time=1.0))
    stopped = await client.post(f"/runs/{run}/stop")
    assert stopped.status_code == 200, stopped.text
    assert stopped.json()["state"] == "stopped"
    for action in ("pause", "cancel"):
        assert (await client.post(f"/runs/{run}/{action}")).status_code in {200, 409}
    refused = await client.post(f"/runs/{run}/resume", json={"epochs": 5})
    assert refused.status_code == 422
