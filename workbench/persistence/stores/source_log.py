"""Where it is kept what images came from: one log for each month."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from workbench.persistence.models import ImageKey
from workbench.persistence.sources import (
    ImageSource,
    SourceRecord,
    current_sources,
    format_sources,
    parse_sources,
)
from workbench.persistence.storage import Append, Storage
from workbench.persistence.storage.collector import paused_collector
from workbench.persistence.stores import history_log, logs
from workbench.persistence.yolo.names import HIDDEN

FOLDER = f"{HIDDEN}/sources"
_COMPARED_BYTES = 256
_KEPT = 24  # months: about 40 MB for each 100,000 images that were captured in them


def noted(storage: Storage, records: Sequence[SourceRecord]) -> list[Append]:
    """Return the changes by which the log gets longer, for images that come from somewhere.

    Not forced to disk: a power cut may cost the last lines, never an image.
    """
    return logs.longer(storage, FOLDER, format_sources(records))


def keys(storage: Storage) -> list[str]:
    """Return the keys of the logs, oldest first."""
    return logs.keys(storage, FOLDER)


def revision(storage: Storage) -> str:
    """Return what changes whenever something is noted; empty while nothing is."""
    return logs.revision(storage, FOLDER)


@dataclass(frozen=True, slots=True)
class _Parsed:
    """What a log said when it was last read.

    Parameters
    ----------
    end : int
        Where the last line begins, which may not have been whole.
    before : bytes
        What stands before that, to tell a log that grew from one that was replaced.
    records : list of SourceRecord
        Of the lines before.
    """

    end: int
    before: bytes
    records: list[SourceRecord]


class SourceReader:
    """Reads what was noted; of a log that has grown, only what is new.

    One new image among 100,000 that were captured would else cost seconds of parsing. Safe
    to use from several threads.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], _Parsed] = {}

    def records(self, storage: Storage, key: str) -> list[SourceRecord]:
        """Return the records of one log; raises `InvalidDatasetError` if it is none."""
        known = self._known.pop((storage.where, key), None)
        with storage.open_read(key) as file:
            if known is not None:
                file.seek(known.end - len(known.before))
                if file.read(len(known.before)) != known.before:
                    known = None
                    file.seek(0)
            end, before = (0, b"") if known is None else (known.end, known.before)
            records = [] if known is None else list(known.records)
            unfinished = b""
            for place, piece in logs.pieces(file):
                # Each record has its line break in front: the last line may be half of one, still.
                if not piece.endswith(b"\n"):
                    unfinished = piece
                    break
                records += parse_sources(piece)
                end, before = place, (before + piece)[-_COMPARED_BYTES:]
        self._known[storage.where, key] = _Parsed(end, before, records)
        while len(self._known) > _KEPT:
            self._known.pop(next(iter(self._known)), None)
        return records + parse_sources(unfinished)


def read(
    storage: Storage, reader: SourceReader, images: Callable[[], Collection[ImageKey]]
) -> dict[ImageKey, ImageSource]:
    """Return the sources of those images, which are asked for only if any source is known."""
    with paused_collector():
        records = [record for key in keys(storage) for record in reader.records(storage, key)]
    if not records:
        return {}
    return current_sources(records, history_log.read_ways(storage), images())
