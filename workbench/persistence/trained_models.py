"""The value objects of trained models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

Metrics = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A trained model in the store.

    Parameters
    ----------
    name : str
    path : Path
        Of the weights file; of the model's folder if there is a `problem`.
    base_model : str
        What training started from, for instance ``"yolo11n.pt"``.
    dataset_name : str
    created_at : datetime or None
    epochs_completed : int
    best_map50 : float or None
        Best mAP50 on the validation split, 0..1; None if it was never measured.
    is_active : bool
        Whether this is the model that labels and predicts.
    metrics : dict of str to float
        All that was handed to `ModelStore.save`.
    class_names : list of str
    details : dict
        Anything else worth keeping (training configuration, dataset version); JSON types.
    weights_state : str
        ``"ok"``, ``"missing"`` or ``"changed"`` (other bytes than were saved); ``"unknown"`` if
        there is a `problem`.
    problem : str
        Why the facts of the model cannot be read, and what to do about it; besides its name and
        whether it is active, nothing is known of it then. Empty: all is well.
    weights_problem : str
        Why its weights were none already when they were saved; they are kept as they are. Empty:
        they begin as weights do, which does not mean that they can be loaded.
    """

    name: str
    path: Path
    base_model: str = ""
    dataset_name: str = ""
    created_at: datetime | None = None
    epochs_completed: int = 0
    best_map50: float | None = None
    is_active: bool = False
    metrics: dict[str, float] = field(default_factory=dict)
    class_names: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    weights_state: str = "ok"
    problem: str = ""
    weights_problem: str = ""
