"""Where the history of labels lies: one file for each month, appended to under the lock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from workbench.persistence.filesystem import inside, log_files
from workbench.persistence.filesystem.dataset_folder import DatasetFolder
from workbench.persistence.filesystem.journal import Transaction
from workbench.persistence.filesystem.label_rows import with_present_classes
from workbench.persistence.history import (
    LabelRecord,
    Record,
    format_records,
    parse_records,
    parse_records_about,
)


def append(folder: DatasetFolder, records: Iterable[Record]) -> None:
    """Add records of changes that have happened. Needs the lock.

    Not forced to disk: the labels themselves are, and every record stands for itself, so
    that a power cut costs the last lines of the history and nothing else.
    """
    data = format_records(records)
    if not data:
        return
    log_files.append(folder, _present_file(folder), data)


def plan_append(folder: DatasetFolder, change: Transaction, records: Iterable[Record]) -> None:
    """Let a transaction add records: for those without which older ones would be misread."""
    name = _present_file(folder)
    try:
        old = inside.read(folder.paths.root, name, most=log_files.MOST_BYTES)
    except FileNotFoundError:
        old = b""
    change.write(f"{folder.paths.root}/{name}", old + format_records(records))


def _present_file(folder: DatasetFolder) -> str:
    return log_files.present_file(folder, folder.paths.history)


def files(folder: DatasetFolder) -> list[str]:
    """Return the history's files, oldest first, by their names below the dataset's folder."""
    return log_files.files(folder, folder.paths.history)


def read(folder: DatasetFolder) -> list[LabelRecord]:
    """Return the whole history, oldest first, with the class ids that the classes have now."""
    return with_present_classes(read_as_written(folder))


def read_as_written(folder: DatasetFolder) -> list[Record]:
    """Return the whole history, oldest first, with the class ids of the time."""
    return [
        record for name in files(folder) for record in parse_records(log_files.read(folder, name))
    ]


def read_about(folder: DatasetFolder, split: str, filename: str) -> list[LabelRecord]:
    """Return the part of the history that bears upon one image, oldest first; see `read`."""
    return with_present_classes(parse_records_about(_lines_newest_first(folder), split, filename))


def _lines_newest_first(folder: DatasetFolder) -> Iterator[bytes]:
    for name in reversed(files(folder)):
        yield from reversed(log_files.read(folder, name).split(b"\n"))
