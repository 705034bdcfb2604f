"""A checkpoint in memory, made of a file that was written again.

Layers are made without calling their constructors, and filled with what the file says, as
reading the original would have done. Only classes of `workbench.weights.names` are imported.
"""

from __future__ import annotations

import base64
from importlib import import_module
from pathlib import Path
from typing import Any

from workbench.errors import InvalidModelError
from workbench.weights.container import Contents, read
from workbench.weights.measuring import require_moderate_model
from workbench.weights.names import CLASSES, INTERPOLATION, METHODS

_RENAMED = frozenset(CLASSES.values())
# What layers raise when they are filled with what does not fit.
_UNFIT = (
    *(ValueError, KeyError, TypeError, IndexError, AttributeError, RuntimeError),
    OverflowError,
)
_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}


def build_checkpoint(path: Path, digest: str, *, trusted: bool = False) -> dict[str, Any]:
    """Return a checkpoint as Ultralytics has it: a dict with a model, settings and more.

    To call where Ultralytics is imported already, or may be.

    Parameters
    ----------
    path : Path
        As `workbench.weights.container.write` writes it.
    digest : str
        SHA-256 that it must have, as it had when it was written.
    trusted : bool
        Whether layers of any class that is installed may be made: somebody has said yes to
        the file that this was made of.

    Raises
    ------
    InvalidModelError
        If the file is damaged or another one, needs a layer that is not installed, or would
        take far more memory than any that people train.
    """
    contents = read(path)
    # Of the bytes in memory that are used from here on: the file may change at any moment.
    if contents.digest != digest:
        raise InvalidModelError(
            f"{path}: this file is another than the one that was written from the weights; "
            "nothing of it was loaded. Try again, and it is made anew"
        )
    try:
        builder = _Builder(contents, _storages(contents), trusted=trusted)
        checkpoint: dict[str, Any] = builder.build()
    except _UNFIT as error:
        if isinstance(error, InvalidModelError):
            raise
        raise InvalidModelError(
            f"{path}: these weights cannot be put together ({type(error).__name__}: {error}); they "
            "may need another release of Ultralytics"
        ) from error
    if not trusted:
        _measure(checkpoint, path)
    return checkpoint


def _measure(checkpoint: Any, path: Path) -> None:
    """Make sure that no model in a checkpoint takes the machine when it is run."""
    if not isinstance(checkpoint, dict):
        return  # which is no checkpoint; whoever asked for one says so
    for part in ("model", "ema"):
        model = checkpoint.get(part)
        if hasattr(model, "model"):  # one without layers runs nothing
            require_moderate_model(model, f"{path}, {part}")


def _storages(contents: Contents) -> list[Any]:
    import torch

    found = []
    for kind, data in contents.storages:
        dtype = getattr(torch, _DTYPES[kind])
        found.append(torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype))
    return found


class _Builder:
    def __init__(self, contents: Contents, storages: list[Any], *, trusted: bool) -> None:
        self._nodes = contents.nodes
        self._root = contents.root
        self._storages = storages
        self._trusted = trusted
        self._made: list[Any] = []

    def build(self) -> Any:
        # Containers and layers first empty, because they may hold each other.
        for kind, *parts in self._nodes:
            self._made.append(getattr(self, f"_make_{kind}")(*parts))
        for made, (kind, *parts) in zip(self._made, self._nodes, strict=True):
            if kind in ("dict", "ordered"):
                items = [self._value(part) for part in parts[0]]
                made.update(zip(items[::2], items[1::2], strict=True))
            elif kind == "list":
                made.extend(self._value(part) for part in parts[0])
        for made, (kind, *parts) in zip(self._made, self._nodes, strict=True):
            if kind == "layer":
                self._fill(made, self._value(parts[1]))
            elif kind == "namespace":
                made.__dict__.update(self._value(parts[0]))
        return self._made[self._root]

    def _value(self, part: Any) -> Any:
        return self._made[part[0]] if isinstance(part, list) else part

    # Layers

    def _class(self, name: str) -> type:
        if name not in _RENAMED and not self._trusted:
            raise InvalidModelError(f"{name} is no layer that models of Ultralytics consist of")
        module, _, attribute = name.rpartition(".")
        try:
            found = getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise InvalidModelError(
                f"the model needs {name}, which is not installed here ({error})"
            ) from error
        if not isinstance(found, type):
            raise InvalidModelError(f"{name} is no class of layers")
        return found

    def _make_layer(self, name: str, _state: Any) -> Any:
        kind: Any = self._class(name)
        return kind.__new__(kind)

    def _fill(self, layer: Any, state: dict[str, Any]) -> None:
        if not self._trusted:
            _refuse_other_methods(layer, state)
        # As reading a pickle would have done it. Of the layers on the list, those that do
        # more than take the state over complete what older releases did not have.
        if hasattr(layer, "__setstate__"):
            layer.__setstate__(state)
        else:
            layer.__dict__.update(state)

    def _make_class(self, name: str) -> type:
        return self._class(name)

    def _make_method(self, owner: Any, name: str) -> Any:
        if name not in METHODS:
            raise ValueError(name)
        return getattr(self._value(owner), name)

    def _make_namespace(self, _state: Any) -> Any:
        return import_module("ultralytics.utils").IterableSimpleNamespace()

    def _make_interpolation(self, name: str) -> Any:
        module, _, attribute = INTERPOLATION.rpartition(".")
        return getattr(import_module(module), attribute)(name)

    # Tensors

    def _make_tensor(self, storage: int, offset: int, sizes: list[int], strides: list[int]) -> Any:
        return self._storages[storage].as_strided(sizes, strides, offset)

    def _make_parameter(self, tensor: Any, needs_grad: bool) -> Any:
        import torch

        return torch.nn.Parameter(self._value(tensor), requires_grad=needs_grad)

    def _make_size(self, sizes: list[int]) -> Any:
        import torch

        return torch.Size(sizes)

    def _make_dtype(self, name: str) -> Any:
        import torch

        found = getattr(torch, name)
        if not isinstance(found, torch.dtype):
            raise ValueError(name)
        return found

    def _make_device(self, name: str) -> Any:
        import torch

        return torch.device(name)

    # Plain data

    def _make_dict(self, _items: Any) -> dict[Any, Any]:
        return {}

    def _make_ordered(self, _items: Any) -> dict[Any, Any]:
        from collections import OrderedDict

        return OrderedDict()

    def _make_list(self, _items: Any) -> list[Any]:
        return []

    def _make_tuple(self, items: list[Any]) -> tuple[Any, ...]:
        return tuple(self._value(item) for item in items)

    def _make_set(self, items: list[Any]) -> set[Any]:
        return {self._value(item) for item in items}

    def _make_bytes(self, text: str) -> bytes:
        return base64.b64decode(text)

    def _make_complex(self, real: float, imaginary: float) -> complex:
        return complex(real, imaginary)

    def _make_slice(self, *parts: int | None) -> slice:
        return slice(*parts)

    def _make_value(self, value: Any) -> Any:
        return value


def _refuse_other_methods(layer: Any, state: dict[str, Any]) -> None:
    """Refuse a state that puts something else where the layer's class has a method.

    What is fused has ``forward`` point at another method of the same layer, and nothing more.
    """
    kind = type(layer)
    for key, value in state.items():
        inherited = getattr(kind, key, None)
        if not callable(inherited) and not isinstance(inherited, property):
            continue
        is_own = key == "forward" and getattr(value, "__self__", None) is layer
        # Plain data there can only fail: Ultralytics itself keeps a text as ``type``.
        if callable(value) and not is_own:
            raise InvalidModelError(
                f"expected layers with the methods of their class, found another {key!r} in "
                f"{kind.__name__}; this is not a checkpoint of Ultralytics that Workbench can take"
            )
