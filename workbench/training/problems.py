"""Errors and warnings about a training run, found before it starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workbench.persistence.models import ImageKey

ERROR: Literal["error"] = "error"
WARNING: Literal["warning"] = "warning"
NAMES_SHOWN = 5


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
    """

    severity: Literal["error", "warning"]
    text: str
    remedy: str
    images: tuple[ImageKey, ...] = ()

    def __str__(self) -> str:
        return f"{self.text}: {self.remedy}"


def listed(names: list[str]) -> str:
    """Return the first names, and how many more there are."""
    shown = ", ".join(names[:NAMES_SHOWN])
    more = len(names) - NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
