"""The files that say where images came from: one for each month, appended to under the lock."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.persistence.filesystem import history_files, log_files
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
from workbench.persistence.storage.local import inside
from workbench.persistence.storage.local.collector import paused_collector
from workbench.persistence.storage.local.journal import Lines

_COMPARED_BYTES = 256
_KEPT_FILES = 24  # months: about 40 MB for each 100,000 images that were captured in them


def lines(folder: DatasetFolder, records: Sequence[SourceRecord]) -> Lines | None:
    """Return what is appended to the log for images whose source is known.

    Not forced to disk: a power cut may cost the last lines, never an image.
    """
    return log_files.lines(folder, folder.paths.sources, format_sources(records))


def files(folder: DatasetFolder) -> list[str]:
    """Return the files, oldest first, by their names below the dataset's folder."""
    return log_files.files(folder, folder.paths.sources)


def revision(folder: DatasetFolder) -> str:
    """Return what changes whenever something is noted; empty while nothing is."""
    stamps = []
    for name in files(folder):
        status = inside.status(folder.paths.root, name)
        if status is not None:
            stamps.append(f"{os.path.basename(name)} {status.st_size} {status.st_mtime_ns}")
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

    def records(self, root: str, name: str) -> list[SourceRecord]:
        """Return the records of one file; raises `InvalidDatasetError` if it is no file."""
        path = f"{root}/{name}"
        known = self._known.pop(path, None)
        with inside.reading(root, name) as descriptor:
            inode = os.fstat(descriptor).st_ino
            if known is not None:
                os.lseek(descriptor, known.end - len(known.before), os.SEEK_SET)
                before = os.read(descriptor, len(known.before))
                if inode != known.inode or before != known.before:
                    known = None
                    os.lseek(descriptor, 0, os.SEEK_SET)
            data = inside.read_rest(descriptor)
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
        root = folder.paths.root
        records = [record for name in files(folder) for record in reader.records(root, name)]
    if not records:
        return {}
    images = {(split, name) for split in SPLITS for name in image_names(folder, split)}
    return current_sources(records, history_files.read_as_written(folder), images)
