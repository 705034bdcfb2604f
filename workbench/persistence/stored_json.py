"""JSON that we once wrote, read again: a stranger may have written it instead."""

from __future__ import annotations

import json
import zlib
from typing import Any

from workbench.errors import InvalidDatasetError

_MOST_TIMES = 200
_ALWAYS_BYTES = 1 << 26


def parse_json(data: bytes | str, path: str, what: str) -> Any:
    """Return what JSON text says; raises `InvalidDatasetError`, with the path, if it is none."""
    try:
        return json.loads(data)
    except RecursionError:  # thousands of brackets within each other
        raise malformed(path, what, "brackets within brackets without end") from None
    except ValueError as error:
        raise malformed(path, what, error) from error


def malformed(path: str, what: str, found: object) -> InvalidDatasetError:
    """Return the error for one of our own files that says something impossible."""
    named = repr(found) if isinstance(found, Exception) else str(found)
    return InvalidDatasetError(f"{path}: expected {what}, found {named}; remove the file")


def inflate(data: bytes, path: str, what: str) -> bytes:
    """Return what was compressed with zlib; raises `InvalidDatasetError` if it is a bomb or none.

    What we write ourselves, labels and names, gets ten times as large at most; 200 times is
    taken, or 64 MiB if that is more.
    """
    most = max(_ALWAYS_BYTES, len(data) * _MOST_TIMES)
    unpacking = zlib.decompressobj()
    try:
        content = unpacking.decompress(data, most)
    except zlib.error as error:
        raise malformed(path, what, error) from error
    if not unpacking.eof:
        raise malformed(path, what, f"more than {most:,} bytes, or less than was written")
    return content


def texts(values: Any) -> list[str]:
    """Return a list of texts; raises `ValueError` or `TypeError` if it is anything else."""
    if isinstance(values, str) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{values!r} where a list of texts should be")
    return list(values)
