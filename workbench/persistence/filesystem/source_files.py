"""Where it lies what images came from: one file for each month, appended to under the lock."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from workbench.persistence.filesystem import history_files
from workbench.persistence.filesystem.collector import paused_collector
from workbench.persistence.filesystem.dataset_folder import DatasetFolder
from workbench.persistence.filesystem.image_files import image_names
from workbench.persistence.models import SPLITS, ImageKey
from workbench.persistence.sources import (
    ImageSource,
    SourceRecord,
    current_sources,
    format_sources,
    parse_sources,
)

_COMPARED_BYTES = 256
_KEPT_FILES = 24  # months: about 40 MB for each 100,000 images that were captured in them
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


@dataclass(frozen=True, slots=True)
class _Parsed:
    """What a file said when it was last read.

    Parameters
    ----------
    inode : int
    end : int
        Where the last line begins, which may not have been whole.
    before : bytes
        What stands before that, to tell a file that grew from one that was replaced.
    records : list of SourceRecord
        Of the lines before.
    """

    inode: int
    end: int
    before: bytes
    records: list[SourceRecord]


class SourceReader:
    """Reads what was noted; of a file that has grown, only what is new.

    One new image among 100,000 that were captured would else cost seconds of parsing. Safe
    to use from several threads.
    """

    def __init__(self) -> None:
        self._known: dict[str, _Parsed] = {}

    def records(self, path: str) -> list[SourceRecord]:
        """Return the records of one file."""
        known = self._known.pop(path, None)
        with open(path, "rb") as file:
            inode = os.fstat(file.fileno()).st_ino
            if known is not None:
                file.seek(known.end - len(known.before))
                if inode != known.inode or file.read(len(known.before)) != known.before:
                    known = None
                    file.seek(0)
            data = file.read()
        start, records = (0, []) if known is None else (known.end, known.records)
        # Each record has its line break in front: the last line may be half of one, still.
        whole = max(data.rfind(b"\n"), 0)
        records = records + parse_sources(data[:whole])
        seen = data[:whole] if known is None else known.before + data[:whole]
        self._known[path] = _Parsed(inode, start + whole, seen[-_COMPARED_BYTES:], records)
        while len(self._known) > _KEPT_FILES:
            self._known.pop(next(iter(self._known)), None)
        return records + parse_sources(data[whole:])


def read(folder: DatasetFolder, reader: SourceReader) -> dict[ImageKey, ImageSource]:
    """Return the sources of the images that are there."""
    with paused_collector():
        records = [record for path in files(folder) for record in reader.records(path)]
    if not records:
        return {}
    images = {(split, name) for split in SPLITS for name in image_names(folder, split)}
    return current_sources(records, history_files.read_as_written(folder), images)
