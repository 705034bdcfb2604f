"""Models in other formats, with a check that they predict the same. Real exports."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests.helpers.models import spread_weights
from tests.helpers.pictures import encoded, jpeg
from tests.helpers.training import CLASSES, Trained, install_network_guard
from workbench.errors import AlreadyExistsError, InvalidFrameError, NotFoundError, SetupError
from workbench.persistence import create_memory_stores, create_stores
from workbench.persistence.models import ModelInfo
from workbench.training import exporting
from workbench.training.export_worker import choose_threshold, compare
from workbench.training.exporting import FORMATS, ExportCheck, ExportFormat, export_model

BOX = [10.0, 10.0, 50.0, 50.0]


def answers(*rows: tuple[list[float], int, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    boxes = np.array([row[0] for row in rows], dtype=np.float64).reshape(-1, 4)
    return boxes, np.array([row[1] for row in rows]), np.array([row[2] for row in rows])


@pytest.mark.parametrize(
    "details",
    [{}, {"config": [640]}, {"config": {}}, {"config": {"image_size": 10**9}}]
    + [{"config": {"image_size": size}} for size in ("640", True, -1, 64.5, [64])],
)
def test_a_size_that_somebody_wrote_into_the_facts_is_not_taken(details: dict[str, Any]) -> None:
    assert exporting._trained_size(ModelInfo("sees", Path("best.pt"), details=details)) == 0


def needs(format: str) -> object:
    """A format to test with, skipped where a package that it takes is not installed."""
    missing = ", ".join(FORMATS[format].missing)
    skip = pytest.mark.skipif(bool(missing), reason=f"no {missing}")
    return pytest.param(format, marks=[skip, pytest.mark.long])


@pytest.mark.parametrize("format", [needs("onnx"), "torchscript", needs("openvino")])
async def test_an_exported_model_predicts_the_same(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    stores = replace(trained.stores, model=create_memory_stores().model)
    model = await stores.model.save(
        "sees",
        spread_weights(trained, tmp_path / "sees.pt"),
        "yolo11n.yaml",
        "shapes",
        class_names=CLASSES,
        details={"config": {"image_size": 64}},
    )
    guard = tmp_path / "guard"
    guard.mkdir()
    network_log = install_network_guard(guard, monkeypatch)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    told: list[tuple[str, int, int]] = []
    result = await export_model(
        stores,
        model.name,
        tmp_path / "out",
        format=format,
        told=lambda *step: told.append(step),
    )
    assert result.path == tmp_path / "out" / f"{model.name}{FORMATS[format].suffix}"
    files = [result.path] if result.path.is_file() else list(result.path.iterdir())
    assert sum(file.stat().st_size for file in files) == result.size_bytes > 1e6
    assert [path.name for path in (tmp_path / "out").iterdir()] == [result.path.name]
    assert (result.image_size, result.check.images) == (64, 4)
    assert result.check.agrees, result.check
    assert result.check.boxes > 0
    assert [step for step, _, _ in told] == [
        "loading",
        "exporting",
        "loading the result",
        *["checking"] * 4,
    ]
    assert not network_log.exists()
    if format == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(result.path))
        [inputs] = session.get_inputs()
        [output] = session.run(None, {inputs.name: np.zeros((1, 3, 64, 64), dtype=np.float32)})
        assert output.shape[1] == 4 + len(model.class_names)
    # Where the statistics of OpenVINO are kept that it would send.
    assert not (home / "intel").exists()
    with pytest.raises(AlreadyExistsError, match=r"exists: take another folder"):
        await export_model(stores, model.name, tmp_path / "out", format=format)


async def test_a_model_that_finds_nothing_is_not_said_to_agree(
    trained: Trained, tmp_path: Path
) -> None:
    [model] = await trained.stores.model.list()  # sure of nothing after two epochs
    made = await export_model(trained.stores, model.name, tmp_path, format="torchscript")
    assert (made.check.images, made.check.boxes) == (4, 0)
    assert not made.check.is_conclusive
    assert not made.check.agrees


async def test_cancelling_kills_the_process_and_leaves_nothing(
    trained: Trained, tmp_path: Path
) -> None:
    [model] = await trained.stores.model.list()
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    begun = asyncio.Event()
    task = asyncio.create_task(
        export_model(
            trained.stores,
            model.name,
            tmp_path / "out",
            format="torchscript",
            told=lambda *_: begun.set(),
        )
    )
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    after = {child.pid for child in psutil.Process().children(recursive=True)}
    assert after <= before
    assert list((tmp_path / "out").iterdir()) == []


async def test_what_cannot_be_exported_is_refused_first(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=r"one of onnx, torchscript, openvino; found 'tflite'"):
        await export_model(trained.stores, "any", tmp_path, format="tflite")
    with pytest.raises(NotFoundError, match="nothing"):
        await export_model(trained.stores, "nothing", tmp_path)
    absent = ExportFormat("onnx", "ONNX", ".onnx", ("no_such_module",), "pip install it")
    monkeypatch.setitem(exporting.FORMATS, "onnx", absent)
    with pytest.raises(SetupError, match=r"ONNX needs no_such_module.*`pip install it`"):
        await export_model(trained.stores, "any", tmp_path)


async def test_models_are_compared_on_what_can_be_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture beyond our bound reaches no decoder of others, and a damaged one ends nothing."""
    monkeypatch.setenv("WORKBENCH_MAX_PIXELS", "1000")
    stores = create_stores(tmp_path / "data", tmp_path / "models")
    await stores.dataset.create("cups", ["cup"])
    val = tmp_path / "data" / "cups" / "images" / "val"
    for name, data in {
        "a.jpg": jpeg(1),
        "b.jpg": jpeg(2)[:60],
        "c.png": encoded(".png", 3, 100),
    }.items():
        (val / name).write_bytes(data)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    [sample] = await exporting._sample_images(stores, "cups", scratch)
    assert sample.read_bytes() == jpeg(1)
    for bad in ("b.jpg", "c.png"):
        with pytest.raises(InvalidFrameError, match=bad):
            exporting._checked(val / bad)
    (val / "a.jpg").unlink()
    own = await exporting._sample_images(stores, "cups", scratch)
    assert {path.parent.name for path in own} == {"assets"}


def test_the_same_answers_agree_in_any_order() -> None:
    first = answers((BOX, 0, 0.9), ([0, 0, 9, 9], 1, 0.5))
    second = answers(([0, 0, 9, 9.5], 1, 0.5), (BOX, 0, 0.875))
    assert compare(*first, *second, scale=2.0) == (2, 0, 1.0, pytest.approx(0.025))


def test_what_only_one_of_them_finds_is_counted_if_it_is_sure_of_it() -> None:
    mine = answers((BOX, 0, 0.9), ([0, 0, 9, 9], 1, 0.26))
    assert compare(*mine, *answers()) == (2, 1, 0.0, 0.0)
    assert compare(*answers(), *mine) == (0, 1, 0.0, 0.0)


def test_a_box_without_an_area_is_itself() -> None:
    flat = [0.0, 64.0, 20.0, 64.0]
    assert compare(*answers((flat, 0, 0.9)), *answers((flat, 0, 0.9))) == (1, 0, 0.0, 0.0)


def test_another_class_is_another_box() -> None:
    assert compare(*answers((BOX, 0, 0.9)), *answers((BOX, 1, 0.9)))[:2] == (1, 2)


def test_models_are_compared_where_they_find_something() -> None:
    none = np.zeros(0)
    assert choose_threshold([np.array([0.9, 0.1]), none]) == 0.25
    assert choose_threshold([np.array([0.04, 0.01]), np.array([0.001])]) == 0.02
    assert choose_threshold([np.array([0.009])]) == 0.25  # says nothing
    assert choose_threshold([none, none]) == 0.25
    assert choose_threshold([]) == 0.25
    crowd = np.linspace(0.01, 0.02, 300)
    assert (crowd > choose_threshold([crowd])).sum() == 99


def test_boxes_of_the_exported_model_alone_are_an_answer() -> None:
    assert ExportCheck(4, 0, 1, 0.0, 0.0, 0.25, agrees=False).is_conclusive
