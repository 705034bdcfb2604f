"""The trash of a dataset in memory: the way back of several things at once."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.errors import AlreadyExistsError, NotFoundError
from workbench.persistence.filesystem.image_files import checked
from workbench.persistence.memory.state import Dataset
from workbench.persistence.models import TrashEntry
from workbench.persistence.rules import trash_entry
from workbench.persistence.stores.label_inspection import ORPHAN, require_orphan
from workbench.persistence.yolo.names import stem


def check_way_back(found: Dataset, name: str, ids: Sequence[str]) -> None:
    """Make sure that all of these can be restored; raises as `ImageStore.restore_many` does."""
    lost = [entry_id for entry_id in ids if entry_id not in found.deleted]
    if lost:
        raise NotFoundError(f"{lost[0]!r} is not in the trash of {name}: purged or restored?")
    entries = [found.deleted[entry_id] for entry_id in ids]
    coming = {(entry.split, entry.name) for entry, image, _ in entries if image is not None}
    taken: set[tuple[str, str, bool]] = set()
    for entry, image, labels in entries:
        if image is not None:
            found.require_free(name, entry.split, entry.name)
        elif entry.kind == "label" and (entry.split, entry.name) not in coming:
            found.image(name, entry.split, entry.name)
        places = {(entry.split, stem(entry.name), True)} if image is not None else set()
        if labels is not None:
            places.add((entry.split, stem(entry.name), False))
        if places & taken or (labels is not None and _label(entry) in found.labels):
            raise AlreadyExistsError(f"{name}: {entry.split}/{entry.name} is taken again")
        taken |= places


def bring_back(found: Dataset, entry_id: str) -> None:
    """Take one out of the trash, after `check_way_back`."""
    entry, image, labels = found.deleted.pop(entry_id)
    if entry.kind == ORPHAN and labels is not None:
        found.labels[_label(entry)] = labels
        return
    if image is None:
        found.set_labels(*_key(entry), labels)
        return
    found.images[_key(entry)] = image
    if labels is not None:
        found.labels[_label(entry)] = labels


def discard(found: Dataset, name: str, entries: Sequence[TrashEntry]) -> list[TrashEntry]:
    """Move what these entries were to the trash once more; see `ImageStore.discard_many`."""
    owned = {(split, stem(filename)) for split, filename in found.images}
    for entry in entries:
        there = _label(entry) in found.labels
        if entry.kind == ORPHAN:
            require_orphan(entry.name, there, _label(entry) in owned, name, entry.split)
        else:
            found.image(name, *checked(*_key(entry)))
            if entry.kind == "label" and not there:
                raise NotFoundError(f"{name}: {entry.split}/{entry.name} has no labels (any more)")
    done = []
    # Labels first: those that have an entry of their own do not go with their image.
    for entry in sorted(entries, key=lambda entry: entry.kind != "label"):
        new = trash_entry(entry.kind, entry.name, entry.split)
        labels = found.labels.get(_label(entry))
        if entry.kind == "label":
            found.set_labels(*_key(entry), None, "undo")
        else:
            found.labels.pop(_label(entry), b"")
        image = None if entry.kind in ("label", ORPHAN) else found.images.pop(_key(entry))
        found.deleted[new.id] = (new, image, labels)
        done.append((entry, new))
    by_entry = {entry.id: new for entry, new in done}
    return [by_entry[entry.id] for entry in entries]


def _key(entry: TrashEntry) -> tuple[str, str]:
    return entry.split, entry.name


def _label(entry: TrashEntry) -> tuple[str, str]:
    return entry.split, stem(entry.name)
