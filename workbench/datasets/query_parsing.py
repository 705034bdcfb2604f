"""From what somebody types to words of a query: splitting, quoting, and saying what is wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from workbench.datasets.index import STATES
from workbench.errors import WorkbenchError

KEYS = ("split", "class", "tag", "modified", "sort")
MEASURES = ("boxes", "area", "width", "height", "size")
FLAGS = (*STATES, "predicted")
AMERICAN = {"unlabeled": "unlabelled", "labeled": "labelled"}
CONNECTIVES = ("and", "or", "not")
ORDERS = ("name", "date", "size", "boxes", "area", "similarity")
EQUAL = (":", "=")
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
        if not self.suggestions:
            return f"{self.word}: {self.problem}"
        # First what helps most: where the message is shown, its end may be cut off.
        return f"{self.word}: did you mean {' or '.join(self.suggestions)}? ({self.problem})"


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
        ``class:person`` is ``"class"``, ``":"`` and ``"person"``; ``boxes>=3``,
        ``boxes >= 3`` and ``boxes:>=3`` are ``"boxes"``, ``">="`` and ``"3"``. ``==`` is
        ``"="``, and ``!=`` its negation. A plain word has its text as value, and neither key
        nor operator.
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

    @property
    def flag(self) -> str:
        """The one of `FLAGS` that it is; empty if it is none."""
        value = AMERICAN.get(self.value.lower(), self.value.lower())
        return value if not (self.key or self.quoted) and value in FLAGS else ""


# A word is what stands between spaces; quotes (with \ before a quote or \ inside) hold it
# together. So does a comparison that is typed as in a formula: ``boxes > 3``.
_OPERATOR = r":?(?:<=|>=|==|!=|<|>|=)|:"
_VALUE = r'(?:"(?:\\.|[^"\\])*"?|[^\s"])'
_SPACED = rf"(?<!\S)-?(?:{'|'.join((*KEYS, *MEASURES))})\s*(?:{_OPERATOR})\s*"
_WORD = re.compile(rf"{_SPACED}{_VALUE}*|{_VALUE}+", re.IGNORECASE | re.DOTALL)
_PARTS = re.compile(rf"(-?)([A-Za-z_]+)\s*({_OPERATOR})\s*(.*)", re.DOTALL)
_QUOTED = re.compile(r'"((?:\\.|[^"\\])*)("?)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_NEEDS_QUOTES = re.compile(r'[\s"\\]|^$|^[<>=!]')


def split_words(text: str) -> list[Word]:
    """Split a query into words; ``not`` goes into the word behind it, ``and`` says nothing.

    Raises
    ------
    QueryError
        If a quote is not closed, or ``and`` or ``not`` stands where it can mean nothing.
    """
    words = [read_word(found.group(), found.start()) for found in _WORD.finditer(text)]
    for word in words:
        if any(not found.group(2) for found in _QUOTED.finditer(word.text)):
            raise QueryError(word.text, 'expected a closing quote: "')
    return _without_connectives(words)


def word_before(text: str, cursor: int) -> Word:
    """Return the word that ends at the cursor; one without text if there is none."""
    words = list(_WORD.finditer(text[:cursor]))
    if not words or words[-1].end() < cursor:
        return read_word("", cursor)
    return read_word(words[-1].group(), words[-1].start())


def _without_connectives(words: Sequence[Word]) -> list[Word]:
    kept: list[Word] = []
    waiting: Word | None = None  # an "and" or "not" that lacks what belongs behind it
    for word in words:
        name = word.text.lower()
        follows_and = waiting is not None and waiting.text.lower() == "and"
        if waiting is not None and name in CONNECTIVES and not (name == "not" and follows_and):
            raise _stray(waiting)
        if name == "and" and (not kept or kept[-1].text.lower() == "or"):
            raise _stray(word)
        if name in ("and", "not"):
            waiting = word
            continue
        if waiting is not None and not follows_and:
            text = f"{waiting.text} {word.text}"
            word = replace(word, text=text, start=waiting.start, negated=not word.negated)
        kept.append(word)
        waiting = None
    if waiting is not None:
        raise _stray(waiting)
    return kept


def _stray(word: Word) -> QueryError:
    where = "behind it" if word.text.lower() == "not" else "on both sides"
    expected = f'expected words {where}; to look for the name, write "{word.text.lower()}"'
    return QueryError(word.text, expected)


def read_word(text: str, start: int) -> Word:
    """Take one word apart; its quotes may be unclosed while somebody is typing."""
    parts = _PARTS.fullmatch(text)
    if parts is not None:
        minus, key, operator, value = parts.groups()
        operator = operator.lstrip(":") or ":"
    else:
        minus = "-" if len(text) > 1 and text[0] == "-" else ""
        key, operator, value = "", "", text[len(minus) :]
    is_unequal = operator == "!="
    return Word(
        text=text,
        start=start,
        end=start + len(text),
        negated=bool(minus) != is_unequal,
        key=key.lower(),
        operator="=" if is_unequal or operator == "==" else operator,
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


def alternatives_of(words: Sequence[Word]) -> list[list[Word]]:
    """Return the words between each ``or`` and the next; one list if there is none."""
    alternatives: list[list[Word]] = [[]]
    for word in words:
        if word.text.lower() == "or":
            alternatives.append([])
        else:
            alternatives[-1].append(word)
    return alternatives
