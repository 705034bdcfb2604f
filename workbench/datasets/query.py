"""The images of a dataset that somebody asks for: ``class:person boxes>3 -tag:blurry``.

========================================  ==================================================
``night``, ``"my cat"``                   in the file's name (in any case of letters)
``split:val``                             in this split
``class:person``, ``class:"red cell"``    with a box of this class (a name, or an id)
``boxes>3``, ``boxes=0``                  by number of boxes
``area<0.01``                             with a box whose part of the image's area is so
``width>1000``, ``height<=480``           by pixels
``size>1mb``                              by size of the file: b, kb, mb, gb (powers of 1000)
``unlabelled``, ``background``,           by state
``labelled``, ``unreadable``
``predicted``                             predictions wait for review
``tag:NAME``                              tagged so
``modified:today``, ``yesterday``,        by day of the last change of image or labels;
``week``, ``2024-05-31``                  also ``modified>2024-05-31``
``sort:-boxes``                           in this order, the minus for descending: name, date,
                                          size, boxes, area, similarity
========================================  ==================================================

All words must hold, with or without ``and`` between them; ``-`` or ``not`` before a word
negates it; ``or`` stands between alternatives, and binds less than the words on its sides:
``class:cat split:val or tag:odd``. What stands in quotes has no other meaning than itself:
``"or"`` looks for a name. Spaces around ``:`` and comparisons do not matter, nor does which of
``:``, ``=`` and ``==`` is typed; ``class!=cat`` is ``-class:cat``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import numpy as np
import numpy.typing as npt

from workbench.datasets.index import STATES, DatasetIndex
from workbench.datasets.query_completion import Completion, complete
from workbench.datasets.query_parsing import (
    AMERICAN,
    DAYS,
    KEYS,
    MEASURES,
    ORDERS,
    QueryError,
    Word,
    quote,
    similar,
    split_words,
)
from workbench.persistence.models import SPLITS

__all__ = ["Completion", "Query", "QueryError", "complete", "parse_query"]

Mask = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.int64] | npt.NDArray[np.float64]
Condition = Callable[[DatasetIndex], Mask]

UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}

_COMPARE: dict[str, Callable[[npt.NDArray[np.generic], float], Mask]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "=": np.equal,
    ":": np.equal,
}
_EQUAL = (":", "=")
_LISTED = 12


@dataclass(frozen=True, slots=True)
class Query:
    """A query that was understood.

    Parameters
    ----------
    text : str
        As it was typed.
    alternatives : list of list of Condition
        An image is found if all conditions of one of them hold.
    order : str
        One of `ORDERS`.
    descending : bool
    needs_pixels : bool
        Whether it asks for images' width or height, see `Indexer.measure`.
    """

    text: str
    alternatives: list[list[Condition]] = field(default_factory=lambda: [[]])
    order: str = "name"
    descending: bool = False
    needs_pixels: bool = False

    def run(self, index: DatasetIndex) -> Integers:
        """Return the positions of the images found, in the order asked for.

        Raises
        ------
        QueryError
            If the dataset has no such class or tag, or what is asked for is not known of
            its images yet (sizes in pixels, similarity).
        """
        found = self.matches(index)
        if self.order == "name":
            positions = np.flatnonzero(found)
            return positions[::-1] if self.descending else positions
        if self.order == "similarity":
            if index.order_by_similarity is None:
                raise QueryError("sort:similarity", "the images have not been compared yet")
            positions = index.order_by_similarity
            positions = positions[found[positions]]
            return positions[::-1] if self.descending else positions
        positions = np.flatnonzero(found)
        values = _SORTED_BY[self.order](index)[positions]
        # Equal ones stay in order of name, also in descending order.
        return positions[np.argsort(-values if self.descending else values, kind="stable")]

    def matches(self, index: DatasetIndex) -> Mask:
        """Return which images are found, shape (images,)."""
        found = np.zeros(len(index), dtype=np.bool_)
        for conditions in self.alternatives:
            one = np.ones(len(index), dtype=np.bool_)
            for condition in conditions:
                one &= condition(index)
            found |= one
        return found


def parse_query(text: str) -> Query:
    """Understand a query; the head of this module has the syntax.

    Raises
    ------
    QueryError
        A ``ValueError`` that says which word is wrong and what was expected.
    """
    alternatives: list[list[Condition]] = [[]]
    filled, order, descending = [False], "name", False
    words = split_words(text)
    for word in words:
        if word.text.lower() == "or":
            alternatives.append([])
            filled.append(False)
            continue
        filled[-1] = True
        if word.key == "sort":
            order, descending = _order(word)
        else:
            condition = _condition(word)
            alternatives[-1].append(_negated(condition) if word.negated else condition)
    if len(filled) > 1 and not all(filled):
        raise QueryError("or", 'expected words on both sides; to look for the name, write "or"')
    needs_pixels = any(word.key in {"width", "height"} for word in words)
    return Query(text, alternatives, order, descending, needs_pixels)


def _negated(condition: Condition) -> Condition:
    return lambda index: ~condition(index)


def _condition(word: Word) -> Condition:
    """Return what a word asks of an image."""
    if not word.key:
        return _flag_or_name(word)
    if word.key in MEASURES:
        return _measure(word)
    if word.key == "modified":
        return _modified(word)
    known = {"split": _split, "class": _class, "tag": _tag}
    if word.key not in known:
        choices = [f"{key}:" for key in KEYS] + [f"{name}>" for name in MEASURES]
        raise QueryError(
            word.text,
            f"expected one of {', '.join(choices)}, or the text in quotes to look for a name",
            similar(f"{word.key}:", choices),
        )
    if word.operator not in _EQUAL:
        raise QueryError(word.text, f"expected {word.key}:{word.value or 'NAME'}")
    if not word.value:
        raise QueryError(word.text, f"expected a name behind {word.key}:")
    return known[word.key](word)


def _flag_or_name(word: Word) -> Condition:
    value = word.value.lower()
    if not word.quoted:
        value = AMERICAN.get(value, value)
    if not word.quoted and value in STATES:
        state = STATES.index(value)
        return lambda index: index.state == state
    if not word.quoted and value == "predicted":
        return lambda index: index.predicted
    return lambda index: _in_name(index, value)


def _in_name(index: DatasetIndex, value: str) -> Mask:
    if not value.isascii():
        # An accent is one character or two, as the system likes that the file comes from.
        value = unicodedata.normalize("NFC", value)
        names = (unicodedata.normalize("NFC", name).lower() for name in index.filenames)
        return np.array([value in name for name in names], dtype=np.bool_)
    return np.array([value in name for name in map(str.lower, index.filenames)], dtype=np.bool_)


def _split(word: Word) -> Condition:
    value = word.value.lower()
    if value not in SPLITS:
        expected = f"expected one of {', '.join(SPLITS)}"
        raise QueryError(word.text, expected, [f"split:{s}" for s in similar(value, SPLITS)])
    number = SPLITS.index(value)
    return lambda index: index.split == number


def _class(word: Word) -> Condition:
    def condition(index: DatasetIndex) -> Mask:
        ids = class_ids(index, word.value)
        if not ids:
            near = [f"class:{quote(name)}" for name in similar(word.value, index.classes)]
            raise QueryError(word.text, f"the classes are {_listed(index.classes)}", near)
        found = np.zeros(len(index), dtype=np.bool_)
        found[index.image_index[np.isin(index.class_id, ids)]] = True
        return found

    return condition


def class_ids(index: DatasetIndex, name: str) -> list[int]:
    """Return the ids of the class that is called so: exactly, in another case, or by its id."""
    exact = [i for i, known in enumerate(index.classes) if known == name]
    alike = [i for i, known in enumerate(index.classes) if known.lower() == name.lower()]
    numbered = [int(name)] if name.isdecimal() and int(name) < len(index.classes) else []
    return exact or alike or numbered


def _tag(word: Word) -> Condition:
    def condition(index: DatasetIndex) -> Mask:
        for tag, tagged in index.tags.items():
            if tag.lower() == word.value.lower():
                return tagged
        near = [f"tag:{quote(tag)}" for tag in similar(word.value, list(index.tags))]
        raise QueryError(word.text, f"the tags are {_listed(index.tags)}", near)

    return condition


def _listed(names: Collection[str]) -> str:
    """Return the first of many names, in words."""
    first = ", ".join(list(names)[:_LISTED])
    more = len(names) - _LISTED
    return f"{first} and {more:,} more" if more > 0 else first or "none yet"


def _measure(word: Word) -> Condition:
    compare, limit = _COMPARE[word.operator], _number(word)

    def condition(index: DatasetIndex) -> Mask:
        if word.key == "area":
            found = np.zeros(len(index), dtype=np.bool_)
            areas = index.boxes[:, 2] * index.boxes[:, 3]
            found[index.image_index[compare(areas, limit)]] = True
            return found
        if word.key == "boxes":
            return compare(index.num_boxes, limit)
        if word.key == "size":
            return compare(index.size_bytes, limit)
        if len(index) and not index.measured:
            raise QueryError(word.text, "the images' sizes in pixels have not been read yet")
        pixels = index.width if word.key == "width" else index.height
        return compare(pixels, limit) & (pixels > 0)

    return condition


def _number(word: Word) -> float:
    text = word.value.lower()
    digits = text.rstrip("kmgb")
    unit = text[len(digits) :]
    known = UNITS if word.key == "size" else {"": 1}
    try:
        value = float(digits)
    except ValueError:
        value = float("nan")
    if unit not in known or not np.isfinite(value):
        sign = word.operator.replace(":", ">")
        example = "size>1.5mb" if word.key == "size" else f"{word.key}{sign}3"
        raise QueryError(word.text, f"expected a number, as in {example}")
    return value * known[unit]


def _modified(word: Word) -> Condition:
    first, last = _days(word)
    begin, end = _nanoseconds(first), _nanoseconds(last + timedelta(days=1))
    within: dict[str, Callable[[Integers], Mask]] = {
        ":": lambda changed: (begin <= changed) & (changed < end),
        "=": lambda changed: (begin <= changed) & (changed < end),
        "<": lambda changed: changed < begin,
        "<=": lambda changed: changed < end,
        ">": lambda changed: changed >= end,
        ">=": lambda changed: changed >= begin,
    }
    return lambda index: within[word.operator](_changed_ns(index))


def _days(word: Word) -> tuple[date, date]:
    """Return the first and last day that a word names, in local time."""
    today, value = datetime.now().astimezone().date(), word.value.lower()
    if value == "today":
        return today, today
    if value == "yesterday":
        return today - timedelta(days=1), today - timedelta(days=1)
    if value == "week":
        return today - timedelta(days=6), today
    try:
        day = date.fromisoformat(value)
    except ValueError:
        near = [f"modified:{name}" for name in similar(value, DAYS)]
        expected = f"expected {', '.join(DAYS)} or a day such as 2024-05-31"
        raise QueryError(word.text, expected, near) from None
    return day, day


def _nanoseconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day).astimezone().timestamp()) * 10**9


def _changed_ns(index: DatasetIndex) -> Integers:
    return np.maximum(index.modified_ns, index.label_modified_ns)


def _largest_area(index: DatasetIndex) -> npt.NDArray[np.float64]:
    """Return the area of each image's largest box, shape (images,); 0 without boxes."""
    largest = np.zeros(len(index))
    np.maximum.at(largest, index.image_index, index.boxes[:, 2] * index.boxes[:, 3])
    return largest


_SORTED_BY: dict[str, Callable[[DatasetIndex], Numbers]] = {
    "date": _changed_ns,
    "size": lambda index: index.size_bytes,
    "boxes": lambda index: index.num_boxes,
    "area": _largest_area,
}


def _order(word: Word) -> tuple[str, bool]:
    value = word.value.lower()
    descending = value.startswith("-") != word.negated
    name = value.removeprefix("-")
    if name not in ORDERS or word.operator not in _EQUAL:
        near = [f"sort:{order}" for order in similar(name, ORDERS)]
        raise QueryError(word.text, f"expected sort: and one of {', '.join(ORDERS)}", near)
    return name, descending
