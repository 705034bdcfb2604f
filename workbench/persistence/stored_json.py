"""JSON that we once wrote, read again: a stranger may have written it instead."""

from __future__ import annotations

import json
from typing import Any

from workbench.errors import InvalidDatasetError


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
