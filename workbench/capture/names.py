"""Names of captured images: unique, sortable by time, the frames of a burst together.

``cup_20260101-120301-123456-kmqa_000007.jpg`` is frame 7 of a burst that began on
1 January 2026 at 12:03:01.123456 UTC. UTC, because local time repeats an hour each autumn.
The four letters keep apart what several processes begin in the same microsecond. Every tool
that groups images by what stands before the last number keeps the burst together.
"""

from __future__ import annotations

import re
import secrets
import threading
import unicodedata
from datetime import UTC, datetime, timedelta

# Neither vowels, so that no words come out, nor "f", which some tools read as "frame".
_LETTERS = "bcdghjkmnpqrstvwxz"
_NUMBER_OF_LETTERS = 4
_MAX_PREFIX_BYTES = 60
_BURST = re.compile(rf"(.+_\d{{8}}-\d{{6}}-\d{{6}}-[{_LETTERS}]{{4}})_\d{{6,}}")

_lock = threading.Lock()
_last = datetime.min.replace(tzinfo=UTC)


def new_burst(prefix: str = "") -> str:
    """Return the id of a burst that begins now; no other burst has it, and later ones sort after.

    Parameters
    ----------
    prefix : str
        What the images show, for people. Characters that file names cannot have are
        replaced; empty means ``image``.
    """
    global _last
    with _lock:
        # The clock may stand still or be set back, but each name must come after the one before.
        _last = max(datetime.now(UTC), _last + timedelta(microseconds=1))
        moment = _last
    letters = "".join(secrets.choice(_LETTERS) for _ in range(_NUMBER_OF_LETTERS))
    return f"{clean_prefix(prefix)}_{moment:%Y%m%d-%H%M%S-%f}-{letters}"


def image_name(burst: str, number: int, extension: str = ".jpg") -> str:
    """Return the file name of an image of a burst, numbered from 1."""
    return f"{burst}_{number:06d}{extension}"


def burst_of(filename: str) -> str | None:
    """Return the burst that an image's name tells of; None if it tells of none."""
    match = _BURST.fullmatch(filename.rpartition(".")[0])
    return None if match is None else match[1]


def clean_prefix(text: str) -> str:
    """Return `text` as it can begin a file name on every system."""
    text = unicodedata.normalize("NFC", text)
    plain = "".join(char if char.isalnum() else "-" for char in text).strip("-")
    plain = re.sub(r"-{2,}", "-", plain)
    return plain.encode()[:_MAX_PREFIX_BYTES].decode(errors="ignore").strip("-") or "image"
