"""Bodies about models."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from workbench.api.schemas.common import Text, with_example
from workbench.api.schemas.labels import PredictedBox
from workbench.persistence.models import ModelInfo


class Model(BaseModel):
    """A trained model."""

    model_config = ConfigDict(protected_namespaces=())

    name: str
    base_model: str
    dataset_name: str
    created_at: datetime | None
    epochs_completed: int
    best_map50: float | None
    is_active: bool
    metrics: dict[str, float | None]
    class_names: list[str]
    details: dict[str, Any]
    weights_state: str
    problem: str = Field(description="Why its facts cannot be read; empty if all is well.")
    weights_problem: str = Field(description="Why its weights are none; empty if they may be.")

    @classmethod
    def of(cls, info: ModelInfo, details: dict[str, Any], metrics: dict[str, Any]) -> Self:
        """Make one of what a store returns; `details` and `metrics` without paths and NaN."""
        plain = {
            name: getattr(info, name)
            for name in cls.model_fields
            if name not in {"details", "metrics"}
        }
        return cls(**plain, details=details, metrics=metrics)


class Models(BaseModel):
    """All models, sorted by name."""

    items: list[Model]


class ActiveModel(BaseModel):
    """The model that labels and predicts."""

    model_config = with_example({"name": "cups-v2"})

    name: Text | None


class Predictions(BaseModel):
    """What a model found on an image, most confident first."""

    model: str
    class_names: list[str]
    boxes: list[PredictedBox]
