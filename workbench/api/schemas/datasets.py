"""Bodies about datasets as a whole."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, Field

from workbench.api.schemas.common import Number, Split, Text, with_example
from workbench.datasets.manager import DatasetFacts
from workbench.persistence.models import DatasetInfo


class Dataset(BaseModel):
    """A dataset: its name, its classes, what is in it."""

    model_config = with_example(
        {
            "name": "cups",
            "classes": ["cup", "saucer"],
            "num_images": {"train": 80, "val": 20, "test": 0},
            "created_at": "2026-01-01T12:00:00Z",
            "modified_at": "2026-01-02T08:30:00Z",
            "problem": "",
        }
    )

    name: str
    classes: list[str]
    num_images: dict[str, int]
    created_at: datetime | None
    modified_at: datetime | None
    problem: str = Field(description="Why it cannot be read; empty if all is well.")

    @classmethod
    def of(cls, info: DatasetInfo) -> Self:
        """Make one of what a store returns."""
        return cls(
            name=info.name,
            classes=info.classes,
            num_images=info.num_images,
            created_at=info.created_at,
            modified_at=info.modified_at,
            problem=info.problem,
        )


class Datasets(BaseModel):
    """All datasets, sorted by name."""

    items: list[Dataset]


class Facts(BaseModel):
    """How far the labelling of a dataset has come."""

    dataset: Dataset
    num_labelled: dict[str, int]
    boxes: dict[str, int]
    num_boxes: int
    num_unreadable: int
    size_bytes: int
    problem: str

    @classmethod
    def of(cls, facts: DatasetFacts) -> Self:
        """Make one of what the manager returns."""
        return cls(
            dataset=Dataset.of(facts.info),
            num_labelled=facts.num_labelled,
            boxes=facts.boxes,
            num_boxes=facts.num_boxes,
            num_unreadable=facts.num_unreadable,
            size_bytes=facts.size_bytes,
            problem=facts.problem,
        )


class NewDataset(BaseModel):
    """A dataset to make."""

    model_config = with_example({"name": "cups", "classes": ["cup", "saucer"]})

    name: Text
    classes: list[Text] = Field(default=[], max_length=10_000)


class Duplicate(BaseModel):
    """A copy to make, of all images or of those that a query finds."""

    model_config = with_example({"name": "small cups", "query": "class:cup area<0.01"})

    name: Text
    query: Text = ""


class Classes(BaseModel):
    """Class names; the position is the class id."""

    model_config = with_example({"classes": ["cup", "saucer", "spoon"]})

    classes: list[Text] = Field(max_length=10_000)


class NewClass(BaseModel):
    """A class to add at the end of the list."""

    model_config = with_example({"name": "spoon"})

    name: Text


class AddedClass(BaseModel):
    """A class that was added, and the id that boxes of it have."""

    model_config = with_example({"class_id": 2, "classes": ["cup", "saucer", "spoon"]})

    class_id: int
    classes: list[str]


class Prompts(BaseModel):
    """Text prompts by class id."""

    model_config = with_example({"prompts": {"0": ["a cup", "a mug"]}})

    prompts: dict[Annotated[int, Field(ge=0, strict=False)], list[Text]]  # keys are texts in JSON


class Tags(BaseModel):
    """File names by tag."""

    model_config = with_example({"tags": {"blurry": ["frame_001.jpg"]}})

    tags: dict[str, list[str]]


class ClassStatistics(BaseModel):
    """Numbers about one class, by split."""

    name: str
    boxes: dict[str, int]
    images: dict[str, int]


class DatasetStatistics(BaseModel):
    """Numbers about a dataset."""

    num_images: int
    num_boxes: int
    images_by_state: dict[str, dict[str, int]] = Field(
        description="By split, then by state: unlabelled, background, labelled, unreadable."
    )
    classes: list[ClassStatistics]


class HealthRequest(BaseModel):
    """What to look for."""

    model_config = with_example({"only": ["corrupt", "duplicate-box"]})

    only: list[Text] | None = Field(default=None, description="Kinds of findings; default: all.")


class SplitRequest(BaseModel):
    """How to deal the images out to splits."""

    model_config = with_example({"ratios": {"train": 0.8, "val": 0.2}, "seed": 0, "apply": False})

    ratios: dict[Split, Number] = Field(default={"train": 0.8, "val": 0.2})
    seed: int = Field(default=0, ge=0, le=2**31)
    apply: bool = Field(default=False, description="False: only plan, move nothing.")
