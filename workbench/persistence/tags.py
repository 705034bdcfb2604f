"""Tags of images: words that people give to them, by file name.

A tag belongs to a file *name*, not to a place: an image that moves to another split keeps
its tags, and one that comes back from the trash finds them again. Names of images that are
not there (any more) may stand among them and do no harm.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from workbench.errors import InvalidDatasetError
from workbench.persistence.foreign_text import is_whole
from workbench.persistence.stored_json import MALFORMED, malformed, parse_json

Tags = Mapping[str, Collection[str]]

_LONGEST = 100
_EXPECTED = "file names by tag"


def check_tags(tags: Tags) -> dict[str, list[str]]:
    """Return tags with their file names sorted and without empty ones.

    Raises
    ------
    InvalidDatasetError
        If a tag is no word or phrase, or its file names are no list of names.
    """
    checked: dict[str, list[str]] = {}
    for tag, names in tags.items():
        check_tag(tag)
        if isinstance(names, str) or not all(isinstance(name, str) and name for name in names):
            raise InvalidDatasetError(
                f"tag {tag!r}: expected a list of file names, found {names!r}"
            )
        if names:
            checked[tag] = sorted(set(names))
    return dict(sorted(checked.items()))


def check_tag(tag: object) -> str:
    """Return `tag`, or raise `InvalidDatasetError` if nobody could read or search it."""
    if (
        not isinstance(tag, str)
        or tag != tag.strip()
        or not 0 < len(tag) <= _LONGEST
        or any(ord(char) < 32 or char == '"' for char in tag)
        or not is_whole(tag)
    ):
        raise InvalidDatasetError(
            f"tag {tag!r}: expected 1 to {_LONGEST} characters without quotes, control characters "
            f"and spaces at the ends"
        )
    return tag


def renamed(tags: Tags, old: str, new: str, *, keep_old: bool = False) -> dict[str, list[str]]:
    """Return tags after an image got another name.

    Parameters
    ----------
    keep_old : bool
        Another split has an image of the old name, which keeps its tags.
    """
    result = {}
    for tag, names in tags.items():
        if old in names:
            names = {*names, new} - (set() if keep_old else {old})
        result[tag] = sorted(names)
    return result


def tags_bytes(tags: Tags) -> bytes:
    """Return the bytes of ``tags.json``."""
    # In ASCII: names of files need not be UTF-8 and then hold lone surrogates.
    return json.dumps(check_tags(tags), indent=1).encode()


def tags_from(data: bytes, path: str) -> dict[str, list[str]]:
    """Read the bytes of ``tags.json``; `path` is for the message.

    Raises
    ------
    InvalidDatasetError
        If they are anything else.
    """
    try:
        content: Any = parse_json(data, path, _EXPECTED)
        return check_tags({tag: list(names) for tag, names in content.items()})
    except MALFORMED as error:
        raise malformed(path, _EXPECTED, error) from error
