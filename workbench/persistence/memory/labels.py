"""The label store in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from workbench.errors import (
    AlreadyExistsError,
    ConflictError,
    LabelFormatError,
    LossySaveError,
    NotFoundError,
)
from workbench.persistence.disk_errors import speaks_plainly
from workbench.persistence.filesystem.image_files import checked
from workbench.persistence.filesystem.label_edits import changed_since
from workbench.persistence.filesystem.label_files import as_label_edit
from workbench.persistence.filesystem.label_inspection import (
    NO_LABELS,
    ORPHAN,
    repaired,
    report_all,
    require_orphan,
)
from workbench.persistence.history import EditRecord, find_edit, find_edits, select_edits
from workbench.persistence.inspection import LabelInspection, LabelRepair
from workbench.persistence.label_store import LabelStore
from workbench.persistence.memory.state import Dataset, State
from workbench.persistence.models import (
    SPLITS,
    Annotation,
    ImageKey,
    LabelData,
    LabelEdit,
    LabelTable,
    RowPatch,
    TrashEntry,
)
from workbench.persistence.rules import trash_entry
from workbench.persistence.yolo.label_rows import apply_patches, with_present_classes
from workbench.persistence.yolo.label_table import parse_many
from workbench.persistence.yolo.label_text import (
    ParsedLabels,
    clean_annotations,
    format_labels,
    parse_labels,
    revision_of,
)
from workbench.persistence.yolo.names import check_split, stem


@speaks_plainly
class MemoryLabelStore(LabelStore):
    """Label files as bytes in a dict."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def save(
        self,
        dataset: str,
        split: str,
        filename: str,
        annotations: Sequence[Annotation],
        *,
        expected_revision: str | None = None,
        discard_other_rows: bool = False,
        what: str = "",
    ) -> LabelData:
        """See `LabelStore.save`."""
        split, filename = checked(split, filename)
        with self._state.writing(dataset) as (name, found):
            found.require_image(name, split, filename)
            _require_revision(found, split, filename, expected_revision)
            where = f"{split}/{filename}"
            clean = clean_annotations(annotations, len(found.classes), where)
            if not discard_other_rows:
                _require_plain(found, split, filename)
            data = format_labels(clean)
            found.set_labels(split, filename, data, what)
        return LabelData(filename, split, clean, revision_of(data))

    async def save_many(
        self,
        dataset: str,
        labels: Mapping[tuple[str, str], Sequence[Annotation]],
        *,
        expected: Mapping[tuple[str, str], str] | None = None,
        what: str = "",
    ) -> list[str]:
        """See `LabelStore.save_many`."""
        new = {}
        seen = {checked(*key): revision for key, revision in (expected or {}).items()}
        with self._state.writing(dataset) as (name, found):
            for (split, filename), annotations in labels.items():
                split, filename = checked(split, filename)
                found.require_image(name, split, filename)
                _require_revision(found, split, filename, seen.get((split, filename)))
                _require_plain(found, split, filename)
                where = f"{split}/{filename}"
                clean = clean_annotations(annotations, len(found.classes), where)
                new[split, filename] = format_labels(clean)
            done = len(found.history)
            for (split, filename), data in new.items():
                found.set_labels(split, filename, data, what)
            return [r.id for r in found.history[done:] if isinstance(r, EditRecord)]

    async def patch_many(
        self,
        dataset: str,
        patches: Mapping[tuple[str, str], Sequence[RowPatch] | None],
        *,
        what: str = "",
    ) -> list[str]:
        """See `LabelStore.patch_many`."""
        new = {}
        with self._state.writing(dataset) as (name, found):
            for (split, filename), rows in patches.items():
                split, filename = checked(split, filename)
                found.require_image(name, split, filename)
                old = found.labels.get((split, stem(filename)))
                new[split, filename] = apply_patches(old, rows, _path(split, filename), found.yaml)
            done = len(found.history)
            for (split, filename), data in new.items():
                found.set_labels(split, filename, data, what)
            return [r.id for r in found.history[done:] if isinstance(r, EditRecord)]

    async def load(self, dataset: str, split: str, filename: str) -> list[Annotation]:
        """See `LabelStore.load`."""
        return (await self.get(dataset, split, filename)).annotations

    async def get(self, dataset: str, split: str, filename: str) -> LabelData:
        """See `LabelStore.get`."""
        split, filename = checked(split, filename)
        with self._state.reading(dataset) as (name, found):
            found.require_image(name, split, filename)
            parsed = _parse(found, split, filename)
            revision = revision_of(found.labels.get((split, stem(filename))))
        return LabelData(filename, split, parsed.annotations, revision, parsed.other_rows)

    async def load_all(self, dataset: str, split: str | None = None) -> LabelTable:
        """See `LabelStore.load_all`."""
        splits = SPLITS if split is None else (check_split(split),)
        with self._state.reading(dataset) as (_, found):
            return _table(
                found, [(where, filename) for where in splits for filename in found.names(where)]
            )

    async def load_many(self, dataset: str, images: Sequence[ImageKey]) -> LabelTable:
        """See `LabelStore.load_many`."""
        keys = [checked(split, filename) for split, filename in images]
        with self._state.reading(dataset) as (_, found):
            return _table(found, keys)

    async def inspect(self, dataset: str) -> LabelInspection:
        """See `LabelStore.inspect`."""
        with self._state.reading(dataset) as (_, found):
            keys = [
                (split, name)
                for split in SPLITS
                for name in found.names(split)
                if (split, stem(name)) in found.labels
            ]
            contents = [found.labels[split, stem(name)] for split, name in keys]
            owned = {(split, stem(name)) for split, name in keys}
            orphans = [
                (split, f"{name}.txt")
                for split, name in sorted(found.labels, key=lambda k: (SPLITS.index(k[0]), k[1]))
                if (split, name) not in owned and name not in NO_LABELS
            ]
            files = list(report_all(keys, contents, found.yaml))
            return LabelInspection(files, orphans, found.yaml.has_keypoints)

    async def repair_many(
        self, dataset: str, repairs: Mapping[ImageKey, LabelRepair], *, what: str = ""
    ) -> list[str]:
        """See `LabelStore.repair_many`."""
        new = {}
        with self._state.writing(dataset) as (name, found):
            for key, repair in repairs.items():
                split, filename = checked(*key)
                found.require_image(name, split, filename)
                old = found.labels.get((split, stem(filename)))
                where = _path(split, filename)
                new[split, filename] = repaired(old, repair, where, len(found.classes))
            done = len(found.history)
            for (split, filename), data in new.items():
                found.set_labels(split, filename, data, what)
            return [r.id for r in found.history[done:] if isinstance(r, EditRecord)]

    async def delete_orphans(
        self, dataset: str, orphans: Sequence[tuple[str, str]]
    ) -> list[TrashEntry]:
        """See `LabelStore.delete_orphans`."""
        keys = [(split, label, (split, label[:-4])) for split, label in dict.fromkeys(orphans)]
        entries = []
        with self._state.writing(dataset) as (name, found):
            owned = {(split, stem(filename)) for split, filename in found.images}
            for split, label, key in keys:
                require_orphan(label, key in found.labels, key in owned, name, split)
            for split, label, key in keys:
                entry = trash_entry(ORPHAN, label, split)
                found.trash[entry.id] = (entry, None, found.labels.pop(key))
                entries.append(entry)
        return entries

    async def exists(self, dataset: str, split: str, filename: str) -> bool:
        """See `LabelStore.exists`."""
        split, filename = checked(split, filename)
        with self._state.reading(dataset) as (name, found):
            found.require_image(name, split, filename)
            return (split, stem(filename)) in found.labels

    async def delete(
        self,
        dataset: str,
        split: str,
        filename: str,
        *,
        expected_revision: str | None = None,
        what: str = "",
    ) -> TrashEntry:
        """See `LabelStore.delete`."""
        split, filename = checked(split, filename)
        with self._state.writing(dataset) as (name, found):
            found.require_image(name, split, filename)
            _require_revision(found, split, filename, expected_revision)
            if (split, stem(filename)) not in found.labels:
                raise NotFoundError(f"{name}: {filename!r} in {split} has no label file")
            return _discard(found, split, filename, what)

    async def delete_many(
        self, dataset: str, images: Sequence[tuple[str, str]], *, what: str = ""
    ) -> list[TrashEntry]:
        """See `LabelStore.delete_many`."""
        keys = dict.fromkeys(checked(split, filename) for split, filename in images)
        with self._state.writing(dataset) as (name, found):
            for key in keys:
                found.require_image(name, *key)
            return [
                _discard(found, split, filename, what)
                for split, filename in keys
                if (split, stem(filename)) in found.labels
            ]

    async def restore(self, dataset: str, entry_id: str) -> LabelData:
        """See `LabelStore.restore`."""
        with self._state.writing(dataset) as (name, found):
            entry, image, labels = found.trash.get(entry_id, (None, None, None))
            if entry is None or image is not None or labels is None:
                raise NotFoundError(f"{entry_id!r} is no deleted label file of {name}")
            found.require_image(name, entry.split, entry.name)
            if (entry.split, stem(entry.name)) in found.labels:
                raise AlreadyExistsError(f"{entry.split}/{entry.name} has been labelled again")
            found.set_labels(entry.split, entry.name, labels)
            del found.trash[entry_id]
        return await self.get(name, entry.split, entry.name)

    async def history(
        self,
        dataset: str,
        split: str | None = None,
        filename: str | None = None,
        *,
        limit: int | None = None,
    ) -> list[LabelEdit]:
        """See `LabelStore.history`."""
        if filename is not None and split is not None:
            split, filename = checked(split, filename)
        with self._state.reading(dataset) as (_, found):
            edits = select_edits(with_present_classes(found.history), split, filename, limit)
            return [as_label_edit(edit, found.yaml) for edit in edits]

    async def revert(self, dataset: str, edit_id: str) -> LabelData:
        """See `LabelStore.revert`."""
        with self._state.writing(dataset) as (name, found):
            edit, split, filename = find_edit(with_present_classes(found.history), edit_id)
            found.require_image(name, split, filename)
            if edit.before is not None:
                found.set_labels(split, filename, edit.before, "revert")
            elif (split, stem(filename)) in found.labels:
                _discard(found, split, filename, "revert")
            boxes = as_label_edit(edit, found.yaml).before or []
        return LabelData(filename, split, boxes, revision_of(edit.before))

    async def revert_many(self, dataset: str, edit_ids: Sequence[str], *, what: str = "") -> None:
        """See `LabelStore.revert_many`."""
        with self._state.writing(dataset) as (name, found):
            edits = find_edits(with_present_classes(found.history), edit_ids)
            for (split, filename), (_, after) in edits.items():
                found.require_image(name, split, filename)
                if found.labels.get((split, stem(filename))) != after:
                    raise changed_since(name, split, filename)
            for (split, filename), (before, _) in edits.items():
                found.set_labels(split, filename, before, what)

    async def move(self, dataset: str, filename: str, from_split: str, to_split: str) -> None:
        """See `LabelStore.move`."""
        source, target = checked(from_split, filename), checked(to_split, filename)
        with self._state.writing(dataset) as (name, found):
            if source not in found.images and target not in found.images:
                raise NotFoundError(f"{name}: no image {filename!r} in {from_split} or {to_split}")
            old, new = (source[0], stem(source[1])), (target[0], stem(target[1]))
            if old == new or old not in found.labels:
                return
            if new in found.labels:
                raise AlreadyExistsError(f"{name}: {to_split} has labels for {filename!r} already")
            found.labels[new] = found.labels.pop(old)


def _table(found: Dataset, keys: list[ImageKey]) -> LabelTable:
    contents = [found.labels.get((split, stem(filename))) for split, filename in keys]
    columns = parse_many(
        [data or b"" for data in contents],
        [_path(split, filename) for split, filename in keys],
        len(found.classes),
        keypoints=found.yaml.has_keypoints,
    )
    return LabelTable(
        filenames=[filename for _, filename in keys],
        splits=[split for split, _ in keys],
        labelled=np.array([data is not None for data in contents], dtype=np.bool_),
        image_index=columns.file_index,
        class_id=columns.class_id,
        boxes=columns.boxes,
        problems=list(columns.problems),
    )


def _discard(found: Dataset, split: str, filename: str, what: str) -> TrashEntry:
    entry = trash_entry("label", filename, split)
    found.trash[entry.id] = (entry, None, found.labels[split, stem(filename)])
    found.set_labels(split, filename, None, what)
    return entry


def _require_revision(found: Dataset, split: str, filename: str, expected: str | None) -> None:
    present = revision_of(found.labels.get((split, stem(filename))))
    if expected is not None and expected != present:
        raise ConflictError(f"{split}/{filename} was changed since it was loaded")


def _path(split: str, filename: str) -> str:
    return f"labels/{split}/{stem(filename)}.txt"


def _parse(found: Dataset, split: str, filename: str) -> ParsedLabels:
    data = found.labels.get((split, stem(filename)))
    if data is None:
        return ParsedLabels([])
    where = _path(split, filename)
    return parse_labels(data, where, len(found.classes), keypoints=found.yaml.has_keypoints)


def _require_plain(found: Dataset, split: str, filename: str) -> None:
    try:
        lost = _parse(found, split, filename).other_rows
    except LabelFormatError as error:
        raise LossySaveError(f"{error} Saving would replace the whole file") from error
    if lost:
        raise LossySaveError(f"{_path(split, filename)} has {lost} rows that are more than a box")
