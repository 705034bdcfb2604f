"""Bodies about training runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from workbench.api.schemas.common import Number, Text


class NewRun(BaseModel):
    """The settings of a training run, as `workbench.training.config.TrainingConfig` has them."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        protected_namespaces=(),
        json_schema_extra={
            "examples": [{"dataset": "cups", "base_model": "yolo11n.pt", "epochs": 50}]
        },
    )

    dataset: Text
    base_model: Annotated[str, Field(max_length=200, pattern=r"^[^/\\]+$")] = "yolo11n.pt"
    epochs: int = Field(default=50, ge=1)
    image_size: int = Field(default=640, ge=32)
    batch: int | Number = 16
    device: Text = ""
    patience: int = Field(default=50, ge=0)
    seed: int = Field(default=0, ge=0)
    workers: int = Field(default=4, ge=0)
    cache: Literal["ram", "disk"] | bool = False
    model_name: Text = ""
    unlabelled_as_background: bool = False
    allow_download: bool = False
    version: Text = ""
    extra: dict[str, Any] = {}


class Run(BaseModel):
    """A training run, and where it stands."""

    model_config = ConfigDict(protected_namespaces=())

    id: str
    state: str
    settings: dict[str, Any]
    epoch: int
    epochs: int
    batch: int
    batches: int
    epochs_completed: int
    fraction: float
    losses: dict[str, float | None]
    metrics: dict[str, float | None]
    warnings: list[str]
    message: str
    note: str
    device: str
    model_name: str | None


class Runs(BaseModel):
    """All training runs, newest first."""

    items: list[Run]


class ResumeRun(BaseModel):
    """Settings that shall be other than before."""

    model_config = ConfigDict(extra="forbid", strict=True)

    batch: int | Number | None = None
    cache: Literal["ram", "disk"] | bool | None = None
    device: Text | None = None
    image_size: int | None = Field(default=None, ge=32)
    patience: int | None = Field(default=None, ge=0)
    workers: int | None = Field(default=None, ge=0)
