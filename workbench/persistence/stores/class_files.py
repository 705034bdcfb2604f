"""Classes that get other ids: label files, prompts and ``data.yaml`` in one commit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from workbench.errors import LabelFormatError, NotFoundError
from workbench.persistence import class_rewrite
from workbench.persistence.class_rewrite import (
    KEPT_UNDOS,
    PlannedUndo,
    Prompts,
    Request,
    State,
)
from workbench.persistence.models import SPLITS, ClassRewrite, ImageKey, RowPatch
from workbench.persistence.storage import Change, Remove, Write
from workbench.persistence.stores import history_log, trash
from workbench.persistence.stores.dataset import DATA_YAML, Dataset, label_key
from workbench.persistence.stores.label_reading import read_many
from workbench.persistence.stores.prompt_file import prompts_written, read_prompts
from workbench.persistence.yolo.data_yaml import DataYaml
from workbench.persistence.yolo.label_text import MAX_BYTES, too_long
from workbench.persistence.yolo.names import HIDDEN, stem
from workbench.persistence.yolo.yaml_text import rewritten

_REWRITES = f"{HIDDEN}/rewrites"
_MEMORY = ".json.z"
_YAML = ".yaml"
_DIGEST_BYTES = 16


def rewrite(
    dataset: Dataset,
    request: Request,
    patches: Mapping[ImageKey, Sequence[RowPatch]],
) -> ClassRewrite:
    """Change classes and all label files; see `DatasetStore.rewrite_classes`."""
    with dataset.leased() as (yaml, writer):
        by_file = {}
        for (split, filename), rows in patches.items():
            dataset.require_image(split, filename)
            by_file[label_key(split, filename)] = rows
        memories = _memories(dataset)
        planned = class_rewrite.plan(
            _state(dataset, yaml),
            replace(request, patches=by_file),
            serial=_serial(memories[-1]) + 1 if memories else 1,
        )
        memory = _memory_key(dataset, planned.result.id)
        before = dataset.storage.read(DATA_YAML)
        after = rewritten(before, planned.yaml)
        writer.commit(
            [
                *_written(dataset, planned.files, planned.prompts),
                *(change for key in memories[: -(KEPT_UNDOS - 1)] for change in _forgotten(key)),
                Write(memory, planned.memory),
                Write(DATA_YAML, after),
                Write(_yaml_key(memory), _digest(after) + before),
                *history_log.noted(dataset.storage, [planned.record], durable=True),
            ]
        )
    return planned.result


def undo(dataset: Dataset, rewrite_id: str) -> None:
    """Take a rewrite back; see `DatasetStore.undo_rewrite`."""
    with dataset.leased() as (yaml, writer):
        key = _memory_key(dataset, rewrite_id)
        try:
            memory = dataset.storage.read(key)
        except NotFoundError:
            raise NotFoundError(
                f"{dataset.name}: no change of classes {rewrite_id!r} ({dataset.at(key)}): undone "
                f"already, or not among the last {KEPT_UNDOS}"
            ) from None
        planned: PlannedUndo = class_rewrite.plan_undo(_state(dataset, yaml), rewrite_id, memory)
        writer.commit(
            [
                *_written(dataset, planned.files, planned.prompts),
                Write(DATA_YAML, _yaml_before(dataset, key, planned.yaml)),
                *_forgotten(key),
                *history_log.noted(dataset.storage, [planned.record], durable=True),
            ]
        )


def _written(dataset: Dataset, files: Mapping[str, bytes], prompts: Prompts) -> list[Change]:
    changes: list[Change] = [Write(key, data) for key, data in files.items()]
    if prompts != read_prompts(dataset.storage):
        changes.append(prompts_written(prompts))
    return changes


def _forgotten(memory: str) -> list[Change]:
    return [Remove(memory), Remove(_yaml_key(memory))]


def _yaml_key(memory: str) -> str:
    """Return where the ``data.yaml`` from before a rewrite is kept, beside its memory."""
    return memory.removesuffix(_MEMORY) + _YAML


def _yaml_before(dataset: Dataset, memory: str, yaml: DataYaml) -> bytes:
    """Return what ``data.yaml`` was before a rewrite, if nobody has edited it since."""
    present = dataset.storage.read(DATA_YAML)
    try:
        kept = dataset.storage.read(_yaml_key(memory))
    except NotFoundError:
        return rewritten(present, yaml)
    if kept.startswith(_digest(present)):
        return kept[_DIGEST_BYTES:]
    return rewritten(present, yaml)


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()


def _memory_key(dataset: Dataset, rewrite_id: str) -> str:
    if not rewrite_id.isalnum():
        raise NotFoundError(
            f"{dataset.name}: no change of classes {rewrite_id!r}; undo one by the id that the "
            f"change gave"
        )
    return f"{_REWRITES}/{rewrite_id}{_MEMORY}"


def _memories(dataset: Dataset) -> list[str]:
    """Return the keys of which each can undo a rewrite, oldest first.

    In the order of their serial numbers: after a clock went back, times would name the newest.
    """
    listing = dataset.storage.list(_REWRITES)
    found = [
        (_serial(name), stamp, f"{_REWRITES}/{name}")
        for name, stamp in zip(listing.names, listing.stamps.tolist(), strict=True)
        if name.endswith(_MEMORY)
    ]
    return [key for _, _, key in sorted(found)]


def _serial(memory: str) -> int:
    return class_rewrite.serial_of(memory.rpartition("/")[2].removesuffix(_MEMORY))


def _state(dataset: Dataset, yaml: DataYaml) -> State:
    labels: dict[str, bytes] = {}
    loose = trash.read_labels(dataset.trash)
    for split in SPLITS:
        owned = {stem(name) for name in dataset.image_names(split)}
        stems = sorted(dataset.label_stems(split))
        keys = [f"labels/{split}/{one}.txt" for one in stems]
        for one, key, data in zip(stems, keys, read_many(dataset.storage, keys), strict=True):
            if data is None:
                continue
            if len(data) > MAX_BYTES:  # which is not all of it, then
                raise LabelFormatError(dataset.at(key), 0, too_long(len(data)))
            kept = labels if one in owned else loose
            kept[key] = data
    return State(dataset.name, yaml, read_prompts(dataset.storage), labels, loose)
