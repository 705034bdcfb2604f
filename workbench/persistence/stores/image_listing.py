"""All images of a dataset at once: as objects, and their facts in columns."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import fields
from itertools import repeat
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workbench.persistence.models import SPLITS, ImageInfo, ImageKey, ImageTable
from workbench.persistence.storage import Listing
from workbench.persistence.storage.collector import paused_collector
from workbench.persistence.stores import image_order, source_log
from workbench.persistence.stores.dataset import Dataset
from workbench.persistence.stores.image_order import Integers, Orders
from workbench.persistence.stores.times import numbers_of, seconds_of
from workbench.persistence.yolo.names import check_split, is_image_name, stem

WORTH_REMEMBERING = 1000  # images: sorting fewer takes no time
_SET_FIELDS = [getattr(ImageInfo, field.name).__set__ for field in fields(ImageInfo)]


def list_keys(dataset: Dataset) -> list[ImageKey]:
    """Return split and name of all images, in the order of `list_images`."""
    dataset.ahead(SPLITS)
    dataset.read()
    return [(split, name) for split in SPLITS for name in dataset.image_names(split)]


def list_images(dataset: Dataset, split: str | None) -> list[ImageInfo]:
    """Return the facts of all images of one split, or of all, without opening a file."""
    splits = SPLITS if split is None else (check_split(split),)
    dataset.ahead(splits)
    dataset.read()
    with paused_collector():
        return [image for name in splits for image in _list_split(dataset, name)]


def _list_split(dataset: Dataset, split: str) -> list[ImageInfo]:
    folder = f"images/{split}"
    labelled = dataset.label_stems(split)
    found = dataset.storage.list(folder)
    columns = (found.names, found.sizes.tolist(), seconds_of(found.stamps).tolist())
    rows = sorted(row for row in zip(*columns, strict=True) if is_image_name(row[0]))
    names = [name for name, _, _ in rows]
    parent = Path(dataset.at(folder))
    return _infos(
        names,
        repeat(split),
        [parent / name for name in names],
        repeat(0),
        repeat(0),
        [size for _, size, _ in rows],
        [stem(name) in labelled for name in names],
        [modified for _, _, modified in rows],
    )


def _infos(names: Sequence[str], *columns: Iterable[object]) -> list[ImageInfo]:
    """Make ``ImageInfo(name, ...)`` for each name, of columns with the other fields.

    A frozen class sets each field of each object by name, which would take as long as
    asking the kernel for all files' sizes. Column by column it takes less than half of that.
    """
    images = [object.__new__(ImageInfo) for _ in names]
    for set_field, column in zip(_SET_FIELDS, (names, *columns), strict=True):
        deque(map(set_field, images, column), maxlen=0)
    return images


def scan(dataset: Dataset) -> ImageTable:
    """Return sizes and times of all images and label files.

    Asking the kernel takes nearly all of the time, as long as everything else happens to
    whole columns (a tuple for each image would double it) and what follows from the names
    alone is remembered from one scan to the next, see `image_order`.
    """
    before = image_order.load(dataset)
    table, after = dataset.consistently(lambda: _scan(dataset, before))
    if after != before and len(table) >= WORTH_REMEMBERING:
        image_order.save(dataset, after)
    return table


def _columns(found: Listing) -> tuple[Integers, Integers]:
    return found.sizes, numbers_of(found.stamps)


def _scan(dataset: Dataset, known: Orders) -> tuple[ImageTable, Orders]:
    dataset.ahead(SPLITS)
    yaml = dataset.read()
    names: list[str] = []
    split_of: list[npt.NDArray[np.int8]] = []
    facts: list[list[Integers]] = []
    orders: Orders = {}
    with paused_collector():
        for number, split in enumerate(SPLITS):
            images = dataset.storage.list(f"images/{split}")
            labels = dataset.storage.list(f"labels/{split}")
            # What is no file is not taken for missing labels: whoever reads it says what is wrong.
            odd = [*labels.odd, *labels.folders]
            label_names = [*labels.names, *odd] if odd else labels.names
            order = image_order.order_of(images.names, label_names, known.get(split))
            orders[split] = order
            own = [images.names[place] for place in order.images.tolist()]
            names += own
            split_of.append(np.full(len(own), number, dtype=np.int8))
            # -1 finds the last that is appended here: the facts of no file
            more = [0] * len(odd) + [-1]
            facts.append(
                [
                    *(column[order.images] for column in _columns(images)),
                    *(np.append(column, more)[order.labels] for column in _columns(labels)),
                ]
            )
    size_bytes, modified_ns, label_bytes, label_modified_ns = map(
        np.concatenate, zip(*facts, strict=True)
    )
    table = ImageTable(
        filenames=names,
        split=np.concatenate(split_of),
        size_bytes=size_bytes,
        modified_ns=modified_ns,
        label_bytes=label_bytes,
        label_modified_ns=label_modified_ns,
        classes=list(yaml.classes),
        settings_revision=yaml.revision,
        sources_revision=source_log.revision(dataset.storage),
        colours=yaml.colours,
    )
    return table, orders
