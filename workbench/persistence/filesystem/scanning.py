"""Very many images at once: their facts in columns, their bytes, their sizes in pixels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from workbench.errors import InvalidFrameError, WorkbenchError
from workbench.persistence.disk_errors import LEADS_NOWHERE, as_ours
from workbench.persistence.filesystem import scan_order
from workbench.persistence.filesystem.dataset_folder import DatasetFolder
from workbench.persistence.filesystem.image_reading import read_image
from workbench.persistence.filesystem.scan_order import Integers, Orders
from workbench.persistence.image_header import HEAD_BYTES, read_header
from workbench.persistence.models import SPLITS, ImageKey, ImageTable, Progress
from workbench.persistence.rules import image_size
from workbench.persistence.storage.collector import paused_collector
from workbench.persistence.storage.local.open_folder import OpenFolder
from workbench.persistence.stores import source_log

_READ_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NONBLOCK", 0)
)
_REPORT_EVERY = 256
WORTH_REMEMBERING = 1000  # images: sorting fewer takes no time


def scan(folder: DatasetFolder) -> ImageTable:
    """Return sizes and times of all images and label files.

    Asking the kernel takes nearly all of the time, as long as everything else happens to
    whole columns (a tuple for each image would double it) and what follows from the names
    alone is remembered from one scan to the next, see `scan_order`.
    """
    before = scan_order.load(folder)
    table, after = folder.consistently(lambda: _scan(folder, before))
    if after != before and len(table) >= WORTH_REMEMBERING:
        scan_order.save(folder, after)
    return table


def _scan(folder: DatasetFolder, known: Orders) -> tuple[ImageTable, Orders]:
    yaml = folder.read()
    names: list[str] = []
    split_of: list[npt.NDArray[np.int8]] = []
    facts: list[list[Integers]] = []
    orders: Orders = {}
    with paused_collector():
        for number, split in enumerate(SPLITS):
            images = _entries(folder.paths.images(split))
            labels = _entries(folder.paths.labels(split))
            order = scan_order.order_of(images.names, images.modes, labels.names, known.get(split))
            orders[split] = order
            own = [images.names[place] for place in order.images.tolist()]
            names += own
            split_of.append(np.full(len(own), number, dtype=np.int8))
            # -1 finds what is appended here: the facts of no file
            label_facts = [np.append(c, -1)[order.labels] for c in (labels.sizes, labels.times)]
            facts.append([images.sizes[order.images], images.times[order.images], *label_facts])
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
        sources_revision=source_log.revision(folder.storage),
    )
    return table, orders


class _Entries(NamedTuple):
    """What is in a folder, in the order of the file system."""

    names: list[str]
    sizes: Integers
    times: Integers
    modes: Integers


def _entries(base: str) -> _Entries:
    """Return name, size, time of change in nanoseconds and mode of all that is in a folder."""
    names: list[str] = []
    sizes: list[int] = []
    times: list[int] = []
    modes: list[int] = []
    try:
        with OpenFolder(base) as folder, folder.scan() as entries:
            for entry in entries:
                try:
                    status = entry.stat()
                except OSError as error:
                    if error.errno not in LEADS_NOWHERE:
                        raise
                    continue
                names.append(entry.name)
                sizes.append(status.st_size)
                times.append(status.st_mtime_ns)
                modes.append(status.st_mode)
    except FileNotFoundError:
        pass
    return _Entries(names, *(np.array(column, dtype=np.int64) for column in (sizes, times, modes)))


def read_many(folder: DatasetFolder, images: Sequence[ImageKey]) -> list[bytes | Exception]:
    """Return the bytes of many images, or what keeps one from being read."""
    folder.read()
    contents: list[bytes | Exception] = []
    for split, filename in images:
        try:
            contents.append(read_image(folder.image_path(*folder.find(split, filename))))
        except WorkbenchError as error:
            contents.append(error)
        except OSError as error:
            contents.append(as_ours(error, f"{folder.name}/{split}/{filename}"))
    return contents


def measure_many(
    folder: DatasetFolder, images: Sequence[ImageKey], progress: Progress
) -> npt.NDArray[np.int32]:
    """Read width and height of many images, as `ImageStore.measure_many` has it."""
    folder.read()
    sizes = np.zeros((len(images), 2), dtype=np.int32)
    for position, (split, filename) in enumerate(images):
        try:
            sizes[position] = _size(folder.paths.image(*folder.find(split, filename)))
        except (InvalidFrameError, OSError):
            sizes[position] = 0
        if position % _REPORT_EVERY == 0:
            progress(position, len(images))
    progress(len(images), len(images))
    return sizes


def _size(path: str) -> tuple[int, int]:
    descriptor = os.open(path, _READ_FLAGS)
    try:
        # A pipe gives nothing, and is not waited for; then the rest of the way refuses it.
        head = os.read(descriptor, HEAD_BYTES)
    finally:
        os.close(descriptor)
    header = read_header(head)
    return image_size(read_image(path), path) if header is None else header.shown
