"""Classes that get other ids, and what that means for every label file: the pure part.

Label files are known here by their path below the dataset's folder. Those of images must
be readable; *loose* ones (in the trash, or without an image) are rewritten if they are.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from workbench.errors import ConflictError, InvalidDatasetError, LabelFormatError
from workbench.persistence.counting import counted
from workbench.persistence.history import ClassRecord, ClassUndoRecord
from workbench.persistence.models import ClassRewrite, RowPatch
from workbench.persistence.rules import check_classes, check_classes_seen
from workbench.persistence.stored_json import (
    MALFORMED,
    inflate,
    malformed,
    packed,
    parse_json,
    texts,
)
from workbench.persistence.yolo.data_yaml import DataYaml
from workbench.persistence.yolo.label_rows import apply_patches, map_classes
from workbench.persistence.yolo.label_table import parse_many
from workbench.persistence.yolo.label_text import revision_of

_EXPECTED = "what labels were before a change of classes"

_NAMED = 10
"""So many unreadable files are named before the rest is counted."""

KEPT_UNDOS = 20
_IDENTITY = re.compile(r"([0-9]{1,15})r[0-9a-f]{16}")
"""So many changes of classes can be undone, the newest: each keeps the labels that it changed."""

Prompts = dict[int, list[str]]


@dataclass(frozen=True, slots=True)
class State:
    """What a rewrite works on.

    Parameters
    ----------
    name : str
        Of the dataset, for messages.
    yaml : DataYaml
    prompts : dict of int to list of str
    labels : dict of str to bytes
        Label files of images.
    loose : dict of str to bytes
        Others, see above.
    """

    name: str
    yaml: DataYaml
    prompts: Prompts
    labels: dict[str, bytes]
    loose: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Request:
    """What `DatasetStore.rewrite_classes` is asked for; patches are by label file."""

    classes: Sequence[str]
    mapping: Mapping[int, int | None]
    patches: Mapping[str, Sequence[RowPatch]] = field(default_factory=dict)
    expected: Sequence[str] | None = None
    expected_boxes: Mapping[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """A rewrite that is ready to be written.

    Parameters
    ----------
    files : dict of str to bytes
        Label files that change.
    yaml : DataYaml
    prompts : dict of int to list of str
    record : ClassRecord
        For the history.
    memory : bytes
        For `plan_undo`.
    result : ClassRewrite
    """

    files: dict[str, bytes]
    yaml: DataYaml
    prompts: Prompts
    record: ClassRecord
    memory: bytes
    result: ClassRewrite


def plan(state: State, request: Request, serial: int = 0) -> Planned:
    """Work out a rewrite; raises as `DatasetStore.rewrite_classes` does.

    Parameters
    ----------
    state : State
    request : Request
    serial : int
        Which rewrite of the dataset it is; its id begins with it, see `serial_of`.
    """
    classes = check_classes(request.classes)
    old = state.yaml.classes
    check_classes_seen(state.name, old, request.expected)
    mapping = check_mapping(request.mapping, len(old), len(classes))
    counts = _require_readable(state)
    for class_id, expected in (request.expected_boxes or {}).items():
        found = int(counts[class_id]) if class_id < len(counts) else 0
        if found != expected:
            raise ConflictError(
                f"{state.name}: class {old[class_id]!r} has {counted(found, 'box', 'boxes')} by "
                f"now, not {expected}; "
                f"look again"
            )
    yaml = state.yaml.with_classes(classes, mapping)
    files = _mapped(state, mapping)
    for path, patches in request.patches.items():
        before = files.get(path, state.labels.get(path))
        after = apply_patches(before, patches, path, yaml)
        if after != before:
            files[path] = after
    prompts = map_prompts(state.prompts, mapping)
    identity = f"{serial}r{os.urandom(8).hex()}"
    removed = sum(int(counts[i]) for i, new in mapping.items() if new is None and i < len(counts))
    return Planned(
        files=files,
        yaml=yaml,
        prompts=prompts,
        record=ClassRecord(identity, datetime.now(UTC), mapping),
        memory=_memory(state, files, classes, prompts),
        result=ClassRewrite(identity, len(files.keys() & state.labels.keys()), removed),
    )


def serial_of(identity: str) -> int:
    """Return which rewrite of its dataset has this id.

    Those of before ids told it are older than all others, and so is what is no id of ours.
    """
    found = _IDENTITY.fullmatch(identity)
    return int(found[1]) if found else 0


def check_mapping(
    mapping: Mapping[int, int | None], num_old: int, num_new: int
) -> dict[int, int | None]:
    """Return the new id of every old class.

    Raises
    ------
    InvalidDatasetError
        If an id is none of the classes', before or after.
    """
    unknown = [old for old in mapping if not 0 <= old < num_old]
    if unknown:
        raise InvalidDatasetError(f"mapping: class id {unknown[0]} is none of 0 to {num_old - 1}")
    full = {old: mapping.get(old, old) for old in range(num_old)}
    for old, new in full.items():
        if new is not None and not 0 <= new < num_new:
            raise InvalidDatasetError(
                f"mapping: class id {old} would become {new}, of "
                f"{counted(num_new, 'class', 'classes')}; "
                f"say what becomes of it, None to remove its boxes"
            )
    return full


def map_prompts(prompts: Prompts, mapping: Mapping[int, int | None]) -> Prompts:
    """Return prompts by new class id; those of merged classes come together."""
    result: Prompts = {}
    for old in sorted(prompts):
        new = mapping.get(old)
        if new is not None:
            result[new] = list(dict.fromkeys([*result.get(new, []), *prompts[old]]))
    return result


def _require_readable(state: State) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Make sure that all labels of images can be read; return the number of boxes by class."""
    columns = parse_many(
        list(state.labels.values()),
        list(state.labels),
        len(state.yaml.classes),
        keypoints=state.yaml.has_keypoints,
    )
    problems = columns.problems
    if problems:
        named = "; ".join(map(str, problems[:_NAMED]))
        more = f"; and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
        raise LabelFormatError(
            state.name,
            0,
            f"{counted(len(problems), 'label file')} cannot be read, so that nobody knows all "
            f"classes; "
            f"nothing was changed. Repair or remove: {named}{more}",
        )
    return np.bincount(columns.class_id, minlength=len(state.yaml.classes)).astype(np.int64)


def _mapped(state: State, mapping: Mapping[int, int | None]) -> dict[str, bytes]:
    if all(old == new for old, new in mapping.items()):
        return {}
    files = {path: map_classes(data, mapping) for path, data in state.labels.items()}
    for path, data in state.loose.items():
        if _is_readable(data, state.yaml):
            files[path] = map_classes(data, mapping)
    before = state.labels | state.loose
    return {path: data for path, data in files.items() if data != before[path]}


def _is_readable(data: bytes, yaml: DataYaml) -> bool:
    read = parse_many([data], [""], len(yaml.classes), keypoints=yaml.has_keypoints)
    return not read.problems


# --- the way back -------------------------------------------------------------------------


def _memory(
    state: State, files: Mapping[str, bytes], classes: list[str], prompts: Prompts
) -> bytes:
    """Return what must be known to undo a rewrite: what was, and how to tell a later change."""
    before = state.labels | state.loose
    content = {
        "classes": [state.yaml.classes, classes],
        "prompts": [_keyed(state.prompts), _keyed(prompts)],
        "files": {
            path: [before[path].decode("utf-8", "surrogateescape"), revision_of(data)]
            for path, data in files.items()
            if path in before
        },
        "labels": {path: revision_of(files.get(path, data)) for path, data in state.labels.items()},
    }
    return packed(lambda: [json.dumps(content).encode()], 1)


def _keyed(prompts: Prompts) -> dict[str, list[str]]:
    return {str(class_id): texts for class_id, texts in prompts.items()}


@dataclass(frozen=True, slots=True)
class PlannedUndo:
    """The undoing of a rewrite, ready to be written; see `Planned`."""

    files: dict[str, bytes]
    yaml: DataYaml
    prompts: Prompts
    record: ClassUndoRecord


def plan_undo(state: State, rewrite_id: str, memory: bytes) -> PlannedUndo:
    """Work out the undoing of a rewrite; raises as `DatasetStore.undo_rewrite` does."""
    path = f"{state.name}: the change of classes {rewrite_id!r}"
    content: Any = parse_json(inflate(memory, path, _EXPECTED), path, _EXPECTED)
    try:
        return _plan_undo(state, rewrite_id, content)
    except MALFORMED as error:
        raise malformed(path, _EXPECTED, error) from error


def _plan_undo(state: State, rewrite_id: str, content: Any) -> PlannedUndo:
    classes, present = content["classes"]
    if state.yaml.classes != present:
        raise _changed(state.name, "the classes")
    old_prompts, new_prompts = content["prompts"]
    if _keyed(state.prompts) != new_prompts:
        raise _changed(state.name, "the prompts")
    known = content["labels"]
    for path in sorted(known.keys() | state.labels.keys()):
        if known.get(path) != (revision_of(state.labels.get(path)) or None):
            raise _changed(state.name, path)
    there = state.labels | state.loose
    return PlannedUndo(
        files={
            path: text.encode("utf-8", "surrogateescape")
            for path, (text, revision) in content["files"].items()
            # Only what is there: a stranger may have written any path into the memory.
            if path in there and revision_of(there[path]) == revision
        },
        yaml=DataYaml(texts(classes), state.yaml.extra),
        prompts={int(class_id): texts(kept) for class_id, kept in old_prompts.items()},
        record=ClassUndoRecord(datetime.now(UTC), rewrite_id),
    )


def _changed(dataset: str, what: str) -> ConflictError:
    return ConflictError(
        f"{dataset}: {what} changed after the classes did; undoing would destroy that work, so "
        f"nothing was undone"
    )
