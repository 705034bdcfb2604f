"""Whether somebody on this machine has started what a folder describes.

A run that waits for its turn, and a sweep that goes on, are started by whoever looks at them
next. That must not be so for a folder that came from elsewhere: it waits until somebody here
resumes it. What says so is signed (see `workbench.persistence.signing`) for this very folder, so
a copy of it says nothing.
"""

from __future__ import annotations

import hmac
import json
from pathlib import Path

from workbench.errors import InvalidDatasetError
from workbench.persistence.disk_errors import in_our_words
from workbench.persistence.signing import signature
from workbench.persistence.storage.local import inside
from workbench.persistence.storage.local.atomic import replace_file

_FILE = "started-here.json"


def mark_own(folder: Path) -> None:
    """Note that somebody on this machine has started what a folder describes."""
    with in_our_words(folder.name):
        text = json.dumps({"signature": own_signature(folder)})
        replace_file(str(folder / _FILE), text.encode(), str(folder))


def is_own(folder: Path) -> bool:
    """Whether `mark_own` was called for this folder, on this machine, by this user."""
    try:
        with in_our_words(folder.name):
            content = inside.read_json(str(folder), _FILE, "who has started a run")
            return is_signed(folder, content)
    except (FileNotFoundError, InvalidDatasetError):
        return False


def is_signed(folder: Path, content: object) -> bool:
    """Whether what was read from a folder has the signature of `own_signature`."""
    found = content.get("signature") if isinstance(content, dict) else None
    if not isinstance(found, str) or not found.isascii():
        return False
    return hmac.compare_digest(found, own_signature(folder))


def own_signature(folder: Path) -> str:
    """Return what only this user on this machine can write, and for this very folder."""
    # A copy has another number, even where it takes the place of the folder that it is one of.
    return signature(f"started here: {folder.stat().st_ino} {folder.resolve()}")
