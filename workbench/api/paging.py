"""Long lists in pages: each page is of the moment at which the first one was asked for."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.api.problems import ProblemError
from workbench.datasets.index import DatasetIndex
from workbench.datasets.manager import DatasetManager
from workbench.datasets.query import parse_query

_KEPT = 8
_SECONDS = 600.0

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Listing:
    """What a query found at one moment."""

    id: str
    dataset: str
    query: str
    index: DatasetIndex
    found: Integers
    at: float


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a listing.

    Parameters
    ----------
    index : DatasetIndex
    positions : ndarray of int64
        Of the images in it.
    total : int
        Images of the whole listing.
    next : str or None
        Cursor of the next page.
    """

    index: DatasetIndex
    positions: Integers
    total: int
    next: str | None


class Listings:
    """Keeps the last few listings, so that the next page costs no reading of the dataset.

    Parameters
    ----------
    datasets : DatasetManager
    """

    def __init__(self, datasets: DatasetManager) -> None:
        self._datasets = datasets
        self._kept: OrderedDict[str, Listing] = OrderedDict()

    async def page(self, dataset: str, query: str, cursor: str | None, limit: int) -> Page:
        """Return a page.

        Parameters
        ----------
        cursor : str or None
            `Page.next` of the page before; None for the first one.

        Raises
        ------
        QueryError
            If the query cannot be understood.
        ProblemError
            422 if the cursor is none of ours, or belongs to another list.
        """
        if cursor is None:
            listing, begin = await self._list(dataset, query), 0
        else:
            identity, begin, last = _opened(cursor, dataset, query)
            kept = self._kept.get(identity)
            if kept is None:  # forgotten: look again, and go on behind the last one
                kept = await self._list(dataset, query)
                begin = await asyncio.to_thread(_behind, kept, last, begin)
            listing = kept
        positions = listing.found[begin : begin + limit]
        end = begin + len(positions)
        following = None
        if end < len(listing.found):
            last_key = listing.index.key(int(positions[-1]))
            content = [listing.id, end, *last_key, _mark(dataset, query)]
            following = base64.urlsafe_b64encode(json.dumps(content).encode()).decode()
        return Page(listing.index, positions, len(listing.found), following)

    async def _list(self, dataset: str, query: str) -> Listing:
        parsed = parse_query(query)
        opened = await self._datasets.open(dataset)
        index = await opened.index(measured=parsed.needs_pixels)
        found = await asyncio.to_thread(parsed.run, index)
        now = time.monotonic()
        listing = Listing(secrets.token_hex(6), dataset, query, index, found, now)
        self._kept[listing.id] = listing
        old = [one.id for one in self._kept.values() if now - one.at > _SECONDS]
        for identity in old:
            del self._kept[identity]
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return listing


def _mark(dataset: str, query: str) -> list[str]:
    return [dataset, query]


def _opened(cursor: str, dataset: str, query: str) -> tuple[str, int, tuple[str, str]]:
    try:
        content = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        identity, begin, split, filename, mark = content
        if not (isinstance(begin, int) and begin > 0 and isinstance(identity, str)):
            raise ValueError(content)
    except (ValueError, TypeError, RecursionError) as error:
        raise ProblemError(
            422,
            "cursor: expected the 'next' of an earlier page, found something else; "
            "begin again without one",
            kind="invalid-cursor",
        ) from error
    if mark != _mark(dataset, query):
        raise ProblemError(
            422,
            "cursor: it belongs to another dataset or query; begin again without one",
            kind="invalid-cursor",
        )
    return identity, begin, (str(split), str(filename))


def _behind(listing: Listing, last: tuple[str, str], begin: int) -> int:
    """Return where a listing goes on behind an image; where it went on before if that is gone."""
    place = listing.index.positions([last])
    if len(place):
        found = np.flatnonzero(listing.found == place[0])
        if len(found):
            return int(found[0]) + 1
    return min(begin, len(listing.found))
