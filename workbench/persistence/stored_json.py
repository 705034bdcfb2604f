"""JSON that we once wrote, read again: a stranger may have written it instead."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from datetime import MAXYEAR, MINYEAR, datetime
from typing import Any, BinaryIO

from workbench.errors import InvalidDatasetError
from workbench.persistence.foreign_text import may_hold_halves, require_names

MALFORMED = (
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError),
)
"""What is raised on the way from JSON to a value of ours where a stranger has written it: a
number of 400 digits that becomes a float, a list where a text should be."""


def parse_json(data: bytes | str, path: str, what: str) -> Any:
    """Return what JSON text says; raises `InvalidDatasetError`, with the path, if it is none."""
    try:
        return loads(data)
    except ValueError as error:
        raise malformed(path, what, error) from error


def time_of(text: str) -> datetime:
    """Return a time as we write it; raises `ValueError` for one without a time zone.

    Such a one can be compared with none of ours. One at the edge of the calendar could not be
    shown in every time zone.
    """
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"a time without time zone, {text!r}")
    if not MINYEAR < found.year < MAXYEAR:
        raise ValueError(f"a time at the edge of the calendar, {text!r}")
    return found


def loads(data: bytes | bytearray | str) -> Any:
    """Return what JSON text says; raises nothing but `ValueError` if it is none.

    Megabytes of next to nothing but brackets and commas, which become twenty times as many
    bytes of empty lists, are none: names, numbers and hashes stand between ours.
    """
    if len(data) > _SMALL:
        text = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        brackets = text.count(b"[") + text.count(b"{")
        if brackets * 16 > len(text) or text.count(b",") * 4 > len(text):
            raise ValueError(f"{len(data):,} bytes of hardly more than brackets and commas")
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    try:
        found = json.loads(data)
        if may_hold_halves(raw):
            require_names(found)
    except RecursionError:  # thousands of brackets within each other
        raise ValueError("brackets within brackets without end") from None
    return found


_LINE = re.compile(rb"[^\n]{40,}")


def lines_of(data: bytes) -> list[bytes]:
    """Return the lines of a log that are long enough to be some: ours have a time and a name."""
    return _LINE.findall(data)


MAX_RATIO = 40
"""How many times the size of a packed file its contents may have, beyond `_SMALL_PACKED`. Hashes
and coordinates are most of what we pack, and do not shrink to a tenth."""

_SMALL = 1 << 20
_SMALL_PACKED = 1 << 24


_MOST_PACKED = 1 << 31


def packed(pieces: Callable[[], Iterable[bytes]], level: int, *, head: bytes = b"") -> bytes:
    """Pack what `unpacked` gives back.

    Parameters
    ----------
    pieces : callable
        Gives the bytes piece by piece; called again if they would pass for a bomb, as a million
        equal rows do. They are then kept as they are.
    level : int
        Of zlib.
    head : bytes
        What stands in front, as it is.
    """
    data, size = _deflated(pieces(), level, head)
    if size > _most_of(len(data) - len(head)):
        del data  # there may be no room for both
        data, _ = _deflated(pieces(), 0, head)
    return data


def _deflated(pieces: Iterable[bytes], level: int, head: bytes) -> tuple[bytes, int]:
    packer, size = zlib.compressobj(level), 0
    found = io.BytesIO()  # gives its bytes without a second copy
    found.write(head)
    for piece in pieces:
        size += len(piece)
        found.write(packer.compress(piece))
    found.write(packer.flush())
    return found.getvalue(), size


def _most_of(size: int) -> int:
    """Return how many bytes a packed file of some size may hold."""
    return max(_SMALL_PACKED, MAX_RATIO * size)


def unpacked(data: bytes) -> bytes:
    """Return what `packed` packed; raises `ValueError` if it is damaged, or a bomb."""
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(data, _most_of(len(data)))
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if unpacker.unconsumed_tail:
        raise ValueError(f"more than {MAX_RATIO} times its size when unpacked")
    if not unpacker.eof:
        raise ValueError("it ends too early")
    return found


_AT_ONCE = 1 << 18


def unpacked_lines(file: BinaryIO) -> Iterator[bytes | bytearray]:
    """Yield the lines of what `packed` packed, from where the file stands; as `unpacked` raises."""
    begun = bytearray()
    for piece in _inflated(file):
        first, *others = piece.split(b"\n")
        begun += first
        if not others:
            continue
        yield begun
        yield from others[:-1]
        begun = bytearray(others[-1])
    yield begun


def _inflated(file: BinaryIO) -> Iterator[bytes]:
    start = file.tell()
    size = file.seek(0, os.SEEK_END) - start
    file.seek(start)
    if size > _MOST_PACKED:
        raise ValueError(f"{size:,} bytes, more than any of ours has")
    left = _most_of(size)
    unpacker = zlib.decompressobj()
    while not unpacker.eof:
        data = file.read(_AT_ONCE)
        if not data:
            raise ValueError("it ends too early")
        for piece in _inflated_of(unpacker, data):
            left -= len(piece)
            if left < 0:
                raise ValueError(f"more than {MAX_RATIO} times its size when unpacked")
            yield piece


def _inflated_of(unpacker: Any, data: bytes) -> Iterator[bytes]:
    """Yield what comes out of some bytes, a bounded number at a time."""
    piece = bytes(_AT_ONCE)
    while data or len(piece) == _AT_ONCE:
        try:
            piece = unpacker.decompress(data, _AT_ONCE)
        except zlib.error as error:
            raise ValueError(str(error)) from error
        data = unpacker.unconsumed_tail
        yield piece


Kept = str | dict[str, str] | None
"""A label file in JSON; see `kept`."""

_PLAIN = re.compile(rb"[\t\n\r -~]*")
_ESCAPED = b'\t\n\r"\\'


def kept(data: bytes | None) -> Kept:
    """Return a label file for JSON, in which it takes no more than a third of its size beyond it.

    Six bytes become of each that is no text.
    """
    if data is None:
        return None
    escaped = len(data) - len(data.translate(None, _ESCAPED))
    if 3 * escaped <= len(data) and _PLAIN.fullmatch(data):
        return data.decode("ascii")
    return {"base64": base64.b64encode(data).decode("ascii")}


def bytes_of(kept: Kept) -> bytes | None:
    """Return what `kept` was made of; raises `ValueError` or the like if it is nothing of it."""
    if isinstance(kept, dict):
        return base64.b64decode(kept["base64"], validate=True)
    return None if kept is None else kept.encode("utf-8", "surrogateescape")


def malformed(path: str, what: str, found: object) -> InvalidDatasetError:
    """Return the error for one of our own files that says something impossible."""
    named = str(found)
    if isinstance(found, Exception):  # what Python says of it is for who mends it
        named = f"something else ({'no ' if isinstance(found, KeyError) else ''}{found})"
    return InvalidDatasetError(f"{path}: expected {what}, found {named}; remove the file")


def inflate(data: bytes, path: str, what: str) -> bytes:
    """Return what `unpacked` does; raises `InvalidDatasetError`, with the path, where it would."""
    try:
        return unpacked(data)
    except ValueError as error:
        raise malformed(path, what, error) from error


def texts(values: Any) -> list[str]:
    """Return a list of texts; raises `ValueError` or `TypeError` if it is anything else."""
    if isinstance(values, str) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{values!r} where a list of texts should be")
    return list(values)
