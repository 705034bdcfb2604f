"""What plans say to choose in Python, in the words of the page that has a field for it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

Choice = tuple[str, str, Sequence[tuple[str, str]]]
"""Key of a choice, its label on the page, and its values with their words."""

_CHOOSE = re.compile(r"choose (\w+)='([\w-]+)'(?: \(or '([\w-]+)'\))?")
_TAKES = re.compile(r"\((\w+)='(\w+)' takes ([^()]+)\)")
_RENAME = re.compile(r"choose classes=\{'(.+?)': '(.+?)'\}")
_ENCODING = "choose encoding= for another"
_IGNORE = " (unknown='ignore')"


def in_page_words(text: str, choices: Sequence[Choice]) -> str:
    """Return a sentence of a plan with the page's labels in the place of keywords.

    Parameters
    ----------
    text : str
    choices : sequence of Choice
        Those that the page can have; others stay as they are.
    """
    known = {key: (label, dict(values)) for key, label, values in choices}

    def choose(found: re.Match[str]) -> str:
        values = [value for value in found.groups()[1:] if value is not None]
        field = _field(known, found[1], values)
        return f"choose {field}" if field else found[0]

    def takes(found: re.Match[str]) -> str:
        field = _field(known, found[1], [found[2]])
        return f"({field} takes {found[3]})" if field else found[0]

    text = _TAKES.sub(takes, _CHOOSE.sub(choose, text))
    text = _RENAME.sub(r"call '\1' '\2' above", text)
    if "encoding" in known:
        text = text.replace(_ENCODING, f"choose another for “{known['encoding'][0]}”")
    return text.replace(_IGNORE, "")


def _field(
    known: Mapping[str, tuple[str, Mapping[str, str]]], key: str, values: Sequence[str]
) -> str:
    """Return what a page calls a choice and its values; empty if it has none such."""
    label, words = known.get(key, ("", {}))
    if not label or not words.keys() >= set(values):
        return ""
    return f"“{label}: {' or '.join(words[value] for value in values)}”"
