"""Where suggestions are kept: one log for each source, and one for what was rejected.

``.workbench/suggestions/<id of the source>.bin`` and ``decisions.bin``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence

from workbench.persistence.models import ImageKey
from workbench.persistence.storage import Append, Remove, Storage
from workbench.persistence.storage.collector import paused_collector
from workbench.persistence.stores import history_log, logs
from workbench.persistence.suggestion_blocks import (
    SuggestionBlock,
    check_source_id,
    format_block,
    parse_blocks,
)
from workbench.persistence.suggestions import SuggestionTable, current_suggestions
from workbench.persistence.yolo.names import HIDDEN

_FOLDER = f"{HIDDEN}/suggestions"
_KEY = re.compile(rf"{re.escape(_FOLDER)}/([0-9a-f]{{16}}|decisions)\.bin")


def keys(storage: Storage) -> list[str]:
    """Return the keys of the logs, sorted."""
    return [key for key in logs.keys(storage, _FOLDER, ".bin") if _KEY.fullmatch(key)]


def noted(blocks: Sequence[SuggestionBlock]) -> list[Append]:
    """Return the changes that add blocks.

    What a person decided is forced to disk; what a model said can be said again.
    """
    return [
        Append(f"{_FOLDER}/{block.file_name}", format_block(block), block.kind != "suggested")
        for block in blocks
    ]


def dropped(source_id: str) -> Remove:
    """Return the change that forgets what a source proposed, and not what was rejected of it."""
    return Remove(f"{_FOLDER}/{check_source_id(source_id)}.bin")


def revision(storage: Storage) -> str:
    """Return what changes whenever something is added; empty while nothing is there."""
    return logs.revision(storage, _FOLDER, ".bin")


def read(
    storage: Storage,
    known: SuggestionTable | None,
    images: Callable[[], Collection[ImageKey]],
    num_classes: int,
    rests_on: Sequence[str],
) -> SuggestionTable:
    """Return what is proposed for the images that are there; `known` if nothing has changed.

    What is of a class that the dataset does not have is left out, until it has one more.

    Parameters
    ----------
    rests_on : sequence of str
        Keys of what else says which image, and which class, a suggestion means by now.
    """
    present = " ".join([revision(storage), *storage.touched(rests_on)])
    if known is not None and known.revision == present:
        return known
    with paused_collector():
        blocks: list[SuggestionBlock] = []
        for key in keys(storage):
            data = storage.read(key, most=logs.MOST_BYTES)
            blocks += parse_blocks(data, f"{storage.where}/{key}")
        if not blocks:
            return current_suggestions([], [], [], present)
        history = history_log.read_ways(storage)
        return current_suggestions(blocks, history, images(), present, num_classes)
