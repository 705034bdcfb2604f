"""Times of change, in columns, as the stamps of a storage tell them."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

_SECOND_NS = 1_000_000_000


def numbers_of(stamps: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return numbers that differ where stamps do: times in nanoseconds, if those are times.

    Of a storage whose stamps are texts the numbers say nothing else.
    """
    if stamps.dtype.kind != "U":
        return stamps.astype(np.int64)
    digests = (blake2b(stamp.encode(), digest_size=7).digest() for stamp in stamps.tolist())
    return np.fromiter(map(int.from_bytes, digests), np.int64, len(stamps))


def seconds_of(stamps: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return times in seconds, the very numbers that `os.stat` gives; 0 for texts."""
    if stamps.dtype.kind == "U":
        return np.zeros(len(stamps))
    whole, rest = np.divmod(stamps.astype(np.int64), _SECOND_NS)
    return whole + 1e-9 * rest
