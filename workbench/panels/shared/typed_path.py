"""Paths that somebody types into a field of a panel."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname


def typed_path(text: str) -> Path:
    """Return the path that somebody typed, or pasted from elsewhere: in quotes, as a URL."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1]
    if text.lower().startswith("file://"):
        text = url2pathname(urlsplit(text).path)
    return Path(text).expanduser().absolute()
