"""Label files row by row, with nothing cleaned up, and what becomes of bad rows."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Sequence

from workbench.errors import ConflictError, LabelFormatError, NotFoundError
from workbench.persistence.inspection import (
    LabelFileReport,
    LabelInspection,
    LabelRepair,
    LabelRow,
)
from workbench.persistence.models import SPLITS, ImageKey
from workbench.persistence.stores.dataset import Dataset, image_key, label_key
from workbench.persistence.stores.label_reading import read_some
from workbench.persistence.yolo.data_yaml import DataYaml
from workbench.persistence.yolo.label_table import plain_files
from workbench.persistence.yolo.label_text import (
    MAX_BYTES,
    MAX_ROW,
    clean_annotations,
    format_labels,
    has_too_many_rows,
    parse_labels,
    revision_of,
)
from workbench.persistence.yolo.names import stem

ORPHAN = "orphan"
"""Kind of a trash entry that was a label file without an image."""

# LabelImg and others leave their list of classes among the labels; it is none.
NO_LABELS = frozenset({"classes"})

_MARK = "\xef\xbb\xbf"  # the UTF-8 byte order mark, read as Latin-1
_ROW = re.compile(r"[^\r\n]*\S[^\r\n]*")
_NEWLINE = re.compile(r"\r\n|\r|\n")
_LINES = re.compile(r"(\r\n|\r|\n)")


def inspect(dataset: Dataset, only: frozenset[ImageKey] | None = None) -> LabelInspection:
    """Look at all label files of a dataset, or at those of some images."""
    yaml = dataset.read()
    files: list[LabelFileReport] = []
    orphans: list[tuple[str, str]] = []
    outside: list[str] = []
    for split in SPLITS:
        stems = dataset.label_stems(split)
        names = dataset.image_names(split)
        if only is not None:
            names = [name for name in names if (split, name) in only]
        owners = [name for name in names if stem(name) in stems]
        outside += dataset.storage.outside(image_key(split, name) for name in names)
        outside += dataset.storage.outside(label_key(split, name) for name in owners)
        owned = stems if only is not None else {stem(name) for name in owners}
        unowned = stems - owned - NO_LABELS
        orphans += [(split, f"{name}.txt") for name in sorted(unowned)]
        keys = [label_key(split, name) for name in owners]
        for start, contents in read_some(dataset.storage, keys):
            images = [(split, name) for name in owners[start : start + len(contents)]]
            files += report_all(images, [data or b"" for data in contents], yaml)
    # Only a disk of this machine has links, and there `where` is a folder.
    targets = {key: os.path.realpath(f"{dataset.storage.where}/{key}") for key in outside}
    return LabelInspection(files, orphans, yaml.has_keypoints, targets)


def report_all(
    keys: Sequence[tuple[str, str]], contents: list[bytes], yaml: DataYaml
) -> Iterable[LabelFileReport]:
    """Yield a report for each label file that is not just plain boxes inside the image."""
    plain = plain_files(contents, len(yaml.classes)).tolist()
    for (split, filename), data, good in zip(keys, contents, plain, strict=True):
        if not good:
            where = f"labels/{split}/{stem(filename)}.txt"
            yield LabelFileReport(
                split, filename, revision_of(data), _rows(data), _problem(data, where, yaml)
            )


def _problem(data: bytes, where: str, yaml: DataYaml) -> str:
    try:
        parse_labels(data, where, len(yaml.classes), keypoints=yaml.has_keypoints)
    except LabelFormatError as error:
        return str(error)
    return ""


def _rows(data: bytes) -> list[LabelRow]:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data or len(data) > MAX_BYTES:
        return []
    rows: list[LabelRow] = []
    # Latin-1 takes every byte for what it is, so a row of another encoding hides no other.
    text = data.decode("latin-1").removeprefix(_MARK)
    if has_too_many_rows(text):
        return []
    number, counted = 1, 0
    for match in _ROW.finditer(text):
        number += len(_NEWLINE.findall(text, counted, match.start()))
        counted = match.start()
        rows.append(LabelRow(number, len(rows), match[0], _values(match[0])))
    return rows


def _values(line: str) -> tuple[float, ...]:
    if len(line) > MAX_ROW:
        return ()
    try:
        values = tuple(map(float, line.split()))
    except ValueError:
        return ()
    # float() takes "1_0", which no other reader of label files does.
    return values if all(map(math.isfinite, values)) and "_" not in line else ()


def repaired(old: bytes | None, wanted: LabelRepair, where: str, num_classes: int) -> bytes:
    """Return the bytes of a label file with some rows replaced.

    Raises
    ------
    ConflictError
        If the file has another revision than the repair was made for.
    InvalidBoxError
        If a new box is none.
    """
    if old is None or revision_of(old) != wanted.revision:
        raise ConflictError(
            f"{where} was changed since it was inspected; nothing was repaired, so look again"
        )
    text = old.decode("latin-1")
    mark = _MARK if text.startswith(_MARK) else ""
    pieces = _LINES.split(text[len(mark) :])
    result, position = [mark], 0
    for line, end in zip(pieces[::2], [*pieces[1::2], ""], strict=True):
        if line.strip():
            if position in wanted.rows:
                box = wanted.rows[position]
                boxes = [] if box is None else clean_annotations([box], num_classes, where)
                line = format_labels(boxes).decode().rstrip("\n")
                end = end if boxes else ""
            position += 1
        result += (line, end)
    return "".join(result).encode("latin-1")


def require_orphan(name: str, exists: bool, owned: bool, dataset: str, split: str) -> None:
    """Make sure that a label file is there and belongs to no image.

    Raises
    ------
    NotFoundError
        If it is not there.
    ConflictError
        If an image has come to it.
    """
    # Names of files that came from elsewhere may be anything but a way out of the folder.
    if name != os.path.basename(name) or not name.endswith(".txt") or not exists:
        raise NotFoundError(
            f"{dataset}: no label file {name!r} in {split}: deleted meanwhile? Look again"
        )
    if owned:
        raise ConflictError(f"{dataset}: {split}/{name} belongs to an image (by now); look again")
