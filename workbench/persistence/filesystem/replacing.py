"""Other bytes for images that keep their labels; the old files go to the trash."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

from workbench.errors import ConflictError, InvalidNameError, NotFoundError
from workbench.persistence.filesystem.dataset_folder import DatasetFolder
from workbench.persistence.filesystem.image_files import require_free_stem
from workbench.persistence.history import new_moves
from workbench.persistence.inspection import ImageReplacement
from workbench.persistence.models import TrashEntry
from workbench.persistence.plain_files import read_file
from workbench.persistence.rules import check_decodes
from workbench.persistence.storage.local.journal import Transaction
from workbench.persistence.stored_json import malformed
from workbench.persistence.stores import history_log, trash
from workbench.persistence.yolo.names import stem

REPLACED = "replaced"
"""Kind of a trash entry that holds what an image was before it was replaced."""


def check(replacement: ImageReplacement) -> None:
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


def digest(data: bytes) -> str:
    """Return what tells whether a replaced image is still what it was replaced with."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def changed_since(dataset: str, split: str, filename: str) -> ConflictError:
    """Return the error for an image that somebody has changed in between."""
    return ConflictError(
        f"{dataset}: {split}/{filename} has been changed since; nothing was done, so look again"
    )


def replace(folder: DatasetFolder, replacements: Sequence[ImageReplacement]) -> list[TrashEntry]:
    """Put other bytes in the place of images: all, or none."""
    entries = []
    with folder.writing(), folder.journal.transaction() as change:
        for one in replacements:
            old = folder.image_path(one.split, one.filename)
            new = folder.paths.image(one.split, one.new_filename)
            if read_file(old) != one.expected:
                raise changed_since(folder.name, one.split, one.filename)
            # The new name has the stem of the old one, so this leaves it free, too.
            require_free_stem(folder, one.split, one.filename)
            entries.append(_plan(folder, change, one, old, new))
        ways = (((r.split, r.filename), (r.split, r.new_filename)) for r in replacements)
        change.add(*history_log.noted(folder.storage, new_moves(ways)))
    return entries


def _plan(
    folder: DatasetFolder, change: Transaction, one: ImageReplacement, old: str, new: str
) -> TrashEntry:
    """Move the old file to the trash, in an entry that also says what replaced it.

    The entry's second "file" is the way back: its name is the digest of the new bytes, and
    nothing lies there until `undo` puts the new file aside.
    """
    root = folder.paths.root
    entry = trash.new_entry(
        folder.trash, REPLACED, one.filename, [os.path.relpath(old, root)], one.split
    )
    entry.files.append((digest(one.data), os.path.relpath(new, root)))
    change.write(folder.paths.at(f"{entry.folder}/entry.json"), entry.to_bytes())
    change.rename(old, folder.paths.at(f"{entry.folder}/{entry.files[0][0]}"))
    change.write(new, one.data)
    return entry.entry


def undo(folder: DatasetFolder, entry_ids: Sequence[str]) -> None:
    """Put replaced images back to what they were: all, or none.

    Raises
    ------
    ConflictError
        If an image was changed since it was replaced.
    NotFoundError
        If an entry is not in the trash (any more).
    """
    with folder.writing():
        found = [trash.find(folder.trash, entry_id) for entry_id in dict.fromkeys(entry_ids)]
        for trashed in found:
            require_replaced(trashed.entry)
            if len(trashed.files) != 2:
                raise malformed(
                    folder.paths.at(f"{trashed.folder}/entry.json"),
                    "an image and what replaced it",
                    trashed.files,
                )
        with folder.journal.transaction() as change:
            ways = [_plan_undo(folder, change, trashed) for trashed in found]
            change.add(*history_log.noted(folder.storage, new_moves(ways)))


def require_replaced(entry: TrashEntry) -> None:
    """Make sure that a trash entry is of this kind; raises `NotFoundError`."""
    if entry.kind != REPLACED:
        raise NotFoundError(f"{entry.id!r} in the trash is of kind {entry.kind}, not {REPLACED}")


def _plan_undo(
    folder: DatasetFolder, change: Transaction, trashed: trash.Trashed
) -> tuple[tuple[str, str], tuple[str, str]]:
    (name, original), (expected, present) = trashed.files
    root, entry = folder.paths.root, trashed.entry
    new_filename = os.path.basename(present)
    try:
        unchanged = digest(read_file(f"{root}/{present}")) == expected
    except FileNotFoundError:
        unchanged = False
    if not unchanged or (original != present and os.path.lexists(f"{root}/{original}")):
        raise changed_since(folder.name, entry.split, new_filename)
    change.rename(f"{root}/{present}", folder.paths.at(f"{trashed.folder}/{expected}"))
    change.rename(folder.paths.at(f"{trashed.folder}/{name}"), f"{root}/{original}")
    change.remove(folder.paths.at(trashed.folder))
    return (entry.split, new_filename), (entry.split, entry.name)
