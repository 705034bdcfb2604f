"""The file that a checkpoint is written again to: no pickle, in the layout of safetensors.

That is eight bytes with the length of what follows, a JSON object that says where each
tensor lies, and the numbers of the tensors, one behind the other. Each storage of the
checkpoint is a tensor of one dimension, called by its place. What they are put together
to stands in the header as nodes; see `workbench.weights.meaning`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import InvalidModelError
from workbench.weights.meaning import SIZES, Storage

FORMAT = "1"
_KEY = "workbench"
_MAX_HEADER = 2**28
_WIDTH = 8  # of the length in front, and what the header is padded to

Chunks = Callable[[str], Iterator[bytes]]
"""Yields the numbers of a storage, given its key."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What such a file holds, without the numbers themselves.

    Parameters
    ----------
    nodes : list
    root : int
    facts : dict
        What the checkpoint says of itself; see `workbench.weights.facts`.
    storages : list of tuple
        Kind, first byte in the file and number of bytes of each storage.
    """

    nodes: list[list[Any]]
    root: int
    facts: dict[str, Any]
    storages: list[tuple[str, int, int]]


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


def read(path: Path) -> Contents:
    """Read the header of such a file.

    Raises
    ------
    InvalidModelError
        If it is none, or is not whole.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_WIDTH), "little")
            size = os.fstat(file.fileno()).st_size
            if length > min(_MAX_HEADER, size):
                raise ValueError("a header longer than the file")
            header = json.loads(file.read(length))
            content = json.loads(header.pop("__metadata__")[_KEY])
            if content["format"] != FORMAT:
                raise ValueError(f"format {content['format']}")
        start = _WIDTH + length
        storages = []
        for place in range(len(header)):
            entry = header[str(place)]
            begin, end = entry["data_offsets"]
            if not 0 <= begin <= end <= size - start or end - begin != (
                entry["shape"][0] * SIZES[entry["dtype"]]
            ):
                raise ValueError("numbers beyond its end")
            storages.append((str(entry["dtype"]), start + begin, end - begin))
        return Contents(content["nodes"], content["root"], content["facts"], storages)
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise InvalidModelError(
            f"{path}: expected weights as Workbench writes them again, found {error!r}; delete the "
            "file, it is made anew"
        ) from error


def read_facts(path: Path) -> dict[str, Any]:
    """Return what the checkpoint in such a file says of itself."""
    return read(path).facts
