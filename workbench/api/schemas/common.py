"""What the bodies of several routers are made of."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Split = Literal["train", "val", "test"]
Text = Annotated[str, Field(max_length=1000)]
Number = Annotated[float, Field(allow_inf_nan=False)]
ClassId = Annotated[int, Field(ge=0, le=1_000_000)]


def with_example(example: dict[str, Any]) -> ConfigDict:
    """Return the settings of a body that clients send: nothing but its fields, as in `example`."""
    # Strict: JSON has types, and 0 for false is a mistake of whoever sends it.
    return ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [example]})


class NewName(BaseModel):
    """Another name."""

    model_config = with_example({"name": "mugs"})

    name: Text


class Done(BaseModel):
    """What was done, in words."""

    description: str


class Saved(BaseModel):
    """How many were saved."""

    count: int
