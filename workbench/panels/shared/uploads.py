"""Files that come from a browser piece by piece, put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

BATCH_BYTES = 16 * 2**20
"""Whole files are handed on when there are so many bytes of them: memory stays bounded, and
little is lost if the page goes away."""
MAX_FILE_BYTES = 2**30


@dataclass(slots=True)
class _Batch:
    """Files that were dropped together, as far as they have come."""

    split: str
    class_name: str
    pieces: list[bytes] = field(default_factory=list)
    whole: list[tuple[str, bytes]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Arrived:
    """Files that are whole, to be added.

    Parameters
    ----------
    split : str
    class_name : str
        What whoever added them said is on them; empty: nothing.
    files : list of (str, bytes)
    refusals : list of (str, str)
        Files that the browser could not read, that cannot be images or that are too large,
        with the reason.
    is_last : bool
        Whether nothing more of this batch will come.
    """

    split: str
    class_name: str
    files: list[tuple[str, bytes]]
    refusals: list[tuple[str, str]]
    is_last: bool

    @property
    def refused(self) -> str:
        """The first of `refusals` in words; empty: none."""
        return ": ".join(self.refusals[0]) if self.refusals else ""


class Uploads:
    """Puts pieces of files together, for several pages at once."""

    def __init__(self) -> None:
        self._batches: dict[tuple[str, int], _Batch] = {}

    def take(self, message: Mapping[str, Any], piece: bytes) -> Arrived | None:
        """Take a piece of a file; return files where enough are whole.

        Parameters
        ----------
        message : mapping
            ``session`` and ``batch``; ``index`` of the file and number of ``files``;
            ``name``, ``size``, ``offset`` of the piece, ``split``; ``unreadable``, if nothing
            of the file will come, with a reason ``why`` where the page knows one; and
            ``class_name``, if something was said.
        piece : bytes

        Raises
        ------
        ValueError
            If a piece is missing before this one.
        """
        who = (str(message["session"]), int(message["batch"]))
        batch = self._batches.setdefault(
            who, _Batch(str(message["split"]), str(message.get("class_name", "")))
        )
        name, size = str(message["name"]), int(message["size"])
        why = ""
        if message.get("unreadable"):
            why = str(message.get("why") or "the browser cannot read it; is it a folder?")
        elif size > MAX_FILE_BYTES:
            why = f"has {size / 2**20:,.0f} MB, more than an image may have"
        if why:
            batch.pieces.clear()
            is_whole = int(message["offset"]) + len(piece) >= size
            if is_whole:
                batch.refused.append((name, why))
        else:
            is_whole = self._append(batch, name, size, int(message["offset"]), piece)
        is_last = is_whole and int(message["index"]) + 1 == int(message["files"])
        if is_last:
            del self._batches[who]
        held = sum(len(content) for _, content in batch.whole)
        if not is_last and held < BATCH_BYTES:
            return None
        files, batch.whole = batch.whole, []
        refused, batch.refused = batch.refused, []
        return Arrived(batch.split, batch.class_name, files, refused, is_last)

    def forget(self, session: str) -> None:
        """Drop what has come from a page so far."""
        for who in [who for who in self._batches if who[0] == session]:
            del self._batches[who]

    @staticmethod
    def _append(batch: _Batch, name: str, size: int, offset: int, piece: bytes) -> bool:
        present = sum(map(len, batch.pieces))
        if offset != present:
            raise ValueError(f"{name}: expected the bytes from {present} on, found {offset}")
        batch.pieces.append(piece)
        if present + len(piece) < size:
            return False
        batch.whole.append((name, b"".join(batch.pieces)))
        batch.pieces = []
        return True
