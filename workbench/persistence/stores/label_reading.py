"""The labels of a dataset's images, as they stand in its storage: of one image, and of many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import compress

import numpy as np
import numpy.typing as npt

from workbench.errors import ConflictError, InvalidDatasetError, LabelFormatError
from workbench.persistence import links
from workbench.persistence.models import SPLITS, ImageKey, LabelData, LabelTable
from workbench.persistence.storage import Storage
from workbench.persistence.storage.collector import paused_collector
from workbench.persistence.stores.dataset import Dataset, label_key
from workbench.persistence.yolo.data_yaml import DataYaml
from workbench.persistence.yolo.label_table import Columns, join, parse_many
from workbench.persistence.yolo.label_text import (
    MAX_BYTES,
    ParsedLabels,
    parse_labels,
    revision_of,
)
from workbench.persistence.yolo.names import check_split, label_names

# Files parsed at once: few enough for the processor's cache, and enough to make Python's own
# cost small; where they are large, fewer.
_BATCH = 2048
_FIRST = 64
_MOST_AT_ONCE = 1 << 24

MOST_BYTES = 2 * MAX_BYTES
"""Of a label file no more is read: whoever finds so much of one knows that it is none."""

_SHOWN = 200


def read(dataset: Dataset, split: str, filename: str) -> LabelData:
    """Return the labels of one image."""
    yaml = dataset.read()
    return parsed(dataset, split, filename, read_existing(dataset, split, filename), yaml)


def parsed(
    dataset: Dataset, split: str, filename: str, data: bytes | None, yaml: DataYaml
) -> LabelData:
    """Return what the bytes of one image's label file say; None for no file."""
    where = dataset.at(label_key(split, filename))
    labels = ParsedLabels([]) if data is None else parse(data, where, yaml)
    return LabelData(filename, split, labels.annotations, revision_of(data), labels.other_rows)


def parse(data: bytes, where: str, yaml: DataYaml) -> ParsedLabels:
    """Read the bytes of a label file; `where` is for the message."""
    return parse_labels(data, where, len(yaml.classes), keypoints=yaml.has_keypoints)


def read_existing(dataset: Dataset, split: str, filename: str) -> bytes | None:
    """Return the bytes of an image's label file, or None; raises if there is no such image."""
    dataset.require_image(split, filename)
    key = label_key(split, filename)
    data = read_one(dataset.storage, key)
    if data is not None and dataset.storage.outside([key]):
        _require_labels(dataset, data, dataset.at(key))
    return data


def _require_labels(dataset: Dataset, data: bytes, where: str) -> None:
    """Make sure that what a link leads to may stand in the history: no letter, no key.

    Raises
    ------
    LabelFormatError
        If it lies outside of the dataset and is no label file.
    """
    try:
        parse(data, where, dataset.read())
    except LabelFormatError:
        raise LabelFormatError(
            where,
            0,
            "expected labels, found a link to something else; "
            f"{links.remedy(dataset.storage.where)}",
        ) from None


def read_one(storage: Storage, key: str) -> bytes | None:
    """Return the bytes of a label file, None if it is not there.

    Raises
    ------
    LabelFormatError
        If it is longer than any that is read, or no file.
    """
    return read_whole(storage, [key])[0]


def read_whole(storage: Storage, keys: Sequence[str]) -> list[bytes | None]:
    """Return the bytes of many label files, all of which have to be sound; see `read_one`."""
    found: list[bytes | None] = []
    for key, data in zip(keys, storage.read_many(keys, most=MAX_BYTES), strict=True):
        if isinstance(data, InvalidDatasetError):
            where = f"{storage.where}/{key}"
            raise LabelFormatError(where, 0, str(data).removeprefix(f"{where}: "))
        if isinstance(data, Exception):
            raise data
        found.append(data)
    return found


class _Unread(bytes):
    """Why a file was not given out, in place of what it holds."""


def read_many(storage: Storage, keys: Sequence[str]) -> list[bytes | None]:
    """Return the bytes of many label files, None for what is not there.

    What cannot be read gives the reason, which no reader of labels takes for any: one bad file
    must not keep the others from being read.
    """
    found = storage.read_many(keys, most=MOST_BYTES)
    return [_why(data) if isinstance(data, Exception) else data for data in found]


def read_some(storage: Storage, keys: Sequence[str]) -> Iterator[tuple[int, list[bytes | None]]]:
    """Yield some label files at a time, as `read_many`, with the number of files before them."""
    start, count = 0, _FIRST
    while start < len(keys):
        found = read_many(storage, keys[start : start + count])
        yield start, found
        start += len(found)
        size = sum(len(data or b"") for data in found)
        few = _MOST_AT_ONCE * len(found) // max(size, 1)
        count = max(1, min(_BATCH, 4 * count, few))


def _why(error: Exception) -> bytes:
    why = f"<{error}>"[:_SHOWN].encode(errors="replace")
    # Too long a file, or a folder in its place, stays one until it is changed.
    return why if isinstance(error, InvalidDatasetError) else _Unread(why)


def _unread(contents: Sequence[bytes | None], places: npt.NDArray[np.int64]) -> list[int]:
    """Return those places of files that were not given out."""
    pairs = zip(places.tolist(), contents, strict=True)
    return [place for place, data in pairs if isinstance(data, _Unread)]


def require_revision(data: bytes | None, expected: str | None, where: str) -> None:
    """Raise `ConflictError` unless a label file still is what somebody has seen."""
    if expected is not None and expected != revision_of(data):
        raise ConflictError(
            f"{where} was changed by somebody else since it was loaded; load it again and "
            f"choose which boxes to keep"
        )


def load_all(dataset: Dataset, split: str | None) -> LabelTable:
    """Return every box of one split, or of all, in columns."""
    splits = SPLITS if split is None else (check_split(split),)
    dataset.ahead(splits)
    yaml = dataset.read()
    filenames: list[str] = []
    split_of: list[str] = []
    labelled: list[bool] = []
    unread: list[int] = []
    parts = []
    with paused_collector():
        for name in splits:
            # The labels first: of an image that comes meanwhile with its labels, neither is seen.
            there = frozenset(dataset.storage.names(f"labels/{name}"))
            images = dataset.image_names(name)
            own = label_names(images)
            has_labels = [label in there for label in own]
            owners = np.flatnonzero(has_labels) + len(filenames)
            keys = [f"labels/{name}/{label}" for label in compress(own, has_labels)]
            for start, contents in read_some(dataset.storage, keys):
                some = owners[start : start + len(contents)]
                part = _columns(dataset, keys[start : start + len(contents)], contents, yaml)
                parts.append(_placed(part, some))
                unread += _unread(contents, some)
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
        irregular=columns.irregular,
        unread=np.array(unread, dtype=np.int64),
    )


def _columns(
    dataset: Dataset, keys: Sequence[str], contents: Sequence[bytes | None], yaml: DataYaml
) -> Columns:
    where = dataset.storage.where
    return parse_many(
        [data or b"" for data in contents],
        [f"{where}/{key}" for key in keys],
        len(yaml.classes),
        keypoints=yaml.has_keypoints,
    )


def _placed(part: Columns, places: npt.NDArray[np.int64]) -> Columns:
    """Return the boxes of files of which each stands for the image at one of these places."""
    return replace(part, file_index=places[part.file_index], irregular=places[part.irregular])


def _in_order(columns: Columns) -> Columns:
    """Return boxes in the order of their files."""
    order = np.argsort(columns.file_index, kind="stable")
    return replace(
        columns,
        file_index=columns.file_index[order],
        class_id=columns.class_id[order],
        boxes=columns.boxes[order],
    )


def load_many(dataset: Dataset, images: Sequence[ImageKey]) -> LabelTable:
    """Return every box of some images in columns."""
    yaml = dataset.read()
    labelled = np.zeros(len(images), dtype=np.bool_)
    splits = np.array([SPLITS.index(split) for split, _ in images], dtype=np.int8)
    unread: list[int] = []
    parts = []
    for number in range(len(SPLITS)):
        places = np.flatnonzero(splits == number)
        own = label_names([images[place][1] for place in places.tolist()])
        keys = [f"labels/{SPLITS[number]}/{name}" for name in own]
        for start, contents in read_some(dataset.storage, keys):
            some = places[start : start + len(contents)]
            labelled[some] = [data is not None for data in contents]
            part = _columns(dataset, keys[start : start + len(contents)], contents, yaml)
            parts.append(_placed(part, some))
            unread += _unread(contents, some)
    columns = join(parts)
    del parts  # there may be millions of boxes
    if (np.diff(columns.file_index) < 0).any():
        columns = _in_order(columns)
    return LabelTable(
        filenames=[filename for _, filename in images],
        splits=[split for split, _ in images],
        labelled=labelled,
        image_index=columns.file_index,
        class_id=columns.class_id,
        boxes=columns.boxes,
        problems=list(columns.problems),
        irregular=np.sort(columns.irregular),
        unread=np.array(sorted(unread), dtype=np.int64),
    )
