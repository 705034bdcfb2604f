"""What a checkpoint says of itself, as JSON has it."""

from __future__ import annotations

import struct
from typing import Any

from workbench.errors import InvalidModelError
from workbench.weights.meaning import scalar
from workbench.weights.names import MODELS, NAMESPACES, SCALARS
from workbench.weights.program import Made
from workbench.weights.words import STATE, content_of, is_tensors

TENSORS = "tensors"
"""The task of a file that holds tensors by their names, and no model."""

_MAX_CLASSES = 100_000
_MAX_NAME = 1000
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
    if is_tensors(checkpoint):
        return {"task": TENSORS, "class_names": [], "image_size": 0}
    found = checkpoint if isinstance(checkpoint, dict) else {}
    model = found.get("ema") or found.get("model")
    state = model.state if isinstance(model, Made) else None
    if not isinstance(model, Made) or not isinstance(state, dict):
        raise InvalidModelError(
            f"{where}: expected a checkpoint of Ultralytics with a model in it, found "
            f"{content_of(checkpoint)}; {_REMEDY}"
        )
    arguments = _settings(found.get("train_args"))
    own = state.get("task")
    task = own if isinstance(own, str) else arguments.get("task")
    results = found.get("train_results")
    epochs = results.get("epoch") if isinstance(results, dict) else None
    epoch = found.get("epoch")
    return {
        "task": task if isinstance(task, str) else MODELS.get(model.name, "detect"),
        "class_names": _class_names(state.get("names"), where),
        "base_model": _text(arguments.get("model")),
        "epochs": len(epochs) if isinstance(epochs, list) else 0,
        "metrics": _numbers(found.get("train_metrics")),
        "image_size": _image_size(arguments, state),
        "epoch": epoch if isinstance(epoch, int) else -1,
        "best_fitness": _number(found.get("best_fitness")),
        "resumable": found.get("optimizer") is not None and isinstance(epoch, int) and epoch >= 0,
    }


def not_to_detect(task: str, where: str) -> InvalidModelError:
    """Return the error for weights of another task than detection."""
    found = STATE if task == TENSORS else f"one for {task!r}"
    remedy = f"; {_REMEDY}" if task == TENSORS else ""
    return InvalidModelError(f"{where}expected a detection model, found {found}{remedy}")


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
