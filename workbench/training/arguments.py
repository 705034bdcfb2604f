"""Our settings as arguments of Ultralytics' ``train``, and a check of those by name."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from workbench.errors import InvalidConfigError
from workbench.persistence.run_folder import RunFolder
from workbench.persistence.stored_json import loads
from workbench.training.config import TrainingJob
from workbench.training.environment import ultralytics_folder
from workbench.training.node_data import data_of

# Ultralytics' name -> the setting that stands for it.
_OURS = {
    "model": "base_model",
    "data": "dataset",
    "epochs": "epochs",
    "imgsz": "image_size",
    "batch": "batch",
    "device": "device",
    "patience": "patience",
    "seed": "seed",
    "workers": "workers",
    "cache": "cache",
    "pretrained": "base_model",
}
# These name files, addresses or programs: Ultralytics would load, fetch or run what is there.
_LOADING = ("distill_model", "source", "tracker")
# These would break the run's folder, its events or the promise to stay offline.
_FIXED = ("project", "name", "exist_ok", "save_dir", "save", "resume", "task", "mode", "cfg", "val")
# With the optimizer that it takes where none is named, Ultralytics takes its own of these.
_OF_THE_OPTIMIZER = ("lr0", "momentum", "warmup_bias_lr")
# Ultralytics takes these from 0 to 1, and says so only when the run has begun.
_FRACTIONS = frozenset(
    {
        *("bgr", "copy_paste", "cutmix", "erasing", "fliplr", "flipud", "hsv_h", "hsv_s", "hsv_v"),
        *("mixup", "mosaic", "perspective", "translate"),
        *("lr0", "lrf", "momentum", "warmup_bias_lr", "warmup_momentum", "weight_decay"),
        *("cls_pw", "conf", "dropout", "iou"),
    }
)
HOW_TO_BE_HEARD = "name an optimizer as well, such as optimizer=AdamW"


def parse_arguments(text: str) -> dict[str, Any]:
    """Return further arguments for Ultralytics that somebody has typed.

    Parameters
    ----------
    text : str
        ``lr0=0.01 degrees=5 optimizer=AdamW``: apart by spaces. Values are numbers,
        ``true``, ``false``, ``none``, lists such as ``[0,1]``, and else text, which may stand
        in quotation marks.

    Raises
    ------
    InvalidConfigError
        If something is no ``name=value``, or is there twice.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise InvalidConfigError(
            f"arguments: a quotation mark is not closed in {text!r}"
        ) from error
    found: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.removesuffix(",").partition("=")
        if not (name.isidentifier() and equals and value):
            raise InvalidConfigError(
                f"arguments: expected name=value, apart by spaces (lr0=0.01 degrees=5), "
                f"found {word!r}"
            )
        if name in found:
            raise InvalidConfigError(f"arguments: {name} is given twice")
        found[name] = _value(value)
    return found


def check_arguments(extra: Mapping[str, Any]) -> None:
    """Check the names of further arguments for Ultralytics, without importing it.

    Raises
    ------
    InvalidConfigError
        If a name is unknown (with the nearest known ones), has a setting of its own, or is
        one that the run needs for itself; or if its value is no number where Ultralytics
        has one, or none from 0 to 1 where it has to be.
    """
    known = _known_arguments()
    for name, value in extra.items():
        if name in _OURS:
            raise InvalidConfigError(f"extra: {name} is the setting {_OURS[name]}; set that")
        if name in _LOADING:
            raise InvalidConfigError(
                f"extra: {name} would load a file, or fetch one, that nobody has looked at; leave "
                "it out"
            )
        if name in _FIXED:
            raise InvalidConfigError(f"extra: {name} is set by the run itself; leave it out")
        if name not in known:
            near = get_close_matches(
                name, sorted({*known, *_OURS.values()} - {*_FIXED, *_LOADING}), n=3
            )
            hint = (
                f"did you mean {' or '.join(near)}?" if near else "see Ultralytics' train settings"
            )
            raise InvalidConfigError(f"extra: Ultralytics has no argument {name!r}; {hint}")
        _check_number(name, value, known[name])


def unheard(extra: Mapping[str, Any]) -> list[str]:
    """Return the names of those arguments that would change nothing.

    Where no optimizer is named (``optimizer=auto``), Ultralytics chooses one by the length of the
    run, and its learning rate and momentum with it, whatever was asked for.
    """
    if str(extra.get("optimizer", "auto")).lower() != "auto":
        return []
    return [name for name in _OF_THE_OPTIMIZER if name in extra]


def train_arguments(job: TrainingJob, folder: RunFolder) -> dict[str, Any]:
    """Return the keyword arguments for Ultralytics' ``train``.

    Raises
    ------
    InvalidConfigError
        If the job has others than may be: a run's folder may come from anywhere.
    """
    config = job.config
    check_arguments(config.extra)
    return {
        "plots": False,
        **config.extra,
        "data": str(data_of(folder) / Path(job.data_yaml).name),
        "epochs": config.epochs,
        "imgsz": config.image_size,
        "batch": config.batch,
        "device": config.device or None,
        "patience": config.patience,
        "seed": config.seed,
        "workers": config.workers,
        "cache": config.cache,
        "pretrained": job.base_model.pretrained,
        "project": str(folder.path),
        "name": folder.results_dir.name,
        "exist_ok": True,
    }


def resume_arguments(job: TrainingJob, folder: RunFolder) -> dict[str, Any]:
    """Return the keyword arguments for Ultralytics' ``train`` of a checkpoint.

    All others are in the checkpoint. Its folders are told again, because a run's folder may
    have been moved.
    """
    config = job.config
    return {
        "resume": True,
        "data": str(data_of(folder) / Path(job.data_yaml).name),
        "save_dir": str(folder.results_dir),
        "imgsz": config.image_size,
        "batch": config.batch,
        "device": config.device or None,
        "patience": config.patience,
        "workers": config.workers,
        "cache": config.cache,
    }


def resumed_arguments(
    job: TrainingJob, folder: RunFolder, found: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the arguments that a checkpoint has to hold for Ultralytics to resume from it.

    Parameters
    ----------
    found : mapping
        Those that it holds: of these, numbers are kept that the job does not set.
    """
    known = _known_arguments()
    numbers = {
        name: value
        for name, value in found.items()
        if name in known and (value is None or isinstance(value, bool | int | float))
    }
    return {**numbers, **train_arguments(job, folder)}


def _known_arguments() -> Mapping[str, Any]:
    """Return Ultralytics' arguments with their defaults."""
    path = ultralytics_folder() / "cfg" / "default.yaml"
    return _read_arguments(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _read_arguments(path: Path, _modified_ns: int) -> Mapping[str, Any]:
    """Read a file of arguments, once: each letter of a field asks for them."""
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return MappingProxyType(content)


def _check_number(name: str, value: object, default: object) -> None:
    # A default that is a bool may also take words (amp=bf16), and so may None.
    is_number = isinstance(default, int | float) and not isinstance(default, bool)
    if is_number and isinstance(value, str):
        raise InvalidConfigError(
            f"extra: {name}: expected a number, such as {default}, found {value!r}"
        )
    if name in _FRACTIONS and isinstance(value, int | float) and not 0 <= value <= 1:
        raise InvalidConfigError(f"extra: {name}: expected a number from 0 to 1, found {value!r}")


def _value(text: str) -> Any:
    plain = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in plain:
        return plain[text.lower()]
    try:
        return loads(text)  # YAML takes 1e-3 for text
    except ValueError:
        pass  # as it is: a word
    try:
        return float(text)  # .5, which JSON does not know
    except ValueError:
        return text
