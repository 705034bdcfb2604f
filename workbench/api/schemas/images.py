"""Bodies about images."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, Field

from workbench.api.schemas.common import Split, Text, with_example
from workbench.persistence.models import ImageInfo, ImageKey


class ImageRef(BaseModel):
    """What identifies an image in its dataset."""

    model_config = with_example({"split": "train", "filename": "frame_001.jpg"})

    split: Split
    filename: Text

    @property
    def key(self) -> ImageKey:
        """As the stores have it."""
        return self.split, self.filename

    @classmethod
    def of(cls, key: ImageKey) -> Self:
        """Make one of a key."""
        return cls.model_construct(split=key[0], filename=key[1])


class Image(BaseModel):
    """An image of a dataset."""

    model_config = with_example(
        {
            "split": "train",
            "filename": "frame_001.jpg",
            "size_bytes": 18204,
            "modified_at": 1767268800.0,
            "width": 640,
            "height": 480,
            "state": "labelled",
            "num_boxes": 3,
        }
    )

    split: Split
    filename: str
    size_bytes: int
    modified_at: float = Field(description="Seconds since the epoch.")
    width: int | None = Field(description="Pixels as it is shown; null where not known.")
    height: int | None
    state: Literal["unlabelled", "background", "labelled", "unreadable"]
    num_boxes: int


class Images(BaseModel):
    """A page of images."""

    items: list[Image]
    total: int = Field(description="Of all pages together.")
    next: str | None = Field(description="Cursor of the next page; null on the last one.")


class SavedImage(BaseModel):
    """An image that was just stored."""

    split: Split
    filename: str
    size_bytes: int
    width: int
    height: int
    has_labels: bool

    @classmethod
    def of(cls, info: ImageInfo) -> Self:
        """Make one of what a store returns."""
        return cls(**{name: getattr(info, name) for name in cls.model_fields})


class Refused(BaseModel):
    """A file that was not added, and why."""

    name: str
    status: int = Field(description="What the answer would be if it had been sent alone.")
    why: str


class Upload(BaseModel):
    """What became of files that were to be added."""

    added: list[ImageRef]
    unchanged: list[ImageRef] = Field(description="There already, with the same bytes.")
    refused: list[Refused]


class ImageList(BaseModel):
    """Images to do something with."""

    model_config = with_example({"images": [{"split": "train", "filename": "frame_001.jpg"}]})

    images: list[ImageRef] = Field(max_length=1_000_000)


class MoveImages(ImageList):
    """Images to move, and where to."""

    model_config = with_example(
        {"images": [{"split": "train", "filename": "frame_001.jpg"}], "to": "val"}
    )

    to: Split
