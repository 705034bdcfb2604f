"""What a key may be: a path that can only lead downwards."""

from __future__ import annotations

import os
import re

from workbench.errors import InvalidDatasetError
from workbench.persistence.yolo.names import HIDDEN, can_be_name

RESERVED = frozenset(f"{HIDDEN}/{name}" for name in ("generation", "lock", "tmp", "tx"))
"""What no key is or lies below: backends keep here what they need themselves."""

_SHOWN = 200
# What surely leads downwards: nearly all, told in a tenth of the time that others take.
_PLAIN = re.compile(
    r"(?:\.?[A-Za-z0-9_][A-Za-z0-9_.\-]{0,100}/)*\.?[A-Za-z0-9_][A-Za-z0-9_.\-]{0,100}"
)


def check_key(key: object) -> list[str]:
    """Return the parts of a key.

    Raises
    ------
    InvalidDatasetError
        If it is none, or one that the backends keep for themselves.
    """
    parts = parts_of(key)
    if parts[0] == HIDDEN and "/".join(parts[:2]) in RESERVED:
        raise InvalidDatasetError(f"{key!r}: expected a key, found one that no value may have")
    return parts


def parts_of(name: object) -> list[str]:
    """Return the parts of a stored name if it can only lead inside its root.

    Raises
    ------
    InvalidDatasetError
        If it is anything else than a relative path downwards.
    """
    if isinstance(name, str) and _PLAIN.fullmatch(name):
        return name.split("/")
    if isinstance(name, str) and "\0" not in name and os.path.splitdrive(name)[0] == "":
        parts = name.replace(os.sep, "/").split("/")
        if not any(part in ("", ".", "..") for part in parts) and all(map(can_be_name, parts)):
            return parts
    shown = f"{name[:_SHOWN]!r}" if isinstance(name, str) else repr(name)[:_SHOWN]
    raise InvalidDatasetError(
        f"{shown}: expected a path inside its folder, without '..' and links; it is not followed"
    )


def is_plain(name: object) -> bool:
    """Whether a stored name is that of something directly inside its folder."""
    try:
        return len(parts_of(name)) == 1
    except InvalidDatasetError:
        return False
