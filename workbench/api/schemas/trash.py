"""Bodies about what was deleted."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field

from workbench.api.schemas.common import Text, with_example
from workbench.persistence.models import TrashEntry


class Trashed(BaseModel):
    """Something deleted that can be restored by its id."""

    model_config = with_example(
        {
            "id": "20260101T120000.000000-0a1b2c3d",
            "kind": "image",
            "name": "frame_001.jpg",
            "split": "train",
            "deleted_at": "2026-01-01T12:00:00Z",
        }
    )

    id: str
    kind: str
    name: str
    split: str
    deleted_at: datetime

    @classmethod
    def of(cls, entry: TrashEntry) -> Self:
        """Make one of what a store returns."""
        return cls(**{name: getattr(entry, name) for name in cls.model_fields})


class Trash(BaseModel):
    """What is in the trash, oldest first."""

    items: list[Trashed]


class Purged(BaseModel):
    """How many things were removed for good."""

    count: int


class EntryList(BaseModel):
    """Entries of the trash, by id."""

    model_config = with_example({"entries": ["20260101T120000.000000-0a1b2c3d"]})

    entries: list[Text] = Field(max_length=1_000_000)
