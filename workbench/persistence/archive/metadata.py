"""Check our own metadata files in archives that anybody may have edited.

A damaged one would make the whole dataset unreadable. It is left out instead, and a note says so.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from workbench.persistence.stored_json import loads
from workbench.persistence.tags import check_tags
from workbench.persistence.yolo.names import HIDDEN

FACTS = f"{HIDDEN}/dataset.json"
"""When a dataset was made, and in which format."""


def _check_facts(content: object) -> None:
    if not isinstance(content, dict) or not isinstance(content.get("created_at"), str):
        raise ValueError("created_at is missing")
    if datetime.fromisoformat(content["created_at"]).tzinfo is None:
        raise ValueError("created_at has no time zone")


def _check_prompts(content: object) -> None:
    if not isinstance(content, dict):
        raise ValueError("expected prompts by class id")
    for class_id, texts in content.items():
        if not (class_id.isascii() and class_id.isdigit() and len(class_id) < 10):
            raise ValueError(f"{class_id!r} is no class id")
        if not isinstance(texts, list) or not all(isinstance(t, str) and t.strip() for t in texts):
            raise ValueError(f"class {class_id} has something else than texts")


def _check_tags(content: object) -> None:
    if not isinstance(content, dict) or not all(isinstance(n, list) for n in content.values()):
        raise ValueError("expected file names by tag")
    check_tags(content)


CHECKS: dict[str, Callable[[object], None]] = {
    FACTS: _check_facts,
    f"{HIDDEN}/prompts.json": _check_prompts,
    f"{HIDDEN}/tags.json": _check_tags,
}
"""Files, by their path in our layout, and what raises `ValueError` if their JSON is wrong."""


def problem_with(path: str, data: bytes) -> str | None:
    """Return what is wrong with a metadata file, None if nothing is."""
    try:
        CHECKS[path](loads(data))
    except (ValueError, RecursionError) as error:
        return str(error)
    return None
