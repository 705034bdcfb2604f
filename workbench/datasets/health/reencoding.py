"""Other bytes for images whose files are not in order, with the pixels as they are shown kept."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from workbench.datasets.image_facts import jpeg_end, sniff
from workbench.errors import InvalidFrameError
from workbench.persistence.rules import decode, encode

NewBytes = Callable[[str, bytes], tuple[str, bytes]]
"""``new_bytes(filename, data)`` returns the new name and bytes, or raises `WorkbenchError`."""

_EXTENSIONS = {"jpeg": ".jpg", "png": ".png", "bmp": ".bmp", "webp": ".webp", "tiff": ".tiff"}


def without_trailing_bytes(filename: str, data: bytes) -> tuple[str, bytes]:
    """Cut a JPEG off behind its end marker; not one pixel changes."""
    end = jpeg_end(data)
    if end is None:
        raise InvalidFrameError(f"{filename}: no end marker was found; the file is damaged")
    cut = data[:end]
    if not np.array_equal(decode(cut, filename), decode(data, filename)):
        raise InvalidFrameError(f"{filename}: without its last bytes it shows something else")
    return filename, cut


def upright(filename: str, data: bytes) -> tuple[str, bytes]:
    """Encode an image with its EXIF rotation carried out, in the format of its extension."""
    return filename, encode(decode(data, filename), filename)


def rightly_named(filename: str, data: bytes) -> tuple[str, bytes]:
    """Give a file the extension of what it holds; not one byte changes.

    What no dataset may hold, such as a GIF, becomes a PNG, with the pixels kept.
    """
    stem, picture = filename.rpartition(".")[0], decode(data, filename)
    found = sniff(data)
    if found in _EXTENSIONS:
        return stem + _EXTENSIONS[found], data
    return f"{stem}.png", encode(picture, f"{stem}.png")
