"""A run's folder from elsewhere: its checkpoints are read as any weights are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.training import TINY
from tests.helpers.weights import Say, members, packed, program
from workbench.errors import InvalidModelError
from workbench.persistence.run_folder import RunFolder
from workbench.training import worker
from workbench.training.config import BaseModel, TrainingConfig, TrainingJob
from workbench.training.environment import import_ultralytics
from workbench.training.resuming import find_checkpoint, put_back
from workbench.training.weights_check import rewritten_weights

HOSTILE = packed(members(program({"ema": Say("os.system", "true"), "optimizer": {}, "epoch": 1})))
JOB = TrainingJob(
    run_id="20260101-000000-shapes",
    config=TrainingConfig(**TINY, epochs=5),
    base_model=BaseModel(source="yolo11n.yaml", label="yolo11n.yaml", pretrained=False),
    class_names=["square", "disc"],
    data_yaml="data/data.yaml",
    digest="",
    num_images={},
    num_labelled={},
    warnings=[],
    created_at="",
    version="",
)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder.create(tmp_path, "shapes")
    made.weights.own.mkdir(parents=True)
    return made


def checkpoint(path: Path, **settings: Any) -> None:
    """What Ultralytics keeps after an epoch."""
    yolo = import_ultralytics().YOLO("yolo11n.yaml")
    import torch

    optimizer = torch.optim.SGD(yolo.model.parameters(), lr=0.1, momentum=0.9)
    sum(p.sum() for p in yolo.model.parameters() if p.requires_grad).backward()
    optimizer.step()
    content = {
        "epoch": 1,
        "best_fitness": 0.5,
        "model": None,
        "ema": yolo.model,
        "updates": 7,
        "optimizer": optimizer.state_dict(),
        "scaler": {},
        "train_args": {"lr0": 0.02, "epochs": 5, "task": "detect", **settings},
        "train_metrics": {"fitness": 0.5},
    }
    torch.save(content, path)


def test_a_run_goes_on_from_what_was_written_again(folder: RunFolder) -> None:
    own = folder.weights.own
    teacher = "http://203.0.113.7/teacher.pt"
    checkpoint(folder.weights.folder / "last.pt", distill_model=teacher, data="/elsewhere.yaml")
    (own / "last.pt").write_bytes(HOSTILE)  # the newest, and refused
    (own / "best.pt").write_bytes(HOSTILE)
    found = find_checkpoint(folder)
    assert found is not None
    assert found.path == folder.weights.folder / "last.pt"
    assert (found.epochs_done, found.is_best) == (2, True)
    put_back(folder, JOB, found)
    import torch

    before = torch.load(found.path, weights_only=False)
    after = torch.load(own / "last.pt", weights_only=False)
    assert (after["epoch"], after["updates"], after["best_fitness"]) == (1, 7, 0.5)
    for name, value in before["ema"].state_dict().items():
        assert torch.equal(after["ema"].state_dict()[name], value)
    for key, state in before["optimizer"]["state"].items():
        mine = after["optimizer"]["state"][key]["momentum_buffer"]
        assert torch.equal(mine, state["momentum_buffer"])
    assert after["optimizer"]["param_groups"] == before["optimizer"]["param_groups"]
    arguments = after["train_args"]
    assert arguments["lr0"] == 0.02  # of the checkpoint, a number
    assert arguments["data"] == str(folder.path / "data" / "data.yaml")  # of the job
    assert teacher not in map(str, arguments.values())
    assert rewritten_weights(own / "best.pt").facts["epoch"] == 1


def test_hostile_best_weights_are_set_aside(folder: RunFolder) -> None:
    checkpoint(folder.weights.folder / "last.pt")
    (folder.weights.own / "best.pt").write_bytes(HOSTILE)
    (folder.weights.folder / "best.pt").write_bytes(HOSTILE)
    found = find_checkpoint(folder)
    assert found is not None
    put_back(folder, JOB, replace(found, is_best=False))
    assert not (folder.weights.own / "best.pt").exists()
    assert (folder.weights.own / "best.pt.refused").read_bytes() == HOSTILE


def test_a_run_with_nothing_but_hostile_weights_begins_anew(folder: RunFolder) -> None:
    (folder.weights.folder / "last.pt").write_bytes(HOSTILE)
    assert find_checkpoint(folder) is None


def test_weights_that_would_be_built_anew_as_a_giant_are_refused(tmp_path: Path) -> None:
    """Its tensors are small; the architecture beside them is what training builds."""
    yolo = import_ultralytics().YOLO("yolo11n.yaml")
    yolo.model.yaml["backbone"] = [[-1, 100, "Conv", [8192, 3, 1]] for _ in range(100)]
    yolo.save(tmp_path / "stranger.pt")
    found = rewritten_weights(tmp_path / "stranger.pt")
    with pytest.raises(InvalidModelError, match=r"stranger\.pt: expected .* moderate size"):
        worker._measure(found, "stranger.pt")
    import_ultralytics().YOLO("yolo11n.yaml").save(tmp_path / "fine.pt")
    worker._measure(rewritten_weights(tmp_path / "fine.pt"), "fine.pt")
