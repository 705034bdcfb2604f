"""Weights from a stranger: looked at before they are loaded, and brought into the store.

Two locks on the door. First the file's program is read, without running it, and every name
in it must be one that models of Ultralytics consist of. Then torch loads it with its own
restricted reader (``weights_only=True``), which builds nothing else either.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from workbench.errors import InvalidModelError, NotFoundError, SetupError, WorkbenchError
from workbench.persistence import Stores
from workbench.persistence.models import ModelInfo
from workbench.training.environment import import_ultralytics
from workbench.training.pickle_scan import imported_names

# Classes are recognised by their capital letter: building one of these runs its own
# constructor and nothing of the file's.
_CLASSES = re.compile(
    r"(?:torch\.nn\.modules\.\w+"
    r"|ultralytics\.nn\.(?:modules(?:\.\w+)?|tasks|distill_model)"
    r"|ultralytics\.utils\.(?:loss|tal))\.[A-Z]\w*"
    r"|torch\.(?:\w*Storage|Size|device|dtype|Tensor|nn\.(?:parameter\.Parameter|Parameter))"
    r"|torch\.(?:float|bfloat|int|uint)\d+|torch\.bool"
    r"|torch\.storage\.(?:UntypedStorage|TypedStorage|_TypedStorage)"
    r"|torch\._utils\._rebuild_(?:tensor|tensor_v2|tensor_v3|parameter|parameter_with_state)"
    r"|torch\._tensor\._rebuild_from_type_v2|torch\.serialization\._get_layout"
    r"|(?:numpy|numpy\._?core\.multiarray)\.(?:dtype|ndarray|scalar|_reconstruct|int64|float64)"
    r"|collections\.(?:OrderedDict|defaultdict)"
    r"|ultralytics\.utils\.IterableSimpleNamespace"
    r"|pathlib\.(?:Pure)?(?:Posix|Windows)?Path"
    r"|(?:builtins|__builtin__)\.(?:set|frozenset|slice|complex|bytearray|dict|list|int|float|str)"
    r"|_codecs\.encode"
)
_NAMES_SHOWN = 5
TRUSTED, TRUSTED_DIGEST = "trusted", "trusted_sha256"
"""Details of a model: that somebody said yes to the code in its weights, and to which bytes."""


@dataclass(frozen=True, slots=True)
class WeightsReport:
    """What a look into a weights file found, without running any of it.

    Parameters
    ----------
    path : Path
    suspicious : list of str
        Names, as ``module.name``, that a detection model of Ultralytics has no use for.
    """

    path: Path
    suspicious: list[str] = field(default_factory=list)

    @property
    def is_harmless(self) -> bool:
        """Whether the file holds nothing but a model."""
        return not self.suspicious


@dataclass(frozen=True, slots=True)
class _Contents:
    class_names: list[str]
    base_model: str
    epochs: int
    metrics: dict[str, float]


def check_weights(path: Path | str) -> WeightsReport:
    """Look for code in a weights file; nothing of it is run, and torch is not imported.

    Raises
    ------
    NotFoundError
        If there is no such file.
    InvalidModelError
        If it is no weights file, or damaged.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise NotFoundError(f"no weights file at {path}")
    names = imported_names(path)
    return WeightsReport(path, sorted(n for n in names if not _CLASSES.fullmatch(n)))


def require_harmless(path: Path | str) -> None:
    """Raise `InvalidModelError` if a weights file holds code; see `check_weights`."""
    report = check_weights(path)
    if report.is_harmless:
        return
    shown = ", ".join(report.suspicious[:_NAMES_SHOWN])
    raise InvalidModelError(
        f"{report.path}: this file holds code that would run when it is loaded ({shown}), and was "
        "not loaded. A model of Ultralytics has no use for that. If you know who made it and "
        "what it does, import it with trust=True"
    )


def is_trusted(info: ModelInfo, weights: Path) -> bool:
    """Whether somebody said yes to the code in these weights, and they are still the same.

    Parameters
    ----------
    info : ModelInfo
    weights : Path
        The model's file as it is now; it is read if there was a yes at all.
    """
    agreed = info.details.get(TRUSTED_DIGEST)
    return bool(info.details.get(TRUSTED) and agreed) and _digest(weights) == agreed


async def import_weights(
    stores: Stores, path: Path | str, name: str, *, trust: bool = False, origin: str = ""
) -> ModelInfo:
    """Bring weights from elsewhere into the model store.

    Parameters
    ----------
    stores : Stores
    path : Path or str
        A ``.pt`` file of an Ultralytics detection model.
    name : str
        In the model store.
    trust : bool
        Load the file even if it holds code, which then runs with all your rights. The
        answer is kept with the model, for these bytes: it can label and be exported from
        then on, until its file is changed.
    origin : str
        Where the file comes from, as it is kept with the model; default: `path`.

    Raises
    ------
    NotFoundError
        If there is no such file.
    InvalidModelError
        If it is damaged, holds code, or is no detection model.
    AlreadyExistsError
        If there is a model of that name.
    """
    report = await asyncio.to_thread(check_weights, path)
    path = report.path
    if not trust:
        await asyncio.to_thread(require_harmless, path)
    is_yes_needed = trust and not report.is_harmless
    # Before it is loaded: should somebody exchange the file meanwhile, it is not the one that
    # the yes was for.
    details: dict[str, Any] = {"imported_from": origin or str(path), TRUSTED: is_yes_needed}
    if is_yes_needed:
        details[TRUSTED_DIGEST] = await asyncio.to_thread(_digest, path)
    contents = await asyncio.to_thread(_load, path, trust)
    return await stores.model.save(
        name,
        path,
        contents.base_model,
        "",
        contents.epochs,
        contents.metrics,
        class_names=contents.class_names,
        details={**details, "suspicious": report.suspicious},
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_weights(path: Path, *, trusted: bool) -> dict[str, Any]:
    """Load a checkpoint of Ultralytics into memory.

    Parameters
    ----------
    path : Path
    trusted : bool
        True runs whatever code is in the file; False builds nothing but what models consist
        of, and raises whatever torch raises if there is more.

    Raises
    ------
    SetupError
        If torch cannot load in a restricted way, or Ultralytics cannot be imported.
    """
    import_ultralytics()
    tasks: Any = import_module("ultralytics.nn.tasks")
    if not trusted and not tasks._SafeLoad.SUPPORTED:
        raise SetupError(
            "this release of torch cannot load weights in a restricted way: "
            "`pip install --upgrade torch torchvision`"
        )
    content: dict[str, Any] = tasks.torch_safe_load(str(path), safe_only=not trusted)[0]
    return content


def _load(path: Path, trust: bool) -> _Contents:
    try:
        content = read_weights(path, trusted=trust)
        model = content.get("ema") or content["model"]
        names, task = dict(model.names), str(model.task if hasattr(model, "task") else "detect")
    except WorkbenchError:
        raise
    except Exception as error:  # code that was trusted may raise whatever it likes
        reason = " ".join(str(error).split())
        raise InvalidModelError(
            f"{path}: expected weights of an Ultralytics detection model; they cannot be loaded "
            f"({reason})"
        ) from error
    arguments = content.get("train_args") or {}
    task = str(arguments.get("task") or task)
    if task != "detect":
        raise InvalidModelError(f"{path}: expected a detection model, found one for {task!r}")
    measured = content.get("train_metrics") or {}
    ours = {
        "metrics/precision(B)": "precision",
        "metrics/recall(B)": "recall",
        "metrics/mAP50(B)": "best_map50",
        "metrics/mAP50-95(B)": "best_map50_95",
    }
    return _Contents(
        class_names=[str(names[index]) for index in sorted(names)],
        base_model=Path(str(arguments.get("model") or path.name)).name,
        epochs=len((content.get("train_results") or {}).get("epoch", [])),
        metrics={ours[key]: float(value) for key, value in measured.items() if key in ours},
    )
