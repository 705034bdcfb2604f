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

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from workbench.datasets.index import DatasetIndex
from workbench.datasets.query_completion import Completion, complete
from workbench.datasets.query_conditions import Alternative, Integers, Mask, changed_ns
from workbench.datasets.query_parsing import (
    EQUAL,
    ORDERS,
    QueryError,
    Word,
    alternatives_of,
    split_words,
)
from workbench.persistence.similar import similar

__all__ = ["Completion", "Query", "QueryError", "complete", "parse_query"]

Numbers = npt.NDArray[np.int64] | npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Query:
    """A query that was understood.

    Parameters
    ----------
    text : str
        As it was typed.
    alternatives : list of Alternative
        An image is found if it meets one of them.
    order : str
        One of `ORDERS`.
    descending : bool
    needs_pixels : bool
        Whether it asks for images' width or height, see `Indexer.measure`.
    """

    text: str
    alternatives: list[Alternative] = field(default_factory=lambda: [Alternative()])
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
        return np.asarray(np.logical_or.reduce([one.matches(index) for one in self.alternatives]))

    def run_boxes(self, index: DatasetIndex, images: Integers) -> Integers:
        """Return the positions of the boxes found, in the order asked for.

        A box is judged by itself: ``class:cup area<0.01`` finds the small cups, and
        ``sort:area`` orders boxes by their own areas. What else is asked holds for the
        images that they are on.

        Parameters
        ----------
        images : ndarray of int64
            Positions of images, in order; boxes on others are left out.
        """
        rank = np.full(len(index), -1, dtype=np.int64)
        rank[images] = np.arange(len(images))
        of_box = rank[index.image_index]
        found = np.logical_or.reduce([one.matching_boxes(index) for one in self.alternatives])
        rows = np.flatnonzero(found & (of_box >= 0))
        rows = rows[np.argsort(of_box[rows], kind="stable")]
        if self.order == "area":
            areas = index.areas[rows]
            rows = rows[np.argsort(-areas if self.descending else areas, kind="stable")]
        return rows


def parse_query(text: str) -> Query:
    """Understand a query; the head of this module has the syntax.

    Raises
    ------
    QueryError
        A ``ValueError`` that says which word is wrong and what was expected.
    """
    alternatives, order, descending = [], "name", False
    words = split_words(text)
    groups = alternatives_of(words)
    for group in groups:
        alternative = Alternative()
        alternatives.append(alternative)
        for word in group:
            if word.key == "sort":
                order, descending = _order(word)
            else:
                alternative.add(word)
    if len(groups) > 1 and not all(groups):
        raise QueryError("or", 'expected words on both sides; to look for the name, write "or"')
    needs_pixels = any(word.key in {"width", "height"} for word in words)
    return Query(text, alternatives, order, descending, needs_pixels)


def _largest_area(index: DatasetIndex) -> npt.NDArray[np.float64]:
    """Return the area of each image's largest box, shape (images,); 0 without boxes."""
    largest = np.zeros(len(index))
    np.maximum.at(largest, index.image_index, index.areas)
    return largest


_SORTED_BY: dict[str, Callable[[DatasetIndex], Numbers]] = {
    "date": changed_ns,
    "size": lambda index: index.size_bytes,
    "boxes": lambda index: index.num_boxes,
    "area": _largest_area,
}


def _order(word: Word) -> tuple[str, bool]:
    value = word.value.lower()
    descending = value.startswith("-") != word.negated
    name = value.removeprefix("-")
    if name not in ORDERS or word.operator not in EQUAL:
        near = [f"sort:{order}" for order in similar(name, ORDERS)]
        raise QueryError(word.text, f"expected sort: and one of {', '.join(ORDERS)}", near)
    return name, descending
