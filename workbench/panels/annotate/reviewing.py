"""What waits for review on the images of a walk, and what a person's edits decide of it.

A suggestion waits until a label lies where it lies, or until it was rejected. So accepting and
fixing need no note of their own: they are the edits of the labels, and undoing these brings the
suggestion back. What was rejected is noted beside the suggestions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from workbench.panels.annotate.boxes import Size, predictions_of
from workbench.panels.annotate.messages import CanvasBox, Edit
from workbench.persistence import Stores
from workbench.persistence.models import Annotation, ImageKey, Prediction
from workbench.persistence.suggestion_blocks import SuggestionBlock, new_block
from workbench.persistence.suggestions import (
    Rejected,
    Suggestion,
    SuggestionTable,
    suppressing,
    without_covered,
)

RESTS_ON = frozenset({"suggestions", "images", "classes"})
"""The parts of a dataset that say what waits on which image, and of which class it is."""

_NEAR = 1e-4
"""Fractions of the image by which a box may differ after its way to the page and back."""


class Review:
    """Suggestions of one split, as far as they wait for review.

    Parameters
    ----------
    stores : Stores
    dataset, split : str
    """

    def __init__(self, stores: Stores, dataset: str, split: str) -> None:
        self._images = stores.image
        self._dataset = dataset
        self._split = split
        self._table: SuggestionTable | None = None
        self._sure: tuple[object, set[str]] = (None, set())

    async def refresh(self) -> None:
        """Take in what was suggested or decided since the last time; costs little if nothing."""
        self._table = await self._images.suggestions(self._dataset, known=self._table)

    def waiting(
        self, filename: str, labels: Sequence[Annotation], *, rejected: bool = False
    ) -> list[Suggestion]:
        """Return the suggestions for an image that its labels do not cover.

        Parameters
        ----------
        rejected : bool
            Also those that a person has rejected.
        """
        if self._table is None:
            return []
        found = self._table.of(self._split, filename, rejected=rejected)
        return without_covered(found, labels)

    def num_rejected(self, filename: str) -> int:
        """Return how many suggestions for an image were rejected."""
        if self._table is None:
            return 0
        return len(self._table.rejected.get((self._split, filename), ()))

    def source_name(self, source_id: str) -> str:
        """Return what people call a source."""
        source = None if self._table is None else self._table.source(source_id)
        return "prediction" if source is None else str(source)

    def weights_digests(self, filename: str) -> list[str]:
        """Return the digests of the weights that suggest on an image, the most boxes first."""
        if self._table is None:
            return []
        boxes = Counter(one.source for one in self._table.of(self._split, filename))
        sources = [self._table.source(source_id) for source_id, _ in boxes.most_common()]
        return [source.digest for source in sources if source is not None and source.digest]

    def count(
        self, filenames: Sequence[str], threshold: float, of_class: Mapping[int, float]
    ) -> int:
        """Return how many of some images have a suggestion at or above a score.

        Parameters
        ----------
        of_class : mapping
            Scores for some class ids, in place of `threshold`.
        """
        sure = self._sure_images(threshold, of_class)
        return sum(name in sure for name in filenames)

    def _sure_images(self, threshold: float, of_class: Mapping[int, float]) -> set[str]:
        table = self._table
        if table is None:
            return set()
        asked = (table, threshold, dict(of_class))
        if self._sure[0] != asked:
            reached = table.reaching(threshold, of_class).tolist()
            found = {
                name
                for (split, name), is_sure in zip(table.images, reached, strict=True)
                if is_sure and split == self._split
            }
            self._sure = (asked, found)
        return self._sure[1]

    def sources_taken(
        self, filename: str, before: Sequence[Annotation], after: Sequence[Annotation]
    ) -> list[str]:
        """Return whose suggestions an edit of the labels has taken, for the history."""
        left = set(self.waiting(filename, after))
        taken = [one for one in self.waiting(filename, before) if one not in left]
        return list(dict.fromkeys(self.source_name(one.source) for one in taken))

    def decided(
        self, filename: str, edit: Edit, labels: Sequence[Annotation], size: Size
    ) -> list[SuggestionBlock]:
        """Return what notes what an edit rejects, and what it brings back.

        Parameters
        ----------
        edit : Edit
        labels : sequence of Annotation
            Of the image, after the edit.
        size : tuple of int
            Of the image.
        """
        if self._table is None or not (edit.gone or edit.proposals):
            return []
        key = (self._split, filename)
        uncovered = self.waiting(filename, labels)
        rejected = [one for one in uncovered if _is_among(one, edit.gone, size)]
        offered = self._table.of(*key, rejected=True)
        again = [one for one in offered if _is_among(one, edit.proposals or (), size)]
        restored = suppressing(again, self._table.rejected.get(key, ()), self._table.families())
        return self._table.rejections(key, rejected) + self._restored(key, restored)

    def _restored(self, key: ImageKey, restored: Sequence[Rejected]) -> list[SuggestionBlock]:
        assert self._table is not None
        families = {source.family: source for source in self._table.sources}
        by_family: dict[str, list[Prediction]] = {}
        for one in restored:
            by_family.setdefault(one.family, []).append(one.box)
        return [
            new_block(families[family], {key: boxes}, "restored")
            for family, boxes in by_family.items()
            if family in families
        ]


def _is_among(one: Suggestion, boxes: Sequence[CanvasBox], size: Size) -> bool:
    """Whether a page speaks of a suggestion, in its pixels."""
    return any(
        box.source_id == one.source
        and box.class_id == one.class_id
        and all(
            abs(a - b) <= _NEAR
            for a, b in zip(predictions_of([box], size)[0].xywh, one.xywh, strict=True)
        )
        for box in boxes
    )
