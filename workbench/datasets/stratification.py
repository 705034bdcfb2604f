"""Dealing things out in given proportions so that every label is spread in them too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

_RARE = 100
"""Up to so many groups, those with most of a label go first."""


def deal(
    sizes: Ints,
    owner: Ints,
    label: Ints,
    amount: Ints,
    ratios: Sequence[float],
    *,
    seed: int,
    pinned: Ints | None = None,
) -> Ints:
    """Deal groups out to parts by iterative stratification.

    The labels are gone through from the rarest to the most common one. Each group that has
    the label goes to the part that still wants most of it, then to the one that wants most
    images, then to one at random. Rare labels go first because they alone are hard to spread;
    the common ones can make up later for what that costs them.

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
    return np.array(part_of, dtype=np.int64)
