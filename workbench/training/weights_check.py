"""Weights from a stranger: looked at before they are loaded, and brought into the store.

No weights file is ever loaded here, whoever made it. It is read by `workbench.weights`, in a
process of its own and without running any of it, and written again as tensors and layers;
that is what `load_rewritten` puts together. A file that holds code is refused, unless somebody
on this machine says yes to these very bytes: then that process alone runs it, once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from workbench.errors import InvalidModelError
from workbench.persistence import Stores
from workbench.persistence.disk_errors import plainly
from workbench.persistence.models import ModelInfo
from workbench.persistence.scratch import scratch_prefix
from workbench.training.environment import cache_dir, import_ultralytics, worker_environment
from workbench.weights import consent
from workbench.weights.building import build_checkpoint
from workbench.weights.facts import not_to_detect
from workbench.weights.names import CLASSES
from workbench.weights.rewriting import Rewritten, file_digest, rewrite_weights

_NAMES_SHOWN = 5
_METRICS = {
    "metrics/precision(B)": "precision",
    "metrics/recall(B)": "recall",
    "metrics/mAP50(B)": "best_map50",
    "metrics/mAP50-95(B)": "best_map50_95",
}


@dataclass(frozen=True, slots=True)
class WeightsReport:
    """What a look into a weights file found, without running any of it.

    Parameters
    ----------
    path : Path
    suspicious : list of str
        Names, as ``module.name``, that a model of Ultralytics has no use for.
    """

    path: Path
    suspicious: list[str] = field(default_factory=list)

    @property
    def is_harmless(self) -> bool:
        """Whether the file holds nothing but a model."""
        return not self.suspicious


@plainly
def check_weights(path: Path | str) -> WeightsReport:
    """Look for code in a weights file; nothing of it is run, and torch is not imported.

    Raises
    ------
    NotFoundError
        If there is no such file.
    InvalidModelError
        If it is no weights file, or damaged, or could be read in more than one way.
    """
    path = _plain_path(path)
    return WeightsReport(path, _rewritten(path).suspicious)


@plainly
def rewritten_weights(path: Path | str) -> Rewritten:
    """Return what a weights file is when it is written again, which can be loaded.

    Raises
    ------
    NotFoundError
        If there is no such file.
    InvalidModelError
        If it is no weights file, or damaged, or holds code to which nobody said yes.
    """
    path = _plain_path(path)
    found = _rewritten(path)
    if found.path is None:
        raise InvalidModelError(
            f"{path}: this file holds code that would run when it is loaded "
            f"({', '.join(found.suspicious[:_NAMES_SHOWN])}), and was not loaded. A model of "
            "Ultralytics has no use for that. If you know who made it and what it does, import "
            "it with trust=True"
        )
    return found


def load_rewritten(found: Rewritten) -> dict[str, Any]:
    """Put a checkpoint together in this process, of the file that was written again.

    Returns
    -------
    dict
        As Ultralytics has it: ``model`` or ``ema``, and what else is in it.

    Raises
    ------
    InvalidModelError
        If this needs a layer that is not installed.
    SetupError
        If Ultralytics cannot be imported.
    """
    assert found.path is not None
    import_ultralytics()
    return build_checkpoint(found.path, found.path_digest, trusted=found.trusted)


def save_clean(found: Rewritten, target: Path, changes: Mapping[str, Any] | None = None) -> Path:
    """Write weights as Ultralytics wants them, made anew of layers and tensors.

    For a process that hands a file to Ultralytics.

    Parameters
    ----------
    found : Rewritten
    target : Path
        Its folder is made if missing. Returned.
    changes : mapping, optional
        What shall be other than in the file.
    """
    import torch

    checkpoint = load_rewritten(found)
    target.parent.mkdir(parents=True, exist_ok=True)
    torch.save({**checkpoint, **(changes or {})}, target)
    return target


@plainly
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
        Load the file even if it holds code, which then runs with all your rights, in a process
        of its own. The answer is kept on this machine, for these bytes; a copy of the model
        elsewhere is asked for again.
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
    path = _plain_path(path)
    if trust:
        found = await asyncio.to_thread(_rewritten, path, trust=True)
        if found.trusted:
            await asyncio.to_thread(consent.trust, found.digest, origin or str(path))
    else:
        found = await asyncio.to_thread(rewritten_weights, path)
    facts = found.facts
    if facts["task"] != "detect":
        raise not_to_detect(facts["task"], f"{path}: ")
    saved = await stores.model.save(
        name,
        path,
        Path(facts["base_model"] or path.name).name,
        "",
        facts["epochs"],
        {ours: facts["metrics"][key] for key, ours in _METRICS.items() if key in facts["metrics"]},
        class_names=facts["class_names"],
        details={"imported_from": origin or str(path), "suspicious": found.suspicious},
    )
    # What was judged is what the facts are of; the file may have changed since.
    if await asyncio.to_thread(file_digest, await stores.model.load(name)) != found.digest:
        await stores.model.delete(name)
        raise InvalidModelError(f"{path}: this file changed while it was read; import it again")
    return saved


def ready_model(checkpoint: dict[str, Any]) -> Any:
    """Return the network of a checkpoint, ready to predict, as Ultralytics' own loading does."""
    import torch

    model = (checkpoint.get("ema") or checkpoint["model"]).float().eval()
    if not hasattr(model, "stride"):
        model.stride = torch.tensor([32.0])
    for layer in model.modules():
        if hasattr(layer, "inplace"):
            layer.inplace = True
        elif isinstance(layer, torch.nn.Upsample) and not hasattr(layer, "recompute_scale_factor"):
            layer.recompute_scale_factor = None  # of before torch 1.11
    return model


def trust_own(path: Path, model: Any) -> None:
    """Remember weights that were trained here, if they hold layers that are not on the list.

    Whoever has layers of their own in their Ultralytics has said what they think of them.

    Parameters
    ----------
    path : Path
        Of the weights.
    model : torch.nn.Module
        What is in them.
    """
    kinds = {f"{type(layer).__module__}.{type(layer).__qualname__}" for layer in model.modules()}
    if not kinds <= set(CLASSES):
        consent.trust(file_digest(path), f"trained here: {path}")


def _plain_path(path: Path | str) -> Path:
    return Path(path).expanduser()


def _rewritten(path: Path, *, trust: bool = False) -> Rewritten:
    with TemporaryDirectory(prefix=scratch_prefix("settings")) as settings:
        environment = worker_environment(Path(settings))
        return rewrite_weights(path, cache_dir() / "rewritten", environment, trust=trust)
