"""Runs beside each other: read from their folders, as events and settings say."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.helpers.training import Trained
from workbench.persistence import Stores
from workbench.persistence.run_folder import RunFolder
from workbench.training.comparison import compare_runs
from workbench.training.config import BaseModel, TrainingConfig, TrainingJob
from workbench.training.events import EpochFinished, Event, Finished, Started, format_event
from workbench.training.run import Run


@pytest.fixture
def make_run(tmp_path: Path, persistence_stores: Stores):  # type: ignore[no-untyped-def]
    """Makes runs of some epochs, by the mAP50-95 of each."""

    def make(name: str, scores: list[float], *, over: bool = True, **settings: object) -> Run:
        folder = RunFolder(tmp_path / "runs" / name)
        folder.path.mkdir(parents=True)
        config = TrainingConfig(dataset="cells", **settings)  # type: ignore[arg-type]
        job = TrainingJob(
            run_id=name,
            config=config,
            base_model=BaseModel(source="yolo11n.yaml", label="yolo11n.yaml", pretrained=False),
            class_names=["a"],
            data_yaml="data/data.yaml",
            digest="abc",
            num_images={},
            num_labelled={},
            warnings=[],
            created_at="2026-01-01T00:00:00+00:00",
            version="1",
        )
        folder.write_job(job.to_json())
        events: list[Event] = [
            Started(time=0, base_model="m", pretrained=False, note="", epochs=9),
            *(
                EpochFinished(
                    time=number,
                    epoch=number,
                    epochs=9,
                    seconds=30.0,
                    metrics={"map50_95": score, "map50": score * 2},
                    losses={"box_loss": 1.0 / number},
                    val_losses={"box_loss": 2.0},
                )
                for number, score in enumerate(scores, start=1)
            ),
        ]
        if over:
            metrics = {"best_map50_95": max(scores), "precision": 0.5}
            events.append(Finished(time=99, epochs_completed=len(scores), metrics=metrics))
        for event in events:
            folder.append_event(format_event(event))
        return Run(folder, persistence_stores.model)

    return make


def test_only_settings_that_differ_are_shown(make_run) -> None:  # type: ignore[no-untyped-def]
    first = make_run("one", [0.1], epochs=5, extra={"lr0": 0.1})
    second = make_run("two", [0.1], epochs=6, batch=0.5)
    settings = compare_runs([first, second]).settings
    assert list(settings.columns) == ["one", "two"]
    assert set(settings.index) == {"epochs", "batch", "extra.lr0"}
    assert settings.loc["epochs"].tolist() == [5, 6]
    assert settings.loc["extra.lr0", "one"] == 0.1


def test_metrics_are_those_of_the_best_weights(make_run) -> None:  # type: ignore[no-untyped-def]
    going_on = make_run("young", [0.1, 0.3, 0.2], over=False)
    over = make_run("old", [0.4, 0.2])
    nothing = make_run("none", [], over=False)
    metrics = compare_runs([going_on, over, nothing]).metrics
    assert list(metrics.index) == ["young", "old", "none"]
    assert metrics["map50_95"].tolist()[:2] == [0.3, 0.4]
    assert metrics["best_epoch"].tolist() == [2, 1, 0]
    assert metrics["epochs"].tolist() == [3, 2, 0]
    assert metrics.loc["old", "minutes"] == 1.0
    assert metrics.loc["old", "precision"] == 0.5
    assert math.isnan(metrics.loc["none", "map50_95"])


def test_curves_stand_over_each_other(make_run) -> None:  # type: ignore[no-untyped-def]
    comparison = compare_runs([make_run("b", [0.1, 0.3]), make_run("a", [0.4])])
    assert list(comparison.curves.columns[:3]) == ["run", "epoch", "seconds"]
    table = comparison.over_each_other("map50_95")
    assert list(table.columns) == ["b", "a"]
    assert table["b"].tolist() == [0.1, 0.3]
    assert table.loc[1, "a"] == 0.4
    assert math.isnan(table.loc[2, "a"])
    assert comparison.over_each_other("train/box_loss").loc[2, "b"] == 0.5


def test_nothing_to_compare_is_no_error(make_run) -> None:  # type: ignore[no-untyped-def]
    comparison = compare_runs([make_run("none", [], over=False)])
    assert comparison.curves.empty
    assert comparison.over_each_other().empty
    assert comparison.settings.empty


def test_curves_and_samples_of_a_real_run(trained: Trained) -> None:
    curves = trained.run.read_curves()
    assert list(curves.index) == [1, 2]
    losses = {
        f"{split}/{name}_loss" for split in ("train", "val") for name in ("box", "cls", "dfl")
    }
    assert set(curves.columns) == {"seconds", "precision", "recall", "map50", "map50_95", *losses}
    assert (curves["train/box_loss"] > 0).all()
    samples = trained.run.samples()
    assert [path.parent.name for path in samples] == ["00002"] * 4
    assert [path.name for path in trained.run.samples(1)] == [path.name for path in samples]
    assert all(path.read_bytes().startswith(b"\xff\xd8") for path in samples)
    used = trained.run.read_progress().resources
    assert used is not None
    assert used.memory > 1e8
