"""Where the tags of a dataset's images lie: ``.workbench/tags.json``."""

from __future__ import annotations

import os

from workbench.errors import ConflictError
from workbench.persistence.filesystem.dataset_folder import DatasetFolder
from workbench.persistence.models import SPLITS
from workbench.persistence.storage.local import inside
from workbench.persistence.storage.local.journal import Transaction
from workbench.persistence.tags import Tags, check_tags, renamed, tags_bytes, tags_from


def read(folder: DatasetFolder) -> dict[str, list[str]]:
    """Return file names by tag."""
    try:
        data = inside.read(folder.paths.root, folder.paths.below(folder.paths.tags))
        return tags_from(data, folder.paths.tags)
    except FileNotFoundError:
        return {}


def write(folder: DatasetFolder, tags: Tags, expected: Tags | None) -> None:
    """Replace all tags, unless somebody else has changed them since."""
    data = tags_bytes(tags)
    with folder.writing():
        if expected is not None and read(folder) != check_tags(expected):
            raise tags_changed(folder.name)
        folder.journal.write(folder.paths.tags, data)


def tags_changed(dataset: str) -> ConflictError:
    """Return the error for tags that are not what the caller last saw."""
    return ConflictError(f"{dataset}: somebody else has changed the tags meanwhile; get them again")


def plan_rename(folder: DatasetFolder, change: Transaction, split: str, old: str, new: str) -> None:
    """Add to a transaction that the tags follow an image to its new name."""
    tags = read(folder)
    if not any(old in names for names in tags.values()):
        return
    stays = any(
        os.path.isfile(folder.paths.image(other, old)) for other in SPLITS if other != split
    )
    change.write(folder.paths.tags, tags_bytes(renamed(tags, old, new, keep_old=stays)))
