"""Errors and warnings about a training run, found before it starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from workbench.persistence.models import ImageKey

ERROR: Literal["error"] = "error"
WARNING: Literal["warning"] = "warning"
NAMES_SHOWN = 5
NO_CLASSES, NO_IMAGES, NO_TRAIN, NO_VAL = "no-classes", "no-images", "no-train", "no-val"
NO_BOXES, UNLABELLED, NO_BOX_OF_CLASS = "no-boxes", "unlabelled", "no-box-of-class"
UNKNOWN_CLASS, DAMAGED = "unknown-class-ids", "all-damaged"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that speaks against a run.

    Parameters
    ----------
    severity : str
        ``"error"``: training would fail or be pointless, and is not started. ``"warning"``:
        training survives it, but whoever starts it should know.
    text : str
        What was found.
    remedy : str
        What to do.
    images : tuple of (str, str)
        Split and name of all images concerned, where it is about images.
    kind : str
        What it is about, for those who offer to mend it: one of the constants of this module,
        or the kind of a finding of the health check; empty: nothing that can be mended.
    repair : str
        What the first repair of that finding does; empty: there is none.
    settings : tuple of (str, object)
        Settings of `TrainingConfig` with which it would be gone, where that is all it takes.
    """

    severity: Literal["error", "warning"]
    text: str
    remedy: str
    images: tuple[ImageKey, ...] = ()
    kind: str = ""
    repair: str = ""
    settings: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        return f"{self.text}: {self.remedy}"


def listed(names: list[str]) -> str:
    """Return the first names, and how many more there are."""
    shown = ", ".join(names[:NAMES_SHOWN])
    more = len(names) - NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
