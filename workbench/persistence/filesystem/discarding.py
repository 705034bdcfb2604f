"""What was restored from the trash goes back there: things of all kinds, in one change."""

from __future__ import annotations

import os
from collections.abc import Sequence

from workbench.errors import NotFoundError
from workbench.persistence.filesystem.dataset_folder import DatasetFolder
from workbench.persistence.filesystem.image_files import files_of, plan_delete
from workbench.persistence.history import new_edit
from workbench.persistence.models import ImageKey, TrashEntry
from workbench.persistence.stores import history_log
from workbench.persistence.stores.label_inspection import ORPHAN, require_orphan
from workbench.persistence.stores.label_reading import read_existing
from workbench.persistence.yolo.names import check_split, stem


def discard(folder: DatasetFolder, entries: Sequence[TrashEntry]) -> list[TrashEntry]:
    """Move what these entries were to the trash once more; see `ImageStore.discard_many`."""
    labels = {(entry.split, entry.name) for entry in entries if entry.kind == "label"}
    edits, done = [], []
    going: set[ImageKey] = set()
    with folder.writing(), folder.journal.transaction() as change:
        for entry in entries:
            split, name = check_split(entry.split), entry.name
            if entry.kind != ORPHAN:
                split, name = folder.find(split, name)
            label, has_twin = folder.paths.label(split, name), False
            if entry.kind == ORPHAN:
                owners = {stem(image) for image in folder.image_names(split)}
                there = os.path.isfile(label)
                require_orphan(name, there, stem(name) in owners, folder.name, split)
                paths = [label]
            elif entry.kind == "label":
                old = read_existing(folder, split, name)
                if old is None:
                    raise NotFoundError(f"{folder.name}: {label} is not there (any more)")
                edits.append(new_edit(split, name, old, None, "undo"))
                paths = [label]
            else:
                paths, has_twin = files_of(folder, split, name, going)
                going.add((split, name))
                if (split, name) in labels:
                    paths = paths[:1]
            done.append(
                plan_delete(folder, change, entry.kind, split, name, paths, has_twin=has_twin)
            )
        change.add(*history_log.noted(folder.storage, edits))
    return done
