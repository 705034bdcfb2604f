"""The bytes of image files from anybody: whole, if there are not too many of them."""

from __future__ import annotations

import os

from workbench.errors import InvalidFrameError
from workbench.persistence.disk_errors import kind_at
from workbench.persistence.image_bounds import MAX_BYTES
from workbench.persistence.plain_files import read_file, status_of


def read_image(path: str) -> bytes:
    """Return the bytes of an image file.

    Raises
    ------
    FileNotFoundError
        If there is none.
    InvalidFrameError
        If it is larger than any image that is decoded, or no file: to read from a pipe
        would take for ever.
    """
    status = require_file(path)
    if status.st_size > MAX_BYTES:
        raise too_large(path, status.st_size)
    return read_file(path)


def too_large(path: str, size: int) -> InvalidFrameError:
    """Return the error for an image file of more bytes than are read."""
    return InvalidFrameError(
        f"{path}: expected an image file of at most {MAX_BYTES / 2**20:.0f} MB, found "
        f"{size / 2**20:,.0f}; save it smaller"
    )


def require_file(path: str) -> os.stat_result:
    """Return the facts of an image file.

    Raises
    ------
    FileNotFoundError
        If there is none.
    InvalidFrameError
        If it is a pipe, a device or a folder: to read from it may take for ever.
    """
    return status_of(path, lambda: no_image(path))


def no_image(path: str) -> InvalidFrameError:
    """Return the error for something odd in the place of an image."""
    return InvalidFrameError(
        f"{path}: expected an image file, found {kind_at(path)}; delete it, or put an image there"
    )
