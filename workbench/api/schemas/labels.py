"""Bodies about boxes and labels."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, Field

from workbench.api.schemas.common import ClassId, Number, Split, with_example
from workbench.api.schemas.images import ImageRef
from workbench.persistence.models import Annotation, LabelData, LabelEdit, Prediction


class Box(BaseModel):
    """A labelled box: class id, centre and size, normalised to 0..1."""

    model_config = with_example({"class_id": 0, "x": 0.5, "y": 0.5, "width": 0.2, "height": 0.4})

    class_id: ClassId
    x: Number
    y: Number
    width: Number
    height: Number

    @classmethod
    def of(cls, box: Annotation) -> Self:
        """Make one of what a store returns."""
        return cls.model_construct(
            class_id=box.class_id, x=box.x, y=box.y, width=box.width, height=box.height
        )

    def to_annotation(self) -> Annotation:
        """Return it as the stores take it."""
        return Annotation(self.class_id, self.x, self.y, self.width, self.height)


class PredictedBox(Box):
    """A box that a model proposes."""

    model_config = with_example(
        {"class_id": 0, "x": 0.5, "y": 0.5, "width": 0.2, "height": 0.4, "confidence": 0.9}
    )

    confidence: float

    @classmethod
    def of(cls, box: Annotation) -> Self:
        """Make one of what a predictor returns."""
        assert isinstance(box, Prediction)
        return cls.model_construct(
            class_id=box.class_id,
            x=box.x,
            y=box.y,
            width=box.width,
            height=box.height,
            confidence=box.confidence,
        )


class Labels(BaseModel):
    """The labels of one image."""

    model_config = with_example(
        {
            "split": "train",
            "filename": "frame_001.jpg",
            "boxes": [{"class_id": 0, "x": 0.5, "y": 0.5, "width": 0.2, "height": 0.4}],
            "revision": "5d41402abc4b2a76",
            "labelled": True,
            "other_rows": 0,
        }
    )

    split: Split
    filename: str
    boxes: list[Box]
    revision: str = Field(description="Also the ETag; empty while there is no label file.")
    labelled: bool = Field(description="Whether somebody has looked; also true without boxes.")
    other_rows: int = Field(description="Rows of which `boxes` has only the box: polygons etc.")

    @classmethod
    def of(cls, data: LabelData) -> Self:
        """Make one of what a store returns."""
        return cls.model_construct(
            split=data.split,
            filename=data.filename,
            boxes=[Box.of(box) for box in data.annotations],
            revision=data.revision,
            labelled=bool(data.revision),
            other_rows=data.other_rows,
        )


class NewLabels(BaseModel):
    """Boxes that replace those of an image."""

    model_config = with_example(
        {"boxes": [{"class_id": 0, "x": 0.5, "y": 0.5, "width": 0.2, "height": 0.4}]}
    )

    boxes: list[Box] = Field(max_length=100_000)
    discard_other_rows: bool = Field(
        default=False, description="Agree that polygons and keypoints become plain boxes."
    )
    what: Annotated[str, Field(max_length=100)] = Field(
        default="api", description="In a word what was done, for the history."
    )


class ImageLabels(ImageRef):
    """The boxes of one image among many."""

    model_config = with_example(
        {
            "split": "train",
            "filename": "frame_001.jpg",
            "boxes": [{"class_id": 0, "x": 0.5, "y": 0.5, "width": 0.2, "height": 0.4}],
        }
    )

    boxes: list[Box]


class ManyLabels(BaseModel):
    """Labels of many images, saved together or not at all."""

    items: list[ImageLabels] = Field(max_length=1_000_000)


class LabelColumns(BaseModel):
    """Every box of a split, or of all, in columns."""

    filenames: list[str]
    splits: list[str]
    labelled: list[bool]
    image_index: list[int] = Field(description="Of each box: the position of its image.")
    class_id: list[int]
    boxes: list[list[float]] = Field(description="x, y, width, height of each box.")
    problems: list[str] = Field(description="Label files that cannot be read.")


class Edit(BaseModel):
    """One change of an image's labels."""

    id: str
    at: datetime
    split: str
    filename: str
    before: list[Box] | None
    after: list[Box] | None
    what: str

    @classmethod
    def of(cls, edit: LabelEdit) -> Self:
        """Make one of what a store returns."""

        def boxes(found: list[Annotation] | None) -> list[Box] | None:
            return None if found is None else [Box.of(box) for box in found]

        return cls(
            id=edit.id,
            at=edit.at,
            split=edit.split,
            filename=edit.filename,
            before=boxes(edit.before),
            after=boxes(edit.after),
            what=edit.what,
        )


class History(BaseModel):
    """How labels came to be what they are, oldest edit first."""

    items: list[Edit]
