"""Settings are checked when they are made, and survive their way through JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from workbench.errors import InvalidConfigError, TrainingError
from workbench.training import arguments
from workbench.training.arguments import (
    check_arguments,
    parse_arguments,
    train_arguments,
    unheard,
)
from workbench.training.config import BaseModel, TrainingConfig, TrainingJob


def a_job(**settings: Any) -> TrainingJob:
    return TrainingJob(
        run_id="20260102-030405-fünf Äpfel",
        config=TrainingConfig(**{"dataset": "fünf Äpfel", **settings}),
        base_model=BaseModel(source="yolo11n.yaml", label="yolo11n.yaml", pretrained=False),
        class_names=["apple"],
        data_yaml="data/data.yaml",
        digest="abc",
        num_images={"train": 2, "val": 1, "test": 0},
        num_labelled={"train": 2, "val": 1, "test": 0},
        warnings=["careful"],
        created_at="2026-01-02T03:04:05+00:00",
        version="0.1.0",
    )


def test_a_dataset_is_enough() -> None:
    assert TrainingConfig(dataset="cells").epochs > 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dataset", ""),
        ("dataset", None),
        ("base_model", " "),
        ("epochs", 0),
        ("epochs", 1.5),
        ("epochs", True),
        ("epochs", "10"),
        ("image_size", 31),
        ("batch", 0),
        ("batch", -2),
        ("batch", 1.5),
        ("batch", float("nan")),
        ("batch", True),
        ("batch", "16"),
        ("device", 0),
        ("patience", -1),
        ("seed", -1),
        ("workers", -1),
        ("cache", "tape"),
        ("cache", 0),
        ("cache", True),
        ("model_name", None),
        ("allow_download", "yes"),
        ("extra", ["lr0"]),
        ("extra", {1: 2}),
        ("extra", {"lr0": object()}),
        ("extra", {"lr0": float("nan")}),
    ],
)
def test_an_impossible_value_is_an_error_that_names_the_setting(name: str, value: object) -> None:
    with pytest.raises(InvalidConfigError, match=name):
        TrainingConfig(**{"dataset": "cells", name: value})


def test_a_bad_setting_is_a_value_error_and_a_training_error() -> None:
    assert issubclass(InvalidConfigError, ValueError)
    assert issubclass(InvalidConfigError, TrainingError)


@pytest.mark.parametrize("batch", [1, 16, -1, 0.5])
def test_batches_that_ultralytics_takes_are_taken(batch: float) -> None:
    assert TrainingConfig(dataset="cells", batch=batch).batch == batch


def test_settings_come_back_from_json_unchanged() -> None:
    config = TrainingConfig(
        dataset="cells", epochs=3, cache="ram", extra={"lr0": 0.1, "degrees": 5}
    )
    assert TrainingConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_an_unknown_setting_is_an_error() -> None:
    with pytest.raises(InvalidConfigError, match="epoch: no such setting"):
        TrainingConfig.from_json({"dataset": "cells", "epoch": 3})


def test_a_job_comes_back_from_json_unchanged() -> None:
    job = a_job(epochs=3, extra={"lr0": 0.1})
    assert TrainingJob.from_json(json.loads(json.dumps(job.to_json()))) == job


def test_a_job_of_a_newer_format_is_refused() -> None:
    with pytest.raises(InvalidConfigError, match="format 1, found 2"):
        TrainingJob.from_json({**a_job().to_json(), "format": 2})


def test_a_model_is_called_after_its_dataset_and_the_time() -> None:
    assert a_job().model_name == "fünf Äpfel-20260102-030405"
    assert a_job(model_name="apples").model_name == "apples"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("lr", "lr0"),
        ("mosiac", "mosaic"),
        ("degree", "degrees"),
        ("image_sise", "image_size"),
        ("imgsz", "set that"),
        ("pretrained", "base_model"),
        ("project", "run itself"),
        ("resume", "run itself"),
        ("zzzzzz", "settings"),
        ("distill_model", "nobody has looked at"),
        ("source", "nobody has looked at"),
        ("tracker", "nobody has looked at"),
        ("cfg", "run itself"),
        ("model", "base_model"),
    ],
)
def test_a_wrong_argument_for_ultralytics_is_named_with_a_hint(name: str, hint: str) -> None:
    with pytest.raises(InvalidConfigError, match=rf"{name}.*{hint}"):
        check_arguments({name: 1})


def test_arguments_that_ultralytics_has_are_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    check_arguments({"lr0": 0.01, "mosaic": 0.5, "optimizer": "AdamW", "plots": True})
    monkeypatch.setattr("yaml.safe_load", None)  # their list is read once, not at each letter
    check_arguments({"lr0": 0.1})


def test_what_ultralytics_chooses_with_the_optimizer_is_known_to_change_nothing() -> None:
    assert unheard({"lr0": 0.1, "momentum": 0.8, "degrees": 5}) == ["lr0", "momentum"]
    assert unheard({"lr0": 0.1, "optimizer": "Auto"}) == ["lr0"]
    assert unheard({"lr0": 0.1, "optimizer": "SGD"}) == []


@pytest.mark.parametrize("value", ["0,01", "fast"])
def test_a_word_where_ultralytics_has_a_number_is_an_error(value: str) -> None:
    with pytest.raises(InvalidConfigError, match=rf"lr0: expected a number.*{value}"):
        check_arguments({"lr0": value})


@pytest.mark.parametrize("value", [1.5, 2, -0.1, float("nan")])
def test_a_share_that_is_none_is_refused_before_a_run_begins(value: float) -> None:
    with pytest.raises(InvalidConfigError, match="mosaic: expected a number from 0 to 1"):
        check_arguments({"mosaic": value})
    check_arguments({"mosaic": 1, "lr0": 0})


def test_what_is_refused_as_a_share_is_one_to_ultralytics() -> None:
    from ultralytics.cfg import CFG_FRACTION_KEYS

    assert arguments._FRACTIONS <= CFG_FRACTION_KEYS


def test_typed_arguments_are_numbers_truths_lists_and_words() -> None:
    text = "lr0=1e-3 degrees=5, mixup=.5 amp=False freeze=[0,1] optimizer=AdamW time=none"
    found = parse_arguments(text)
    assert found == {
        "lr0": 0.001,
        "degrees": 5,
        "mixup": 0.5,
        "amp": False,
        "freeze": [0, 1],
        "optimizer": "AdamW",
        "time": None,
    }
    assert [type(found[name]) for name in ("lr0", "degrees", "amp")] == [float, int, bool]
    check_arguments(found)
    assert parse_arguments("  ") == {}
    assert parse_arguments("copy_paste_mode='mix up'") == {"copy_paste_mode": "mix up"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("lr0", "expected name=value.*'lr0'"),
        ("lr0 = 0.1", "expected name=value.*'lr0'"),
        ("lr0=", "expected name=value"),
        ("=3", "expected name=value"),
        ("lr0=1 lr0=2", "lr0 is given twice"),
        ("lr0='1", "quotation mark"),
    ],
)
def test_typed_arguments_that_are_none_say_so(text: str, problem: str) -> None:
    with pytest.raises(InvalidConfigError, match=problem):
        parse_arguments(text)


def test_further_arguments_reach_ultralytics_and_cannot_move_the_results(tmp_path: Any) -> None:
    from workbench.persistence.run_folder import RunFolder

    job = a_job(image_size=320, extra={"lr0": 0.5})
    arguments = train_arguments(job, RunFolder(tmp_path))
    assert arguments["lr0"] == 0.5
    assert arguments["imgsz"] == 320
    assert arguments["data"] == str(tmp_path / "data" / "data.yaml")
    assert (arguments["project"], arguments["name"]) == (str(tmp_path), "ultralytics")
    assert arguments["pretrained"] is False
