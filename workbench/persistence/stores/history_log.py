"""Where the history of labels is kept: one log for each month."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from workbench.persistence.history import (
    LabelRecord,
    Record,
    format_records,
    parse_records,
    parse_records_about,
    parse_ways,
)
from workbench.persistence.storage import Append, Storage
from workbench.persistence.stores import logs
from workbench.persistence.yolo.label_rows import with_present_classes
from workbench.persistence.yolo.names import HIDDEN

_FOLDER = f"{HIDDEN}/history"


def noted(storage: Storage, records: Iterable[Record], *, durable: bool = False) -> list[Append]:
    """Return the changes by which the history gets longer, for a commit that the records tell of.

    Parameters
    ----------
    storage : Storage
    records : iterable of Record
    durable : bool
        For those without which older ones would be misread. Others are not forced to disk:
        the labels themselves are, and every record stands for itself.
    """
    return logs.longer(storage, _FOLDER, format_records(records), durable=durable)


def keys(storage: Storage) -> list[str]:
    """Return the keys of the history, oldest first."""
    return logs.keys(storage, _FOLDER)


def read(storage: Storage) -> list[LabelRecord]:
    """Return the whole history, oldest first, with the class ids that the classes have now."""
    return with_present_classes(read_as_written(storage))


def read_as_written(storage: Storage) -> list[Record]:
    """Return the whole history, oldest first, with the class ids of the time."""
    return list(_records(storage, parse_records))


def read_ways(storage: Storage) -> list[Record]:
    """Return what the history says of images that moved and of classes, as `read_as_written`."""
    return list(_records(storage, parse_ways))


def _records(storage: Storage, parse: Callable[[bytes], list[Record]]) -> Iterator[Record]:
    for key in keys(storage):
        with storage.open_read(key) as file:
            for _, piece in logs.pieces(file):
                yield from parse(piece)


def read_about(storage: Storage, split: str, filename: str) -> list[LabelRecord]:
    """Return the part of the history that bears upon one image, oldest first; see `read`."""
    return with_present_classes(parse_records_about(_lines_newest_first(storage), split, filename))


def _lines_newest_first(storage: Storage) -> Iterator[bytes]:
    for key in reversed(keys(storage)):
        with storage.open_read(key) as file:
            yield from logs.lines_newest_first(file)
