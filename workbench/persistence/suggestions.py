"""Boxes that wait for a person's review, in columns, under the names that images have now.

They are kept beside the labels and never in them. Like the sources of images they are noted
under the names and class ids of their time; the history's own lines about moved images and
changed classes tell what these are now. So suggestions follow a rename, a move, the way through
the trash or back to a version, and a change of classes without being written again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np
import numpy.typing as npt

from workbench import geometry
from workbench.persistence.basic_models import ImageKey
from workbench.persistence.history import (
    ClassRecord,
    ClassUndoRecord,
    EditRecord,
    MoveRecord,
    Record,
)
from workbench.persistence.label_models import Annotation, Prediction
from workbench.persistence.suggestion_blocks import (
    SuggestionBlock,
    SuggestionSource,
    new_block,
)

Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

SAME_BOX = 0.6
"""IoU from which on a suggestion is the one again that a person has rejected."""
COVERED = 0.5
"""IoU from which on a label does what a suggestion proposes."""
_ROUNDING = 1e-5
_THINNEST = np.float32(1e-7)
"""Width or height below which a box may be nothing once it is written down as a label."""


@dataclass(frozen=True, slots=True)
class Suggestion(Prediction):
    """A prediction that waits for review.

    Parameters
    ----------
    source : str
        `SuggestionSource.id` of who proposes it.
    """

    source: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A suggestion that a person has rejected; `family` is its source's."""

    family: str
    box: Prediction


@dataclass(frozen=True, slots=True, eq=False)
class SuggestionTable:
    """All suggestions of a dataset in columns, rejected ones too.

    Parameters
    ----------
    sources : list of SuggestionSource
    images : list of (str, str)
        Split and name of each image that a source has looked at.
    first : ndarray of int64, shape (images + 1,)
        The suggestions of image ``i`` are ``first[i]`` to ``first[i + 1]``, the surest of each
        source first.
    source_index, class_id : ndarray of int32, shape (suggestions,)
    boxes : ndarray of float32, shape (suggestions, 4)
        Normalised xywh.
    score : ndarray of float32, shape (suggestions,)
    rejected : mapping of (str, str) to list of Rejected
    looked_at : mapping of str to set of (str, str)
        The images that a source has looked at, by its id; it need not have found anything.
    revision : str
        Changes when something is added, and with images and classes.
    """

    sources: list[SuggestionSource]
    images: list[ImageKey]
    first: Longs
    source_index: Ints
    class_id: Ints
    boxes: Floats
    score: Floats
    rejected: Mapping[ImageKey, list[Rejected]] = field(default_factory=dict)
    looked_at: Mapping[str, set[ImageKey]] = field(default_factory=dict)
    revision: str = ""
    _place: dict[ImageKey, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self._place) != len(self.images):
            self._place.update(zip(self.images, count(), strict=False))

    def __len__(self) -> int:
        """Return the number of suggestions."""
        return len(self.class_id)

    def of(self, split: str, filename: str, *, rejected: bool = False) -> list[Suggestion]:
        """Return the suggestions for an image.

        Parameters
        ----------
        rejected : bool
            Also those that a person has rejected.
        """
        place = self._place.get((split, filename))
        if place is None:
            return []
        rows = slice(int(self.first[place]), int(self.first[place + 1]))
        found = [
            Suggestion(class_id, x, y, width, height, score, self.sources[source].id)
            for class_id, (x, y, width, height), score, source in zip(
                self.class_id[rows].tolist(),
                self.boxes[rows].tolist(),
                self.score[rows].tolist(),
                self.source_index[rows].tolist(),
                strict=True,
            )
        ]
        return found if rejected else self.without_rejected((split, filename), found)

    def without_rejected(self, key: ImageKey, found: Sequence[Suggestion]) -> list[Suggestion]:
        """Leave out what a person has rejected on an image."""
        return without_rejected(found, self.rejected.get(key, ()), self.families())

    def reaching(self, score: float, of_class: Mapping[int, float]) -> npt.NDArray[np.bool_]:
        """Return for each image whether a suggestion for it is sure enough.

        Parameters
        ----------
        score : float
            From which on one is.
        of_class : mapping
            Scores for some class ids, in place of that.
        """
        least = np.full(max([*of_class, int(self.class_id.max(initial=0))]) + 1, score)
        for class_id, own in of_class.items():
            least[class_id] = own
        reached = np.zeros(len(self.images), dtype=np.bool_)
        some = np.flatnonzero(np.diff(self.first))
        if len(some):
            sure = self.score >= least[self.class_id]
            reached[some] = np.logical_or.reduceat(sure, self.first[some])
        return reached

    def source(self, source_id: str) -> SuggestionSource | None:
        """Return a source by its id."""
        return next((source for source in self.sources if source.id == source_id), None)

    def rejections(self, key: ImageKey, rejected: Sequence[Suggestion]) -> list[SuggestionBlock]:
        """Return what to add so that suggestions for an image are not offered again."""
        by_source: dict[str, list[Prediction]] = {}
        for one in rejected:
            by_source.setdefault(one.source, []).append(one)
        return [
            new_block(source, {key: boxes}, "rejected")
            for source_id, boxes in by_source.items()
            if (source := self.source(source_id)) is not None
        ]

    def families(self) -> dict[str, str]:
        """Return the family of each source by its id."""
        return {source.id: source.family for source in self.sources}


def without_rejected(
    found: Sequence[Suggestion], rejected: Sequence[Rejected], families: Mapping[str, str]
) -> list[Suggestion]:
    """Leave out what a person has rejected of the same source, also if it moved a little."""
    return [
        one for one, by in zip(found, _by_whom(found, rejected, families), strict=True) if not by
    ]


def suppressing(
    found: Sequence[Suggestion], rejected: Sequence[Rejected], families: Mapping[str, str]
) -> list[Rejected]:
    """Return the rejections because of which suggestions are not offered."""
    places = {place for by in _by_whom(found, rejected, families) for place in by}
    return [rejected[place] for place in sorted(places)]


def _by_whom(
    found: Sequence[Suggestion], rejected: Sequence[Rejected], families: Mapping[str, str]
) -> list[list[int]]:
    """Return for each suggestion the places of the rejections that mean it."""
    if not found or not rejected:
        return [[] for _ in found]
    by: list[list[int]] = [[] for _ in found]
    rows, places, _ = _overlapping(found, [one.box for one in rejected], SAME_BOX)
    for row, place in zip(rows.tolist(), places.tolist(), strict=True):
        one, no = found[row], rejected[place]
        if no.box.class_id == one.class_id and no.family == families.get(one.source):
            by[row].append(place)
    return by


def without_covered(found: Sequence[Suggestion], labels: Sequence[Annotation]) -> list[Suggestion]:
    """Leave out what labels say already, of whatever class: each label covers one of a source.

    The best overlaps are paired first, so that of two objects side by side the one without a
    label keeps its suggestion.
    """
    if not found or not labels:
        return list(found)
    rows, places, overlap = _overlapping(found, labels, COVERED)
    order = np.argsort(-overlap, kind="stable")
    covered: set[int] = set()
    used: set[tuple[str, int]] = set()
    for row, label in zip(rows[order].tolist(), places[order].tolist(), strict=True):
        mark = (found[row].source, label)
        if row not in covered and mark not in used:
            covered.add(row)
            used.add(mark)
    return [one for row, one in enumerate(found) if row not in covered]


def _overlapping(
    first: Sequence[Annotation], second: Sequence[Annotation], least: float
) -> tuple[Longs, Longs, npt.NDArray[np.float64]]:
    a, b = (geometry.xywh_to_xyxy([box.xywh for box in boxes]) for boxes in (first, second))
    return geometry.overlapping(a, b, least)


_BLOCK = 32
"""Bits below those of a block's number where it stands with a place in one integer."""
_PLACE = (1 << _BLOCK) - 1


class _Follower:
    """What is known of each image under its present name, while blocks and history are read.

    Where something about an image stands is one integer, the number of a block and the image's
    place in it: there may be 100,000 images, and a tuple for each takes as long as all the rest.
    """

    def __init__(self, blocks: Sequence[SuggestionBlock]) -> None:
        self._blocks = blocks
        self.suggested: dict[str, dict[str, int]] = {}
        self.decided: dict[str, list[int]] = {}
        self.mappings: dict[int, list[Mapping[int, int | None]]] = {}
        self.seen: list[int] = []

    def take(self, number: int) -> None:
        block = self._blocks[number]
        self.seen.append(number)
        if block.kind == "suggested":
            rows = self.suggested.setdefault(block.source.id, {})
            rows.update(zip(block.images, count(number << _BLOCK), strict=False))
        else:
            for row, name in enumerate(block.images, number << _BLOCK):
                self.decided.setdefault(name, []).append(row)

    def move(self, source: str, target: str) -> None:
        for rows in self.suggested.values():
            row = rows.pop(source, None)
            if row is not None:
                rows[target] = row
        decided = self.decided.pop(source, None)
        if decided is not None:
            self.decided[target] = decided

    def change_classes(self, mapping: Mapping[int, int | None], blocks: Sequence[int]) -> None:
        for number in blocks:
            self.mappings.setdefault(number, []).append(mapping)


def current_suggestions(
    blocks: Sequence[SuggestionBlock],
    history: Sequence[Record],
    images: Collection[ImageKey],
    revision: str = "",
    num_classes: int | None = None,
) -> SuggestionTable:
    """Return the suggestions for the images that are there, as names and classes are now.

    Parameters
    ----------
    blocks : sequence of SuggestionBlock
    history : sequence of Record
        Of the same dataset; its moves count, and its changes of classes.
    images : collection of (str, str)
        Split and name of the images that are there.
    revision : str
        Of the blocks, and of what names and classes are.
    num_classes : int, optional
        So many classes the dataset has: what is suggested of another one is left out, as are
        boxes without an area.
    """
    follower = _follow(blocks, history)
    present = dict(zip(map("/".join, images), images, strict=True))
    classes = {
        number: _mapped(blocks[number].class_id, mappings)
        for number, mappings in follower.mappings.items()
    }
    classes |= _labels_only(blocks, classes, num_classes)
    starts = [np.concatenate(([0], np.cumsum(block.counts))) for block in blocks]
    of_id = {block.source.id: block.source for block in blocks if block.kind == "suggested"}
    order: dict[ImageKey, int] = {}
    looked_at: dict[str, set[ImageKey]] = {}
    parts = []
    for source_index, (source_id, rows) in enumerate(follower.suggested.items()):
        keys, at = _present_rows(rows, present)
        positions = _positions(keys, order)
        # A set that is made of a mapping need not look at each name again.
        looked_at[source_id] = set(order if len(order) == len(keys) else keys)
        parts += [
            _part(blocks[number], classes.get(number), starts[number], at[chosen] & _PLACE,
                  positions[chosen], source_index)
            for number, chosen in _by_number(at >> _BLOCK)
        ]  # fmt: skip
    return _table(
        [of_id[source_id] for source_id in follower.suggested],
        order,
        parts,
        _rejected(follower, blocks, classes, starts, present),
        looked_at,
        revision,
    )


def _follow(blocks: Sequence[SuggestionBlock], history: Sequence[Record]) -> _Follower:
    """Read blocks and history in the order of their times."""
    undone = {record.id for record in history if isinstance(record, ClassUndoRecord)}
    rewrites = {record.id: record for record in history if isinstance(record, ClassRecord)}
    events: list[tuple[int, SuggestionBlock | Record]] = [*enumerate(blocks)]
    events += [(-1, record) for record in history if not isinstance(record, EditRecord)]
    follower = _Follower(blocks)
    # Of one moment the block comes first: an image is there before it moves.
    for number, event in sorted(events, key=lambda e: (e[1].at, e[0] < 0)):
        if isinstance(event, SuggestionBlock):
            follower.take(number)
        elif isinstance(event, MoveRecord):
            follower.move(event.source, event.target)
        elif isinstance(event, ClassRecord):
            if event.id not in undone:
                follower.change_classes(event.mapping, follower.seen)
        elif isinstance(event, ClassUndoRecord) and event.id in rewrites:
            # What was there before has its ids still; only what came between must go back.
            rewrite = rewrites[event.id]
            back = {new: old for old, new in rewrite.mapping.items() if new is not None}
            between = [n for n in follower.seen if blocks[n].at > rewrite.at]
            follower.change_classes(back, between)
    return follower


def _mapped(class_id: Ints, mappings: Sequence[Mapping[int, int | None]]) -> Ints:
    """Return the ids that classes have now; -1: the class is gone."""
    found = class_id.copy()
    for mapping in mappings:
        before = found.copy()
        for old, new in mapping.items():
            found[before == old] = -1 if new is None else new
    return found


def _labels_only(
    blocks: Sequence[SuggestionBlock], classes: Mapping[int, Ints], num_classes: int | None
) -> dict[int, Ints]:
    """Return the ids of blocks with boxes that can be no labels, with -1 for these.

    They are of a class that there is not, or have no area: a stranger's file may hold such ones,
    and one of them would keep all others from being accepted with it.
    """
    found = {}
    for number, block in enumerate(blocks):
        present = classes.get(number, block.class_id)
        is_none = (block.boxes[:, 2] < _THINNEST) | (block.boxes[:, 3] < _THINNEST)
        if num_classes is not None:
            is_none |= present >= num_classes
        if is_none.any():
            found[number] = np.where(is_none, np.int32(-1), present)
    return found


def _present_rows(
    rows: Mapping[str, int], present: Mapping[str, ImageKey]
) -> tuple[list[ImageKey], Longs]:
    """Return which images are there of those that a source has looked at, and where they stand."""
    found = [*map(present.get, rows)]
    at = np.fromiter(rows.values(), np.int64, len(rows))
    keys = [key for key in found if key is not None]
    if len(keys) < len(found):
        at = at[np.fromiter((key is not None for key in found), np.bool_, len(found))]
    return keys, at


def _positions(keys: Sequence[ImageKey], order: dict[ImageKey, int]) -> Longs:
    """Return the places of images in the table; those that are not in it yet come behind."""
    if not order:  # of most datasets one source has looked at nearly all
        order.update(zip(keys, count(), strict=False))
        return np.arange(len(keys))
    return np.fromiter((order.setdefault(key, len(order)) for key in keys), np.int64, len(keys))


def _by_number(numbers: Longs) -> list[tuple[int, Longs]]:
    """Return the numbers that there are, and at which places each one stands."""
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    cuts = np.flatnonzero(np.diff(ordered)) + 1
    groups = np.split(order, cuts) if len(order) else []
    return [(int(numbers[group[0]]), group) for group in groups]


_Part = tuple[Ints, Ints, Ints, Floats, Floats]
"""Image, source, class, box and score of some suggestions."""


def _part(
    block: SuggestionBlock,
    classes: Ints | None,
    starts: Longs,
    places: Longs,
    positions: Longs,
    source_index: int,
) -> _Part:
    """Return the rows of a block's images at some places, for these positions in the table."""
    counts = block.counts[places].astype(np.int64)
    image = np.repeat(positions.astype(np.int32), counts)
    rows: Longs | slice
    first, last = int(places[0]), int(places[-1])
    if np.array_equal(places, np.arange(first, last + 1)):  # nothing lies between
        rows = slice(int(starts[first]), int(starts[last + 1]))
    else:
        within = np.arange(len(image)) - np.repeat(np.cumsum(counts) - counts, counts)
        rows = np.repeat(starts[places], counts) + within
    class_id = (block.class_id if classes is None else classes)[rows]
    boxes, score = block.boxes[rows], block.score[rows]
    source = np.full(len(image), source_index, dtype=np.int32)
    if classes is not None:
        kept = class_id >= 0
        image, source, class_id = image[kept], source[kept], class_id[kept]
        boxes, score = boxes[kept], score[kept]
    return image, source, class_id, boxes, score


def _table(
    sources: list[SuggestionSource],
    order: dict[ImageKey, int],
    parts: Sequence[_Part],
    rejected: Mapping[ImageKey, list[Rejected]],
    looked_at: Mapping[str, set[ImageKey]],
    revision: str,
) -> SuggestionTable:
    nothing = np.empty(0, np.int32), np.empty(0, np.float32)
    image, source, class_id, boxes, score = (
        (np.concatenate([part[column] for part in parts]) for column in range(5))
        if parts
        else (nothing[0], nothing[0], nothing[0], nothing[1].reshape(0, 4), nothing[1])
    )
    if np.any(np.diff(image) < 0):  # several sources, or an image that was looked at again
        by_image = np.argsort(image, kind="stable")
        image, source, class_id = image[by_image], source[by_image], class_id[by_image]
        boxes, score = boxes[by_image], score[by_image]
    first = np.zeros(len(order) + 1, dtype=np.int64)
    np.cumsum(np.bincount(image, minlength=len(order)), out=first[1:])
    return SuggestionTable(
        sources, [*order], first, source, class_id, boxes, score, rejected, looked_at, revision,
        order,
    )  # fmt: skip


def _rejected(
    follower: _Follower,
    blocks: Sequence[SuggestionBlock],
    classes: Mapping[int, Ints],
    starts: Sequence[Longs],
    present: Mapping[str, ImageKey],
) -> dict[ImageKey, list[Rejected]]:
    found: dict[ImageKey, list[Rejected]] = {}
    for name, rows in follower.decided.items():
        key = present.get(name)
        if key is None:
            continue
        rejected: list[Rejected] = []
        for at in rows:
            number, place = at >> _BLOCK, at & _PLACE
            block = blocks[number]
            for row in range(int(starts[number][place]), int(starts[number][place + 1])):
                class_id = int(classes.get(number, block.class_id)[row])
                x, y, width, height = block.boxes[row].tolist()
                box = Prediction(class_id, x, y, width, height, float(block.score[row]))
                one = Rejected(block.source.family, box)
                if block.kind == "restored":
                    rejected = [other for other in rejected if not _is_same(other, one)]
                elif class_id >= 0:
                    rejected.append(one)
        if rejected:
            found[key] = rejected
    return found


def _is_same(one: Rejected, other: Rejected) -> bool:
    near = np.allclose(one.box.xywh, other.box.xywh, atol=_ROUNDING, rtol=0)
    same = (one.family, one.box.class_id) == (other.family, other.box.class_id)
    return near and same
