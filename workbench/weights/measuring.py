"""How much a model would take: run on torch's device ``meta``, which keeps no numbers.

Layers of known classes can still be put together so that they fill the machine: some that widen
the picture step by step, or set everything beside everything. What a file would take is found
before anything of it is run.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

from workbench.errors import InvalidModelError

MAX_PARAMETERS = 500_000_000
"""Of a model, three times those of the largest of Ultralytics."""
MAX_MODULES = 20_000
"""Layers within layers of a model; the largest have about 2,000."""
MAX_NUMBERS_BETWEEN = 2**26
"""That stand between two layers, for a picture of 256 x 256. The largest models have 2**23."""

UNBUILDABLE = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, NameError),
    *(NotImplementedError, RuntimeError, TypeError, ValueError),
)
"""What Ultralytics and torch raise for layers that do not fit each other."""

_MAX_STRIDE = 4096
_SIDE = 256  # with which Ultralytics measures a new model, too


class TooMuchError(Exception):
    """What there would be more of than may be."""


def require_moderate_model(model: Any, where: str) -> None:
    """Refuse a model that would take far more than any that people train, before it is run.

    Parameters
    ----------
    model : torch.nn.Module
        Of Ultralytics, put together; it is not changed, and not run.
    where : str
        For messages.

    Raises
    ------
    InvalidModelError
        If it would, or cannot be run.
    """
    _require_what_runs_need(model, where)
    try:
        shape = _without_numbers(model)
        layers = shape.model
        run_through(layers, list(getattr(shape, "save", ())))
    except TooMuchError as error:
        raise InvalidModelError(
            f"{where}: expected a model of a moderate size, found one with more than {error}; "
            "nothing of it was run. No model of Ultralytics takes as much"
        ) from error
    except UNBUILDABLE as error:
        raise InvalidModelError(
            f"{where}: the layers of this model do not fit each other ({type(error).__name__}: "
            f"{error}); nothing of it was run"
        ) from error


def _require_what_runs_need(model: Any, where: str) -> None:
    """Refuse a model of which Ultralytics could not say how to cut pictures, or what it finds."""
    import torch

    stride = getattr(model, "stride", None)
    if stride is not None and not (
        isinstance(stride, torch.Tensor)
        and stride.numel()
        and bool(((stride >= 0) & (stride <= _MAX_STRIDE)).all())  # NaN is neither
    ):
        raise InvalidModelError(
            f"{where}: expected strides of 0 to {_MAX_STRIDE} pixels, found {str(stride)[:80]!r}; "
            "get the weights again from where they come from"
        )
    if not getattr(model, "names", {0: ""}):
        raise InvalidModelError(
            f"{where}: expected a name for each class of the model, found none; get the weights "
            "again from where they come from"
        )


def _without_numbers(model: Any) -> Any:
    """Return a copy of a model on the device ``meta``; no tensor is copied."""
    import torch

    def shape_of(tensor: Any) -> Any:
        # Checkpoints are kept in half precision; the picture here is not.
        dtype = torch.float32 if tensor.is_floating_point() else tensor.dtype
        return torch.empty_like(tensor, dtype=dtype, device="meta", requires_grad=False)

    known = {id(one): torch.nn.Parameter(shape_of(one), False) for one in model.parameters()}
    known |= {id(one): shape_of(one) for one in model.buffers()}
    return copy.deepcopy(model, known)


@contextlib.contextmanager
def counting() -> Iterator[None]:
    """Raise as soon as more layers or numbers are made than may be."""
    from torch.nn.modules import module as hooks

    numbers = modules = 0

    def count_numbers(_module: Any, _name: str, tensor: Any) -> None:
        nonlocal numbers
        numbers += tensor.numel() if hasattr(tensor, "numel") else 0
        if numbers > MAX_PARAMETERS:
            raise TooMuchError(f"{MAX_PARAMETERS:,} parameters")

    def count_modules(_module: Any, _name: str, _child: Any) -> None:
        nonlocal modules
        modules += 1
        if modules > MAX_MODULES:
            raise TooMuchError(f"{MAX_MODULES:,} layers")

    handles = [
        hooks.register_module_parameter_registration_hook(count_numbers),
        hooks.register_module_buffer_registration_hook(count_numbers),
        hooks.register_module_module_registration_hook(count_modules),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def run_through(layers: Any, kept: list[int]) -> None:
    """Send a picture without pixels through the layers, as Ultralytics does with a new model."""
    import torch

    with _watching(), torch.inference_mode():
        layers.eval()
        layers[-1].training = True  # a head then answers before it makes boxes of it
        value: Any = torch.empty(1, 3, _SIDE, _SIDE, device="meta")
        text = torch.empty(1, 80, 512, device="meta")
        answers: list[Any] = []
        for layer in layers:
            if isinstance(layer.f, int):
                value = value if layer.f == -1 else answers[layer.f]
            else:
                value = [value if place == -1 else answers[place] for place in layer.f]
            value = _answer(layer, value, text)
            answers.append(value if layer.i in kept else None)


def _answer(layer: Any, value: Any, text: Any) -> Any:
    """Call a layer; those of models that look for a text take what stands for one, too."""
    kind = type(layer).__name__
    if kind in ("C2fAttn", "WorldDetect", "ImagePoolingAttn"):
        answer = layer(value, text)
        return value if kind == "ImagePoolingAttn" else answer
    return layer([*value, text] if kind.startswith("YOLOE") else value)


def _watching() -> Any:
    from torch.utils._python_dispatch import TorchDispatchMode

    class Watching(TorchDispatchMode):  # type: ignore[no-untyped-call]
        """Sees what every single operation answers."""

        def __torch_dispatch__(
            self, function: Any, _types: Any, arguments: Any = (), named: Any = None
        ) -> Any:
            answer = function(*arguments, **(named or {}))
            for tensor in answer if isinstance(answer, list | tuple) else [answer]:
                if hasattr(tensor, "numel") and tensor.numel() > MAX_NUMBERS_BETWEEN:
                    raise TooMuchError(f"{MAX_NUMBERS_BETWEEN:,} numbers between two layers")
            return answer

    return Watching()  # type: ignore[no-untyped-call]
