"""Changes of many label files that happen as a whole and can be undone as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workbench.errors import ConflictError
from workbench.persistence.filesystem.dataset_folder import DatasetFolder
from workbench.persistence.filesystem.image_files import plan_delete
from workbench.persistence.filesystem.label_files import read_existing
from workbench.persistence.history import find_edits, new_edit
from workbench.persistence.models import RowPatch, TrashEntry
from workbench.persistence.stores import history_log
from workbench.persistence.yolo.label_rows import apply_patches


def patch(
    folder: DatasetFolder,
    patches: Mapping[tuple[str, str], Sequence[RowPatch] | None],
    what: str,
) -> list[str]:
    """Change single rows of label files: all, or none; return the ids of the edits."""
    edits = []
    with folder.writing() as yaml, folder.journal.transaction() as change:
        for (split, filename), rows in patches.items():
            path = folder.paths.label(split, filename)
            old = read_existing(folder, split, filename)
            new = apply_patches(old, rows, path, yaml)
            if new != old:
                change.write(path, new)
                edits.append(new_edit(split, filename, old, new, what))
        change.add(*history_log.noted(folder.storage, edits))
    return [edit.id for edit in edits]


def delete(folder: DatasetFolder, images: Sequence[tuple[str, str]], what: str) -> list[TrashEntry]:
    """Move label files to the trash: all, or none."""
    edits, entries = [], []
    with folder.writing(), folder.journal.transaction() as change:
        for split, filename in dict.fromkeys(images):
            old = read_existing(folder, split, filename)
            if old is None:
                continue
            path = folder.paths.label(split, filename)
            entries.append(plan_delete(folder, change, "label", split, filename, [path]))
            edits.append(new_edit(split, filename, old, None, what))
        change.add(*history_log.noted(folder.storage, edits))
    return entries


def revert(folder: DatasetFolder, edit_ids: Sequence[str], what: str) -> None:
    """Undo edits: all, or none, and only where nobody has changed the labels since."""
    undone = []
    with folder.writing():
        found = find_edits(history_log.read(folder.storage), edit_ids)
        with folder.journal.transaction() as change:
            for (split, filename), (before, after) in found.items():
                path = folder.paths.label(split, filename)
                old = read_existing(folder, split, filename)
                if old != after:
                    raise changed_since(folder.name, split, filename)
                if before is None:
                    change.remove(path)
                else:
                    change.write(path, before)
                undone.append(new_edit(split, filename, old, before, what))
            change.add(*history_log.noted(folder.storage, undone))


def changed_since(dataset: str, split: str, filename: str) -> ConflictError:
    """Return the error for labels that an undo would overwrite."""
    return ConflictError(
        f"{dataset}: the labels of {split}/{filename} have been changed since; undoing would "
        f"destroy that work, so nothing was undone"
    )
