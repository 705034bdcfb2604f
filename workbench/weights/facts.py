"""What a checkpoint says of itself, as JSON has it."""

from __future__ import annotations

import struct
from typing import Any

from workbench.errors import InvalidModelError
from workbench.weights.meaning import scalar
from workbench.weights.names import MODELS, NAMESPACES, SCALARS
from workbench.weights.program import Made

TENSORS = "tensors"
"""The task of a file that holds tensors by their names, and no model."""

_TENSORS = frozenset({"torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter"})
_MAX_CLASSES = 100_000
_MAX_NAME = 1000
_SHOWN = 5
_REMEDY = (
    "take the best.pt or last.pt that Ultralytics' training writes, saved as a whole model and "
    "not as its numbers alone (state_dict)"
)

MAX_IMAGE_SIZE = 4096
"""Pixels of a side that a file may ask for; a picture of it takes 200 MB as a network sees it."""


def facts_of(checkpoint: Any, where: str) -> dict[str, Any]:
    """Return task, classes and training of a checkpoint.

    Parameters
    ----------
    checkpoint : object
        `workbench.weights.program.Program.result`.
    where : str
        The file, for errors.

    Returns
    -------
    dict
        ``task``, ``class_names``, ``base_model`` (a path or ``""``), ``epochs``, ``metrics`` (by
        Ultralytics' names), ``image_size`` (0 if it is not known), ``epoch`` and ``resumable``.

    Raises
    ------
    InvalidModelError
        If there is no model in it.
    """
    if _is_tensors(checkpoint):
        return {"task": TENSORS, "class_names": [], "image_size": 0}
    content = checkpoint if isinstance(checkpoint, dict) else {}
    model = content.get("ema") or content.get("model")
    state = model.state if isinstance(model, Made) else None
    if not isinstance(model, Made) or not isinstance(state, dict):
        raise InvalidModelError(
            f"{where}: expected a checkpoint of Ultralytics with a model in it, found "
            f"{_what(checkpoint)}; {_REMEDY}"
        )
    arguments = _settings(content.get("train_args"))
    own = state.get("task")
    task = own if isinstance(own, str) else arguments.get("task")
    results = content.get("train_results")
    epochs = results.get("epoch") if isinstance(results, dict) else None
    epoch = content.get("epoch")
    return {
        "task": task if isinstance(task, str) else MODELS.get(model.name, "detect"),
        "class_names": _class_names(state.get("names"), where),
        "base_model": _text(arguments.get("model")),
        "epochs": len(epochs) if isinstance(epochs, list) else 0,
        "metrics": _numbers(content.get("train_metrics")),
        "image_size": _image_size(arguments, state),
        "epoch": epoch if isinstance(epoch, int) else -1,
        "best_fitness": _number(content.get("best_fitness")),
        "resumable": content.get("optimizer") is not None and isinstance(epoch, int) and epoch >= 0,
    }


def _is_tensors(checkpoint: Any) -> bool:
    """Whether it is tensors by their names, and nothing else: what networks of SAM come as."""
    return (
        isinstance(checkpoint, dict)
        and bool(checkpoint)
        and all(isinstance(name, str) for name in checkpoint)
        and all(isinstance(one, Made) and one.name in _TENSORS for one in checkpoint.values())
    )


def _what(checkpoint: Any) -> str:
    """Return in words what a file holds in place of a model."""
    if isinstance(checkpoint, Made):
        return f"a {checkpoint.name.rpartition('.')[2][:_MAX_NAME]} by itself"
    if not isinstance(checkpoint, dict):
        return f"a {type(checkpoint).__name__}"
    keys = [key[:_MAX_NAME] for key in checkpoint if isinstance(key, str)]
    shown = f"{', '.join(keys[:_SHOWN])}{', ...' * (len(keys) > _SHOWN)}"
    return f"a dict of {shown}" if keys else "an empty dict" if not checkpoint else "a dict"


def _settings(value: Any) -> dict[Any, Any]:
    if isinstance(value, Made) and value.name in NAMESPACES:
        value = value.state
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value[:_MAX_NAME] if isinstance(value, str) else ""


def _class_names(names: Any, where: str) -> list[str]:
    if isinstance(names, list | tuple):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or len(names) > _MAX_CLASSES:
        raise InvalidModelError(
            f"{where}: expected a model with names of its classes, found none; {_REMEDY}"
        )
    ids = sorted(key for key in names if isinstance(key, int))
    if len(ids) != len(names) or not all(isinstance(name, str) for name in names.values()):
        raise InvalidModelError(
            f"{where}: expected a name for each class of the model, found something else; {_REMEDY}"
        )
    # Half characters, which no file of ours could hold, become question marks.
    return [names[key][:_MAX_NAME].encode("utf-8", "replace").decode() for key in ids]


def _image_size(arguments: dict[Any, Any], state: dict[Any, Any]) -> int:
    size = arguments.get("imgsz") or _settings(state.get("args")).get("imgsz")
    if isinstance(size, list | tuple):
        size = max((side for side in size if isinstance(side, int)), default=0)
    return size if isinstance(size, int) and 0 < size <= MAX_IMAGE_SIZE else 0


def _number(value: Any) -> float | None:
    if isinstance(value, Made) and value.name in SCALARS:
        try:
            value = scalar(value)
        except (ValueError, TypeError, KeyError, AttributeError, IndexError, struct.error):
            return None
    return float(value) if isinstance(value, int | float) else None


def _numbers(values: Any) -> dict[str, float]:
    if not isinstance(values, dict):
        return {}
    found = {key: _number(value) for key, value in values.items() if isinstance(key, str)}
    return {key: value for key, value in found.items() if value is not None}
