"""Bodies about one model's predictions that wait for review."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from workbench.api.schemas.common import Split, with_example
from workbench.api.schemas.labels import PredictedBox


class Waiting(BaseModel):
    """An image whose predictions wait for review."""

    split: Split
    filename: str
    boxes: list[PredictedBox]


class WaitingPage(BaseModel):
    """A page of images whose predictions wait for review."""

    items: list[Waiting]
    total: int
    next: str | None


class Decision(BaseModel):
    """What becomes of an image's predictions."""

    model_config = with_example({"accept": [0, 2]})

    accept: list[Annotated[int, Field(ge=0)]] = Field(
        description="Positions of the boxes that become labels; none: nothing is on the image."
    )
