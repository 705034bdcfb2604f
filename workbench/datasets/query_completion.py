"""What may follow in a half-typed query."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from workbench.datasets.index import DatasetIndex
from workbench.datasets.query_parsing import (
    AMERICAN,
    DAYS,
    FLAGS,
    KEYS,
    MEASURES,
    ORDERS,
    quote,
    read_word,
    word_before,
)
from workbench.persistence.models import SPLITS

LIMIT = 20
"""How many completions are offered at most."""

_REST_OF_WORD = re.compile(r"[^\s\"]*")


@dataclass(frozen=True, slots=True)
class Completion:
    """One way to go on.

    Parameters
    ----------
    insert : str
        What to put in the place of ``text[start:end]``.
    label : str
        What to show for it: the same, and how many images it would find where that is known.
    start, end : int
    """

    insert: str
    label: str
    start: int
    end: int


def complete(text: str, cursor: int, index: DatasetIndex) -> list[Completion]:
    """Return what may be meant by the word at the cursor, at most `LIMIT`.

    Parameters
    ----------
    text : str
    cursor : int
        Number of characters before the cursor.
    """
    cursor = max(0, min(cursor, len(text)))
    typed = word_before(text, cursor)
    start = typed.start
    rest = _REST_OF_WORD.match(text, cursor)
    end = rest.end() if rest is not None else cursor
    minus = "-" if typed.text.startswith("-") else ""
    word = read_word(typed.text[len(minus) :], start)
    if word.operator:
        choices = _matching(word.key, f"{word.key}{word.operator}", word.value, index)
    else:
        choices = _beginnings(word.value)
        if word.value:  # somebody may type the name of a class or tag and nothing else
            for key in ("class", "tag"):
                choices += _matching(key, f"{key}:", word.value, index)
    return [
        Completion(minus + insert, minus + label, start, end)
        for insert, label in choices[:LIMIT]
        if minus + insert != text[start:end]
    ]


def _beginnings(typed: str) -> list[tuple[str, str]]:
    words = [f"{key}:" for key in KEYS] + [*FLAGS] + [f"{name}>" for name in MEASURES]
    found = [word for word in words if word.startswith(typed.lower())]
    for american, flag in AMERICAN.items():
        if american.startswith(typed.lower()) and flag not in found:
            found.append(flag)
    return [(word, word) for word in found]


def _matching(key: str, prefix: str, typed: str, index: DatasetIndex) -> list[tuple[str, str]]:
    return [
        (prefix + quote(value), f"{prefix}{quote(value)}{_counted(count)}")
        for value, count in _values(key, index)
        if _begins(value, typed)
    ]


def _begins(value: str, typed: str) -> bool:
    # Also a later part of it: "cell" finds "red cell".
    value, typed = value.lower(), typed.lower()
    return value.startswith(typed) or any(
        part.startswith(typed) for part in re.split(r"[\s_\-]+", value)
    )


def _values(key: str, index: DatasetIndex) -> Iterable[tuple[str, int | None]]:
    """Return what may stand behind a key, with the number of boxes or images it stands for."""
    if key == "split":
        return [(split, int((index.split == i).sum())) for i, split in enumerate(SPLITS)]
    if key == "class":
        counts = np.bincount(index.class_id, minlength=len(index.classes)).tolist()
        return list(zip(index.classes, counts, strict=False))
    if key == "tag":
        return [(tag, int(tagged.sum())) for tag, tagged in sorted(index.tags.items())]
    if key == "modified":
        return [(day, None) for day in DAYS]
    if key == "sort":
        return [(sign + order, None) for order in ORDERS for sign in ("", "-")]
    return []


def _counted(count: int | None) -> str:
    return "" if count is None else f"  ({count:,})"
