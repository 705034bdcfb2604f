"""Architectures that training starts from: read, judged and measured before they are built.

Ultralytics builds whatever a YAML file says: it evaluates texts in it, fetches the weights of
other libraries' models where it names them, and takes the memory that its numbers ask for. So
the file is read here once, and what was judged is what Ultralytics is given. How much it would
take is found by building it without numbers, on torch's device ``meta``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from workbench.errors import InvalidModelError
from workbench.persistence.own_files import read_own_file
from workbench.persistence.yaml_bounds import CONSTRUCTING, MAX_BYTES, Loader, problem_of
from workbench.training.base_models import without_scale
from workbench.training.environment import ultralytics_folder
from workbench.weights.architecture import ArchitectureError, check_architecture

MAX_PARAMETERS = 500_000_000
"""Of a model, three times those of the largest of Ultralytics."""
MAX_MODULES = 20_000
"""Layers within layers of a model; the largest have about 2,000."""
MAX_NUMBERS_BETWEEN = 2**26
"""That stand between two layers, for a picture of 256 x 256. The largest models have 2**23."""

_SIDE = 256  # with which Ultralytics measures a new model, too


def read_architecture(source: str) -> dict[str, Any]:
    """Return what a YAML file says, if Ultralytics would build known layers of it.

    Parameters
    ----------
    source : str
        A path, or the name of an architecture that comes with Ultralytics.

    Raises
    ------
    InvalidModelError
        If it cannot be read, or would make something else.
    """
    path = _path_of(source)
    try:
        # A link is as good as what it leads to: somebody named this file.
        data = read_own_file(path.resolve(), MAX_BYTES)
        problem = problem_of(data)
        if problem is not None:
            raise InvalidModelError(
                f"{path}: expected {problem.expected}, found {problem.found}; {problem.remedy}"
            )
        content = yaml.load(data, Loader=Loader)  # a safe loader: it builds plain types only
        check_architecture(content)
    except OSError as error:
        raise InvalidModelError(f"{path}: this architecture cannot be read ({error})") from error
    except ArchitectureError as error:
        raise InvalidModelError(
            f"{path}: {error}; training starts from architectures of Ultralytics' own layers"
        ) from error
    except CONSTRUCTING as error:
        said = " ".join(str(error).split())
        raise InvalidModelError(f"{path}: expected an architecture in YAML; {said}") from error
    if not content.get("backbone") or not isinstance(content.get("nc"), int):
        raise InvalidModelError(
            f"{path}: expected an architecture with nc, backbone and head, as in Ultralytics' "
            "yolo11.yaml; found one without"
        )
    return content  # type: ignore[no-any-return]


def write_checked(source: str, folder: Path) -> Path:
    """Write an architecture that was read and measured, for Ultralytics to build.

    Parameters
    ----------
    source : str
        See `read_architecture`.
    folder : Path
        Made if missing. The file is called as `source` is: its name tells the scale.

    Raises
    ------
    InvalidModelError
        If it is no architecture, or would take too much.
    """
    content = read_architecture(source)
    target = folder / Path(source).name
    folder.mkdir(parents=True, exist_ok=True)
    target.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    tasks: Any = import_module("ultralytics.nn.tasks")
    require_moderate({**content, "scale": tasks.guess_model_scale(target)}, source)
    return target


def require_moderate(architecture: dict[str, Any], where: str) -> None:
    """Refuse an architecture whose model would take far more than any that people train.

    Builds it without numbers, so this takes next to no memory itself.

    Parameters
    ----------
    architecture : dict
        Known layers only, see `check_architecture`.
    where : str
        For messages.

    Raises
    ------
    InvalidModelError
        If it would, or cannot be built.
    """
    import torch

    tasks: Any = import_module("ultralytics.nn.tasks")
    try:
        with torch.device("meta"), _counting():
            layers, kept = tasks.parse_model(deepcopy(architecture), ch=3, verbose=False)
            _run_through(layers, kept)
    except _TooMuchError as error:
        raise InvalidModelError(
            f"{where}: expected an architecture of a moderate size, found one with more than "
            f"{error}; nothing was built of it. Start from a smaller one"
        ) from error
    except _UNBUILDABLE as error:
        raise InvalidModelError(
            f"{where}: no model can be built of this architecture ({type(error).__name__}: {error})"
        ) from error


def _path_of(source: str) -> Path:
    path = Path(source)
    if path.name != source:
        return path
    # By its name: never a file that happens to lie where the process runs.
    tasks_folder = ultralytics_folder() / "cfg" / "models"
    names = {source, without_scale(source)}
    found = sorted(path for path in tasks_folder.glob("*/*.yaml") if path.name in names)
    exact = [path for path in found if path.name == source]
    if not found:
        raise InvalidModelError(f"{source}: Ultralytics comes with no such architecture")
    return (exact or found)[0]


class _TooMuchError(Exception):
    """What there would be more of than may be."""


# What Ultralytics and torch raise for layers that do not fit each other.
_UNBUILDABLE = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, NameError),
    *(NotImplementedError, RuntimeError, TypeError, ValueError),
)


@contextlib.contextmanager
def _counting() -> Iterator[None]:
    """Raise as soon as more layers or numbers are made than may be."""
    from torch.nn.modules import module as hooks

    numbers = modules = 0

    def count_numbers(_module: Any, _name: str, tensor: Any) -> None:
        nonlocal numbers
        numbers += tensor.numel() if hasattr(tensor, "numel") else 0
        if numbers > MAX_PARAMETERS:
            raise _TooMuchError(f"{MAX_PARAMETERS:,} parameters")

    def count_modules(_module: Any, _name: str, _child: Any) -> None:
        nonlocal modules
        modules += 1
        if modules > MAX_MODULES:
            raise _TooMuchError(f"{MAX_MODULES:,} layers")

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


def _run_through(layers: Any, kept: list[int]) -> None:
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
                    raise _TooMuchError(f"{MAX_NUMBERS_BETWEEN:,} numbers between two layers")
            return answer

    return Watching()  # type: ignore[no-untyped-call]
