"""What the name of a file tells."""

from __future__ import annotations


def extension(name: str) -> str:
    """Return the extension of a name in lower case, with its dot; empty if it has none."""
    dot = name.rfind(".")
    if dot < 1 or name[dot - 1] == "/" or "/" in (found := name[dot:]):
        return ""
    return found.lower()


def hidden(name: str) -> bool:
    """Whether a file or a folder above it begins with a dot."""
    return name[:1] == "." or "/." in name
