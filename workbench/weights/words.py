"""What a weights file holds, in words: who reads it need not know what Python calls its parts."""

from __future__ import annotations

from typing import Any

from workbench.weights.names import CLASSES, LOSSES, MODELS, SCALARS
from workbench.weights.program import Made

_REBUILT = ("torch._utils._rebuild", "torch._tensor._rebuild")
_TENSORS = frozenset({"torch.Tensor", "torch.nn.parameter.Parameter"})
_TABLES = frozenset({"collections.OrderedDict", "collections.defaultdict"})
_KINDS = ((bool, "a yes or no"), (str, "a text"), (bytes, "bytes"), (int | float, "a number"),
          (dict, "a table"), (list | tuple | set | frozenset, "a list"))  # fmt: skip
_LONGEST = 100
_SHOWN = 5
STATE = "tensors without the architecture that they belong to (a state_dict)"


def named(name: str) -> str:
    """Return what calling something of this name makes."""
    if name.startswith(_REBUILT) or name in _TENSORS:
        return "a tensor"
    if name in _TABLES:
        return "a table"
    if name in SCALARS or name == "numpy.dtype":
        return "a number of numpy"
    if name in LOSSES:
        return "the loss of a training"
    short = name.rpartition(".")[2][:_LONGEST]
    if name in MODELS:
        return f"a network ({short})"
    if name in CLASSES:
        return f"a layer ({short})"
    return name[:_LONGEST]


def kind_of(value: Any) -> str:
    """Return what plain data is."""
    if isinstance(value, Made):
        return named(value.name)
    return next((words for types, words in _KINDS if isinstance(value, types)), "nothing")


def content_of(checkpoint: Any) -> str:
    """Return what a file holds in place of a checkpoint with a model."""
    if not isinstance(checkpoint, dict):
        return f"{kind_of(checkpoint)} by itself"
    if is_tensors(checkpoint):
        return STATE
    keys = [key[:_LONGEST] for key in checkpoint if isinstance(key, str)]
    shown = f"{', '.join(keys[:_SHOWN])}{', ...' * (len(keys) > _SHOWN)}"
    inner = [key for key in keys if is_tensors(checkpoint.get(key))]
    if inner:
        return f"{STATE}, under {inner[0]!r}"
    return f"a table of {shown}" if keys else "an empty table" if not checkpoint else "a table"


def is_tensors(value: Any) -> bool:
    """Whether it is tensors by their names, and nothing else: what networks of SAM come as."""
    return (
        isinstance(value, dict)
        and bool(value)
        and all(isinstance(name, str) for name in value)
        and all(isinstance(one, Made) and named(one.name) == "a tensor" for one in value.values())
    )
