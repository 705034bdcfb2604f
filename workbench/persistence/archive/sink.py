"""Write imported members into a folder, with as few system calls as there can be."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

# Exclusive: a path that is there already, or a link that leads elsewhere, is an error.
_WRITE_ONCE = (
    os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
)


class FolderSink:
    """A `Sink` that makes files below a folder.

    Nothing is forced to disk: the store does that once for all files, before it gives the
    folder its final name.

    Parameters
    ----------
    folder : Path
        Exists, and is nobody else's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._made: set[str] = set()

    def write(self, relative_path: str, data: bytes) -> None:
        """Store a whole file."""
        descriptor = self._create(relative_path)
        try:
            # Nearly always one call; more only where the disk takes less at a time.
            written = os.write(descriptor, data)
            while written < len(data):
                written += os.write(descriptor, memoryview(data)[written:])
        finally:
            os.close(descriptor)

    def write_chunks(self, relative_path: str, chunks: Iterable[bytes]) -> None:
        """Store a file that comes in pieces."""
        with open(self._create(relative_path), "wb") as file:
            for chunk in chunks:
                file.write(chunk)

    def _create(self, relative_path: str) -> int:
        parent = relative_path.rpartition("/")[0]
        if parent not in self._made:
            self._make(parent)
        return os.open(f"{self._folder}/{relative_path}", _WRITE_ONCE, 0o666)

    def _make(self, folder: str) -> None:
        """Make a folder, one after the other from the top: it may lie as deep as it likes."""
        self._made.add(folder)
        at = self._folder
        for part in folder.split("/"):
            at = f"{at}/{part}"
            with contextlib.suppress(FileExistsError):
                os.mkdir(at)
