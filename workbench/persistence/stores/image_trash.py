"""Images and labels on their way to the trash, back, and once more there: all of some, or none."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from workbench.errors import AlreadyExistsError, NotFoundError
from workbench.persistence.history import new_edit
from workbench.persistence.models import ImageInfo, ImageKey, TrashEntry
from workbench.persistence.storage import Change, Move, Remove, Writer
from workbench.persistence.stores import history_log, trash
from workbench.persistence.stores.dataset import Dataset, label_key
from workbench.persistence.stores.image_facts import changed_info, measured
from workbench.persistence.stores.image_replacing import REPLACED
from workbench.persistence.stores.label_inspection import ORPHAN, require_orphan
from workbench.persistence.stores.label_reading import read_existing, read_one
from workbench.persistence.stores.telling import told
from workbench.persistence.yolo.names import check_split, stem

_KINDS = frozenset({"image", "label", ORPHAN, REPLACED})


def delete(dataset: Dataset, images: Sequence[ImageKey]) -> list[TrashEntry]:
    """Move images, given as ``(split, filename)``, with their labels to the trash."""
    entries: dict[ImageKey, TrashEntry] = {}
    changes: list[Change] = []
    with dataset.leased() as (_, writer):
        for image in dict.fromkeys(images):
            keys, has_twin = _keys_of(dataset, image, entries.keys())
            entries[image], moves = trash.put_away(
                dataset.trash, "image", *image, keys, has_twin=has_twin
            )
            changes += moves
        writer.commit(changes)
    return list(entries.values())


def _keys_of(
    dataset: Dataset, image: ImageKey, going: Collection[ImageKey]
) -> tuple[list[str], bool]:
    """Return the keys of an image and of its labels, and whether it shares these with others.

    Labels that images share go with the last of them: without those in `going` it may be this.
    """
    keys, label = [dataset.require_image(*image)], label_key(*image)
    twins = [(image[0], other) for other in dataset.of_same_stem(*image)]
    if dataset.storage.exists(label) and all(twin in going for twin in twins):
        keys.append(label)
    return keys, bool(twins)


def restore_image(dataset: Dataset, entry_id: str) -> ImageInfo:
    """Bring an image, with its labels, back to where it was."""
    with dataset.leased() as (_, writer):
        found = trash.find_kind(dataset.trash, entry_id, "image")
        _restore(dataset, writer, [entry_id])
        size = told(lambda: measured(dataset, found.files[0][1]), (0, 0))
    return changed_info(dataset, (found.entry.split, found.entry.name), size)


def restore_many(dataset: Dataset, entry_ids: Sequence[str]) -> None:
    """Bring the files of trash entries of any kind back to where they were."""
    with dataset.leased() as (_, writer):
        _restore(dataset, writer, entry_ids)


def _restore(dataset: Dataset, writer: Writer, entry_ids: Sequence[str]) -> None:
    storage = dataset.storage
    found = [trash.find(dataset.trash, entry_id) for entry_id in dict.fromkeys(entry_ids)]
    images = {(f.entry.split, f.entry.name) for f in found if f.entry.kind == "image"}
    taken: set[str] = set()
    changes: list[Change] = []
    edits = []
    for trashed in found:
        entry = trashed.entry
        if entry.kind == "image" and not trashed.has_twin:
            dataset.require_free_stem(entry.split, entry.name)
        elif entry.kind == "label" and (entry.split, entry.name) not in images:
            dataset.require_image(entry.split, entry.name)
        for name, original in trashed.files:
            source = f"{trashed.folder}/{name}"
            # Two images of one stem would share their label file, so the stem is the place.
            place = original if trashed.has_twin else stem(original)
            if storage.exists(original) or place in taken:
                raise AlreadyExistsError(
                    f"{dataset.at(original)} is taken again; rename or delete it first"
                )
            taken.add(place)
            if entry.kind == "label":
                edits.append(new_edit(entry.split, entry.name, None, read_one(storage, source)))
            if storage.exists(source):  # another program may have removed one of them
                changes.append(Move(source, original))
        changes.append(Remove(trashed.folder))
    writer.commit([*changes, *history_log.noted(storage, edits)])


def discard(dataset: Dataset, entries: Sequence[TrashEntry]) -> list[TrashEntry]:
    """Move what these entries were to the trash once more; see `ImageStore.discard_many`."""
    labels = {(entry.split, entry.name) for entry in entries if entry.kind == "label"}
    changes: list[Change] = []
    edits, done = [], []
    going: set[ImageKey] = set()
    with dataset.leased() as (_, writer):
        for entry in entries:
            split, name = check_split(entry.split), entry.name
            if entry.kind != ORPHAN:
                split, name = dataset.find(split, name)
            label, has_twin = label_key(split, name), False
            keys = [label]
            if entry.kind == ORPHAN:
                owners = {stem(image) for image in dataset.image_names(split)}
                there = dataset.has_value(label)
                require_orphan(name, there, stem(name) in owners, dataset.name, split)
            elif entry.kind == "label":
                old = read_existing(dataset, split, name)
                if old is None:
                    raise NotFoundError(
                        f"{dataset.name}: {dataset.at(label)} is not there (any more)"
                    )
                edits.append(new_edit(split, name, old, None, "undo"))
            else:
                keys, has_twin = _keys_of(dataset, (split, name), going)
                going.add((split, name))
                if (split, name) in labels:
                    keys = keys[:1]
            new, moves = trash.put_away(
                dataset.trash, entry.kind, split, name, keys, has_twin=has_twin
            )
            done.append(new)
            changes += moves
        writer.commit([*changes, *history_log.noted(dataset.storage, edits)])
    return done


def purge(dataset: Dataset, entry_id: str | None) -> int:
    """Remove one entry of the trash for good, or all of them; return how many."""
    with dataset.leased() as (_, writer):
        doomed = trash.doomed(dataset.trash, entry_id, _KINDS)
        writer.purge([*(one.folder for one in doomed), *trash.leftovers(dataset.trash)])
    return len(doomed)
