"""The file that keeps the text prompts of a dataset's classes."""

from __future__ import annotations

from workbench.errors import NotFoundError
from workbench.persistence.prompts import prompts_bytes, prompts_from
from workbench.persistence.storage import Storage, Write
from workbench.persistence.yolo.names import HIDDEN

PROMPTS = f"{HIDDEN}/prompts.json"


def read_prompts(storage: Storage) -> dict[int, list[str]]:
    """Return text prompts by class id."""
    try:
        return prompts_from(storage.read(PROMPTS), f"{storage.where}/{PROMPTS}")
    except NotFoundError:
        return {}


def prompts_written(prompts: dict[int, list[str]]) -> Write:
    """Return the change that lets a dataset have these prompts."""
    return Write(PROMPTS, prompts_bytes(prompts))
