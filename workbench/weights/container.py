"""The file that a checkpoint is written again to: no pickle, in the layout of safetensors.

That is eight bytes with the length of what follows, a JSON object that says where each
tensor lies, and the numbers of the tensors, one behind the other. Each storage of the
checkpoint is a tensor of one dimension, called by its place. What they are put together
to stands in the header as nodes; see `workbench.weights.meaning`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from workbench.errors import InvalidModelError
from workbench.weights.meaning import SIZES, Storage

FORMAT = "1"
_KEY = "workbench"
_MAX_HEADER = 2**28
_BLOCK = 2**20
_WIDTH = 8  # of the length in front, and what the header is padded to

Chunks = Callable[[str], Iterator[bytes]]
"""Yields the numbers of a storage, given its key."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What such a file holds.

    Parameters
    ----------
    nodes : list
    root : int
    facts : dict
        What the checkpoint says of itself; see `workbench.weights.facts`.
    storages : list of tuple
        Kind and numbers of each storage, the numbers as bytes; none if they were not kept.
    digest : str
        SHA-256 of all the bytes that were read to get this, in hexadecimal digits.
    """

    nodes: list[list[Any]]
    root: int
    facts: dict[str, Any]
    storages: list[tuple[str, bytearray]]
    digest: str


def write(
    path: Path,
    nodes: Sequence[Any],
    root: int,
    facts: dict[str, Any],
    storages: Sequence[Storage],
    chunks: Chunks,
) -> None:
    """Write a checkpoint; the file is whole on the disk when this returns.

    Raises
    ------
    InvalidModelError
        If a storage has not the bytes that it should have.
    """
    # The widest numbers first, so that each stands at a multiple of its width.
    order = sorted(range(len(storages)), key=lambda place: -SIZES[storages[place].kind])
    header: dict[str, Any] = {
        "__metadata__": {
            _KEY: json.dumps({"format": FORMAT, "nodes": nodes, "root": root, "facts": facts})
        }
    }
    offset = 0
    for place in order:
        storage = storages[place]
        end = offset + storage.count * SIZES[storage.kind]
        header[str(place)] = {
            "dtype": storage.kind,
            "shape": [storage.count],
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % _WIDTH)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(_WIDTH, "little") + text)
        for place in order:
            storage = storages[place]
            missing = storage.count * SIZES[storage.kind]
            for chunk in chunks(storage.key):
                missing -= len(chunk)
                file.write(chunk)
            if missing:
                raise InvalidModelError(f"{path}: the numbers of a tensor are not all there")
        file.flush()
        os.fsync(file.fileno())


def read(path: Path, *, with_numbers: bool = True) -> Contents:
    """Read such a file once, from its begin to its end, so that its digest is of what was read.

    Parameters
    ----------
    path : Path
    with_numbers : bool
        Whether the numbers of the tensors are kept.

    Raises
    ------
    InvalidModelError
        If it is none, or is not whole.
    """
    try:
        with path.open("rb") as file:
            return _read(_Reader(file), with_numbers)
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise InvalidModelError(
            f"{path}: expected weights as Workbench writes them again, found {error!r}; delete the "
            "file, it is made anew"
        ) from error


class _Reader:
    """A file that is read forwards only, and the digest of what was read."""

    def __init__(self, file: BinaryIO) -> None:
        self.size = os.fstat(file.fileno()).st_size
        self.position = 0
        self._file = file
        self._digest = hashlib.sha256()

    def take(self, length: int) -> bytearray:
        """Return the next bytes."""
        data = bytearray(length)
        if self._file.readinto(data) != length:  # type: ignore[attr-defined]
            raise ValueError("numbers beyond its end")
        self._digest.update(data)
        self.position += length
        return data

    def skip_to(self, position: int) -> None:
        """Read on without keeping it."""
        if position < self.position:
            raise ValueError("numbers that stand in each other")
        while self.position < position:
            self.take(min(position - self.position, _BLOCK))

    def finish(self) -> str:
        """Read what is left; return the digest of all."""
        while block := self._file.read(_BLOCK):
            self._digest.update(block)
        return self._digest.hexdigest()


def _read(reader: _Reader, with_numbers: bool) -> Contents:
    size = reader.size
    length = int.from_bytes(reader.take(_WIDTH), "little")
    if length > min(_MAX_HEADER, size):
        raise ValueError("a header longer than the file")
    header = json.loads(reader.take(length))
    content = json.loads(header.pop("__metadata__")[_KEY])
    if content["format"] != FORMAT:
        raise ValueError(f"format {content['format']}")
    places = []
    for place in range(len(header)):
        entry = header[str(place)]
        begin, end = entry["data_offsets"]
        if not 0 <= begin <= end <= size - reader.position or end - begin != (
            entry["shape"][0] * SIZES[entry["dtype"]]
        ):
            raise ValueError("numbers beyond its end")
        places.append((begin, end, place))
    numbers = {}
    start = reader.position
    for begin, end, place in sorted(places) if with_numbers else ():
        reader.skip_to(start + begin)
        numbers[place] = reader.take(end - begin)
    storages = [(str(header[str(place)]["dtype"]), numbers[place]) for place in sorted(numbers)]
    return Contents(content["nodes"], content["root"], content["facts"], storages, reader.finish())
