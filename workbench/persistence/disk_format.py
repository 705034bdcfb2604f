"""The number of the format in which a dataset's hidden folder is written.

``.workbench/dataset.json`` holds it under ``format``; where there is none, it is 1. The number
grows when an older Workbench would misread what a newer one writes there. Images, labels and
``data.yaml`` are no part of it: they are YOLO's format, and stay so.
"""

from __future__ import annotations

import json

FORMAT = 1
"""What this version of Workbench writes, and the newest that it reads."""

MAX_BYTES = 1 << 16
"""No ``dataset.json`` of ours is larger by far."""


def format_of(data: bytes) -> int:
    """Return the format that a ``dataset.json`` names.

    A file that is damaged, or holds no number, counts as format 1: whoever reads the facts
    themselves reports it, and labels can be read without them.
    """
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return 1
    found = content.get("format") if isinstance(content, dict) else None
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else 1


def newer_problem(found: int) -> tuple[str, str, str] | None:
    """Return what was expected, found and is to be done if a format is newer than ours."""
    if found <= FORMAT:
        return None
    return (
        f"a dataset of format {FORMAT} or earlier",
        f"format {found}, which a newer Workbench has written",
        "update Workbench to open it",
    )
