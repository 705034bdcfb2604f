"""Which images with suggestions to review first: what teaches a model most, or what is safest.

Three things make an image worth a look, and each is said as the reason where it is the greatest:

*doubt*
    suggestions that the model is neither sure of nor sure against: a score of 50 % counts 1, one
    of 0 or 100 % nothing;
*disagreement*
    where several sources have looked: boxes that one has and another has not;
*rare classes*
    doubt about a class counts more, the fewer labels there are of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from workbench import geometry
from workbench.datasets.changes import counted
from workbench.persistence import DataStores
from workbench.persistence.models import ImageKey
from workbench.persistence.suggestions import Suggestion, SuggestionTable

Order = Literal["teaching", "safest"]
ORDERS: tuple[Order, ...] = ("teaching", "safest")

_LIKELY = 0.25
_SAME = 0.5
_DOUBTFUL = 0.5
_MOST_FOR_RARE = 3.0


@dataclass(frozen=True, slots=True)
class Queued:
    """An image that waits for review.

    Parameters
    ----------
    key : (str, str)
        Split and file name.
    value : float
        What it is ordered by, the highest first.
    reason : str
        Why it stands where it does, for people.
    """

    key: ImageKey
    value: float
    reason: str


async def review_queue(
    stores: DataStores, dataset: str, split: str | None = None, *, order: Order = "teaching"
) -> list[Queued]:
    """Return the images with suggestions that nobody has labelled, the most useful first.

    Parameters
    ----------
    stores : DataStores
    dataset : str
    split : str, optional
        Default: all.
    order : str
        ``"teaching"``: what a model learns most from; ``"safest"``: where the model is sure of
        all its boxes, for quick wins.

    Raises
    ------
    ValueError
        If there is no such order.
    NotFoundError
        If there is no such dataset.
    """
    if order not in ORDERS:
        raise ValueError(f"order: expected one of {', '.join(ORDERS)}; found {order!r}")
    info = await stores.dataset.get(dataset)
    table = await stores.image.suggestions(dataset)
    labels = await stores.label.load_all(dataset)
    labelled = {
        (labels.splits[place], labels.filenames[place])
        for place in np.flatnonzero(labels.labelled).tolist()
    }
    weights = class_weights(labels.class_counts(len(info.classes)))
    queued = []
    for key in table.images:
        if key in labelled or (split is not None and key[0] != split):
            continue
        found = table.of(*key)
        likely = [one for one in found if one.confidence >= _LIKELY]
        if order == "teaching" and found:
            queued.append(_teaching(key, found, likely, table, weights, info.classes))
        elif order == "safest" and likely:
            queued.append(_safest(key, found, likely))
    return sorted(queued, key=lambda one: (-one.value, one.key))


def class_weights(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return how much a class counts: 1 for the most frequent, up to 3 for the rarest."""
    if not len(counts) or not counts.max():
        return np.ones(len(counts))
    ratio = counts.max() / np.maximum(counts, 1)
    return np.asarray(np.minimum(np.sqrt(ratio), _MOST_FOR_RARE), dtype=np.float64)


def _teaching(
    key: ImageKey,
    found: Sequence[Suggestion],
    likely: Sequence[Suggestion],
    table: SuggestionTable,
    weights: npt.NDArray[np.float64],
    classes: Sequence[str],
) -> Queued:
    doubts = [_doubt(one) for one in found]
    plain = sum(doubts)
    rare = [d * (weights[one.class_id] - 1) for d, one in zip(doubts, found, strict=True)]
    sources = [source.id for source in table.sources if key in table.looked_at[source.id]]
    disputed = _disputed(likely, sources)
    value = plain + sum(rare) + disputed
    in_doubt = sum(doubt >= _DOUBTFUL for doubt in doubts)
    reasons = {
        f"{counted(in_doubt, 'box', 'boxes')} in doubt": plain,
        f"{counted(disputed, 'box', 'boxes')} on which sources disagree": float(disputed),
    }
    if any(rare):
        rarest = found[int(np.argmax(rare))]
        reasons[f"few labels of {classes[rarest.class_id]}"] = sum(rare)
    return Queued(key, value, max(reasons, key=lambda reason: reasons[reason]))


def _safest(key: ImageKey, found: Sequence[Suggestion], likely: Sequence[Suggestion]) -> Queued:
    least = min(one.confidence for one in likely)
    reason = f"{counted(len(likely), 'box', 'boxes')}, the least sure {least:.0%}"
    return Queued(key, -sum(map(_doubt, found)) / len(likely), reason)


def _doubt(one: Suggestion) -> float:
    return 1 - abs(2 * one.confidence - 1)


def _disputed(likely: Sequence[Suggestion], sources: Sequence[str]) -> int:
    """Count the boxes that some of the sources that have looked do not have."""
    if len(sources) < 2 or not likely:
        return 0
    corners = geometry.xywh_to_xyxy([one.xywh for one in likely])
    same = geometry.iou(corners, corners) >= _SAME
    disputed = 0
    for place, one in enumerate(likely):
        agreeing = {
            other.source
            for near, other in zip(same[place].tolist(), likely, strict=True)
            if near and other.class_id == one.class_id
        }
        disputed += len(agreeing) < len(sources)
    return disputed
