"""An index brought up to date: what holds still, and what was read anew, put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workbench.datasets.index_table import (
    BACKGROUND,
    LABELLED,
    UNLABELLED,
    UNREADABLE,
    DatasetIndex,
    Integers,
    Mask,
)
from workbench.datasets.places import find_places
from workbench.errors import LabelFormatError
from workbench.persistence.models import SPLITS, ImageKey, ImageTable, LabelTable
from workbench.persistence.sources import ImageSource

_UNSETTLED_NS = 2_000_000_000
"""A file changed within so short a time before a listing could change again without its time
of change showing it: file systems count in steps of up to two seconds (FAT)."""
_NEVER = -2
"""In place of the time of change of a label file that was not given out: it is asked for again."""


@dataclass(frozen=True, slots=True)
class Read:
    """Labels just read: the positions of their images, and tables that hold those in turn."""

    positions: Integers
    tables: list[LabelTable]


def unchanged(known: DatasetIndex, table: ImageTable) -> bool:
    """Whether what is known holds for every image and label file of the listing."""
    return (
        known.settings_revision == table.settings_revision
        and known.sources_revision == table.sources_revision
        and len(known) == len(table)
        and np.array_equal(known.label_modified_ns, table.label_modified_ns)
        and np.array_equal(known.modified_ns, table.modified_ns)
        and np.array_equal(known.label_bytes, table.label_bytes)
        and np.array_equal(known.size_bytes, table.size_bytes)
        and np.array_equal(known.split, table.split)
        and _last_change(known) < known.scanned_ns - _UNSETTLED_NS
        and known.filenames == table.filenames
    )


def _last_change(known: DatasetIndex) -> int:
    return int(max(known.modified_ns.max(initial=0), known.label_modified_ns.max(initial=0)))


def old_positions(table: ImageTable, known: DatasetIndex | None) -> Integers:
    """Return for each image of the listing its position in the known index, or -1."""
    if known is None or known.settings_revision != table.settings_revision:
        return np.full(len(table), -1, dtype=np.int64)
    return find_places(known.filenames, known.split, table.filenames, table.split)


def keys(table: ImageTable, positions: Integers) -> list[ImageKey]:
    """Return what identifies the images at these positions of a listing."""
    split, names = table.split.tolist(), table.filenames
    return [(SPLITS[split[place]], names[place]) for place in positions.tolist()]


def same_facts(
    size: Integers,
    modified_ns: Integers,
    known: DatasetIndex | None,
    old: Integers,
    *,
    labels: bool,
) -> Mask:
    """Whether files have the size and time that they had, with a time that can be trusted."""
    if known is None:
        return np.zeros(len(size), dtype=np.bool_)
    old_size = known.label_bytes if labels else known.size_bytes
    old_modified = known.label_modified_ns if labels else known.modified_ns
    # Position -1 finds what is appended here: a file like no other.
    old_size, old_modified = np.append(old_size, -2)[old], np.append(old_modified, -2)[old]
    settled = old_modified < known.scanned_ns - _UNSETTLED_NS
    return np.asarray((old_size == size) & (old_modified == modified_ns) & settled)


def assemble(
    table: ImageTable,
    known: DatasetIndex | None,
    kept: Integers,
    read: Read,
    old: Integers,
    proposed: npt.NDArray[np.int32],
    scanned_ns: int,
) -> DatasetIndex:
    """Put together the boxes that were kept and those that were read.

    Parameters
    ----------
    kept, old : ndarray of int64, shape (images,)
        Position in `known` of the image whose labels are, or which itself is, the same;
        -1 for none. An image may have kept its labels and have changed itself.
    proposed : ndarray of int32, shape (images,)
        See `DatasetIndex`.
    """
    state = np.where(table.label_bytes >= 0, LABELLED, UNLABELLED).astype(np.uint8)
    owners, class_ids, boxes = [], [], []
    if known is not None and len(known):
        new_place = np.full(len(known), -1, dtype=np.int64)
        new_place[kept[kept >= 0]] = np.flatnonzero(kept >= 0)
        owner = new_place[known.image_index]
        taken = owner >= 0
        owners.append(owner[taken])
        class_ids.append(known.class_id[taken])
        boxes.append(known.boxes[taken])
        state[kept >= 0] = known.state[kept[kept >= 0]]
    label_modified_ns = table.label_modified_ns.copy()
    start = 0
    for part in read.tables:
        places = read.positions[start : start + len(part.filenames)]
        start += len(part.filenames)
        owners.append(places[part.image_index])
        class_ids.append(part.class_id)
        boxes.append(part.boxes)
        state[places[~part.labelled]] = UNLABELLED  # gone since the listing
        state[places[_unreadable(part)]] = UNREADABLE
        label_modified_ns[places[part.unread]] = _NEVER
    image_index = np.concatenate([np.empty(0, np.int64), *owners])
    order = np.argsort(image_index, kind="stable")
    num_boxes = np.bincount(image_index, minlength=len(table)).astype(np.int64)
    state[(state == LABELLED) & (num_boxes == 0)] = BACKGROUND
    width, height = _kept_sizes(table, known, old)
    return DatasetIndex(
        classes=table.classes,
        filenames=table.filenames,
        split=table.split,
        size_bytes=table.size_bytes,
        modified_ns=table.modified_ns,
        label_bytes=table.label_bytes,
        label_modified_ns=label_modified_ns,
        state=state,
        num_boxes=num_boxes,
        image_index=image_index[order],
        class_id=np.concatenate([np.empty(0, np.int64), *class_ids])[order],
        boxes=np.concatenate([np.empty((0, 4)), *boxes])[order],
        width=width,
        height=height,
        settings_revision=table.settings_revision,
        scanned_ns=scanned_ns,
        proposed=proposed,
        sources_revision=table.sources_revision,
        colours=table.colours,
    )


def kept_proposals(
    table: ImageTable, known: DatasetIndex | None, old: Integers
) -> npt.NDArray[np.int32] | None:
    """Return `DatasetIndex.proposed` where it is known without reading suggestions; else None.

    Proposals change where a capture adds images, images are moved or renamed, or classes get
    other ids.
    """
    if not table.sources_revision:
        return np.full(len(table), -1, dtype=np.int32)
    if known is None or known.sources_revision != table.sources_revision:
        return None
    same = same_facts(table.size_bytes, table.modified_ns, known, old, labels=False)
    return known.proposed[old] if same.all() else None


def lowest_proposed(
    table: ImageTable, sources: Mapping[ImageKey, ImageSource]
) -> npt.NDArray[np.int32]:
    """Return `DatasetIndex.proposed`."""
    lowest = {
        key: min(box.class_id for box in source.predictions)
        for key, source in sources.items()
        if source.predictions
    }
    images = keys(table, np.arange(len(table)))
    return np.array([lowest.get(key, -1) for key in images], dtype=np.int32)


def predicted(index: DatasetIndex) -> Mask:
    """Return `DatasetIndex.predicted`, which depends on the classes that there are by now."""
    known = (index.proposed >= 0) & (index.proposed < len(index.classes))
    return np.asarray(known & (index.state == UNLABELLED))


def _unreadable(part: LabelTable) -> Integers:
    """Return the positions of the images whose label files could not be read."""
    bad = {
        Path(problem.path).parts[-2:]
        for problem in part.problems
        if isinstance(problem, LabelFormatError)
    }
    if not bad:
        return np.empty(0, dtype=np.int64)
    names = zip(part.splits, part.filenames, strict=True)
    places = [i for i, (split, name) in enumerate(names) if (split, _label_name(name)) in bad]
    return np.array(places, dtype=np.int64)


def _label_name(filename: str) -> str:
    return filename.rpartition(".")[0] + ".txt"


def _kept_sizes(
    table: ImageTable, known: DatasetIndex | None, old: Integers
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return widths and heights of the images that did not change, 0 for all others."""
    width, height = np.zeros((2, len(table)), dtype=np.int32)
    if known is not None:
        same = same_facts(table.size_bytes, table.modified_ns, known, old, labels=False)
        width[same], height[same] = known.width[old[same]], known.height[old[same]]
    return width, height
