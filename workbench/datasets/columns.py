"""Named arrays in one block of bytes, for caches that must open in no time.

A block is the length of its header (8 bytes, little-endian), the header (JSON: format,
facts, and name, type and shape of each array) and the arrays, one after the other. Reading
copies nothing: the arrays are views of the block. Unlike a pickle it runs no code, and
unlike ``.npz`` it has no checksum to compute and no member to search for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.persistence.stored_json import loads

Array = npt.NDArray[Any]

_LENGTH = 8
_ALIGNED = 16  # numpy reads aligned arrays faster, and some types only so


def pack(kind: str, facts: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    """Return arrays and facts in one block.

    Parameters
    ----------
    kind : str
        What the block is, with a version: another kind is not read.
    facts : mapping
        Of JSON types.
    arrays : mapping of str to ndarray
        Of numbers.
    """
    described = [[name, array.dtype.str, array.shape] for name, array in arrays.items()]
    header = json.dumps({"kind": kind, "facts": dict(facts), "arrays": described}).encode()
    header += b" " * (-(_LENGTH + len(header)) % _ALIGNED)
    parts = [len(header).to_bytes(_LENGTH, "little"), header]
    for array in arrays.values():
        data = np.ascontiguousarray(array).tobytes()
        parts += [data, b"\0" * (-len(data) % _ALIGNED)]
    return b"".join(parts)


def unpack(kind: str, block: bytes | None) -> tuple[dict[str, Any], dict[str, Array]] | None:
    """Return facts and arrays of a block; None if it is of another kind, damaged, or none.

    The arrays cannot be written to.
    """
    if block is None:
        return None
    try:
        start = _LENGTH + int.from_bytes(block[:_LENGTH], "little")
        header = loads(block[_LENGTH:start])
        if header["kind"] != kind:
            return None
        arrays = {}
        for name, dtype, shape in header["arrays"]:
            count = int(np.prod(shape, dtype=np.int64))
            array = np.frombuffer(block, dtype=dtype, count=count, offset=start)
            arrays[name] = array.reshape(shape)
            start += array.nbytes + (-array.nbytes % _ALIGNED)
        return header["facts"], arrays
    except (ValueError, KeyError, TypeError):
        return None  # a cache that makes no sense is one that is not there


def pack_names(names: list[str]) -> npt.NDArray[np.uint8]:
    """Return file names as one array of bytes; names hold no NUL."""
    return np.frombuffer("\0".join(names).encode("utf-8", "surrogatepass"), dtype=np.uint8)


def unpack_names(data: Array) -> list[str]:
    """Return the file names that `pack_names` packed."""
    text = data.tobytes().decode("utf-8", "surrogatepass")
    return text.split("\0") if text else []
