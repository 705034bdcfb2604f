"""What the label store does on disk; plain functions on one dataset's folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import compress

import numpy as np

from workbench.errors import (
    AlreadyExistsError,
    ConflictError,
    LabelFormatError,
    LossySaveError,
    NotFoundError,
)
from workbench.persistence import links
from workbench.persistence.filesystem.dataset_folder import DatasetFolder
from workbench.persistence.filesystem.image_files import image_names, label_stems, plan_delete
from workbench.persistence.history import (
    EditRecord,
    find_edit,
    new_edit,
    select_edits,
)
from workbench.persistence.models import (
    SPLITS,
    Annotation,
    ImageKey,
    LabelData,
    LabelEdit,
    LabelTable,
    TrashEntry,
)
from workbench.persistence.storage.collector import paused_collector
from workbench.persistence.storage.local.open_folder import OpenFolder
from workbench.persistence.stores import history_log
from workbench.persistence.yolo.data_yaml import DataYaml
from workbench.persistence.yolo.label_table import Columns, join, parse_many, read_labels
from workbench.persistence.yolo.label_text import (
    ParsedLabels,
    clean_annotations,
    format_labels,
    is_plain,
    parse_labels,
    revision_of,
)
from workbench.persistence.yolo.names import check_split, stem

# Files parsed at once: few enough for the processor's cache, and enough to make Python's own
# cost small.
_BATCH = 2048


def read(folder: DatasetFolder, split: str, filename: str) -> LabelData:
    """Return the labels of one image."""
    yaml = folder.read()
    return parsed(folder, split, filename, read_existing(folder, split, filename), yaml)


def parsed(
    folder: DatasetFolder, split: str, filename: str, data: bytes | None, yaml: DataYaml
) -> LabelData:
    """Return what the bytes of one image's label file say; None for no file."""
    path = folder.paths.label(split, filename)
    labels = ParsedLabels([]) if data is None else _parse(data, path, yaml)
    return LabelData(filename, split, labels.annotations, revision_of(data), labels.other_rows)


def read_existing(folder: DatasetFolder, split: str, filename: str) -> bytes | None:
    """Return the bytes of an image's label file, or None; raises if there is no such image."""
    folder.require_image(split, filename)
    path = folder.paths.label(split, filename)
    try:
        data = read_labels(path)
    except FileNotFoundError:
        return None
    if os.path.islink(path):
        _require_labels(folder, data, path)
    return data


def _require_labels(folder: DatasetFolder, data: bytes, path: str) -> None:
    """Make sure that what a link leads to may stand in the history: no letter, no key.

    Raises
    ------
    LabelFormatError
        If it lies outside of the dataset and is no label file.
    """
    if links.leads_astray(folder.paths.root, path):
        yaml = folder.read()
        try:
            _parse(data, path, yaml)
        except LabelFormatError:
            raise LabelFormatError(
                path,
                0,
                "expected labels, found a link to something else; "
                f"{links.remedy(folder.paths.root)}",
            ) from None


def _parse(data: bytes, path: str, yaml: DataYaml) -> ParsedLabels:
    return parse_labels(data, path, len(yaml.classes), keypoints=yaml.has_keypoints)


def require_revision(data: bytes | None, expected: str | None, path: str) -> None:
    """Raise `ConflictError` unless a label file still is what somebody has seen."""
    if expected is not None and expected != revision_of(data):
        raise ConflictError(
            f"{path} was changed by somebody else since it was loaded; load it again and "
            f"choose which boxes to keep"
        )


def _replace(
    folder: DatasetFolder, split: str, filename: str, old: bytes | None, new: bytes, what: str
) -> None:
    if new != old:
        lines = history_log.noted(folder.storage, [new_edit(split, filename, old, new, what)])
        folder.journal.write(folder.paths.label(split, filename), new, *lines)


def require_plain(old: bytes, path: str, yaml: DataYaml) -> None:
    """Raise `LossySaveError` if a label file has rows that saving boxes would lose."""
    if is_plain(old, len(yaml.classes)):
        return
    remedy = "copy the file if you need it, then save with discard_other_rows=True"
    try:
        lost = _parse(old, path, yaml).other_rows
    except LabelFormatError as error:
        raise LossySaveError(f"{error} Saving would replace the whole file: {remedy}") from error
    if lost:
        raise LossySaveError(
            f"{path} has {lost} rows that are more than a box (polygon, keypoints or a "
            f"confidence); saving would leave only their boxes: {remedy}"
        )


def write_many(
    folder: DatasetFolder,
    labels: Mapping[tuple[str, str], Sequence[Annotation]],
    expected: Mapping[tuple[str, str], str],
    what: str,
) -> list[str]:
    """Replace the labels of many images: all, or none; return the ids of the edits."""
    edits = []
    with folder.writing() as yaml, folder.journal.transaction() as change:
        for (split, filename), annotations in labels.items():
            path = folder.paths.label(split, filename)
            old = read_existing(folder, split, filename)
            require_revision(old, expected.get((split, filename)), path)
            if old is not None:
                require_plain(old, path, yaml)
            where = f"{split}/{filename}"
            data = format_labels(clean_annotations(annotations, len(yaml.classes), where))
            if data != old:
                change.write(path, data)
                edits.append(new_edit(split, filename, old, data, what))
        change.add(*history_log.noted(folder.storage, edits))
    return [edit.id for edit in edits]


def delete(
    folder: DatasetFolder,
    split: str,
    filename: str,
    *,
    expected_revision: str | None = None,
    what: str = "",
) -> TrashEntry:
    """Move one label file to the trash."""
    with folder.writing():
        old = read_existing(folder, split, filename)
        path = folder.paths.label(split, filename)
        require_revision(old, expected_revision, path)
        if old is None:
            raise NotFoundError(
                f"{folder.name}: {filename!r} in {split} has no label file ({path})"
            )
        with folder.journal.transaction() as change:
            entry = plan_delete(folder, change, "label", split, filename, [path])
            edit = new_edit(split, filename, old, None, what)
            change.add(*history_log.noted(folder.storage, [edit]))
    return entry


def history(
    folder: DatasetFolder, split: str | None, filename: str | None, limit: int | None
) -> list[LabelEdit]:
    """Return the edits of one image, of a split, or of all; oldest first."""
    yaml = folder.read()
    if split is not None and filename is not None:
        records = history_log.read_about(folder.storage, split, filename)
    else:
        records = history_log.read(folder.storage)
    edits = select_edits(records, split, filename, limit)
    return [as_label_edit(edit, yaml) for edit in edits]


def as_label_edit(record: EditRecord, yaml: DataYaml) -> LabelEdit:
    """Return an edit with its boxes read."""
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
        return _parse(data, "history", yaml).annotations
    except LabelFormatError:
        # A file that could not be read when it was replaced, or whose classes are gone.
        return []


def revert(folder: DatasetFolder, edit_id: str) -> LabelData:
    """Put an image's labels back to what they were before an edit."""
    with folder.writing() as yaml:
        edit, split, filename = find_edit(history_log.read(folder.storage), edit_id)
        old = read_existing(folder, split, filename)
        path = folder.paths.label(split, filename)
        if edit.before is not None:
            _replace(folder, split, filename, old, edit.before, "revert")
        elif old is not None:
            with folder.journal.transaction() as change:
                plan_delete(folder, change, "label", split, filename, [path])
                undone = new_edit(split, filename, old, None, "revert")
                change.add(*history_log.noted(folder.storage, [undone]))
        boxes = _boxes(edit.before, yaml) or []
    return LabelData(filename, split, boxes, revision_of(edit.before))


def move(folder: DatasetFolder, filename: str, from_split: str, to_split: str) -> None:
    """Move one label file to another split, if it is still there."""
    with folder.writing():
        paths = folder.paths
        if not any(os.path.isfile(paths.image(s, filename)) for s in (from_split, to_split)):
            raise NotFoundError(
                f"{folder.name}: no image {filename!r} in {from_split} or {to_split}"
            )
        source, target = paths.label(from_split, filename), paths.label(to_split, filename)
        if from_split == to_split or not os.path.lexists(source):
            return
        if os.path.lexists(target):
            raise AlreadyExistsError(f"{target} exists already; remove one of the two label files")
        with folder.journal.transaction() as change:
            change.rename(source, target)


def load_all(folder: DatasetFolder, split: str | None) -> LabelTable:
    """Return every box of one split, or of all, in columns."""
    yaml = folder.read()
    splits = SPLITS if split is None else (check_split(split),)
    filenames: list[str] = []
    split_of: list[str] = []
    labelled: list[bool] = []
    parts = []
    with paused_collector():
        for name in splits:
            stems, images = label_stems(folder, name), image_names(folder, name)
            own = [stem(image) for image in images]
            has_labels = [image in stems for image in own]
            owners = np.flatnonzero(has_labels) + len(filenames)
            labels = [f"{label}.txt" for label in compress(own, has_labels)]
            for start, part in _read_columns(folder.paths.labels(name), labels, yaml):
                parts.append(replace(part, file_index=owners[part.file_index + start]))
            filenames += images
            split_of += [name] * len(images)
            labelled += has_labels
    columns = join(parts)
    return LabelTable(
        filenames=filenames,
        splits=split_of,
        labelled=np.array(labelled, dtype=np.bool_),
        image_index=columns.file_index,
        class_id=columns.class_id,
        boxes=columns.boxes,
        problems=list(columns.problems),
    )


def load_many(folder: DatasetFolder, images: Sequence[ImageKey]) -> LabelTable:
    """Return every box of some images in columns."""
    yaml = folder.read()
    labelled = np.zeros(len(images), dtype=np.bool_)
    splits = np.array([SPLITS.index(split) for split, _ in images], dtype=np.int8)
    parts = []
    for number, name in enumerate(SPLITS):
        places = np.flatnonzero(splits == number)
        base = folder.paths.labels(name)
        if not len(places) or not os.path.isdir(base):
            continue
        with OpenFolder(base) as labels:
            for some in np.array_split(places, range(_BATCH, len(places), _BATCH)):
                names = [f"{stem(images[place][1])}.txt" for place in some.tolist()]
                contents = labels.read_all(names, missing=None)
                labelled[some] = [data is not None for data in contents]
                part = parse_many(
                    [data or b"" for data in contents],
                    [f"{base}/{label}" for label in names],
                    len(yaml.classes),
                    keypoints=yaml.has_keypoints,
                )
                parts.append(replace(part, file_index=some[part.file_index]))
    columns = join(parts)
    order = np.argsort(columns.file_index, kind="stable")
    return LabelTable(
        filenames=[filename for _, filename in images],
        splits=[split for split, _ in images],
        labelled=labelled,
        image_index=columns.file_index[order],
        class_id=columns.class_id[order],
        boxes=columns.boxes[order],
        problems=list(columns.problems),
    )


def _read_columns(base: str, names: list[str], yaml: DataYaml) -> Iterator[tuple[int, Columns]]:
    """Yield the boxes of some label files at a time, with the number of files before them."""
    if not names:
        return
    with OpenFolder(base) as labels:
        for start in range(0, len(names), _BATCH):
            batch = names[start : start + _BATCH]
            contents = labels.read_all(batch)
            paths = [f"{base}/{name}" for name in batch]
            part = parse_many(contents, paths, len(yaml.classes), keypoints=yaml.has_keypoints)
            yield start, part
