r"""The history of a dataset's labels: what changed, when, from what to what.

One line of JSON for each change, only ever appended. An edit holds the whole label file
before and after it, so that every line stands for itself::

    {"at": "2025-03-01T12:00:00+00:00", "id": "9f..", "image": "train/a.jpg",
     "before": "0 0.5 0.5 0.2 0.2\n", "after": null, "what": "delete"}

A renamed or moved image leaves a line that ties its names together::

    {"at": "...", "from": "train/a.jpg", "to": "val/a.jpg"}

When classes get other ids, a line says which became which (null: deleted), and another
one if that was undone. Label files in earlier lines are read with those ids::

    {"at": "...", "id": "c3..", "classes": {"0": 1, "1": 0, "2": null}}
    {"at": "...", "classes_undone": "c3.."}

Each line *begins* with a newline: one that a crash cut off spoils no other.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from workbench.errors import NotFoundError
from workbench.persistence.stored_json import (
    MALFORMED,
    Kept,
    bytes_of,
    kept,
    lines_of,
    loads,
    time_of,
)

_ENCODER = json.JSONEncoder(ensure_ascii=False)
_LONG = 1 << 20
"""Bytes of a label file beyond which its text must not take much more than they do in JSON."""


@dataclass(frozen=True, slots=True)
class EditRecord:
    """An edit as it stands in the history: the label file's text before and after."""

    id: str
    at: datetime
    split: str
    filename: str
    before: bytes | None
    after: bytes | None
    what: str = ""


@dataclass(frozen=True, slots=True)
class MoveRecord:
    """The way of an image from one split and name to another."""

    at: datetime
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class ClassRecord:
    """Classes that got other ids: new id, or None for a deleted class, by old id."""

    id: str
    at: datetime
    mapping: Mapping[int, int | None]


@dataclass(frozen=True, slots=True)
class ClassUndoRecord:
    """The undoing of a `ClassRecord`, by its id."""

    at: datetime
    id: str


LabelRecord = EditRecord | MoveRecord
Record = LabelRecord | ClassRecord | ClassUndoRecord


def new_edit(
    split: str, filename: str, before: bytes | None, after: bytes | None, what: str = ""
) -> EditRecord:
    """Describe an edit that happens now."""
    return EditRecord(os.urandom(8).hex(), datetime.now(UTC), split, filename, before, after, what)


def new_moves(ways: Iterable[tuple[tuple[str, str], tuple[str, str]]]) -> list[MoveRecord]:
    """Describe moves that happen now, each from and to a ``(split, filename)``."""
    now = datetime.now(UTC)
    return [MoveRecord(now, "/".join(old), "/".join(new)) for old, new in ways if old != new]


def format_records(records: Iterable[Record]) -> bytes:
    """Return the bytes to append for `records`."""
    found = io.BytesIO()  # a list of lines, to be joined, would take twice as much
    for record in records:
        found.write(b"\n" + _line(record))
    return found.getvalue()


def _line(record: Record) -> bytes:
    content: dict[str, Any] = {"at": record.at.isoformat()}
    if isinstance(record, MoveRecord):
        content |= {"from": record.source, "to": record.target}
    elif isinstance(record, ClassRecord):
        content |= {"id": record.id, "classes": {str(k): v for k, v in record.mapping.items()}}
    elif isinstance(record, ClassUndoRecord):
        content |= {"classes_undone": record.id}
    else:
        content |= {
            "id": record.id,
            "image": f"{record.split}/{record.filename}",
            "before": _text(record.before),
            "after": _text(record.after),
        }
        if record.what:
            content["what"] = record.what
    return _ENCODER.encode(content).encode("utf-8", "surrogateescape")


def _text(data: bytes | None) -> Kept:
    if data is None or len(data) > _LONG:
        return kept(data)
    # Bytes that are no UTF-8 survive the way through JSON and back as lone surrogates.
    return data.decode("utf-8", "surrogateescape")


def parse_records(data: bytes) -> list[Record]:
    """Read a history; lines that a crash cut off are left out."""
    return [record for record in map(_record, lines_of(data)) if record is not None]


def parse_ways(data: bytes) -> list[Record]:
    """Read of a history what says where images went and what became of classes, and no edits."""
    lines = (line for line in lines_of(data) if b'"from"' in line or b'"classes' in line)
    records = (record for record in map(_record, lines) if record is not None)
    return [record for record in records if not isinstance(record, EditRecord)]


def parse_records_about(newest_first: Iterable[bytes], split: str, filename: str) -> list[Record]:
    """Read the records that bear upon one image, also under its earlier names; oldest first.

    Parameters
    ----------
    newest_first : iterable of bytes
        The lines of a history from the last to the first. Only those that contain a name
        of the image, or say what became of classes, are parsed, which matters after
        100,000 edits.
    """
    names = [b'"classes', _quoted(f"{split}/{filename}")]
    records = []
    for line in newest_first:
        if not any(name in line for name in names):
            continue
        record = _record(line)
        if record is None:
            continue
        records.append(record)
        if isinstance(record, MoveRecord) and _quoted(record.source) not in names:
            names.append(_quoted(record.source))
    return records[::-1]


def _quoted(name: str) -> bytes:
    """Return a name as it stands in a line."""
    return json.dumps(name, ensure_ascii=False).encode("utf-8", "surrogateescape")


def _record(line: bytes) -> Record | None:
    try:
        content = loads(line.decode("utf-8", "surrogateescape"))
        at = time_of(content["at"])
        if "from" in content:
            return MoveRecord(at, content["from"], content["to"])
        if "classes" in content:
            mapping = {int(old): _class_id(new) for old, new in content["classes"].items()}
            return ClassRecord(str(content["id"]), at, mapping)
        if "classes_undone" in content:
            return ClassUndoRecord(at, str(content["classes_undone"]))
        split, _, filename = content["image"].partition("/")
        before, after = bytes_of(content["before"]), bytes_of(content["after"])
        what = str(content.get("what", ""))
        return EditRecord(content["id"], at, split, filename, before, after, what)
    except MALFORMED:
        return None


def _class_id(value: Any) -> int | None:
    return None if value is None else int(value)


def select_edits(
    records: Sequence[LabelRecord], split: str | None, filename: str | None, limit: int | None
) -> list[EditRecord]:
    """Return the edits that `LabelStore.history` asks for."""
    if split is not None and filename is not None:
        edits = _edits_of_image(records, split, filename)
    else:
        edits = [
            record
            for record in records
            if isinstance(record, EditRecord) and (split is None or record.split == split)
        ]
    return edits if limit is None else edits[max(0, len(edits) - limit) :]


def _edits_of_image(records: Sequence[LabelRecord], split: str, filename: str) -> list[EditRecord]:
    """Return the edits of one image, followed back through its earlier names and splits."""
    name = f"{split}/{filename}"
    edits = []
    for record in reversed(records):
        if isinstance(record, MoveRecord):
            if record.target == name:
                name = record.source
            elif record.source == name:
                # An earlier image had this name and left it; what it did is not ours.
                break
        elif f"{record.split}/{record.filename}" == name:
            edits.append(record)
    return edits[::-1]


def find_edit(records: Sequence[LabelRecord], edit_id: str) -> tuple[EditRecord, str, str]:
    """Return an edit, and the split and name that its image has now.

    Raises
    ------
    NotFoundError
        If there is no such edit.
    """
    name: str | None = None
    found: EditRecord | None = None
    for record in records:
        if isinstance(record, EditRecord):
            if record.id == edit_id:
                found, name = record, f"{record.split}/{record.filename}"
        elif record.source == name:
            name = record.target
    if found is None or name is None:
        raise NotFoundError(f"the history has no edit {edit_id!r}; history() lists them")
    split, _, filename = name.partition("/")
    return found, split, filename


Contents = tuple[bytes | None, bytes | None]
"""A label file before and after."""


def find_edits(
    records: Sequence[LabelRecord], edit_ids: Iterable[str]
) -> dict[tuple[str, str], Contents]:
    """Return what edits did, by the split and name that each image has now.

    Several edits of one image are taken together: before the first, after the last.

    Raises
    ------
    NotFoundError
        If the history lacks one of them.
    """
    wanted = set(edit_ids)
    found: dict[str, Contents] = {}
    for record in records:
        if isinstance(record, MoveRecord):
            if record.source in found:
                found[record.target] = found.pop(record.source)
        elif record.id in wanted:
            wanted.discard(record.id)
            name = f"{record.split}/{record.filename}"
            first = found[name][0] if name in found else record.before
            found[name] = (first, record.after)
    if wanted:
        raise NotFoundError(
            f"the history lacks {len(wanted)} of the edits, such as {min(wanted)!r}; history() "
            f"lists them"
        )
    return {_place(name): contents for name, contents in found.items()}


def _place(name: str) -> tuple[str, str]:
    split, _, filename = name.partition("/")
    return split, filename
