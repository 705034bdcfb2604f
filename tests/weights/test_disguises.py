"""Files of layers that are all on the list, put together so that something else would happen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import InvalidModelError
from workbench.training.environment import import_ultralytics
from workbench.training.weights_check import rewritten_weights

Write = Callable[[Any], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a model as a checkpoint of Ultralytics."""
    import_ultralytics()
    import torch

    def written(model: Any) -> Path:
        path = tmp_path / "stranger.pt"
        torch.save({"model": model, "train_args": {}}, path)
        return path

    return written


def _empty(kind: Any, **attributes: Any) -> Any:
    import torch

    made = kind.__new__(kind)
    torch.nn.Module.__init__(made)
    made.__dict__.update(attributes)
    return made


def _evil(target: Path, **more: Any) -> dict[str, Any]:
    code = f"__import__('pathlib').Path({str(target)!r}).touch()"
    return {
        "nc": 1,
        "activation": code,
        "backbone": [[-1, 1, "Conv", [8, 3, 2]]],
        "head": [],
        **more,
    }


def _model(architecture: dict[str, Any], *layers: Any) -> Any:
    import torch
    from ultralytics.nn.tasks import DetectionModel

    model = _empty(DetectionModel, names={0: "a"}, task="detect", save=[], yaml=architecture)
    model.stride = torch.tensor([8.0, 16.0, 32.0])
    model.model = torch.nn.Sequential(*layers)
    return model


FINE: dict[str, Any] = {"nc": 1, "backbone": [[-1, 1, "Conv", [8, 3, 2]]], "head": []}


def test_a_layer_cannot_put_a_class_in_place_of_its_method(write: Write, tmp_path: Path) -> None:
    """Fusing would have called it with the dict beside, whose activation is evaluated."""
    from ultralytics.nn.modules import RepConv
    from ultralytics.nn.tasks import DetectionModel

    layer = _empty(RepConv, f=-1, i=0, _fuse_bn_tensor=DetectionModel)
    layer.__dict__["conv1"] = _evil(tmp_path / "ran")
    with pytest.raises(InvalidModelError):
        rewritten_weights(write(_model(FINE, layer)))
    assert not (tmp_path / "ran").exists()


def test_every_architecture_is_looked_at_whoever_holds_it(write: Write, tmp_path: Path) -> None:
    import torch

    holder = _empty(torch.nn.Identity, anything=_evil(tmp_path / "ran"))
    with pytest.raises(InvalidModelError, match="activation"):
        rewritten_weights(write(_model(FINE, holder)))
    fetching = {**FINE, "backbone": [[-1, 1, "TorchVision", [8, "resnet18", "DEFAULT"]]]}
    holder = _empty(torch.nn.Identity, anything=fetching)
    with pytest.raises(InvalidModelError, match="TorchVision"):
        rewritten_weights(write(_model(FINE, holder)))


def test_layers_by_themselves_are_no_model(write: Write, tmp_path: Path) -> None:
    import torch

    alone = _empty(torch.nn.Sequential, names={0: "a"}, task="detect", yaml=_evil(tmp_path / "ran"))
    with pytest.raises(InvalidModelError, match="whole model"):
        rewritten_weights(write(alone))


@pytest.mark.parametrize(
    "arguments", [[100_000, 100_000], ["4000000", "1000000"], [8192, 8192, 8192], ["1e9*1e9"]]
)
def test_an_architecture_makes_no_huge_layers(write: Write, arguments: list[Any]) -> None:
    huge = {**FINE, "backbone": [[-1, 1, "nn.Linear", arguments]]}
    with pytest.raises(InvalidModelError, match=r"numbers up to|architecture"):
        rewritten_weights(write(_model(huge)))


def test_a_layer_of_another_method_is_refused_when_it_is_built(write: Write) -> None:
    import torch

    inner = torch.nn.Identity()
    holder = _empty(torch.nn.Identity, f=-1, i=0)
    holder.__dict__["register_buffer"] = inner
    path = rewritten_weights(write(_model(FINE, holder)))
    from workbench.training.weights_check import load_rewritten

    with pytest.raises(InvalidModelError, match="register_buffer"):
        load_rewritten(path)
