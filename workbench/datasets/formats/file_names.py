"""What the name of a file tells."""

from __future__ import annotations

from collections.abc import Iterable

POINTABLE = frozenset(
    {".json", ".yaml", ".yml", ".xml", ".csv", ".ndjson", ".jsonl", ".data", ".txt"}
)
"""Extensions of files that somebody may point at in place of their folder."""

CONVERTIBLE = frozenset({".heic", ".heif", ".hif", ".gif", ".avif", ".jp2", ".ppm", ".pgm", ".pnm"})
"""Extensions of pictures that training does not read, and of which it can be given copies."""

OTHER_PICTURES = CONVERTIBLE | {".dng", ".svg", ".psd", ".cr2", ".nef", ".arw", ".jxl"}

VIDEOS = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".ts", ".mts"}
)
"""Extensions of what frames are taken of."""


def extension(name: str) -> str:
    """Return the extension of a name in lower case, with its dot; empty if it has none."""
    dot = name.rfind(".")
    if dot < 1 or name[dot - 1] == "/" or "/" in (found := name[dot:]):
        return ""
    return found.lower()


def by_extension(names: Iterable[str]) -> dict[str, list[str]]:
    """Return the names that are not hidden, by their extension."""
    found: dict[str, list[str]] = {}
    written: dict[str, list[str]] = {}
    for name in names:
        if name[:1] == "." or "/." in name:
            continue
        end = name[name.rfind(".") :]
        known = written.get(end)
        if known is None:
            known = found.setdefault(extension(name), [])
            if end[0] == "." and "/" not in end:
                written[end] = known
        known.append(name)
    return found


def hidden(name: str) -> bool:
    """Whether a file or a folder above it begins with a dot."""
    return name[:1] == "." or "/." in name
