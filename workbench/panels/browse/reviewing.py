"""Suggestions as crops: which are listed, in which order, and what is decided of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np

from workbench.datasets.bulk_deciding import Decided
from workbench.datasets.changes import counted
from workbench.datasets.decided import Difference, left_as_it_is
from workbench.datasets.index import DatasetIndex
from workbench.datasets.query import parse_query
from workbench.datasets.waiting import WaitingBoxes, waiting_boxes
from workbench.panels.browse.listing import Integers, Listing, Ranges, Sieve
from workbench.panels.shared.changing import sentence
from workbench.panels.shared.status import Status
from workbench.persistence import Stores
from workbench.persistence.models import ImageKey
from workbench.persistence.suggestions import SuggestionTable


async def find_waiting(
    stores: Stores,
    dataset: str,
    index: DatasetIndex,
    text: str,
    sieve: Sieve,
    only: Sequence[ImageKey] | None,
) -> tuple[WaitingBoxes, Integers]:
    """Return what waits for review in a dataset, and the places in it of what is listed.

    Classes and areas that the query asks for are those of the suggestions.
    """
    table = await stores.image.suggestions(dataset)
    return await asyncio.to_thread(_find, index, table, text, sieve, only)


def _find(
    index: DatasetIndex,
    table: SuggestionTable,
    text: str,
    sieve: Sieve,
    only: Sequence[ImageKey] | None,
) -> tuple[WaitingBoxes, Integers]:
    waiting = waiting_boxes(index, table)
    images = np.arange(len(index)) if only is None else index.positions(only)
    places = parse_query(text).run_boxes(waiting.index, images)
    scores = waiting.scores[places]
    kept = scores >= np.float32(sieve.least)
    places, scores = places[kept], scores[kept]
    if sieve.order == "surest":
        places = places[np.argsort(-scores, kind="stable")]
    elif sieve.order == "doubtful":
        places = places[np.argsort(np.abs(scores - 0.5), kind="stable")]
    return waiting, places


def rest_of(listing: Listing, chosen: Ranges, first: int, last: int) -> tuple[list[int], list[int]]:
    """Return what waits at some places of a listing: what is not selected there, and what is."""
    is_chosen = np.zeros(len(listing), dtype=np.bool_)
    for start, end in chosen:
        is_chosen[start:end] = True
    span = slice(max(first, 0), max(last, 0))
    rows, marks = listing.rows[span], is_chosen[span]
    return rows[~marks].tolist(), rows[marks].tolist()


def on_images(
    waiting: WaitingBoxes, images: Sequence[ImageKey], *places: Sequence[int]
) -> list[list[int]]:
    """Return what of some places is on these images."""
    known = set(images)
    return [[place for place in some if waiting.key(place) in known] for some in places]


def told(decided: Decided, left: Sequence[Difference]) -> Status:
    """Return what people are told after a decision; `left`: images that were changed elsewhere."""
    done = sentence(decided.change.description)
    if not decided.left:
        return said(done, left)
    lines = tuple(f"{'/'.join(key)}: {why}" for key, why in decided.left.items())
    could_not = f"{counted(len(lines), 'image')} could not be changed"
    more = said("", left)
    text = f"{done.rstrip('.')}. {could_not}. {more.text}".strip()
    return Status(text, "problem", (*lines, *more.details))


def said(done: str, left: Sequence[Difference]) -> Status:
    """Say what was done, and what was not because it was changed since."""
    if not left:
        return Status(done)
    return Status(f"{done.rstrip('.')}. {left_as_it_is(left)}", "problem", tuple(map(str, left)))
