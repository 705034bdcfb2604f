"""Where the history of labels lies: one file for each month, appended to under the lock."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from workbench.persistence.filesystem.dataset_folder import DatasetFolder
from workbench.persistence.filesystem.journal import Transaction
from workbench.persistence.filesystem.label_rows import with_present_classes
from workbench.persistence.filesystem.label_table import read_file
from workbench.persistence.history import (
    LabelRecord,
    Record,
    format_records,
    parse_records,
    parse_records_about,
)

_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)


def append(folder: DatasetFolder, records: Iterable[Record]) -> None:
    """Add records of changes that have happened. Needs the lock.

    Not forced to disk: the labels themselves are, and every record stands for itself, so
    that a power cut costs the last lines of the history and nothing else.
    """
    data = format_records(records)
    if not data:
        return
    path = f"{folder.paths.history}/{datetime.now(UTC):%Y-%m}.jsonl"
    try:
        descriptor = os.open(path, _APPEND, 0o666)
    except FileNotFoundError:
        os.makedirs(folder.paths.history, exist_ok=True)
        descriptor = os.open(path, _APPEND, 0o666)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)


def plan_append(folder: DatasetFolder, change: Transaction, records: Iterable[Record]) -> None:
    """Let a transaction add records: for those without which older ones would be misread."""
    path = f"{folder.paths.history}/{datetime.now(UTC):%Y-%m}.jsonl"
    try:
        old = read_file(path)
    except FileNotFoundError:
        old = b""
    change.write(path, old + format_records(records))


def files(folder: DatasetFolder) -> list[str]:
    """Return the paths of the history's files, oldest first."""
    try:
        names = sorted(os.listdir(folder.paths.history))
    except FileNotFoundError:
        return []
    return [f"{folder.paths.history}/{name}" for name in names if name.endswith(".jsonl")]


def read(folder: DatasetFolder) -> list[LabelRecord]:
    """Return the whole history, oldest first, with the class ids that the classes have now."""
    return with_present_classes(read_as_written(folder))


def read_as_written(folder: DatasetFolder) -> list[Record]:
    """Return the whole history, oldest first, with the class ids of the time."""
    return [record for path in files(folder) for record in parse_records(read_file(path))]


def read_about(folder: DatasetFolder, split: str, filename: str) -> list[LabelRecord]:
    """Return the part of the history that bears upon one image, oldest first; see `read`."""
    return with_present_classes(parse_records_about(_lines_newest_first(folder), split, filename))


def _lines_newest_first(folder: DatasetFolder) -> Iterator[bytes]:
    for path in reversed(files(folder)):
        yield from reversed(read_file(path).split(b"\n"))
