"""Logs, to which is only appended: one key for each month, or for each source.

Where an append writes the whole log, a month has several: ``2026-11.jsonl``,
``2026-11_0001.jsonl``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import BinaryIO

from workbench.errors import InvalidDatasetError
from workbench.persistence.storage import Append, Storage
from workbench.persistence.stored_json import lines_of

_log = logging.getLogger(__name__)

MOST_BYTES = 1 << 31
"""The largest log that is read: some millions of edits in a month."""

MOST_LINE = 1 << 25
"""The longest line that is read: an edit of two label files as long as any can be."""

_ENDING = ".jsonl"
_BLOCK = 1 << 20


def longer(storage: Storage, folder: str, data: bytes, *, durable: bool = False) -> list[Append]:
    """Return the changes by which the newest log in a folder gets longer.

    That is this month's, unless the clock went back: what happened later stands below, or in
    a later log, whatever the clock says.
    """
    if not data:
        return []
    this_month = f"{folder}/{datetime.now(UTC):%Y-%m}{_ENDING}"
    try:
        later = [name for name in storage.names(folder) if name.endswith(_ENDING)]
    except InvalidDatasetError:  # no folder: whoever writes to it finds out
        later = []
    newest = max([this_month, *(f"{folder}/{name}" for name in later)])
    if storage.longest_log is not None and newest.rpartition("/")[2] in later:
        (found,) = storage.read_many([newest], most=MOST_BYTES)
        if isinstance(found, bytes) and len(found) + len(data) > storage.longest_log:
            newest = _next(newest)
    return [Append(newest, data, durable)]


def _next(key: str) -> str:
    """Return the key of the log that follows another one, and is listed behind it."""
    month, _, number = key.removesuffix(_ENDING).partition("_")
    return f"{month}_{int(number) + 1 if number.isdecimal() else 1:04}{_ENDING}"


def pieces(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield a log from where it stands to its end, some whole lines at a time.

    Each with the place in the file where it ends. All but the last end with a line break. A line
    that is too long to be one is left out: it takes no more memory than the longest.
    """
    begun: list[bytes] = []
    length = 0
    place = file.tell()
    while block := file.read(_BLOCK):
        place += len(block)
        end = block.rfind(b"\n") + 1
        if not end:
            length += len(block)
            begun = [*begun, block] if length <= MOST_LINE else []
            continue
        if length > MOST_LINE:
            yield place - len(block) + end, block[block.index(b"\n") : end]
        else:
            yield place - len(block) + end, b"".join([*begun, block[:end]])
        begun, length = [block[end:]], len(block) - end
    if length <= MOST_LINE:
        yield place, b"".join(begun)


def lines_newest_first(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a log from the last to the first; see `pieces`."""
    place = file.seek(0, os.SEEK_END)
    rest: list[bytes] = []  # of the line that began in a block which is not read yet
    length = 0
    while place:
        size = min(_BLOCK, place)
        place -= size
        file.seek(place)
        block = file.read(size)
        begin = block.find(b"\n") + 1
        if not begin:
            length += len(block)
            rest = [block, *rest] if length <= MOST_LINE else []
            continue
        if length > MOST_LINE:
            yield from reversed(lines_of(block[begin : block.rindex(b"\n")]))
        else:
            yield from reversed(lines_of(b"".join([block[begin:], *rest])))
        rest, length = [block[: begin - 1]], begin - 1
    if length <= MOST_LINE:
        yield from reversed(lines_of(b"".join(rest)))


def keys(storage: Storage, folder: str, ending: str = _ENDING) -> list[str]:
    """Return the keys of the logs in a folder, oldest first."""
    return [key for key, _ in _listed(storage, folder, ending)]


def revision(storage: Storage, folder: str, ending: str = _ENDING) -> str:
    """Return a stamp that changes whenever a log gets longer; empty while there is none."""
    return "; ".join(f"{key} {facts}" for key, facts in _listed(storage, folder, ending))


def _listed(storage: Storage, folder: str, ending: str) -> list[tuple[str, str]]:
    try:
        found = storage.list(folder)
    except InvalidDatasetError as error:
        _log.warning("left unread: %s", error)
        return []
    rows = zip(found.names, found.sizes.tolist(), found.stamps.tolist(), strict=True)
    return sorted(
        (f"{folder}/{name}", f"{size} {stamp}")
        for name, size, stamp in rows
        if name.endswith(ending)
    )
