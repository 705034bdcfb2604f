"""Other bytes for images that keep their labels; the old files go to the trash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from workbench.errors import ConflictError, InvalidNameError, NotFoundError
from workbench.persistence.history import new_moves
from workbench.persistence.inspection import ImageReplacement
from workbench.persistence.models import ImageKey, TrashEntry
from workbench.persistence.rules import check_decodes
from workbench.persistence.storage import Change, Move, Remove, Write
from workbench.persistence.stored_json import malformed
from workbench.persistence.stores import history_log, trash
from workbench.persistence.stores.dataset import Dataset, image_key
from workbench.persistence.stores.image_facts import read_value
from workbench.persistence.yolo.names import check_image, stem

REPLACED = "replaced"
"""Kind of a trash entry that holds what an image was before it was replaced."""


def replace(dataset: Dataset, replacements: Sequence[ImageReplacement]) -> list[TrashEntry]:
    """Put other bytes in the place of images: all, or none."""
    for one in replacements:
        split, filename = dataset.find(one.split, one.filename)
        if one.new_filename != filename:
            check_image(split, one.new_filename)
        _check(one)
    entries: list[TrashEntry] = []
    changes: list[Change] = []
    with dataset.leased() as (_, writer):
        for one in replacements:
            old = dataset.require_image(one.split, one.filename)
            if read_value(dataset, old) != one.expected:
                raise _changed_since(dataset, one.split, one.filename)
            # The new name has the stem of the old one, so this leaves it free, too.
            dataset.require_free_stem(one.split, one.filename)
            entry, made = _changes(dataset, one, old)
            entries.append(entry)
            changes += made
        ways = (((r.split, r.filename), (r.split, r.new_filename)) for r in replacements)
        writer.commit([*changes, *history_log.noted(dataset.storage, new_moves(ways))])
    return entries


def _check(replacement: ImageReplacement) -> None:
    """Make sure that a replacement is an image under the same label file.

    Raises
    ------
    InvalidNameError
        If the new name differs in more than its extension.
    InvalidFrameError
        If the new bytes are no image.
    """
    if stem(replacement.filename) != stem(replacement.new_filename):
        raise InvalidNameError(
            f"{replacement.new_filename!r}: expected {stem(replacement.filename)!r} with an "
            f"extension; replacing an image's bytes does not rename it"
        )
    check_decodes(replacement.data, replacement.new_filename)


def _changes(dataset: Dataset, one: ImageReplacement, old: str) -> tuple[TrashEntry, list[Change]]:
    """Return the entry to which the old file moves, which also says what replaced it.

    The entry's second "file" is the way back: its name is the digest of the new bytes, and
    nothing lies there until `undo` puts the new file aside.
    """
    new = image_key(one.split, one.new_filename)
    entry = trash.new_entry(dataset.trash, REPLACED, one.filename, [old], one.split)
    entry.files.append((_digest(one.data), new))
    return entry.entry, [
        Write(f"{entry.folder}/entry.json", entry.to_bytes()),
        Move(old, f"{entry.folder}/{entry.files[0][0]}"),
        Write(new, one.data),
    ]


def undo(dataset: Dataset, entry_ids: Sequence[str]) -> None:
    """Put replaced images back to what they were: all, or none.

    Raises
    ------
    ConflictError
        If an image was changed since it was replaced.
    NotFoundError
        If an entry is not in the trash (any more).
    """
    changes: list[Change] = []
    ways = []
    with dataset.leased() as (_, writer):
        for entry_id in dict.fromkeys(entry_ids):
            trashed = trash.find_kind(dataset.trash, entry_id, REPLACED)
            if len(trashed.files) != 2:
                raise malformed(
                    dataset.at(f"{trashed.folder}/entry.json"),
                    "an image and what replaced it",
                    trashed.files,
                )
            way, made = _way_back(dataset, trashed)
            ways.append(way)
            changes += made
        writer.commit([*changes, *history_log.noted(dataset.storage, new_moves(ways))])


def _way_back(
    dataset: Dataset, trashed: trash.Trashed
) -> tuple[tuple[ImageKey, ImageKey], list[Change]]:
    (name, original), (expected, present) = trashed.files
    entry = trashed.entry
    new_filename = present.rpartition("/")[2]
    try:
        unchanged = _digest(read_value(dataset, present)) == expected
    except NotFoundError:
        unchanged = False
    if not unchanged or (original != present and dataset.storage.exists(original)):
        raise _changed_since(dataset, entry.split, new_filename)
    return ((entry.split, new_filename), (entry.split, entry.name)), [
        Move(present, f"{trashed.folder}/{expected}"),
        Move(f"{trashed.folder}/{name}", original),
        Remove(trashed.folder),
    ]


def _digest(data: bytes) -> str:
    """Return what tells whether a replaced image is still what it was replaced with."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _changed_since(dataset: Dataset, split: str, filename: str) -> ConflictError:
    """Return the error for an image that somebody has changed in between."""
    return ConflictError(
        f"{dataset.name}: {split}/{filename} has been changed since; nothing was done, so look "
        f"again"
    )
