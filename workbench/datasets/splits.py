"""Dealing a dataset's images out to train, val and test: first a plan, then the moves."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from workbench.datasets.actions import moved_back
from workbench.datasets.changes import Change, counted
from workbench.datasets.grouping import GroupBy, group_index, known_groups
from workbench.datasets.split_notes import about_absent_classes, about_shares, about_unreadable
from workbench.datasets.stratification import deal
from workbench.errors import ConflictError, NotFoundError
from workbench.persistence import DataStores
from workbench.persistence.models import (
    SPLITS,
    ImageKey,
    ImageMove,
    LabelTable,
    Progress,
    no_progress,
)

if TYPE_CHECKING:
    import pandas as pd

_STAY = "images stay where they are"
DEFAULT_RATIOS: Mapping[str, float] = {"train": 0.8, "val": 0.2}

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class SplitCounts:
    """What stands in each split.

    Parameters
    ----------
    images, unlabelled, background : ndarray of int64, shape (3,)
        Images of each of `SPLITS`: all, those without a label file, those with an empty one.
    boxes : ndarray of int64, shape (3, classes)
    """

    images: Ints
    unlabelled: Ints
    background: Ints
    boxes: Ints


@dataclass(frozen=True, slots=True, eq=False)
class SplitPlan:
    """Who would go where; nothing has moved yet.

    Parameters
    ----------
    stores : DataStores
    dataset : str
    classes : list of str
    moves : list of ImageMove
        Only of those images that change their split.
    before, after : SplitCounts
    notes : list of str
        One sentence for each thing that did not go by the ratios, and why.
    """

    stores: DataStores
    dataset: str
    classes: list[str]
    moves: list[ImageMove]
    before: SplitCounts
    after: SplitCounts
    notes: list[str] = field(default_factory=list)
    _seen: frozenset[ImageKey] = frozenset()

    def to_frame(self) -> pd.DataFrame:
        """Return the preview as a table.

        Returns
        -------
        DataFrame
            A row for images, unlabelled and background ones, and one for the boxes of each
            class; columns ``(split, "before")``, ``(split, "after")`` and, behind those, the
            split's share of the row after the move, 0..1.
        """
        import pandas as pd

        names, before, after = self.counts()
        total = np.maximum(after.sum(axis=1), 1)
        columns = {}
        for position, split in enumerate(SPLITS):
            columns[split, "before"] = before[:, position]
            columns[split, "after"] = after[:, position]
            columns[split, "share"] = after[:, position] / total
        return pd.DataFrame(columns, index=pd.Index(names, name="count"))

    def counts(self) -> tuple[list[str], Ints, Ints]:
        """Return the rows of the preview: what each counts, then numbers before and after.

        Returns
        -------
        list of str
            ``"images"``, ``"unlabelled"``, ``"background"``, then the classes.
        ndarray of int64, shape (rows, 3), twice
            By split.
        """
        names = ["images", "unlabelled", "background", *self.classes]
        return names, _rows(self.before), _rows(self.after)

    async def apply(self) -> Change:
        """Move the images, all of them or none.

        Raises
        ------
        ConflictError
            If images have come, gone or moved since the plan was made. Labels may have
            changed: the moves are as good as before.
        """
        now = frozenset(
            (image.split, image.filename) for image in await self.stores.image.list(self.dataset)
        )
        if now != self._seen:
            new = {name for _, name in now - self._seen}
            gone = {name for _, name in self._seen - now}
            raise ConflictError(
                f"{self.dataset} has changed since the split was planned "
                f"({counted(len(new - gone), 'new image')}, {len(gone - new):,} not there any "
                f"more, {len(new & gone):,} in another split); plan again"
            )
        await self.stores.image.move_many(self.dataset, self.moves)
        return moved_back(self.stores, self.dataset, self.moves, "moved to their new splits")


class SplitPlanner:
    """Makes plans of who goes to train, val and test."""

    def __init__(self, stores: DataStores) -> None:
        self._stores = stores

    async def plan(
        self,
        dataset: str,
        ratios: Mapping[str, float] = DEFAULT_RATIOS,
        *,
        stratify: bool = True,
        group_by: GroupBy = None,
        seed: int = 0,
        only: Collection[ImageKey] | None = None,
        progress: Progress = no_progress,
    ) -> SplitPlan:
        """Deal images out by ratio; the same ones go to the same splits each time.

        Parameters
        ----------
        ratios : mapping of str to float
            By split, none below 0, some above; they need not add up to 1. A split that is
            not named gets nothing.
        stratify : bool
            Spread the boxes of each class, the unlabelled and the background images in the
            same ratios, as near as the data allow; see `stratification.deal`.
        group_by : callable, mapping, "name", "burst", "looks" or None
            Images that must not be parted: a function or mapping of the file name, see
            `grouping.group_index`; frames of a video, by name; what was captured in one go;
            what looks alike.
        seed : int
            From 0.
        only : collection of (str, str), optional
            Deal out just these images, given as ``(split, filename)``. A group of which
            others are in a split already follows them there.
        progress : callable
            See `grouping.known_groups`.

        Raises
        ------
        ValueError
            If the ratios or the seed cannot be, or grouping leaves fewer groups than splits
            to fill.
        NotFoundError
            If there is no such dataset, or no such image in it.
        """
        shares = _shares(ratios)
        if seed < 0:
            raise ValueError(f"seed: expected a whole number from 0, found {seed}")
        classes = (await self._stores.dataset.get(dataset)).classes
        table = await self._stores.label.load_all(dataset)
        group_by = await known_groups(self._stores, dataset, group_by, progress=progress)
        return await asyncio.to_thread(
            self._plan, dataset, classes, table, shares, stratify, group_by, seed, only
        )

    def _plan(
        self,
        dataset: str,
        classes: list[str],
        table: LabelTable,
        shares: npt.NDArray[np.float64],
        stratify: bool,
        group_by: GroupBy,
        seed: int,
        only: Collection[ImageKey] | None,
    ) -> SplitPlan:
        names = np.array(table.filenames, dtype=object)
        before = np.array([SPLITS.index(split) for split in table.splits], dtype=np.int64)
        keys = list(zip(table.splits, table.filenames, strict=True))
        dealt = _chosen(keys, only, dataset)
        notes = about_unreadable(table)
        twins = _same_stem(table.filenames) & dealt
        if twins.any():
            dealt &= ~twins
            notes.append(
                f"{counted(int(twins.sum()), 'image stays where it is', _STAY)}, because other "
                f"splits have images of the same name (the first: {names[twins][0]})"
            )
        group = _by_name(group_index(table.filenames, group_by), table.filenames)
        units, unit_of = np.unique(group[dealt], return_inverse=True)
        if group_by is not None and 0 < len(units) < min(int((shares > 0).sum()), dealt.sum()):
            raise ValueError(
                f"group_by: {counted(int(dealt.sum()), 'image forms', 'images form')} only "
                f"{counted(len(units), 'group')}, too few for {int((shares > 0).sum())} splits; "
                f"group by something else, or not at all"
            )
        pinned = _pins(units, group[~dealt], before[~dealt])
        entries = _entries(table, len(classes), dealt, unit_of) if stratify else _nothing()
        part = deal(
            np.bincount(unit_of, minlength=len(units)),
            *entries,
            (shares / shares.sum()).tolist(),
            seed=seed,
            pinned=pinned,
            filled=(np.bincount(before[~dealt], minlength=len(SPLITS)) > 0).tolist(),
        )
        after = before.copy()
        after[dealt] = part[unit_of]
        moves = [
            ImageMove(table.filenames[i], SPLITS[before[i]], SPLITS[after[i]])
            for i in np.flatnonzero(before != after).tolist()
        ]
        counts = _counts(table, after, len(classes))
        if dealt.all():
            notes += about_shares(counts.images, shares / shares.sum(), len(units))
            notes += about_absent_classes(counts.boxes, shares, classes)
        return SplitPlan(
            stores=self._stores,
            dataset=dataset,
            classes=classes,
            moves=moves,
            before=_counts(table, before, len(classes)),
            after=counts,
            notes=notes,
            _seen=frozenset(keys),
        )


def _shares(ratios: Mapping[str, float]) -> npt.NDArray[np.float64]:
    for split, ratio in ratios.items():
        if split not in SPLITS or not 0 <= ratio < float("inf"):
            raise ValueError(
                f"ratios: expected numbers from 0 for some of {', '.join(SPLITS)}, "
                f"found {split!r}: {ratio!r}"
            )
    shares = np.array([float(ratios.get(split, 0.0)) for split in SPLITS])
    if not shares.any():
        raise ValueError(f"ratios: expected a number above 0 for some of {', '.join(SPLITS)}")
    return shares


def _chosen(
    keys: list[ImageKey], only: Collection[ImageKey] | None, dataset: str
) -> npt.NDArray[np.bool_]:
    if only is None:
        return np.ones(len(keys), dtype=np.bool_)
    wanted = set(map(tuple, only))
    missing = wanted.difference(keys)
    if missing:
        raise NotFoundError(
            f"{dataset}: no image {'/'.join(min(missing))}: renamed, moved or deleted meanwhile? "
            f"list() names those that are there"
        )
    return np.array([key in wanted for key in keys], dtype=np.bool_)


def _same_stem(filenames: list[str]) -> npt.NDArray[np.bool_]:
    # Two of them could not stand in one split: they would share a label file.
    stems = [name.rpartition(".")[0] for name in filenames]
    counts = Counter(stems)
    return np.array([counts[stem] > 1 for stem in stems], dtype=np.bool_)


def _by_name(group: Ints, filenames: list[str]) -> Ints:
    """Return groups numbered by their first file name: nothing depends on present splits."""
    order = np.array(sorted(range(len(filenames)), key=filenames.__getitem__), dtype=np.int64)
    _, first, inverse = np.unique(group[order], return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    result = np.empty_like(group)
    result[order] = rank[inverse]
    return result


def _pins(units: Ints, others: Ints, splits: Ints) -> Ints:
    """Return for each group the split where most of its images stay that are not dealt out."""
    place = np.searchsorted(units, others)
    known = place < len(units)
    known[known] = units[place[known]] == others[known]
    flat = place[known] * len(SPLITS) + splits[known]
    votes = np.bincount(flat, minlength=len(units) * len(SPLITS)).reshape(-1, len(SPLITS))
    return np.where(votes.any(axis=1), votes.argmax(axis=1), -1).astype(np.int64)


def _entries(
    table: LabelTable, num_classes: int, dealt: npt.NDArray[np.bool_], unit_of: Ints
) -> tuple[Ints, Ints, Ints]:
    """Return how much of each label each group has: boxes of each class, and two more labels."""
    unit = np.full(len(dealt), -1, dtype=np.int64)
    unit[dealt] = unit_of
    empty = table.boxes_per_image() == 0
    owner = [unit[table.image_index]]
    label = [table.class_id]
    for extra, images in enumerate((empty & table.labelled, empty & ~table.labelled)):
        owner.append(unit[images])
        label.append(np.full(int(images.sum()), num_classes + extra, dtype=np.int64))
    owners, labels = np.concatenate(owner), np.concatenate(label)
    labels, owners = labels[owners >= 0], owners[owners >= 0]
    width = num_classes + 2
    flat, amount = np.unique(owners * width + labels, return_counts=True)
    return flat // width, flat % width, amount.astype(np.int64)


def _nothing() -> tuple[Ints, Ints, Ints]:
    none = np.empty(0, dtype=np.int64)
    return none, none, none


def _counts(table: LabelTable, split: Ints, num_classes: int) -> SplitCounts:
    empty = table.boxes_per_image() == 0

    def images(which: npt.NDArray[np.bool_]) -> Ints:
        return np.bincount(split[which], minlength=len(SPLITS)).astype(np.int64)

    flat = split[table.image_index] * num_classes + table.class_id
    boxes = np.bincount(flat, minlength=len(SPLITS) * num_classes).astype(np.int64)
    return SplitCounts(
        images=images(np.ones(len(split), dtype=np.bool_)),
        unlabelled=images(~table.labelled),
        background=images(empty & table.labelled),
        boxes=boxes.reshape(len(SPLITS), num_classes),
    )


def _rows(counts: SplitCounts) -> Ints:
    return np.vstack([counts.images, counts.unlabelled, counts.background, counts.boxes.T])
