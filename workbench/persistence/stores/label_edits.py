"""Changes of label files, of one or of many: each happens as a whole, and can be undone as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from workbench.errors import (
    AlreadyExistsError,
    ConflictError,
    LabelFormatError,
    LossySaveError,
    NotFoundError,
)
from workbench.persistence.counting import counted
from workbench.persistence.history import EditRecord, find_edit, find_edits, new_edit, select_edits
from workbench.persistence.inspection import LabelRepair
from workbench.persistence.models import (
    Annotation,
    ImageKey,
    LabelData,
    LabelEdit,
    RowPatch,
    TrashEntry,
)
from workbench.persistence.storage import Change, Move, Remove, Write
from workbench.persistence.stores import history_log, trash
from workbench.persistence.stores.dataset import Dataset, label_key
from workbench.persistence.stores.label_inspection import ORPHAN, repaired, require_orphan
from workbench.persistence.stores.label_reading import (
    parse,
    parsed,
    read_existing,
    read_one,
    require_revision,
)
from workbench.persistence.yolo.data_yaml import DataYaml
from workbench.persistence.yolo.label_rows import apply_patches
from workbench.persistence.yolo.label_text import (
    clean_annotations,
    format_labels,
    is_plain,
    revision_of,
)
from workbench.persistence.yolo.names import check_split, stem

Rewrite = Callable[[bytes | None, ImageKey, str, DataYaml], bytes]
"""What makes new bytes of an image's old ones; gets also what to call the file."""


def require_plain(old: bytes, where: str, yaml: DataYaml) -> None:
    """Raise `LossySaveError` if a label file has rows that saving boxes would lose."""
    if is_plain(old, len(yaml.classes)):
        return
    remedy = "copy the file if you need it, then save with discard_other_rows=True"
    try:
        lost = parse(old, where, yaml).other_rows
    except LabelFormatError as error:
        raise LossySaveError(f"{error} Saving would replace the whole file: {remedy}") from error
    if lost:
        raise LossySaveError(
            f"{where} has {counted(lost, 'row that is', 'rows that are')} more than a box "
            f"(polygon, keypoints or a "
            f"confidence); saving would leave only their boxes: {remedy}"
        )


def _rewrite_many(
    dataset: Dataset,
    images: Sequence[ImageKey],
    rewrite: Rewrite,
    what: str,
    also: Sequence[Change] = (),
) -> list[str]:
    """Give label files other bytes: all, or none; return the ids of the edits."""
    changes: list[Change] = []
    edits = []
    with dataset.leased() as (yaml, writer):
        for split, filename in images:
            key = label_key(split, filename)
            old = read_existing(dataset, split, filename)
            new = rewrite(old, (split, filename), dataset.at(key), yaml)
            if new != old:
                changes.append(Write(key, new))
                edits.append(new_edit(split, filename, old, new, what))
        writer.commit([*changes, *history_log.noted(dataset.storage, edits), *also])
    return [edit.id for edit in edits]


def write_many(
    dataset: Dataset,
    labels: Mapping[ImageKey, Sequence[Annotation]],
    expected: Mapping[ImageKey, str],
    what: str,
    also: Sequence[Change] = (),
) -> list[str]:
    """Replace the labels of many images: all, or none; return the ids of the edits.

    Parameters
    ----------
    also : sequence of Change
        What is changed with them, or not at all either.
    """

    def rewrite(old: bytes | None, image: ImageKey, where: str, yaml: DataYaml) -> bytes:
        require_revision(old, expected.get(image), where)
        if old is not None:
            require_plain(old, where, yaml)
        clean = clean_annotations(labels[image], len(yaml.classes), "/".join(image))
        return format_labels(clean)

    return _rewrite_many(dataset, list(labels), rewrite, what, also)


def patch(
    dataset: Dataset, patches: Mapping[ImageKey, Sequence[RowPatch] | None], what: str
) -> list[str]:
    """Change single rows of label files: all, or none; return the ids of the edits."""

    def rewrite(old: bytes | None, image: ImageKey, where: str, yaml: DataYaml) -> bytes:
        return apply_patches(old, patches[image], where, yaml)

    return _rewrite_many(dataset, list(patches), rewrite, what)


def repair(dataset: Dataset, repairs: Mapping[ImageKey, LabelRepair], what: str) -> list[str]:
    """Replace rows of label files: all, or none; return the ids of the edits."""

    def rewrite(old: bytes | None, image: ImageKey, where: str, yaml: DataYaml) -> bytes:
        return repaired(old, repairs[image], where, len(yaml.classes))

    return _rewrite_many(dataset, list(repairs), rewrite, what)


def delete(
    dataset: Dataset, split: str, filename: str, expected_revision: str | None, what: str
) -> TrashEntry:
    """Move one label file to the trash."""
    with dataset.leased() as (_, writer):
        old = read_existing(dataset, split, filename)
        where = dataset.at(label_key(split, filename))
        require_revision(old, expected_revision, where)
        if old is None:
            raise NotFoundError(
                f"{dataset.name}: {filename!r} in {split} has no label file ({where}): there "
                f"is nothing to delete"
            )
        entry, changes = _put_away(dataset, split, filename, old, what)
        writer.commit(changes)
    return entry


def _put_away(
    dataset: Dataset, split: str, filename: str, old: bytes, what: str
) -> tuple[TrashEntry, list[Change]]:
    entry, changes = trash.put_away(
        dataset.trash, "label", split, filename, [label_key(split, filename)]
    )
    edit = new_edit(split, filename, old, None, what)
    return entry, [*changes, *history_log.noted(dataset.storage, [edit])]


def delete_many(dataset: Dataset, images: Sequence[ImageKey], what: str) -> list[TrashEntry]:
    """Move label files to the trash: all, or none."""
    entries, changes, edits = [], [], []
    with dataset.leased() as (_, writer):
        for split, filename in dict.fromkeys(images):
            old = read_existing(dataset, split, filename)
            if old is None:
                continue
            entry, moves = trash.put_away(
                dataset.trash, "label", split, filename, [label_key(split, filename)]
            )
            entries.append(entry)
            changes += moves
            edits.append(new_edit(split, filename, old, None, what))
        writer.commit([*changes, *history_log.noted(dataset.storage, edits)])
    return entries


def delete_orphans(dataset: Dataset, orphans: Sequence[tuple[str, str]]) -> list[TrashEntry]:
    """Move label files without an image to the trash: all, or none."""
    entries: list[TrashEntry] = []
    changes: list[Change] = []
    owners: dict[str, set[str]] = {}
    with dataset.leased() as (_, writer):
        for split, name in dict.fromkeys(orphans):
            if split not in owners:
                images = dataset.image_names(check_split(split))
                owners[split] = {stem(image) for image in images}
            key = f"labels/{split}/{name}"
            there = name == name.rpartition("/")[2] and dataset.has_value(key)
            require_orphan(name, there, name[:-4] in owners[split], dataset.name, split)
            entry, moves = trash.put_away(dataset.trash, ORPHAN, split, name, [key])
            entries.append(entry)
            changes += moves
        writer.commit(changes)
    return entries


def restore(dataset: Dataset, entry_id: str) -> LabelData:
    """Bring an image's labels back from the trash."""
    with dataset.leased() as (yaml, writer):
        found = trash.find_kind(dataset.trash, entry_id, "label")
        entry, [(name, original)] = found.entry, found.files[:1]
        dataset.require_image(entry.split, entry.name)
        if dataset.storage.exists(original):
            raise AlreadyExistsError(
                f"{dataset.at(original)} is taken again; rename or delete it first"
            )
        data = read_one(dataset.storage, f"{found.folder}/{name}")
        edit = new_edit(entry.split, entry.name, None, data)
        writer.commit(
            [
                Move(f"{found.folder}/{name}", original),
                Remove(found.folder),
                *history_log.noted(dataset.storage, [edit]),
            ]
        )
        return parsed(dataset, entry.split, entry.name, data, yaml)


def history(
    dataset: Dataset, split: str | None, filename: str | None, limit: int | None
) -> list[LabelEdit]:
    """Return the edits of one image, of a split, or of all; oldest first."""
    yaml = dataset.read()
    if split is not None and filename is not None:
        records = history_log.read_about(dataset.storage, split, filename)
    else:
        records = history_log.read(dataset.storage)
    edits = select_edits(records, split, filename, limit)
    return [_as_label_edit(edit, yaml) for edit in edits]


def _as_label_edit(record: EditRecord, yaml: DataYaml) -> LabelEdit:
    return LabelEdit(
        id=record.id,
        at=record.at,
        filename=record.filename,
        split=record.split,
        before=_boxes(record.before, yaml),
        after=_boxes(record.after, yaml),
        what=record.what,
    )


def _boxes(data: bytes | None, yaml: DataYaml) -> list[Annotation] | None:
    if data is None:
        return None
    try:
        return parse(data, "history", yaml).annotations
    except LabelFormatError:
        # A file that could not be read when it was replaced, or whose classes are gone.
        return []


def revert(dataset: Dataset, edit_id: str) -> LabelData:
    """Put an image's labels back to what they were before an edit."""
    with dataset.leased() as (yaml, writer):
        edit, split, filename = find_edit(history_log.read(dataset.storage), edit_id)
        old = read_existing(dataset, split, filename)
        changes: list[Change] = []
        if edit.before is not None and edit.before != old:
            record = new_edit(split, filename, old, edit.before, "revert")
            changes.append(Write(label_key(split, filename), edit.before))
            changes += history_log.noted(dataset.storage, [record])
        elif edit.before is None and old is not None:
            _, changes = _put_away(dataset, split, filename, old, "revert")
        writer.commit(changes)
        boxes = _boxes(edit.before, yaml) or []
    return LabelData(filename, split, boxes, revision_of(edit.before))


def revert_many(
    dataset: Dataset, edit_ids: Sequence[str], what: str, also: Sequence[Change] = ()
) -> None:
    """Undo edits: all, or none, and only where nobody has changed the labels since."""
    changes: list[Change] = []
    undone = []
    with dataset.leased() as (_, writer):
        found = find_edits(history_log.read(dataset.storage), edit_ids)
        for (split, filename), (before, after) in found.items():
            key = label_key(split, filename)
            old = read_existing(dataset, split, filename)
            if old != after:
                raise ConflictError(
                    f"{dataset.name}: the labels of {split}/{filename} have been changed since; "
                    f"undoing would destroy that work, so nothing was undone"
                )
            changes.append(Remove(key) if before is None else Write(key, before))
            undone.append(new_edit(split, filename, old, before, what))
        writer.commit([*changes, *history_log.noted(dataset.storage, undone), *also])


def move(dataset: Dataset, filename: str, from_split: str, to_split: str) -> None:
    """Move one label file to another split, if it is still there."""
    with dataset.leased() as (_, writer):
        # The image may have been moved already, or not yet.
        for split in (check_split(to_split), from_split):
            _, found = dataset.find(split, filename)
            if dataset.has_image(split, found):
                break
        else:
            raise NotFoundError(
                f"{dataset.name}: no image {filename!r} in {from_split} or {to_split}; "
                f"list() names those that are"
            )
        source, target = label_key(from_split, found), label_key(to_split, found)
        if from_split == to_split or not dataset.storage.exists(source):
            return
        if dataset.storage.exists(target):
            raise AlreadyExistsError(
                f"{dataset.at(target)} exists already; remove one of the two label files"
            )
        writer.commit([Move(source, target)])
