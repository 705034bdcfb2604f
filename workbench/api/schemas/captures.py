"""Bodies about devices that push frames."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from workbench.api.schemas.common import Number, Split, Text, with_example


class CaptureOptions(BaseModel):
    """How to capture; as `workbench.capture.settings.CaptureSettings` has it."""

    model_config = with_example({"split": "train", "class_name": "cup", "min_difference": 1.5})

    split: Split | dict[Split, Number] = "train"
    class_name: Text = ""
    prefix: Text = ""
    extension: Literal[".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"] = ".jpg"
    min_difference: Number = Field(default=1.5, ge=0)
    min_sharpness: Number = Field(default=40.0, ge=0)
    detections: Literal["off", "labels", "predictions"] = "off"


class NewCapture(BaseModel):
    """A device that wants to push frames."""

    model_config = with_example(
        {"dataset": "cups", "device": "robot arm", "settings": {"split": "train"}}
    )

    dataset: Text
    device: Text = "device"
    settings: CaptureOptions = CaptureOptions()


class RecordOptions(BaseModel):
    """Which frames to take."""

    model_config = with_example({"every_seconds": 0.5, "until": 100})

    every_seconds: Number = Field(default=0.0, ge=0)
    until: int | None = Field(default=None, ge=1, description="Number of images.")


class Capture(BaseModel):
    """A device, and what has become of its frames."""

    id: str
    dataset: str
    device: str
    recording: bool
    saving: bool
    burst: str
    saved: int
    similar: int
    blurred: int
    damaged: int
    dropped: int
    waiting: int
    failure: str


class CaptureList(BaseModel):
    """The captures that are open."""

    items: list[Capture]


class Pushed(BaseModel):
    """What became of a frame."""

    accepted: bool
