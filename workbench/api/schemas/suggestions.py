"""Bodies about what several sources propose."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, Field

from workbench.api.schemas.common import Split, Text, with_example
from workbench.api.schemas.images import ImageRef
from workbench.api.schemas.labels import Box, PredictedBox
from workbench.persistence.models import Prediction
from workbench.persistence.suggestion_blocks import SuggestionSource
from workbench.persistence.suggestions import Suggestion


class ScoredBox(Box):
    """A box that somebody proposes, with how sure he is."""

    model_config = with_example(
        {"class_id": 0, "x": 0.5, "y": 0.5, "width": 0.2, "height": 0.4, "confidence": 0.9}
    )

    confidence: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]

    def to_prediction(self) -> Prediction:
        """Return it as the stores take it."""
        return Prediction(self.class_id, self.x, self.y, self.width, self.height, self.confidence)


class Source(BaseModel):
    """Who proposes boxes."""

    model_config = with_example(
        {"kind": "robot", "name": "line 3", "digest": "", "details": {"exposure_ms": 4}}
    )

    kind: Annotated[str, Field(min_length=1, max_length=100)]
    name: Text
    digest: Text = Field(default="", description="Of the weights, if there are any.")
    details: dict[Text, Any] = Field(
        default={}, max_length=100, description="What else decides the boxes."
    )

    def to_source(self) -> SuggestionSource:
        """Return it as the stores have it."""
        return SuggestionSource(self.kind, self.name, self.digest, self.details)


class KnownSource(BaseModel):
    """Who has proposed boxes for a dataset."""

    id: str
    kind: str
    name: str
    digest: str
    num_images: int = Field(description="Images that it has looked at.")


class SuggestedBox(PredictedBox):
    """A box that a source proposes."""

    model_config = with_example(
        {
            "class_id": 0,
            "x": 0.5,
            "y": 0.5,
            "width": 0.2,
            "height": 0.4,
            "confidence": 0.9,
            "source": "0123456789abcdef",
        }
    )

    source: str = Field(description="Id of the source.")

    @classmethod
    def of_suggestion(cls, one: Suggestion) -> Self:
        """Make one of what a store returns."""
        return cls.model_construct(**PredictedBox.of(one).model_dump(), source=one.source)


class Suggestions(BaseModel):
    """What waits for review on an image."""

    split: Split
    filename: str
    boxes: list[SuggestedBox]


class SuggestionPage(BaseModel):
    """A page of images with suggestions that wait for review."""

    sources: list[KnownSource]
    items: list[Suggestions]
    next: str | None


class SuggestedLabels(ImageRef):
    """What a source proposes for an image: no box if it found nothing."""

    model_config = with_example({"split": "train", "filename": "frame_1.jpg", "boxes": []})

    boxes: list[ScoredBox] = Field(max_length=100_000)


class NewSuggestions(BaseModel):
    """What a source proposes."""

    model_config = with_example(
        {
            "source": {"kind": "robot", "name": "line 3"},
            "items": [
                {
                    "split": "train",
                    "filename": "frame_1.jpg",
                    "boxes": [
                        {
                            "class_id": 0,
                            "x": 0.5,
                            "y": 0.5,
                            "width": 0.2,
                            "height": 0.4,
                            "confidence": 0.9,
                        }
                    ],
                }
            ],
        }
    )

    source: Source
    items: list[SuggestedLabels] = Field(max_length=10_000)


class SuggestionDecision(BaseModel):
    """What becomes of an image's suggestions; what is in neither list goes on waiting."""

    model_config = with_example({"accept": [0, 2], "reject": [1]})

    accept: list[Annotated[int, Field(ge=0)]] = Field(
        default=[], description="Positions of those that become labels."
    )
    reject: list[Annotated[int, Field(ge=0)]] = Field(
        default=[], description="Positions of those that are not offered again by this source."
    )
