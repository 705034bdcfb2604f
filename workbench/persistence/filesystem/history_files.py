"""Where the history of labels lies: one file for each month, appended to under the lock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from workbench.persistence.filesystem import log_files
from workbench.persistence.filesystem.dataset_folder import DatasetFolder
from workbench.persistence.history import (
    LabelRecord,
    Record,
    format_records,
    parse_records,
    parse_records_about,
)
from workbench.persistence.storage.local.journal import Lines
from workbench.persistence.yolo.label_rows import with_present_classes


def lines(
    folder: DatasetFolder, records: Iterable[Record], *, durable: bool = False
) -> Lines | None:
    """Return what is appended to the history for a change with these records.

    Parameters
    ----------
    folder : DatasetFolder
    records : iterable of Record
    durable : bool
        For those without which older ones would be misread. Others are not forced to disk:
        the labels themselves are, and every record stands for itself.
    """
    return log_files.lines(folder, folder.paths.history, format_records(records), durable=durable)


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
