"""Architectures that training starts from: read, judged and measured before they are built.

Ultralytics builds whatever a YAML file says: it evaluates texts in it, fetches the weights of
other libraries' models where it names them, and takes the memory that its numbers ask for. So
the file is read here once, and what was judged is what Ultralytics is given. How much it would
take is found by building it without numbers, on torch's device ``meta``.
"""

from __future__ import annotations

from copy import deepcopy
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from workbench.errors import InvalidModelError
from workbench.persistence.own_files import read_own_file
from workbench.persistence.yaml_bounds import CONSTRUCTING, MAX_BYTES, Loader, problem_of
from workbench.training.base_models import without_scale
from workbench.training.environment import ultralytics_folder
from workbench.weights.architecture import ArchitectureError, check_architecture
from workbench.weights.measuring import UNBUILDABLE, TooMuchError, counting, run_through

_TEXT_ENCODER = "clip"


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


def require_readable_texts(source: str) -> None:
    """Refuse an architecture that is trained with texts where nothing can read them.

    Ultralytics goes by the file's name, whatever is in it, and would fail in the run itself.

    Raises
    ------
    InvalidModelError
        If it is one, and the package that reads texts is missing.
    """
    stem = Path(source).stem
    if ("-world" in stem or "yoloe" in stem) and find_spec(_TEXT_ENCODER) is None:
        raise InvalidModelError(
            f"{source}: expected an architecture that is trained on boxes alone, found the name of "
            f"one that reads texts, too, for which the package {_TEXT_ENCODER} is not installed; "
            "start from another, such as yolo11n.yaml, or rename a file of your own"
        )


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
        with torch.device("meta"), counting():
            layers, kept = tasks.parse_model(deepcopy(architecture), ch=3, verbose=False)
            run_through(layers, kept)
    except TooMuchError as error:
        raise InvalidModelError(
            f"{where}: expected an architecture of a moderate size, found one with more than "
            f"{error}; nothing was built of it. Start from a smaller one"
        ) from error
    except UNBUILDABLE as error:
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
