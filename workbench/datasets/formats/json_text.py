"""JSON as tools write it: with a byte order mark, NaN, in UTF-16."""

from __future__ import annotations

import json
from typing import Any

import orjson

from workbench.datasets.formats.encodings import wide_encoding
from workbench.errors import ImportFormatError
from workbench.persistence.foreign_text import made_whole, may_hold_halves


def parse_json(data: bytes, where: str) -> Any:
    """Return what JSON says.

    Raises
    ------
    ImportFormatError
        If it is damaged, or so deep that reading it could exhaust the memory.
    """
    if wide := wide_encoding(data):
        data = data.decode(wide, "replace").encode()
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass  # NaN and Infinity, which are no JSON, are written by many tools
    try:
        found = json.loads(data)
        return made_whole(found) if may_hold_halves(data) else found
    except (ValueError, RecursionError) as error:
        problem = "more nesting than annotations have" if isinstance(error, RecursionError) else ""
        raise ImportFormatError(
            f"{where}: expected JSON, found it damaged: {problem or error}; export it again"
        ) from error
