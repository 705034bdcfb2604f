"""Telling whether a file still holds the bytes that were saved."""

from __future__ import annotations

import hashlib
import os
from typing import TypedDict

from workbench.persistence.storage.local import inside


class Fingerprint(TypedDict):
    """Size in bytes, time of change in nanoseconds, and SHA-256 of a file."""

    size: int
    mtime: int
    sha256: str


def fingerprint(path: str) -> Fingerprint:
    """Take the fingerprint of a file as it is now."""
    status = os.stat(path)
    return {"size": status.st_size, "mtime": status.st_mtime_ns, "sha256": _digest(path)}


def weights_state(folder: str, name: str, saved: Fingerprint) -> str:
    """Return ``"ok"``, ``"missing"`` or ``"changed"``, as `ModelInfo.weights_state` has it.

    Raises
    ------
    InvalidDatasetError
        If the file is a link, a pipe or the like.
    """
    try:
        with inside.reading(folder, name) as descriptor:
            status = os.fstat(descriptor)
            if status.st_size != saved["size"]:
                return "changed"
            # Copying a folder changes times but no bytes: only then is the file read.
            if status.st_mtime_ns != saved["mtime"]:
                with os.fdopen(descriptor, "rb", closefd=False) as file:
                    if hashlib.file_digest(file, "sha256").hexdigest() != saved["sha256"]:
                        return "changed"
    except FileNotFoundError:
        return "missing"
    return "ok"


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
