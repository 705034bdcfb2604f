"""Classes that get other ids: label files, prompts and ``data.yaml`` in one transaction."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence

from workbench.errors import LabelFormatError, NotFoundError
from workbench.persistence import class_rewrite
from workbench.persistence.class_rewrite import (
    KEPT_UNDOS,
    PlannedUndo,
    Prompts,
    Request,
    State,
)
from workbench.persistence.filesystem.dataset_folder import DatasetFolder
from workbench.persistence.models import SPLITS, ClassRewrite, ImageKey, RowPatch
from workbench.persistence.plain_files import read_file
from workbench.persistence.storage.local import inside
from workbench.persistence.storage.local.journal import Transaction
from workbench.persistence.storage.local.open_folder import OpenFolder
from workbench.persistence.stores import history_log, trash
from workbench.persistence.stores.dataset import label_key
from workbench.persistence.stores.side_data import prompts_written, read_prompts
from workbench.persistence.yolo.data_yaml import DataYaml
from workbench.persistence.yolo.label_text import MAX_BYTES, too_long
from workbench.persistence.yolo.names import stem
from workbench.persistence.yolo.yaml_text import rewritten

_MEMORY = ".json.z"
_YAML = ".yaml"
_DIGEST_BYTES = 16


def rewrite(
    folder: DatasetFolder,
    request: Request,
    patches: Mapping[ImageKey, Sequence[RowPatch]],
) -> ClassRewrite:
    """Change classes and all label files; see `DatasetStore.rewrite_classes`."""
    with folder.writing() as yaml:
        by_file = {}
        for (split, filename), rows in patches.items():
            folder.require_image(split, filename)
            by_file[label_key(split, filename)] = rows
        memories = _memories(folder)
        planned = class_rewrite.plan(
            _state(folder, yaml),
            Request(
                request.classes, request.mapping, by_file, request.expected, request.expected_boxes
            ),
            serial=_serial(memories[-1]) + 1 if memories else 1,
        )
        with folder.journal.transaction() as change:
            plan_write(folder, change, planned.files, planned.prompts)
            for path in memories[: -(KEPT_UNDOS - 1)]:
                change.remove(path)
                if os.path.lexists(_yaml_path(path)):
                    change.remove(_yaml_path(path))
            memory = _memory_path(folder, planned.result.id)
            change.write(memory, planned.memory)
            before = read_file(folder.paths.data_yaml)
            after = rewritten(before, planned.yaml)
            change.write(folder.paths.data_yaml, after)
            change.write(_yaml_path(memory), _digest(after) + before)
            change.add(*history_log.noted(folder.storage, [planned.record], durable=True))
    return planned.result


def undo(folder: DatasetFolder, rewrite_id: str) -> None:
    """Take a rewrite back; see `DatasetStore.undo_rewrite`."""
    with folder.writing() as yaml:
        path = _memory_path(folder, rewrite_id)
        try:
            memory = _read_kept(folder, path)
        except FileNotFoundError:
            raise NotFoundError(
                f"{folder.name}: no change of classes {rewrite_id!r} ({path}): undone already, "
                f"or not among the last {KEPT_UNDOS}"
            ) from None
        planned: PlannedUndo = class_rewrite.plan_undo(_state(folder, yaml), rewrite_id, memory)
        with folder.journal.transaction() as change:
            plan_write(folder, change, planned.files, planned.prompts)
            change.write(folder.paths.data_yaml, _yaml_before(folder, path, planned.yaml))
            change.remove(path)
            if os.path.lexists(_yaml_path(path)):
                change.remove(_yaml_path(path))
            change.add(*history_log.noted(folder.storage, [planned.record], durable=True))


def plan_write(
    folder: DatasetFolder,
    change: Transaction,
    files: Mapping[str, bytes],
    prompts: Prompts,
) -> None:
    """Add label files, given below the dataset's folder, and prompts to a transaction."""
    for path, data in files.items():
        change.write(f"{folder.paths.root}/{path}", data)
    if prompts != read_prompts(folder.storage):
        change.add(prompts_written(prompts))


def _yaml_path(memory: str) -> str:
    """Return where the ``data.yaml`` from before a rewrite is kept, beside its memory."""
    return memory.removesuffix(_MEMORY) + _YAML


def _yaml_before(folder: DatasetFolder, memory: str, yaml: DataYaml) -> bytes:
    """Return what ``data.yaml`` was before a rewrite, if nobody has edited it since."""
    present = read_file(folder.paths.data_yaml)
    try:
        kept = _read_kept(folder, _yaml_path(memory))
    except FileNotFoundError:
        return rewritten(present, yaml)
    if kept.startswith(_digest(present)):
        return kept[_DIGEST_BYTES:]
    return rewritten(present, yaml)


def _read_kept(folder: DatasetFolder, path: str) -> bytes:
    return inside.read(folder.paths.root, folder.paths.below(path))


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()


def _memory_path(folder: DatasetFolder, rewrite_id: str) -> str:
    if not rewrite_id.isalnum():
        raise NotFoundError(f"{folder.name}: no change of classes {rewrite_id!r}")
    return f"{folder.paths.rewrites}/{rewrite_id}{_MEMORY}"


def _memories(folder: DatasetFolder) -> list[str]:
    """Return the files of which each can undo a rewrite, oldest first.

    In the order of their serial numbers: after a clock went back, times would name the newest.
    """
    try:
        with os.scandir(folder.paths.rewrites) as entries:
            found = [
                (_serial(entry.path), entry.stat(follow_symlinks=False).st_mtime_ns, entry.path)
                for entry in entries
                if entry.name.endswith(_MEMORY)
            ]
    except FileNotFoundError:
        return []
    return [path for _, _, path in sorted(found)]


def _serial(memory: str) -> int:
    return class_rewrite.serial_of(os.path.basename(memory).removesuffix(_MEMORY))


def _state(folder: DatasetFolder, yaml: DataYaml) -> State:
    labels: dict[str, bytes] = {}
    loose = trash.read_labels(folder.trash)
    for split in SPLITS:
        owned = {stem(name) for name in folder.image_names(split)}
        base = folder.paths.labels(split)
        if not os.path.isdir(base):
            continue
        with OpenFolder(base) as files:
            names = sorted(name for name in os.listdir(base) if name.endswith(".txt"))
            for name, data in zip(names, files.read_all(names), strict=True):
                kept = labels if name[:-4] in owned else loose
                if len(data) > MAX_BYTES:  # which is not all of it, then
                    raise LabelFormatError(f"{base}/{name}", 0, too_long(len(data)))
                kept[f"labels/{split}/{name}"] = data
    return State(folder.name, yaml, read_prompts(folder.storage), labels, loose)
