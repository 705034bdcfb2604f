"""A large file that comes from a browser piece by piece, kept on disk until it is used."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.persistence.scratch import scratch_prefix

MAX_BYTES = 2**32
"""Of a file that is taken in."""


class IncomingFile:
    """Writes the pieces of one file at a time into a temporary folder.

    A new file takes the place of the one before. Nothing of it outlives the
    interpreter; of one that was killed, the next removes it.

    Parameters
    ----------
    name : str
        What to call it there; the browser's name for it is nothing to make a path of.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._sender: tuple[str, int] | None = None

    def take(self, message: Mapping[str, Any], piece: bytes) -> Path | None:
        """Write a piece; return the file once it is whole.

        Parameters
        ----------
        message : mapping
            ``session`` and ``batch`` of the sender; ``name`` and ``size`` of the file,
            ``offset`` of the piece, ``unreadable``.
        piece : bytes

        Raises
        ------
        ValueError
            If a piece is missing before this one, or the browser cannot read the file.
        OSError
            If it cannot be written.
        """
        name, size, offset = str(message["name"]), int(message["size"]), int(message["offset"])
        sender = (str(message["session"]), int(message["batch"]))
        if message.get("unreadable"):
            raise ValueError(f"{name}: the browser cannot read it; is it a folder?")
        if size > MAX_BYTES:
            raise ValueError(
                f"{name}: expected at most {MAX_BYTES / 2**30:.0f} GB, found {size / 2**30:,.1f}; "
                f"copy it to this machine in another way"
            )
        if offset == 0:
            self.clear()
            self._folder = tempfile.TemporaryDirectory(prefix=scratch_prefix("upload"))
            self._sender = sender
        if self._folder is None or sender != self._sender:
            raise ValueError(f"{name}: another file is coming in; upload it again after that")
        path = Path(self._folder.name, self._name)
        with path.open("ab") as file:
            present = file.tell()
            if offset != present:
                raise ValueError(f"{name}: expected the bytes from {present} on, found {offset}")
            file.write(piece)
        return path if offset + len(piece) >= size else None

    def clear(self) -> None:
        """Remove the file."""
        if self._folder is not None:
            self._folder.cleanup()
        self._folder = self._sender = None
