"""Where training starts: which weights or architecture a name stands for."""

from __future__ import annotations

import asyncio
import re
from difflib import get_close_matches
from pathlib import Path

from workbench.errors import FetchError, InvalidConfigError, TrainingError
from workbench.persistence import ModelStore
from workbench.persistence.models import ModelInfo
from workbench.training.config import BaseModel
from workbench.training.environment import cache_dir, ultralytics_folder
from workbench.weights.fetching import fetch
from workbench.weights.ultralytics_release import released

START = Path(__file__).parent / "static" / "things.pt"
"""Weights that come along, for where no pretrained ones are on this disk.

A yolo11n that was taught, from random numbers, where drawn things of many kinds end and begin
(``tools/start_detector.py``). No weights and no pictures of anybody else are in it; as the
architecture is Ultralytics', its licence is that of Workbench, AGPL-3.0.
"""

IN_CODE = "allow_download=True"
"""How a download is allowed in code; a page says what is to be ticked."""

# yolo11n.yaml is yolo11.yaml at scale n; Ultralytics finds it by the same expression.
_SCALE = re.compile(r"(\d+)([nslmxtcbe])(.+)?$")
_OTHER_TASKS = ("-seg", "-pose", "-cls", "-obb", "-sem", "-depth")


async def resolve_base_model(
    name: str, models: ModelStore, *, allow_download: bool = False
) -> BaseModel:
    """Return what training starts from, for what a person called it.

    In this order: a model in the store, a file, weights that come along (`START`) or were fetched
    earlier, weights that may be fetched, the bare architecture.

    Parameters
    ----------
    name : str
        See `TrainingConfig.base_model`.
    models : ModelStore
    allow_download : bool

    Raises
    ------
    InvalidConfigError
        If nothing of this name is known; names the nearest that are.
    TrainingError
        If the model in the store has lost its weights.
    """
    stored = [info for info in await models.list() if info.name == name]
    if stored:
        if stored[0].weights_state == "missing":
            raise TrainingError(
                f"base model {name!r}: its weights file {stored[0].path} is gone; "
                "put it back, or start from another model"
            )
        path = await models.load(name)
        return BaseModel(
            source=str(path.resolve()),
            label=name,
            pretrained=True,
            note=f"Starts from the weights of your model {name!r}.",
        )
    return await asyncio.to_thread(
        _outside_the_store, name, _sound(await models.list()), allow_download
    )


def _sound(found: list[ModelInfo]) -> list[str]:
    return [info.name for info in found if not info.problem]


def _outside_the_store(name: str, stored: list[str], allow_download: bool) -> BaseModel:
    path = Path(name).expanduser()
    if path.is_file():
        return _from_file(path)
    if path.name != name:
        raise InvalidConfigError(f"base_model: there is no file {path}; check the path")
    return _from_name(name, stored, allow_download)


def fetch_weights(target: Path) -> None:
    """Fetch the pretrained weights that are called like `target` from Ultralytics' release.

    Only for a run that was started with ``allow_download=True``. See `workbench.weights.fetching`:
    the file is there as a whole, with the size and digest that the release tells, or not at all.

    Raises
    ------
    TrainingError
        If they cannot be fetched.
    """
    try:
        fetch(released(target.name), target.parent)
    except FetchError as error:
        raise TrainingError(
            f"{str(error).rstrip('.')}. Or start from {target.stem}.yaml"
        ) from error


def _from_file(path: Path) -> BaseModel:
    if path.suffix not in {".pt", ".yaml", ".yml"}:
        raise InvalidConfigError(
            f"base_model: expected a .pt file (weights) or a .yaml file (architecture), "
            f"found {path}"
        )
    trained = path.suffix == ".pt"
    start = "the weights" if trained else "random weights of the architecture"
    return BaseModel(
        source=str(path.resolve()),
        label=path.name,
        pretrained=trained,
        note=f"Starts from {start} in {path}.",
    )


def _from_name(name: str, stored: list[str], allow_download: bool) -> BaseModel:
    if name == START.name:
        return BaseModel(
            source=str(START),
            label=name,
            pretrained=True,
            note=(
                f"Starts from {name}, a small detector that comes with Workbench: it knows from "
                f"drawn things of many kinds where one ends and the next begins."
            ),
        )
    stem = re.sub(r"\.(pt|ya?ml)$", "", name)
    if stem.endswith(_OTHER_TASKS):
        raise InvalidConfigError(
            f"base_model: {name} is not a detection model; take {stem.rsplit('-', 1)[0]}.pt"
        )
    if not _is_architecture(stem):
        known = sorted({*stored, *_example_names()})
        near = get_close_matches(stem, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(known)}"
        raise InvalidConfigError(
            f"base_model: no model in the store, no file and no architecture is called {name!r}; "
            f"{hint}"
        )
    architecture = f"{stem}.yaml"
    if name.endswith((".yaml", ".yml")):
        note = f"Starts from random weights of the architecture {architecture}, as asked."
        return BaseModel(source=architecture, label=architecture, pretrained=False, note=note)
    weights = f"{stem}.pt"
    fetched = weights_dir() / weights
    if fetched.is_file():
        note = f"Starts from the pretrained weights {as_typed(fetched)}."
        return BaseModel(source=str(fetched), label=weights, pretrained=True, note=note)
    if allow_download:
        folder = as_typed(fetched.parent)
        note = f"Starts from the pretrained weights {weights}, fetched to {folder}."
        return BaseModel(source=str(fetched), label=weights, pretrained=True, fetch=True, note=note)
    return BaseModel(
        source=architecture,
        label=architecture,
        pretrained=False,
        note=(
            f"{weights} is not on this disk and downloads are not allowed, so training starts from "
            f"random weights of {architecture} and needs many more epochs. To start from "
            f"pretrained weights, allow the download ({IN_CODE}) or put the file at "
            f"{as_typed(fetched)}; or start from {START.name}, which comes with Workbench."
        ),
    )


def as_typed(path: Path) -> str:
    """Return a path as one would type it: what lies in one's own folder begins with ``~``."""
    home = Path.home()
    if home == Path(home.anchor) or not path.is_relative_to(home):
        return str(path)
    return str(Path("~") / path.relative_to(home))


def weights_dir() -> Path:
    """Return the folder where pretrained weights are looked for and fetched to."""
    return cache_dir() / "weights"


def without_scale(name: str) -> str:
    """Return the name under which Ultralytics keeps an architecture for all scales."""
    return _SCALE.sub(r"\1\3", name)


def _is_architecture(stem: str) -> bool:
    unified = without_scale(stem)
    folder = ultralytics_folder() / "cfg" / "models"
    return any(path.stem in {stem, unified} for path in folder.glob("*/*.yaml"))


def _example_names() -> list[str]:
    return [f"{family}{scale}" for family in ("yolo11", "yolo26", "yolov8") for scale in "nsmlx"]
