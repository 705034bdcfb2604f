"""From what somebody types to words of a query: splitting, quoting, and saying what is wrong."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.datasets.index import STATES
from workbench.errors import WorkbenchError

KEYS = ("split", "class", "tag", "modified", "sort")
MEASURES = ("boxes", "area", "width", "height", "size")
FLAGS = (*STATES, "predicted")
ORDERS = ("name", "date", "size", "boxes", "area", "similarity")
DAYS = ("today", "yesterday", "week")


class QueryError(WorkbenchError, ValueError):
    """A query that cannot be understood.

    Parameters
    ----------
    word : str
        The word that is wrong, as it was typed.
    problem : str
        What was expected.
    suggestions : sequence of str
        What may have been meant.
    """

    def __init__(self, word: str, problem: str, suggestions: Sequence[str] = ()) -> None:
        self.word = word
        self.problem = problem
        self.suggestions = list(suggestions)
        super().__init__(word, problem, self.suggestions)

    def __str__(self) -> str:
        meant = f"; did you mean {' or '.join(self.suggestions)}?" if self.suggestions else ""
        return f"{self.word}: {self.problem}{meant}"


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a query.

    Parameters
    ----------
    text : str
        As it was typed.
    start, end : int
        Where it stands in the query.
    negated : bool
        Whether a minus stands before it.
    key, operator, value : str
        ``class:person`` is ``"class"``, ``":"`` and ``"person"``; ``boxes>=3`` is
        ``"boxes"``, ``">="`` and ``"3"``. A plain word has its text as value, and neither
        key nor operator.
    quoted : bool
        Whether the value, or some of it, stood in quotes.
    """

    text: str
    start: int
    end: int
    negated: bool
    key: str
    operator: str
    value: str
    quoted: bool = False


# A word is what stands between spaces; quotes (with \ before a quote or \ inside) hold it together.
_WORD = re.compile(r'(?:"(?:\\.|[^"\\])*"?|[^\s"])+')
_PARTS = re.compile(r"(-?)([A-Za-z_]+)(:|<=|>=|<|>|=)(.*)", re.DOTALL)
_QUOTED = re.compile(r'"((?:\\.|[^"\\])*)("?)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_NEEDS_QUOTES = re.compile(r'[\s"\\]|^$')


def split_words(text: str) -> list[Word]:
    """Split a query into words.

    Raises
    ------
    QueryError
        If a quote is not closed.
    """
    words = [read_word(found.group(), found.start()) for found in _WORD.finditer(text)]
    for word in words:
        if any(not found.group(2) for found in _QUOTED.finditer(word.text)):
            raise QueryError(word.text, 'expected a closing quote: "')
    return words


def read_word(text: str, start: int) -> Word:
    """Take one word apart; its quotes may be unclosed while somebody is typing."""
    parts = _PARTS.fullmatch(text)
    if parts is not None:
        minus, key, operator, value = parts.groups()
    else:
        minus = "-" if len(text) > 1 and text[0] == "-" else ""
        key, operator, value = "", "", text[len(minus) :]
    return Word(
        text=text,
        start=start,
        end=start + len(text),
        negated=bool(minus),
        key=key.lower(),
        operator=operator,
        value=_QUOTED.sub(lambda found: _ESCAPED.sub(r"\1", found.group(1)), value),
        quoted='"' in value,
    )


def quote(value: str) -> str:
    """Return a value as it must be typed: in quotes if it needs them.

    ``class:`` + ``quote("red cell")`` is ``class:"red cell"``.
    """
    if not _NEEDS_QUOTES.search(value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def similar(text: str, choices: Sequence[str]) -> list[str]:
    """Return the choices that a mistyped text is most like."""
    by_lower = {choice.lower(): choice for choice in choices}
    found = difflib.get_close_matches(text.lower(), list(by_lower), n=3, cutoff=0.6)
    return [by_lower[choice] for choice in found]
