"""What all value objects of the stores build upon: splits, keys of images, progress."""

from __future__ import annotations

from collections.abc import Callable

SPLITS: tuple[str, str, str] = ("train", "val", "test")

ImageKey = tuple[str, str]
"""What identifies an image in a dataset: ``(split, filename)``."""

Progress = Callable[[int, int], None]
"""``progress(done, total)``, called from the thread that works; raise from it to cancel."""


def no_progress(done: int, total: int) -> None:
    """Stand-in for a progress callback where nobody listens."""
