"""What was said and seen when an image was captured helps whoever annotates it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from workbench.datasets.prelabelling import Frame, Labeller, Task
from workbench.panels.annotate import AnnotatePanel
from workbench.persistence import Stores, create_stores
from workbench.persistence.models import Annotation, NewImage, Prediction
from workbench.persistence.sources import ImageSource
from workbench.persistence.suggestion_blocks import SuggestionSource

SEEN = Prediction(1, 0.5, 0.5, 0.25, 0.5, 0.9)
UNKNOWN = Prediction(7, 0.5, 0.5, 0.25, 0.5, 0.9)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
async def stores(tmp_path: Path) -> Stores:
    """Two bursts of train, one of val; what was said, and what a model saw."""
    made = create_stores(tmp_path / "data", tmp_path / "models")
    await made.dataset.create("cups", ["cup", "spoon"])
    captured = [
        ("train", "a.png", "spoon", [SEEN, UNKNOWN]),
        ("train", "b.png", "fork", []),
        ("train", "c.png", "spoon", [SEEN]),
        ("val", "d.png", "spoon", [SEEN]),
    ]
    labels = [Annotation(0, 0.5, 0.5, 0.1, 0.1)]
    pixels = np.full((48, 64, 3), 90, np.uint8)
    await made.image.add_many(
        "cups",
        [
            NewImage(name, split, pixels, labels if name == "c.png" else None)
            for split, name, _, _ in captured
        ],
        sources=[
            ImageSource(name, split, NOON, "camera", 0, "burst", said, seen)
            for split, name, said, seen in captured
        ],
    )
    return made


@pytest.fixture
async def panel(stores: Stores) -> AsyncIterator[AnnotatePanel]:
    made = AnnotatePanel("cups", stores=stores)
    yield made
    made.close()


async def test_class_of_the_burst_becomes_the_current_class(panel: AnnotatePanel) -> None:
    await panel.show(0)
    assert panel.canvas.current_class == "spoon"


async def test_class_that_the_dataset_has_not_is_no_suggestion(panel: AnnotatePanel) -> None:
    await panel.show(1)
    assert panel.model.picture is not None
    assert panel.model.suggested_class(panel.model.picture) == ""


async def test_labelled_image_changes_no_class(panel: AnnotatePanel) -> None:
    await panel.show(1)
    panel.canvas.current_class = "cup"
    await panel.show(2)
    assert panel.canvas.current_class == "cup"


async def test_what_the_model_saw_waits_for_review(panel: AnnotatePanel, tmp_path: Path) -> None:
    await panel.show(0)
    assert panel.model.proposals("a.png") == [SEEN]  # the class 7 is not the dataset's
    assert not (tmp_path / "data/cups/labels/train/a.txt").exists()


async def test_reviewed_images_get_no_proposals_again(panel: AnnotatePanel) -> None:
    await panel.show(0)
    assert panel.model.proposals("c.png") == []
    assert panel.model.proposals("d.png") == []  # of another split


class _FindsNothing(Labeller):
    async def start(self, task: Task) -> SuggestionSource:
        return SuggestionSource("test", "nothing")

    async def label(self, frames: Sequence[Frame]) -> list[list[Prediction]]:
        return [[] for _ in frames]


async def test_it_is_told_when_nothing_was_found(panel: AnnotatePanel) -> None:
    await panel.show(0)
    await panel.suggest(_FindsNothing())
    assert panel.canvas.notice == (
        "Nothing was found on 2 images without labels by test nothing. "
        "Label more and train again, or let another model look."
    )
    await panel.suggest(_FindsNothing())
    assert "no new image for test nothing" in panel.canvas.notice
