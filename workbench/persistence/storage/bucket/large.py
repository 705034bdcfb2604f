"""A value of a bucket that is larger than one request."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from workbench.errors import ConflictError, WorkbenchError
from workbench.persistence.storage.bucket.objects import Objects

if TYPE_CHECKING:
    from obstore import GetResult


class Large(io.RawIOBase):
    """A large value: one request for who reads it from its start to its end.

    Others, and those whose connection broke, fetch pieces, all of them of the same object.
    """

    def __init__(self, objects: Objects, got: GetResult, where: str) -> None:
        self._objects = objects
        self._path, self._size = got.meta["path"], got.meta["size"]
        self._tag = got.meta["e_tag"] or ""
        self._where = where
        self._at = 0
        self._stream: Iterator[bytes] | None = objects.pieces(got)
        self._streamed = 0
        self._piece = memoryview(b"")

    def readable(self) -> bool:
        """See `io.RawIOBase`."""
        return True

    def seekable(self) -> bool:
        """See `io.RawIOBase`."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See `io.RawIOBase`."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """See `io.RawIOBase`."""
        end = min(self._at + len(buffer), self._size)
        if end <= self._at:
            return 0
        piece = self._next(end - self._at) or self._fetched(end)
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def _next(self, most: int) -> memoryview:
        """Return what comes next on the way from start to end; nothing if that was left."""
        if self._at != self._streamed:
            self._stream, self._piece = None, memoryview(b"")
        if not self._piece and self._stream is not None:
            try:
                self._piece = memoryview(next(self._stream, b""))
            except WorkbenchError:
                self._stream = None
        found, self._piece = self._piece[:most], self._piece[most:]
        self._streamed += len(found)
        return found

    def _fetched(self, end: int) -> bytes:
        piece = self._objects.read(self._path, self._at, end, self._tag)
        if piece is None:
            raise ConflictError(
                f"{self._where}/{self._path}: expected it to stay while it is read, found that "
                f"somebody has changed it; read it again"
            )
        return piece
