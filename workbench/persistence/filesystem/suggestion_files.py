"""Where suggestions lie: one file for each source and one for what was rejected, only appended to.

``.workbench/suggestions/<id of the source>.bin`` and ``decisions.bin``.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence

from workbench.errors import InvalidDatasetError
from workbench.persistence.filesystem import history_files
from workbench.persistence.filesystem.dataset_folder import DatasetFolder
from workbench.persistence.filesystem.image_files import image_names
from workbench.persistence.filesystem.log_files import MOST_BYTES
from workbench.persistence.models import SPLITS
from workbench.persistence.storage.local import inside
from workbench.persistence.suggestion_blocks import (
    SuggestionBlock,
    check_source_id,
    format_block,
    parse_blocks,
)
from workbench.persistence.suggestions import SuggestionTable, current_suggestions

_log = logging.getLogger(__name__)
_NAME = re.compile(r"([0-9a-f]{16}|decisions)\.bin")


def files(folder: DatasetFolder) -> list[str]:
    """Return the files by their names below the dataset's folder."""
    base = folder.paths.below(folder.paths.suggestions)
    try:
        found = inside.names(folder.paths.root, base)
    except InvalidDatasetError as error:
        _log.warning("left unread: %s", error)
        return []
    return [f"{base}/{name}" for name in found if _NAME.fullmatch(name)]


def append(folder: DatasetFolder, blocks: Sequence[SuggestionBlock]) -> None:
    """Add blocks. What a person decided is forced to disk; what a model said can be said again."""
    base = folder.paths.below(folder.paths.suggestions)
    with folder.writing():
        for block in blocks:
            name = f"{base}/{block.file_name}"
            is_decision = block.kind != "suggested"
            inside.append(folder.paths.root, name, format_block(block), sync=is_decision)


def drop(folder: DatasetFolder, source_id: str) -> None:
    """Remove what a source proposed; what was rejected of it is remembered."""
    name = f"{check_source_id(source_id)}.bin"
    with folder.writing():
        base = folder.paths.below(folder.paths.suggestions)
        inside.remove(folder.paths.root, f"{base}/{name}")


def revision(folder: DatasetFolder) -> str:
    """Return what changes whenever something is added; empty while nothing is there."""
    stamps = []
    for name in files(folder):
        status = inside.status(folder.paths.root, name)
        if status is not None:
            stamps.append(f"{os.path.basename(name)} {status.st_size} {status.st_mtime_ns}")
    return "; ".join(stamps)


def read(folder: DatasetFolder, known: SuggestionTable | None) -> SuggestionTable:
    """Return what is proposed for the images that are there; `known` if nothing was added."""
    present = revision(folder)
    if known is not None and known.revision == present:
        return known
    blocks = []
    for name in files(folder):
        data = inside.read(folder.paths.root, name, most=MOST_BYTES)
        blocks += parse_blocks(data, f"{folder.paths.root}/{name}")
    if not blocks:
        return current_suggestions([], [], [], present)
    images = {(split, name) for split in SPLITS for name in image_names(folder, split)}
    return current_suggestions(blocks, history_files.read_as_written(folder), images, present)
