"""Bodies about the versions of a dataset."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import BaseModel

from workbench.api.schemas.common import Text, with_example
from workbench.persistence.version_models import VersionInfo


class Version(BaseModel):
    """A named, immutable state of a dataset."""

    name: str
    created_at: datetime
    note: str
    automatic: bool
    classes: list[str]
    num_images: dict[str, int]
    num_labelled: dict[str, int]
    digest: str

    @classmethod
    def of(cls, info: VersionInfo) -> Self:
        """Make one of what a store returns."""
        return cls(**{name: getattr(info, name) for name in cls.model_fields})


class Versions(BaseModel):
    """Versions, oldest first."""

    items: list[Version]


class NewVersion(BaseModel):
    """A version to freeze."""

    model_config = with_example({"name": "before cleaning", "note": "as it was labelled in May"})

    name: Text
    note: Text = ""
