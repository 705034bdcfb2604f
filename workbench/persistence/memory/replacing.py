"""Other bytes for images in memory, as `filesystem.replacing` does it on disk."""

from __future__ import annotations

import time
from collections.abc import Sequence

from workbench.errors import NotFoundError
from workbench.persistence.filesystem.replacing import (
    REPLACED,
    changed_since,
    digest,
    require_replaced,
)
from workbench.persistence.history import new_moves
from workbench.persistence.inspection import ImageReplacement
from workbench.persistence.memory.state import Dataset, StoredImage
from workbench.persistence.models import TrashEntry
from workbench.persistence.rules import no_same_stem, trash_entry
from workbench.persistence.yolo.names import stem


def replace(
    found: Dataset, name: str, replacements: Sequence[ImageReplacement]
) -> list[TrashEntry]:
    """Put other bytes in the place of images: all, or none."""
    for one in replacements:
        if found.image(name, one.split, one.filename).data != one.expected:
            raise changed_since(name, one.split, one.filename)
        _require_only(found, one.split, one.filename)
    entries = []
    for one in replacements:
        entry = trash_entry(REPLACED, one.filename, one.split)
        found.deleted[entry.id] = (entry, found.images.pop((one.split, one.filename)), None)
        found.replaced[entry.id] = (one.new_filename, digest(one.data))
        found.images[one.split, one.new_filename] = StoredImage(one.data, time.time())
        entries.append(entry)
    found.note(new_moves(((r.split, r.filename), (r.split, r.new_filename)) for r in replacements))
    return entries


def undo(found: Dataset, name: str, entry_ids: Sequence[str]) -> None:
    """Put replaced images back to what they were: all, or none."""
    ids = list(dict.fromkeys(entry_ids))
    for entry_id in ids:
        if entry_id not in found.deleted:
            raise NotFoundError(f"{entry_id!r} is not in the trash of {name}")
        entry = found.deleted[entry_id][0]
        require_replaced(entry)
        filename, expected = found.replaced[entry_id]
        present = found.images.get((entry.split, filename))
        if present is None or digest(present.data) != expected:
            raise changed_since(name, entry.split, filename)
    for entry_id in ids:
        entry, old, _ = found.deleted.pop(entry_id)
        filename, _ = found.replaced.pop(entry_id)
        del found.images[entry.split, filename]
        assert old is not None, "what was replaced is an image"
        found.images[entry.split, entry.name] = old
        found.note(new_moves([((entry.split, filename), (entry.split, entry.name))]))


def _require_only(found: Dataset, split: str, filename: str) -> None:
    for where, other in found.images:
        if where == split and other != filename and stem(other) == stem(filename):
            raise no_same_stem(filename, other, split)
