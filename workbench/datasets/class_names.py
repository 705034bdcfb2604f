"""Names of classes that may mean the same."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_ALIKE = 0.85
_SHORTEST = 4
_DIGITS = re.compile(r"\d+")


def plain_name(name: str) -> str:
    """Return a name without case, separators, an article and a plural's s."""
    words = re.sub(r"[\W_]+", " ", name.casefold()).split()
    if words and words[0] in {"a", "an", "the"} and len(words) > 1:
        words = words[1:]
    return " ".join(word[:-1] if len(word) > 3 and word.endswith("s") else word for word in words)


def near_name(name: str, others: Iterable[str]) -> str | None:
    """Return the name among others that may mean the same as one that is none of them.

    One that differs in case, separators or a plural comes before one that is spelt alike.
    """
    by_plain: dict[str, str] = {}
    for other in others:
        by_plain.setdefault(plain_name(other), other)
    wanted = plain_name(name)
    if wanted in by_plain:
        return by_plain[wanted]
    if len(wanted) < _SHORTEST:
        return None
    for found in difflib.get_close_matches(wanted, by_plain, cutoff=_ALIKE):
        if _DIGITS.findall(found) == _DIGITS.findall(wanted):  # class 1 is not class 2
            return by_plain[found]
    return None


def how_they_differ(name: str, other: str) -> str:
    """Return in words how two names that may mean the same differ."""
    if name.casefold() == other.casefold():
        return "in upper and lower case only"
    return "little" if plain_name(name) != plain_name(other) else "in signs or a plural only"
