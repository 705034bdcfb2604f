"""Files that come from a browser piece by piece, put together.

What has come of a file so far waits in a temporary file once it is larger than
`IN_MEMORY_BYTES`. The file has no name, so that nothing of it outlives the kernel.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.persistence.image_bounds import MAX_BYTES

BATCH_BYTES = 16 * 2**20
"""Whole files are handed on when there are so many bytes of them: memory stays bounded, and
little is lost if the page goes away."""
MAX_FILE_BYTES = MAX_BYTES
"""Of an image, as it may be anywhere else."""

MAX_BATCHES = 8
"""Uploads under way at once. With one more, the one that has waited longest is given up: it is
that of a page which is gone and never said so."""

IN_MEMORY_BYTES = 2**20


def _spool() -> tempfile.SpooledTemporaryFile[bytes]:
    return tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES, prefix="workbench-upload-")


@dataclass(slots=True)
class _Batch:
    """Files that were dropped together, as far as they have come."""

    split: str
    class_name: str
    coming: tempfile.SpooledTemporaryFile[bytes] = field(default_factory=_spool)
    whole: list[tuple[str, bytes]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)

    def start_anew(self) -> None:
        """Forget what has come of the present file."""
        self.coming.close()
        self.coming = _spool()


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
        batch = self._batch(who, message)
        name, size = str(message["name"]), int(message["size"])
        why = ""
        if message.get("unreadable"):
            why = str(message.get("why") or "the browser cannot read it; is it a folder?")
        elif size > MAX_FILE_BYTES:
            why = f"has {size / 2**20:,.0f} MB, more than an image may have"
        if why:
            batch.start_anew()
            is_whole = int(message["offset"]) + len(piece) >= size
            if is_whole:
                batch.refused.append((name, why))
        else:
            is_whole = self._append(batch, name, size, int(message["offset"]), piece)
        is_last = is_whole and int(message["index"]) + 1 == int(message["files"])
        if is_last:
            self._drop(who)
        held = sum(len(content) for _, content in batch.whole)
        if not is_last and held < BATCH_BYTES:
            return None
        files, batch.whole = batch.whole, []
        refused, batch.refused = batch.refused, []
        return Arrived(batch.split, batch.class_name, files, refused, is_last)

    def forget(self, session: str) -> None:
        """Drop what has come from a page so far."""
        for who in [who for who in self._batches if who[0] == session]:
            self._drop(who)

    def clear(self) -> None:
        """Drop everything that has come so far."""
        for who in list(self._batches):
            self._drop(who)

    def _batch(self, who: tuple[str, int], message: Mapping[str, Any]) -> _Batch:
        """Return what has come of an upload; the one that was heard of last is the last."""
        batch = self._batches.pop(who, None)
        if batch is None:
            batch = _Batch(str(message["split"]), str(message.get("class_name", "")))
        self._batches[who] = batch
        while len(self._batches) > MAX_BATCHES:
            self._drop(next(iter(self._batches)))
        return batch

    def _drop(self, who: tuple[str, int]) -> None:
        self._batches.pop(who).coming.close()

    @staticmethod
    def _append(batch: _Batch, name: str, size: int, offset: int, piece: bytes) -> bool:
        if offset == 0:  # also after a piece was missing: the next file is none the worse
            batch.start_anew()
        present = batch.coming.tell()
        if offset != present:
            raise ValueError(f"{name}: expected the bytes from {present} on, found {offset}")
        batch.coming.write(piece)
        if present + len(piece) < size:
            return False
        batch.coming.seek(0)
        batch.whole.append((name, batch.coming.read()))
        batch.start_anew()
        return True
