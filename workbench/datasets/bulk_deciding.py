"""Many suggestions decided at once, by a person who has seen them or by an explicit rule.

Labels of all images change as a whole or not at all; they are edits in the history that say from
whom they were accepted, and one undo takes all of it back. What a rule has accepted says which
rule, so that it can be found and taken back in a later session, too.
"""

from __future__ import annotations

import re
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import numpy as np
import numpy.typing as npt

from workbench import geometry
from workbench.datasets.changes import Change, counted, undoing
from workbench.datasets.index import Indexer
from workbench.datasets.waiting import WaitingBoxes, waiting_boxes
from workbench.errors import LabelFormatError, NotFoundError
from workbench.persistence import DataStores
from workbench.persistence.models import Annotation, ImageKey, LabelData, LabelEdit, Prediction
from workbench.persistence.suggestion_blocks import Kind, SuggestionBlock, new_block
from workbench.persistence.suggestions import COVERED, Suggestion, without_covered

_RULE = re.compile(r"rule ([0-9a-f]{8}): (.*)")
_LAST_UNDO = "undo"


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of suggestions that were decided together.

    Parameters
    ----------
    change : Change
    accepted, rejected : int
        Boxes. One that another source had proposed at the same place is accepted once.
    left : mapping of (str, str) to str
        Images that were left as they are, and why.
    """

    change: Change
    accepted: int
    rejected: int
    left: Mapping[ImageKey, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """What may be accepted without that a person has looked at it.

    Parameters
    ----------
    score : float
        At least, 0..1.
    sources : int
        So many must propose a box of this class at this place, each with this score.
    classes : tuple of int
        Ids; empty: all.
    """

    score: float = 0.9
    sources: int = 2
    classes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.score <= 1:
            raise ValueError(f"score: expected a number in 0..1, found {self.score!r}")
        if self.sources < 1:
            raise ValueError(f"sources: expected a whole number from 1 on, found {self.sources!r}")

    def __str__(self) -> str:
        """Return it for people: ``from 90 % where 2 sources agree``."""
        agree = f" where {self.sources} sources agree" if self.sources > 1 else ""
        return f"from {self.score:.0%}{agree}".replace("%", " %")


@dataclass(frozen=True, slots=True)
class AppliedRule:
    """What a rule has accepted, as the history tells it.

    Parameters
    ----------
    id : str
        What `take_back` takes.
    rule : str
        In words.
    at : datetime
    edits : list of LabelEdit
        Of each image that it has changed.
    """

    id: str
    rule: str
    at: datetime
    edits: list[LabelEdit]


async def load_waiting(stores: DataStores, dataset: str) -> WaitingBoxes:
    """Return all that waits for review in a dataset."""
    index = await Indexer(stores).load(dataset)
    return waiting_boxes(index, await stores.image.suggestions(dataset))


async def decide_many(
    stores: DataStores,
    dataset: str,
    waiting: WaitingBoxes,
    *,
    accept: Iterable[int] = (),
    reject: Iterable[int] = (),
    what: str = "accepted",
) -> Decided:
    """Let some suggestions become labels, and never offer others again.

    Parameters
    ----------
    stores : DataStores
    dataset : str
    waiting : WaitingBoxes
        What the decision is made on.
    accept, reject : iterable of int
        Places in it. What labels cover by now, or was rejected, is passed over.
    what : str
        In a word what the edits are, for the history.

    Raises
    ------
    ConflictError
        If somebody changes labels in this very moment; nothing is decided.
    ValueError
        If something is both accepted and rejected.
    """
    wanted, unwanted = list(dict.fromkeys(accept)), list(dict.fromkeys(reject))
    if not set(wanted).isdisjoint(unwanted):
        raise ValueError("something is both accepted and rejected; decide on one")
    chosen = _by_image(waiting, wanted)
    labels, left = await _present(stores, dataset, list(chosen))
    new: dict[ImageKey, list[Annotation]] = {}
    accepted = 0
    for key, data in labels.items():
        taken = _not_twice(without_covered(chosen[key], data.annotations))
        if taken:
            new[key] = [*data.annotations, *(Annotation(s.class_id, *s.xywh) for s in taken)]
            accepted += len(taken)
    names = dict.fromkeys(waiting.source_of(place) for place in wanted)
    refused = _by_image(waiting, unwanted)
    edits = await stores.label.save_many(
        dataset,
        new,
        expected={key: labels[key].revision for key in new},
        what=f"{what} from {', '.join(names)}",
        decided=_blocks(waiting, refused, "rejected"),
    )
    text = _described(accepted, len(new), len(unwanted))
    undo = partial(_undo, stores, dataset, edits, _Refused(waiting, refused), text)
    return Decided(Change(text, undo), accepted, len(unwanted), left)


async def accept_by_rule(
    stores: DataStores, dataset: str, rule: Rule, *, images: Sequence[ImageKey] | None = None
) -> Decided:
    """Accept what a rule allows; the history says which rule it was.

    Parameters
    ----------
    stores : DataStores
    dataset : str
    rule : Rule
    images : sequence of (str, str), optional
        Only on these; default: all.
    """
    waiting = await load_waiting(stores, dataset)
    places = allowed(waiting, rule)
    if images is not None:
        known = set(images)
        places = [place for place in places if waiting.key(place) in known]
    what = f"rule {uuid.uuid4().hex[:8]}: {rule}, accepted"
    return await decide_many(stores, dataset, waiting, accept=places, what=what)


async def applied_rules(stores: DataStores, dataset: str) -> list[AppliedRule]:
    """Return what rules have accepted, oldest first, as far as nobody has changed it since."""
    found: dict[str, AppliedRule] = {}
    last = {(edit.split, edit.filename): edit for edit in await stores.label.history(dataset)}
    for edit in last.values():
        match = _RULE.fullmatch(edit.what)
        if match is not None:
            rule = match[2].partition(", accepted")[0]
            applied = found.setdefault(match[1], AppliedRule(match[1], rule, edit.at, []))
            applied.edits.append(edit)
    return sorted(found.values(), key=lambda one: one.at)


async def take_back(stores: DataStores, dataset: str, rule_id: str) -> int:
    """Undo what a rule has accepted, on all images that nobody has changed since.

    Returns
    -------
    int
        Images that are as they were before.

    Raises
    ------
    NotFoundError
        If there is nothing (any more) of such a rule.
    """
    for applied in await applied_rules(stores, dataset):
        if applied.id == rule_id:
            edits = [edit.id for edit in applied.edits]
            await stores.label.revert_many(dataset, edits, what=_LAST_UNDO)
            return len(edits)
    raise NotFoundError(
        f"{dataset}: there is nothing left of rule {rule_id}: it was taken back, or every image "
        f"was changed since"
    )


def allowed(waiting: WaitingBoxes, rule: Rule) -> list[int]:
    """Return the places of what a rule allows to accept."""
    is_sure = waiting.scores >= np.float32(rule.score)
    if rule.classes:
        is_sure &= np.isin(waiting.index.class_id, rule.classes)
    sure = np.flatnonzero(is_sure)
    if rule.sources == 1:
        return [int(place) for place in sure]
    found: list[int] = []
    edges = np.flatnonzero(np.diff(waiting.index.image_index[sure])) + 1
    for places in np.split(sure, edges):
        found += _agreed(waiting, places, rule.sources)
    return found


def _agreed(waiting: WaitingBoxes, places: npt.NDArray[np.int64], sources: int) -> list[int]:
    """Return those of one image that enough sources propose."""
    if len(places) < sources:
        return []
    boxes = geometry.xywh_to_xyxy(waiting.index.boxes[places])
    source = waiting.table.source_index[waiting.rows[places]]
    classes = waiting.index.class_id[places]
    rows, others, _ = geometry.overlapping(boxes, boxes, COVERED)
    is_same = classes[rows] == classes[others]
    agreeing = np.unique(np.column_stack([rows, source[others]])[is_same], axis=0)
    num = np.bincount(agreeing[:, 0], minlength=len(places))
    return [int(place) for place in places[num >= sources]]


@dataclass(frozen=True, slots=True)
class _Refused:
    """What was rejected of that which waited."""

    waiting: WaitingBoxes
    by_image: Mapping[ImageKey, Sequence[Suggestion]]


async def _undo(
    stores: DataStores, dataset: str, edits: list[str], refused: _Refused, text: str
) -> None:
    with undoing(text):
        blocks = _blocks(refused.waiting, refused.by_image, "restored")
        await stores.label.revert_many(dataset, edits, what=_LAST_UNDO, decided=blocks)


def _by_image(waiting: WaitingBoxes, places: Iterable[int]) -> dict[ImageKey, list[Suggestion]]:
    found: dict[ImageKey, list[Suggestion]] = defaultdict(list)
    for place in places:
        found[waiting.key(place)].append(waiting.suggestion(place))
    return dict(found)


async def _present(
    stores: DataStores, dataset: str, images: Sequence[ImageKey]
) -> tuple[dict[ImageKey, LabelData], dict[ImageKey, str]]:
    """Return the labels of images as they are now, and why those of others cannot be changed."""
    found: dict[ImageKey, LabelData] = {}
    left: dict[ImageKey, str] = {}
    for key in images:
        try:
            data = await stores.label.get(dataset, *key)
        except (NotFoundError, LabelFormatError) as error:
            left[key] = str(error)
            continue
        if data.other_rows:
            left[key] = "its labels have rows that are more than a box; review it by itself"
        else:
            found[key] = data
    return found, left


def _not_twice(found: Sequence[Suggestion]) -> list[Suggestion]:
    """Leave out what another source has proposed as well, the surest first."""
    ordered = sorted(found, key=lambda one: -one.confidence)
    corners = geometry.xywh_to_xyxy([one.xywh for one in ordered])
    rows, others, _ = geometry.overlapping(corners, corners, COVERED)
    surer: dict[int, list[int]] = defaultdict(list)
    for row, other in zip(rows.tolist(), others.tolist(), strict=True):
        if other < row:
            surer[row].append(other)
    kept: dict[int, Suggestion] = {}
    for place, one in enumerate(ordered):
        rivals = (kept[other] for other in surer[place] if other in kept)
        if not any(k.source != one.source and k.class_id == one.class_id for k in rivals):
            kept[place] = one
    return [*kept.values()]


def _blocks(
    waiting: WaitingBoxes, by_image: Mapping[ImageKey, Sequence[Suggestion]], kind: Kind
) -> list[SuggestionBlock]:
    by_source: dict[str, dict[ImageKey, list[Prediction]]] = defaultdict(dict)
    for key, found in by_image.items():
        for one in found:
            by_source[one.source].setdefault(key, []).append(one)
    sources = {source.id: source for source in waiting.table.sources}
    return [new_block(sources[name], images, kind) for name, images in by_source.items()]


def _described(accepted: int, images: int, rejected: int) -> str:
    boxes = counted(accepted, "suggested box", "suggested boxes")
    parts = [f"{boxes} accepted on {counted(images, 'image')}"] if accepted or not rejected else []
    if rejected:
        parts.append(f"{counted(rejected, 'suggested box', 'suggested boxes')} rejected")
    return ", ".join(parts)
