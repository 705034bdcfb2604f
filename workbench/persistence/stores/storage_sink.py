"""Write the members of an archive, or of a new dataset, into a storage."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any, BinaryIO, cast

from workbench.persistence.storage import Write, Writer

_MOST_BYTES = 32 << 20
_MOST_VALUES = 1024


class StorageSink:
    """A `Sink` that writes some hundred values at a time, where nobody looks yet.

    Parameters
    ----------
    writer : Writer
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._pending: list[Write] = []
        self._bytes = 0

    def write(self, relative_path: str, data: bytes) -> None:
        """Store a whole value."""
        self._pending.append(Write(relative_path, data))
        self._bytes += len(data)
        if self._bytes >= _MOST_BYTES or len(self._pending) >= _MOST_VALUES:
            self.flush()

    def write_chunks(self, relative_path: str, chunks: Iterable[bytes]) -> None:
        """Store a value that comes in pieces."""
        stream = cast(BinaryIO, io.BufferedReader(_Pieces(chunks)))
        self._pending.append(Write(relative_path, self._writer.stage(stream)))

    def flush(self) -> None:
        """Let all that was written be there."""
        if self._pending:
            self._writer.fill(self._pending)
        self._pending, self._bytes = [], 0


class _Pieces(io.RawIOBase):
    """A stream of what comes in pieces."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        found, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(found)] = found
        return len(found)
