"""Suggestions that wait for review, and what a person decides of them, without a panel.

Accepting is an edit of the labels like any other: it names the source in the history, and
undoing it brings the suggestion back. What is rejected is noted beside the suggestions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.persistence import DataStores
from workbench.persistence.models import Annotation, ImageKey, LabelData
from workbench.persistence.suggestions import Suggestion, SuggestionTable, without_covered

_AT_ONCE = 500


async def next_waiting(
    stores: DataStores,
    dataset: str,
    table: SuggestionTable,
    *,
    after: ImageKey | None = None,
    limit: int = 100,
    threshold: float = 0.0,
) -> list[tuple[ImageKey, list[Suggestion]]]:
    """Return images with suggestions that no label covers and nobody has rejected.

    Parameters
    ----------
    stores : DataStores
    dataset : str
    table : SuggestionTable
        Of that dataset.
    after : (str, str), optional
        Only images behind this one, in the order of split and name.
    limit : int
        Images at most.
    threshold : float
        Suggestions with a lower score do not count.
    """
    keys = sorted(key for key in table.images if after is None or key > after)
    found: list[tuple[ImageKey, list[Suggestion]]] = []
    for start in range(0, len(keys), _AT_ONCE):
        some = keys[start : start + _AT_ONCE]
        labels = await stores.label.load_many(dataset, some)
        for key, boxes in zip(some, labels.annotations_by_image(), strict=True):
            offered = [one for one in table.of(*key) if one.confidence >= threshold]
            waiting = without_covered(offered, boxes)
            if waiting:
                found.append((key, waiting))
                if len(found) == limit:
                    return found
    return found


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is suggested for an image, beside the labels that it has.

    Parameters
    ----------
    key : (str, str)
    labels : LabelData
    suggestions : list of Suggestion
        Those that no label covers and nobody has rejected, the surest of each source first.
    table : SuggestionTable
        Where they come from.
    """

    key: ImageKey
    labels: LabelData
    suggestions: list[Suggestion]
    table: SuggestionTable

    @property
    def revision(self) -> str:
        """Changes with the labels and with what is suggested."""
        content = [self.labels.revision, [(one.source, repr(one)) for one in self.suggestions]]
        return hashlib.blake2b(repr(content).encode(), digest_size=12).hexdigest()


async def waiting_on(
    stores: DataStores, dataset: str, key: ImageKey, known: SuggestionTable | None = None
) -> Waiting:
    """Return what waits for review on an image.

    Parameters
    ----------
    known : SuggestionTable, optional
        See `ImageStore.suggestions`.

    Raises
    ------
    NotFoundError
        If there is no such image.
    """
    labels = await stores.label.get(dataset, *key)
    table = await stores.image.suggestions(dataset, known=known)
    return Waiting(key, labels, without_covered(table.of(*key), labels.annotations), table)


async def decide(
    stores: DataStores,
    dataset: str,
    waiting: Waiting,
    *,
    accept: Sequence[int] = (),
    reject: Sequence[int] = (),
) -> LabelData:
    """Let some of an image's suggestions become labels, and never offer others again.

    Parameters
    ----------
    stores : DataStores
    dataset : str
    waiting : Waiting
        What the decision is made on.
    accept, reject : sequence of int
        Positions in its suggestions.

    Returns
    -------
    LabelData
        The labels as they are then.

    Raises
    ------
    ConflictError
        If the labels were changed since; nothing is decided.
    ValueError
        If no suggestion has such a position, or one is both accepted and rejected.
    """
    both = set(accept) & set(reject)
    if both:
        raise ValueError(f"suggestion {min(both)} is both accepted and rejected; decide on one")
    count = len(waiting.suggestions)
    beyond = [position for position in (*accept, *reject) if not 0 <= position < count]
    if beyond:
        raise ValueError(f"expected positions below {count}, found {beyond[0]}")
    labels = waiting.labels
    taken = [waiting.suggestions[position] for position in dict.fromkeys(accept)]
    rejected = [waiting.suggestions[position] for position in dict.fromkeys(reject)]
    blocks = waiting.table.rejections(waiting.key, rejected)
    if taken:
        names = dict.fromkeys(_name(waiting.table, one) for one in taken)
        labels = await stores.label.save(
            dataset,
            *waiting.key,
            [*labels.annotations, *(Annotation(one.class_id, *one.xywh) for one in taken)],
            expected_revision=labels.revision,
            what=f"accepted from {', '.join(names)}",
            decided=blocks,
        )
    elif blocks:
        await stores.image.add_suggestions(dataset, blocks)
    return labels


def _name(table: SuggestionTable, one: Suggestion) -> str:
    source = table.source(one.source)
    return one.source if source is None else str(source)
