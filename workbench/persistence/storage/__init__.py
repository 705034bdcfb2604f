"""Keys with bytes, and where they are kept: see `base` for the contract."""

from __future__ import annotations

from workbench.persistence.storage.base import (
    Append,
    Change,
    Copy,
    Head,
    Listing,
    Mark,
    Move,
    Remove,
    Staged,
    Stamp,
    Storage,
    Write,
    Writer,
)
from workbench.persistence.storage.roots import Roots

__all__ = [
    "Append",
    "Change",
    "Copy",
    "Head",
    "Listing",
    "Mark",
    "Move",
    "Remove",
    "Roots",
    "Staged",
    "Stamp",
    "Storage",
    "Write",
    "Writer",
]
