"""Where it lies what images came from: one file for each month, appended to under the lock."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime

from workbench.persistence.filesystem import history_files
from workbench.persistence.filesystem.dataset_folder import DatasetFolder
from workbench.persistence.filesystem.image_files import image_names
from workbench.persistence.filesystem.label_table import read_file
from workbench.persistence.models import SPLITS, ImageKey
from workbench.persistence.sources import (
    ImageSource,
    SourceRecord,
    current_sources,
    format_sources,
    parse_sources,
)

_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)


def append(folder: DatasetFolder, records: Sequence[SourceRecord]) -> None:
    """Note where images came from that are about to be stored. Needs the lock.

    Not forced to disk: a power cut may cost the last lines, never an image.
    """
    data = format_sources(records)
    if not data:
        return
    os.makedirs(folder.paths.sources, exist_ok=True)
    path = f"{folder.paths.sources}/{datetime.now(UTC):%Y-%m}.jsonl"
    descriptor = os.open(path, _APPEND, 0o666)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)


def files(folder: DatasetFolder) -> list[str]:
    """Return the paths of the files, oldest first."""
    try:
        names = sorted(os.listdir(folder.paths.sources))
    except FileNotFoundError:
        return []
    return [f"{folder.paths.sources}/{name}" for name in names if name.endswith(".jsonl")]


def revision(folder: DatasetFolder) -> str:
    """Return what changes whenever something is noted; empty while nothing is."""
    stamps = []
    for path in files(folder):
        status = os.stat(path)
        stamps.append(f"{os.path.basename(path)} {status.st_size} {status.st_mtime_ns}")
    return "; ".join(stamps)


def read(folder: DatasetFolder) -> dict[ImageKey, ImageSource]:
    """Return the sources of the images that are there."""
    records = [record for path in files(folder) for record in parse_sources(read_file(path))]
    if not records:
        return {}
    images = {(split, name) for split in SPLITS for name in image_names(folder, split)}
    return current_sources(records, history_files.read_as_written(folder), images)
