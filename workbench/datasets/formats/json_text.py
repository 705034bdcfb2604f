"""JSON as tools write it (with a byte order mark, NaN, in UTF-16), and as it goes out."""

from __future__ import annotations

import json
from typing import Any

import orjson

from workbench.datasets.formats.coco_rows import parse_large
from workbench.datasets.formats.encodings import wide_encoding
from workbench.errors import ImportFormatError
from workbench.persistence.foreign_text import made_whole, may_hold_halves


def parse_json(data: bytes, where: str) -> Any:
    """Return what JSON says; of a large COCO file, the annotations as `CocoRows`.

    Raises
    ------
    ImportFormatError
        If it is damaged, or so deep that reading it could exhaust the memory.
    """
    if wide := wide_encoding(data):
        data = data.decode(wide, "replace").encode()
    data = data.removeprefix(b"\xef\xbb\xbf")
    if (large := parse_large(data)) is not None:
        return large
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass  # NaN and Infinity, which are no JSON, are written by many tools
    try:
        found = json.loads(data)
        return made_whole(found) if may_hold_halves(data) else found
    except (ValueError, RecursionError) as error:
        raise ImportFormatError(
            f"{where}: expected JSON, found it damaged: {_problem(error)}; export it again"
        ) from error


def json_bytes(value: Any) -> bytes:
    """Return a value as JSON; what has no form there as its text."""
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS)
    except (TypeError, orjson.JSONEncodeError):
        pass  # integers beyond 64 bits, and text that is no Unicode
    return json.dumps(value, ensure_ascii=False, default=str).encode()


def _problem(error: ValueError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "more nesting than annotations have"
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return str(error)
    return "a number of thousands of digits"  # of which Python says how to read it all the same
