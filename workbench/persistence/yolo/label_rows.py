"""Single rows of label files changed, with every other byte left as it stands.

A row may be more than a box (a polygon, keypoints, a confidence). What stands behind its
class id is left as it is: only the first column is ever replaced.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from workbench.errors import ConflictError, InvalidBoxError
from workbench.persistence.counting import counted
from workbench.persistence.history import (
    ClassRecord,
    ClassUndoRecord,
    LabelRecord,
    MoveRecord,
    Record,
)
from workbench.persistence.models import Annotation, RowPatch
from workbench.persistence.yolo.data_yaml import DataYaml
from workbench.persistence.yolo.label_text import MAX_ROWS, ROW, is_plain, parse_labels

_END = re.compile(r"\r\n|\r|\n")
_BOM = "\ufeff"
_SAME = 1e-6
"""Fractions of the image by which a box may differ after its way through a label file."""


def rewrite_rows(data: bytes, new_class: Callable[[int, int], int | None]) -> bytes:
    """Give the rows of a readable label file other classes.

    Parameters
    ----------
    data : bytes
        Of a file that `parse_labels` reads.
    new_class : callable
        ``new_class(position, class_id)`` returns the row's class id, or None to remove the
        row. Positions count the rows that are not blank, as `parse_labels` does.
    """
    text = data.decode("utf-8")
    place = len(_BOM) if text.startswith(_BOM) else 0
    result = [text[:place]]
    for position, row in enumerate(ROW.finditer(text, place)):
        if position == MAX_ROWS:
            raise ValueError(f"more than {MAX_ROWS:,} rows, which is no label file")
        field = row[0].split(None, 1)[0]
        old = int(float(field))
        new = new_class(position, old)
        if new is None:
            start = max(text.rfind(end, place, row.start()) for end in "\r\n") + 1 or place
            following = _END.match(text, row.end())
            result.append(text[place:start])
            place = following.end() if following else row.end()
        elif new != old:
            result += text[place : row.start()], str(new)
            place = row.start() + len(field)
    return "".join([*result, text[place:]]).encode()


_CLASS = re.compile(rb"^[0-9]+", re.MULTILINE)
_ANY_CLASS = 10**9


def map_classes(data: bytes, mapping: Mapping[int, int | None]) -> bytes:
    """Give all rows of a readable label file the classes that `mapping` says.

    Parameters
    ----------
    mapping : mapping of int to int or None
        From old class id to new; None removes the rows. Ids that are not in it stay.

    Raises
    ------
    ValueError, OverflowError
        If something is to change in what nobody can read.
    """
    if all(old == new for old, new in mapping.items()):
        return data
    if is_plain(data, _ANY_CLASS):  # as we write them, by far the most: one pass in C
        used = set(map(int, _CLASS.findall(data)))
        if None not in {mapping.get(i, i) for i in used}:
            text = {
                b"%d" % i: b"%d" % new for i in used if (new := mapping.get(i, i)) not in (i, None)
            }
            return _CLASS.sub(lambda match: text.get(match[0].lstrip(b"0") or b"0", match[0]), data)
    return rewrite_rows(data, lambda _, class_id: mapping.get(class_id, class_id))


def with_present_classes(records: Iterable[Record]) -> list[LabelRecord]:
    """Return a history whose label files have the class ids that the classes have now.

    Edits between a change of classes and its undoing have no meaning any more (they can
    only have cancelled each other out) and are left out.
    """
    records = list(records)
    undone = {record.id for record in records if isinstance(record, ClassUndoRecord)}
    result: list[LabelRecord] = []
    marks: dict[str, list[LabelRecord]] = {}
    for record in records:
        if isinstance(record, ClassUndoRecord):
            # Also what other changes of classes did to earlier records in between is void.
            before = marks.get(record.id, result)
            result = before + [r for r in result[len(before) :] if isinstance(r, MoveRecord)]
        elif not isinstance(record, ClassRecord):
            result.append(record)
        elif record.id in undone:
            marks[record.id] = list(result)
        else:
            result = [_with_classes(earlier, record.mapping) for earlier in result]
    return result


def _with_classes(record: LabelRecord, mapping: Mapping[int, int | None]) -> LabelRecord:
    if isinstance(record, MoveRecord):
        return record
    before, after = _if_readable(record.before, mapping), _if_readable(record.after, mapping)
    return replace(record, before=before, after=after)


def _if_readable(data: bytes | None, mapping: Mapping[int, int | None]) -> bytes | None:
    try:
        return None if data is None else map_classes(data, mapping)
    except (ValueError, OverflowError):
        # A file that nobody could read when it was replaced has no class ids either.
        return data


def apply_patches(
    data: bytes | None, patches: Sequence[RowPatch] | None, where: str, yaml: DataYaml
) -> bytes:
    """Return a label file with some of its rows changed.

    Parameters
    ----------
    data : bytes or None
        What the file holds; None if there is none.
    patches : sequence of RowPatch or None
        None: no rows at all.
    where : str
        The file, for messages.

    Raises
    ------
    ConflictError
        If a row is not what a patch expects.
    InvalidBoxError
        If a class id is none of the dataset's.
    LabelFormatError
        If the file cannot be read.
    """
    if patches is None:
        return b""
    data = data or b""
    rows = parse_labels(data, where, len(yaml.classes), keypoints=yaml.has_keypoints).annotations
    wanted: dict[int, int | None] = {}
    for patch in patches:
        _check(patch, rows, where, len(yaml.classes))
        if wanted.setdefault(patch.position, patch.class_id) != patch.class_id:
            raise ConflictError(f"{where}: row {patch.position} would get two classes at once")
    return rewrite_rows(data, lambda position, old: wanted.get(position, old))


def _check(patch: RowPatch, rows: Sequence[Annotation], where: str, num_classes: int) -> None:
    if not 0 <= patch.position < len(rows):
        raise ConflictError(
            f"{where}: expected a box at position {patch.position}, found "
            f"{counted(len(rows), 'box', 'boxes')}; "
            f"somebody has changed them meanwhile, so look again"
        )
    if patch.expected is not None and not _same(rows[patch.position], patch.expected):
        raise ConflictError(
            f"{where}: box {patch.position} is another one than was chosen; somebody has "
            f"changed the labels meanwhile, so look again"
        )
    if patch.class_id is not None and not 0 <= patch.class_id < num_classes:
        raise InvalidBoxError(
            f"{where}: class id {patch.class_id}: expected one from 0 to {num_classes - 1}; "
            f"add the class first"
        )


def _same(first: Annotation, second: Annotation) -> bool:
    return first.class_id == second.class_id and all(
        abs(a - b) <= _SAME for a, b in zip(first.xywh, second.xywh, strict=True)
    )
