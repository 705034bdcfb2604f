"""What a card says of a dataset; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from workbench.datasets.changes import counted
from workbench.datasets.manager import DatasetFacts
from workbench.persistence.models import SPLITS

FEW = 40
"""So many labels that are newer than the model are worth training again."""


@dataclass(frozen=True, slots=True)
class Door:
    """Something to do next, and where.

    Parameters
    ----------
    text : str
        What there is to say, such as ``"120 images wait for labels"``.
    button : str
        What to do about it.
    panel : str
        Where, by the title of a panel, or of a page of Curate.
    """

    text: str
    button: str
    panel: str


def summary(facts: DatasetFacts) -> str:
    """Return in words how much there is; what an action on the whole is decided on."""
    images, labelled = sum(facts.info.num_images.values()), sum(facts.num_labelled.values())
    boxes = counted(facts.num_boxes, "box", "boxes")
    return f"{counted(images, 'image')}, {labelled:,} labelled, {boxes}"


def next_step(facts: DatasetFacts, *, trained_at: datetime | None, num_newer: int) -> Door | None:
    """Return what to do next with a dataset; None where nothing stands out.

    Parameters
    ----------
    facts : DatasetFacts
    trained_at : datetime or None
        When the newest model was trained on it.
    num_newer : int
        Label files that were changed since.
    """
    info = facts.info
    images, labelled = sum(info.num_images.values()), sum(facts.num_labelled.values())
    if not images:
        return Door("There are no images yet.", "Add images", "Browse")
    if not info.classes:
        return Door("There are no classes yet.", "Annotate", "Annotate")
    if not labelled:
        return Door("Nothing is labelled yet.", "Annotate", "Annotate")
    if not info.num_images["val"]:
        return Door(
            "No image is in val, so no model could be measured.", "Choose splits …", "Splits"
        )
    if labelled < images:
        waiting = counted(images - labelled, "image")
        verb = "waits" if images - labelled == 1 else "wait"
        return Door(f"{waiting} {verb} for labels.", "Annotate", "Annotate")
    if trained_at is None:
        return Door("No model was trained on it yet.", "Train", "Train")
    if num_newer >= FEW:
        return Door(
            f"The model is older than {counted(num_newer, 'label')}.", "Train again", "Train"
        )
    return None


def as_card(
    facts: DatasetFacts,
    door: Door | None,
    links: Sequence[str] = (),
    trusted: Sequence[str] = (),
) -> dict[str, Any]:
    """Return what a page is sent of a dataset.

    Parameters
    ----------
    facts : DatasetFacts
    door : Door or None
    links : sequence of str
        The folders outside of it that its links lead to, and of which nobody has said so.
    trusted : sequence of str
        Those of which somebody has said that the links there are his own.
    """
    info = facts.info
    images = sum(info.num_images.values())
    touched = "" if info.modified_at is None else info.modified_at.isoformat()
    return {
        "name": info.name,
        "problem": facts.problem,
        "seen": summary(facts),
        "classes": [[name, facts.boxes.get(name, 0)] for name in info.classes],
        "colours": info.colours,
        "images": images,
        "splits": [[split, info.num_images[split]] for split in SPLITS],
        "labelled": sum(facts.num_labelled.values()),
        "boxes": facts.num_boxes,
        "bytes": facts.size_bytes,
        "touched": touched,
        "links": list(links),
        "trusted": list(trusted),
        "next": None
        if door is None
        else {"text": door.text, "button": door.button, "panel": door.panel},
    }
