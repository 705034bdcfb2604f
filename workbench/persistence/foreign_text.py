r"""Finds half characters in text from elsewhere: JSON can hold them, and nothing can write them.

``"\ud800"`` in JSON is one half of a pair of surrogates. Python takes it for text, and raises
`UnicodeEncodeError` wherever it is to be written, shown or sent. Names of files that are no
UTF-8 hold halves, too, from U+DC80 to U+DCFF (see PEP 383); these become bytes again.
"""

from __future__ import annotations

import re
from typing import Any

_HALVES = re.compile("[\ud800-\udfff]")
_NO_BYTES = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_MAY_HOLD = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")


def may_hold_halves(data: bytes | bytearray) -> bool:
    """Whether JSON may hold halves of characters: cheap, and right where it says no."""
    return _MAY_HOLD.search(data) is not None


def is_whole(text: str) -> bool:
    """Whether a text has no half characters, so that it can be written as UTF-8."""
    return _HALVES.search(text) is None


def made_whole(value: Any) -> Any:
    """Return what JSON said with U+FFFD in the place of each half character."""
    if isinstance(value, str):
        return _HALVES.sub("\ufffd", value)
    if isinstance(value, list):
        return [made_whole(item) for item in value]
    if isinstance(value, dict):
        return {made_whole(key): made_whole(item) for key, item in value.items()}
    return value


def require_names(value: Any) -> None:
    """Make sure that what JSON of ours says holds no halves but those in names of files.

    Raises
    ------
    ValueError
        If it does.
    """
    if isinstance(value, str):
        if _NO_BYTES.search(value):
            raise ValueError(f"half a character in {value[:80]!r}")
    elif isinstance(value, list):
        for item in value:
            require_names(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            require_names(key)
            require_names(item)
