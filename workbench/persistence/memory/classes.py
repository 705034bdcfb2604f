"""Classes that get other ids, in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from workbench.errors import NotFoundError
from workbench.persistence import class_rewrite
from workbench.persistence.class_rewrite import KEPT_UNDOS, Request, State
from workbench.persistence.memory.state import Dataset
from workbench.persistence.models import ClassRewrite, ImageKey, RowPatch
from workbench.persistence.storage import Write
from workbench.persistence.stores import trash
from workbench.persistence.stores.dataset import label_key
from workbench.persistence.yolo.names import check_image, stem


def rewrite(
    found: Dataset, name: str, request: Request, patches: Mapping[ImageKey, Sequence[RowPatch]]
) -> ClassRewrite:
    """Change classes and all label files; see `DatasetStore.rewrite_classes`."""
    by_file = {}
    for key, rows in patches.items():
        found.image(name, *check_image(*key))
        by_file[label_key(*check_image(*key))] = rows
    planned = class_rewrite.plan(_state(found, name), replace(request, patches=by_file))
    write_labels(found, planned.files)
    found.yaml, found.prompts = planned.yaml, planned.prompts
    found.note([planned.record])
    found.rewrites[planned.result.id] = planned.memory
    for identity in list(found.rewrites)[:-KEPT_UNDOS]:
        del found.rewrites[identity]
    return planned.result


def undo(found: Dataset, name: str, rewrite_id: str) -> None:
    """Take a rewrite back; see `DatasetStore.undo_rewrite`."""
    if rewrite_id not in found.rewrites:
        raise NotFoundError(
            f"{name}: no change of classes {rewrite_id!r}: undone already, or not among the "
            f"last {KEPT_UNDOS}"
        )
    memory = found.rewrites[rewrite_id]
    planned = class_rewrite.plan_undo(_state(found, name), rewrite_id, memory)
    write_labels(found, planned.files)
    found.yaml, found.prompts = planned.yaml, planned.prompts
    found.note([planned.record])
    del found.rewrites[rewrite_id]


def _state(found: Dataset, name: str) -> State:
    owned = {(split, stem(filename)) for split, filename in found.images}
    labels: dict[str, bytes] = {}
    loose = trash.read_labels(found.trash)
    for (split, label), data in found.labels.items():
        kept = labels if (split, label) in owned else loose
        kept[f"labels/{split}/{label}.txt"] = data
    return State(name, found.yaml, found.prompts, labels, loose)


def write_labels(found: Dataset, files: Mapping[str, bytes]) -> None:
    """Replace label files, in the dataset and in its trash, without a note in the history."""
    found.storage.commit([Write(key, data) for key, data in files.items()])
