"""Dealing things out in given proportions so that every label is spread in them too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

_RARE = 100
"""Up to so many groups, those with most of a label go first."""

_IMAGES = 4.0
_LEAST_GAIN = 1e-12  # below, it is rounding
_MOST_WORK = 100_000_000  # entries looked at: a second or two


def deal(
    sizes: Ints,
    owner: Ints,
    label: Ints,
    amount: Ints,
    ratios: Sequence[float],
    *,
    seed: int,
    pinned: Ints | None = None,
    filled: Sequence[bool] = (),
) -> Ints:
    """Deal groups out to parts by iterative stratification, then even out what it left uneven.

    The labels are gone through from the rarest to the most common one. Each group that has
    the label goes to the part that still wants most of it, then to the one that wants most
    images, then to one at random. Rare labels go first because they alone are hard to spread;
    the common ones can make up later for what that costs them. Where all labels are rare none
    is left to make up: labels on three images each give every fifth image a third of them. So
    groups are then moved on, one at a time, as long as that brings all shares nearer to
    `ratios`; and a part that should have something but got nothing gets one group.

    Parameters
    ----------
    sizes : ndarray of int64, shape (groups,)
        Number of images of each group.
    owner, label, amount : ndarray of int64, shape (entries,)
        Group `owner` has so much (`amount`, above 0) of `label`; one entry for each pair.
    ratios : sequence of float, shape (parts,)
        They add up to 1; a part of ratio 0 gets nothing but what is pinned to it.
    seed : int
    pinned : ndarray of int64, shape (groups,), optional
        Part in which a group is already and stays; -1 for those to deal out.
    filled : sequence of bool, shape (parts,), optional
        Whether a part has something already that is not among the groups.

    Returns
    -------
    ndarray of int64, shape (groups,)
        The part of each group.

    Notes
    -----
    Sechidis, Tsoumakas, Vlahavas: On the Stratification of Multi-Label Data, ECML PKDD 2011
    (https://doi.org/10.1007/978-3-642-23808-6_10), Algorithm 1. There an example has a label
    or not; here a group has an amount of it (boxes).
    """
    count = len(sizes)
    parts = [part for part, ratio in enumerate(ratios) if ratio > 0]
    result = np.full(count, -1, dtype=np.int64) if pinned is None else pinned.copy()
    rng = np.random.default_rng(seed)
    rank = rng.permutation(count)
    num_labels = int(label.max()) + 1 if len(label) else 0
    totals = np.bincount(label, weights=amount, minlength=num_labels)
    wanted_images = [ratio * float(sizes.sum()) for ratio in ratios]
    wanted = [[ratio * total for ratio in ratios] for total in totals.tolist()]

    # Entries by group and by label, as plain lists: the loop below is all look-ups.
    by_group = np.argsort(owner, kind="stable")
    starts = np.searchsorted(owner[by_group], np.arange(count + 1)).tolist()
    labels_of, amounts_of = label[by_group].tolist(), amount[by_group].tolist()
    # What is large is hard to place late. That holds for amounts too while a label is rare;
    # of a common one, going by amount would leave the parts with too many or too few images.
    rare = np.bincount(label, minlength=num_labels) <= _RARE
    by_label = np.lexsort((rank[owner], -amount * rare[label], -sizes[owner], label))
    label_starts = np.searchsorted(label[by_label], np.arange(num_labels + 1)).tolist()
    owners_of = owner[by_label].tolist()
    size_of, part_of = sizes.tolist(), result.tolist()
    remaining = np.bincount(label, minlength=num_labels).tolist()

    def give(group: int, part: int) -> None:
        part_of[group] = part
        wanted_images[part] -= size_of[group]
        for entry in range(starts[group], starts[group + 1]):
            wanted[labels_of[entry]][part] -= amounts_of[entry]
            remaining[labels_of[entry]] -= 1

    for group in np.flatnonzero(result >= 0).tolist():
        give(group, part_of[group])
    left = {number for number in range(num_labels) if remaining[number]}
    while left:
        rarest = min(left, key=lambda number: (remaining[number], number))
        left.discard(rarest)
        wants = wanted[rarest]
        for group in owners_of[label_starts[rarest] : label_starts[rarest + 1]]:
            if part_of[group] < 0:
                give(group, max(parts, key=lambda part: (wants[part], wanted_images[part])))
        left = {number for number in left if remaining[number]}
    rest = np.flatnonzero(np.array(part_of, dtype=np.int64) < 0)
    for group in rest[np.lexsort((rank[rest], -sizes[rest]))].tolist():
        give(group, max(parts, key=wanted_images.__getitem__))
    result = np.array(part_of, dtype=np.int64)
    free = np.ones(count, dtype=np.bool_) if pinned is None else pinned < 0
    if len(parts) > 1 and free.any():
        settled = _Balance(sizes, owner, label, amount, ratios, result, free)
        settled.even_out(parts)
        settled.fill([part for part in parts if not (filled and filled[part])])
    return result


class _Balance:
    """How far the shares of all labels, and of the images, are from those wanted.

    The images count as a label of their own, as much as `_IMAGES` times all others together.
    What is made small is the sum of the squared distances of the shares.

    Parameters
    ----------
    sizes, owner, label, amount, ratios
        See `deal`.
    part : ndarray of int64, shape (groups,)
        Where each group is; changed in place.
    free : ndarray of bool, shape (groups,)
        Which of them may be moved.
    """

    def __init__(
        self,
        sizes: Ints,
        owner: Ints,
        label: Ints,
        amount: Ints,
        ratios: Sequence[float],
        part: Ints,
        free: npt.NDArray[np.bool_],
    ) -> None:
        images = int(label.max()) + 1 if len(label) else 0
        self._part, self._free, self._sizes = part, free, sizes
        self._owner = np.concatenate((owner, np.arange(len(sizes), dtype=np.int64)))
        self._label = np.concatenate((label, np.full(len(sizes), images, dtype=np.int64)))
        self._amount = np.concatenate((amount, sizes)).astype(np.float64)
        totals = np.bincount(self._label, weights=self._amount, minlength=images + 1)
        weights = 1 / np.maximum(totals, 1) ** 2
        weights[images] *= _IMAGES * max(int((totals[:images] > 0).sum()), 1)
        self._weighted = self._amount * weights[self._label]
        # What a group costs by itself, wherever it goes.
        self._own = self._sum(self._weighted * self._amount)
        self._too_much = np.stack(
            [
                np.bincount(self._label, self._amount * self._is_in(number), images + 1)
                - ratio * totals
                for number, ratio in enumerate(ratios)
            ]
        )
        self._order = np.argsort(self._owner, kind="stable")
        self._starts = np.searchsorted(self._owner[self._order], np.arange(len(sizes) + 1))

    def even_out(self, parts: Sequence[int]) -> None:
        """Move groups while that brings the shares nearer, and the work stays bounded."""
        for _ in range(_MOST_WORK // (len(self._owner) * len(parts)) + 1):
            change = self._change_by_move(parts)
            best = int(np.argmin(change))
            if change.flat[best] > -_LEAST_GAIN:
                return
            self._move(best % len(self._part), parts[best // len(self._part)])

    def fill(self, parts: Sequence[int]) -> None:
        """Give a group to each part that has none, from parts that have several."""
        for part in parts:
            counts = np.bincount(self._part, minlength=len(self._too_much))
            spare = self._free & (counts[self._part] > 1)
            if counts[part] or not spare.any():
                continue
            change = np.where(spare, self._change_by_move([part])[0], np.inf)
            self._move(int(np.argmin(change)), part)

    def _change_by_move(self, parts: Sequence[int]) -> npt.NDArray[np.float64]:
        """Return what moving each group to each part would add, shape (parts, groups)."""
        groups = np.arange(len(self._part))
        here = np.stack([self._sum(self._weighted * row[self._label]) for row in self._too_much])
        change = 2 * (here[list(parts)] - here[self._part, groups] + self._own)
        change[np.equal.outer(np.array(parts), self._part) | ~self._free] = np.inf
        return np.asarray(change, dtype=np.float64)

    def _move(self, group: int, part: int) -> None:
        entries = self._order[self._starts[group] : self._starts[group + 1]]
        self._too_much[self._part[group], self._label[entries]] -= self._amount[entries]
        self._too_much[part, self._label[entries]] += self._amount[entries]
        self._part[group] = part

    def _sum(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        sums = np.bincount(self._owner, weights=values, minlength=len(self._sizes))
        return sums.astype(np.float64)

    def _is_in(self, part: int) -> npt.NDArray[np.bool_]:
        return np.asarray(self._part[self._owner] == part)
