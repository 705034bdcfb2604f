"""What the words of a query ask: of each image, and of each box."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import numpy as np
import numpy.typing as npt

from workbench.datasets.index import STATES, DatasetIndex
from workbench.datasets.query_parsing import (
    DAYS,
    EQUAL,
    KEYS,
    MEASURES,
    QueryError,
    Word,
    quote,
)
from workbench.persistence.models import SPLITS
from workbench.persistence.similar import similar

Mask = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Condition = Callable[[DatasetIndex], Mask]
"""Which images, shape (images,), or which boxes, shape (boxes,)."""

UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}

_COMPARE: dict[str, Callable[[npt.NDArray[np.generic], float], Mask]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "=": np.equal,
    ":": np.equal,
}
_LISTED = 12


@dataclass(frozen=True, slots=True)
class Alternative:
    """What stands between two ``or``: images must meet all of its conditions.

    Parameters
    ----------
    images : list of Condition
    classes, areas : list of Condition
        What is asked of boxes: of one that is shown by itself one of the former, and all
        of the latter.
    """

    images: list[Condition] = field(default_factory=list)
    classes: list[Condition] = field(default_factory=list)
    areas: list[Condition] = field(default_factory=list)

    def add(self, word: Word) -> None:
        """Take up a word; raises `QueryError` if it cannot be understood."""
        condition = _condition(word)
        self.images.append(_negated(condition) if word.negated else condition)
        if word.key == "class" and not word.negated:
            self.classes.append(lambda index: _of_class(index, word))
        if word.key == "area":
            of_boxes = _area(word)
            self.areas.append(_negated(of_boxes) if word.negated else of_boxes)

    def matches(self, index: DatasetIndex) -> Mask:
        """Return which images meet it, shape (images,)."""
        found = np.ones(len(index), dtype=np.bool_)
        for condition in self.images:
            found &= condition(index)
        return found

    def matching_boxes(self, index: DatasetIndex) -> Mask:
        """Return which boxes meet it, shape (boxes,): each by itself, on images that do."""
        found = self.matches(index)[index.image_index]
        for condition in self.areas:
            found &= condition(index)
        if self.classes:
            found &= np.logical_or.reduce([condition(index) for condition in self.classes])
        return found


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
    if word.operator not in EQUAL:
        raise QueryError(word.text, f"expected {word.key}:{word.value or 'NAME'}")
    if not word.value:
        raise QueryError(word.text, f"expected a name behind {word.key}:")
    return known[word.key](word)


def _flag_or_name(word: Word) -> Condition:
    if word.flag == "predicted":
        return lambda index: index.predicted
    if word.flag:
        state = STATES.index(word.flag)
        return lambda index: index.state == state
    return lambda index: in_name(index.filenames, word.value)


def in_name(names: Collection[str], text: str) -> Mask:
    """Return which names hold a text, in any case of letters."""
    text = text.lower()
    if text.isascii():
        found = (text in name for name in map(str.lower, names))
    else:
        # An accent is one character or two, as the system likes that the file comes from.
        text = unicodedata.normalize("NFC", text)
        found = (text in unicodedata.normalize("NFC", name).lower() for name in names)
    return np.fromiter(found, np.bool_, len(names))


def _split(word: Word) -> Condition:
    value = word.value.lower()
    if value not in SPLITS:
        expected = f"expected one of {', '.join(SPLITS)}"
        raise QueryError(word.text, expected, [f"split:{s}" for s in similar(value, SPLITS)])
    number = SPLITS.index(value)
    return lambda index: index.split == number


def _class(word: Word) -> Condition:
    return lambda index: _with_boxes(index, _of_class(index, word))


def _of_class(index: DatasetIndex, word: Word) -> Mask:
    """Return which boxes are of the class that a word names, shape (boxes,)."""
    ids = _class_ids(index, word.value)
    if not ids:
        near = [f"class:{quote(name)}" for name in similar(word.value, index.classes)]
        raise QueryError(word.text, f"the classes are {_listed(index.classes)}", near)
    return np.isin(index.class_id, ids)


def _with_boxes(index: DatasetIndex, boxes: Mask) -> Mask:
    """Return which images have one of these boxes or more, shape (images,)."""
    found = np.zeros(len(index), dtype=np.bool_)
    found[index.image_index[boxes]] = True
    return found


def _class_ids(index: DatasetIndex, name: str) -> list[int]:
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


def _area(word: Word) -> Condition:
    """Return what a word asks of the area of boxes."""
    compare, limit = _COMPARE[word.operator], _number(word)
    return lambda index: compare(index.areas, limit)


def _measure(word: Word) -> Condition:
    if word.key == "area":
        of_boxes = _area(word)
        return lambda index: _with_boxes(index, of_boxes(index))
    compare, limit = _COMPARE[word.operator], _number(word)

    def condition(index: DatasetIndex) -> Mask:
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
    return lambda index: within[word.operator](changed_ns(index))


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


def changed_ns(index: DatasetIndex) -> Integers:
    """Return when each image or its labels changed last, shape (images,)."""
    return np.maximum(index.modified_ns, index.label_modified_ns)
