"""Files that go to a browser in pieces, each asked for when the one before has come."""

from __future__ import annotations

from pathlib import Path

PIECE_BYTES = 2**20
"""Bytes of a file that go to a page at a time."""


def read_piece(path: Path, start: int) -> tuple[int, bytes]:
    """Return how many bytes a file has, and some of these from `start` on."""
    with path.open("rb") as file:
        file.seek(start)
        return path.stat().st_size, file.read(PIECE_BYTES)
